"""
Reading a database file without changing a byte, making a file or taking a write lock, whatever state it is in.
"""

from __future__ import annotations

import os
import sqlite3
import time

from homie_migrations_core.sqlite.database import SLICE, uri
from homie_migrations_core.stopping import Stopped, StopRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

_SETTLED_NS = 50_000_000
"""How old the last change of a file must be for its time stamp to show the next one, on every file system."""


def read(path: str, look: Callable[[sqlite3.Connection], T], *, lock_timeout: float, stop: StopRequest | None = None) -> T:
    """
    Return what `look` says about the file, which stays as it is: no byte is changed and no file is made.

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
            if before is not None and at_rest:
                _let_settle(before)
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
            from homie_migrations_core.errors import LockTimeout
            from homie_migrations_core.sqlite.holders import tell_waiting, who_holds
            from homie_migrations_core.sqlite.sqlite_errors import error_from_sqlite, is_busy

            if not is_busy(error):
                raise error_from_sqlite(error, path) from error
            if time.monotonic() >= deadline:
                advice = "A migration or another program is writing to it: try again later."
                raise LockTimeout(path, lock_timeout, "reading", advice, who_holds(path)) from error
            if not told:
                told = True
                tell_waiting(path)


def _quiet_state(path: str) -> tuple[int, int, int] | None:
    """Return what identifies a file that no connection has open for writing; None if one may have."""
    try:
        if os.path.exists(path + "-wal") or (os.path.exists(path + "-journal") and os.path.getsize(path + "-journal")):
            return None
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _let_settle(state: tuple[int, int, int]) -> None:
    """Wait until the file's time stamp is old enough to show a change that comes after it."""
    age = time.time_ns() - state[2]
    if age < _SETTLED_NS:  # or less than nothing, if the clock was set back
        time.sleep((_SETTLED_NS - max(age, 0)) / 1e9)


def is_in_wal_mode(path: str) -> bool:
    """
    Return whether the file, which no connection writes to, is in WAL mode.

    A plain read-only connection to it would then leave two files beside it. Without locks there is no WAL, so SQLite
    refuses exactly these files (https://sqlite.org/uri.html, `nolock`).
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
