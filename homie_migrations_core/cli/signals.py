"""
Ctrl-C, SIGTERM and SIGHUP: ask the run to stop, and raise only where an author's own code runs.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from homie_migrations_core.stopping import Stopped, StopRequest

HANGUP: int | None = getattr(signal, "SIGHUP", None)
"""Sent when the terminal is closed or the connection is lost; Windows has none."""
BREAK: int | None = getattr(signal, "SIGBREAK", None)
"""Ctrl-Break and a console that is closed, on Windows only."""


class SignalStop(StopRequest):
    """A stop that a signal asks for; `signal` is the first one that came."""

    def __init__(self) -> None:
        super().__init__(lambda: self.signal is not None)
        self.signal: int | None = None

    @property
    def exit_code(self) -> int:
        """The exit code of the process: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP."""
        return 128 + (signal.SIGINT if self.signal in (None, BREAK) else self.signal or 0)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is None:
            self.signal = number
            if self.raising:
                raise Stopped
        elif number != HANGUP:  # a closed terminal sends it a second time, through the shell: the user did not ask twice
            raise KeyboardInterrupt


@contextlib.contextmanager
def stop_on_signals(stop: SignalStop) -> Iterator[None]:
    """Let signals ask `stop` for a stop inside the context, instead of ending the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stop._receive) for number in _handled()}
    try:
        yield
    finally:
        for number, handler in before.items():
            # A closed terminal may send a second one, which must not end the process before it has told how it ended.
            hung_up = number == HANGUP and stop.signal == HANGUP
            signal.signal(number, signal.SIG_IGN if hung_up else handler)


def _handled() -> list[int]:
    numbers = [signal.SIGINT, signal.SIGTERM, *(number for number in (HANGUP, BREAK) if number is not None)]
    # nohup starts a process with SIGHUP ignored. A handler that was not installed from Python can't be put back.
    ignored = HANGUP is not None and signal.getsignal(HANGUP) is signal.SIG_IGN
    return [each for each in numbers if signal.getsignal(each) is not None and not (ignored and each == HANGUP)]
