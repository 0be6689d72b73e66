"""
How a database file is named to SQLite, and the quick look at one that the start of an application can afford.

No module of this room opens, copies or renames a database file but through SQLite: on POSIX, closing any descriptor of it
drops every lock this process holds on it (https://sqlite.org/howtocorrupt.html, section 2.2). Kept free of imports.
"""

from __future__ import annotations

import os
import sqlite3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

SLICE = 0.1
"""Seconds that one attempt to get a lock takes: Ctrl-C and `should_stop` are noticed in between."""


def uri(path: str, parameters: str) -> str:
    """Return the URI of an absolute path (https://sqlite.org/uri.html, section 3.1), whatever characters it holds."""
    if os.sep == "\\":
        path = ("/" if path[1:2] == ":" else "") + path.replace("\\", "/")
    if path.startswith("//"):
        path = "//" + path  # or SQLite takes its first folder for the name of a host
    return f"file:{path.replace('%', '%25').replace('?', '%3f').replace('#', '%23')}?{parameters}"


def glance(path: str, sql: str) -> tuple[list[str], list[tuple[object, ...]]] | None:
    """
    Return the column names and rows of one SELECT on an existing file, at the price of a connect and that SELECT.

    None if anything prevents it: `reader.read` can wait, and explain why.
    """

    def select(connection: sqlite3.Connection) -> tuple[list[str], list[tuple[object, ...]]]:
        cursor = connection.execute(sql)
        return [column[0] for column in cursor.description], cursor.fetchall()

    return look_at_once(path, select)


def look_at_once(path: str, look: Callable[[sqlite3.Connection], T]) -> T | None:
    """Return what `look` says of an existing file that this user may change; None if SQLite is prevented by anything."""
    # A pipe would block; a journal may have to be rolled back, which is reported elsewhere.
    if not os.path.isfile(path) or os.path.exists(path + "-journal"):
        return None
    if not os.access(path, os.W_OK):
        return None  # SQLite would open it for reading, and for a WAL leave two files that it may not remove again
    try:
        connection = sqlite3.connect(uri(path, "mode=rw"), timeout=0.0, uri=True, isolation_level=None)
    except sqlite3.Error:
        return None
    try:
        return look(connection)
    except sqlite3.Error:
        return None
    finally:
        connection.close()
