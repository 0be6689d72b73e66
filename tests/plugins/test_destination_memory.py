"""What the file organizer's first migration makes, beside what may be in the database already."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from helpers import EARLIER_TABLE, query, recorded, run_sql, tables

from file_organizer_migrations import pack
from file_organizer_migrations.migration_runner import run_migrations
from homie_migrations_core import MigrationRunner
from homie_migrations_core.errors import MigrationFailed

migration = import_module("file_organizer_migrations.migrations.001_destination_memory")

# Name, type, not null, default, place in the primary key: as PRAGMA table_xinfo says it.
COLUMNS = {
    "drives": [
        ("id", "TEXT", 0, None, 1),
        ("user_id", "TEXT", 1, None, 0),
        ("unique_identifier", "TEXT", 1, None, 0),
        ("mount_point", "TEXT", 1, None, 0),
        ("volume_label", "TEXT", 0, None, 0),
        ("drive_type", "TEXT", 1, None, 0),
        ("cloud_provider", "TEXT", 0, None, 0),
        ("is_available", "INTEGER", 0, "1", 0),
        ("last_seen_at", "TIMESTAMP", 0, "CURRENT_TIMESTAMP", 0),
        ("created_at", "TIMESTAMP", 0, "CURRENT_TIMESTAMP", 0),
    ],
    "destinations": [
        ("id", "TEXT", 0, None, 1),
        ("user_id", "TEXT", 1, None, 0),
        ("path", "TEXT", 1, None, 0),
        ("category", "TEXT", 1, None, 0),
        ("drive_id", "TEXT", 0, None, 0),
        ("created_at", "TIMESTAMP", 0, "CURRENT_TIMESTAMP", 0),
        ("last_used_at", "TIMESTAMP", 0, None, 0),
        ("usage_count", "INTEGER", 0, "0", 0),
        ("is_active", "INTEGER", 0, "1", 0),
    ],
    "destination_usage": [
        ("id", "TEXT", 0, None, 1),
        ("destination_id", "TEXT", 1, None, 0),
        ("used_at", "TIMESTAMP", 0, "CURRENT_TIMESTAMP", 0),
        ("file_count", "INTEGER", 0, "1", 0),
        ("operation_type", "TEXT", 0, None, 0),
    ],
}
# Table → name of the index → its columns; those that SQLite names itself stand for UNIQUE and PRIMARY KEY.
INDEXES = {
    "drives": {"idx_drives_user_available": ["user_id", "is_available"]},
    "destinations": {
        "idx_destinations_user_category": ["user_id", "category"],
        "idx_destinations_user_active": ["user_id", "is_active"],
    },
    "destination_usage": {"idx_usage_destination": ["destination_id"]},
}
UNIQUE = {
    "drives": [["id"], ["user_id", "unique_identifier"]],
    "destinations": [["id"], ["user_id", "path"]],
    "destination_usage": [["id"]],
}
# Column, table and column it points to, what happens on delete.
KEYS = {
    "drives": [],
    "destinations": [("drive_id", "drives", "id", "SET NULL")],
    "destination_usage": [("destination_id", "destinations", "id", "CASCADE")],
}

APPLICATION_TABLES = """
CREATE TABLE file_actions (id INTEGER PRIMARY KEY, source TEXT NOT NULL, target TEXT);
CREATE TABLE analysis_sessions (id TEXT PRIMARY KEY, started_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE INDEX idx_file_actions_source ON file_actions (source);
INSERT INTO file_actions (source, target) VALUES ('/a', '/b'), ('/c', NULL);
INSERT INTO analysis_sessions (id) VALUES ('s1');
"""
ROWS = """
INSERT INTO drives (id, user_id, unique_identifier, mount_point, drive_type) VALUES ('v1', 'ada', 'serial-1', '/mnt', 'usb');
INSERT INTO destinations (id, user_id, path, category, drive_id) VALUES ('d1', 'ada', '/music', 'music', 'v1');
INSERT INTO destination_usage (id, destination_id) VALUES ('u1', 'd1'), ('u2', 'd1');
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "homie_file_organizer.db"


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    """A migrated database with rows, and foreign keys enforced."""
    run_migrations(path)
    run_sql(path, ROWS)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    yield connection
    connection.close()


def columns(path: Path, table: str) -> list[tuple]:
    """Every column, hidden and generated ones too."""
    found = query(path, f"PRAGMA table_xinfo({table})")
    assert [row[0] for row in found] == list(range(len(found)))
    assert {row[6] for row in found} == {0}
    return [row[1:6] for row in found]


def indexes(path: Path, table: str) -> tuple[dict[str, list[str]], list[list[str]]]:
    """The indexes that somebody named, and the column lists that are unique."""
    named, unique = {}, []
    for _, name, is_unique, origin, partial in query(path, f"PRAGMA index_list({table})"):
        on = [row[2] for row in query(path, f"PRAGMA index_info({name})")]
        assert not partial
        if is_unique:
            assert origin in ("u", "pk")
            unique.append(on)
        else:
            assert origin == "c"
            named[name] = on
    return named, sorted(unique)


def keys(path: Path, table: str) -> list[tuple]:
    return [(row[3], row[2], row[4], row[6]) for row in query(path, f"PRAGMA foreign_key_list({table})")]


def assert_is_as_promised(path: Path) -> None:
    for table in COLUMNS:
        assert columns(path, table) == COLUMNS[table]
        assert indexes(path, table) == (INDEXES[table], UNIQUE[table])
        assert keys(path, table) == KEYS[table]


def test_it_makes_the_promised_tables_columns_indexes_and_keys(path: Path) -> None:
    assert run_migrations(path) == 1
    assert tables(path) == set(COLUMNS)
    assert_is_as_promised(path)
    named = {name for (name,) in query(path, "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")}
    assert named == {
        "idx_destinations_user_category",
        "idx_destinations_user_active",
        "idx_drives_user_available",
        "idx_usage_destination",
    }
    assert query(path, "SELECT type, name FROM sqlite_schema WHERE type IN ('view', 'trigger')") == []


def test_it_is_version_1_of_the_pack_and_recorded_as_such(path: Path) -> None:
    assert migration.get_migration_version() == 1
    assert (pack.name, pack.database) == ("file_organizer", "homie_file_organizer.db")
    run_migrations(path)
    assert recorded(path) == ["file_organizer:001_destination_memory"]


def test_what_is_left_out_of_a_row_gets_its_default(connection: sqlite3.Connection) -> None:
    assert connection.execute(
        "SELECT volume_label, cloud_provider, is_available, last_seen_at IS NOT NULL, created_at IS NOT NULL FROM drives"
    ).fetchall() == [(None, None, 1, 1, 1)]
    assert connection.execute(
        "SELECT created_at IS NOT NULL, last_used_at, usage_count, is_active FROM destinations"
    ).fetchall() == [(1, None, 0, 1)]
    assert connection.execute(
        "SELECT DISTINCT used_at IS NOT NULL, file_count, operation_type FROM destination_usage"
    ).fetchall() == [(1, 1, None)]


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("INSERT INTO drives VALUES ('v2', 'ada', 'serial-1', '/', NULL, 'usb', NULL, 1, NULL, NULL)", "UNIQUE"),
        ("INSERT INTO destinations (id, user_id, path, category) VALUES ('d2', 'ada', '/music', 'x')", "UNIQUE"),
        ("INSERT INTO destinations (id, user_id, path, category, drive_id) VALUES ('d2', 'ada', '/x', 'x', 'none')", "FOREIGN KEY"),
        ("INSERT INTO destination_usage (id, destination_id) VALUES ('u3', 'none')", "FOREIGN KEY"),
        ("INSERT INTO destination_usage (id, destination_id) VALUES ('u1', 'd1')", "UNIQUE"),
        ("UPDATE drives SET mount_point = NULL", "NOT NULL"),
    ],
    ids=["drive twice", "path twice", "no such drive", "no such destination", "id twice", "no mount point"],
)
def test_rows_that_contradict_each_other_are_refused(connection: sqlite3.Connection, sql: str, problem: str) -> None:
    with pytest.raises(sqlite3.IntegrityError, match=problem):
        connection.execute(sql)


def test_a_drive_that_is_deleted_leaves_its_destinations_and_a_destination_takes_its_uses_along(
    connection: sqlite3.Connection,
) -> None:
    connection.execute("DELETE FROM drives")
    assert connection.execute("SELECT id, drive_id FROM destinations").fetchall() == [("d1", None)]
    assert connection.execute("SELECT count(*) FROM destination_usage").fetchone() == (2,)
    connection.execute("DELETE FROM destinations")
    assert connection.execute("SELECT count(*) FROM destination_usage").fetchone() == (0,)


def everything(path: Path) -> dict[str, list[tuple]]:
    return {table: query(path, f"SELECT * FROM {table} ORDER BY 1") for table in sorted(tables(path))}


def test_on_a_database_that_has_the_tables_already_it_keeps_their_rows_and_adds_what_they_lack(path: Path) -> None:
    without_indexes = migration.TABLES.partition("CREATE INDEX")[0]
    run_sql(path, without_indexes + "CREATE INDEX idx_usage_destination ON destination_usage (destination_id);" + ROWS)
    before = everything(path)
    assert run_migrations(path) == 1
    assert everything(path) == before
    assert_is_as_promised(path)
    assert recorded(path) == ["file_organizer:001_destination_memory"]


def test_on_a_database_that_has_one_of_the_tables_it_makes_the_others(path: Path) -> None:
    run_sql(
        path, migration.TABLES.partition("CREATE TABLE IF NOT EXISTS destinations")[0] + ROWS.partition("\nINSERT INTO dest")[0]
    )
    assert run_migrations(path) == 1
    assert_is_as_promised(path)
    assert query(path, "SELECT id FROM drives") == [("v1",)]


def test_a_table_of_that_name_that_is_another_one_stops_it_and_stays(path: Path) -> None:
    run_sql(
        path,
        "CREATE TABLE drives (id TEXT PRIMARY KEY, user_id TEXT, is_available INTEGER); INSERT INTO drives VALUES ('x', 'y', 1)",
    )
    schema = query(path, "SELECT * FROM sqlite_schema")
    with pytest.raises(MigrationFailed, match="drives.*lacks.*mount_point"):
        run_migrations(path)
    assert query(path, "SELECT * FROM sqlite_schema") == schema
    assert query(path, "SELECT * FROM drives") == [("x", "y", 1)]


def test_it_applies_beside_the_tables_of_the_application_and_leaves_them_alone(path: Path) -> None:
    run_sql(path, APPLICATION_TABLES)
    before = query(path, "SELECT name, sql FROM sqlite_schema ORDER BY name"), everything(path)
    assert run_migrations(path) == 1
    assert_is_as_promised(path)
    MigrationRunner(path).rollback("file_organizer")
    of_application = "SELECT name, sql FROM sqlite_schema WHERE tbl_name <> 'schema_migrations' ORDER BY name"
    assert (query(path, of_application), everything(path)) == before


def test_rolled_back_and_applied_again_it_makes_the_same(path: Path) -> None:
    run_migrations(path)
    schema = query(path, "SELECT type, name, sql FROM sqlite_schema ORDER BY name")
    runner = MigrationRunner(path)
    assert [each.name for each in runner.rollback("file_organizer", to=0)] == ["001_destination_memory"]
    assert tables(path) == set()
    assert recorded(path) == []
    assert [each.name for each in runner.apply()] == ["001_destination_memory"]
    assert query(path, "SELECT type, name, sql FROM sqlite_schema ORDER BY name") == schema


def test_rolling_back_rows_that_depend_on_each_other_works(path: Path) -> None:
    run_migrations(path)
    run_sql(path, ROWS)
    MigrationRunner(path).rollback("file_organizer")
    assert tables(path) == set()


@pytest.mark.parametrize("enforced", ["ON", "OFF"])
def test_its_functions_work_on_a_plain_connection_whether_keys_are_enforced_or_not(path: Path, enforced: str) -> None:
    connection = sqlite3.connect(path)
    try:
        connection.execute(f"PRAGMA foreign_keys = {enforced}")
        migration.apply_migration(connection)
        migration.verify_migration(connection)
        migration.apply_migration(connection)  # harmless where everything is there
        connection.executescript(ROWS)
        migration.rollback_migration(connection)
        connection.commit()
    finally:
        connection.close()
    assert tables(path) == set()


def test_a_database_that_an_earlier_release_brought_to_version_1_has_nothing_pending(path: Path) -> None:
    run_sql(
        path,
        migration.TABLES
        + ROWS
        + EARLIER_TABLE
        + "INSERT INTO schema_migrations (version, migration_name) VALUES (1, '001_destination_memory')",
    )
    before = path.read_bytes()
    assert run_migrations(path) == 0
    assert MigrationRunner(path).apply() == []
    assert path.read_bytes() == before
