"""`baseline --detect`: the version that is there is found by comparing schemas, shown, asked about, and recorded."""

from __future__ import annotations

from pathlib import Path

import importlib_metadata  # noqa: F401  (before `nothing_else` hides the folder it is in)
import pytest
from cli.migration_folder import MigrationFolder
from helpers import fingerprint, problems, recorded, run_sql

FIVE = {
    "001_tasks.sql": "CREATE TABLE tasks (id INTEGER PRIMARY KEY)",
    "002_title.sql": "ALTER TABLE tasks ADD COLUMN title TEXT",
    "003_tags.sql": "CREATE TABLE tags (name TEXT); CREATE INDEX tags_by_name ON tags (name)",
    "004_less.sql": "DROP INDEX tags_by_name",
    "005_view.sql": "CREATE VIEW titles AS SELECT title FROM tasks",
}
OWN = "; CREATE TABLE own (a); CREATE INDEX own_by_a ON own (a)"


class UntrackedDatabase(MigrationFolder):
    """A database whose tables the application made before it tracked versions."""

    def __init__(self, place: Path, homie) -> None:
        super().__init__(place, FIVE)
        self._homie = homie

    def at(self, version: int, more: str = OWN) -> None:
        """Make what the migrations up to this version make, and more, without a record."""
        run_sql(self.database, ";".join(list(FIVE.values())[:version]) + more)

    def detect(self, *more: object):
        return self._homie("baseline", "tasks", "--detect", *self.options, *more)


@pytest.fixture
def tasks(tmp_path: Path, homie) -> UntrackedDatabase:
    return UntrackedDatabase(tmp_path, homie)


@pytest.mark.parametrize("version", range(1, 6))
def test_each_version_is_found_reported_and_recorded(homie, tasks: UntrackedDatabase, version):
    tasks.at(version)
    result = tasks.detect("--yes")
    names = [f"tasks:{Path(name).stem}" for name in FIVE]
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == f"{tasks.database} (from --database): an existing database"
    assert lines[1] == f"  {names[version - 1]}: what it makes, with all before it, is what is there"
    if version < 5:
        assert lines[2].startswith(f"  {names[version]}: not there yet, because ")
    assert [line for line in lines if "recorded" in line] == [f"  recorded {name}, which was not run" for name in names[:version]]
    assert recorded(tasks.database) == names[:version]
    assert homie("validate", *tasks.options).code == 0
    assert homie("apply", *tasks.options, "--no-backup").code == 0
    assert homie("validate", *tasks.options).code == 0


def test_the_missing_parts_of_the_next_version_are_reported(tasks: UntrackedDatabase):
    tasks.at(1)
    assert (
        "  tasks:002_title: not there yet, because `tasks` lacks the column `title`, which its migrations create\n"
        in tasks.detect("--yes").out
    )


def test_json_says_what_was_found_and_what_was_recorded(tasks: UntrackedDatabase):
    tasks.at(2)
    result = tasks.detect("--yes", "--json")
    (database,) = result.json["databases"]
    assert database["detected"] == {"pack": "tasks", "version": 2, "equal": ["tasks:002_title"], "nearest": None, "differences": []}
    assert database["recorded"] == ["tasks:001_tasks", "tasks:002_title"]
    assert database["snapshot"]


def test_a_step_that_changes_only_rows_leaves_the_version_unclear_and_both_are_named(tasks: UntrackedDatabase, tmp_path: Path):
    (tasks.folder / "003_tags.sql").write_text("UPDATE tasks SET title = 'none' WHERE title IS NULL")
    (tasks.folder / "004_less.sql").write_text("CREATE TABLE more (a)")
    tasks.at(2)
    before = fingerprint(tmp_path)
    result = tasks.detect("--yes", "--json")
    assert (result.code, result.json["error"]["code"]) == (1, "version_unclear")
    assert "tasks:002_title and tasks:003_tags produce the same schema" in result.err
    assert "`homie migrations baseline tasks VERSION`" in result.err
    assert result.json["databases"][0]["detected"]["equal"] == ["tasks:002_title", "tasks:003_tags"]
    assert fingerprint(tmp_path) == before


def test_drift_leaves_the_version_unclear_and_the_nearest_is_reported_with_the_differences(
    tasks: UntrackedDatabase, tmp_path: Path
):
    tasks.at(3, "; ALTER TABLE tasks ADD COLUMN due TEXT")
    before = fingerprint(tmp_path)
    result = tasks.detect("--yes", "--json")
    assert (result.code, result.json["error"]["code"]) == (1, "version_unclear")
    assert "the nearest is tasks:003_tags" in result.err
    assert "`tasks` has a column `due` that no migration creates" in result.err
    detected = result.json["databases"][0]["detected"]
    assert (detected["version"], detected["nearest"]) == (None, "tasks:003_tags")
    assert detected["differences"] == ["`tasks` has a column `due` that no migration creates"]
    assert fingerprint(tmp_path) == before


@pytest.mark.parametrize(
    "make", [lambda path: None, Path.touch, lambda path: run_sql(path, OWN[2:])], ids=["missing", "empty", "own"]
)
def test_a_database_with_nothing_of_the_pack_is_reported_and_unchanged(tasks: UntrackedDatabase, tmp_path: Path, make):
    make(tasks.database)
    before = fingerprint(tmp_path)
    result = tasks.detect("--yes")
    assert result.code == 1
    assert "nothing that tasks creates is there" in result.err
    assert "`homie migrations apply`" in result.err
    assert fingerprint(tmp_path) == before


def test_without_a_terminal_and_without_yes_it_ends_with_2_and_nothing_changed(
    tasks: UntrackedDatabase, homie_process, tmp_path: Path
):
    tasks.at(3)
    before = fingerprint(tmp_path)
    result = tasks.detect("--json")
    assert (result.code, result.json["error"]["code"]) == (2, "nobody_to_ask")
    alone = homie_process("baseline", "tasks", "--detect", *tasks.options)
    assert (alone.code, len(problems(alone.err))) == (2, 1)
    assert "--yes" in alone.err
    assert fingerprint(tmp_path) == before


@pytest.mark.parametrize(("keys", "code"), [("y\n", 0), ("n\n", 1)], ids=["yes", "no"])
def test_on_a_terminal_it_is_asked_with_the_version_and_the_file(
    tasks: UntrackedDatabase, on_a_terminal, tmp_path: Path, keys, code
):
    tasks.at(2)
    before = fingerprint(tmp_path)
    terminal = on_a_terminal("baseline", "tasks", "--detect", *tasks.options, width=400)
    terminal.until("Go on?")
    assert f"Recording tasks up to tasks:002_title, without running anything, in {tasks.database}." in terminal.seen
    assert "The schema was compared; what migrations do to rows was not; a snapshot is taken first. Go on? [y/N]:" in terminal.seen
    terminal.type(keys)
    assert terminal.ended() == code
    if code:
        assert fingerprint(tmp_path) == before
    else:
        assert recorded(tasks.database) == ["tasks:001_tasks", "tasks:002_title"]
        assert len(list((tmp_path / "backups").rglob("*.auto.db"))) == 1


def test_a_given_version_is_recorded_without_a_question(tasks: UntrackedDatabase, homie):
    tasks.at(2)
    assert homie("baseline", "tasks", "2", *tasks.options).code == 0
    assert len(recorded(tasks.database)) == 2


@pytest.mark.parametrize(("given", "message"), [((), "no version was given"), (("2", "--detect"), "were both given")])
def test_a_version_or_detect_is_needed_and_not_both(homie, tasks: UntrackedDatabase, tmp_path: Path, given, message):
    tasks.at(2)
    before = fingerprint(tmp_path)
    result = homie("baseline", "tasks", *given, *tasks.options, "--yes", "--json")
    assert (result.code, result.json["error"]["code"]) == (2, "usage")
    assert message in result.err
    assert fingerprint(tmp_path) == before


def test_recorded_migrations_are_not_recorded_again_and_no_question_is_asked(tasks: UntrackedDatabase):
    tasks.at(2)
    assert tasks.detect("--yes").code == 0
    again = tasks.detect()
    assert again.code == 0
    assert "nothing to record" in again.out
    assert len(recorded(tasks.database)) == 2


@pytest.mark.parametrize("version", [0, 1, 2])
def test_beside_another_pack_that_it_requires(homie, installed, tmp_path: Path, version):
    installed.nothing_else()
    database = tmp_path / "modules" / "homie_both.db"
    installed.pack("base", {"001_b.sql": "CREATE TABLE b (x)", "002_y.sql": "ALTER TABLE b ADD COLUMN y"}, database=database.name)
    needs = {"001_one.sql": "-- requires: base:1\nCREATE TABLE one (a)", "002_two.sql": "ALTER TABLE one ADD COLUMN c"}
    installed.pack("more", needs, database=database.name)
    assert homie("apply", "--data-dir", tmp_path, "--pack", "base").code == 0
    run_sql(database, ";".join(["CREATE TABLE one (a)", "ALTER TABLE one ADD COLUMN c"][:version]))
    result = homie("baseline", "more", "--detect", "--data-dir", tmp_path, "--yes")
    if version:
        assert (result.code, result.err) == (0, "")
        assert recorded(database) == ["base:001_b", "base:002_y", "more:001_one", "more:002_two"][: 2 + version]
        assert homie("validate", "--data-dir", tmp_path).code == 0
    else:
        assert result.code == 1
        assert "nothing that more creates is there" in result.err


def test_a_migration_that_can_not_be_replayed_leaves_the_version_unclear_and_is_named(tasks: UntrackedDatabase, tmp_path: Path):
    (tasks.folder / "003_tags.sql").write_text("CREATE TABLE tags (name TEXT); SELECT a_function_of_the_application(1)")
    tasks.at(2, "; CREATE TABLE tags (name TEXT)")
    before = fingerprint(tmp_path)
    result = tasks.detect("--yes", "--json")
    assert (result.code, result.json["error"]["code"]) == (1, "version_unclear")
    assert "tasks:003_tags" in result.err
    assert fingerprint(tmp_path) == before
