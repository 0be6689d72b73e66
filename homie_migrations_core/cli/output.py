"""
Writes to the terminal, and is the only module that prints. Results go to stdout, everything else to stderr.

Every text is escaped here, so that a name from a database or a file can't command the terminal. JSON escapes by itself.

What a command reports, and with which exit code it ends, is decided in `report`. What others print is left to `redirection`.
"""

from __future__ import annotations

import os
import sys

from homie_migrations_core.cli.escaping import escape_block, escape_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


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
        import errno

        if problem.errno not in (errno.EPIPE, errno.EIO):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether the stream is a terminal."""
    return stream is not None and stream.isatty()


def error(problem: BaseException, *, heading: str = "Error", verbose: bool = False) -> None:
    """Write an error to stderr; with `verbose`, its traceback first."""
    from homie_migrations_core.cli.error_layout import error_lines

    if verbose:
        import traceback

        _write(escape_block("".join(traceback.format_exception(problem)).rstrip()), sys.stderr)
    for line in error_lines(problem, heading):
        write_error(line)


def write_json(document: object) -> None:
    """Write a JSON document to stdout, in ASCII, which every terminal and pipe can carry."""
    import json

    _write(json.dumps(document, indent=2), sys.stdout)


def write_json_line(value: object, stream: TextIO | None) -> None:
    """Write JSON as one line to a stream, in one piece, because other threads and processes may write there too."""
    import json

    _write(json.dumps(value) + "\n", stream, end="")
