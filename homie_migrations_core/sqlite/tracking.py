"""
The `schema_migrations` table: its SQL, and how an older shape of it is brought up to date.

Says which rows are there; never decides what should be. The only place that spells the table's columns.
"""

from __future__ import annotations

import sqlite3
from typing import Literal, NamedTuple

from homie_migrations_core.model import Migration, Record
from homie_migrations_core.sqlite.guard import GuardedConnection, runner_execute
from homie_migrations_core.sqlite.names import TRACKING_TABLE

Shape = Literal["none", "earlier", "current"]

COLUMNS = ("version", "applied_at", "migration_name", "pack", "checksum", "duration_ms", "pack_version")
EARLIER_COLUMNS = COLUMNS[:3]
_SELECT = f"SELECT {', '.join(COLUMNS)}, {{number}} FROM main.{TRACKING_TABLE} ORDER BY pack, version"
_SELECT_EARLIER = f"SELECT {', '.join(EARLIER_COLUMNS)}, {{number}} FROM main.{TRACKING_TABLE} ORDER BY version"
_INSERT = f"INSERT INTO main.{TRACKING_TABLE} (version, migration_name, pack, checksum, pack_version) VALUES (?, ?, ?, ?, ?)"


class ForeignTable(Exception):
    """The table of that name is not one of ours; the text says what was found."""


class Tracking(NamedTuple):
    """What a database says about itself."""

    shape: Shape
    records: tuple[Record, ...]
    holds_tables: bool
    """Whether anything at all is in the schema: False for an empty database."""


def create_sql(owner: str | None) -> str:
    """
    The table, with `owner` as the pack of rows that are written without one.

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
    The shape of the table and its rows; no table means no rows.

    Raises:
        ForeignTable: Another tool made the table.
        sqlite3.Error: The file can't be read.
    """
    speak = runner_execute(connection)
    # A trigger may share its name with a table.
    named = "SELECT type, sql FROM main.sqlite_master WHERE lower(name) = ? AND type <> 'trigger'"
    found = speak(named, (TRACKING_TABLE,)).fetchone()
    if found is None:
        return Tracking("none", (), speak("SELECT 1 FROM main.sqlite_master LIMIT 1").fetchone() is not None)
    kind, sql = found
    if kind != "table" or str(sql).lstrip().upper().startswith("CREATE VIRTUAL"):
        raise ForeignTable(f"it is a {'virtual table' if kind == 'table' else kind}")
    number = "0" if "WITHOUT ROWID" in str(sql).upper() else "_rowid_"
    columns = speak(f"PRAGMA main.table_info({TRACKING_TABLE})").fetchall()
    names = {str(column[1]).lower() for column in columns}
    keys = [str(column[1]).lower() for column in sorted(columns, key=lambda column: column[5]) if column[5]]
    types = {str(column[1]).lower(): str(column[2]).upper() for column in columns}
    if names == set(COLUMNS) and keys == ["pack", "version"] and types["version"] == "INTEGER":
        rows = speak(_SELECT.format(number=number)).fetchall()
        if strange := next((row for row in rows if not (type(row[0]) is int and type(row[2]) is type(row[3]) is str)), None):
            raise ForeignTable(f"it holds the row {strange!r}")
        return Tracking("current", tuple(Record(row[0], row[2], row[3], row[1], *row[4:]) for row in rows), True)
    if names == set(EARLIER_COLUMNS) and keys == ["version"] and types["version"] == "INTEGER":
        rows = speak(_SELECT_EARLIER.format(number=number)).fetchall()
        return Tracking("earlier", tuple(Record(row[0], row[2], None, row[1], sequence=row[3]) for row in rows), True)
    raise ForeignTable(f"its columns are {', '.join(str(column[1]) for column in columns)}")


def make_current(connection: GuardedConnection, shape: Shape, owner: str | None) -> None:
    """
    The table is there, in the current shape, with the rows and times it had. Belongs to a transaction.

    An earlier table is replaced rather than renamed, because a rename rewrites every view and trigger that
    mentions it and fails when one of them is broken.
    """
    if shape == "none":
        connection.speak(create_sql(owner))
    elif shape == "earlier":
        kept = connection.speak(f"SELECT {', '.join(EARLIER_COLUMNS)} FROM main.{TRACKING_TABLE}").fetchall()
        extras = connection.speak(
            "SELECT sql FROM main.sqlite_master WHERE lower(tbl_name) = ? AND type IN ('index', 'trigger') AND sql IS NOT NULL",
            (TRACKING_TABLE,),
        ).fetchall()
        connection.speak(f"DROP TABLE main.{TRACKING_TABLE}")
        connection.speak(create_sql(owner))
        for version, applied_at, name in kept:
            connection.speak(
                f"INSERT INTO main.{TRACKING_TABLE} (version, applied_at, migration_name, pack) VALUES (?, ?, ?, ?)",
                (version, applied_at, name, owner),
            )
        for (sql,) in extras:
            connection.speak(sql)


def record_applied(connection: GuardedConnection, migration: Migration, pack_version: str | None) -> None:
    """The row that says a migration is applied is there."""
    connection.speak(_INSERT, (migration.version, migration.name, migration.pack, migration.checksum, pack_version))


def record_duration(connection: GuardedConnection, migration: Migration, duration_ms: int) -> bool:
    """How long it took stands in its row. False if the row is not there."""
    return (
        connection.speak(
            f"UPDATE main.{TRACKING_TABLE} SET duration_ms = ? WHERE pack = ? AND version = ? AND migration_name = ?",
            (duration_ms, migration.pack, migration.version, migration.name),
        ).rowcount
        == 1
    )


def record_rolled_back(connection: GuardedConnection, migration: Migration) -> bool:
    """The row is gone. False if there was none."""
    return remove(connection, Record(migration.version, migration.name, migration.pack))


def accept(connection: GuardedConnection, record: Record) -> None:
    """The checksum of the row is the one given, if the row is there."""
    sql = f"UPDATE main.{TRACKING_TABLE} SET checksum = ? WHERE pack = ? AND version = ?"
    connection.speak(sql, (record.checksum, record.pack, record.version))


def remove(connection: GuardedConnection, record: Record) -> bool:
    """The row is gone. False if there was none, or a trigger brought it back."""
    which = f"FROM main.{TRACKING_TABLE} WHERE pack = ? AND version = ?"
    gone = connection.speak(f"DELETE {which}", (record.pack, record.version)).rowcount == 1
    return gone and connection.speak(f"SELECT 1 {which}", (record.pack, record.version)).fetchone() is None


def is_recorded(connection: sqlite3.Connection, migration: Migration) -> bool:
    """Whether the row is there."""
    # The table itself, or its current shape, may be what was not committed; then rows have no pack yet.
    return any(
        record.version == migration.version and (record.pack or record.name) in (migration.pack, migration.name)
        for record in read_tracking(connection).records
    )
