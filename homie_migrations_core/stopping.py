"""
Ask a run to stop, and say when a signal handler may raise an exception to stop it at once.

While SQLite or the runner's own bookkeeping is at work, an exception from a signal handler would be swallowed by a
callback or leave the bookkeeping half done: there a handler only sets a flag, and the runner asks for it. While an
author's Python code runs, raising is safe, and the only way to be quick.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class StopRequest:
    """A flag that a run asks before it goes on. `raising` is True while a signal handler may raise."""

    def __init__(self, should_stop: Callable[[], bool] | None = None) -> None:
        self._should_stop = should_stop
        self.raising = False

    def asked(self) -> bool:
        """Tell whether the run should stop."""
        return self._should_stop is not None and bool(self._should_stop())


class Stopped(BaseException):
    """Ends an author's code when a stop was asked for. Not an `Exception`, so that no `except Exception` swallows it."""


def ends_the_run(error: BaseException) -> bool:
    """
    Tell whether an exception that came out of an author's or a plugin's code is Ctrl-C or a stop, and must be raised again.

    Everything else is a failure of that code: `SystemExit`, and `pytest.skip()`, which is a `BaseException` too.
    """
    return isinstance(error, KeyboardInterrupt | Stopped)
