"""
Examining a snapshot and the database that it is to replace: whether it is sound, what it records, how many rows both hold.

That takes several passes over both files, so threads of their own make them while other work goes on.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Generic, NamedTuple, Self, TypeVar

from homie_migrations_core.errors import DatabaseInterrupted, DatabaseUnusable, LockTimeout, SnapshotUnusable
from homie_migrations_core.sqlite.copying import find_damage
from homie_migrations_core.sqlite.database import SLICE
from homie_migrations_core.sqlite.reader import read
from homie_migrations_core.sqlite.rows import count_rows, tables_of
from homie_migrations_core.sqlite.tracking import ForeignTable, Tracking, read_tracking
from homie_migrations_core.stopping import Stopped, StopRequest

T = TypeVar("T")


class Examined(NamedTuple):
    """What was found."""

    tracking: Tracking | None
    """What the snapshot records; None if its table belongs to another tool."""
    rows: dict[str, int]
    """The number of rows of each table of the snapshot."""
    rows_now: dict[str, int]
    """The same for the database. Nothing for one that is not there or can't be read."""


class Examination:
    """
    The examination of one snapshot, which begins with the `with` block and ends with it at the latest.

    If the block fails and the snapshot is unusable, the latter is what the block raises: it is probably the cause.
    """

    def __init__(self, snapshot: str, database: str, *, lock_timeout: float, stop: StopRequest) -> None:
        self._snapshot, self._database, self._lock_timeout, self._stop = snapshot, database, lock_timeout, stop
        self._ending, self._counted_enough = threading.Event(), threading.Event()
        self._connections: set[sqlite3.Connection] = set()
        self._counting: sqlite3.Connection | None = None
        self._of_snapshot = _Job(self._examine)
        self._of_database = _Job(self._count)

    def __enter__(self) -> Self:
        """
        Begin, once it is clear that there is a database in the snapshot's file.

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
        if not self._read_snapshot(_holds_something):
            raise SnapshotUnusable(self._snapshot, "it holds nothing")
        self._of_snapshot.start()
        return self

    def begin_counting(self) -> None:
        """Begin to count the rows of the database, whose state must be the one that is meant."""
        self._of_database.start()

    def end_counting(self) -> None:
        """
        Wait until the database is closed again, whatever was counted.

        If the connection that writes to it were closed before, what SQLite made beside the file would stay there.
        """
        self._counted_enough.set()
        while self._of_database.runs():
            if (connection := self._counting) is not None:
                _interrupt(connection)
            self._of_database.join(SLICE / 10)

    def result(self) -> Examined:
        """
        Wait for the end of the examination and the counting, and return what was found. Nothing is read after that.

        Raises:
            SnapshotUnusable: The snapshot is not a sound database.
            LockTimeout: The database was busy for too long.
            Stopped: A stop was asked for.
        """
        tracking, rows = self._of_snapshot.wait(self._stop)
        return Examined(tracking, rows, self._of_database.wait(self._stop))

    def require_sound(self) -> None:
        """
        Wait until the snapshot is examined.

        Raises:
            SnapshotUnusable: It is not a sound database.
            Stopped: A stop was asked for.
        """
        self._of_snapshot.wait(self._stop)

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: TracebackType | None) -> None:
        try:
            if isinstance(error, Exception) and not isinstance(error, SnapshotUnusable):
                self.require_sound()
        except SnapshotUnusable as unusable:
            raise unusable from error
        finally:
            self.end_counting()
            self._ending.set()
            while self._of_snapshot.runs():
                for connection in list(self._connections):
                    _interrupt(connection)
                self._of_snapshot.join(SLICE / 10)

    # --- in the threads -------------------------------------------------------------------------------

    def _examine(self) -> tuple[Tracking | None, dict[str, int]]:
        def look(connection: sqlite3.Connection) -> tuple[Tracking | None, dict[str, int]]:
            self._connections.add(connection)
            try:
                if damage := find_damage(connection):
                    raise SnapshotUnusable(self._snapshot, f"it is damaged ({damage[:200]})")
                try:
                    tracking = read_tracking(connection)
                except ForeignTable:  # what it means is the other tool's business
                    tracking = None
                return tracking, _rows_of(connection, self._ending)
            finally:
                self._connections.discard(connection)

        return self._read_snapshot(look)

    def _count(self) -> dict[str, int]:
        if not os.path.exists(self._database):
            return {}

        def look(connection: sqlite3.Connection) -> dict[str, int]:
            self._counting = connection
            try:
                return _rows_of(connection, self._counted_enough)
            finally:
                self._counting = None

        stop = StopRequest(self._counted_enough.is_set)
        try:
            return read(self._database, look, lock_timeout=self._lock_timeout, stop=stop)
        except (DatabaseUnusable, DatabaseInterrupted):  # a damaged database is what a snapshot is restored for
            return {}

    def _read_snapshot(self, look: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return read(self._snapshot, look, lock_timeout=0.0)
        except (DatabaseUnusable, LockTimeout) as error:
            raise SnapshotUnusable(self._snapshot, getattr(error, "found", "another program writes to it")) from error
        except DatabaseInterrupted as error:
            raise SnapshotUnusable(self._snapshot, "a process that changed it was killed and left a journal") from error


class _Job(Generic[T]):
    """A function that runs in a thread of its own."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._results: list[T] = []
        self._error: BaseException | None = None

    def start(self) -> None:
        try:
            self._thread.start()
        except RuntimeError:  # the system has no thread left
            self._run()

    def _run(self) -> None:
        try:
            self._results.append(self._function())
        except BaseException as error:  # `wait` raises it
            self._error = error

    def runs(self) -> bool:
        return self._thread.is_alive()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def wait(self, stop: StopRequest) -> T:
        """Return the result of the function, or raise what it raised, or `Stopped` if that is asked for before its end."""
        while self._thread.is_alive():
            self._thread.join(SLICE)
            if stop.asked():
                raise Stopped
        if self._error is not None:
            raise self._error
        return self._results[0]


def _interrupt(connection: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.ProgrammingError):  # its thread has closed it meanwhile
        connection.interrupt()


def _rows_of(connection: sqlite3.Connection, ending: threading.Event) -> dict[str, int]:
    return count_rows(connection, tables_of(connection), StopRequest(ending.is_set))


def _holds_something(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None
