"""`new` and `new-pack`: what an author sees of them."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from helpers import creates, fingerprint, write_pack

from homie_migrations_core.authoring.importing import importer
from homie_migrations_core.cli import progress
from homie_migrations_core.cli.commands import new


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def test_new_writes_the_next_migration_into_a_folder(homie, here: Path):
    write_pack(here / "notes", "notes", {"001_notes.py": creates(1, "notes")})
    result = homie("new", "notes", "Add a colour", "--dir", "notes")
    assert (result.code, result.out, result.err) == (0, f"wrote {Path('notes/002_add_a_colour.py')}\n", "")
    result = homie("new", "notes", "Add a size", "--sql", "--dir", "notes", "--json")
    assert result.json == {
        "databases": [],
        "broken": [],
        "error": None,
        "migration": {
            "pack": "notes",
            "ref": "notes:003_add_a_size",
            "version": 3,
            "name": "003_add_a_size",
            "files": [str(Path("notes/003_add_a_size.sql")), str(Path("notes/003_add_a_size.rollback.sql"))],
        },
    }
    assert homie("check", "--dir", "notes").code == 4, "what is not written yet does not apply"


@pytest.mark.parametrize("below", [True, False], ids=["from its root", "from elsewhere"])
def test_new_finds_the_sources_of_an_editable_install(homie, here: Path, installed, monkeypatch, below: bool):
    folder = installed.pack("tasks", {"001_one.py": creates(1, "one")})
    monkeypatch.chdir(folder.parent if below else here)
    result = homie("new", "tasks", "Second")
    shown = Path(folder.name) / "002_second.py" if below else folder / "002_second.py"
    assert (result.code, result.out) == (0, f"wrote {shown}\n")
    assert (folder / "002_second.py").is_file()
    assert "2 migrations  002_second" in homie("packs").out


def test_new_refuses_an_installed_copy_and_says_what_to_do(homie, here: Path, installed, monkeypatch):
    folder = installed.pack("tasks", {"001_one.py": creates(1, "one")})
    elsewhere = here / "site-packages"
    installed.site.rename(elsewhere)
    monkeypatch.syspath_prepend(str(elsewhere))
    before = fingerprint(elsewhere)
    result = homie("new", "tasks", "Second")
    assert result.code == 2
    assert result.err == (
        f"Error: Nothing was written:\n  {elsewhere / folder.relative_to(installed.site)} is an installed copy of tasks, not its sources.\n"
        "  Name the folder of its sources with --dir, or install the pack from them with `pip install -e`.\n"
    )
    assert fingerprint(elsewhere) == before


def test_new_names_what_is_wrong_with_the_pack(homie, here: Path, installed):
    unknown = homie("new", "taks", "Second", "--json")
    assert (unknown.code, unknown.json["error"]["code"]) == (2, "unknown_pack")
    installed.pack("tasks", {"001-one.py": creates(1, "one")})
    broken = homie("new", "tasks", "Second")
    assert broken.code == 1
    assert broken.err.startswith("Error: No migration was written:")
    assert "001-one.py is not a valid migration file name" in broken.err
    invalid = homie("new", "Tasks", "Second", "--dir", ".", "--json")
    assert (invalid.code, invalid.json["error"]["code"]) == (2, "pack_invalid")


def test_a_folder_option_that_is_empty_is_not_the_current_folder(homie, here: Path):
    for arguments in (("new", "notes", "x", "--dir", ""), ("new-pack", "notes", "--import", "")):
        result = homie(*arguments)
        assert (result.code, result.err) == (
            2,
            f"Error: Nothing was written: {arguments[-2]} is empty. Name a folder of migrations.\n",
        )
    assert list(here.iterdir()) == []


def test_new_pack_writes_a_pack_and_lists_its_files(homie, here: Path):
    result = homie("new-pack", "my_notes")
    assert (result.code, result.err) == (0, "")
    lines = result.out.replace("\\", "/").splitlines()
    assert lines[0] == "wrote my-notes/, 10 files"
    assert "  my-notes/src/my_notes_migrations/migrations/001_first_table.py" in lines
    assert lines[-1] == "my-notes/README.md says how to go on."
    listed = {here / line.strip() for line in lines[1:-1]}
    assert listed == {path for path in here.rglob("*") if path.is_file()}

    before = fingerprint(here)
    again = homie("new-pack", "my_notes", "--json")
    assert (again.code, again.json["error"]["code"]) == (2, "not_created")
    invalid = homie("new-pack", "My-Notes", "--json")
    assert (invalid.code, invalid.json["error"]["code"]) == (2, "pack_invalid")
    assert fingerprint(here) == before


def test_new_pack_warns_of_a_name_that_is_taken(homie, here: Path, installed):
    installed.pack("tasks", {"001_one.py": creates(1, "one")})
    result = homie("new-pack", "tasks")
    assert result.code == 0
    assert result.err == "A pack named tasks is installed already. Two packs of one name are both broken.\n"


def test_new_pack_takes_over_the_migrations_of_another_tool(homie, here: Path):
    theirs = {
        "1_create.sql": "-- migrate:up\nCREATE TABLE notes (a);\n-- migrate:down\nDROP TABLE notes;\n",
        "2_colour.sql": "-- migrate:up\nALTER TABLE notes ADD COLUMN b;\n-- migrate:down\n",
    }
    write_pack(here / "db", "db", theirs)
    before = fingerprint(here / "db")
    result = homie("new-pack", "notes", "--import", "db")
    assert (result.code, result.err) == (0, "")
    assert result.out.replace("\\", "/") == (
        "wrote notes/, 12 files\n"
        "2 migrations of dbmate, in their order\n"
        "  001_create               db/1_create.sql\n"
        "  002_colour  no rollback  db/2_colour.sql\n"
        "  note: db/2_colour.sql holds no statement to roll back, so 002_colour can't be rolled back\n"
        "notes/README.md says how to go on.\n"
    )
    migrations = here / "notes" / "src" / "notes_migrations" / "migrations"
    assert (migrations / "001_create.sql").read_text() == "CREATE TABLE notes (a);\n"
    assert (migrations / "001_create.rollback.sql").read_text() == "DROP TABLE notes;\n"
    assert fingerprint(here / "db") == before
    assert homie("check", "--dir", migrations, "--pack", "notes").code == 0

    document = homie("new-pack", "other", "--import", "db", "--json").json
    assert document["pack"]["folder"] == "other"
    assert len(document["pack"]["files"]) == 12
    assert document["imported"]["tool"] == "dbmate"
    assert document["imported"]["migrations"][1] == {
        "ref": "other:002_colour",
        "name": "002_colour",
        "original": str(Path("db/2_colour.sql")),
        "reversible": False,
    }
    assert len(document["imported"]["notes"]) == 1


def test_new_pack_writes_nothing_if_something_cannot_be_imported(homie, here: Path):
    write_pack(here / "db", "db", {"1_a.sql": "-- migrate:up\nVACUUM;\nATTACH 'x' AS x;\n", "2_b.go": ""})
    before = fingerprint(here)
    result = homie("new-pack", "notes", "--import", "db")
    assert result.code == 1
    lines = result.err.replace("\\", "/").splitlines()
    assert lines[0] == "Error: Nothing was imported from db:"
    assert [line.split(":")[0] for line in lines[1:-1]] == [
        "  - db/1_a.sql, line 2",
        "  - db/1_a.sql, line 3",
        "  - db/2_b.go, line 1",
    ]
    assert lines[-1] == "  Change that in a copy of the folder, and import the copy."
    assert homie("new-pack", "notes", "--import", "db", "--json").json["error"]["code"] == "import_refused"
    assert homie("new-pack", "notes", "--import", "nowhere", "--json").json["error"]["code"] == "folder_unusable"
    assert fingerprint(here) == before
    assert [path.name for path in here.iterdir()] == ["db"]


def test_a_long_import_shows_how_far_it_is_on_a_terminal(homie, here: Path, monkeypatch: pytest.MonkeyPatch):
    seen: list[tuple[str, int | None, int | None]] = []

    class Bar(progress._ProgressBar):
        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)
            if name == "total" and self.task:
                seen.append((self.task, self.done, self.total))

    monkeypatch.setattr(progress, "_ProgressBar", Bar)
    monkeypatch.setattr(progress, "is_terminal", lambda stream: True)
    write_pack(here / "db", "db", {"V1__a.sql": "SELECT 1;", "V2__b.sql": "SELECT 1;"})
    assert homie("new-pack", "notes", "--import", "db").code == 0
    task = "trying the migrations"
    assert seen == [(task, None, None), (task, 0, 2), (task, 1, 2)]


def test_a_signal_ends_an_import_and_nothing_is_written(homie, here: Path, monkeypatch: pytest.MonkeyPatch):
    def stopped(*given: object) -> None:
        signal.raise_signal(signal.SIGTERM)
        return importer.import_folder(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(new, "import_folder", stopped)
    write_pack(here / "db", "db", {"V1__a.sql": "SELECT 1;"})
    result = homie("new-pack", "notes", "--import", "db")
    assert result.code == 143
    assert result.err.startswith("Error: Stopped on request in a scratch database")
    assert [path.name for path in here.iterdir()] == ["db"]


@pytest.mark.parametrize("command", ["new", "new-pack"])
def test_quiet_hides_the_written_files(homie, here: Path, command: str):
    given = ["notes", "x", "--dir", "."] if command == "new" else ["notes"]
    result = homie(command, *given, "-q")
    assert (result.code, result.out, result.err) == (0, "", "")
