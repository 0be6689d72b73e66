"""The files that are written for authors: the next migration, and a whole pack."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from helpers import creates, fingerprint, write_pack

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.authoring import scaffolding
from homie_migrations_core.authoring.check import check_pack
from homie_migrations_core.authoring.scaffolding import create_migration, create_pack
from homie_migrations_core.errors import FolderUnusable, MigrationFailed, NotCreated, PackBroken, PackInvalid
from homie_migrations_core.packs.reading import read_pack

# --- the next migration -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "version", "name"),
    [
        ([], 1, "001_add_it"),
        (["001_one.py"], 2, "002_add_it"),
        (["1_one.py", "9_nine.sql"], 10, "10_add_it"),
        (["0001_one.py", "0042_two.sql", "0042_two.rollback.sql"], 43, "0043_add_it"),
        (["999_one.py"], 1000, "1000_add_it"),
        (["001_one.py", "_helpers.py", "__init__.py", "README.md", ".x.py"], 2, "002_add_it"),
        (["20240301100000_one.sql"], 20260105093000, "20260105093000_add_it"),
        (["20990301100000_one.sql"], 20990301100001, "20990301100001_add_it"),
    ],
)
def test_a_new_migration_gets_the_next_number_in_the_style_of_the_folder(tmp_path: Path, monkeypatch, there, version, name):
    monkeypatch.setattr(time, "gmtime", lambda: time.struct_time((2026, 1, 5, 9, 30, 0, 0, 5, 0)))
    for each in there:
        (tmp_path / each).write_text("")
    created = create_migration(tmp_path, "Add it")
    assert (created.version, created.name, created.files) == (version, name, (tmp_path / f"{name}.py",))


@pytest.mark.parametrize(
    ("title", "words", "heading"),
    [
        ("add user preferences", "add_user_preferences", "add user preferences"),
        ("Füge Größe hinzu.", "fuge_groe_hinzu", "Füge Größe hinzu"),
        ("  Drop 'x'; \"y\"!  ", "drop_x_y", "Drop 'x'; 'y'!"),
        ("a\nb\tc\x1b[31m", "a_b_c_31m", "a b c [31m"),
        ("../../etc\\passwd", "etc_passwd", "../../etc/passwd"),
        ("$version $x ${y} %s", "version_x_y_s", "$version $x ${y} %s"),
    ],
)
@pytest.mark.parametrize("sql", [False, True], ids=["py", "sql"])
def test_a_title_of_any_kind_becomes_a_file_name_and_a_heading(tmp_path: Path, title: str, words: str, heading: str, sql: bool):
    created = create_migration(tmp_path, title, sql=sql)
    assert created.name == f"001_{words}"
    text = created.files[0].read_text(encoding="utf-8")
    if sql:
        assert text.splitlines()[0] == f"-- 001: {heading}."
    else:
        assert ast.get_docstring(ast.parse(text)) == f"001: {heading}."
    pack = read_pack(MigrationPack("p", tmp_path))
    assert [(each.name, each.problem, each.reversible) for each in pack.migrations] == [(created.name, None, True)]


@pytest.mark.parametrize("sql", [False, True], ids=["py", "sql"])
def test_a_new_migration_fails_until_it_is_written_and_works_when_its_line_is_replaced(tmp_path: Path, sql: bool):
    pack = write_pack(tmp_path / "pack", "p", {"001_one.py": creates(1, "one")})
    created = create_migration(tmp_path / "pack", "Add a column", sql=sql)
    runner = MigrationRunner(tmp_path / "homie_p.db", [pack], backup=False)
    with pytest.raises(MigrationFailed) as failed:
        runner.apply()
    assert (failed.value.ref, failed.value.file) == ("p:002_add_a_column", str(created.files[0]))

    down = created.files[-1]
    stubs = {"py": ["raise NotImplementedError"], "sql": ["THIS MIGRATION IS NOT WRITTEN YET", "THIS ROLLBACK IS NOT WRITTEN YET"]}
    written = created.files[0].read_text(encoding="utf-8")
    add, drop = "ALTER TABLE one ADD COLUMN x", "ALTER TABLE one DROP COLUMN x"
    if sql:
        created.files[0].write_text(written.replace(stubs["sql"][0], add), encoding="utf-8")
        down.write_text(down.read_text(encoding="utf-8").replace(stubs["sql"][1], drop), encoding="utf-8")
    else:
        for statement in (add, drop):
            written = written.replace(stubs["py"][0], f"conn.execute('{statement}')", 1)
        down.write_text(written, encoding="utf-8")
    assert [each.ref for each in runner.apply()][-1:] == ["p:002_add_a_column"]
    assert [each.ref for each in runner.rollback("p", steps=1)] == ["p:002_add_a_column"]


@pytest.mark.parametrize(
    ("there", "title", "kind", "found"),
    [
        ([], "…", NotCreated, "the title '…' has no letter or digit for a file name"),
        ([], "x" * 300, NotCreated, "the title is too long for a file name"),
        (["002-two.py"], "x", PackBroken, "002-two.py is not a valid migration file name"),
        (["002_two.py", "2_two.sql"], "x", PackBroken, "002_two.py and 2_two.sql have the same version 2"),
        (["002_two.rollback.sql"], "x", PackBroken, "is a rollback without its 002_two.sql"),
        (["migrations"], "x", NotCreated, "holds migrations and no migration"),
        (["pyproject.toml", "migrations"], "x", NotCreated, "holds pyproject.toml and no migration"),
        ([f"{2**63 - 1}_last.py"], "x", NotCreated, "has the highest version that there can be"),
    ],
)
def test_what_cannot_be_numbered_or_named_is_refused_and_writes_nothing(tmp_path: Path, there, title, kind, found):
    for each in there:
        (tmp_path / each).write_text("")
    before = fingerprint(tmp_path)
    with pytest.raises(kind, match=re.escape(found)):
        create_migration(tmp_path, title)
    assert fingerprint(tmp_path) == before


def test_a_pair_of_sql_files_of_which_one_cannot_be_written_is_not_left_half_done(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(scaffolding, "_migrations_in", lambda folder: {})
    (tmp_path / "001_x.rollback.sql").write_text("mine")
    with pytest.raises(NotCreated, match=re.escape("001_x.rollback.sql exists already")):
        create_migration(tmp_path, "x", sql=True)
    assert fingerprint(tmp_path).keys() == {"001_x.rollback.sql"}
    assert (tmp_path / "001_x.rollback.sql").read_text() == "mine"


def test_a_folder_that_is_missing_or_takes_no_file_says_so(tmp_path: Path, monkeypatch):
    with pytest.raises(FolderUnusable) as missing:
        create_migration(tmp_path / "gone", "x")
    assert missing.value.found == "does not exist"

    def fail(*given: object, **more: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", fail)
    with pytest.raises(FolderUnusable) as closed:
        create_migration(tmp_path, "x")
    assert closed.value.found == "can't be written to (Permission denied)"


# --- a whole pack -----------------------------------------------------------------------------------------


NAMES = ["notes", "order", "sqlite_tools", "a", "import", "a_", "x__y", "migrations", "l" * 80]


@pytest.mark.parametrize("name", NAMES)
def test_a_new_pack_is_whole_and_passes_check(tmp_path: Path, name: str):
    files = create_pack(name, tmp_path, core_version="0.1.0")
    folder = tmp_path / name.replace("_", "-")
    assert set(files) == {path for path in folder.rglob("*") if path.is_file()}
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dependencies"] == ["homie-migrations-core>=0.1,<0.2"]
    assert project["project"]["entry-points"] == {"homie.migrations": {name: f"{name}_migrations.plugin"}}
    assert not re.search("__|_", project["project"]["name"])
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert "$" not in text.replace("${{ matrix.python }}", "")
        if path.suffix == ".py":
            compile(text, path, "exec")

    checked = check_pack(MigrationPack(name, folder / "src" / f"{name}_migrations" / "migrations"))
    assert [each.message for each in checked.findings] == []
    assert checked.notes == ()


def test_new_packs_and_migrations_are_formatted_and_pass_the_linter_whatever_their_names(tmp_path: Path):
    for name in NAMES:
        create_pack(name, tmp_path, core_version="0.1.0")
        migrations = tmp_path / name.replace("_", "-") / "src" / f"{name}_migrations" / "migrations"
        create_migration(migrations, "Add user preferences")
        create_migration(migrations, "t" * 150)
    ruff = Path(sys.executable).with_name("ruff.exe" if os.name == "nt" else "ruff")
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run([ruff, *command, "--no-cache", tmp_path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_plugin_of_a_new_pack_hands_it_over(tmp_path: Path, monkeypatch):
    folder = create_pack("ledger", tmp_path, core_version="0.1.0")[0].parents[0]
    while not (folder / "pyproject.toml").exists():
        folder = folder.parent
    monkeypatch.syspath_prepend(str(folder / "src"))
    from ledger_migrations import plugin  # type: ignore[import-not-found]

    assert plugin.homie_migration_packs() == MigrationPack("ledger", "ledger_migrations.migrations", "homie_ledger.db")
    runner = MigrationRunner(tmp_path / "homie_ledger.db", [plugin.pack])
    assert [each.ref for each in runner.apply()] == ["ledger:001_first_table"]
    assert runner.validate() == []


@pytest.mark.parametrize(
    ("core", "requirement"),
    [("0.1.0", ">=0.1,<0.2"), ("0.9.3", ">=0.9,<0.10"), ("1.4.2", ">=1.4,<2"), ("12.0", ">=12.0,<13"), (None, "")],
)
def test_a_new_pack_requires_a_core_that_keeps_to_the_same_promises(tmp_path: Path, core, requirement):
    create_pack("notes", tmp_path, core_version=core)
    text = (tmp_path / "notes" / "pyproject.toml").read_text(encoding="utf-8")
    assert f'dependencies = ["homie-migrations-core{requirement}"]' in text


def test_given_migrations_take_the_place_of_the_first_one(tmp_path: Path):
    create_pack("notes", tmp_path, {"001_x.sql": "SELECT 1;\r\n"}, core_version="0.1.0")
    migrations = tmp_path / "notes" / "src" / "notes_migrations" / "migrations"
    assert sorted(path.name for path in migrations.iterdir()) == ["001_x.sql", "__init__.py"]
    assert (migrations / "001_x.sql").read_bytes() == b"SELECT 1;\r\n"


def test_nothing_that_exists_is_overwritten(tmp_path: Path):
    (tmp_path / "my-notes").symlink_to(tmp_path / "nowhere")
    with pytest.raises(NotCreated, match="my-notes exists already"):
        create_pack("my_notes", tmp_path, core_version="0.1.0")
    with pytest.raises(PackInvalid, match="its name is 'My Notes'"):
        create_pack("My Notes", tmp_path, core_version="0.1.0")
    with pytest.raises(FolderUnusable, match="can't be written to"):
        create_pack("notes", tmp_path / "gone", core_version="0.1.0")
    assert os.listdir(tmp_path) == ["my-notes"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["disk full", "Ctrl-C"])
def test_a_pack_that_cannot_be_written_whole_is_not_there_at_all(tmp_path: Path, monkeypatch, error: BaseException):
    write = Path.write_text

    def fail_at_the_third(path: Path, *given: object, **more: object) -> int:
        if path.name == "pyproject.toml":
            raise error
        return write(path, *given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "write_text", fail_at_the_third)
    with pytest.raises(NotCreated if isinstance(error, OSError) else KeyboardInterrupt):
        create_pack("notes", tmp_path, core_version="0.1.0")
    assert os.listdir(tmp_path) == []
