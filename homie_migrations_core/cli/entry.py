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
    from typing import Any

COMPLETION = "_HOMIE_COMPLETE"


def parse_status(arguments: list[str]) -> dict[str, object] | None:
    """
    Return the options of `status` that a command line gives, or None if Typer should parse it.

    Only flags that are written out, each with its value as the next word, are recognised: importing argparse would take
    a third of the command's time.
    """
    from homie_migrations_core.cli.commands.status import StatusOptions

    flags = {flag: (name, option.kind) for name, option in StatusOptions.declared().items() for flag in option.flags}
    found: dict[str, Any] = {}
    words = iter(arguments)
    for word in words:
        name, kind = flags.get(word, ("", ""))
        if kind == "bool":
            found[name] = True
            continue
        value = next(words, None) if name else None
        if value is None or value.startswith("-"):
            return None
        if kind == "list[str] | None":
            found.setdefault(name, []).append(value)
        elif kind == "float":
            try:
                found[name] = float(value)
            except ValueError:
                return None
        else:
            found[name] = value
    return found


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
