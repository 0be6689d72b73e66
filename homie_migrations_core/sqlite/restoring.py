"""
Restoring a snapshot into a database that others may have open.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from homie_migrations_core.errors import (
    CommitUnconfirmed,
    DatabaseDamaged,
    DatabaseInterrupted,
    DatabaseReplaced,
    DatabaseUnusable,
    HomieMigrationsError,
    LockTimeout,
    NotADatabase,
    RehearsalFailed,
    SnapshotUnusable,
)
from homie_migrations_core.progress import RESTORING, tell_phase
from homie_migrations_core.sqlite.copying import PAGES_A_STEP, open_at_rest
from homie_migrations_core.sqlite.database import SLICE, uri
from homie_migrations_core.sqlite.file_system import file_identity, not_reachable
from homie_migrations_core.sqlite.holders import who_holds
from homie_migrations_core.sqlite.reader import is_in_wal_mode, read
from homie_migrations_core.sqlite.scratch import scratch_copy
from homie_migrations_core.sqlite.sqlite_errors import error_from_sqlite, is_busy
from homie_migrations_core.stopping import Stopped, StopRequest

_log = logging.getLogger("homie_migrations")

_CACHE_KB = 32_000
"""
How much of the new state is kept in memory. Each time that this is full, SQLite waits until the journal is on disk before it
overwrites pages: 16 times as often with the 2 MB that it takes by default.
"""


class Restorer:
    """
    Restores one snapshot into a database that others may have open.

    The snapshot is copied into the live file by one transaction of SQLite's backup call: others see the old state or
    the new one, and a kill leaves the old one (https://sqlite.org/backup.html). The file is never replaced.
    """

    def __init__(self, path: str, snapshot: str, *, lock_timeout: float, stop: StopRequest, waiting: Callable[[], None]) -> None:
        self._path, self._snapshot, self._stop, self._waiting = path, snapshot, stop, waiting
        self._lock_timeout = lock_timeout
        self._deadline, self._told = 0.0, False
        self._version_before: int | None = None
        self._expected: tuple[int, list[tuple[object, ...]]] = (0, [])
        self.done = False
        """Whether the database is the snapshot, whatever was raised after that."""

    def restore(self, secure: Callable[[], None]) -> None:
        """
        Make the database what the snapshot is. `secure` is called under the write lock, before the first change.

        Whether the snapshot is sound is for the caller to find out, in `secure` at the latest.

        Raises:
            SnapshotUnusable: The snapshot's pages do not fit into the database. Nothing was changed.
            LockTimeout: Others kept the file locked. Nothing was changed.
            DatabaseUnusable: The file can't be opened or written. Nothing was changed.
            Stopped: A stop was asked for. Nothing was changed, unless `done` says otherwise.
            CommitUnconfirmed: SQLite reported an error, and it can't be seen whether the snapshot is in the database.
            DatabaseReplaced: The file was replaced or removed meanwhile.
        """
        self._deadline = time.monotonic() + self._lock_timeout
        exists = os.path.exists(self._path)
        if not exists:
            try:
                os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # nobody's yet, so no lock is lost
            except OSError as error:
                raise not_reachable(self._path) from error
        file = file_identity(self._path)
        try:
            live = sqlite3.connect(uri(self._path, "mode=rw"), timeout=SLICE, uri=True, isolation_level=None)
        except sqlite3.Error as error:
            raise error_from_sqlite(error, self._path) from error
        try:
            self._restore_into(live, secure)
        except sqlite3.Error as error:
            live.close()
            if not self._took_effect(error):
                raise self._error_for(error) from error
            _log.warning(
                "%s was restored, and SQLite reported an error after that: %s", self._path, error, extra={"database": self._path}
            )
        finally:
            live.close()
        if file_identity(self._path) != file:
            raise DatabaseReplaced(self._path, None, "another program replaced or removed the file while it was restored")
        if not exists:
            os.chmod(self._path, os.stat(self._snapshot).st_mode & 0o7777)

    def _took_effect(self, error: sqlite3.Error) -> bool:
        """
        Look into the file: after an error, the copy may have been committed or not.

        SQLite's backup call counts the schema's version of its target up by one in the transaction that it commits.

        Raises:
            CommitUnconfirmed: It can't be seen.
        """
        if self._version_before is None:  # the copy had not begun
            return False
        try:
            version, pages, objects = read(self._path, _facts, lock_timeout=self._lock_timeout, stop=self._stop)
        except DatabaseInterrupted:  # its journal is there, so that the next opening for change undoes it
            return False
        except HomieMigrationsError as unreadable:
            raise CommitUnconfirmed(self._path, f"the snapshot {self._snapshot}", str(error)) from unreadable
        if version == self._version_before:
            return False
        if (pages, objects) != self._expected:
            raise CommitUnconfirmed(self._path, f"the snapshot {self._snapshot}", str(error)) from error
        self.done = True
        return True

    def _error_for(self, error: sqlite3.Error) -> HomieMigrationsError:
        advice = "Stop the programs that use it, move it away with its -wal and -journal files, and restore again."
        known = error_from_sqlite(error, self._path)
        if isinstance(known, NotADatabase):
            return NotADatabase(self._path, advice)
        if isinstance(known, DatabaseDamaged):
            return DatabaseDamaged(self._path, str(error), advice)
        return known

    def _restore_into(self, live: sqlite3.Connection, secure: Callable[[], None]) -> None:
        self._patiently(lambda: live.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall())
        in_wal = live.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        page_size = live.execute("PRAGMA page_size").fetchone()[0]
        live.execute("PRAGMA synchronous=EXTRA")
        live.execute("PRAGMA fullfsync=ON")
        live.execute(f"PRAGMA cache_size=-{_CACHE_KB}")
        if in_wal:
            live.execute("PRAGMA wal_autocheckpoint=0")  # a program that replicates the WAL wants to do that itself
        with contextlib.ExitStack() as around:
            source = self._source(around, in_wal=in_wal)  # first, or `secure` could take it away
            if not in_wal:
                self._patiently(lambda: live.execute("BEGIN IMMEDIATE"))
                # The lock then outlives the transaction under which `secure` looks: nobody writes in between. Not before
                # it is there, or a failed attempt would keep a lock that the writer waits for.
                live.execute("PRAGMA locking_mode=EXCLUSIVE")
                secure()
                self._patiently(lambda: live.execute("COMMIT"))
            elif source.execute("PRAGMA page_size").fetchone()[0] != page_size:
                raise SnapshotUnusable(
                    self._snapshot,
                    f"its pages are not of {page_size} bytes, and a database in WAL mode can't take others",
                )
            self._copy(source, live, secure if in_wal else None)
            if not in_wal and _facts(live)[1:] != self._expected:
                raise sqlite3.DatabaseError("the database differs from the snapshot that was restored")

    def _copy(self, source: sqlite3.Connection, live: sqlite3.Connection, secure: Callable[[], None] | None) -> None:
        """Copy all pages in one transaction. In WAL mode, `secure` is called as soon as that holds the write lock."""
        _, pages, objects = _facts(source)
        self._expected = pages, objects

        def look_up(status: int, remaining: int, total: int) -> None:
            nonlocal secure
            if status == sqlite3.SQLITE_DONE:
                self.done = True
            elif status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                self._be_patient()
                return
            elif status != sqlite3.SQLITE_OK:
                return  # Python raises it
            elif self._stop.asked():
                raise Stopped
            if secure is not None:  # the first pages hold the write lock, and nobody can see them yet
                now, secure = secure, None
                now()
            tell_phase(RESTORING, total - remaining, total)

        self._version_before = live.execute("PRAGMA schema_version").fetchone()[0]
        # In WAL the last step commits, so that the first must not be the last.
        a_step = min(PAGES_A_STEP, pages - 1) if secure is not None else PAGES_A_STEP
        source.backup(live, pages=a_step, progress=look_up, sleep=SLICE)
        self.done = True

    def _source(self, around: contextlib.ExitStack, *, in_wal: bool) -> sqlite3.Connection:
        """Return the snapshot to read from: itself, or a copy of it where its format would change that of the database."""
        with contextlib.closing(open_at_rest(Path(self._snapshot))) as source:
            small = in_wal and source.execute("PRAGMA page_count").fetchone()[0] < 2
        beside = any(os.path.exists(self._snapshot + ending) for ending in ("-wal", "-journal"))
        if not (small or beside or (is_in_wal_mode(self._snapshot) and not in_wal)):
            return around.enter_context(contextlib.closing(open_at_rest(Path(self._snapshot))))
        try:
            copy = around.enter_context(scratch_copy(self._snapshot, lock_timeout=self._lock_timeout, stop=self._stop))
        except RehearsalFailed as error:
            advice = "Make room, or give write access to the folder of the snapshot."
            raise DatabaseUnusable(self._path, f"a copy of the snapshot is needed first ({error.found})", advice) from error
        with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
            if small:
                connection.executescript("CREATE TABLE filler (a); DROP TABLE filler;")
        return around.enter_context(contextlib.closing(open_at_rest(Path(copy))))

    def _patiently(self, attempt: Callable[[], object]) -> None:
        while True:
            try:
                attempt()
            except sqlite3.Error as error:
                if not is_busy(error):
                    raise
                self._be_patient()
            else:
                return

    def _be_patient(self) -> None:
        """Give another program more time, unless it had enough."""
        if self._stop.asked():
            raise Stopped
        if time.monotonic() >= self._deadline:
            holders = list(dict.fromkeys([*who_holds(self._path), *who_holds(self._path, reading=True)]))
            advice = "Nothing was changed. Close the program that uses it, or wait longer."
            raise LockTimeout(self._path, self._lock_timeout, "waiting to restore a snapshot into", advice, holders)
        if not self._told:
            self._told = True
            self._waiting()


def _facts(connection: sqlite3.Connection) -> tuple[int, int, list[tuple[object, ...]]]:
    """Return the schema's version, the number of pages, and the schema."""
    version, pages = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("schema_version", "page_count"))
    return version, pages, connection.execute("SELECT * FROM sqlite_master").fetchall()
