"""Differences between a real schema and the one that the migrations produce: which are found, and which are none."""

from __future__ import annotations

import contextlib
import sqlite3
import typing

import pytest
from helpers import (
    python_migration,
    run_sql,
)
from inspection.workspace import BY, DOCUMENTED, Workspace

import homie_migrations_core
from homie_migrations_core.sqlite.schema_comparison import Change, Kind

# --- drift ------------------------------------------------------------------------------------------------------------

MADE = {
    "_001_notes": """
        CREATE TABLE folders (id INTEGER PRIMARY KEY, name TEXT, mark TEXT);
        CREATE TABLE notes (
            id INTEGER PRIMARY KEY,
            text TEXT NOT NULL,  -- what it says
            folder INTEGER REFERENCES folders (id),
            colour,
            UNIQUE (folder, text)
        );
        CREATE INDEX notes_by_text ON notes (text);
        CREATE TABLE drafts (id INTEGER);
        CREATE VIEW named AS SELECT text, name FROM notes JOIN folders ON folder = folders.id;
        CREATE TRIGGER no_empty BEFORE INSERT ON notes WHEN new.text = '' BEGIN SELECT RAISE(ABORT, 'Empty'); END;
        CREATE TRIGGER through INSTEAD OF INSERT ON named BEGIN INSERT INTO notes (text) VALUES (new.text); END;
    """,
    "_002_no_drafts": "DROP TABLE drafts; CREATE VIRTUAL TABLE search USING fts5 (text, content='notes', content_rowid='id');",
}

# a change by hand → code, subject, message
DRIFT = {
    "ALTER TABLE notes ADD COLUMN stars INTEGER": ("column_added", "notes", "`notes` has a column `stars` that no migration creates"),
    "ALTER TABLE notes DROP COLUMN colour": (
        "column_removed", "notes", "`notes` lacks the column `colour`, which its migrations create"),
    "ALTER TABLE notes RENAME COLUMN colour TO Shade": (
        "column_renamed", "notes", "`notes` has `Shade` where its migrations create `colour`"),
    "ALTER TABLE folders DROP COLUMN mark; ALTER TABLE folders ADD COLUMN mark INTEGER": (
        "column_changed", "folders", "the column `mark` of `folders` is INTEGER, but its migrations create TEXT"),
    "DROP TABLE folders; CREATE TABLE folders (name TEXT, id INTEGER PRIMARY KEY, mark TEXT)": (
        "table_reordered", "folders", "the columns of `folders` are in another order than in its migrations: name, id, mark"),
    "DROP TABLE folders": ("table_removed", "folders", "the table `folders`, which its migrations create, is missing"),
    "CREATE TABLE Drafts (id INTEGER)": (
        "table_added", "Drafts", "the table `Drafts` exists, although its migrations drop it"),
    "DROP TABLE search; CREATE VIRTUAL TABLE search USING fts5 (text, content='', content_rowid='id')": (
        "table_changed",
        "search",
        "the table `search` is not what its migrations create: CREATE VIRTUAL TABLE search USING fts5(text, content = '', "
        "content_rowid = 'id') instead of CREATE VIRTUAL TABLE search USING fts5(text, content = 'notes', content_rowid = 'id')"),
    "DROP INDEX notes_by_text": (
        "index_removed", "notes_by_text", "`notes` lacks the index `notes_by_text`, which its migrations create"),
    "CREATE INDEX mine ON notes (colour)": ("index_added", "mine", "`notes` has an index `mine` that no migration creates"),
    "DROP INDEX notes_by_text; CREATE INDEX notes_by_text ON notes (text COLLATE NOCASE)": (
        "index_changed",
        "notes_by_text",
        "the index `notes_by_text` of `notes` is CREATE INDEX notes_by_text ON notes(text COLLATE nocase), but its migrations create "
        "CREATE INDEX notes_by_text ON notes(text)"),
    "DROP TRIGGER no_empty": ("trigger_removed", "no_empty", "`notes` lacks the trigger `no_empty`, which its migrations create"),
    "CREATE TRIGGER mine AFTER DELETE ON notes BEGIN SELECT 'a\nb'; END": (
        "trigger_added", "mine", "`notes` has a trigger `mine` that no migration creates"),
    "DROP TRIGGER no_empty; "
    "CREATE TRIGGER no_empty BEFORE INSERT ON notes WHEN new.text = '' BEGIN SELECT RAISE(IGNORE); END": (
        "trigger_changed",
        "no_empty",
        "the trigger `no_empty` of `notes` is CREATE TRIGGER no_empty BEFORE INSERT ON notes WHEN new.text = '' "
        "BEGIN SELECT RAISE(IGNORE); END, but its migrations create CREATE TRIGGER no_empty BEFORE INSERT ON notes WHEN new.text = '' "
        "BEGIN SELECT RAISE(ABORT, 'Empty'); END"),
    "DROP TRIGGER through": ("trigger_removed", "through", "`named` lacks the trigger `through`, which its migrations create"),
    "CREATE TRIGGER mine INSTEAD OF DELETE ON named BEGIN SELECT 1; END": (
        "trigger_added", "mine", "`named` has a trigger `mine` that no migration creates"),
}  # fmt: skip


@BY
@pytest.mark.parametrize("by_hand", DRIFT)
def test_a_change_made_by_hand_is_found(workspace: Workspace, by, by_hand):
    workspace.write("p", **MADE)
    workspace.apply()
    by(workspace.path, by_hand)
    code, subject, message = DRIFT[by_hand]
    assert [(each.code, each.subject, each.message) for each in workspace.findings()] == [(f"drift_{code}", subject, message)]


@pytest.mark.parametrize("by_hand", DRIFT)
def test_drift_names_the_pack_that_the_object_belongs_to(workspace: Workspace, by_hand):
    workspace.write("p", **MADE)
    workspace.write("other", _001_other="CREATE TABLE other (a)")
    workspace.apply()
    run_sql(workspace.path, by_hand)
    assert [each.pack for each in workspace.findings()] == ["p"]


VIEW_CHANGED = "DROP VIEW named; CREATE VIEW named AS SELECT text FROM notes"


def test_a_changed_view_is_found_with_its_dropped_trigger(workspace: Workspace):
    workspace.write("p", **MADE)
    workspace.apply()
    run_sql(workspace.path, VIEW_CHANGED)
    assert [(each.code, each.subject, each.pack) for each in workspace.findings()] == [
        ("drift_trigger_removed", "through", "p"),
        ("drift_view_changed", "named", "p"),
    ]


STRICTER = "DROP TABLE folders; CREATE TABLE folders (id INTEGER PRIMARY KEY, name TEXT, mark TEXT, UNIQUE (name)) STRICT"


def test_the_subject_of_a_constraint_or_option_is_its_table(workspace: Workspace):
    workspace.write("p", **MADE)
    workspace.apply()
    run_sql(workspace.path, STRICTER)
    assert [(each.code, each.subject, each.message) for each in workspace.findings()] == [
        ("drift_constraint_added", "folders", "`folders` has a constraint `UNIQUE` that no migration creates"),
        ("drift_option_added", "folders", "`folders` has an option `STRICT` that no migration creates"),
    ]


def test_a_column_without_a_type_is_described_in_a_whole_sentence(workspace: Workspace):
    workspace.write("p", **MADE)
    workspace.apply()
    run_sql(workspace.path, "DROP TABLE folders; CREATE TABLE folders (id INTEGER PRIMARY KEY, name, mark TEXT)")
    (found,) = workspace.findings()
    assert found.code == "drift_column_changed"
    assert found.message == "the column `name` of `folders` is untyped, but its migrations create TEXT"
    run_sql(workspace.path, "ALTER TABLE notes DROP COLUMN colour; ALTER TABLE notes ADD COLUMN colour TEXT")
    assert len(workspace.findings()) == 2


def test_a_column_counts_as_renamed_if_the_new_one_has_the_position_of_the_old_one(workspace: Workspace):
    workspace.write("p", _001_t="CREATE TABLE t (a TEXT, b TEXT, c INTEGER)")
    workspace.apply()
    run_sql(workspace.path, "ALTER TABLE t RENAME COLUMN a TO x; ALTER TABLE t RENAME COLUMN b TO y")
    assert [each.message for each in workspace.findings()] == [
        "`t` has `x` where its migrations create `a`",
        "`t` has `y` where its migrations create `b`",
    ]


def test_a_dropped_column_and_a_new_one_at_another_position_are_two_findings(workspace: Workspace):
    workspace.write("p", _001_t="CREATE TABLE t (a TEXT, b TEXT)")
    workspace.apply()
    run_sql(workspace.path, "ALTER TABLE t DROP COLUMN a; ALTER TABLE t ADD COLUMN c TEXT")
    assert workspace.codes() == ["drift_column_removed", "drift_column_added"]


def test_all_differences_are_found_at_once(workspace: Workspace):
    workspace.write("p", **MADE)
    workspace.apply()
    run_sql(
        workspace.path, "DROP INDEX notes_by_text; DROP TRIGGER no_empty; ALTER TABLE folders ADD COLUMN x; CREATE TABLE drafts (a)"
    )
    assert sorted(workspace.codes()) == ["drift_column_added", "drift_index_removed", "drift_table_added", "drift_trigger_removed"]


def test_a_default_of_several_lines_stays_on_one_line_of_the_message(workspace: Workspace):
    workspace.write("p", _001_t="CREATE TABLE t (a TEXT DEFAULT 'one')")
    workspace.apply()
    run_sql(workspace.path, "DROP TABLE t; CREATE TABLE t (a TEXT DEFAULT 'one\ntwo')")
    assert workspace.codes() == ["drift_column_changed"]


def test_a_table_belongs_to_the_pack_that_changed_it_last(workspace: Workspace):
    workspace.write("p", _001_t="CREATE TABLE t (a)")
    workspace.write("q", _001_more="-- requires: p:1\nALTER TABLE t ADD COLUMN b; CREATE TABLE u (a)")
    workspace.apply()
    run_sql(workspace.path, "ALTER TABLE t ADD COLUMN c; DROP TABLE u")
    assert [(each.subject, each.pack) for each in workspace.findings()] == [("t", "q"), ("u", "q")]


# --- no drift ---------------------------------------------------------------------------------------------------------

OTHER_WAYS = {
    "nothing": "",
    "VACUUM": "VACUUM",
    "statistics": "ANALYZE",
    "another journal": "PRAGMA journal_mode = WAL",
    "rows": "INSERT INTO folders VALUES (1, 'a', NULL); INSERT INTO notes (text, folder) VALUES ('b', 1); "
    "INSERT INTO search (rowid, text) VALUES (1, 'b'); INSERT INTO search (search) VALUES ('optimize')",
    "a rebuild by rename": "PRAGMA legacy_alter_table = ON; "
    "CREATE TABLE new_folders (id INTEGER PRIMARY KEY, name TEXT, mark TEXT); DROP TABLE folders; ALTER TABLE new_folders RENAME TO folders",
    "a rename there and back": "ALTER TABLE notes RENAME TO x; ALTER TABLE x RENAME TO notes; "
    "ALTER TABLE folders RENAME COLUMN name TO y; ALTER TABLE folders RENAME COLUMN y TO name",
    "another column there and gone": "ALTER TABLE notes ADD COLUMN x TEXT; ALTER TABLE notes DROP COLUMN x",
    "other quoting and letter case": 'DROP INDEX notes_by_text; create index [Notes_By_Text] on "Notes" (`TEXT`); DROP TABLE folders; '
    'create table `Folders` ([id] integer primary key /* it */, "name" text, MARK Text)',
    "another order": "DROP VIEW named; DROP TRIGGER no_empty; DROP INDEX notes_by_text; DROP TABLE folders; "
    "CREATE TRIGGER no_empty BEFORE INSERT ON notes WHEN new.text = '' BEGIN SELECT RAISE(ABORT, 'Empty'); END; "
    "CREATE VIEW named AS SELECT text, name FROM notes JOIN folders ON folder = folders.id; "
    "CREATE TRIGGER through INSTEAD OF INSERT ON named BEGIN INSERT INTO notes (text) VALUES (new.text); END; "
    "CREATE TABLE folders (id INTEGER PRIMARY KEY, name TEXT, mark TEXT); CREATE INDEX notes_by_text ON notes (text)",
    "the application's own tables": "CREATE TABLE own (a INTEGER PRIMARY KEY AUTOINCREMENT); "
    "CREATE INDEX own_by_a ON own (a); CREATE TRIGGER own_trigger AFTER INSERT ON own BEGIN SELECT 1; END; DROP INDEX own_by_a; "
    "CREATE INDEX own_again ON own (a)",
    "the application's own views": "CREATE VIEW own AS SELECT * FROM notes; "
    "CREATE TRIGGER own_trigger INSTEAD OF INSERT ON own BEGIN SELECT 1; END",
    "the application's own search": "CREATE VIRTUAL TABLE own USING fts5 (a); INSERT INTO own VALUES ('a'); "
    "CREATE VIRTUAL TABLE places USING rtree (id, a, b)",
    "a replication's tables": "CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER); CREATE TABLE _litestream_lock (id INTEGER)",
}


@BY
@pytest.mark.parametrize("way", OTHER_WAYS)
def test_the_same_schema_reached_in_another_way_is_no_drift(workspace: Workspace, by, way):
    workspace.write("p", **MADE)
    workspace.apply()
    by(workspace.path, OTHER_WAYS[way])
    assert workspace.findings() == []


@BY
def test_a_database_created_by_another_program_with_the_same_schema_has_no_drift(workspace: Workspace, by):
    workspace.write("p", **MADE)
    by(workspace.path, "".join(MADE.values()))
    workspace.runner().baseline("p", 2)
    assert workspace.findings() == []


def test_full_text_search_and_its_shadow_tables_may_be_renamed_rebuilt_and_dropped_by_migrations(workspace: Workspace):
    workspace.write(
        "p",
        _001_docs="CREATE VIRTUAL TABLE docs USING fts5 (title, body); INSERT INTO docs VALUES ('a', 'b')",
        _002_papers="ALTER TABLE docs RENAME TO papers; CREATE VIRTUAL TABLE gone USING fts5 (x)",
        _003_less="DROP TABLE gone",
    )
    workspace.apply()
    assert workspace.findings() == []


def test_a_table_that_exists_only_inside_a_migration_belongs_to_no_pack(workspace: Workspace):
    workspace.write("p", _001_t="CREATE TABLE tmp_t (a); ALTER TABLE tmp_t RENAME TO t; CREATE TABLE work (a); DROP TABLE work")
    workspace.apply()
    run_sql(workspace.path, "CREATE TABLE tmp_t (own); CREATE TABLE work (own)")
    assert workspace.findings() == []


def test_a_table_that_a_pending_migration_will_create_belongs_to_no_pack_yet(workspace: Workspace):
    workspace.write("p", _001_t="CREATE TABLE t (a)", _002_u="CREATE TABLE u (a)")
    workspace.runner().apply(to="p:1")
    run_sql(workspace.path, "CREATE TABLE u (own)")
    assert workspace.findings() == []


def test_pending_rolled_back_and_redone_migrations_are_no_drift(workspace: Workspace):
    back = "conn.execute('DROP TABLE u')"
    workspace.write(
        "p", _001_t="CREATE TABLE t (a)", _002_u=python_migration(2, "conn.execute('CREATE TABLE u (a)')", rollback=back)
    )
    workspace.runner().apply(to="p:1")
    assert workspace.findings() == []
    workspace.apply()
    workspace.runner().redo("p")
    assert workspace.findings() == []
    workspace.runner().rollback("p")
    assert workspace.findings() == []


def test_conditional_migrations_beside_tables_of_the_application_are_no_drift(workspace: Workspace):
    run_sql(workspace.path, "CREATE TABLE t (a); CREATE TABLE own (b)")
    workspace.write("p", _001_t="CREATE TABLE IF NOT EXISTS t (a); CREATE INDEX IF NOT EXISTS i ON t (a)")
    workspace.apply()
    assert workspace.findings() == []


def test_validating_works_while_another_connection_holds_the_write_lock(workspace: Workspace):
    workspace.write("p", **MADE)
    workspace.apply()
    with contextlib.closing(sqlite3.connect(workspace.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO folders (name) VALUES ('a')")
        assert workspace.runner().validate() == []


def test_a_migration_applied_while_validate_reads_is_no_drift(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    workspace.write("p", _001_t="CREATE TABLE t (a)", _002_more="ALTER TABLE t ADD COLUMN b")
    workspace.runner().apply(to="p:1")
    read, calls = homie_migrations_core.sqlite.file.read, []

    def between(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 2:  # the records have been read, the schema has not
            with monkeypatch.context() as meanwhile:
                meanwhile.setattr(homie_migrations_core.sqlite.file, "read", read)
                workspace.apply()
        return read(*arguments, **options)

    monkeypatch.setattr(homie_migrations_core.sqlite.file, "read", between)
    assert workspace.runner().validate() == []


def test_the_reference_names_no_drift_that_cannot_be():
    possible = {f"drift_{kind}_{change}" for kind in typing.get_args(Kind) for change in typing.get_args(Change)}
    assert {code for code in DOCUMENTED if code.startswith("drift_")} <= {*possible, "drift_column_renamed"}
