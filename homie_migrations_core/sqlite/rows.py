"""
How many rows the tables of a database hold. What they mean is up to others.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

from homie_migrations_core.sqlite.guard import runner_execute
from homie_migrations_core.sqlite.names import TRACKING_TABLE, quoted
from homie_migrations_core.stopping import Stopped, StopRequest

_OPS_BETWEEN_LOOKS = 10_000


def tables_of(connection: sqlite3.Connection) -> list[str]:
    """Return the tables that hold an application's rows: no shadow tables, and not the tracking table."""
    execute = runner_execute(connection)
    try:
        found = execute("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual')").fetchall()
    except sqlite3.OperationalError:  # a SQLite before 3.37
        found = execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall()
    names = sorted(str(name) for (name,) in found)
    return [name for name in names if not name.lower().startswith(("sqlite_", "_litestream_")) and name.lower() != TRACKING_TABLE]


def count_rows(connection: sqlite3.Connection, tables: Iterable[str], stop: StopRequest | None = None) -> dict[str, int]:
    """
    Return the number of rows of each table that can be read: a virtual one whose module only the application has can't be.

    Raises:
        Stopped: A stop was asked for.
    """
    if stop is not None:
        connection.set_progress_handler(lambda: 1 if stop.asked() else 0, _OPS_BETWEEN_LOOKS)
    execute = runner_execute(connection)
    counts = {}
    for table in tables:
        try:
            counts[table] = int(execute(f"SELECT count(*) FROM main.{quoted(table)}").fetchone()[0])
        except sqlite3.OperationalError as error:
            if stop is not None and stop.asked():
                raise Stopped from error
    return counts


def count_all_values(connection: sqlite3.Connection, columns: Mapping[str, Iterable[str]]) -> dict[tuple[str, str], int]:
    """Return, by table and column, how many rows hold a value other than NULL, for the columns that exist."""
    found = {}
    for table, names in columns.items():
        there = {str(row[1]).lower() for row in connection.execute(f"PRAGMA main.table_info({quoted(table)})")}
        counted = [name for name in names if name.lower() in there]
        if not counted:
            continue
        counts = ", ".join(f"count({quoted(name)})" for name in counted)
        row = connection.execute(f"SELECT {counts} FROM main.{quoted(table)}").fetchone()
        found.update({(table, name): count for name, count in zip(counted, row, strict=True)})
    return found
