"""
What the file organizer's own documentation tells its users to type, typed.

Only the import of the migration differs: a name that begins with a digit needs `importlib`.
"""

from __future__ import annotations

import asyncio
import importlib
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import EARLIER_TABLE, fingerprint, query, run_sql, tables

from file_organizer_migrations.migration_runner import MigrationRunner, run_migrations

NEW = {
    "current_version": 0,
    "applied_migrations": [],
    "pending_migrations": [{"version": 1, "name": "001_destination_memory"}],
}
UP_TO_DATE = {
    "current_version": 1,
    "applied_migrations": [{"version": 1, "name": "001_destination_memory"}],
    "pending_migrations": [],
}
OWN = {"drives", "destinations", "destination_usage"}
ADAS = "INSERT INTO destinations (id, user_id, path, category) VALUES ('d1', 'ada', '/music', 'music')"


def fresh(path: Path) -> None:
    """As this release makes it."""
    run_migrations(path)


def of_an_earlier_release(path: Path) -> None:
    """As a release before packs left it: the earlier tracking table, and rows of users."""
    run_migrations(path)
    run_sql(path, f"DROP TABLE schema_migrations; {EARLIER_TABLE}; {ADAS}")
    run_sql(
        path,
        "INSERT INTO schema_migrations (version, applied_at, migration_name) "
        "VALUES (1, '2025-01-02 03:04:05', '001_destination_memory')",
    )


both = pytest.mark.parametrize("made", [fresh, of_an_earlier_release])
names = pytest.mark.parametrize("name", ["homie_file_organizer.db", "backend.sqlite", "homie_other.db"])


@pytest.fixture
def db_path(tmp_path: Path) -> Path:
    return tmp_path / "homie_file_organizer.db"


@names
def test_running_them_answers_how_many_were_applied(tmp_path: Path, name: str) -> None:
    assert run_migrations(Path(tmp_path / name)) == 1
    assert run_migrations(Path(tmp_path / name)) == 0
    assert tables(tmp_path / name) == OWN


def test_the_path_may_be_text(db_path: Path) -> None:
    assert run_migrations(str(db_path)) == 1
    assert MigrationRunner(str(db_path)).get_migration_status() == UP_TO_DATE


@names
def test_a_runner_applies_them_too(tmp_path: Path, name: str) -> None:
    assert MigrationRunner(tmp_path / name).apply_migrations() == 1
    assert MigrationRunner(tmp_path / name).apply_migrations() == 0
    assert tables(tmp_path / name) == OWN


@names
def test_the_status_before_and_after(tmp_path: Path, name: str) -> None:
    runner = MigrationRunner(tmp_path / name)
    assert runner.get_migration_status() == NEW
    runner.apply_migrations()
    assert runner.get_migration_status() == UP_TO_DATE


def test_the_status_of_a_missing_file_makes_none(db_path: Path) -> None:
    assert MigrationRunner(db_path).get_migration_status() == NEW
    assert list(db_path.parent.iterdir()) == []


@both
def test_asking_and_running_change_no_byte_of_an_up_to_date_database(db_path: Path, made: Callable[[Path], None]) -> None:
    made(db_path)
    before = fingerprint(db_path.parent)
    assert MigrationRunner(db_path).get_migration_status() == UP_TO_DATE
    assert run_migrations(db_path) == 0
    assert MigrationRunner(db_path).apply_migrations() == 0
    assert fingerprint(db_path.parent) == before


@both
def test_rolling_back_by_hand(db_path: Path, made: Callable[[Path], None]) -> None:
    made(db_path)
    rollback_migration = importlib.import_module("file_organizer_migrations.migrations.001_destination_memory").rollback_migration

    conn = sqlite3.connect(db_path)
    rollback_migration(conn)
    conn.execute("DELETE FROM schema_migrations WHERE version = 1")
    conn.commit()
    conn.close()

    assert tables(db_path) == set()
    assert MigrationRunner(db_path).get_migration_status() == NEW
    assert run_migrations(db_path) == 1
    assert MigrationRunner(db_path).get_migration_status() == UP_TO_DATE
    assert tables(db_path) == OWN
    assert query(db_path, "SELECT pack, version FROM schema_migrations") == [("file_organizer", 1)]


@both
def test_starting_over_by_dropping_the_tables(db_path: Path, made: Callable[[Path], None]) -> None:
    made(db_path)
    conn = sqlite3.connect(db_path)
    conn.execute("DROP TABLE IF EXISTS destination_usage")
    conn.execute("DROP TABLE IF EXISTS destinations")
    conn.execute("DROP TABLE IF EXISTS drives")
    conn.execute("DROP TABLE IF EXISTS schema_migrations")
    conn.commit()
    conn.close()

    assert run_migrations(db_path) == 1
    assert MigrationRunner(db_path).get_migration_status() == UP_TO_DATE
    assert tables(db_path) == OWN
    assert query(db_path, "SELECT count(*) FROM destinations") == [(0,)]


@both
def test_forgetting_only_the_record_applies_it_again_and_keeps_the_rows(db_path: Path, made: Callable[[Path], None]) -> None:
    made(db_path)
    run_sql(db_path, "INSERT OR IGNORE" + ADAS.removeprefix("INSERT") + "; DELETE FROM schema_migrations WHERE version = 1")
    assert run_migrations(db_path) == 1
    assert query(db_path, "SELECT id FROM destinations") == [("d1",)]


@both
def test_the_sql_that_users_know_reads_and_writes_the_record(db_path: Path, made: Callable[[Path], None]) -> None:
    made(db_path)
    assert query(db_path, "SELECT MAX(version) FROM schema_migrations") == [(1,)]
    assert query(db_path, "SELECT version, migration_name FROM schema_migrations ORDER BY version") == [
        (1, "001_destination_memory")
    ]
    run_sql(
        db_path,
        "DELETE FROM schema_migrations WHERE version = 1;"
        "INSERT INTO schema_migrations (version, migration_name) VALUES (1, '001_destination_memory')",
    )
    assert MigrationRunner(db_path).get_migration_status() == UP_TO_DATE
    assert run_migrations(db_path) == 0


def test_the_snippets_work_in_a_folder_that_is_the_current_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_migrations(Path("homie_file_organizer.db")) == 1
    assert MigrationRunner(Path("homie_file_organizer.db")).get_migration_status() == UP_TO_DATE
    assert [each.name for each in tmp_path.iterdir()] == ["homie_file_organizer.db"]


README = Path(__file__).parents[2] / "plugins" / "file_organizer_migrations" / "README.md"


def test_the_readme_runs_as_it_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOMIE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    application, earlier_calls = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    names: dict = {}
    exec(application, names)
    asyncio.run(names["main"]())
    assert capsys.readouterr().out.split() == ["/media/ada/stick/music", "1"]
    exec(earlier_calls, {})
    assert tables(tmp_path / "homie_file_organizer.db") == OWN
