"""What is wrong with the history of a database is found, and validating changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import (
    EARLIER_TABLE,
    fingerprint,
    python_migration,
    query,
    run_sql,
)
from inspection.workspace import Workspace, apply_all_but_one

from homie_migrations_core.errors import (
    DatabaseInterrupted,
    OwnerUnclear,
    RunStopped,
)
from homie_migrations_core.sqlite.schema_objects import parse
from homie_migrations_core.sqlite.sql_tokens import tokenize


def test_several_late_migrations_are_several_findings(workspace: Workspace):
    workspace.write(
        "p", _001_a="CREATE TABLE a (x)", _002_b="CREATE TABLE b (x)", _003_c="CREATE TABLE c (x)", _004_d="CREATE TABLE d (x)"
    )
    contents = {name: workspace.remove("p", name) for name in ("002_b", "003_c")}
    workspace.apply()
    workspace.write("p", **{f"_{name}": content for name, content in contents.items()})
    assert [(each.code, each.subject) for each in workspace.findings()] == [("late", "p:002_b"), ("late", "p:003_c")]


def test_a_late_migration_that_was_allowed_is_no_finding_afterwards(workspace: Workspace):
    apply_all_but_one(workspace, "CREATE TABLE t (a)", "ALTER TABLE t ADD COLUMN b", "ALTER TABLE t ADD COLUMN c")
    run_sql(workspace.path, "UPDATE schema_migrations SET applied_at = '2025-01-01 00:00:00'")
    workspace.apply(allow_late=True)
    assert workspace.findings() == []


def test_the_order_of_migrations_applied_within_one_second_is_known(workspace: Workspace):
    apply_all_but_one(workspace, "CREATE TABLE t (a)", "ALTER TABLE t ADD COLUMN b", "ALTER TABLE t ADD COLUMN c")
    workspace.apply(allow_late=True)
    run_sql(workspace.path, "UPDATE schema_migrations SET applied_at = '2025-01-01 00:00:00'")
    assert workspace.findings() == []


def test_a_clock_that_was_set_back_between_two_migrations_is_no_finding(workspace: Workspace):
    workspace.write("p", _001_t="CREATE TABLE t (a)", _002_more="ALTER TABLE t ADD COLUMN b")
    workspace.runner().apply(to="p:1")
    run_sql(workspace.path, "UPDATE schema_migrations SET applied_at = '2099-01-01 00:00:00'")
    workspace.apply()
    assert workspace.findings() == []


def test_an_edit_that_changes_nothing_but_comments_is_no_finding(workspace: Workspace):
    workspace.write("p", _001_t=python_migration(1, "conn.execute('CREATE TABLE t (a)')"), _002_u="CREATE TABLE u (a);")
    workspace.apply()
    workspace.write(
        "p",
        _001_t=python_migration(1, "# a comment\nconn.execute('CREATE TABLE t (a)')  # and another\n"),
        _002_u="-- what it makes\nCREATE TABLE u (a);  \n\n",
    )
    assert workspace.findings() == []


def test_an_edit_that_changes_the_schema_is_a_finding_with_the_objects_that_differ(workspace: Workspace):
    workspace.write("p", _001_t="CREATE TABLE t (a)", _002_u="CREATE TABLE u (a)")
    workspace.apply()
    workspace.write("p", _001_t="CREATE TABLE t (a, b); CREATE TABLE more (x)")
    edited, *drift = workspace.findings()
    at = query(workspace.path, "SELECT applied_at FROM schema_migrations WHERE version = 1")[0][0]
    assert (edited.code, edited.subject, edited.pack) == ("edited", "p:001_t", "p")
    assert edited.message == (
        f"p:001_t was edited after it was applied at {at} UTC; the version that was applied stays in effect; "
        "the pack now produces another schema than the one that is there (more, t)"
    )
    assert sorted(each.code for each in drift) == ["drift_column_removed", "drift_table_removed"]


def test_an_edit_without_effect_on_the_schema_says_so(workspace: Workspace):
    workspace.write("p", _001_t="CREATE TABLE t (a)")
    workspace.apply()
    workspace.write("p", _001_t="CREATE TABLE t (a); INSERT INTO t VALUES (1)")
    (edited,) = workspace.findings()
    assert edited.code == "edited"
    assert edited.message.endswith("; the pack still produces the schema that is there, so only changes to rows can differ")


def test_an_edit_of_one_pack_does_not_mention_the_drift_of_another(workspace: Workspace):
    workspace.write("p", _001_t="CREATE TABLE t (a)")
    workspace.write("q", _001_u="CREATE TABLE u (a)")
    workspace.apply()
    workspace.write("p", _001_t="CREATE TABLE t (a); INSERT INTO t VALUES (1)")
    run_sql(workspace.path, "DROP TABLE u")
    edited, drift = workspace.findings()
    assert (edited.code, drift.code, drift.pack) == ("edited", "drift_table_removed", "q")
    assert "still produces the schema that is there" in edited.message


def test_a_number_that_was_used_twice_is_a_finding(workspace: Workspace):
    workspace.write("p", _001_t="CREATE TABLE t (a)", _002_u="CREATE TABLE u (a)")
    workspace.apply()
    workspace.remove("p", "002_u")
    workspace.write("p", _002_other="CREATE TABLE other (a)")
    (found,) = workspace.findings()
    assert (found.code, found.subject, found.pack) == ("replaced", "p:002_u", "p")
    assert "but its number now belongs to another migration" in found.message


def test_missing_and_ahead_migrations_are_findings_and_their_tables_belong_to_no_pack(workspace: Workspace):
    workspace.write(
        "p", _001_t="CREATE TABLE t (a)", _002_u="CREATE TABLE u (a)", _003_v="CREATE TABLE v (a)", _004_w="CREATE TABLE w (a)"
    )
    workspace.apply()
    workspace.remove("p", "002_u")
    workspace.remove("p", "004_w")
    assert [(each.code, each.subject, each.pack) for each in workspace.findings()] == [
        ("missing", "p:002_u", "p"),
        ("ahead", "p:004_w", "p"),
    ]


def test_drift_names_the_unavailable_migrations_that_it_may_come_from(workspace: Workspace):
    workspace.write("p", _001_t="CREATE TABLE t (a)", _002_more="ALTER TABLE t ADD COLUMN b", _003_v="CREATE TABLE v (a)")
    workspace.apply()
    workspace.remove("p", "002_more")
    missing, drift = workspace.findings()
    assert missing.code == "missing"
    assert drift.message == "`t` has a column `b` that no migration creates (it may come from p:002_more, which can't be replayed)"


def test_records_of_a_pack_that_is_not_installed_are_orphaned(workspace: Workspace):
    workspace.write("p", _001_t="CREATE TABLE t (a)")
    workspace.write("q", _001_u="CREATE TABLE u (a)", _002_t="-- requires: p:1\nALTER TABLE t ADD COLUMN b")
    workspace.apply()
    found = workspace.findings("p")
    assert [(each.code, each.subject, each.pack) for each in found] == [
        ("orphaned", "q:001_u", "q"),
        ("orphaned", "q:002_t", "q"),
        ("drift_column_added", "t", "p"),
    ]
    assert "it may come from q:001_u, q:002_t, which can't be replayed" in found[2].message


def test_records_of_a_broken_pack_are_not_orphaned(workspace: Workspace):
    workspace.write("p", _001_t="CREATE TABLE t (a)")
    workspace.write("q", _001_u="CREATE TABLE u (a)", _002_t="-- requires: p:1\nALTER TABLE t ADD COLUMN b")
    workspace.apply()
    (workspace.folder / "q" / "not by the rule.sql").touch()
    (found,) = workspace.findings()
    assert found.code == "drift_column_added"
    assert "it may come from q:001_u, q:002_t, which can't be replayed" in found.message


def test_an_applied_migration_without_its_requirement_is_out_of_step(workspace: Workspace):
    workspace.write("p", _001_t="CREATE TABLE t (a)", _002_u="CREATE TABLE u (a)")
    workspace.write("q", _001_v="-- requires: p:2\nCREATE TABLE v (a)")
    workspace.apply()
    run_sql(workspace.path, "DELETE FROM schema_migrations WHERE pack = 'p' AND version = 2")
    (found,) = workspace.findings()
    assert (found.code, found.subject, found.pack) == ("out_of_step", "q:001_v", "q")
    assert found.message == "q:001_v is applied and requires p:2, which is not applied"


@pytest.mark.parametrize(
    "content",
    [b"def get_migration_version(): return 2\n", b"this is no Python", b"\xff\xfe"],
    ids=["no function", "syntax", "bytes"],
)
def test_an_applied_file_that_cannot_be_read_is_a_finding(workspace: Workspace, content):
    workspace.write("p", _001_t="CREATE TABLE t (a)", _002_u=python_migration(2, "conn.execute('CREATE TABLE u (a)')"))
    workspace.apply()
    (workspace.folder / "p" / "002_u.py").write_bytes(content)
    found = workspace.findings()
    assert [(each.code, each.subject) for each in found if each.code != "edited"] == [
        ("unreadable", "p:002_u"),
        ("replay_failed", "p:002_u"),
    ]
    assert "002_u.py" in found[0].message


def test_a_migration_that_fails_on_an_empty_database_is_a_finding_beside_the_history(workspace: Workspace):
    run_sql(workspace.path, "CREATE TABLE own (a); INSERT INTO own VALUES (1)")
    workspace.write(
        "p", _001_t="CREATE TABLE t (a)", _002_rows=python_migration(2, "conn.execute('SELECT a FROM own').fetchone()[0]")
    )
    workspace.apply()
    workspace.write("p", _001_t="CREATE TABLE t (a, b)")
    edited, failed = workspace.findings()
    assert (edited.code, failed.code, failed.subject, failed.pack) == ("edited", "replay_failed", "p:002_rows", "p")
    assert failed.message == (
        "p:002_rows can't be replayed on an empty database (OperationalError: no such table: own (002_rows.py, line 8)), "
        "so the schema was not compared"
    )


# --- other states of a database ---------------------------------------------------------------------------------------


def test_an_earlier_tracking_table_is_validated_without_converting_it(workspace: Workspace):
    workspace.write("p", _001_t="CREATE TABLE t (a)", _002_u="CREATE TABLE u (a)")
    run_sql(
        workspace.path,
        f"{EARLIER_TABLE} CREATE TABLE t (a); INSERT INTO schema_migrations (version, migration_name) VALUES (1, 'x');",
    )
    assert workspace.findings() == []
    run_sql(workspace.path, "INSERT INTO schema_migrations (version, migration_name) VALUES (2, '002_u'), (3, '003_v')")
    assert [(each.code, each.subject) for each in workspace.findings()] == [("ahead", "p:003_v"), ("drift_table_removed", "u")]


def test_an_earlier_tracking_table_without_a_clear_owner_is_refused(tmp_path: Path):
    workspace = Workspace(tmp_path, "app.db")
    workspace.write("p", _001_t="CREATE TABLE t (a)")
    workspace.write("q", _001_t="CREATE TABLE t (a)")
    run_sql(workspace.path, f"{EARLIER_TABLE} INSERT INTO schema_migrations (version, migration_name) VALUES (1, '001_t');")
    with pytest.raises(OwnerUnclear):
        workspace.runner().validate()


@pytest.mark.parametrize("make", [lambda path: None, Path.touch, lambda path: run_sql(path, "CREATE TABLE own (a)")])
def test_a_database_without_records_has_no_findings_and_stays_as_it_is(workspace: Workspace, make: Callable[[Path], None]):
    workspace.write("p", _001_t="CREATE TABLE t (a); CREATE VIEW v AS SELECT a FROM t")
    make(workspace.path)
    assert workspace.findings() == []


@pytest.mark.skipif(os.name == "nt", reason="a kill of POSIX")
def test_an_interrupted_database_is_reported_as_such_and_left_alone(workspace: Workspace):
    workspace.write("p", _001_t="CREATE TABLE t (a)")
    workspace.apply()
    code = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('PRAGMA cache_size = 2'); "
        "c.execute('BEGIN IMMEDIATE'); c.executemany('INSERT INTO t VALUES (?)', [('x' * 500,)] * 500); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(workspace.path)], check=False)
    before = fingerprint(workspace.folder)
    with pytest.raises(DatabaseInterrupted):
        workspace.runner().validate()
    assert fingerprint(workspace.folder) == before


def test_a_replay_never_runs_the_authors_code_on_the_file(workspace: Workspace):
    note = workspace.folder.parent / f"{workspace.folder.name}.seen"
    body = f"""
        with open({str(note)!r}, "a") as file:
            file.write(repr(conn.execute("PRAGMA database_list").fetchone()[2]) + "\\n")
        conn.execute("CREATE TABLE t (a)")
        conn.execute("INSERT INTO t VALUES (1)")
    """
    workspace.write("p", _001_t=python_migration(1, body))
    workspace.apply()
    assert workspace.findings() == []
    assert note.read_text().splitlines() == [repr(os.path.realpath(workspace.path)), "''"]
    assert query(workspace.path, "SELECT count(*) FROM t") == [(1,)]


def test_a_stop_ends_every_reading_call_with_run_stopped(workspace: Workspace):
    apply_all_but_one(workspace, "CREATE TABLE t (a)", "CREATE TABLE u (a)", "CREATE TABLE v (a)")
    for call in ("validate", "plan", "apply", "schema", "real_schema"):
        with pytest.raises(RunStopped):
            getattr(workspace.runner(should_stop=lambda: True), call)()
    with pytest.raises(RunStopped):
        workspace.runner(should_stop=lambda: True).detect("p")


def test_no_definition_is_taken_apart_where_the_texts_are_equal(workspace: Workspace):
    workspace.write(
        "p", _001_t="CREATE TABLE t (a CHECK (a > 0));\nCREATE INDEX i ON t (a);", _002_v="CREATE VIEW v AS SELECT a FROM t"
    )
    workspace.apply()
    tokenize.cache_clear()
    parse.cache_clear()
    assert workspace.findings() == []
    assert (tokenize.cache_info().misses, parse.cache_info().misses) == (0, 0)
    run_sql(workspace.path, "DROP INDEX i; CREATE INDEX i ON t (a DESC)")
    assert workspace.codes() == ["drift_index_changed"]
    assert tokenize.cache_info().misses == 2, "the two texts of the index"
