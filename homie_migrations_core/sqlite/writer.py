"""
The connection for change: the write lock, the transaction, the commit, and the pragmas that make it durable.

What happens inside the transaction is the business of others.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable

from homie_migrations_core.errors import LockTimeout
from homie_migrations_core.sqlite.database import SLICE, uri
from homie_migrations_core.sqlite.file_system import FileIdentity, file_identity, not_writable
from homie_migrations_core.sqlite.guard import GuardedConnection
from homie_migrations_core.sqlite.holders import tell_waiting, who_holds
from homie_migrations_core.sqlite.sqlite_errors import error_from_sqlite, is_busy
from homie_migrations_core.stopping import Stopped, StopRequest


class Writer:
    """
    Holds one database file open for change, for one run. Use it from one thread, and close it.

    Commits are durable when `commit` returns: `synchronous` is EXTRA, and a rollback journal is truncated
    rather than deleted for the length of the run, so that a commit syncs the journal's end in place of its
    folder, which is the cheaper of the two (https://sqlite.org/pragma.html#pragma_synchronous). WAL stays WAL.
    With `scratch`, for a file that is thrown away, nothing is durable, and the journal stays at its greatest size.
    """

    def __init__(
        self,
        path: str,
        *,
        lock_timeout: float,
        stop: StopRequest,
        waiting: Callable[[], None],
        create: bool,
        scratch: bool = False,
    ) -> None:
        self.path, self._lock_timeout, self._stop, self._waiting, self._create = path, lock_timeout, stop, waiting, create
        self._scratch = scratch
        self._connection: GuardedConnection | None = None
        self._version: int | None = None
        self._file: FileIdentity | None = None
        self._put_back_delete = False

    @property
    def connection(self) -> GuardedConnection:
        """The connection that holds the transaction."""
        assert self._connection is not None
        return self._connection

    def begin(self) -> bool:
        """
        Take the write lock. Return True if the file may differ from what this writer last saw or wrote.

        Raises:
            LockTimeout: Others kept the lock for longer than `lock_timeout` seconds.
            DatabaseUnusable: The file can't be opened or written.
        """
        deadline, told = time.monotonic() + self._lock_timeout, False
        while True:
            if self._stop.asked():
                raise Stopped
            try:
                return self._open_and_begin()
            except sqlite3.Error as error:
                if not is_busy(error):
                    raise error_from_sqlite(error, self.path) from error
                if time.monotonic() >= deadline:
                    doing, advice = "waiting for the write lock on", "Close the program that writes to it, or wait longer."
                    raise LockTimeout(self.path, self._lock_timeout, doing, advice, who_holds(self.path)) from error
            if not told:
                told = True
                self._waiting()

    def _open_and_begin(self) -> bool:
        if self._connection is None:
            if os.path.exists(self.path) and not os.access(self.path, os.W_OK):
                raise not_writable(self.path, "this user has no right to")  # before a snapshot of it is taken in vain
            self._version = None
            self._file = self._file or file_identity(self.path)  # before it is opened: what is opened after it is this, or another
            self._connection = self._open()
        execute = self._connection.execute_unguarded
        if self._version is None:
            execute("PRAGMA foreign_keys=OFF")  # before BEGIN, or it does nothing: a rebuild must not cascade
            if self._scratch:
                execute("PRAGMA synchronous=OFF")
            else:
                execute("PRAGMA synchronous=EXTRA")
                execute("PRAGMA fullfsync=ON")
        execute("BEGIN IMMEDIATE")
        if self._file is None:  # a new file, which SQLite has made by now
            self._file = file_identity(self.path)
        version = execute("PRAGMA data_version").fetchone()[0]
        if version == self._version:
            return False
        # Whoever puts a file into WAL mode, or takes it out, changes the file.
        mode = execute("PRAGMA journal_mode").fetchone()[0]
        if mode == "delete":
            execute(f"PRAGMA journal_mode={'PERSIST' if self._scratch else 'TRUNCATE'}")  # only for this connection
        self._put_back_delete = not self._scratch and mode != "wal" and (self._put_back_delete or mode == "delete")
        self._version = version
        return True

    def _open(self) -> GuardedConnection:
        return sqlite3.connect(
            uri(self.path, "mode=rwc" if self._create else "mode=rw"),
            timeout=SLICE,
            uri=True,
            isolation_level=None,
            cached_statements=0,
            factory=GuardedConnection,
        )

    def commit(self) -> None:
        """
        Make the transaction durable.

        Raises:
            LockTimeout: Readers kept it from committing for longer than `lock_timeout`. It was rolled back.
            CommitFailed: SQLite reported an error. Whether the commit took effect must be read from the file.
        """
        deadline, told = time.monotonic() + self._lock_timeout, False
        while True:
            try:
                self.connection.execute_unguarded("COMMIT")
                break
            except sqlite3.Error as error:
                if not (is_busy(error) and self.connection.in_transaction):
                    raise CommitFailed(str(error)) from error
                if self._stop.asked():
                    raise Stopped from error
                if time.monotonic() >= deadline:
                    readers = who_holds(self.path, reading=True)
                    self.rollback()
                    advice = "A reader has not finished its SELECT: close it, and run this again."
                    raise LockTimeout(self.path, self._lock_timeout, "committing to", advice, readers) from error
                if not told:
                    told = True
                    tell_waiting(self.path, readers=True)
        if self.connection.in_transaction:
            raise CommitFailed("SQLite reported success, but the transaction is still open")

    def rollback(self) -> None:
        """Roll the transaction back, if there still is one."""
        if self._connection is not None:
            self._connection.abandon()
            if self._connection.in_transaction:
                self._connection.execute_unguarded("ROLLBACK")

    def is_replaced(self) -> bool:
        """
        Return whether `path` names no file any more, or another one than this writer opened first.

        What was committed then is in a file that no longer has that name.

        Raises:
            DatabaseNotReachable: It can't be known.
        """
        return self._file is not None and file_identity(self.path) != self._file

    def renew(self) -> None:
        """Close the connection, so that the next step gets a new one, without anything that this step left on it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Close the file. What was not committed is rolled back."""
        try:
            if self._connection is None and self._put_back_delete:  # it was closed, and its journal left empty
                self._connection = self._open()
                self._connection.execute_unguarded("PRAGMA journal_mode=TRUNCATE")
            if self._connection is not None:
                self.rollback()
                if self._put_back_delete:
                    self._connection.execute_unguarded("PRAGMA journal_mode=DELETE")  # removes the empty journal
        except sqlite3.Error:
            pass  # somebody else is at work; an empty journal means nothing to SQLite, and its next writer removes it
        finally:
            self.renew()


class CommitFailed(Exception):
    """COMMIT reported an error; whether it took effect must be read from the file."""
