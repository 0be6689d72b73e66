"""
Tell whether anything was committed to a database file, by any connection and in any way.

The connection that runs a migration can't answer that: an author's code may have ended its transaction, or removed its guard.
"""

from __future__ import annotations

import sqlite3
import time

from homie_migrations_core.sqlite.database import SLICE, uri
from homie_migrations_core.sqlite.sqlite_errors import is_busy


class CommitDetector:
    """
    A connection of its own that only reads, and holds no lock between two calls. Close it before the writer.

    For such a connection `PRAGMA data_version` changes with each commit of another one, and with nothing else but a WAL that
    is begun again (https://sqlite.org/pragma.html#pragma_data_version).
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._version: int | None = None

    @property
    def reader(self) -> sqlite3.Connection | None:
        """The connection, if it is open. Another use of it must only read, and leave no transaction open."""
        return self._connection

    def mark(self) -> None:
        """Remember the present state. Call it while the writer holds the write lock and has committed nothing yet."""
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(uri(self._path, "mode=ro"), timeout=SLICE, uri=True, isolation_level=None)
            self._version = self._data_version(self._connection)
        except sqlite3.Error:
            self._version = None  # then `saw_commit` does not exclude one

    def saw_commit(self, *, lock_timeout: float) -> bool:
        """Return whether something may have been committed since `mark`; False is certain."""
        deadline = time.monotonic() + lock_timeout
        while self._connection is not None and self._version is not None:
            try:
                return self._data_version(self._connection) != self._version
            except sqlite3.Error as error:
                if not is_busy(error) or time.monotonic() >= deadline:
                    break
        return True

    @staticmethod
    def _data_version(connection: sqlite3.Connection) -> int:
        return int(connection.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
