"""Names in SQL: how one is quoted, and the table that a migration must not touch."""

from __future__ import annotations

TRACKING_TABLE = "schema_migrations"


def quoted(name: str) -> str:
    """Return an identifier as SQL, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def text_literal(value: str) -> str:
    """Return a text as SQL, whatever it holds."""
    return "'" + value.replace("'", "''") + "'"
