"""
Both replacements of the Homie backend's `backend/file_organizer/migration_runner.py`, as the how-to page shows them.

(a) one line over the installed pack; (b) a few lines over the backend's own `migrations/` folder, for a backend
that ships further versions, with a database that the old runner left at version 3.
"""

from __future__ import annotations

import importlib
import re
import sys
import tempfile
from pathlib import Path

import pytest
from helpers import EARLIER_TABLE, fingerprint, query, recorded, run_sql, snapshot_folder, tables

from file_organizer_migrations import migrations as installed_migrations
from homie_migrations_core import HomieMigrationsError, MigrationRunner
from homie_migrations_core.errors import DatabaseIsAhead

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "replace-a-migration-runner.md"
MODULE = "backend/file_organizer/migration_runner.py"
_BLOCK = re.compile(r"^\*\*`(?P<file>[^`\n]+)`\*\*\n\n```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)

APPLIED = [(1, "001_destination_memory"), (2, "002_drive_client_mounts"), (3, "migration_003_destination_colors")]
TIMES = ["2024-03-01 10:00:00", "2024-06-01 11:11:11", None]

FURTHER = {
    "002_drive_client_mounts.py": """
        CREATE TABLE drive_client_mounts (
            id TEXT PRIMARY KEY, drive_id TEXT NOT NULL REFERENCES drives (id) ON DELETE CASCADE, client_id TEXT, mount_point TEXT
        )
    """,
    "003_destination_colors.py": "ALTER TABLE destinations ADD COLUMN color TEXT",
    "004_destination_notes.py": "ALTER TABLE destinations ADD COLUMN note TEXT",
}


def shown_modules() -> list[str]:
    """The modules that the page shows for that path, in its order."""
    return [block["code"] for block in _BLOCK.finditer(PAGE.read_text(encoding="utf-8")) if block["file"] == MODULE]


def further_migration(name: str, sql: str) -> str:
    """A file as backends write them: it commits by itself."""
    return f'''
import sqlite3

def get_migration_version() -> int:
    return {int(name[:3])}

def apply_migration(conn: sqlite3.Connection) -> None:
    cursor = conn.cursor()
    cursor.execute("""{sql}""")
    conn.commit()
'''


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write a backend whose migration runner is one of those that the page shows, and import it."""
    root = tmp_path / "app"
    monkeypatch.syspath_prepend(str(root))

    def write(code: str, migrations: dict[str, str] | None = None):
        place = root / "backend" / "file_organizer"
        place.mkdir(parents=True, exist_ok=True)
        (root / "backend" / "__init__.py").touch()
        (place / "__init__.py").touch()
        (place / "migration_runner.py").write_text(code)
        for name, content in (migrations or {}).items():
            (place / "migrations").mkdir(exist_ok=True)
            (place / "migrations" / name).write_text(content)
        for name in [each for each in sys.modules if each.partition(".")[0] == "backend"]:
            monkeypatch.delitem(sys.modules, name)
        importlib.invalidate_caches()
        return importlib.import_module("backend.file_organizer.migration_runner")

    yield write
    for name in [each for each in sys.modules if each.partition(".")[0] == "backend"]:
        del sys.modules[name]


def own_folder(*, up_to: int = 4) -> dict[str, str]:
    """What the backend ships: the first one just as the installed pack has it, and its own."""
    first = Path(installed_migrations.__file__).with_name("001_destination_memory.py").read_text(encoding="utf-8")
    further = {name: further_migration(name, sql) for name, sql in FURTHER.items() if int(name[:3]) <= up_to}
    return {"__init__.py": "", "001_destination_memory.py": first, **further}


@pytest.fixture
def left_at_3(tmp_path: Path, backend) -> Path:
    """A database that the old runner left: real tables, a row in them, the earlier record with its three names."""
    database = tmp_path / "homie_file_organizer.db"
    first = importlib.util.spec_from_file_location(
        "first", Path(installed_migrations.__file__).with_name("001_destination_memory.py")
    )
    module = importlib.util.module_from_spec(first)
    first.loader.exec_module(module)
    run_sql(database, module.TABLES + ";".join([FURTHER["002_drive_client_mounts.py"], FURTHER["003_destination_colors.py"], ""]))
    rows = "".join(
        f"INSERT INTO schema_migrations VALUES ({version}, {time!r}, {name!r});".replace("None", "NULL")
        for (version, name), time in zip(APPLIED, TIMES, strict=True)
    )
    run_sql(database, EARLIER_TABLE + rows)
    run_sql(
        database, "INSERT INTO destinations (id, user_id, path, category, color) VALUES ('d', 'u', '/photos', 'photos', 'blue')"
    )
    return database


def test_the_page_shows_both_replacements():
    one_line, few_lines = shown_modules()
    code = [line for line in one_line.splitlines() if line.strip()]
    assert len(code) == 1
    assert code[0].startswith("from file_organizer_migrations.migration_runner import MigrationRunner, run_migrations")
    assert len([line for line in few_lines.splitlines() if line.strip()]) <= 10
    assert "compat.MigrationRunner" in few_lines


# --- one line over the installed pack --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["homie_file_organizer.db", "whatever it is called.sqlite3"])
def test_the_one_line_keeps_the_names_what_they_take_and_what_they_return(backend, tmp_path: Path, name: str):
    module = backend(shown_modules()[0])
    database = tmp_path / name
    entry = {"version": 1, "name": "001_destination_memory"}

    assert module.MigrationRunner(database).get_migration_status() == {
        "current_version": 0,
        "applied_migrations": [],
        "pending_migrations": [entry],
    }
    assert not database.exists()
    assert module.run_migrations(database) == 1
    assert module.run_migrations(str(database)) == 0
    assert module.MigrationRunner(database).apply_migrations() == 0
    assert module.MigrationRunner(database).get_migration_status() == {
        "current_version": 1,
        "applied_migrations": [entry],
        "pending_migrations": [],
    }
    assert recorded(database) == ["file_organizer:001_destination_memory"]


@pytest.mark.parametrize("replacement", [0, 1], ids=["one line", "a few lines"])
def test_a_temporary_file_of_zero_bytes_is_an_empty_database(backend, replacement: int):
    module = backend(shown_modules()[replacement], own_folder(up_to=3) if replacement else None)
    with tempfile.NamedTemporaryFile(suffix=".db") as file:
        assert module.MigrationRunner(Path(file.name)).get_migration_status()["current_version"] == 0
        assert Path(file.name).stat().st_size == 0
        assert module.run_migrations(Path(file.name)) == (3 if replacement else 1)
        assert tables(Path(file.name)) >= {"drives", "destinations", "destination_usage"}


def test_the_one_line_refuses_a_database_that_is_further_than_the_installed_pack(backend, left_at_3: Path):
    module = backend(shown_modules()[0])
    before = fingerprint(left_at_3.parent)
    with pytest.raises(DatabaseIsAhead, match="ends at 001_destination_memory"):
        module.run_migrations(left_at_3)
    assert module.MigrationRunner(left_at_3).get_migration_status()["current_version"] == 3
    assert fingerprint(left_at_3.parent) == before


# --- a few lines over the backend's own folder --------------------------------------------------------------------


def test_the_few_lines_go_on_from_3_to_4_and_keep_rows_times_and_data(backend, left_at_3: Path):
    module = backend(shown_modules()[1], own_folder())
    status = module.MigrationRunner(left_at_3).get_migration_status()
    assert status["current_version"] == 3
    assert [each["version"] for each in status["applied_migrations"]] == [1, 2, 3]
    assert status["pending_migrations"] == [{"version": 4, "name": "004_destination_notes"}]

    assert module.run_migrations(left_at_3) == 1

    rows = query(left_at_3, "SELECT version, migration_name, applied_at, pack FROM schema_migrations ORDER BY version")
    assert [row[:2] for row in rows] == [*APPLIED, (4, "004_destination_notes")]
    assert [row[2] for row in rows[:3]] == TIMES
    assert rows[3][2] is not None
    assert {row[3] for row in rows} == {"file_organizer"}
    assert query(left_at_3, "SELECT path, color, note FROM destinations") == [("/photos", "blue", None)]
    assert query(left_at_3, "PRAGMA foreign_key_check") == []
    after = module.MigrationRunner(left_at_3).get_migration_status()
    assert (after["current_version"], after["pending_migrations"]) == (4, [])
    assert module.run_migrations(left_at_3) == 0


def test_a_backend_that_imports_the_earlier_name_of_the_module_goes_on(backend, left_at_3: Path):
    _, few_lines = shown_modules()
    assert "from homie_migrations_core import compat" in few_lines
    module = backend(few_lines.replace("compat", "dropin"), own_folder())
    assert (module.run_migrations(left_at_3), module.run_migrations(left_at_3)) == (1, 0)


def test_the_few_lines_change_no_byte_while_nothing_is_pending(backend, left_at_3: Path):
    module = backend(shown_modules()[1], own_folder(up_to=3))
    before = fingerprint(left_at_3.parent)
    assert module.run_migrations(left_at_3) == 0
    assert module.MigrationRunner(left_at_3).get_migration_status()["current_version"] == 3
    assert fingerprint(left_at_3.parent) == before


def test_what_the_old_runner_left_is_in_a_snapshot(backend, left_at_3: Path):
    module = backend(shown_modules()[1], own_folder())
    before = query(left_at_3, "SELECT * FROM schema_migrations")
    module.run_migrations(left_at_3)
    (snapshot,) = snapshot_folder(left_at_3).iterdir()
    assert query(snapshot, "SELECT * FROM schema_migrations") == before
    assert query(snapshot, "SELECT color FROM destinations") == [("blue",)]


def test_a_failing_fourth_version_leaves_the_database_as_the_old_runner_did(backend, left_at_3: Path):
    files = own_folder()
    files["004_destination_notes.py"] += "    raise RuntimeError('after its own commit')\n"
    module = backend(shown_modules()[1], files)
    schema = query(left_at_3, "SELECT sql FROM sqlite_schema ORDER BY name")
    rows = query(left_at_3, "SELECT * FROM schema_migrations ORDER BY version")

    with pytest.raises(HomieMigrationsError, match="after its own commit"):
        module.run_migrations(left_at_3)

    assert query(left_at_3, "SELECT sql FROM sqlite_schema ORDER BY name") == schema
    assert query(left_at_3, "SELECT * FROM schema_migrations ORDER BY version") == rows
    assert not (left_at_3.parent / "backups").exists()


def test_the_few_lines_build_a_new_database_up_to_the_last_version(backend, tmp_path: Path):
    module = backend(shown_modules()[1], own_folder())
    assert module.run_migrations(tmp_path / "homie_file_organizer.db") == 4
    assert recorded(tmp_path / "homie_file_organizer.db")[-1] == "file_organizer:004_destination_notes"


def test_an_old_database_of_another_name_goes_on_too(backend, left_at_3: Path):
    other = left_at_3.rename(left_at_3.with_name("organizer-test.sqlite"))
    module = backend(shown_modules()[1], own_folder())
    assert module.run_migrations(other) == 1
    assert recorded(other)[-1] == "file_organizer:004_destination_notes"


def test_the_installed_packs_command_sees_what_the_backend_did_as_ahead(backend, left_at_3: Path):
    backend(shown_modules()[1], own_folder()).run_migrations(left_at_3)
    found = MigrationRunner(left_at_3).status().packs["file_organizer"]
    assert (found.state, found.current_version, found.latest_version) == ("ahead", 4, 1)
