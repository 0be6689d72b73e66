"""
The thread and the connection of a started path memory.

What is done with the connection is decided in `path_memory.py`, which also waits for it.
"""

from __future__ import annotations

import contextvars
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from file_organizer_migrations import start_up
from file_organizer_migrations.errors import NotStarted
from homie_migrations_core.errors import LockTimeout

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
