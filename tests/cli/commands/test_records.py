"""`baseline` and `repair`: what they say, in words and as JSON, and how they end."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import (
    EARLIER_TABLE,
    creates,
    fingerprint,
    problems,
    python_migration,
    query,
    recorded,
    run_sql,
    snapshot_folder,
    tables,
)

RUNS_NEVER = "raise AssertionError('a migration was run')"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pack of three migrations, none of which can be run."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    for version in (1, 2, 3):
        (folder / f"00{version}_m{version}.py").write_text(python_migration(version, RUNS_NEVER, rollback=RUNS_NEVER))
    return folder


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database whose tables are there already."""
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "homie_tasks.db"
    run_sql(path, "CREATE TABLE one (a); INSERT INTO one VALUES (1);")
    return path


@pytest.fixture
def options(folder: Path, database: Path) -> tuple[object, ...]:
    return ("--dir", folder, "--database", database)


def rows(path: Path) -> list[tuple]:
    return query(path, "SELECT * FROM schema_migrations ORDER BY pack, version")


def snapshots(path: Path) -> list[Path]:
    return sorted(snapshot_folder(path).glob("*"))


# --- baseline ------------------------------------------------------------------------------------------------------------


def test_a_baseline_says_what_it_recorded_and_where_the_snapshot_is(homie, database: Path, options):
    result = homie("baseline", "tasks", "2", *options)
    (snapshot,) = snapshots(database)
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        f"{database} (from --database): an existing database",
        "  recorded tasks:001_m1, which was not run",
        "  recorded tasks:002_m2, which was not run",
        f"  snapshot of the state before: {snapshot}",
    ]
    assert recorded(database) == ["tasks:001_m1", "tasks:002_m2"]
    assert "pending  003_m3" in homie("status", *options).out


def test_a_second_baseline_has_nothing_to_record(homie, database: Path, options):
    assert homie("baseline", "tasks", "2", *options).code == 0
    before = fingerprint(database.parent)
    result = homie("baseline", "tasks", "2", *options)
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [f"{database} (from --database): an existing database", "  nothing to record"]
    assert fingerprint(database.parent) == before


def test_a_baseline_as_json(homie, database: Path, options):
    result = homie("baseline", "tasks", "1", *options, "--json")
    assert (result.code, result.err) == (0, "")
    (found,) = result.json["databases"]
    assert found["recorded"] == ["tasks:001_m1"]
    assert found["snapshot"] == str(snapshots(database)[0])
    assert [each["state"] for each in found["packs"][0]["migrations"]] == ["applied", "pending", "pending"]
    again = homie("baseline", "tasks", "1", *options, "--json").json
    assert (again["databases"][0]["recorded"], again["databases"][0]["snapshot"], again["error"]) == ([], None, None)


def test_without_backup_there_is_no_snapshot(homie, database: Path, options):
    assert homie("baseline", "tasks", "1", *options, "--no-backup").code == 0
    assert snapshots(database) == []


def test_a_run_continues_after_a_baseline(homie, folder: Path, database: Path, options):
    assert homie("baseline", "tasks", "2", *options).code == 0
    (folder / "003_m3.py").write_text(creates(3, "three"))
    result = homie("apply", *options)
    assert (result.code, recorded(database)) == (0, ["tasks:001_m1", "tasks:002_m2", "tasks:003_m3"])
    assert tables(database) == {"one", "three"}


def test_a_baseline_of_a_database_with_the_earlier_table(homie, database: Path, options):
    run_sql(database, EARLIER_TABLE + "INSERT INTO schema_migrations VALUES (1, '2020-01-02 03:04:05', '001_m1');")
    assert homie("baseline", "tasks", "2", *options, "--json").json["databases"][0]["recorded"] == ["tasks:002_m2"]
    assert next(row[:4] for row in rows(database)) == (1, "2020-01-02 03:04:05", "001_m1", "tasks")


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("tasks", "9"), 2, "unknown_target"),
        (("tasks", "0"), 2, "usage"),
        (("tasks", "x"), 2, "usage"),
        (("tasks",), 2, "usage"),
    ],
    ids=["unknown", "0", "no number", "none"],
)
def test_an_invalid_version_ends_with_2(homie, database: Path, options, arguments, code: int, error: str):
    before = fingerprint(database.parent)
    result = homie("baseline", *arguments, *options, "--json")
    assert (result.code, result.json["error"]["code"]) == (code, error)
    assert fingerprint(database.parent) == before


@pytest.mark.parametrize("empty", [True, False])
def test_a_baseline_without_tables_is_refused_with_1_and_creates_nothing(homie, folder: Path, tmp_path: Path, empty: bool):
    (tmp_path / "elsewhere").mkdir()
    path = tmp_path / "elsewhere" / "homie_tasks.db"
    if empty:
        path.touch()
    before = fingerprint(tmp_path)
    result = homie("baseline", "tasks", "1", "--dir", folder, "--database", path, "--json")
    assert (result.code, result.json["error"]["code"]) == (1, "baseline_refused")
    assert result.json["databases"][0]["recorded"] == []
    assert len(problems(result.err)) == 1
    assert fingerprint(tmp_path) == before


def test_an_installed_pack_and_its_default_database(homie, installed, tmp_path: Path):
    installed.pack("p", {"001_a.py": python_migration(1, RUNS_NEVER)}, version="3.4")
    (tmp_path / "modules").mkdir()
    path = tmp_path / "modules" / "homie_p.db"
    run_sql(path, "CREATE TABLE t (a)")
    assert homie("baseline", "p", "1", "--data-dir", tmp_path).code == 0
    assert query(path, "SELECT pack, version, pack_version FROM schema_migrations") == [("p", 1, "3.4")]
    assert homie("baseline", "nobody", "1", "--data-dir", tmp_path).code == 2


# --- repair ----------------------------------------------------------------------------------------------------------------

EDITED = python_migration(2, "conn.execute('SELECT 2')")


@pytest.fixture
def edited(homie, folder: Path, options) -> tuple[object, ...]:
    """Two of three migrations are recorded; the second one was edited since then."""
    assert homie("baseline", "tasks", "2", *options, "--no-backup").code == 0
    (folder / "002_m2.py").write_text(EDITED)
    return options


def test_an_edited_migration_is_accepted_and_before_and_after_are_shown(homie, database: Path, edited):
    ((_, at, _, _, checksum, _, _),) = rows(database)[1:]
    result = homie("repair", "tasks:2", *edited, "--yes")
    (snapshot,) = snapshots(database)
    new = rows(database)[1][4]
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        f"{database} (from --database): an existing database",
        f"  before: tasks:002_m2, applied at {at} UTC, checksum {checksum[:12]}",
        f"  after:  tasks:002_m2, applied at {at} UTC, checksum {new[:12]}",
        "  accepted tasks:002_m2",
        f"  snapshot of the state before: {snapshot}",
    ]
    assert checksum != new
    assert "applied  002_m2" in homie("status", *edited).out


def test_a_repair_as_json(homie, database: Path, edited):
    before = rows(database)
    result = homie("repair", "tasks:2", *edited, "--yes", "--json")
    assert (result.code, result.err) == (0, "")
    (found,) = result.json["databases"]
    repair = found["repair"]
    assert repair["ref"] == "tasks:002_m2"
    assert repair["before"]["checksum"] == before[1][4]
    assert repair["after"] == {**repair["before"], "checksum": rows(database)[1][4]}
    assert found["snapshot"] == str(snapshots(database)[0])
    assert found["packs"][0]["migrations"][1]["state"] == "applied"


def test_a_record_of_nothing_is_removed(homie, folder: Path, database: Path, edited):
    (folder / "001_m1.py").unlink()
    before = rows(database)
    result = homie("repair", "tasks:1", *edited, "--yes", "--no-backup")
    assert (result.code, result.err) == (0, "")
    assert "  after:  no record" in result.out
    assert result.out.splitlines()[-1] == "  removed the record of tasks:001_m1"
    assert rows(database) == before[1:]
    assert snapshots(database) == []
    assert tables(database) == {"one"}


def test_a_record_in_order_is_refused_with_1_and_removed_with_remove(homie, database: Path, edited):
    before = fingerprint(database.parent)
    result = homie("repair", "tasks:1", *edited, "--yes", "--json")
    assert (result.code, result.json["error"]["code"]) == (1, "repair_refused")
    assert "--remove" in result.err
    assert fingerprint(database.parent) == before
    assert homie("repair", "tasks:1", *edited, "--yes", "--remove").code == 0
    assert recorded(database) == ["tasks:002_m2"]


@pytest.mark.parametrize("ref", ["tasks:3", "tasks:9", "tasks", "tasks:002_other", ""])
def test_a_ref_without_a_record_ends_with_2(homie, database: Path, edited, ref: str):
    before = fingerprint(database.parent)
    result = homie("repair", ref, *edited, "--yes", "--json")
    assert (result.code, result.json["error"]["code"]) == (2, "unknown_target")
    assert fingerprint(database.parent) == before


def test_without_a_terminal_and_without_yes_nothing_is_repaired(homie, database: Path, edited):
    before = fingerprint(database.parent)
    result = homie("repair", "tasks:2", *edited, "--json")
    assert (result.code, result.json["error"]["code"]) == (2, "nobody_to_ask")
    assert result.json["databases"][0]["repair"]["ref"] == "tasks:002_m2"
    assert fingerprint(database.parent) == before


@pytest.mark.parametrize(
    ("more", "note"),
    [
        ((), "The migration counts as applied as it is today; nothing of it is run"),
        (("--remove",), "The record is removed, and what the migration made stays; if a pack ships it, it is pending again"),
    ],
    ids=["accept", "remove"],
)
@pytest.mark.parametrize("answer", ["y", "n"])
def test_it_asks_first_and_says_what_it_means(on_a_terminal, database: Path, edited, more, note: str, answer: str):
    before = rows(database)
    terminal = on_a_terminal("repair", "tasks:2", *edited, *more, width=400)
    terminal.until("Go on?")
    assert "  before: tasks:002_m2, applied at " in terminal.seen
    assert f"Repairing this record in {database}. {note}; a snapshot is taken first. Go on? [y/N]:" in terminal.seen
    assert terminal.seen.index("before:") < terminal.seen.index("Go on?")
    terminal.type(f"{answer}\n")
    assert terminal.ended() == (0 if answer == "y" else 1)
    assert (rows(database) == before) == (answer == "n")
    assert len(snapshots(database)) == (answer == "y")


def test_a_trigger_that_undoes_it_ends_with_1_and_nothing_is_changed(homie, database: Path, edited):
    run_sql(database, "CREATE TRIGGER t BEFORE UPDATE ON schema_migrations BEGIN SELECT RAISE(IGNORE); END")
    before = fingerprint(database.parent)
    result = homie("repair", "tasks:2", *edited, "--yes", "--json")
    assert (result.code, result.json["error"]["code"]) == (1, "record_not_kept")
    assert "trigger" in result.err
    assert fingerprint(database.parent) == before


# --- repair with installed packs ---------------------------------------------------------------------------------------------


@pytest.fixture
def modules(homie, installed, tmp_path: Path) -> Path:
    """Two installed packs with a database each, and a record in the first one by a pack that is gone."""
    installed.nothing_else()
    installed.pack("p", {"001_a.py": creates(1, "p")})
    installed.pack("q", {"001_a.py": creates(1, "q")})
    assert homie("apply", "--data-dir", tmp_path).code == 0
    run_sql(
        tmp_path / "modules" / "homie_p.db",
        "INSERT INTO schema_migrations (version, migration_name, pack) VALUES (1, '001_g', 'gone')",
    )
    return tmp_path / "modules"


def test_the_ref_says_which_database_is_meant(homie, modules: Path):
    result = homie("repair", "q:1", "--data-dir", modules.parent, "--remove", "--yes", "--json")
    assert result.code == 0
    assert [each["path"] for each in result.json["databases"]] == [str(modules / "homie_q.db")]
    assert recorded(modules / "homie_q.db") == []
    assert len(recorded(modules / "homie_p.db")) == 2


def test_the_record_of_a_pack_that_is_gone_needs_its_database(homie, modules: Path):
    result = homie("repair", "gone:1", "--data-dir", modules.parent, "--yes", "--json")
    assert (result.code, result.json["error"]["code"]) == (2, "usage")
    assert "--database PATH" in result.err
    assert homie("repair", "gone:1", "--database", modules / "homie_p.db", "--yes").code == 0
    assert recorded(modules / "homie_p.db") == ["p:001_a"]


@pytest.mark.parametrize("place", ["--database", "--data-dir"])
def test_the_record_of_a_broken_pack_is_not_orphaned(homie, installed, modules: Path, place: str):
    (installed.site / "q_plugin" / "migrations" / "x.py").write_text("")
    where = modules / "homie_q.db" if place == "--database" else modules.parent
    result = homie("repair", "q:1", place, where, "--yes")
    assert result.code != 0
    assert recorded(modules / "homie_q.db") == ["q:001_a"]
