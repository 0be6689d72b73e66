"""What an import refuses, and what it leaves behind with a note."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from authoring.importing.other_tools_folders import write_folder

from homie_migrations_core.authoring.importing.importer import Imported, import_folder
from homie_migrations_core.errors import FolderUnusable, ImportRefused, RunStopped
from homie_migrations_core.stopping import StopRequest

OUTSIDE = "it asks to run outside a transaction, but in a pack a migration and its record are one transaction"
IN_CODE = "it is a migration in a programming language, not in SQL"


@pytest.fixture
def imported(tmp_path: Path):
    """Import a folder of these files."""

    def call(files: dict[str, str]) -> Imported:
        return import_folder(write_folder(tmp_path / "theirs", files), "notes")

    return call


def refused(tmp_path: Path, files: dict[str, str]) -> list[str]:
    """Everything that is wrong with these files, with paths below the folder."""
    folder = write_folder(tmp_path / "theirs", files)
    with pytest.raises(ImportRefused) as error:
        import_folder(folder, "notes")
    assert error.value.folder == str(folder)
    return [found.removeprefix(f"{folder}{os.sep}") for found in error.value.found]


def goose(up: str, down: str = "") -> str:
    return f"-- +goose Up\n{up}\n-- +goose Down\n{down}\n"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"1_a.sql": goose("SELECT 1;"), "00002_b.go": "package x"}, [f"00002_b.go, line 1: {IN_CODE}"]),
        ({"00002_b.go": "package x"}, [f"00002_b.go, line 1: {IN_CODE}"]),
        ({"V1__a.sql": "SELECT 1;", "V2__b.rs": ""}, [f"V2__b.rs, line 1: {IN_CODE}"]),
        ({"1_a.sql": "-- why\n-- migrate:up transaction:false\nSELECT 1;\n"}, [f"1_a.sql, line 2: {OUTSIDE}"]),
        ({"1_a.sql": "-- migrate:up\nSELECT 1;\n-- migrate:down transaction:false\n"}, [f"1_a.sql, line 3: {OUTSIDE}"]),
        ({"1_a.sql": "-- +goose NO TRANSACTION\n" + goose("SELECT 1;")}, [f"1_a.sql, line 1: {OUTSIDE}"]),
        ({"1_a.up.sql": "-- no-transaction\nSELECT 1;\n"}, [f"1_a.up.sql, line 1: {OUTSIDE}"]),
        ({"1_a.sql": "-- no-transaction\nSELECT 1;\n"}, [f"1_a.sql, line 1: {OUTSIDE}"]),
        (
            {"1_a/up.sql": "SELECT 1;", "1_a/metadata.toml": "# why\nrun_in_transaction = false\n"},
            [f"1_a{os.sep}metadata.toml, line 2: {OUTSIDE}"],
        ),
        (
            {"1_a/up.sql": "SELECT 1;", "1_a/metadata.toml": "more = 1\n"},
            [f"1_a{os.sep}metadata.toml, line 1: {OUTSIDE}"],
        ),
        (
            {"1_a/up.sql": "SELECT 1;", "1_a/metadata.toml": "run_in_transaction"},
            [f"1_a{os.sep}metadata.toml, line 1: it can't be read (Expected '=' after a key in a key/value pair (at end of document))"],
        ),
        (
            {"1_a/up.sql": "SELECT 1;", "2_b/down.sql": "SELECT 1;"},
            ["2_b, line 1: it has a version, but is not like the other migrations, which are diesel's"],
        ),
        (
            {"V1__a.sql": "SELECT 1;", "V1.5__b.sql": "", "V2__c-d.sql": ""},
            [
                "V1.5__b.sql, line 1: it has a version, but is not like the other migrations, which are refinery's",
                "V2__c-d.sql, line 1: it has a version, but is not like the other migrations, which are refinery's",
            ],
        ),
        (
            {"1_a.sql": goose("-- +goose ENVSUB ON\nSELECT 1;")},
            ["1_a.sql, line 2: it uses '+goose ENVSUB ON', which has no equal in a pack"],
        ),
        (
            {"1_a.sql": "CREATE TABLE lost (a);\n-- migrate:up\nSELECT 1;\n"},
            ["1_a.sql, line 1: a statement is above the first marker, where the tool does not run it"],
        ),
        (
            {"1_a.sql": "-- migrate:up\n", "2_b.sql": "SELECT 1;\n", "3_c.sql": "-- migrate:down\n"},
            [
                "2_b.sql, line 1: no part of it is marked as up, as dbmate needs",
                "3_c.sql, line 1: no part of it is marked as up, as dbmate needs",
            ],
        ),
        ({"1_a.sql": goose("SELECT 1;") + goose("SELECT 2;")}, [
            "1_a.sql, line 5: a second part is marked as up",
            "1_a.sql, line 7: a second part is marked as down",
        ]),
        ({"1_a.up.sql": "", "2_b.down.sql": ""}, ["2_b.down.sql, line 1: there is no .up.sql of the same name"]),
        (
            {"1_a.up.sql": "", "2_b.sql": ""},
            ["2_b.sql, line 1: it has a version, but is not like the other migrations, which are golang-migrate or sqlx's"],
        ),
        ({"1_a.up.sql": "", "01_b.up.sql": ""}, ["1_a.up.sql, line 1: it has the same version as 01_b.up.sql"]),
        ({"V1__a.sql": "", "V01__b.sql": ""}, ["V1__a.sql, line 1: it has the same version as V01__b.sql"]),
        (
            {"1_a.sql": "-- why\n-- requires: a clear head\nSELECT 1;\n"},
            ["1_a.sql, line 2: a comment that begins with 'requires:' names other packs in a pack"],
        ),
        ({"1_a.sql": "SELECT 1;\n\nSELEC 2;\n"}, ['1_a.sql, line 3: OperationalError: near "SELEC": syntax error']),
        (
            {"V1__a.sql": "CREATE TABLE a (id INTEGER PRIMARY KEY);", "V2__b.sql": "CREATE TABLE b (a REFERENCES a);\nINSERT INTO b VALUES (1);"},
            ["V2__b.sql, line 1: b(a) has rows without their parent in a (1 row)"],
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_over_is_listed_with_file_and_line(tmp_path: Path, files, found):
    assert refused(tmp_path, files) == found


def test_every_statement_that_no_migration_may_run_is_listed(tmp_path: Path):
    """Also several in one line, in down scripts, and in files after one that fails for another reason."""
    found = refused(
        tmp_path,
        {
            "1_a.sql": goose("CREATE TABLE a (b);\nPRAGMA journal_mode = wal;", "VACUUM;\nDROP TABLE a;"),
            "2_b.sql": "-- why\n" + goose("INSERT INTO a VALUES (1); ATTACH 'x' AS x; VACUUM;\n\nROLLBACK;"),
            "3_c.sql": goose("INSERT INTO nowhere VALUES (1);"),
            "4_d.sql": goose("DELETE FROM schema_migrations;"),
        },
    )
    assert found == [
        "1_a.sql, line 3: PRAGMA journal_mode can't be part of an atomic step: it would outlive a rollback, or do nothing here",
        "2_b.sql, line 3: ATTACH and DETACH can't be part of an atomic step: read another file over a connection of its own",
        "2_b.sql, line 3: OperationalError: cannot VACUUM from within a transaction",
        "2_b.sql, line 5: SQL ROLLBACK would end the runner's transaction: raise an exception, or call conn.rollback()",
        "4_d.sql, line 2: a migration can't change schema_migrations: the runner keeps it",
    ]


def test_refusals_of_down_scripts_are_listed_too(tmp_path: Path):
    down = "VACUUM;\nDROP TABLE a;\nPRAGMA journal_mode = delete;"
    assert refused(tmp_path, {"1_a.sql": goose("CREATE TABLE a (b);", down)}) == [
        "1_a.sql, line 4: OperationalError: cannot VACUUM from within a transaction",
        "1_a.sql, line 6: PRAGMA journal_mode can't be part of an atomic step: it would outlive a rollback, or do nothing here",
    ]


def test_text_that_is_not_utf_8_is_refused_with_its_line(tmp_path: Path):
    (tmp_path / "V1__a.sql").write_bytes("SELECT 1;\nSELECT 'é';\n".encode("latin-1"))
    with pytest.raises(ImportRefused, match=r"V1__a.sql, line 2: it is not UTF-8 \(invalid continuation byte\)"):
        import_folder(tmp_path, "notes")


def test_a_down_script_that_fails_is_left_out_with_a_note(imported, tmp_path: Path):
    """Nobody has used it; a rollback that fails when it is needed is worse than none."""
    found = imported({
        "1_a.sql": goose("CREATE TABLE a (b);", "\nDROP TABLE gone;"),
        "2_b.sql": goose("CREATE TABLE c (b);", "DELETE FROM c;"),
        "3_c.sql": goose("CREATE TABLE d (b);", "DROP TABLE d;"),
    })  # fmt: skip
    assert list(found.files) == ["001_a.sql", "002_b.sql", "003_c.sql", "003_c.rollback.sql"]
    assert [each.reversible for each in found.migrations] == [False, False, True]
    folder = tmp_path / "theirs"
    assert found.notes == (
        f"the rollback of 001_a was left out: {folder / '1_a.sql'}, line 5: OperationalError: no such table: gone",
        f"the rollback of 002_b was left out: {folder / '2_b.sql'}, line 4: after it, the migration can't be applied "
        "again (OperationalError: table c already exists)",
    )


def test_a_down_script_that_leaves_a_reference_broken_is_left_out_with_a_note(imported):
    up = "CREATE TABLE tags (id INTEGER PRIMARY KEY);\nCREATE TABLE IF NOT EXISTS uses (tag REFERENCES tags (id));"
    found = imported({"1_a.sql": goose(up, "DROP TABLE tags;")})
    assert list(found.files) == ["001_a.sql"]
    (note,) = found.notes
    assert "the rollback of 001_a was left out: " in note
    assert "1_a.sql, line 5: after it, uses(tag) refers to tags" in note


def test_empty_scripts_and_files_that_are_no_migrations_are_noted(imported, tmp_path: Path):
    found = imported({
        "1_a.up.sql": "-- nothing yet\n",
        "1_a.down.sql": "",
        "2_.up.sql": "CREATE TABLE a (b);",
        "README.md": "",
        "schema.sql": "CREATE TABLE a (b);",
        ".keep": "",
        "old/1_a.up.sql": "",
    })  # fmt: skip
    assert list(found.files) == ["001_a.sql", "002_migration.sql"]
    folder = tmp_path / "theirs"
    assert found.notes == (
        "README.md is not a migration and was left behind",
        "old is not a migration and was left behind",
        "schema.sql is not a migration and was left behind",
        f"{folder / '1_a.up.sql'} holds no statement, so 001_a changes nothing",
        f"{folder / '1_a.down.sql'} holds no statement to roll back, so 001_a can't be rolled back",
    )


def test_a_marker_that_is_indented_is_a_comment_as_it_is_to_the_tools(imported):
    text = "-- migrate:up\nCREATE TABLE a (b);\n  -- migrate:down\nCREATE TABLE c (d);\n-- migrate:down\nDROP TABLE c;\nDROP TABLE a;\n"
    found = imported({"1.sql": text})
    assert found.files["001_migration.sql"].endswith("  -- migrate:down\nCREATE TABLE c (d);\n")
    assert found.migrations[0].reversible


def test_goose_needs_no_semicolon_at_the_end_of_a_statement_that_is_marked(imported):
    marked = "-- +goose StatementBegin\n{}\n-- +goose StatementEnd\n"
    found = imported({"1_a.sql": goose(marked.format("CREATE TABLE a (b) -- ;") + marked.format("CREATE TABLE c (d);\n-- done"))})
    assert found.files["001_a.sql"] == "CREATE TABLE a (b) -- ;\n;\nCREATE TABLE c (d);\n-- done\n"


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda folder: None, "does not exist"),
        (lambda folder: folder.write_text(""), "is not a folder"),
        (lambda folder: folder.mkdir(), "holds no migrations of dbmate, goose, golang-migrate, sqlx, diesel or refinery"),
    ],
)
def test_a_folder_that_holds_nothing_known_says_so(tmp_path: Path, make, found: str):
    make(tmp_path / "theirs")
    with pytest.raises(FolderUnusable) as error:
        import_folder(tmp_path / "theirs", "notes")
    assert error.value.found == found


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = write_folder(tmp_path / "theirs", {"V1__a.sql": "SELECT 1;"})

    def fail(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(FolderUnusable) as error:
        import_folder(folder, "notes")
    assert error.value.found == f"can't be read ({folder / 'V1__a.sql'}: Permission denied)"


def test_a_stop_ends_the_trial(tmp_path: Path):
    folder = write_folder(tmp_path, {"V1__a.sql": "SELECT 1;"})
    with pytest.raises(RunStopped):
        import_folder(folder, "notes", StopRequest(lambda: True))
