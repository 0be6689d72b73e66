"""
Examining a snapshot that is to be restored: whether it is sound, what it records, and how many rows its tables hold.

That takes several passes over the file, so a thread of its own makes them while other work goes on.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

from homie_migrations_core.errors import DatabaseInterrupted, DatabaseUnusable, LockTimeout, SnapshotUnusable
from homie_migrations_core.sqlite.copying import find_damage
from homie_migrations_core.sqlite.database import SLICE
from homie_migrations_core.sqlite.reader import read
from homie_migrations_core.sqlite.rows import count_rows, tables_of
from homie_migrations_core.sqlite.tracking import ForeignTable, Tracking, read_tracking
from homie_migrations_core.stopping import Stopped, StopRequest

T = TypeVar("T")


class Contents(NamedTuple):
    """What a sound snapshot holds."""

    tracking: Tracking | None
    """None if the table belongs to another tool."""
    rows: dict[str, int]
    """The number of rows of each table."""


class Examination:
    """
    The examination of one snapshot, which begins with the `with` block and ends with it at the latest.

    If the block fails and the snapshot is unusable, the latter is what the block raises: it is probably the cause.
    """

    def __init__(self, snapshot: str, database: str, stop: StopRequest) -> None:
        self._snapshot, self._database, self._stop = snapshot, database, stop
        self._thread = threading.Thread(target=self._examine, daemon=True)
        self._connection: sqlite3.Connection | None = None
        self._cancelled = False
        self._found: Contents | None = None
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        """
        Begin, once it is clear that there is a database in the file.

        Raises:
            SnapshotUnusable: There is none.
            Stopped: A stop was asked for.
        """
        if self._stop.asked():
            raise Stopped
        if not os.path.isfile(self._snapshot):
            raise SnapshotUnusable(self._snapshot, "there is no such file")
        if os.path.exists(self._database) and os.path.samefile(self._snapshot, self._database):
            raise SnapshotUnusable(self._snapshot, "it is the database itself")
        if not self._read(_holds_something):
            raise SnapshotUnusable(self._snapshot, "it holds nothing")
        try:
            self._thread.start()
        except RuntimeError:  # the system has no thread left
            self._examine()
        return self

    def result(self) -> Contents:
        """
        Wait for the end of the examination, and return what was found.

        Raises:
            SnapshotUnusable: It is not a sound database.
            Stopped: A stop was asked for.
        """
        while self._thread.is_alive():
            self._thread.join(SLICE)
            if self._stop.asked():
                raise Stopped
        if self._error is not None:
            raise self._error
        assert self._found is not None
        return self._found

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: TracebackType | None) -> None:
        try:
            if isinstance(error, Exception) and error is not self._error:
                self.result()
        except SnapshotUnusable as unusable:
            raise unusable from error
        finally:
            self._cancelled = True
            while self._thread.is_alive():
                if (connection := self._connection) is not None:
                    connection.interrupt()
                self._thread.join(SLICE / 10)

    def _examine(self) -> None:
        try:
            self._found = self._read(self._look)
        except BaseException as error:  # raised again by `result`
            self._error = error

    def _read(self, look: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return read(self._snapshot, look, lock_timeout=0.0)
        except (DatabaseUnusable, LockTimeout) as error:
            raise SnapshotUnusable(self._snapshot, getattr(error, "found", "another program writes to it")) from error
        except DatabaseInterrupted as error:
            raise SnapshotUnusable(self._snapshot, "a process that changed it was killed and left a journal") from error

    def _look(self, connection: sqlite3.Connection) -> Contents:
        self._connection = connection
        try:
            if damage := find_damage(connection):
                raise SnapshotUnusable(self._snapshot, f"it is damaged ({damage[:200]})")
            try:
                tracking = read_tracking(connection)
            except ForeignTable:  # what it means is the other tool's business
                tracking = None
            return Contents(tracking, count_rows(connection, tables_of(connection), StopRequest(lambda: self._cancelled)))
        finally:
            self._connection = None


def _holds_something(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None
