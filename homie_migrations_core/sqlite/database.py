"""
The only `sqlite3.connect`: for reading, for change; locks, pragmas, what an error means.

Never opens, copies or renames the database file by any other means: on POSIX, closing any descriptor of it
drops every lock this process holds on it (https://sqlite.org/howtocorrupt.html, section 2.2).
"""

from __future__ import annotations

import os
import sqlite3
import time

from homie_migrations_core.errors import (
    DatabaseDamaged,
    DatabaseInterrupted,
    DatabaseNotReachable,
    DatabaseNotWritable,
    DatabaseUnusable,
    HomieMigrationsError,
    LockTimeout,
    NewerSQLiteNeeded,
    NotADatabase,
)
from homie_migrations_core.stopping import Stopped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from homie_migrations_core.sqlite.guard import GuardedConnection
    from homie_migrations_core.stopping import StopRequest

    T = TypeVar("T")

SLICE = 0.1
"""Seconds that one attempt to get a lock takes: Ctrl-C and `should_stop` are noticed in between."""
_SETTLED_NS = 50_000_000
"""How old the last change of a file must be for its time stamp to show the next one, on every file system."""


def uri(path: str, parameters: str) -> str:
    """The URI of an absolute path (https://sqlite.org/uri.html, section 3.1), whatever signs it holds."""
    if os.sep == "\\":
        path = ("/" if path[1:2] == ":" else "") + path.replace("\\", "/")
    if path.startswith("//"):
        path = "//" + path  # or SQLite takes its first folder for the name of a host
    return f"file:{path.replace('%', '%25').replace('?', '%3f').replace('#', '%23')}?{parameters}"


def is_busy(error: BaseException) -> bool:
    """Whether another connection was in the way, so that trying again makes sense."""
    return isinstance(error, sqlite3.Error) and (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF in (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_PROTOCOL,
    )


def is_database_error(error: BaseException) -> bool:
    """Whether SQLite itself raised it."""
    return isinstance(error, sqlite3.Error)


# --- reading ------------------------------------------------------------------------------------------


def glance(path: str, sql: str) -> tuple[list[str], list[tuple[object, ...]]] | None:
    """
    The column names and rows of one SELECT on an existing file, at the price of a connect and that SELECT.

    None where anything stands in the way: the callers then take the long road, which can wait and explain.
    """
    # A pipe would keep SQLite waiting for ever; a journal may be one that has to be rolled back, and that is told.
    if not os.path.isfile(path) or os.path.exists(path + "-journal"):
        return None
    if not os.access(path, os.W_OK):
        return None  # SQLite would open it for reading, and for a WAL leave two files that it may not remove again
    try:
        connection = sqlite3.connect(uri(path, "mode=rw"), timeout=0.0, uri=True, isolation_level=None)
    except sqlite3.Error:
        return None
    try:
        cursor = connection.execute(sql)
        return [column[0] for column in cursor.description], cursor.fetchall()
    except sqlite3.Error:
        return None
    finally:
        connection.close()


def read(path: str, look: Callable[[sqlite3.Connection], T], *, lock_timeout: float, stop: StopRequest | None = None) -> T:
    """
    What `look` says about the file, which stays as it is: no byte is changed and no file made.

    `look` may be called again, after a busy moment or when the file changed under it.

    Raises:
        LockTimeout: It was busy for longer than `lock_timeout` seconds.
        Stopped: `stop` asked for it while it waited.
        DatabaseInterrupted: A killed process left a journal that a reader must not roll back.
        DatabaseUnusable: The file can't be read as a database; its classes say why.
    """
    deadline, told = time.monotonic() + lock_timeout, False
    while True:
        if stop is not None and stop.asked():
            raise Stopped
        try:
            before = _quiet_state(path)
            at_rest = before is not None and is_in_wal_mode(path)
            connection = sqlite3.connect(
                uri(path, "immutable=1" if at_rest else "mode=ro"),
                timeout=SLICE,
                uri=True,
                isolation_level=None,
                check_same_thread=False,  # `look` may work in a thread, to stay awake for a signal
            )
            try:
                found = look(connection)
            finally:
                connection.close()
            if not at_rest or _quiet_state(path) == before:
                return found
            time.sleep(SLICE / 10)
        except sqlite3.Error as error:
            if not is_busy(error):
                raise explained(error, path) from error
            if time.monotonic() >= deadline:
                advice = "A migration or another writer is at work there; try again later."
                raise LockTimeout(path, lock_timeout, "reading", advice, _holders(path)) from error
            if not told:
                told = True
                tell_waiting(path)


def _quiet_state(path: str) -> tuple[int, ...] | None:
    """What identifies a file that nobody has open for writing; None if somebody may have."""
    try:
        if os.path.exists(path + "-wal") or (os.path.exists(path + "-journal") and os.path.getsize(path + "-journal")):
            return None
        stat = os.stat(path)
    except OSError:
        return None
    if time.time_ns() - stat.st_mtime_ns < _SETTLED_NS:
        time.sleep(_SETTLED_NS / 1e9)
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def is_in_wal_mode(path: str) -> bool:
    """
    Whether the file, which is at rest, is in WAL mode. A plain read-only connection to it would leave two files beside it.

    Without locks there is no WAL, so SQLite refuses exactly these files (https://sqlite.org/uri.html, `nolock`).
    """
    connection = sqlite3.connect(uri(path, "mode=ro&nolock=1"), timeout=SLICE, uri=True, isolation_level=None)
    try:
        connection.execute("PRAGMA schema_version")
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_CANTOPEN and os.access(path, os.R_OK):
            return True
        raise
    finally:
        connection.close()
    return False


# --- changing -----------------------------------------------------------------------------------------


class Writer:
    """
    One database file, open for change, for one run. Use it from one thread, and close it.

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
        self._put_back_delete = self._changed = False

    @property
    def connection(self) -> GuardedConnection:
        """The connection that holds the transaction."""
        assert self._connection is not None
        return self._connection

    def begin(self) -> bool:
        """
        Take the write lock. True if the file may differ from what this writer last saw or wrote.

        Raises:
            LockTimeout: Others kept the lock for longer than `lock_timeout` seconds.
            DatabaseUnusable: The file can't be opened or written.
        """
        self._changed = False
        self._patiently(
            self._open_and_begin, "waiting for the write lock on", "Close the program that writes to it, or wait longer."
        )
        return self._changed

    def _open_and_begin(self) -> None:
        if self._connection is None:
            if os.path.exists(self.path) and not os.access(self.path, os.W_OK):
                raise _not_writable(self.path, "this user has no right to")  # before a snapshot of it is taken in vain
            self._version = None
            self._connection = self._open()
        speak = self._connection.speak
        if self._version is None:
            speak("PRAGMA foreign_keys=OFF")  # before BEGIN, or it does nothing: a rebuild must not cascade
            if self._scratch:
                speak("PRAGMA synchronous=OFF")
            else:
                speak("PRAGMA synchronous=EXTRA")
                speak("PRAGMA fullfsync=ON")
        speak("BEGIN IMMEDIATE")
        version = speak("PRAGMA data_version").fetchone()[0]
        self._changed, self._version = version != self._version, version
        if speak("PRAGMA journal_mode").fetchone()[0] == "delete":
            speak(f"PRAGMA journal_mode={'PERSIST' if self._scratch else 'TRUNCATE'}")  # only for this connection
            self._put_back_delete = not self._scratch

    def _open(self) -> GuardedConnection:
        from homie_migrations_core.sqlite.guard import GuardedConnection

        return sqlite3.connect(
            uri(self.path, "mode=rwc" if self._create else "mode=rw"),
            timeout=SLICE,
            uri=True,
            isolation_level=None,
            cached_statements=0,
            factory=GuardedConnection,
        )

    def _patiently(self, attempt: Callable[[], None], doing: str, advice: str) -> None:
        deadline, told = time.monotonic() + self._lock_timeout, False
        while True:
            if self._stop.asked():
                raise Stopped
            try:
                return attempt()
            except sqlite3.Error as error:
                if not is_busy(error):
                    raise explained(error, self.path) from error
                if time.monotonic() >= deadline:
                    raise LockTimeout(self.path, self._lock_timeout, doing, advice, _holders(self.path)) from error
            if not told:
                told = True
                self._waiting()

    def commit(self) -> None:
        """
        Make the transaction durable.

        Raises:
            LockTimeout: Readers kept it from committing for longer than `lock_timeout`; it is rolled back.
            CommitFailed: It is not known from here whether it took effect.
        """
        deadline, told = time.monotonic() + self._lock_timeout, False
        while True:
            try:
                self.connection.speak("COMMIT")
                break
            except sqlite3.Error as error:
                if not (is_busy(error) and self.connection.in_transaction):
                    raise CommitFailed(str(error)) from error
                if self._stop.asked():
                    raise Stopped from error
                if time.monotonic() >= deadline:
                    readers = _holders(self.path, reading=True)
                    self.rollback()
                    advice = "A reader has not finished its SELECT; nothing was kept."
                    raise LockTimeout(self.path, self._lock_timeout, "committing to", advice, readers) from error
                if not told:
                    told = True
                    tell_waiting(self.path, readers=True)
        if self.connection.in_transaction:
            raise CommitFailed("SQLite reported success, but the transaction is still open")

    def rollback(self) -> None:
        """Undo the transaction, if there still is one."""
        if self._connection is not None:
            self._connection.abandon()
            if self._connection.in_transaction:
                self._connection.speak("ROLLBACK")

    def renew(self) -> None:
        """Go on with a fresh connection, so that nothing a step left on this one reaches the next."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Let go of the file. What was not committed is undone."""
        try:
            if self._connection is None and self._put_back_delete:  # it was given up, and so was its journal
                self._connection = self._open()
                self._connection.speak("PRAGMA journal_mode=TRUNCATE")
            if self._connection is not None:
                self.rollback()
                if self._put_back_delete:
                    self._connection.speak("PRAGMA journal_mode=DELETE")  # removes the empty journal
        except sqlite3.Error:
            pass  # somebody else is at work; an empty journal means nothing to SQLite, and its next writer removes it
        finally:
            self.renew()


class CommitFailed(Exception):
    """COMMIT raised; whether it took effect must be read from the file."""


def tell_waiting(path: str, *, readers: bool = False) -> None:
    """Whoever listens hears that another process is waited for, and which, as far as the system tells."""
    import logging

    from homie_migrations_core.progress import tell_phase

    found = [*_holders(path), *(_holders(path, reading=True) if readers else [])]
    holders = " and ".join(dict.fromkeys(found)) or "another process"
    logging.getLogger("homie_migrations").info("Waiting for %s, which %s %s.", holders, "uses" if readers else "writes to", path)
    tell_phase(f"waiting for {holders}")


def _holders(path: str, *, reading: bool = False) -> list[str]:
    from homie_migrations_core.sqlite.holders import who_holds  # only a wait needs it

    return who_holds(path, reading=reading)


# --- what an error means --------------------------------------------------------------------------------


def explained(error: sqlite3.Error, path: str) -> HomieMigrationsError:
    """What the user needs to know about an error that the file, not a migration, is the cause of."""
    code = getattr(error, "sqlite_errorcode", 0) or 0
    primary, text = code & 0xFF, str(error)
    if code == sqlite3.SQLITE_READONLY_ROLLBACK:
        return DatabaseInterrupted(path)
    if primary == sqlite3.SQLITE_NOTADB:
        return NotADatabase(path)
    if "unsupported file format" in text or text.startswith("malformed database schema"):
        return NewerSQLiteNeeded(path, text, sqlite3.sqlite_version)
    if primary == sqlite3.SQLITE_CORRUPT:
        return DatabaseDamaged(path, text)
    if primary == sqlite3.SQLITE_CANTOPEN:
        return not_reachable(path)
    folder = os.path.dirname(path)
    if code == sqlite3.SQLITE_READONLY and os.access(path, os.W_OK) and os.access(folder, os.W_OK):
        return NewerSQLiteNeeded(path, "SQLite may only read files of its format", sqlite3.sqlite_version)
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return _not_writable(path, text)
    if primary == sqlite3.SQLITE_FULL:
        return DatabaseUnusable(path, "the disk is full", "Make room and run it again; nothing was changed.")
    return DatabaseUnusable(path, f"SQLite can't use it ({text})", "The file was left as it is.")


def is_missing(path: str) -> bool:
    """
    Whether there is no file of that name. A link that leads nowhere is none.

    Raises:
        DatabaseNotReachable: That can't be known.
    """
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError as error:
        raise not_reachable(path) from error
    return False


def not_reachable(path: str) -> DatabaseUnusable:
    """Why a file can't be opened, found by asking the file system, never by opening it."""
    folder = os.path.dirname(path)
    if os.path.isdir(path):
        return DatabaseNotReachable(path, "it is a folder", "Name the database file itself.")
    if os.path.lexists(folder) and not os.path.isdir(folder):
        return DatabaseNotReachable(path, f"{folder} is not a folder", "Check the path.")
    if not os.path.isdir(folder):
        return DatabaseNotReachable(path, f"there is no folder {folder}", "Check the path, or make that folder first.")
    if os.path.islink(path) and not os.path.exists(path):
        return DatabaseNotReachable(path, "it is a link that leads nowhere", "Check where it points to.")
    if os.path.exists(path) and not os.access(path, os.R_OK):
        return DatabaseNotReachable(path, "this user may not read it", "Run as its owner, or change its permissions.")
    if not os.access(folder, os.X_OK):
        return DatabaseNotReachable(path, f"this user may not enter {folder}", "Run as its owner, or change its permissions.")
    if not os.access(folder, os.W_OK):
        return DatabaseNotReachable(
            path, f"this user may not create files in {folder}, which SQLite needs", "Change that folder's permissions."
        )
    return DatabaseNotReachable(path, "it can't be opened", "Check the path and its permissions.")


def _not_writable(path: str, text: str) -> DatabaseUnusable:
    folder = os.path.dirname(path)
    if os.access(path, os.W_OK) and not os.access(folder, os.W_OK):
        return DatabaseNotWritable(
            path, f"SQLite must create files beside it, and {folder} is not writable", "Change that folder's permissions."
        )
    return DatabaseNotWritable(path, f"it can't be written ({text})", "Run as its owner, or change its permissions.")
