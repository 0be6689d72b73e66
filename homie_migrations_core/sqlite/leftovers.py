"""
What a step leaves on its connection, and how it is taken away, so that none of it reaches the next step.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Callable, Collection, Iterable

from homie_migrations_core.sqlite.names import quoted

_ENOUGH_TO_SORT_OUT = 1_000  # references to cursors, before those that are gone are dropped


class OpenHandles:
    """The cursors and blobs that a step made and may have left open."""

    def __init__(self) -> None:
        # Plain references: a WeakSet runs Python code whenever a cursor is freed, where a stop that is raised would be lost.
        self._references: list[weakref.ref[sqlite3.Cursor | sqlite3.Blob]] = []
        self._enough = _ENOUGH_TO_SORT_OUT

    def add(self, each: sqlite3.Cursor | sqlite3.Blob) -> None:
        """Remember one, for as long as it lives."""
        self._references.append(weakref.ref(each))
        if len(self._references) >= self._enough:
            self._references = [reference for reference in self._references if reference() is not None]
            self._enough = max(_ENOUGH_TO_SORT_OUT, 2 * len(self._references))

    def close(self) -> None:
        """Close all: an unread RETURNING keeps COMMIT from working, an unread SELECT keeps its read lock."""
        if not self._references:
            return
        for each in [each for reference in self._references if (each := reference()) is not None]:
            sqlite3.Cursor.close(each) if isinstance(each, sqlite3.Cursor) else each.close()
        self._references.clear()


class Leftovers:
    """The functions, collations and limits that one step set on its connection."""

    __slots__ = ("beyond_undo", "limits", "undo")

    def __init__(self) -> None:
        self.limits: list[tuple[int, int]] = []
        """Each limit that was changed, with its value before."""
        self.undo: list[Callable[[], object]] = []
        """What takes away the functions and collations."""
        self.beyond_undo: list[str] = []
        """What can't be taken away: it replaced something of SQLite's own."""

    def __bool__(self) -> bool:
        return bool(self.undo or self.beyond_undo)

    def take_away(self, execute: Callable[[str], sqlite3.Cursor], pragmas: Collection[str]) -> list[str]:
        """Take away what can be, with what is temporary and the values of these pragmas, and name the rest."""
        for undo in reversed(self.undo):
            undo()
        if pragmas:
            _reset_pragmas(execute, pragmas)
        _drop_temporary(execute)
        return self.beyond_undo


def _reset_pragmas(execute: Callable[[str], sqlite3.Cursor], names: Iterable[str]) -> None:
    """Give the pragmas of a connection the values that a new connection has."""
    fresh = sqlite3.connect(":memory:")
    try:
        for name in names:
            default = fresh.execute(f"PRAGMA {name}").fetchone() if name != "case_sensitive_like" else None
            execute(f"PRAGMA {name}={default[0] if default else 0}")
    finally:
        fresh.close()


def _drop_temporary(execute: Callable[[str], sqlite3.Cursor]) -> None:
    """Drop every temporary table, view and trigger of a connection."""
    for kind, name in execute("SELECT type, name FROM sqlite_temp_master WHERE type IN ('table', 'view')").fetchall():
        if not name.lower().startswith("sqlite_"):
            execute(f"DROP {kind} IF EXISTS temp.{quoted(name)}")
    for (name,) in execute("SELECT name FROM sqlite_temp_master WHERE type = 'trigger'").fetchall():
        execute(f"DROP TRIGGER IF EXISTS temp.{quoted(name)}")
