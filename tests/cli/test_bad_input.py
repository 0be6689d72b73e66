"""Bad input: its exit code, at most three lines on stderr, and nothing made, changed or lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers import creates, fingerprint, problems, python_migration, run_sql

from homie_migrations_core.cli.commands.status import StatusOptions
from homie_migrations_core.cli.entry import parse_options

ONE = {"001_one.py": creates(1, "one")}

# what is wrong with the files of a pack → the files, and what the message must contain
UNUSABLE = {
    "digits without an underscore": (
        {"003destination.py": creates(3, "x")},
        "003destination.py is not a valid migration file name",
    ),
    "words before the digits": ({"migration_003_x.py": creates(3, "x")}, "migration_003_x.py is not a valid migration file name"),
    "a bad name beside a good one": (
        {**ONE, "002-two.py": creates(2, "two")},
        "002-two.py is not a valid migration file name",
    ),
    "a version twice": ({**ONE, "01_uno.py": creates(1, "uno")}, "001_one.py and 01_uno.py have the same version 1"),
    "a version twice, once as SQL": ({**ONE, "001_one.sql": "SELECT 1;"}, "001_one.py and 001_one.sql have the same version 1"),
    "version and name disagree": (
        {"002_two.py": creates(1, "two")},
        "002_two.py returns 1 as its version, but its file name says 2",
    ),
    "no apply_migration": ({"001_one.py": "def get_migration_version():\n    return 1\n"}, "001_one.py has no apply_migration()"),
    "no get_migration_version": ({"001_one.py": "def apply_migration(conn): ...\n"}, "001_one.py has no get_migration_version()"),
    "a syntax error": ({"001_one.py": "def get_migration_version(:\n"}, "001_one.py, line 1: "),
    "no file at all": ({}, "it holds no migration"),
    "an unknown requirement": (
        {"001_one.py": creates(1, "one", requires=("nowhere:7",))},
        "001_one requires nowhere:7, which no usable pack of this database ships",
    ),
    "a cycle": (
        {"001_one.py": creates(1, "one", requires=("bad:2",)), "002_two.py": creates(2, "two")},
        "require each other",
    ),
}


@pytest.mark.parametrize("command", ["apply", "plan"])
@pytest.mark.parametrize("how", ["text", "json"])
@pytest.mark.parametrize(("files", "words"), UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_folder_is_refused_with_its_reason_and_changes_nothing(homie, tmp_path: Path, files, words, how, command):
    folder = tmp_path / "bad"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_text(content)
    database = tmp_path / "kept.db"
    run_sql(database, "CREATE TABLE kept (x); INSERT INTO kept VALUES (1);")
    before = fingerprint(tmp_path)

    result = homie(command, "--dir", folder, "--database", database, *(["--json"] if how == "json" else []))

    assert result.code == 1
    assert words in result.err
    assert len(problems(result.err)) == 1
    if how == "json":
        assert words in result.out
        assert result.json["databases"][0]["path"] == str(database)
    assert fingerprint(tmp_path) == before


@pytest.mark.parametrize(
    ("files", "words"), [UNUSABLE[each] for each in UNUSABLE if each not in ("an unknown requirement", "a cycle")]
)
def test_status_shows_what_is_wrong_with_a_folder(homie, tmp_path: Path, files, words):
    folder = tmp_path / "bad"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_text(content)

    result = homie("status", "--dir", folder, "--database", tmp_path / "new.db")
    found = homie("status", "--dir", folder, "--database", tmp_path / "new.db", "--json").json

    assert result.code == 1
    assert words in result.out
    assert [pack["state"] for pack in found["databases"][0]["packs"]] == ["broken"]
    assert [words in each["reason"] for each in found["broken"]] == [True]
    assert not (tmp_path / "new.db").exists()


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Things that are no database, and a folder of migrations."""
    (tmp_path / "text.db").write_text("These are not the bytes of a database, but somebody may want them. " * 20)
    (tmp_path / "folder.db").mkdir()
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "001_one.py").write_text(creates(1, "one"))
    (tmp_path / "Not-A-Name").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere.db")
    return tmp_path


# (options, words); {} is replaced by the folder of the test
USAGE = {
    "not a database": ("--database {}/text.db", "it is not an SQLite database"),
    "a folder": ("--database {}/folder.db", "it is a folder"),
    "no such parent": ("--database {}/nowhere/x.db", "there is no folder {}/nowhere"),
    "a file as parent": ("--database {}/text.db/x.db", "{}/text.db is not a folder"),
    "a pipe": ("--database {}/pipe", "it is a pipe or a device"),
    "a link that leads nowhere": ("--database {}/link", "it is a link that leads nowhere"),
    "an empty path": ("--database=", "does not name a file"),
    "unknown pack": ("--data-dir {} --pack nobody", "there is no pack 'nobody'"),
    "unknown pack for a file": ("--database {}/x.db --pack nobody", "there is no pack 'nobody'"),
    "no folder of migrations": ("--dir {}/nowhere --database {}/x.db", "{}/nowhere does not exist"),
    "a file as folder of migrations": ("--dir {}/text.db --database {}/x.db", "{}/text.db is not a folder"),
    "an empty folder name": ("--dir= --database {}/x.db", "--dir is empty"),
    "a folder but no database": ("--dir {}/good", "Add --database PATH"),
    "a folder name that is no pack name": ("--dir {}/Not-A-Name --database {}/x.db", "Give the pack's name with --pack"),
    "a pack name that is none": ("--dir {}/good --database {}/x.db --pack 1x", "can't be a pack's name"),
    "two names for one folder": ("--dir {}/good --database {}/x.db --pack a --pack b", "Give one --pack"),
    "a file as data folder": ("--data-dir {}/text.db", "{}/text.db is not a folder"),
    "an empty data folder": ("--data-dir=", "--data-dir is empty"),
    "a negative time": ("--data-dir {} --lock-timeout -1", "is not a valid time"),
    "no number as time": ("--data-dir {} --lock-timeout nan", "is not a valid time"),
    "words as time": ("--data-dir {} --lock-timeout soon", "--lock-timeout"),
    "an unknown option": ("--data-dir {} --nonsense", "No such option: --nonsense"),
    "an option without its value": ("--data-dir {} --database", "'--database' requires an argument"),
    "an argument too many": ("--data-dir {} everything", "unexpected extra argument"),
}


@pytest.mark.skipif(os.name == "nt", reason="the scene has a named pipe")
@pytest.mark.parametrize("command", ["status", "plan", "history", "apply"])
@pytest.mark.parametrize(("options", "words"), USAGE.values(), ids=USAGE)
def test_wrong_usage_ends_with_2_one_document_and_changes_nothing(homie, scene: Path, options: str, words: str, command: str):
    given = [each.format(scene) for each in options.split()]
    before = fingerprint(scene)

    result = homie(command, *given)
    with_json = homie(command, "--json", *given)

    assert result.code == with_json.code == 2
    assert words.format(scene) in result.err
    assert len(problems(result.err)) == 1
    assert result.out == ""
    assert with_json.err == result.err
    assert words.format(scene) in with_json.json["error"]["message"]
    assert with_json.json["error"]["code"] != "unexpected"
    assert fingerprint(scene) == before
    assert sorted(path.name for path in scene.iterdir()) == ["Not-A-Name", "folder.db", "good", "link", "pipe", "text.db"]


@pytest.mark.parametrize(
    "target", ["one", "good", "good:", "good:x", "good:2", "good:001_other", "other:1", "good:0", "good:-1", ""]
)
@pytest.mark.parametrize("command", ["apply", "plan"])
def test_an_unknown_target_ends_with_2_and_changes_nothing(homie, scene: Path, command: str, target: str):
    before = fingerprint(scene)

    result = homie(command, "--dir", scene / "good", "--database", scene / "x.db", "--to", target)

    assert (result.code, result.out) == (2, "")
    assert f"{target!r} does not name a migration" in result.err or f"{target!r} is not a valid reference" in result.err
    assert len(problems(result.err)) == 1
    assert fingerprint(scene) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("rollback", "Missing argument 'PACK'"),
        ("redo", "Missing argument 'PACK'"),
        ("rollback nobody", "there is no pack 'nobody'"),
        ("redo nobody", "there is no pack 'nobody'"),
        ("rollback file_organizer --steps 0", "--steps"),
        ("rollback file_organizer --steps two", "--steps"),
        ("rollback file_organizer --to -1", "--to"),
        ("rollback file_organizer --to 7", "does not name a migration"),
        ("rollback file_organizer --to 0 --steps 1", "--steps and --to were both given"),
    ],
)
def test_a_rollback_that_means_nothing_ends_with_2(homie, scene: Path, arguments: str, words: str):
    command, *others = arguments.split()
    before = fingerprint(scene)

    result = homie(command, *others, "--data-dir", scene / "data")
    with_json = homie(command, *others, "--data-dir", scene / "data", "--json")

    assert result.code == with_json.code == 2
    assert words in result.err
    assert words in with_json.json["error"]["message"]
    assert len(problems(result.err)) == 1
    assert fingerprint(scene) == before
    assert not (scene / "data").exists()


@pytest.mark.parametrize("arguments", [["aply"], ["stat"], ["--nonsense"], ["status", "--nonsense"], ["apply", "x", "--json"]])
def test_the_process_says_usage_errors_in_one_line_and_ends_with_2(homie_process, arguments):
    result = homie_process(*arguments)
    assert result.code == 2
    assert len(problems(result.err)) == 1
    assert result.err.startswith("Error: ")
    assert "--help`." in result.err
    if "--json" in arguments:
        assert result.json["error"]["code"] == "usage"
    else:
        assert result.out == ""


def test_a_misspelt_command_gets_a_suggestion(homie):
    assert "Did you mean 'status'?" in homie("stauts").err


def test_a_foreign_tracking_table_is_refused_and_untouched(homie, tmp_path: Path, scene: Path):
    database = tmp_path / "rails.db"
    run_sql(database, "CREATE TABLE schema_migrations (version TEXT PRIMARY KEY); INSERT INTO schema_migrations VALUES ('2020');")
    before = fingerprint(tmp_path)

    for command in ("status", "plan", "history", "apply"):
        result = homie(command, "--dir", scene / "good", "--database", database, "--json")
        assert result.code == 1
        assert "belongs to another tool" in result.err
        assert len(problems(result.err)) == 1
        assert result.json["error"]["code"] == "foreign_tracking_table"
        assert result.json["databases"][0]["state"] == "foreign"
    assert fingerprint(tmp_path) == before


def test_a_database_that_is_ahead_is_shown_by_status_and_refused_by_apply(homie, tmp_path: Path):
    """The case of a downgrade: version 3 by an earlier table, a pack that ends at 1."""
    from helpers import EARLIER_TABLE

    database, folder = tmp_path / "homie_tasks.db", tmp_path / "tasks"
    folder.mkdir()
    (folder / "001_one.py").write_text(python_migration(1))
    rows = "INSERT INTO schema_migrations (version, migration_name) VALUES (1, '001_one'), (2, '002_two'), (3, '003_three');"
    run_sql(database, EARLIER_TABLE + rows)
    before = fingerprint(tmp_path)
    here = ("--dir", folder, "--database", database)

    shown, refused = homie("status", *here), homie("apply", *here)

    assert shown.code == 0
    assert "tasks: ahead, version 3 of 1" in shown.out
    assert homie("status", *here, "--check").code == 1
    assert refused.code == 1
    assert "already holds tasks:002_two, tasks:003_three" in refused.err
    assert len(problems(refused.err)) == 1
    assert refused.out == ""
    assert fingerprint(tmp_path) == before


def test_every_wrong_line_is_left_to_typer():
    for line in (
        ["--nonsense"],
        ["everything"],
        ["--database"],
        ["--lock-timeout", "soon"],
        ["--check=1"],
        ["--", "x"],
        ["--help"],
    ):
        assert parse_options(StatusOptions.declared(), line) is None, line
