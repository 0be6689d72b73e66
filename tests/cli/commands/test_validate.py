"""`validate`: what it says for people and programs, and how it ends."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import importlib_metadata  # noqa: F401  (before `nothing_else` hides the folder it is in)
import pytest
from cli.migration_folder import MigrationFolder
from helpers import EARLIER_TABLE, creates, fingerprint, problems, query, run_sql

FILE = "homie_tasks.db"
TWO = {"001_one.sql": "CREATE TABLE one (a)", "002_two.sql": "CREATE TABLE two (a)"}
FINDING_KEYS = {"code", "subject", "pack", "message", "advice", "accepted"}
SCHEMA = "`homie migrations schema` shows the expected schema."


@pytest.fixture
def tasks(homie, tmp_path: Path) -> MigrationFolder:
    """A folder of two migrations, and a database with both applied."""
    found = MigrationFolder(tmp_path, TWO)
    assert homie("apply", *found.options).code == 0
    return found


def test_a_database_in_order_has_no_findings_and_ends_with_0(homie, tasks: MigrationFolder):
    result = homie("validate", *tasks.options)
    assert (result.code, result.out, result.err) == (0, f"{tasks.database}: 0 findings\n", "")


def test_each_finding_is_a_line_with_its_code_and_a_line_of_advice_and_it_ends_with_4(homie, tasks: MigrationFolder):
    (tasks.folder / "001_one.sql").write_text("CREATE TABLE one (a); INSERT INTO one VALUES (1)")
    run_sql(tasks.database, "ALTER TABLE two ADD COLUMN b; UPDATE schema_migrations SET applied_at = '2026-01-05 09:30:00'")
    result = homie("validate", *tasks.options)
    assert (result.code, result.err) == (4, "")
    assert result.out.splitlines() == [
        f"{tasks.database}: 2 findings",
        "  edited: tasks:001_one was edited after it was applied at 2026-01-05 09:30:00 UTC; the version that was applied stays in effect; "
        "the pack now produces another schema than the one that is there (two)",
        "    Move the change into a new migration, or accept the file as it is: `homie migrations repair tasks:001_one`.",
        "  drift_column_added: `two` has a column `b` that no migration creates",
        f"    Write a migration that creates it, or take a snapshot and remove it by hand. {SCHEMA}",
    ]


def test_json_has_every_finding_with_the_promised_keys(homie, tasks: MigrationFolder):
    run_sql(tasks.database, "DROP TABLE one; DELETE FROM schema_migrations WHERE version = 1")
    result = homie("validate", *tasks.options, "--json")
    assert result.code == 4
    (database,) = result.json["databases"]
    assert (result.json["broken"], result.json["error"]) == ([], None)
    assert database["path"] == str(tasks.database)
    assert {"path", "exists", "state", "packs"} <= database.keys()
    (found,) = database["findings"]
    assert found.keys() == FINDING_KEYS
    assert (found["code"], found["subject"], found["pack"], found["accepted"]) == ("late", "tasks:001_one", "tasks", None)


def test_json_of_a_database_in_order_has_an_empty_list(homie, tasks: MigrationFolder):
    result = homie("validate", *tasks.options, "--json")
    assert result.code == 0
    assert result.json["databases"][0]["findings"] == []


@pytest.mark.parametrize("drift", [False, True])
def test_with_quiet_only_the_exit_code_reports(homie, tasks: MigrationFolder, drift):
    if drift:
        run_sql(tasks.database, "DROP TABLE one")
    result = homie("validate", *tasks.options, "-q")
    assert (result.code, result.out, result.err) == (4 if drift else 0, "", "")


def test_a_process_of_its_own_ends_with_the_same_code_and_changes_no_byte(homie_process, tasks: MigrationFolder, tmp_path: Path):
    run_sql(tasks.database, "DROP TABLE one")
    before = fingerprint(tmp_path)
    result = homie_process("validate", *tasks.options)
    assert (result.code, result.err) == (4, "")
    assert "drift_table_removed: the table `one`, which its migrations create, is missing" in result.out
    assert fingerprint(tmp_path) == before


def test_the_output_of_a_migration_in_the_replay_is_not_in_the_document(homie, tasks: MigrationFolder):
    (tasks.folder / "003_talks.py").write_text(
        "def get_migration_version(): return 3\ndef apply_migration(conn):\n    print('hello')\n    conn.execute('CREATE TABLE x (a)')\n"
    )
    assert homie("apply", *tasks.options, "--no-backup").code == 0
    result = homie("validate", *tasks.options, "--json")
    assert (result.code, result.json["databases"][0]["findings"]) == (0, [])


# --- databases that are not there, not ours, not readable -----------------------------------------------------------------


def test_a_missing_database_has_no_findings_and_stays_missing(homie, tasks: MigrationFolder, tmp_path: Path):
    nowhere = tmp_path / "nowhere.db"
    result = homie("validate", "--dir", tasks.folder, "--database", nowhere)
    assert (result.code, result.out) == (0, f"{nowhere}: 0 findings\n")
    assert not nowhere.exists()


def test_an_empty_database_has_no_findings_and_stays_empty(homie, tasks: MigrationFolder, tmp_path: Path):
    (tmp_path / "empty.db").touch()
    assert homie("validate", "--dir", tasks.folder, "--database", tmp_path / "empty.db").code == 0
    assert (tmp_path / "empty.db").stat().st_size == 0


def test_a_missing_folder_and_a_file_that_is_not_a_database_end_with_2(homie, tasks: MigrationFolder, tmp_path: Path):
    (tmp_path / "text.db").write_text("no database " * 100)
    assert homie("validate", "--dir", tasks.folder, "--database", tmp_path / "text.db").code == 2
    assert homie("validate", "--dir", tasks.folder, "--database", tmp_path / "no" / "x.db").code == 2
    assert not (tmp_path / "no").exists()


def test_another_tools_record_is_refused_with_1(homie, tasks: MigrationFolder, tmp_path: Path):
    run_sql(tmp_path / "rails.db", "CREATE TABLE schema_migrations (version TEXT PRIMARY KEY)")
    result = homie("validate", "--dir", tasks.folder, "--database", tmp_path / "rails.db", "--json")
    assert (result.code, result.json["error"]["code"]) == (1, "foreign_tracking_table")


def test_a_database_with_the_earlier_table_is_validated_and_not_brought_up_to_date(homie, tasks: MigrationFolder):
    tasks.database.unlink()
    record = "INSERT INTO schema_migrations (version, migration_name) VALUES (1, '001_one'), (2, '002_two');"
    run_sql(tasks.database, f"{EARLIER_TABLE} {record} CREATE TABLE one (a); CREATE TABLE two (b);")
    before = fingerprint(tasks.database.parent)
    result = homie("validate", *tasks.options)
    assert result.code == 4
    assert "drift_column_renamed: `two` has `b` where its migrations create `a`" in result.out
    assert fingerprint(tasks.database.parent) == before


@pytest.mark.skipif(os.name == "nt", reason="a kill of POSIX")
def test_an_interrupted_database_is_reported_and_unchanged(homie, tasks: MigrationFolder, tmp_path: Path):
    code = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('PRAGMA cache_size = 2'); "
        "c.execute('BEGIN IMMEDIATE'); c.executemany('INSERT INTO one VALUES (?)', [('x' * 500,)] * 500); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tasks.database)], check=False)
    before = fingerprint(tmp_path)
    result = homie("validate", *tasks.options, "--json")
    assert (result.code, result.json["error"]["code"]) == (1, "database_interrupted")
    assert fingerprint(tmp_path) == before


def test_a_database_that_others_write_to_is_validated_beside_them(homie, tasks: MigrationFolder):
    with closing(sqlite3.connect(tasks.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO one VALUES (1)")
        result = homie("validate", *tasks.options, "--lock-timeout", "0.2")
    assert result.code == 0


# --- installed packs ----------------------------------------------------------------------------------------------------


def test_several_databases_are_each_validated_and_one_with_findings_is_enough_for_4(homie, installed, tmp_path: Path):
    installed.nothing_else()
    installed.pack("alpha", {"001_a.py": creates(1, "a")})
    installed.pack("beta", {"001_b.py": creates(1, "b")})
    assert homie("apply", "--data-dir", tmp_path).code == 0
    assert homie("validate", "--data-dir", tmp_path).code == 0
    run_sql(tmp_path / "modules" / "homie_beta.db", "DROP TABLE b")
    result = homie("validate", "--data-dir", tmp_path)
    assert result.code == 4
    heads = [line for line in result.out.splitlines() if not line.startswith(" ")]
    assert heads == [
        f"{tmp_path / 'modules' / 'homie_alpha.db'}: 0 findings",
        f"{tmp_path / 'modules' / 'homie_beta.db'}: 1 finding",
    ]
    assert homie("validate", "--database", tmp_path / "modules" / "homie_alpha.db").code == 0


def test_a_database_that_can_not_be_read_does_not_hide_the_findings_of_another(homie, installed, tmp_path: Path):
    installed.nothing_else()
    installed.pack("alpha", {"001_a.py": creates(1, "a")})
    installed.pack("beta", {"001_b.py": creates(1, "b")})
    homie("apply", "--data-dir", tmp_path)
    (tmp_path / "modules" / "homie_alpha.db").write_text("no database " * 100)
    run_sql(tmp_path / "modules" / "homie_beta.db", "DROP TABLE b")
    result = homie("validate", "--data-dir", tmp_path)
    assert result.code == 2
    assert "drift_table_removed" in result.out
    assert len(problems(result.err)) == 1


def test_with_a_named_pack_only_its_findings_are_reported(homie, installed, tmp_path: Path):
    installed.nothing_else()
    installed.pack("alpha", {"001_a.py": creates(1, "a")}, database="homie_both.db")
    installed.pack("beta", {"001_b.py": creates(1, "b")}, database="homie_both.db")
    homie("apply", "--data-dir", tmp_path)
    run_sql(tmp_path / "modules" / "homie_both.db", "DROP TABLE b")
    assert homie("validate", "--data-dir", tmp_path, "--pack", "alpha").code == 0
    assert homie("validate", "--data-dir", tmp_path, "--pack", "beta").code == 4


def test_a_broken_pack_ends_with_1_and_its_records_are_not_called_orphaned(homie, installed, tmp_path: Path):
    installed.nothing_else()
    installed.pack("alpha", {"001_a.py": creates(1, "a")}, database="homie_both.db")
    folder = installed.pack("beta", {"001_b.py": creates(1, "b")}, database="homie_both.db")
    homie("apply", "--data-dir", tmp_path)
    (folder / "no rule.py").touch()
    result = homie("validate", "--data-dir", tmp_path, "--json")
    assert result.code == 1
    assert result.json["databases"][0]["findings"] == []
    assert [each["entry_point"] for each in result.json["broken"]] == ["beta"]
    run_sql(tmp_path / "modules" / "homie_both.db", "DROP TABLE a")
    result = homie("validate", "--data-dir", tmp_path, "--json")
    assert result.code == 1
    assert [each["code"] for each in result.json["databases"][0]["findings"]] == ["drift_table_removed"]


def test_records_of_a_distribution_that_is_gone_are_orphaned(homie, installed, tmp_path: Path):
    installed.nothing_else()
    installed.pack("alpha", {"001_a.py": creates(1, "a")}, database="homie_both.db")
    installed.pack("beta", {"001_b.py": creates(1, "b")}, database="homie_both.db")
    homie("apply", "--data-dir", tmp_path)
    (installed.site / "beta_dist-1.0.dist-info" / "entry_points.txt").unlink()
    result = homie("validate", "--data-dir", tmp_path)
    assert result.code == 4
    assert "  orphaned: beta:001_b was applied at " in result.out
    assert "Install the pack again, or remove its record: `homie migrations repair beta:001_b`." in result.out


def test_records_behind_an_entry_point_that_can_not_be_loaded_are_not_called_orphaned(homie, installed, tmp_path: Path):
    installed.nothing_else()
    installed.pack("alpha", {"001_a.py": creates(1, "a")}, database="homie_both.db")
    folder = installed.pack("beta", {"001_b.py": creates(1, "b")}, database="homie_both.db")
    homie("apply", "--data-dir", tmp_path)
    (folder.parent / "__init__.py").write_text("raise ImportError('a library is missing')")
    sys.modules.pop(folder.parent.name, None)
    result = homie("validate", "--data-dir", tmp_path, "--json")
    assert result.code == 1
    assert result.json["databases"][0]["findings"] == []


# --- refusals that explain ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_a_refused_late_migration_reports_whether_the_order_matters(homie, tasks: MigrationFolder, command):
    run_sql(tasks.database, "DROP TABLE one; DELETE FROM schema_migrations WHERE version = 1")
    before = fingerprint(tasks.database.parent)
    result = homie(command, *tasks.options)
    assert (result.code, len(problems(result.err))) == (1, 1)
    assert "applied now, the migrations produce the same schema as in the order of their versions" in result.err
    assert "--allow-late" in result.err
    assert homie(command, *tasks.options, "--json").json["error"]["code"] == "migration_late"
    assert fingerprint(tasks.database.parent) == before
    assert homie("plan", *tasks.options, "--allow-late").code == 0


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_a_refused_replaced_migration_reports_whether_the_schema_is_there(homie, tasks: MigrationFolder, command):
    (tasks.folder / "002_two.sql").unlink()
    (tasks.folder / "002_other.sql").write_text("CREATE TABLE two (a, b)")
    result = homie(command, *tasks.options)
    assert (result.code, len(problems(result.err))) == (1, 1)
    assert "the schema is not the one that the pack produces today" in result.err
    assert "`two` lacks the column `b`, which its migrations create" in result.err


def test_a_repaired_finding_is_gone(homie, tasks: MigrationFolder):
    (tasks.folder / "001_one.sql").write_text("CREATE TABLE one (a); INSERT INTO one VALUES (1)")
    assert homie("validate", *tasks.options).code == 4
    assert homie("repair", "tasks:001_one", *tasks.options, "--yes", "--no-backup").code == 0
    assert homie("validate", *tasks.options).code == 0
    assert query(tasks.database, "SELECT count(*) FROM schema_migrations") == [(2,)]
