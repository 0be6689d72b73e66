"""What works and does harm: every hazard is provoked by a real pack, and is gone once the pack is corrected."""

from __future__ import annotations

from pathlib import Path

import pytest
from checked_packs import INDEX, NOTES, REBUILD, codes, only
from helpers import creates, python_migration, write_pack

from homie_migrations_core import MigrationPack
from homie_migrations_core.authoring.check import (
    check_from_nothing,
    check_pack,
)


def test_a_rebuild_that_forgets_an_index_or_a_trigger_is_a_hazard(checked):
    trigger = "conn.execute('CREATE TRIGGER seen AFTER UPDATE ON notes BEGIN SELECT 1; END')\n"
    first = NOTES.replace("def rollback", f"    {trigger}\ndef rollback")
    found = checked(REBUILD, first=first)
    assert codes(found) == ["rebuild_loses_index", "rebuild_loses_index"]
    assert {"index notes_of_folder" in each.message for each in found.findings} == {True, False}
    assert checked(REBUILD + INDEX + trigger, first=first).passed


def test_a_dropped_column_that_held_data_is_a_hazard(checked):
    finding = only(checked("conn.execute('ALTER TABLE notes DROP COLUMN text')"))
    assert finding.code == "drops_data"
    assert "drops notes.text, which held 20 values" in finding.message


def test_a_dropped_column_is_told_once_although_no_rollback_brings_it_back(checked):
    rollback = "conn.execute('ALTER TABLE notes ADD COLUMN text TEXT')"
    assert codes(checked("conn.execute('ALTER TABLE notes DROP COLUMN text')", rollback)) == ["drops_data"]


def test_a_dropped_table_that_held_data_is_a_hazard(checked):
    finding = only(checked("conn.execute('DROP TABLE notes')"))
    assert (finding.code, "the table notes, which held 24 rows" in finding.message) == ("drops_data", True)


@pytest.mark.parametrize(
    ("apply", "rollback"),
    [
        (
            "conn.execute('ALTER TABLE notes RENAME COLUMN text TO body')",
            "conn.execute('ALTER TABLE notes RENAME COLUMN body TO text')",
        ),
        ("conn.execute('ALTER TABLE notes RENAME TO memos')", "conn.execute('ALTER TABLE memos RENAME TO notes')"),
        (
            "conn.execute('CREATE TABLE texts AS SELECT id, text FROM notes')\nconn.execute('ALTER TABLE notes DROP COLUMN text')",
            """
            conn.execute('ALTER TABLE notes ADD COLUMN text TEXT')
            conn.execute('UPDATE notes SET text = t.text FROM texts t WHERE t.id = notes.id')
            conn.execute('DROP TABLE texts')
            """,
        ),
        (
            "conn.execute('ALTER TABLE notes ADD COLUMN code BLOB')\nconn.execute('UPDATE notes SET code = CAST(hex(text) AS BLOB) "
            "WHERE text IS NOT NULL')\nconn.execute('ALTER TABLE notes DROP COLUMN text')",
            """
            conn.execute('ALTER TABLE notes ADD COLUMN text TEXT')
            for id, code in conn.execute('SELECT id, code FROM notes WHERE code IS NOT NULL').fetchall():
                conn.execute('UPDATE notes SET text = ? WHERE id = ?', (bytes.fromhex(code.decode()).decode(), id))
            conn.execute('ALTER TABLE notes DROP COLUMN code')
            """,
        ),
    ],
    ids=["renamed column", "renamed table", "moved", "kept in another form"],
)
def test_data_that_moves_is_not_dropped(checked, apply: str, rollback: str):
    assert checked(apply, rollback).passed


def test_if_not_exists_that_hid_another_table_is_a_hazard(checked):
    body = "conn.execute('CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, body TEXT)')"
    finding = only(checked(body, rollback="pass"))
    assert finding.code == "if_not_exists_hid"
    assert "the table notes existed already" in finding.message


def test_if_not_exists_that_hid_another_index_is_a_hazard(checked):
    finding = only(checked("conn.execute('CREATE INDEX IF NOT EXISTS notes_of_folder ON notes (text)')", rollback="pass"))
    assert finding.code == "if_not_exists_hid"


def test_if_not_exists_is_none_where_the_same_was_there_or_it_is_brought_to_the_same(checked):
    same = """
    conn.executescript('''
        /* the same */ CREATE TABLE IF NOT EXISTS "notes" (id INTEGER PRIMARY KEY, folder INTEGER REFERENCES folders(id), text TEXT);
        create index if not exists notes_of_folder on notes(folder);
        CREATE TABLE IF NOT EXISTS folders (id INTEGER PRIMARY KEY, name TEXT NOT NULL, colour TEXT);
        ALTER TABLE folders ADD COLUMN colour TEXT;
    ''')
    """
    assert checked(same, rollback="conn.execute('ALTER TABLE folders DROP COLUMN colour')").passed


def test_a_correlated_subquery_that_scans_is_a_hazard(checked):
    body = 'conn.execute("UPDATE folders SET name = (SELECT text FROM notes WHERE notes.text = folders.name) WHERE id < 0")'
    finding = only(checked(body, rollback="pass"))
    assert finding.code == "update_without_index"
    assert "scans all of notes for each row: UPDATE folders" in finding.message
    assert checked(body.replace("notes.text = folders.name", "notes.folder = folders.id"), rollback="pass").passed


def test_a_statement_for_each_row_that_scans_is_a_hazard(checked):
    body = 'for id, text in conn.execute("SELECT id, text FROM notes").fetchall():\n'
    slow = body + '    conn.execute("UPDATE notes SET text = ? WHERE text = ?", (text, text))'
    finding = only(checked(slow, rollback="pass"))
    assert "scans all of notes each of the 24 times: UPDATE notes SET text" in finding.message
    assert checked(body + '    conn.execute("UPDATE notes SET text = ? WHERE id = ?", (text, id))', rollback="pass").passed


def test_one_statement_for_a_whole_table_is_none_even_where_a_trigger_fires_for_each_row(checked):
    first = NOTES.replace(
        "def rollback", "    conn.execute('CREATE TRIGGER seen AFTER UPDATE ON notes BEGIN SELECT 1; END')\n\ndef rollback"
    )
    assert checked("conn.execute(\"UPDATE notes SET text = text WHERE text <> ''\")", rollback="pass", first=first).passed


@pytest.mark.parametrize(
    ("apply", "rollback", "words"),
    [
        ("ALTER TABLE users ADD COLUMN seen TEXT", "ALTER TABLE users DROP COLUMN seen", "column seen of users added"),
        ("CREATE INDEX mine ON users (text)", "DROP INDEX mine", "index mine of users added"),
        ("DROP INDEX users_text", "CREATE INDEX users_text ON users (text, id)", "index users_text of users removed"),
    ],
)
@pytest.mark.parametrize("declared", [(), ("u:1",)], ids=["not declared", "declared"])
def test_what_another_pack_owns_is_not_to_be_changed(tmp_path: Path, apply: str, rollback: str, words: str, declared):
    base = "conn.execute('CREATE TABLE users (id INTEGER PRIMARY KEY, text TEXT)')\nconn.execute('CREATE INDEX users_text ON users (text, id)')"
    other = write_pack(tmp_path / "u", "u", {"001_users.py": python_migration(1, base, rollback="pass")})
    guarded = "if conn.execute(\"SELECT 1 FROM sqlite_master WHERE name = 'users'\").fetchone():\n    conn.execute({!r})"
    files = {"001_a.py": python_migration(1, guarded.format(apply), rollback=guarded.format(rollback), requires=declared)}
    finding = only(check_pack(write_pack(tmp_path / "p", "p", files), [other]))
    assert finding.code == "foreign_object"
    assert f"changes what the pack u made: {words}" in finding.message


def test_tables_that_refer_to_another_packs_are_fine_where_it_is_declared(tmp_path: Path):
    other = write_pack(tmp_path / "u", "u", {"001_users.py": creates(1, "users")})
    body = "conn.execute('CREATE TABLE mine (id INTEGER PRIMARY KEY, u INTEGER NOT NULL REFERENCES users (id))')"
    files = {
        "001_a.py": python_migration(1, body, rollback="conn.execute('DROP TABLE mine')", requires=("u:1",)),
        "002_b.py": python_migration(
            2, "conn.execute('ALTER TABLE mine ADD COLUMN b')", rollback="conn.execute('ALTER TABLE mine DROP COLUMN b')"
        ),
    }
    assert check_pack(write_pack(tmp_path / "p", "p", files), [other]).passed


def test_two_packs_that_make_the_same_table_do_not_go_together(tmp_path: Path):
    other = write_pack(tmp_path / "u", "u", {"001_users.py": creates(1, "settings")})
    pack = write_pack(tmp_path / "p", "p", {"001_a.py": creates(1, "settings")})
    finding = only(check_pack(pack, [other]))
    assert check_from_nothing(pack, [other]) == [finding]
    assert finding.code == "does_not_apply"
    assert (
        "fails where the other packs of the database are applied: OperationalError: table settings already exists"
        in finding.message
    )


def test_a_broken_pack_beside_it_is_noted(tmp_path: Path):
    other = write_pack(tmp_path / "u", "u", {"wrong.py": ""})
    found = check_pack(write_pack(tmp_path / "p", "p", {"001_a.py": creates(1, "a")}), [other])
    assert found.passed
    assert "the other pack u can't be used" in found.notes[0]


def test_imports_of_application_code_are_a_hazard_wherever_they_happen(installed, checked):
    installed.distribution("an-app", {"an_app_plugin": "VALUE = 1"}, {})
    inside = checked("import json\nfrom an_app_plugin import VALUE\nconn.execute('SELECT 1')", rollback="pass")
    assert (only(inside).code, "imports an_app_plugin" in only(inside).message) == ("imports_application_code", True)
    files = {"003_c.py": python_migration(3, "pass", rollback="pass", head="import an_app_plugin, homie_migrations_core")}
    assert codes(checked("pass", rollback="pass", **files)) == ["imports_application_code"]


def test_helpers_beside_the_migrations_may_be_imported(installed):
    head = "from typing import TYPE_CHECKING\nfrom ._helpers import VALUE\nfrom . import _helpers\nif TYPE_CHECKING:\n    import p_plugin"
    files = {"001_a.py": creates(1, "a", head=head), "_helpers.py": "VALUE = 1"}
    installed.pack("p", files)
    assert check_pack(MigrationPack("p", "p_plugin.migrations")).passed
    (installed.site / "p_plugin" / "models.py").write_text("VALUE = 1")
    (installed.site / "p_plugin" / "migrations" / "002_b.py").write_text(creates(2, "b", head="from .. import models"))
    assert codes(check_pack(MigrationPack("p", "p_plugin.migrations"))) == ["imports_application_code"]
