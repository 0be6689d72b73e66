"""A history in the shape of each tool, imported, applied, and compared with what plain sqlite3 makes of its SQL."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from authoring.importing.other_tools_folders import HISTORY, ONE_WAY, SHAPES, STAMPS, Change, write_folder
from helpers import fingerprint, write_pack
from pages.reading import blocks, text_of

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.authoring.importing import importer
from homie_migrations_core.authoring.importing.importer import Imported, import_folder


def contents(database: sqlite3.Connection | Path) -> dict[str, list[tuple]]:
    """Everything in a database but the records of tools: each object as SQLite keeps its SQL, and every row."""
    connection = database if isinstance(database, sqlite3.Connection) else sqlite3.connect(database)
    found = connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE '%schema_migrations%' ORDER BY type, name"
    ).fetchall()
    held = {"": found}
    for kind, name, _, _ in found:
        if kind == "table":
            held[name] = connection.execute(f'SELECT * FROM "{name}" ORDER BY 1').fetchall()
    if isinstance(database, Path):
        connection.close()
    return held


def plain(scripts: list[str], *, windows: bool = False) -> dict[str, list[tuple]]:
    """What sqlite3 alone makes of these scripts."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for script in scripts:
        connection.executescript(script.replace("\n", "\r\n") if windows else script)
    found = contents(connection)
    connection.close()
    return found


def as_pack(imported: Imported, folder: Path) -> MigrationPack:
    folder.mkdir()
    for name, content in imported.files.items():
        (folder / name).write_text(content, encoding="utf-8", newline="")
    return MigrationPack("notes", folder)


@pytest.mark.parametrize(
    ("shape", "windows"), [*((shape, False) for shape in SHAPES), ("dbmate", True), ("goose", True), ("diesel", True)]
)
def test_an_imported_history_makes_what_plain_sqlite_makes_of_the_originals(tmp_path: Path, shape: str, windows: bool):
    """`windows`: with CRLF and a byte-order mark."""
    folder = write_folder(tmp_path / "theirs", SHAPES[shape](), windows=windows)
    before = fingerprint(folder)
    imported = import_folder(folder, "notes")
    assert fingerprint(folder) == before
    assert shape.split()[0] in imported.tool
    assert [each.name for each in imported.migrations] == ["001_create_notes", "002_count_notes", "003_rebuild"]
    assert [each.reversible for each in imported.migrations] == [shape not in ONE_WAY] * 3
    assert imported.notes == ()

    database = tmp_path / "homie_notes.db"
    runner = MigrationRunner(database, [as_pack(imported, tmp_path / "ours")], backup=False)
    for version in (1, 2, 3):
        runner.apply(to=f"notes:{version}")
        assert contents(database) == plain([each.up for each in HISTORY[:version]], windows=windows)
    if shape in ONE_WAY:
        return
    for version in (2, 1, 0):
        runner.rollback("notes", to=version)
        scripts = [each.up for each in HISTORY] + [each.down for each in reversed(HISTORY[version:])]
        assert contents(database) == plain(scripts, windows=windows)


@pytest.mark.parametrize("shape", SHAPES)
def test_each_migration_names_the_file_that_it_was_made_of(tmp_path: Path, shape: str):
    folder = write_folder(tmp_path, SHAPES[shape]())
    for change, migration in zip(HISTORY, import_folder(folder, "notes").migrations, strict=True):
        assert change.title.replace("-", "_") in str(migration.original.relative_to(folder)).replace("-", "_")
        assert migration.original.is_file()


def find_dbmate() -> str:
    program = shutil.which("dbmate", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if program is None:
        pytest.skip("dbmate is not installed")
    return program


def test_a_folder_that_dbmate_itself_began_and_applied_is_taken_over(tmp_path: Path):
    """`dbmate new` writes the files, people fill them in, `dbmate up` applies them."""
    folder, database = tmp_path / "db" / "migrations", tmp_path / "theirs.db"
    line = [find_dbmate(), "--url", f"sqlite:{database}", "--no-dump-schema", "--migrations-dir", str(folder)]
    for stamp, change in zip(STAMPS, HISTORY[:2], strict=False):
        subprocess.run([*line, "new", change.title], check=True, capture_output=True)
        (begun,) = folder.glob(f"*_{change.title}.sql")
        up, marker, down = begun.read_text(encoding="utf-8").partition("-- migrate:down")
        assert marker
        (folder / f"{stamp}_{change.title}.sql").write_text(f"{up}{change.up}{marker}{down}{change.down}", encoding="utf-8")
        begun.unlink()
    subprocess.run([*line, "up"], check=True, capture_output=True)

    ours = tmp_path / "homie_notes.db"
    MigrationRunner(ours, [as_pack(import_folder(folder, "notes"), tmp_path / "ours")], backup=False).apply()
    assert contents(ours) == contents(database)


def test_dbmate_sorts_by_file_name_and_so_does_the_import(tmp_path: Path):
    """Version 10 comes before version 9 there."""
    names = ["10_last.sql", "9_first.sql"]
    create = Change("", "CREATE TABLE t (a);", "DROP TABLE t;")
    add = Change("", "ALTER TABLE t ADD COLUMN b;", "ALTER TABLE t DROP COLUMN b;")
    for name, change in zip(names, (create, add), strict=True):
        (tmp_path / name).write_text(f"-- migrate:up\n{change.up}\n-- migrate:down\n{change.down}\n", encoding="utf-8")
    line = [find_dbmate(), "--url", f"sqlite:{tmp_path / 'theirs.db'}", "--no-dump-schema", "--migrations-dir", str(tmp_path)]
    subprocess.run([*line, "up"], check=True, capture_output=True)
    assert [each.name for each in import_folder(tmp_path, "t").migrations] == ["001_last", "002_first"]


def test_the_page_about_dbmate_writes_by_hand_what_the_import_makes(tmp_path: Path):
    shown = {Path(each.file): each.body for each in blocks(text_of("docs/how-to/come-from-dbmate.md")) if each.file}
    theirs = {file.name: body for file, body in shown.items() if file.parent == Path("db/migrations")}
    by_hand = {file.name: body for file, body in shown.items() if file.parent == Path("notes/migrations")}
    del by_hand["004_archive.sql"]  # the next one, which dbmate never had
    assert len(theirs) == 3
    assert import_folder(write_folder(tmp_path, theirs), "notes").files == by_hand


def test_numbers_get_as_many_digits_as_the_last_one_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importer, "_WIDTH", 1)
    theirs = {f"V{number}__x.sql": "SELECT 1;\n" for number in range(1, 11)}
    imported = import_folder(write_folder(tmp_path / "theirs", theirs), "notes")
    assert [imported.migrations[0].name, imported.migrations[-1].name] == ["01_x", "10_x"]


def test_a_history_that_breaks_a_reference_and_repairs_it_later_goes_on(tmp_path: Path):
    """Since SQLite 3.26 a rename takes the references of other tables along; old histories do that, and repair it later."""
    theirs = {
        "V1__a.sql": "CREATE TABLE items (id INTEGER PRIMARY KEY);\nCREATE TABLE uses (item INTEGER REFERENCES items (id));\n",
        "V2__b.sql": "ALTER TABLE items RENAME TO old;\nCREATE TABLE items (id INTEGER PRIMARY KEY);\nDROP TABLE old;\n",
        "V3__c.sql": "DROP TABLE uses;\nCREATE TABLE uses (item INTEGER REFERENCES items (id));\n",
    }
    imported = import_folder(write_folder(tmp_path / "theirs", theirs), "notes")
    assert imported.files["002_b.sql"].startswith("-- accepts dangling_reference: refinery applied it in this form\nALTER TABLE")
    assert imported.files["001_a.sql"] == theirs["V1__a.sql"]
    assert imported.files["003_c.sql"] == theirs["V3__c.sql"]
    (note,) = imported.notes
    assert note.startswith("002_b is accepted as it is, with a comment in its file: ")
    database = tmp_path / "homie_notes.db"
    MigrationRunner(database, [write_pack(tmp_path / "ours", "notes", imported.files)], backup=False).apply()
    assert contents(database) == plain(list(theirs.values()))
