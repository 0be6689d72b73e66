"""Each migration on tables that hold rows: every finding is provoked by a real pack, and is gone once the pack is corrected."""

from __future__ import annotations

import re
import textwrap

import pytest
from checked_packs import ADD, INDEX, REBUILD, codes, only
from helpers import python_migration


def test_a_not_null_column_without_a_default_fails_where_there_are_rows(checked):
    finding = only(checked("conn.execute('ALTER TABLE notes ADD COLUMN size INTEGER NOT NULL')", rollback=REBUILD + INDEX))
    assert (finding.code, finding.subject) == ("not_null_without_default", "p:002_second")
    assert "Cannot add a NOT NULL column" in finding.message


def test_a_rebuild_that_forgets_to_fill_a_not_null_column_is_the_same(checked):
    body = """
    conn.execute("CREATE TABLE rebuilt (id INTEGER PRIMARY KEY, folder INTEGER REFERENCES folders (id), text TEXT, size INTEGER NOT NULL)")
    conn.execute("INSERT INTO rebuilt (id, folder, text) SELECT id, folder, text FROM notes")
    conn.execute("DROP TABLE notes")
    conn.execute("ALTER TABLE rebuilt RENAME TO notes")
    """
    assert codes(checked(body + INDEX, rollback=REBUILD + INDEX)) == ["not_null_without_default"]


def test_a_migration_that_trips_over_nulls_fails_on_data(checked):
    finding = only(checked("for (text,) in conn.execute('SELECT text FROM notes'):\n    text.upper()", rollback="pass"))
    assert finding.code == "fails_on_data"
    assert "'NoneType' object has no attribute 'upper'" in finding.message


def test_a_unique_index_over_what_is_not_unique_fails_on_data(checked):
    finding = only(checked("conn.execute('CREATE UNIQUE INDEX one ON notes (folder > 0)')", "conn.execute('DROP INDEX one')"))
    assert finding.code == "fails_on_data"


def test_a_rollback_that_forgets_an_index_is_told(checked):
    finding = only(checked(ADD, rollback=REBUILD))
    assert finding.code == "rollback_changes_schema"
    assert "index notes_of_folder of notes removed" in finding.message


def test_a_rebuild_does_not_cascade_and_one_that_deletes_children_is_told_with_table_and_number(checked):
    """Keys are not enforced in a migration, so a textbook rebuild of a parent keeps the children."""
    rebuild = """
    conn.execute("CREATE TABLE rebuilt (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
    conn.execute("INSERT INTO rebuilt SELECT id, name FROM folders")
    conn.execute("DROP TABLE folders")
    conn.execute("ALTER TABLE rebuilt RENAME TO folders")
    """
    add = "conn.execute('ALTER TABLE folders ADD COLUMN colour TEXT')"
    assert checked(add, rollback=rebuild).passed
    finding = only(checked(add, rollback="conn.execute('DELETE FROM notes WHERE folder IS NOT NULL')\n" + textwrap.dedent(rebuild)))
    assert finding.code == "rollback_loses_rows"
    assert re.search(r"p:002_second loses \d+ of 24 rows of notes .*the rollback deletes them", finding.message)


def test_rows_that_apply_deletes_and_rollback_does_not_bring_back_are_told(checked):
    finding = only(checked("conn.execute('DELETE FROM notes WHERE id > 4')", rollback="pass"))
    assert finding.code == "rollback_loses_rows"
    assert "loses 20 of 24 rows of notes" in finding.message
    assert "does not restore them" in finding.message


def test_rows_of_a_table_that_the_migration_made_may_go(checked):
    body = "conn.execute('CREATE TABLE copies AS SELECT * FROM notes')"
    assert checked(body, rollback="conn.execute('DROP TABLE copies')").passed


def test_a_default_that_replaces_nulls_is_told_by_column(checked):
    rollback = REBUILD.replace("SELECT id, folder, text", "SELECT id, folder, coalesce(text, '')") + INDEX
    finding = only(checked(ADD, rollback=rollback))
    assert finding.code == "rollback_changes_rows"
    assert "changes 4 of 24 rows of notes" in finding.message
    assert finding.message.endswith("text (4).")


def test_a_value_that_comes_back_with_another_type_is_told(checked):
    apply = "conn.execute('ALTER TABLE folders ADD COLUMN size')\nconn.execute('CREATE TABLE kept AS SELECT id, folder FROM notes')"
    rollback = """
    conn.execute("DROP TABLE kept")
    conn.execute("ALTER TABLE folders DROP COLUMN size")
    conn.execute("UPDATE folders SET name = CAST(name AS BLOB)")
    """
    finding = only(checked(apply, rollback=rollback))
    assert (finding.code, "name (24)" in finding.message) == ("rollback_changes_rows", True)


def test_rows_of_tables_without_a_key_are_compared_too(checked):
    first = python_migration(1, "conn.execute('CREATE TABLE t (a, b)')", rollback="conn.execute('DROP TABLE t')")
    rollback = "conn.execute('UPDATE t SET b = 1 WHERE a IS NOT NULL')\nconn.execute('DELETE FROM t WHERE a IS NULL')"
    found = checked("pass", rollback=rollback, first=first)
    assert codes(found) == ["rollback_loses_rows", "rollback_changes_rows"]


def test_a_rollback_that_fails_is_a_finding(checked):
    finding = only(checked(ADD, rollback="conn.execute('DROP TABLE missing')"))
    assert finding.code == "rollback_fails"
    assert "no such table: missing" in finding.message


def test_a_rollback_that_works_on_empty_tables_only_is_a_finding(checked):
    rollback = "conn.execute('ALTER TABLE notes DROP COLUMN colour')\nassert not conn.execute('SELECT 1 FROM notes').fetchall()"
    assert codes(checked(ADD, rollback=rollback)) == ["rollback_fails"]


@pytest.mark.parametrize(
    ("rollback", "message"),
    [
        ("conn.execute('DROP TABLE missing')", "can't be rolled back: OperationalError: no such table: missing"),
        ("conn.execute('DROP TABLE folders')", "can't be rolled back: notes(folder) refers to folders, which does not exist"),
        (
            "conn.execute('CREATE UNIQUE INDEX one ON notes (folder > 0)')",
            "can't be rolled back where there are rows: IntegrityError: UNIQUE constraint failed",
        ),
    ],
)
def test_a_rollback_is_said_to_fail_where_there_are_rows_only_if_it_works_on_empty_tables(checked, rollback: str, message: str):
    finding = only(checked("pass", rollback=rollback))
    assert finding.code == "rollback_fails"
    assert finding.message.startswith(f"p:002_second {message}")


def test_what_a_rollback_leaves_behind_may_stop_the_second_apply(checked):
    found = checked("conn.execute('CREATE TABLE tags (a)')", rollback="pass")
    assert codes(found) == ["rollback_changes_schema", "apply_again_fails"]


def test_rows_that_a_second_apply_doubles_are_told(checked):
    apply = "conn.execute(\"INSERT INTO folders (name) VALUES ('inbox')\")"
    finding = only(checked(apply, rollback="pass"))
    assert finding.code == "apply_again_differs"
    assert "folders has 26 rows instead of 25" in finding.message
    assert checked(apply, rollback="conn.execute(\"DELETE FROM folders WHERE name = 'inbox'\")").passed


def test_a_migration_without_a_rollback_is_noted_and_no_finding(checked):
    found = checked(ADD)
    assert found.passed
    assert found.notes == ("p:002_second has no rollback, so only applying it was tested",)


def test_a_broken_migration_in_the_middle_does_not_hide_what_is_before_it(checked):
    found = checked(ADD, rollback=REBUILD, **{"003_c.py": python_migration(3, "raise RuntimeError('oops')")})
    assert codes(found) == ["rollback_changes_schema", "does_not_apply"]
    assert [each.subject for each in found.findings] == ["p:002_second", "p:003_c"]


def test_a_migration_that_fails_on_data_is_still_taken_back_on_empty_tables(checked):
    found = checked("conn.execute('ALTER TABLE notes ADD COLUMN size INTEGER NOT NULL')", rollback="pass")
    assert codes(found) == ["not_null_without_default", "rollback_changes_schema", "apply_again_fails"]
