"""
Writes to the terminal, and is the only module that prints. Results go to stdout, everything else to stderr.

Every text is escaped here, so that a name from a database or a file can't command the terminal. JSON escapes by itself.

What a command reports, and with which exit code it ends, is decided in `report`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import sys
from collections.abc import Iterator
from typing import TextIO

from homie_migrations_core.cli.error_layout import error_lines
from homie_migrations_core.cli.escaping import escape_block, escape_line


def write_line(text: str, coloured: str = "", after: str = "") -> None:
    """Write one line to stdout. `coloured` is this program's own, and stays as it is."""
    _write(f"{escape_line(text)}{coloured}{escape_line(after)}", sys.stdout)


def write_block(text: str) -> None:
    """Write text of several lines to stdout."""
    _write(escape_block(text), sys.stdout)


def write_document(text: str) -> None:
    """Write SQL or a diagram to stdout: exactly as it is, unless a terminal shows it."""
    _write(escape_block(text) if is_terminal(sys.stdout) else text, sys.stdout)


def write_error(text: str) -> None:
    """Write one line to stderr."""
    _write(escape_line(text), sys.stderr)


def write_prompt(text: str) -> None:
    """Write a question to stderr, and stay on its line."""
    _write(escape_line(text), sys.stderr, end="")


def _write(text: str, stream: TextIO | None, end: str = "\n") -> None:
    if stream is None:  # the process was started with it closed
        return
    try:
        print(text, end=end, file=stream, flush=True)
    except OSError as problem:  # the reader or the terminal is gone; that changes neither the work nor its exit code
        if problem.errno not in (errno.EPIPE, errno.EIO):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether the stream is a terminal."""
    return stream is not None and stream.isatty()


def error(problem: BaseException, *, heading: str = "Error", verbose: bool = False) -> None:
    """Write an error to stderr; with `verbose`, its traceback first."""
    if verbose:
        import traceback

        _write(escape_block("".join(traceback.format_exception(problem)).rstrip()), sys.stderr)
    for line in error_lines(problem, heading):
        write_error(line)


def write_json(document: object) -> None:
    """Write a JSON document to stdout, in ASCII, which every terminal and pipe can carry."""
    _write(json.dumps(document, indent=2), sys.stdout)


def write_json_line(value: object, stream: TextIO | None) -> None:
    """Write JSON as one line to a stream, in one piece, because other threads and processes may write there too."""
    _write(json.dumps(value) + "\n", stream, end="")


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
        if hasattr(record, "unusable") or getattr(record, "told", False):  # reported as a broken pack, or as a note
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
