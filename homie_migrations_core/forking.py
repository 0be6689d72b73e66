"""
Keep a forked child process of a migration or an observer from going on with its parent's run.

Either may call `os.fork`. If the child returns from the function that was called, or raises, two processes would go on with
the same run: both would commit, record and report it, over one SQLite connection, which SQLite forbids
(https://sqlite.org/howtocorrupt.html, section 2.6). This is the one place where the library ends a process.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def no_child_returns() -> Iterator[None]:
    """
    End a child process that was forked inside as soon as it comes back, whether it returns or raises.

    It ends by `os._exit`, so that nothing of its parent's is closed, rolled back, flushed or reported a second time. Its exit
    status is 0 if it returned, that of `sys.exit`, and 1 for any other exception.
    """
    parent, status = os.getpid(), 1
    try:
        yield
        status = 0
    except SystemExit as error:
        status = _status_of(error)
        raise
    finally:
        if os.getpid() != parent:
            os._exit(status)


def _status_of(error: SystemExit) -> int:
    if error.code is None:
        return 0
    return error.code & 0xFF if isinstance(error.code, int) else 1
