"""
Restoring a snapshot into a database that others may have open.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from homie_migrations_core.errors import (
    DatabaseDamaged,
    DatabaseInterrupted,
    DatabaseUnusable,
    LockTimeout,
    NotADatabase,
    RehearsalFailed,
    SnapshotUnusable,
)
from homie_migrations_core.progress import tell_phase
from homie_migrations_core.sqlite.copying import PAGES_A_STEP, find_damage, open_at_rest, side_by_side
from homie_migrations_core.sqlite.database import SLICE, uri
from homie_migrations_core.sqlite.file_system import not_reachable
from homie_migrations_core.sqlite.holders import who_holds
from homie_migrations_core.sqlite.reader import is_in_wal_mode, read
from homie_migrations_core.sqlite.scratch import scratch_copy
from homie_migrations_core.sqlite.sqlite_errors import explained, is_busy
from homie_migrations_core.stopping import Stopped, StopRequest


class Restoring:
    """
    Putting a snapshot back into a database that others may have open.

    The snapshot is copied into the live file by one transaction of SQLite's backup call: others see the old state or
    the new one, and a kill leaves the old one (https://sqlite.org/backup.html). The file is never replaced.
    """

    def __init__(self, path: str, snapshot: str, *, lock_timeout: float, stop: StopRequest, waiting: Callable[[], None]) -> None:
        self._path, self._snapshot, self._stop, self._waiting = path, snapshot, stop, waiting
        self._lock_timeout = lock_timeout
        self._deadline, self._told = 0.0, False
        self.done = False
        """Whether the database is the snapshot, whatever was raised after that."""

    def check(self) -> None:
        """
        The snapshot can be read, and is a sound database.

        Raises:
            SnapshotUnusable: It is not.
        """
        if not os.path.isfile(self._snapshot):
            raise SnapshotUnusable(self._snapshot, "there is no such file")
        if os.path.exists(self._path) and os.path.samefile(self._snapshot, self._path):
            raise SnapshotUnusable(self._snapshot, "it is the database itself")
        try:
            damage = read(self._snapshot, self._judge, lock_timeout=0.0)
        except (DatabaseUnusable, LockTimeout) as error:
            raise SnapshotUnusable(self._snapshot, getattr(error, "found", "somebody writes to it")) from error
        except DatabaseInterrupted as error:
            raise SnapshotUnusable(self._snapshot, "a process that changed it was interrupted and left a journal") from error
        if damage:
            raise SnapshotUnusable(self._snapshot, damage)

    def _judge(self, connection: sqlite3.Connection) -> str:
        if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None:
            return "it holds nothing"
        _, damage = side_by_side(self._stop, [lambda: None, lambda: find_damage(connection)], connection.interrupt)
        return f"it is damaged ({str(damage)[:200]})" if damage else ""

    def put_back(self, secure: Callable[[], None]) -> None:
        """
        The database is what the snapshot is. `secure` is called under the write lock, before the first change.

        Raises:
            SnapshotUnusable: The snapshot's pages do not fit into the database.
            LockTimeout: Others kept the file locked; nothing was changed.
            DatabaseUnusable: The file can't be opened or written; nothing was changed.
            Stopped: The stop was asked for; nothing was changed.
        """
        self._deadline = time.monotonic() + self._lock_timeout
        exists = os.path.exists(self._path)
        if not exists:
            try:
                os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # nobody's yet, so no lock is lost
            except OSError as error:
                raise not_reachable(self._path) from error
        try:
            live = sqlite3.connect(uri(self._path, "mode=rw"), timeout=SLICE, uri=True, isolation_level=None)
        except sqlite3.Error as error:
            raise explained(error, self._path) from error
        try:
            self._put_back_into(live, secure)
        except sqlite3.Error as error:
            known = explained(error, self._path)
            advice = "Stop what uses it, move it away with its -wal and -journal, and restore again: it is made anew."
            if isinstance(known, NotADatabase):
                raise NotADatabase(self._path, advice) from error
            if isinstance(known, DatabaseDamaged):
                raise DatabaseDamaged(self._path, str(error), advice) from error
            raise known from error
        finally:
            live.close()
        if not exists:
            os.chmod(self._path, os.stat(self._snapshot).st_mode & 0o7777)

    def _put_back_into(self, live: sqlite3.Connection, secure: Callable[[], None]) -> None:
        self._patiently(lambda: live.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall())
        in_wal = live.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        page_size = live.execute("PRAGMA page_size").fetchone()[0]
        live.execute("PRAGMA synchronous=EXTRA")
        live.execute("PRAGMA fullfsync=ON")
        if in_wal:
            live.execute("PRAGMA wal_autocheckpoint=0")  # whoever replicates the WAL wants to do that himself
        with contextlib.ExitStack() as around:
            source = self._source(around, in_wal=in_wal)  # first, or `secure` could take it away
            if not in_wal:
                self._patiently(lambda: live.execute("BEGIN IMMEDIATE"))
                # The lock then outlives the transaction under which `secure` looks: nobody writes in between. Not before
                # it is there, or a failed attempt would keep a lock that the writer waits for.
                live.execute("PRAGMA locking_mode=EXCLUSIVE")
                secure()
                self._patiently(lambda: live.execute("COMMIT"))
            pages = source.execute("PRAGMA page_count").fetchone()[0]
            if in_wal and source.execute("PRAGMA page_size").fetchone()[0] != page_size:
                raise SnapshotUnusable(
                    self._snapshot,
                    f"its pages are not of {page_size} bytes, and a database in WAL mode can't take others",
                )
            secured = not in_wal

            def look_up(status: int, remaining: int, total: int) -> None:
                nonlocal secured
                if status == sqlite3.SQLITE_DONE:
                    self.done = True
                elif status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                    self._be_patient()
                    return
                elif status != sqlite3.SQLITE_OK:
                    return  # Python raises it
                elif self._stop.asked():
                    raise Stopped
                if not secured:  # the first pages hold the write lock, and nobody can see them yet
                    secured = True
                    secure()
                tell_phase("putting the snapshot back", total - remaining, total)

            # In WAL the last step commits, so that the first must not be the last.
            source.backup(live, pages=min(PAGES_A_STEP, pages - 1) if in_wal else PAGES_A_STEP, progress=look_up, sleep=SLICE)
            self.done = True
            for question in () if in_wal else ("PRAGMA page_count", "SELECT * FROM sqlite_master"):
                if live.execute(question).fetchall() != source.execute(question).fetchall():
                    raise sqlite3.DatabaseError(f"the database differs from the snapshot that was put back: {question}")

    def _source(self, around: contextlib.ExitStack, *, in_wal: bool) -> sqlite3.Connection:
        """The snapshot to read from: itself, or a copy of it where its shape would change the database's own."""
        with contextlib.closing(open_at_rest(Path(self._snapshot))) as source:
            small = in_wal and source.execute("PRAGMA page_count").fetchone()[0] < 2
        beside = any(os.path.exists(self._snapshot + ending) for ending in ("-wal", "-journal"))
        if not (small or beside or is_in_wal_mode(self._snapshot)):
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
        """Somebody was in the way: once more, unless it has been too long."""
        if self._stop.asked():
            raise Stopped
        if time.monotonic() >= self._deadline:
            holders = list(dict.fromkeys([*who_holds(self._path), *who_holds(self._path, reading=True)]))
            advice = "Nothing was changed; close the program that uses it, or wait longer."
            raise LockTimeout(self._path, self._lock_timeout, "waiting to put a snapshot back into", advice, holders)
        if not self._told:
            self._told = True
            self._waiting()
