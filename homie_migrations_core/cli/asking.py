"""
Questions on the terminal: who can be asked, and an answer that a signal never has to wait for.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import TextIO

from homie_migrations_core.cli.output import is_terminal, write_error, write_prompt
from homie_migrations_core.errors import ConfirmationDenied, NobodyToAsk

_YES, _NO = ("y", "yes"), ("n", "no", "")


def require_terminal(question: str) -> None:
    """
    Make sure that there is a terminal to ask on.

    Raises:
        NobodyToAsk: There is none.
    """
    if not is_terminal(sys.stdin):
        raise NobodyToAsk(question)


def confirm(question: str, note: str) -> None:
    """
    Ask on the terminal for a yes. `note` tells what to know before.

    Raises:
        NobodyToAsk: There is no terminal.
        ConfirmationDenied: The answer was no, or the input ended.
    """
    require_terminal(question)
    while True:
        answer = _answer(f"{question[0].upper()}{question[1:]}. {note} Go on? [y/N]: ").strip().lower()
        if answer in _YES:
            return
        if answer in _NO:
            raise ConfirmationDenied(question)
        write_error("Please answer y or n.")


def _answer(prompt: str) -> str:
    try:
        write_prompt(prompt)
        line = read_line(sys.stdin)
    except BaseException:  # a signal, most often: what is said next begins on a line of its own
        write_error("")
        raise
    if not line.endswith("\n"):  # the input ended
        write_error("")
    return line


def read_line(stream: TextIO) -> str:
    """
    Read a line; empty at the end of the input. A signal handler that raises ends the wait at once.

    A signal that comes just before a blocking read only sets a flag, and Python calls the handler after the read. So this
    waits for the input and for a pipe that the arrival of a signal writes to, and reads only what is there.
    """
    descriptor = _descriptor(stream)
    if descriptor is None:
        return stream.readline()
    import select

    line = b""
    with _pipe_written_by_signals() as signals:
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([descriptor, signals], [], [])
            if signals in ready:  # the handler has been called, and has not raised
                os.read(signals, 1024)
            elif piece := os.read(descriptor, 1024):
                line += piece
            else:
                break
    return line.decode(stream.encoding or "utf-8", errors="replace")


def _descriptor(stream: TextIO) -> int | None:
    """Return what can be waited for together with signals; None on Windows, off the main thread, and for a stream in memory."""
    if os.name == "nt" or threading.current_thread() is not threading.main_thread():
        return None
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return stream.fileno()
    return None


@contextlib.contextmanager
def _pipe_written_by_signals() -> Iterator[int]:
    reading, writing = os.pipe()
    try:
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        try:
            yield reading
        finally:
            signal.set_wakeup_fd(before)
    finally:
        os.close(reading)
        os.close(writing)
