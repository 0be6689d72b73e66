"""Which database, which packs, which folder: the options, the environment, the default, the plugins."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from helpers import EARLIER_TABLE, creates, fingerprint, problems, recorded, run_sql, tables

ONE = {"001_one.py": creates(1, "one")}
FILE = "homie_file_organizer.db"


# --- the data folder ------------------------------------------------------------------------------------


def test_apply_makes_the_data_folder_and_modules(homie, tmp_path: Path):
    data = tmp_path / "not" / "there" / "yet"
    result = homie("apply", "--data-dir", data)
    assert result.code == 0
    assert result.out.splitlines()[0] == f"{data / 'modules' / FILE} (from --data-dir): a new database"
    assert sorted(fingerprint(data)) == [f"modules/{FILE}"]


def test_the_option_beats_the_environment_which_beats_the_default(homie, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    default = homie("status", "--json").json["databases"][0]["path"]
    assert Path(default).is_relative_to(tmp_path)
    assert Path(default).parts[-3:] == ("homie", "modules", FILE)
    assert "(from the default folder)" in homie("apply").out
    assert Path(default).exists()

    monkeypatch.setenv("HOMIE_DATA_DIR", str(tmp_path / "environment"))
    assert f"{tmp_path / 'environment' / 'modules' / FILE} (from HOMIE_DATA_DIR): a new database" in homie("apply").out
    assert (
        f"{tmp_path / 'option' / 'modules' / FILE} (from --data-dir): a new"
        in homie("apply", "--data-dir", tmp_path / "option").out
    )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the XDG folders are Linux'")
def test_the_default_is_the_platforms_folder_for_user_data(homie, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert homie("status", "--json").json["databases"][0]["path"] == str(tmp_path / ".local/share/homie/modules" / FILE)


def test_an_empty_environment_variable_counts_as_none(homie, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOMIE_DATA_DIR", "")
    assert Path(homie("status", "--json").json["databases"][0]["path"]).is_relative_to(tmp_path)


@pytest.mark.parametrize("command", ["status", "plan", "history", "packs", "rollback", "redo"])
@pytest.mark.parametrize("how", [(), ("--json",)], ids=["text", "json"])
def test_commands_that_change_nothing_make_nothing(homie, tmp_path: Path, monkeypatch, command: str, how):
    monkeypatch.setenv("HOMIE_DATA_DIR", str(tmp_path / "data"))
    assert homie(command, *(["file_organizer"] if command in ("rollback", "redo") else []), *how).code == 0
    assert list(tmp_path.iterdir()) == []


def test_relative_paths_are_shown_whole(homie, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert homie("status", "--database", FILE).out.startswith(f"{tmp_path / FILE}: new")
    assert homie("status", "--data-dir", "data").out.startswith(f"{tmp_path / 'data' / 'modules' / FILE}: new")


def test_the_parent_of_a_database_is_never_made(homie, tmp_path: Path):
    result = homie("apply", "--database", tmp_path / "nowhere" / FILE)
    assert result.code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_failing_first_migration_leaves_no_database(homie, tmp_path: Path):
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "001_one.py").write_text("def get_migration_version(): return 1\ndef apply_migration(conn): raise ValueError('no')\n")
    before = fingerprint(tmp_path)
    assert homie("apply", "--dir", folder, "--database", tmp_path / "x.db").code == 1
    left = fingerprint(tmp_path)
    assert left.pop("x.db", None) in (None, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")  # of no bytes
    assert left == before


# --- several databases -------------------------------------------------------------------------------------


def test_every_database_of_installed_packs_is_migrated(homie, installed, tmp_path: Path):
    installed.pack("tasks", ONE)
    installed.pack("notes", {"001_notes.py": creates(1, "notes")}, database="homie_tasks.db")
    result = homie("apply", "--data-dir", tmp_path)
    assert result.code == 0
    assert recorded(tmp_path / "modules" / FILE) == ["file_organizer:001_destination_memory"]
    assert recorded(tmp_path / "modules" / "homie_tasks.db") == ["notes:001_notes", "tasks:001_one"]


def test_pack_narrows_to_that_pack_and_its_database(homie, installed, tmp_path: Path):
    installed.pack("tasks", ONE)
    installed.pack("notes", {"001_notes.py": creates(1, "notes")}, database="homie_tasks.db")
    installed.pack("music", {"001_music.py": creates(1, "music")})
    assert homie("apply", "--pack", "notes", "--pack", "music", "--data-dir", tmp_path).code == 0
    assert recorded(tmp_path / "modules" / "homie_tasks.db") == ["notes:001_notes"]
    assert recorded(tmp_path / "modules" / "homie_music.db") == ["music:001_music"]
    assert not (tmp_path / "modules" / FILE).exists()


@pytest.mark.parametrize("command", ["apply", "plan"])
def test_a_target_is_only_about_the_database_of_its_pack(homie, installed, tmp_path: Path, command: str):
    installed.pack("tasks", {**ONE, "002_two.py": creates(2, "two")})
    result = homie(command, "--to", "tasks:1", "--data-dir", tmp_path, "--json")
    assert result.code == 0
    assert [Path(each["path"]).name for each in result.json["databases"]] == ["homie_tasks.db"]
    assert not (tmp_path / "modules" / FILE).exists()
    refused = homie(command, "--to", "nobody:1", "--data-dir", tmp_path)
    assert (refused.code, len(problems(refused.err))) == (2, 1)
    assert "there is no pack 'nobody'" in refused.err


def test_a_repeated_database_is_done_once(homie, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = homie("apply", "--database", FILE, "--database", f"./{FILE}", "--database", tmp_path / FILE, "--json")
    assert [each["path"] for each in result.json["databases"]] == [str(tmp_path / FILE)]


# --- a database whose name no pack knows --------------------------------------------------------------------


def test_another_file_name_gets_the_packs_of_the_one_database_installed(homie, tmp_path: Path):
    assert homie("apply", "--database", tmp_path / "copy.db").code == 0
    assert recorded(tmp_path / "copy.db") == ["file_organizer:001_destination_memory"]
    assert homie("status", "--database", tmp_path / "copy.db", "--check").code == 0


@pytest.mark.parametrize("command", ["apply", "status", "plan", "history"])
def test_another_file_name_needs_a_choice_if_packs_of_several_databases_are_installed(
    homie, installed, tmp_path: Path, command: str
):
    installed.pack("tasks", ONE)
    result = homie(command, "--database", tmp_path / "copy.db")
    assert (result.code, result.out, len(problems(result.err))) == (2, "", 1)
    assert "`--pack file_organizer` or `--pack tasks`" in result.err
    assert not (tmp_path / "copy.db").exists()


def test_pack_chooses_for_another_file_name(homie, installed, tmp_path: Path):
    installed.pack("tasks", ONE)
    assert homie("apply", "--database", tmp_path / "copy.db", "--pack", "tasks").code == 0
    assert recorded(tmp_path / "copy.db") == ["tasks:001_one"]


@pytest.mark.parametrize("command", ["apply", "status", "plan"])
def test_a_database_of_another_program_always_needs_pack(homie, tmp_path: Path, command: str):
    """A typo must not create tables in the file of another program."""
    run_sql(tmp_path / "photos.db", "CREATE TABLE photos (x)")
    before = fingerprint(tmp_path)
    result = homie(command, "--database", tmp_path / "photos.db")
    assert (result.code, result.out) == (2, "")
    assert "it holds tables but no record of a migration" in result.err
    assert "--pack file_organizer" in result.err
    assert fingerprint(tmp_path) == before


def test_pack_allows_a_file_of_another_program(homie, tmp_path: Path):
    run_sql(tmp_path / "photos.db", "CREATE TABLE photos (x)")
    assert homie("apply", "--database", tmp_path / "photos.db", "--pack", "file_organizer", "--no-backup").code == 0
    assert tables(tmp_path / "photos.db") >= {"photos", "drives"}


def test_a_known_file_name_is_trusted_even_if_tables_are_there_already(homie, tmp_path: Path):
    """Homie made its tables before it tracked versions."""
    run_sql(tmp_path / FILE, "CREATE TABLE file_actions (x)")
    assert homie("apply", "--database", tmp_path / FILE, "--no-backup").code == 0


def test_a_database_of_the_earlier_shape_is_read_as_it_is_and_brought_over(homie, tmp_path: Path):
    database = tmp_path / FILE
    row = "INSERT INTO schema_migrations VALUES (1, '2024-01-02 03:04:05', '001_destination_memory');"
    run_sql(database, EARLIER_TABLE + row)
    before = fingerprint(tmp_path)
    assert "2024-01-02 03:04:05 UTC  file_organizer:001_destination_memory" in homie("history", "--database", database).out
    assert homie("apply", "--database", database).code == 0
    assert fingerprint(tmp_path) == before


# --- a folder of migrations ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folder", "options", "name"),
    [
        ("tasks", (), "tasks"),
        ("tasks/migrations", (), "tasks"),
        ("tasks", ("--pack", "other"), "other"),
        ("Homie Tasks", ("--pack", "tasks"), "tasks"),
        ("Homie Tasks/migrations", ("--pack", "tasks"), "tasks"),
    ],
)
def test_the_name_of_a_folder_pack(homie, tmp_path: Path, folder: str, options, name: str):
    place = tmp_path / folder
    place.mkdir(parents=True)
    (place / "001_one.py").write_text(ONE["001_one.py"])
    assert homie("apply", "--dir", place, "--database", tmp_path / "x.db", *options).code == 0
    assert recorded(tmp_path / "x.db") == [f"{name}:001_one"]


@pytest.mark.parametrize("folder", ["Homie Tasks", "2tasks", "Homie Tasks/migrations", "tasks-migrations"])
def test_a_folder_name_that_is_not_a_valid_pack_name_needs_pack(homie, tmp_path: Path, folder: str):
    place = tmp_path / folder
    place.mkdir(parents=True)
    (place / "001_one.py").write_text(ONE["001_one.py"])
    result = homie("apply", "--dir", place, "--database", tmp_path / "x.db")
    assert (result.code, result.out) == (2, "")
    assert "--pack" in result.err
    assert not (tmp_path / "x.db").exists()


def test_a_folder_is_the_only_pack_and_nothing_installed_counts(homie, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("tasks").mkdir()
    Path("tasks", "001_one.py").write_text(ONE["001_one.py"])
    result = homie("apply", "--dir", "tasks", "--database", FILE)
    assert result.code == 0
    assert recorded(tmp_path / FILE) == ["tasks:001_one"]


def test_a_trailing_slash_changes_nothing(homie, tmp_path: Path):
    (tmp_path / "tasks" / "migrations").mkdir(parents=True)
    (tmp_path / "tasks" / "migrations" / "001_one.py").write_text(ONE["001_one.py"])
    homie("apply", "--dir", f"{tmp_path}/tasks/migrations/", "--database", tmp_path / "x.db")
    assert recorded(tmp_path / "x.db") == ["tasks:001_one"]


# --- plugins that say where a database lies ----------------------------------------------------------------------

ELSEWHERE = """
    @hookimpl
    def homie_database_path(database, data_dir):
        return data_dir / "elsewhere" / {name} if database == "homie_tasks.db" else None
"""


def test_a_plugin_chooses_the_path_of_a_database(homie, installed, tmp_path: Path):
    installed.pack("tasks", ONE, more=ELSEWHERE.format(name="database"))
    result = homie("apply", "--data-dir", tmp_path)
    there = tmp_path / "elsewhere" / "homie_tasks.db"
    assert result.code == 0
    assert f"{there} (from a plugin's homie_database_path): a new database" in result.out.splitlines()
    assert recorded(there) == ["tasks:001_one"]
    assert recorded(tmp_path / "modules" / FILE) == ["file_organizer:001_destination_memory"]
    assert homie("status", "--data-dir", tmp_path, "--check").code == 0


def test_a_plugin_may_give_a_database_another_file_name(homie, installed, tmp_path: Path):
    installed.pack("tasks", {**ONE, "002_two.py": creates(2, "two")}, more=ELSEWHERE.format(name="'store.sqlite'"))
    there = tmp_path / "elsewhere" / "store.sqlite"
    assert homie("apply", "--data-dir", tmp_path, "--to", "tasks:1").code == 0
    assert homie("apply", "--data-dir", tmp_path, "--no-backup").code == 0
    assert recorded(there) == ["tasks:001_one", "tasks:002_two"]
    assert homie("history", "--data-dir", tmp_path).code == 0
    assert homie("rollback", "tasks", "--data-dir", tmp_path, "--yes", "--no-backup").code == 0
    assert recorded(there) == ["tasks:001_one"]


@pytest.mark.parametrize("command", ["apply", "status"])
def test_a_plugin_that_fails_to_choose_a_path_is_named_and_no_path_is_guessed(homie, installed, tmp_path: Path, command: str):
    installed.pack(
        "tasks", ONE, more="@hookimpl\ndef homie_database_path(database, data_dir):\n    raise RuntimeError('no idea')\n"
    )
    result = homie(command, "--data-dir", tmp_path)
    assert result.code == 1
    assert "no idea" in result.err
    assert len(problems(result.err)) == 1
    assert list(tmp_path.iterdir()) == []
    assert homie("packs").code == 0


def test_a_folder_that_is_not_writable_is_reported(homie, tmp_path: Path):
    if os.geteuid() == 0:
        pytest.skip("the superuser may write everywhere")
    tmp_path.chmod(0o500)
    try:
        result = homie("apply", "--data-dir", tmp_path)
    finally:
        tmp_path.chmod(0o700)
    assert (result.code, len(problems(result.err))) == (2, 1)
    assert list(tmp_path.iterdir()) == []
