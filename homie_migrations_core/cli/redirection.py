"""
Where a command sends what others write while it runs: the messages of the library's log, and what a pack prints.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator

from homie_migrations_core.cli.output import write_error
from homie_migrations_core.logs import load


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
    logger, handler = load(), _LogToStderr(logging.INFO if verbose else logging.WARNING)
    level = logger.level
    logger.addHandler(handler)
    if verbose:
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
