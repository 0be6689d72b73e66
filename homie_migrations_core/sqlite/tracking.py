"""
The `schema_migrations` table: its SQL, and how an earlier shape of it is converted.

Knows which rows are there; never decides which should be. The only module that names the table's columns.
"""

from __future__ import annotations

import sqlite3

from homie_migrations_core.sqlite.names import TRACKING_TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from dataclasses import dataclass
    from typing import Any, Literal

    from homie_migrations_core.model import Migration, Record
    from homie_migrations_core.sqlite.guard import GuardedConnection

    Shape = Literal["none", "earlier", "current"]
else:
    from homie_migrations_core.values import dataclass

COLUMNS = ("version", "applied_at", "migration_name", "pack", "checksum", "duration_ms", "pack_version")
EARLIER_COLUMNS = COLUMNS[:3]
_SELECT = f"SELECT {', '.join(COLUMNS)}, {{number}} FROM main.{TRACKING_TABLE} ORDER BY pack, version"
_SELECT_EARLIER = f"SELECT {', '.join(EARLIER_COLUMNS)}, {{number}} FROM main.{TRACKING_TABLE} ORDER BY version"
_INSERT = f"INSERT INTO main.{TRACKING_TABLE} (version, migration_name, pack, checksum, pack_version) VALUES (?, ?, ?, ?, ?)"
_SET_DURATION = f"UPDATE main.{TRACKING_TABLE} SET duration_ms = ? WHERE pack = ? AND version = ? AND migration_name = ?"
_LONGEST_ROW = 200  # characters of a row that a message shows


class ForeignTable(Exception):
    """The table of that name belongs to another tool; the text says what was found."""


@dataclass(frozen=True, slots=True)
class Tracking:
    """
    What a database records: the `shape` of the table, and its rows.

    `holds_tables` says whether there is anything in the schema: False for an empty database.
    """

    shape: Shape
    records: tuple[Record, ...]
    holds_tables: bool


def create_sql(owner: str | None) -> str:
    """
    Return the SQL of the table, with `owner` as the pack of rows that are written without one.

    Without a clear owner such a row is refused by SQLite rather than given to the wrong pack.
    """
    default = f" DEFAULT '{owner}'" if owner else ""
    return f"""CREATE TABLE {TRACKING_TABLE} (
    version        INTEGER NOT NULL,
    applied_at     TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    migration_name TEXT NOT NULL,
    pack           TEXT NOT NULL{default},
    checksum       TEXT,
    duration_ms    INTEGER,
    pack_version   TEXT,
    PRIMARY KEY (pack, version)
)"""


def read_tracking(connection: sqlite3.Connection) -> Tracking:
    """
    Return the shape of the table and its rows; no table means no rows.

    Raises:
        ForeignTable: Another tool made the table.
        sqlite3.Error: The file can't be read.
    """
    if type(connection) is sqlite3.Connection:  # without a guard, which reading has no need of
        execute = connection.execute
    else:
        from homie_migrations_core.sqlite.guard import runner_execute

        execute = runner_execute(connection)
    # A trigger may share its name with a table.
    named = "SELECT type, sql FROM main.sqlite_master WHERE lower(name) = ? AND type <> 'trigger'"
    found = execute(named, (TRACKING_TABLE,)).fetchone()
    if found is None:
        return Tracking("none", (), execute("SELECT 1 FROM main.sqlite_master LIMIT 1").fetchone() is not None)
    kind, sql = found[0], str(found[1])
    if kind != "table" or sql.lstrip().upper().startswith("CREATE VIRTUAL"):
        raise ForeignTable(f"it is {'a virtual table' if kind == 'table' else 'an index' if kind == 'index' else f'a {kind}'}")
    from homie_migrations_core.model import Record  # where nothing is to be done, no record is read here

    number = "0" if "WITHOUT ROWID" in sql.upper() else "_rowid_"
    shape = _shape_of(execute(f"PRAGMA main.table_info({TRACKING_TABLE})").fetchall())
    if shape == "current":
        rows = execute(_SELECT.format(number=number)).fetchall()
        _refuse_strange(rows)
        return Tracking("current", tuple(Record(row[0], row[2], row[3], row[1], *row[4:]) for row in rows), True)
    rows = execute(_SELECT_EARLIER.format(number=number)).fetchall()
    return Tracking("earlier", tuple(Record(row[0], row[2], None, row[1], sequence=row[3]) for row in rows), True)


def _shape_of(columns: Sequence[tuple[Any, ...]]) -> Shape:
    """Return which shape the columns make; they are rows of PRAGMA table_info."""
    types = {str(column[1]).lower(): str(column[2]).upper() for column in columns}
    keys = [str(column[1]).lower() for column in sorted(columns, key=lambda column: column[5]) if column[5]]
    if types.get("version") == "INTEGER":
        if types.keys() == set(COLUMNS) and keys == ["pack", "version"]:
            return "current"
        if types.keys() == set(EARLIER_COLUMNS) and keys == ["version"]:
            return "earlier"
    raise ForeignTable(f"its columns are {', '.join(str(column[1]) for column in columns)}")


def _refuse_strange(rows: Iterable[tuple[Any, ...]]) -> None:
    for row in rows:
        version, _, name, pack = row[:4]
        if not (type(version) is int and type(name) is type(pack) is str):
            raise ForeignTable(f"it holds the row {str(row)[:_LONGEST_ROW]}")


def make_current(connection: GuardedConnection, shape: Shape, owner: str | None) -> None:
    """
    Make the table, or convert an earlier one with its rows and times. A transaction must be open.

    An earlier table is replaced rather than renamed, because a rename rewrites every view and trigger that
    mentions it and fails when one of them is broken.
    """
    if shape == "none":
        connection.execute_unguarded(create_sql(owner))
    elif shape == "earlier":
        kept = connection.execute_unguarded(f"SELECT {', '.join(EARLIER_COLUMNS)} FROM main.{TRACKING_TABLE}").fetchall()
        extras = connection.execute_unguarded(
            "SELECT sql FROM main.sqlite_master WHERE lower(tbl_name) = ? AND type IN ('index', 'trigger') AND sql IS NOT NULL",
            (TRACKING_TABLE,),
        ).fetchall()
        connection.execute_unguarded(f"DROP TABLE main.{TRACKING_TABLE}")
        connection.execute_unguarded(create_sql(owner))
        for version, applied_at, name in kept:
            connection.execute_unguarded(
                f"INSERT INTO main.{TRACKING_TABLE} (version, applied_at, migration_name, pack) VALUES (?, ?, ?, ?)",
                (version, applied_at, name, owner),
            )
        for (sql,) in extras:
            connection.execute_unguarded(sql)


def record_applied(connection: GuardedConnection, migration: Migration, pack_version: str | None) -> None:
    """Record that a migration is applied."""
    connection.execute_unguarded(_INSERT, (migration.version, migration.name, migration.pack, migration.checksum, pack_version))


def record_duration(connection: GuardedConnection, migration: Migration, duration_ms: int) -> bool:
    """Add to a record how long its migration took. Return False if there is no such record."""
    values = (duration_ms, migration.pack, migration.version, migration.name)
    return connection.execute_unguarded(_SET_DURATION, values).rowcount == 1


def record_rolled_back(connection: GuardedConnection, migration: Migration) -> bool:
    """Remove the record of a migration. Return False if there was none."""
    from homie_migrations_core.model import Record

    return remove(connection, Record(migration.version, migration.name, migration.pack))


def accept(connection: GuardedConnection, record: Record) -> None:
    """Give a record, if it is there, the checksum of `record`."""
    sql = f"UPDATE main.{TRACKING_TABLE} SET checksum = ? WHERE pack = ? AND version = ?"
    connection.execute_unguarded(sql, (record.checksum, record.pack, record.version))


def remove(connection: GuardedConnection, record: Record) -> bool:
    """Remove a record. Return False if there was none, or a trigger brought it back."""
    which = f"FROM main.{TRACKING_TABLE} WHERE pack = ? AND version = ?"
    gone = connection.execute_unguarded(f"DELETE {which}", (record.pack, record.version)).rowcount == 1
    return gone and connection.execute_unguarded(f"SELECT 1 {which}", (record.pack, record.version)).fetchone() is None


def is_recorded(connection: sqlite3.Connection, migration: Migration) -> bool:
    """Return whether a migration is recorded."""
    # The table itself, or its current shape, may be what was not committed; then rows have no pack yet.
    return any(
        record.version == migration.version and (record.pack or record.name) in (migration.pack, migration.name)
        for record in read_tracking(connection).records
    )
