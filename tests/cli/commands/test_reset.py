"""`reset`: everything back, the newest first, after a snapshot, or nothing at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import creates, fingerprint, problems, python_migration, query, recorded, run_sql, snapshot_folder, tables

ONE, TWO = creates(1, "one"), creates(2, "two")


@pytest.fixture
def shared(homie, installed, tmp_path: Path) -> Path:
    """Two installed packs of one database, the second of which requires the first; both are applied."""
    installed.nothing_else()
    installed.pack("mail", {"001_a.py": creates(1, "mail_1"), "002_b.py": creates(2, "mail_2")}, database="app.db")
    installed.pack(
        "alarm",
        {
            "001_a.py": python_migration(
                1,
                "conn.execute('CREATE TABLE alarm (mail REFERENCES mail_1 (id))')",
                rollback="conn.execute('DROP TABLE alarm')",
                requires=("mail:1",),
            )
        },
        database="app.db",
    )
    path = tmp_path / "app.db"
    assert homie("apply", "--database", path).code == 0
    return path


@pytest.fixture
def folder(homie, tmp_path: Path) -> tuple[object, ...]:
    """A folder pack of two migrations, applied."""
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "001_one.py").write_text(ONE)
    (tmp_path / "tasks" / "002_two.py").write_text(TWO)
    given = ("--dir", tmp_path / "tasks", "--database", tmp_path / "homie_tasks.db")
    assert homie("apply", *given).code == 0
    return given


def snapshots(path: Path) -> list[Path]:
    return sorted(snapshot_folder(path).glob("*"))


def test_everything_goes_newest_first_and_a_snapshot_was_taken(homie, folder, tmp_path: Path):
    database = tmp_path / "homie_tasks.db"
    run_sql(database, "INSERT INTO one VALUES (1, 'kept in the snapshot'); CREATE TABLE somebody_elses (a);")
    result = homie("reset", *folder, "--yes")
    (snapshot,) = snapshots(database)
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        f"{database} (from --database): an existing database",
        "  rolled back tasks:002_two",
        "  rolled back tasks:001_one",
        f"  snapshot of the state before: {snapshot}",
    ]
    assert (recorded(database), tables(database)) == ([], {"somebody_elses"})
    assert query(snapshot, "SELECT text FROM one") == [("kept in the snapshot",)]
    assert recorded(snapshot) == ["tasks:001_one", "tasks:002_two"]


def test_as_json_it_says_the_same(homie, folder, tmp_path: Path):
    result = homie("reset", *folder, "--yes", "--json")
    assert result.code == 0
    (found,) = result.json["databases"]
    assert found["rolled_back"] == ["tasks:002_two", "tasks:001_one"]
    assert found["snapshot"] == str(snapshots(tmp_path / "homie_tasks.db")[0])
    assert found["packs"][0]["current_version"] == 0
    assert result.json["error"] is None


def test_across_packs_nothing_goes_before_what_requires_it(homie, shared: Path):
    result = homie("reset", "--database", shared, "--yes", "--json")
    assert result.code == 0
    gone = result.json["databases"][0]["rolled_back"]
    assert sorted(gone) == ["alarm:001_a", "mail:001_a", "mail:002_b"]
    assert gone.index("alarm:001_a") < gone.index("mail:001_a")
    assert gone.index("mail:002_b") < gone.index("mail:001_a")
    assert (recorded(shared), tables(shared)) == ([], set())


def test_a_reset_and_an_apply_lead_back(homie, shared: Path):
    def schema() -> list[tuple]:
        return query(shared, "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name")

    before = schema()
    assert homie("reset", "--database", shared, "--yes").code == 0
    assert homie("apply", "--database", shared).code == 0
    assert schema() == before


def test_one_pack_alone_can_be_reset_but_not_one_that_others_require(homie, shared: Path):
    before = fingerprint(shared.parent)
    refused = homie("reset", "--database", shared, "--pack", "mail", "--yes", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (1, "rollback_refused")
    assert "alarm:001_a is applied and requires mail:1" in refused.err
    assert refused.json["databases"][0]["rolled_back"] == []
    assert fingerprint(shared.parent) == before

    assert homie("reset", "--database", shared, "--pack", "alarm", "--yes").code == 0
    assert recorded(shared) == ["mail:001_a", "mail:002_b"]
    assert homie("reset", "--database", shared, "--pack", "nobody", "--yes").code == 2


def test_every_reason_for_a_refusal_is_named_and_nothing_is_started(homie, folder, tmp_path: Path):
    database = tmp_path / "homie_tasks.db"
    (tmp_path / "tasks" / "001_one.py").unlink()
    (tmp_path / "tasks" / "002_two.py").write_text(python_migration(2, "pass"))
    (tmp_path / "tasks" / "003_three.py").write_text(python_migration(3, "pass"))
    run_sql(
        database, "INSERT INTO schema_migrations (version, migration_name, pack) VALUES (7, '007_x', 'tasks'), (1, '001_g', 'gone')"
    )
    before = fingerprint(tmp_path)
    result = homie("reset", *folder, "--yes")
    assert result.code == 1
    assert len(problems(result.err)) == 1
    assert result.err.startswith(f"Error: Nothing was rolled back in {database}:\n  - ")
    for words in (
        "tasks:001_one",
        "tasks:002_two has no rollback_migration",
        "the installed pack does not ship tasks:007_x",
        "the pack of gone:001_g is not installed",
    ):
        assert words in result.err
    assert fingerprint(tmp_path) == before


def test_a_broken_pack_is_reported_as_broken_not_as_missing(homie, installed, shared: Path):
    (installed.site / "alarm_plugin" / "migrations" / "x.py").write_text("")
    before = fingerprint(shared.parent)
    result = homie("reset", "--database", shared, "--yes")
    assert result.code == 1
    assert "Broken: alarm" in result.err
    assert "is not installed" not in result.err
    assert fingerprint(shared.parent) == before


def test_one_that_fails_leaves_the_ones_before_it_rolled_back_and_the_snapshot(homie, folder, tmp_path: Path):
    database = tmp_path / "homie_tasks.db"
    (tmp_path / "tasks" / "001_one.py").write_text(
        ONE.replace("conn.execute('DROP TABLE one')", "conn.execute('DROP TABLE one')\n    raise RuntimeError('no')")
    )
    result = homie("reset", *folder, "--yes", "--json")
    assert (result.code, result.json["error"]["code"]) == (1, "migration_failed")
    assert result.json["databases"][0]["rolled_back"] == ["tasks:002_two"]
    assert recorded(database) == ["tasks:001_one"]
    assert tables(database) == {"one"}
    assert len(snapshots(database)) == 1


@pytest.mark.parametrize("exists", [True, False])
def test_with_nothing_applied_there_is_no_change_and_no_question(homie, folder, tmp_path: Path, exists: bool):
    assert homie("reset", *folder, "--yes").code == 0
    database = tmp_path / "homie_tasks.db"
    if not exists:
        database.unlink()
    before = fingerprint(tmp_path)
    result = homie("reset", *folder)
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[-1] == "  nothing to roll back"
    assert fingerprint(tmp_path) == before


def test_without_a_terminal_and_without_yes_nothing_is_done(homie, folder, tmp_path: Path):
    before = fingerprint(tmp_path)
    result = homie("reset", *folder, "--json")
    assert (result.code, result.json["error"]["code"]) == (2, "nobody_to_ask")
    assert fingerprint(tmp_path) == before


def test_it_always_takes_a_snapshot(homie, folder):
    assert homie("reset", *folder, "--yes", "--no-backup").code == 2


def test_without_a_possible_snapshot_nothing_is_rolled_back(homie, folder, tmp_path: Path):
    (tmp_path / "backups").write_text("a file of that name")
    before = fingerprint(tmp_path)
    result = homie("reset", *folder, "--yes", "--json")
    assert (result.code, result.json["error"]["code"]) == (1, "snapshot_failed")
    assert fingerprint(tmp_path) == before


def test_every_database_of_a_data_folder_is_reset_and_an_error_in_one_is_not_the_end(homie, installed, tmp_path: Path):
    installed.nothing_else()
    installed.pack("stuck", {"001_a.py": python_migration(1, "conn.execute('CREATE TABLE stuck (a)')")}, database="a.db")
    installed.pack("free", {"001_a.py": creates(1, "free")}, database="b.db")
    assert homie("apply", "--data-dir", tmp_path).code == 0
    result = homie("reset", "--data-dir", tmp_path, "--yes", "--json")
    assert result.code == 1
    assert [each["rolled_back"] for each in result.json["databases"]] == [[], ["free:001_a"]]
    assert recorded(tmp_path / "modules" / "a.db") == ["stuck:001_a"]
    assert recorded(tmp_path / "modules" / "b.db") == []
