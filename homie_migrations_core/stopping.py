"""
Whether a run should stop, and whether this is a moment at which a signal handler may raise.

While SQLite or the runner's own bookkeeping is at work, an exception from a signal handler would be swallowed
by a callback or tear the bookkeeping; there a handler may only ask, and the runner looks. While an author's
Python code runs, raising is safe and the only way to be quick.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class StopRequest:
    """What a run asks before it goes on. `raising` says whether a signal handler may raise right now."""

    def __init__(self, should_stop: Callable[[], bool] | None = None) -> None:
        self._should_stop = should_stop
        self.raising = False

    def asked(self) -> bool:
        """Whether the run should stop."""
        return self._should_stop is not None and bool(self._should_stop())


class Stopped(BaseException):
    """Ends an author's code when a stop was asked for. Not an `Exception`, so that it is not swallowed by one."""
