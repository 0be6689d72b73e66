"""Names in SQL: how they compare and how they are quoted, and the table that a migration must not touch."""

from __future__ import annotations

TRACKING_TABLE = "schema_migrations"
_FOLD = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def fold(name: str) -> str:
    """Return a name as SQLite compares it: only ASCII letters have a case."""
    return name.lower() if name.isascii() else name.translate(_FOLD)


def quoted(name: str) -> str:
    """Return an identifier as SQL, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def text_literal(value: str) -> str:
    """Return a text as SQL, whatever it holds."""
    return "'" + value.replace("'", "''") + "'"
