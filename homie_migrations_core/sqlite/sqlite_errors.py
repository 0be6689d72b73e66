"""
What an error of SQLite means: whether to try again, whose fault it is, and which error of this library says so to a person.
"""

from __future__ import annotations

import os
import sqlite3

from homie_migrations_core.errors import (
    DatabaseDamaged,
    DatabaseInterrupted,
    DatabaseUnusable,
    HomieMigrationsError,
    NewerSQLiteNeeded,
    NotADatabase,
)
from homie_migrations_core.sqlite.file_system import not_reachable, not_writable

SQLiteError = sqlite3.Error
"""The root of what SQLite raises, for `except` clauses of the rooms that do not import sqlite3."""


def is_busy(error: BaseException) -> bool:
    """Return whether another connection was in the way, so that trying again makes sense."""
    return isinstance(error, sqlite3.Error) and (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF in (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_PROTOCOL,
    )


def is_database_error(error: BaseException) -> bool:
    """Return whether SQLite itself raised it."""
    return isinstance(error, sqlite3.Error)


def error_from_sqlite(error: sqlite3.Error, path: str) -> HomieMigrationsError:
    """Return the error that tells a person about `error`, which the file caused and not a migration."""
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
        return not_writable(path, text)
    if primary == sqlite3.SQLITE_FULL:
        return DatabaseUnusable(path, "the disk is full", "Make room, and run it again.")
    return DatabaseUnusable(
        path, f"SQLite can't use it ({text})", "Check the disk and the permissions of the file, and run it again."
    )
