"""
The entry point: `homie`, and `python -m homie_migrations_core`.

The commands that are run most, with nothing but their own options, run without Typer, whose import takes several times as
long as they do. Every other command line, and any doubtful one, goes to the Typer application, which would have given the
same answer.
"""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

    from homie_migrations_core.cli.options import CommandOptions, Option

_OBJECTS_BEFORE_COLLECTING = 50_000
"""What importing a command makes stays until the end; looking through it on the way and then would take a tenth of its time."""
COMPLETION = "_HOMIE_COMPLETE"
"""The environment variable with which a shell asks for completions."""


# Run by hand and by programs all the time, with nothing but options.
WITHOUT_TYPER = frozenset(("apply", "history", "packs", "plan", "status", "validate"))


def options_of(command: str) -> tuple[Callable[[Any], None], type[CommandOptions]]:
    """Return the function of one of these commands, and the class of its options."""
    module = __import__(f"homie_migrations_core.cli.commands.{command}", fromlist=(command,))
    run = getattr(module, command)
    return run, getattr(module, run.__annotations__["options"])


def parse_options(declared: dict[str, Option], arguments: list[str]) -> dict[str, object] | None:
    """
    Return the options that a command line gives, or None if Typer should parse it.

    Only flags that are written out, each with its value as the next word, are recognised: importing argparse would take
    a third of a command's time.
    """
    flags = {flag: name for name, option in declared.items() for flag in option.flags}
    found: dict[str, Any] = {}
    words = iter(arguments)
    for word in words:
        name = flags.get(word, "")
        kind = declared[name].kind if name else ""
        if kind == "bool":
            found[name] = True
            continue
        value = next(words, None) if name else None
        if value is None or value.startswith("-") or value not in (declared[name].choices or (value,)):
            return None
        if kind == "list[str] | None":
            found.setdefault(name, []).append(value)
        elif kind == "float":
            try:
                found[name] = float(value)
            except ValueError:
                return None
        elif kind in ("str", "str | None"):
            found[name] = value
        else:  # of a kind with conditions of its own
            return None
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with its exit code."""
    if arguments is not None:
        _end_with_exit_code(list(arguments))
    # The process is this command's own.
    gc.set_threshold(_OBJECTS_BEFORE_COLLECTING)
    try:
        _end_with_exit_code(sys.argv[1:])
    finally:
        if "homie_migrations_core.runner" not in sys.modules:  # no migration was run, so nobody's objects wait for the collector
            gc.freeze()


def _end_with_exit_code(given: list[str]) -> NoReturn:
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
    if os.environ.get(COMPLETION, "").startswith("complete_"):
        from homie_migrations_core.cli.completion import answer

        code = answer(os.environ)
        if code is not None:
            return code
    if len(given) > 1 and given[0] == "migrations" and given[1] in WITHOUT_TYPER and COMPLETION not in os.environ:
        command, options_class = options_of(given[1])
        options = parse_options(options_class.declared(), given[2:])
        if options is not None:
            command(options_class(**options))
    from homie_migrations_core.cli.app import run

    return run(given)
