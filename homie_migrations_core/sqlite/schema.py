"""
Reading the schema of a database as a value: everything that somebody made in it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import cast

from homie_migrations_core.sqlite.guard import runner_execute
from homie_migrations_core.sqlite.names import TRACKING_TABLE, fold
from homie_migrations_core.sqlite.schema_objects import ObjectKind, SchemaObject, with_names_resolved
from homie_migrations_core.sqlite.sql_tokens import tokenize
from homie_migrations_core.sqlite.tracking import Tracking, read_tracking

_IGNORED = ("sqlite_", "_litestream_")
_SHADOWS = {
    "fts3": ("content", "segments", "segdir", "docsize", "stat"),
    "fts4": ("content", "segments", "segdir", "docsize", "stat"),
    "fts5": ("data", "idx", "content", "docsize", "config"),
    "rtree": ("node", "parent", "rowid"),
    "rtree_i32": ("node", "parent", "rowid"),
    "geopoly": ("node", "parent", "rowid"),
}
"""The shadow tables of SQLite's own modules, for where `PRAGMA table_list` can't tell: before 3.37, or without the module."""


def read_schema(connection: sqlite3.Connection) -> dict[tuple[str, str], SchemaObject]:
    """
    Return everything that somebody made in the main database, by kind and name.

    What SQLite, this library and virtual tables make for themselves is left out.
    """
    rows = _rows(connection, "SELECT type, name, tbl_name, sql FROM main.sqlite_master WHERE sql IS NOT NULL ORDER BY type, name")
    written: list[tuple[tuple[str, str], SchemaObject]] = []
    modules: dict[str, str] = {}
    for kind, name, table, sql in rows:
        own, on = fold(name), fold(table)
        if own.startswith(_IGNORED) or on.startswith(_IGNORED) or TRACKING_TABLE in (own, on):
            continue
        written.append(((kind, own), SchemaObject(cast("ObjectKind", kind), name, table, sql)))
        if kind == "table" and (module := _module_of(sql)):
            modules[own] = module
    if modules:
        shadows = _shadow_tables(connection, modules)
        written = [(key, each) for key, each in written if fold(each.table) not in shadows]
    # Only "quoted" words can be unclear, and that a text holds none is seen without taking it apart.
    if any(tokenize(each.sql).unclear for _, each in written if each.kind != "table" and '"' in each.sql):
        resolved = with_names_resolved([each for _, each in written])
        written = [(key, each) for (key, _), each in zip(written, resolved, strict=True)]
    return dict(written)


def read_records_and_schema(connection: sqlite3.Connection) -> tuple[Tracking, dict[tuple[str, str], SchemaObject]]:
    """Read the tracking table and the schema as they are at one moment."""
    connection.execute("BEGIN")
    try:
        return read_tracking(connection), read_schema(connection)
    finally:
        connection.execute("ROLLBACK")


def _rows(connection: sqlite3.Connection, sql: str) -> list[tuple[str, str, str, str]]:
    execute = runner_execute(connection)
    cursor = execute(sql)
    cursor.row_factory = None
    return cursor.fetchall()


def _module_of(sql: str) -> str | None:
    if sql[:14].upper() != "CREATE VIRTUAL":  # SQLite writes that itself
        return None
    tokens = tokenize(sql).tokens
    return tokens[tokens.index("using") + 1] if tokens[1:2] == ("virtual",) and "using" in tokens else None


def _shadow_tables(connection: sqlite3.Connection, modules: Mapping[str, str]) -> set[str]:
    known = {f"{name}_{suffix}" for name, module in modules.items() for suffix in _SHADOWS.get(module, ())}
    try:
        listed = {fold(row[1]) for row in _rows(connection, "PRAGMA main.table_list") if row[2] == "shadow"}
    except sqlite3.Error:
        return known
    return known | {table for table in listed if any(table.startswith(f"{name}_") for name in modules)}
