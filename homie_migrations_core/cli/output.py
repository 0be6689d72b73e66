"""
Writes to the terminal, and is the only module that prints. Results go to stdout, everything else to stderr.

What a command reports, and with which exit code it ends, is decided in `report`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
from collections.abc import Iterator
from typing import TextIO

from homie_migrations_core.errors import ConfirmationDenied, HomieMigrationsError, NobodyToAsk


def write_line(text: str) -> None:
    """Write one line to stdout."""
    _write(text, sys.stdout)


def write_error(text: str) -> None:
    """Write one line to stderr."""
    _write(text, sys.stderr)


def _write(text: str, stream: TextIO | None) -> None:
    if stream is None:  # the process was started with it closed
        return
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:  # nobody reads on; the work and its exit code are not about that
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether the stream is a terminal."""
    return stream is not None and stream.isatty()


def error(problem: Exception, *, verbose: bool = False) -> None:
    """Write an error to stderr; with `verbose`, its traceback first."""
    if verbose:
        import traceback

        write_error("".join(traceback.format_exception(problem)).rstrip())
    write_error(f"Error: {error_message(problem)}")


def error_message(problem: Exception) -> str:
    """Return the message of an error; one that is not ours is a bug, and says so."""
    if isinstance(problem, HomieMigrationsError):
        return str(problem)
    return f"This should not have happened: {type(problem).__name__}: {problem}. Please report it, with what -v shows."


def write_json(document: object) -> None:
    """Write a JSON document to stdout, in ASCII, which every terminal and pipe can carry."""
    write_line(json.dumps(document, indent=2))


def usage_error(problem: Exception, *, as_json: bool) -> int:
    """Report what Typer's parser refused, and return the exit code."""
    message = str(problem.format_message() or "")  # type: ignore[attr-defined]
    context = getattr(problem, "ctx", None)
    if type(problem).__name__ == "NoArgsIsHelpError":  # called without a command: the help is the answer
        if message:  # else Rich has printed it already
            write_line(message)
        return 2
    if as_json:
        write_json({"databases": [], "broken": [], "error": {"code": "usage", "message": message}})
    stop = "" if message.endswith((".", "?", "!")) else "."
    hint = f" Try `{context.command_path} --help`." if context is not None else ""
    write_error(f"Error: {message}{stop}{hint}")
    return int(getattr(problem, "exit_code", 2))


def confirm(question: str, note: str) -> None:
    """
    Ask on the terminal for a yes. `note` tells what to know before.

    Raises:
        NobodyToAsk: There is no terminal.
        ConfirmationDenied: The answer was no.
    """
    somebody_to_ask(question)
    import typer

    try:
        agreed = typer.confirm(f"{question[0].upper()}{question[1:]}. {note} Go on?", err=True)
    except typer.Abort:  # the end of the input is no yes
        write_error("")
        agreed = False
    if not agreed:
        raise ConfirmationDenied(question)


def somebody_to_ask(question: str) -> None:
    """
    Make sure that there is a terminal to ask on.

    Raises:
        NobodyToAsk: There is none.
    """
    if not is_terminal(sys.stdin):
        raise NobodyToAsk(question)


def stdout_to_stderr() -> contextlib.AbstractContextManager[object]:
    """Send what Python code prints to stdout to stderr instead, inside the context."""
    return contextlib.redirect_stdout(sys.stderr)


@contextlib.contextmanager
def child_stdout_to_stderr() -> Iterator[None]:
    """Do the same for child processes, which inherit the file descriptor."""
    saved = None
    with contextlib.suppress(OSError, ValueError, AttributeError):  # a stream that is closed, or none of the system's
        if sys.stdout is sys.__stdout__ and sys.stdout.fileno() == 1:
            sys.stdout.flush()
            saved = os.dup(1)
            os.dup2(2, 1)
    try:
        yield
    finally:
        if saved is not None:
            os.dup2(saved, 1)
            os.close(saved)


class _LogToStderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if hasattr(record, "unusable"):  # reported as a broken pack
            return
        label = "" if record.levelno < logging.WARNING else f"{record.levelname.capitalize()}: "
        cause = f" ({record.exc_info[0].__name__}: {record.exc_info[1]})" if record.exc_info and record.exc_info[0] else ""
        write_error(f"{label}{record.getMessage()}{cause}")


@contextlib.contextmanager
def log_on_stderr(*, verbose: bool = False) -> Iterator[None]:
    """Write the library's warnings to stderr, inside the context; with `verbose`, its other log messages too."""
    logger, handler = logging.getLogger("homie_migrations"), _LogToStderr(logging.INFO if verbose else logging.WARNING)
    level = logger.level
    logger.addHandler(handler)
    if verbose:
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
