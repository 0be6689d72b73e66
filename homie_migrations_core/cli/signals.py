"""
Ctrl-C and SIGTERM: ask the run to stop, and raise only where an author's own code runs.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from homie_migrations_core.stopping import Stopped, StopRequest


class SignalStop(StopRequest):
    """A stop that a signal asks for; `signal` is the first one that came."""

    def __init__(self) -> None:
        super().__init__(lambda: self.signal is not None)
        self.signal: int | None = None

    @property
    def exit_code(self) -> int:
        """What the process should end with: 130 after Ctrl-C, 143 after SIGTERM."""
        return 128 + (self.signal or signal.SIGINT)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt  # asked twice: be rude
        self.signal = number
        if self.raising:
            raise Stopped


@contextlib.contextmanager
def stop_on_signals(stop: SignalStop) -> Iterator[None]:
    """While this is open, the signals ask `stop` for a stop instead of ending the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stop._receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
