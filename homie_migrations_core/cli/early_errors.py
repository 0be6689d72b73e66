"""
What ends a command line outside of a command's own report: the parser's refusal, Ctrl-C, an exception that nobody expected.

Here only the arguments as they were typed tell how the answer should look.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from homie_migrations_core.cli import output
from homie_migrations_core.cli.error_layout import error_code, error_message
from homie_migrations_core.errors import HomieMigrationsError


def usage_error(problem: Exception, given: Sequence[str]) -> int:
    """Report what Typer's parser refused, and return the exit code."""
    message = str(problem.format_message() or "")  # type: ignore[attr-defined]
    context = getattr(problem, "ctx", None)
    if type(problem).__name__ == "NoArgsIsHelpError":  # called without a command: the help is the answer
        if message:  # else Rich has printed it already
            output.write_block(message)
        return 2
    stop = "" if message.endswith((".", "?", "!")) else "."
    hint = f" Try `{context.command_path} --help`." if context is not None else ""
    _write_document("usage", message, given)
    if not _write_event("usage", message, given):
        output.write_error(f"Error: {message}{stop}{hint}")
    return int(getattr(problem, "exit_code", 2))


def failed(problem: BaseException, given: Sequence[str]) -> int:
    """Report an error, and return the exit code. One that is not ours is a bug, here or in a pack."""
    if not _write_event(error_code(problem), error_message(problem), given):
        output.error(problem, verbose=bool(set(given) & {"-v", "--verbose"}))
    _write_document(error_code(problem), error_message(problem), given)
    return problem.exit_code if isinstance(problem, HomieMigrationsError) else 1


def stopped(given: Sequence[str]) -> int:
    """Report that Ctrl-C was typed, and return the exit code."""
    if not _write_event("run_stopped", "Stopped.", given):
        output.write_error("Stopped.")
    return 130


def _write_document(code: str, message: str, given: Sequence[str]) -> None:
    if "--json" in given:
        output.write_json({"databases": [], "broken": [], "error": {"code": code, "message": message}})


def _write_event(code: str, message: str, given: Sequence[str]) -> bool:
    """Write an error as an event, if events are asked for."""
    flag = "--progress"
    if f"{flag}=json" not in given and (flag, "json") not in itertools.pairwise(given):
        return False
    from homie_migrations_core.cli.event_lines import EventLines

    EventLines().emit("error", code=code, message=message, path=None)
    return True
