"""
The thread and the connection of a started path memory, and waiting for them from an event loop.

What is done with the connection is decided in `path_memory.py`.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from file_organizer_migrations import start_up
from file_organizer_migrations.errors import NotStarted
from homie_migrations_core.errors import LockTimeout, RunStopped

_log = logging.getLogger("homie_migrations.path_memory")
_T = TypeVar("_T")


class Session:
    """
    One thread, and the one connection that is used in it, from a start to its shutdown.

    It has a thread of its own, not a lock around the event loop's threads: work that was cancelled continues in its
    thread for a while, and the next work must not use the same connection at the same time.
    """

    def __init__(self, data_dir: str | os.PathLike[str] | None, lock_timeout: float) -> None:
        self._data_dir, self._lock_timeout = data_dir, lock_timeout
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="homie-path-memory")
        self._connection: sqlite3.Connection | None = None
        self._closed: Future[None] | None = None
        self.path: Path | None = None
        self.starting, self.started = 0, False

    def submit(self, work: Callable[..., _T], *arguments: Any) -> Future[_T]:
        """Run `work` in the thread, after what was submitted before."""
        return self._thread.submit(contextvars.copy_context().run, work, *arguments)

    def end(self) -> Future[None]:
        """Close the connection and end the thread, once what was submitted before is done."""
        if self._closed is None:
            self._closed = self._thread.submit(self._close)
            self._thread.shutdown(wait=False)
        return self._closed

    # The methods below run in the thread.

    def bring_up(self, should_stop: Callable[[], bool]) -> None:
        """Bring the database up to date and open it, unless it is open."""
        if self._connection is None:
            self.path = start_up.bring_up_to_date(self._data_dir, self._lock_timeout, should_stop)
            self._connection = sqlite3.connect(self.path, timeout=self._lock_timeout, isolation_level=None)
            self._connection.execute("PRAGMA foreign_keys = ON")

    def use(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """
        Return what `work` returns for the open connection.

        Raises:
            NotStarted: The connection is not open any more.
            LockTimeout: Another program kept the database locked. Nothing was changed.
        """
        if self._connection is None:
            raise NotStarted
        try:
            return work(self._connection)
        except sqlite3.OperationalError as error:
            if (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF != sqlite3.SQLITE_BUSY:  # Python's own errors have no code
                raise
            advice = "Nothing was kept of this call; try it again once the other program is done."
            raise LockTimeout(str(self.path), self._lock_timeout, "waiting for", advice) from error

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


async def finished(future: Future[_T], stop: threading.Event | None = None) -> _T:
    """
    Return the result of the thread's work. If this is cancelled, it sets `stop` and waits until the work has ended.

    Work that has not begun yet is given up at once, if it can be stopped at all.
    """
    waiter = asyncio.wrap_future(future)
    cancelled: asyncio.CancelledError | None = None
    while not waiter.done():
        try:
            await asyncio.wait([waiter])
        except asyncio.CancelledError as error:  # perhaps not for the first time: what runs must be undone all the same
            cancelled = error
            if stop is not None:
                stop.set()
                future.cancel()
    if cancelled is None:
        return waiter.result()
    failure = None if waiter.cancelled() else waiter.exception()
    if failure is not None and not isinstance(failure, RunStopped):
        _log.warning("While stopping on request: %s", failure)
    raise cancelled
