"""
The entry point: `homie`, and `python -m homie_migrations_core`.

`homie migrations status` with nothing but its own options runs without Typer, whose import takes several times as
long as the command. Every other command line, and any doubtful one, goes to the Typer application, which would have given the
same answer.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

COMPLETION = "_HOMIE_COMPLETE"


def parse_status(arguments: list[str]) -> dict[str, object] | None:
    """Return the options of `status` that a command line gives, or None if only Typer should parse it."""
    import argparse

    from homie_migrations_core.cli.commands.status import StatusOptions

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False, argument_default=argparse.SUPPRESS)
    for name, option in StatusOptions.declared().items():
        if option.kind == "bool":
            parser.add_argument(*option.flags, dest=name, action="store_true")
        elif option.kind == "list[str] | None":
            parser.add_argument(*option.flags, dest=name, action="append")
        else:
            parser.add_argument(*option.flags, dest=name, type=float if option.kind == "float" else str)
    try:
        options, others = parser.parse_known_args(arguments)
    except argparse.ArgumentError:
        return None
    return None if others or "--" in arguments else vars(options)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a path need not be text
    try:
        code = _run(given)
        if sys.stdout is not None:  # it may have been closed before the start
            sys.stdout.flush()
    except KeyboardInterrupt:
        from homie_migrations_core.cli import early_errors

        code = early_errors.stopped(given)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains once more at its end
        code = 1
    except SystemExit:
        raise
    except BaseException as problem:  # a bug, here or in a pack: one message, and no traceback without -v
        from homie_migrations_core.cli import early_errors

        code = early_errors.failed(problem, given)
    sys.exit(code)


def _run(given: list[str]) -> int:
    if given[:2] == ["migrations", "status"] and COMPLETION not in os.environ:
        options = parse_status(given[2:])
        if options is not None:
            from homie_migrations_core.cli.commands.status import StatusOptions, status

            status(StatusOptions(**options))
    from homie_migrations_core.cli.app import run

    return run(given)
