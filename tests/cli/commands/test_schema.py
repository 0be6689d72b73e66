"""`schema`: what migrations make, or what is in a file, as SQL, as a diagram and as JSON."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import importlib_metadata  # noqa: F401  (before `nothing_else` hides the folder it is in)
import pytest
from helpers import creates, fingerprint, problems, run_sql

from homie_migrations_core.sqlite.schema import read_schema
from homie_migrations_core.sqlite.schema_comparison import compare

FILES = {
    "001_notes.sql": """
        CREATE TABLE folders (id INTEGER PRIMARY KEY, name TEXT);
        CREATE TABLE notes (id INTEGER PRIMARY KEY, folder INTEGER REFERENCES folders (id), text TEXT); -- what it is about
        CREATE INDEX notes_by_text ON notes (text) WHERE text > 'a'
    """,
    "002_more.sql": """
        CREATE VIEW a_view AS SELECT * FROM b_view; CREATE VIEW b_view AS SELECT text FROM notes;
        CREATE TRIGGER g AFTER INSERT ON notes BEGIN SELECT 1; END;
        CREATE VIRTUAL TABLE search USING fts5 (text);
    """,
}


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_text(content)
    return folder


def schema_of(script: str):
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(script)
        return read_schema(connection)


def test_a_folder_needs_no_database_and_none_is_made(homie, notes: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = fingerprint(tmp_path)
    result = homie("schema", "--dir", notes)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("CREATE TABLE folders (id INTEGER PRIMARY KEY, name TEXT);\nCREATE TABLE notes (")
    assert fingerprint(tmp_path) == before


def test_what_is_printed_is_sql_that_makes_the_schema(homie, notes: Path):
    result = homie("schema", "--dir", notes)
    assert compare(schema_of(";\n".join(FILES.values())), schema_of(result.out)) == []
    assert "search_data" not in result.out
    assert "schema_migrations" not in result.out


def test_a_comment_at_the_end_of_a_definition_does_not_swallow_the_next(homie, tmp_path: Path):
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "001_a.sql").write_text("CREATE TABLE t (a)")
    (folder / "002_b.sql").write_text("CREATE VIEW v AS SELECT a FROM t -- the end")
    (folder / "003_c.sql").write_text("CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END -- of it")
    result = homie("schema", "--dir", folder)
    assert {name for _, name in schema_of(result.out)} == {"t", "v", "g"}


def test_tables_come_first_then_indexes_views_and_triggers(homie, notes: Path):
    kinds = [each["kind"] for each in homie("schema", "--dir", notes, "--json").json["databases"][0]["schema"]]
    assert kinds == sorted(kinds, key=["table", "index", "view", "trigger"].index)
    assert set(kinds) == {"table", "index", "view", "trigger"}


def test_json_has_every_object_with_its_sql(homie, notes: Path):
    result = homie("schema", "--dir", notes, "--json")
    (database,) = result.json["databases"]
    assert (result.code, result.json["error"], "diagram" in database) == (0, None, False)
    assert database["schema"][0] == {
        "kind": "table",
        "name": "folders",
        "table": "folders",
        "sql": "CREATE TABLE folders (id INTEGER PRIMARY KEY, name TEXT)",
    }
    diagram = homie("schema", "--dir", notes, "--json", "--diagram").json["databases"][0]["diagram"]
    assert diagram.startswith("erDiagram\n")


def test_a_diagram_has_tables_columns_and_references(homie, notes: Path):
    lines = homie("schema", "--dir", notes, "--diagram").out.splitlines()
    assert lines[0] == "erDiagram"
    assert [line.replace('"', "") for line in lines] == [
        "erDiagram",
        "    folders {",
        "        INTEGER id PK",
        "        TEXT name",
        "    }",
        "    notes {",
        "        INTEGER id PK",
        "        INTEGER folder FK",
        "        TEXT text",
        "    }",
        "    search {",
        "    }",
        "    notes }o--o| folders : folder",
    ]


def test_quietly_nothing_is_printed(homie, notes: Path):
    result = homie("schema", "--dir", notes, "-q")
    assert (result.code, result.out, result.err) == (0, "", "")


def test_with_a_database_the_schema_of_the_file_is_shown(homie, notes: Path, tmp_path: Path):
    path = tmp_path / "homie_notes.db"
    homie("apply", "--dir", notes, "--database", path)
    run_sql(path, "ALTER TABLE notes ADD COLUMN colour TEXT; CREATE TABLE own (a); CREATE INDEX own_by_a ON own (a)")
    before = fingerprint(tmp_path)
    result = homie("schema", "--dir", notes, "--database", path)
    assert result.code == 0
    assert "colour TEXT" in result.out
    assert "CREATE TABLE own (a);" in result.out
    assert "schema_migrations" not in result.out
    assert "TEXT colour" in homie("schema", "--dir", notes, "--database", path, "--diagram").out
    assert fingerprint(tmp_path) == before


def test_a_database_that_is_not_there_ends_with_2_and_is_not_made(homie, notes: Path, tmp_path: Path):
    result = homie("schema", "--dir", notes, "--database", tmp_path / "nowhere.db")
    assert (result.code, result.out, len(problems(result.err))) == (2, "", 1)
    assert not (tmp_path / "nowhere.db").exists()


def test_several_databases_have_headings_that_are_comments(homie, installed, tmp_path: Path):
    installed.nothing_else()
    installed.pack("alpha", {"001_a.py": creates(1, "a")})
    installed.pack("beta", {"001_b.py": creates(1, "b")})
    result = homie("schema", "--data-dir", tmp_path / "nothing")
    assert result.code == 0
    assert [line for line in result.out.splitlines() if line.startswith("--")] == ["-- homie_alpha.db", "-- homie_beta.db"]
    assert {name for _, name in schema_of(result.out)} == {"a", "b"}
    drawn = homie("schema", "--data-dir", tmp_path / "nothing", "--diagram").out
    assert [line for line in drawn.splitlines() if line.startswith("%%")] == ["%% homie_alpha.db", "%% homie_beta.db"]
    assert not (tmp_path / "nothing").exists()


def test_one_of_several_packs_can_be_shown_alone_with_what_it_requires(homie, installed, tmp_path: Path):
    installed.nothing_else()
    installed.pack("alpha", {"001_a.py": creates(1, "a"), "002_x.py": creates(2, "x")}, database="homie_both.db")
    installed.pack("beta", {"001_b.py": creates(1, "b", requires=("alpha:1",))}, database="homie_both.db")
    installed.pack("gamma", {"001_c.py": creates(1, "c")}, database="homie_both.db")
    result = homie("schema", "--data-dir", tmp_path, "--pack", "beta")
    assert {name for _, name in schema_of(result.out)} == {"a", "b"}
    assert {name for _, name in schema_of(homie("schema", "--data-dir", tmp_path).out)} == {"a", "x", "b", "c"}


def test_a_migration_that_fails_on_an_empty_database_is_named_and_ends_with_1(homie, notes: Path):
    (notes / "003_rows.py").write_text(
        "def get_migration_version(): return 3\ndef apply_migration(conn):\n    conn.execute('SELECT * FROM not_there')\n"
    )
    result = homie("schema", "--dir", notes, "--json")
    assert (result.code, result.json["error"]["code"], len(problems(result.err))) == (1, "not_replayable", 1)
    assert "notes:003_rows" in result.err
    assert "003_rows.py, line 3" in result.err


def test_a_broken_pack_does_not_hide_the_schema_of_another(homie, installed, tmp_path: Path):
    installed.nothing_else()
    installed.pack("alpha", {"001_a.py": creates(1, "a")})
    installed.pack("beta", {"no rule.py": ""})
    result = homie("schema", "--data-dir", tmp_path)
    assert result.code == 1
    assert "CREATE TABLE a " in result.out
    assert "beta" in result.err


def test_the_output_of_a_migration_is_not_in_the_sql_or_the_document(homie, notes: Path):
    (notes / "003_talks.py").write_text("def get_migration_version(): return 3\ndef apply_migration(conn): print('hello')\n")
    assert homie("schema", "--dir", notes, "--json").code == 0
    assert homie("schema", "--dir", notes, "--json").json["error"] is None
    schema_of(homie("schema", "--dir", notes).out)
