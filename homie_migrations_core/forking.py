"""
Keep a forked child process of a migration or an observer from going on with its parent's run.

Either may call `os.fork`. If the child returns from the function that was called, or raises, two processes would go on with
the same run: both would commit, record and report it, over one SQLite connection, which SQLite forbids
(https://sqlite.org/howtocorrupt.html, section 2.6). This is the one place where the library ends a process.
"""

from __future__ import annotations

import os


def no_child_returns() -> _ParentOnly:
    """
    Return a context manager: it ends a child process that was forked inside as soon as it comes back, even if it raises.

    It ends by `os._exit`, so that nothing of its parent's is closed, rolled back, flushed or reported a second time. Its exit
    status is 0 if it returned, that of `sys.exit`, and 1 for any other exception.
    """
    return _ParentOnly()


class _ParentOnly:
    """A class, because a step enters three of them, and `contextlib` takes twice the time."""

    __slots__ = ("_parent",)

    def __enter__(self) -> None:
        self._parent = os.getpid()

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if os.getpid() != self._parent:
            os._exit(_status_of(error))


def _status_of(error: BaseException | None) -> int:
    if error is None:
        return 0
    if not isinstance(error, SystemExit):
        return 1
    if error.code is None:
        return 0
    return error.code & 0xFF if isinstance(error.code, int) else 1
