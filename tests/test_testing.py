"""The pytest plugin as strangers use it: in a project of their own, without a conftest, in a pytest of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

# pytester takes back what a run in this process imports. importlib_metadata takes the place of the standard library's finder
# once and for all, so it has to be here before; the rest is only loaded once that way.
import importlib_metadata  # noqa: F401
import pytest
from helpers import creates, python_migration, write_pack

import homie_migrations_core.authoring.check
import homie_migrations_core.authoring.crash_test  # noqa: F401

pytest_plugins = ["pytester"]

PLUGIN = "homie_migrations_core.testing"
BY_HAND = ["-p", PLUGIN]
AS_INSTALLED = [] if any(each.value == PLUGIN for each in entry_points(group="pytest11")) else BY_HAND

NOTES = {
    "001_notes.py": creates(1, "notes"),
    "002_tags.sql": "CREATE TABLE tags (id INTEGER PRIMARY KEY, text TEXT);",
    "002_tags.rollback.sql": "DROP TABLE tags;",
    "003_stars.py": creates(3, "stars"),
}
CONTRACT = [
    "test_files_follow_the_rules",
    "test_it_applies_from_nothing_in_one_jump_as_in_single_steps",
    "test_rollbacks_bring_rows_and_schema_back",
    "test_no_unaccepted_hazard",
    "test_status_of_a_migrated_database_is_up_to_date",
    "test_it_survives_a_kill_between_any_two_steps",
    "test_the_built_wheel_contains_every_migration",
]


class Ran(NamedTuple):
    """What became of each test, `TestPack::test_x` → passed, failed or skipped; what it said; and all that was printed."""

    outcomes: dict[str, str]
    said: dict[str, str]
    text: str


@pytest.fixture
def pytester(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """What else is installed beside pytest only costs time."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return pytester


def run(pytester: pytest.Pytester, code: str, *options: str, plugin: list[str] = BY_HAND, in_process: bool = True) -> Ran:
    """Run a test module of somebody's, with warnings as errors; in a process of its own where a process is what is tested."""
    (pytester.path / "test_it.py").write_text(textwrap.dedent(code), encoding="utf-8")
    arguments = ["-rP", "-W", "error", "-p", "no:cacheprovider", "--junitxml=report.xml", *plugin, *options]
    result = pytester.runpytest_inprocess(*arguments) if in_process else pytester.runpytest_subprocess(*arguments)
    text = result.stdout.str()
    assert result.ret in (0, 1), text + result.stderr.str()
    outcomes, said = {}, {}
    for case in ElementTree.parse(pytester.path / "report.xml").iter("testcase"):
        group = case.get("classname", "").rpartition("test_it")[2].removeprefix(".")
        name = f"{group}::{case.get('name')}" if group else str(case.get("name"))
        outcomes[name], said[name] = "passed", ""
        for problem in case:
            if problem.tag in ("failure", "error"):
                outcomes[name], said[name] = "failed", problem.text or ""
            elif problem.tag == "skipped":
                outcomes[name], said[name] = "skipped", problem.get("message", "")
    return Ran(outcomes, said, text)


# --- asleep -------------------------------------------------------------------------------------------------


def run_python(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_loading_the_plugin_loads_nothing_but_itself():
    code = f"import json, sys, pytest; before = set(sys.modules); import {PLUGIN}; print(json.dumps(sorted(set(sys.modules) - before)))"
    assert run_python(code) == ["homie_migrations_core", PLUGIN]


def test_a_session_that_asks_for_nothing_loads_nothing(pytester):
    ran = run(
        pytester,
        """
        import sys

        def test_nothing():
            loaded = {each for each in sys.modules if each.startswith("homie_migrations_core")}
            assert loaded == {"homie_migrations_core", "homie_migrations_core.testing"}
            assert not {"sqlite3", "typer", "rich", "tomllib"} & set(sys.modules)
        """,
        in_process=False,
    )
    assert ran.outcomes == {"test_nothing": "passed"}, ran.text


def test_the_library_does_not_need_pytest():
    code = """
import json, sys
sys.modules["pytest"] = sys.modules["_pytest"] = None
import homie_migrations_core, homie_migrations_core.authoring.crash_test, homie_migrations_core.authoring.check
for name in homie_migrations_core.__all__:
    getattr(homie_migrations_core, name)
print("[]")
"""
    assert run_python(code) == []


# --- the fixtures -------------------------------------------------------------------------------------------

SCENE = """
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from homie_migrations_core import HomieMigrationsError, MigrationPack
from homie_migrations_core.authoring import crash_test as killing
from homie_migrations_core.testing import PackContract

FOLDER = Path(__file__).parent / "migrations"
NOTES = MigrationPack("notes", FOLDER)

def tables(path):
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'schema_migrations'")
        return {name for (name,) in found}
"""


def test_a_database_is_there_at_any_version(pytester):
    write_pack(pytester.path / "migrations", "notes", NOTES)
    code = """
@pytest.mark.parametrize(
    ("to", "expected"),
    [
        (None, {"notes", "tags", "stars"}),
        (1, {"notes"}),
        (2, {"notes", "tags"}),
        ("notes:2", {"notes", "tags"}),
        ("notes:001_notes", {"notes"}),
        (0, set()),
    ],
)
def test_version(migrated_database, to, expected):
    path = migrated_database(NOTES, to=to)
    assert path.name == "homie_notes.db"
    assert tables(path) == expected
    assert [each.name for each in path.parent.iterdir()] == ["homie_notes.db"]

def test_version_0_is_a_file_that_holds_nothing(migrated_database):
    assert migrated_database(NOTES, to=0).read_bytes() == b""

@pytest.mark.parametrize("to", [9, "tags:1", "nonsense"])
def test_no_such_version(migrated_database, to):
    with pytest.raises(HomieMigrationsError, match="is not a valid reference|does not name a migration|no pack 'tags'"):
        migrated_database(NOTES, to=to)
"""
    ran = run(pytester, SCENE + code)
    assert len(ran.outcomes) == 10
    assert set(ran.outcomes.values()) == {"passed"}, ran.text


def test_each_database_is_the_tests_own_and_made_once_for_the_same_files(pytester):
    body = "conn.execute('CREATE TABLE notes (x)')\nwith open('diary', 'a') as diary: diary.write('.')"
    write_pack(pytester.path / "migrations", "notes", {"001_notes.py": python_migration(1, body)})
    code = """
def test_two_of_them(migrated_database):
    one, other = migrated_database(NOTES), migrated_database(NOTES)
    with closing(sqlite3.connect(one)) as connection:
        connection.execute("CREATE TABLE mine (x)")
    assert tables(one) == {"notes", "mine"}
    assert tables(other) == {"notes"}

def test_and_another(migrated_database):
    assert tables(migrated_database(NOTES)) == {"notes"}
    assert Path("diary").read_text() == "."

def test_files_that_changed_are_applied_as_they_are_now(migrated_database):
    (FOLDER / "002_more.sql").write_text("CREATE TABLE more (x);")
    assert tables(migrated_database(NOTES)) == {"notes", "more"}
    assert tables(migrated_database(NOTES, to=1)) == {"notes"}
    (FOLDER / "002_more.sql").write_text("CREATE TABLE less (x);")
    assert tables(migrated_database(NOTES)) == {"notes", "less"}
"""
    ran = run(pytester, SCENE + code)
    assert list(ran.outcomes.values()) == ["passed"] * 3, ran.text


def test_a_database_is_put_where_the_application_looks_for_it_but_never_over_another_file(pytester):
    write_pack(pytester.path / "migrations", "notes", NOTES)
    code = """
def test_a_place(migrated_database, migration_runner, tmp_path):
    place = tmp_path / "data" / "modules" / "homie_notes.db"
    assert migrated_database(NOTES, to=2, at=place) == place
    assert [each.ref for each in migration_runner(place).apply()] == ["notes:003_stars"]
    before = place.read_bytes()
    with pytest.raises(FileExistsError):
        migrated_database(NOTES, at=place)
    assert place.read_bytes() == before
"""
    assert run(pytester, SCENE + code).outcomes == {"test_a_place": "passed"}


def test_an_installed_pack_comes_by_its_name_with_the_packs_that_it_requires(pytester, installed):
    installed.pack("tags", {"001_tags.py": creates(1, "tags")}, database="shared.db")
    installed.pack("notes", {"001_notes.py": creates(1, "notes", requires=("tags:1",))}, database="shared.db")
    installed.pack("links", {"001_links.py": creates(1, "links", requires=("notes:1",))}, database="shared.db")
    installed.pack("strange", {"wrong.py": ""}, database="shared.db")
    code = """
def test_by_name(migrated_database):
    path = migrated_database("links")
    assert path.name == "shared.db"
    assert tables(path) == {"tags", "notes", "links"}
    assert tables(migrated_database("notes", others=["links", "tags"])) == {"tags", "notes", "links"}
    assert tables(migrated_database("tags")) == {"tags"}
    assert tables(migrated_database("tags", others="installed")) == {"tags", "notes", "links"}

def test_not_there(migrated_database):
    with pytest.raises(HomieMigrationsError, match="there is no pack 'nodes'; the installed packs are .*notes"):
        migrated_database("nodes")
    with pytest.raises(HomieMigrationsError, match="wrong.py is not a valid migration file name"):
        migrated_database("strange")
    with pytest.raises(HomieMigrationsError, match="requires tags"):
        migrated_database("notes", others=[])
"""
    ran = run(pytester, SCENE + code)
    assert list(ran.outcomes.values()) == ["passed"] * 2, ran.text


def test_a_runner_knows_the_packs_of_the_database(pytester):
    write_pack(pytester.path / "migrations", "notes", NOTES)
    code = """
def test_it_goes_on(migrated_database, migration_runner):
    path = migrated_database(NOTES, to=1)
    runner = migration_runner(path)
    assert [each.ref for each in runner.apply(to="notes:2")] == ["notes:002_tags"]
    assert runner.snapshot is None
    runner = migration_runner(path, backup=True)
    assert [each.ref for each in runner.apply()] == ["notes:003_stars"]
    assert runner.snapshot.is_file()

def test_for_another_file(tmp_path, migration_runner):
    runner = migration_runner(tmp_path / "x.db", NOTES, lock_timeout=1.0)
    assert len(runner.apply()) == 3

def test_for_a_file_that_is_not_known(tmp_path, migration_runner):
    with pytest.raises(LookupError, match="x.db was not made by migrated_database: say which pack is meant"):
        migration_runner(tmp_path / "x.db")
"""
    ran = run(pytester, SCENE + code)
    assert list(ran.outcomes.values()) == ["passed"] * 3, ran.text


# --- the contract -------------------------------------------------------------------------------------------


def test_packs_by_name_and_from_folders_pass_or_say_why_a_test_was_left_out(pytester, installed, monkeypatch):
    """With all that is installed, on two processes."""
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    installed.pack("tags", {"001_tags.py": creates(1, "tags")}, database="homie_notes.db")
    needs = {
        "002_tags.sql": "-- requires: tags:1\nALTER TABLE tags ADD COLUMN x TEXT;",
        "002_tags.rollback.sql": "ALTER TABLE tags DROP COLUMN x;",
    }
    write_pack(pytester.path / "migrations", "notes", NOTES | needs)
    code = """
class TestFolder(PackContract):
    pack = NOTES

    def test_of_its_own(self):
        pass

class TestInstalled(PackContract):
    pack = "tags"
    wheel_from = None

class Shared(PackContract):
    others = ()
    test_it_survives_a_kill_between_any_two_steps = None

class TestOthers(Shared):
    pack = "tags"
    test_no_unaccepted_hazard = None
"""
    ran = run(pytester, SCENE + code, "-n", "2", plugin=AS_INSTALLED, in_process=False)
    groups = ("TestFolder", "TestInstalled", "TestOthers")
    expected = {f"{group}::{test}": "passed" for group in groups for test in CONTRACT}
    expected |= {f"{group}::{CONTRACT[-1]}": "skipped" for group in groups}
    del expected["TestOthers::test_no_unaccepted_hazard"]
    del expected["TestOthers::test_it_survives_a_kill_between_any_two_steps"]
    hazard = "TestFolder::test_no_unaccepted_hazard"  # a real one: the table is another pack's
    assert ran.outcomes == expected | {"TestFolder::test_of_its_own": "passed", hazard: "failed"}, ran.text
    assert ran.said[hazard].startswith("notes: 1 finding\n  foreign_object: notes:002_tags")
    assert ran.said[f"TestFolder::{CONTRACT[-1]}"] == (
        "there is no pyproject.toml above the migrations of notes; wheel_from can say where it is"
    )
    assert ran.said[f"TestInstalled::{CONTRACT[-1]}"] == "wheel_from is None"


def test_each_flaw_fails_its_test_with_a_sentence_and_nothing_else(pytester):
    a = {"001_a.py": creates(1, "a")}
    packs = {
        "files": a | {"wrong-name.py": ""},
        "nothing": a | {"002_b.sql": "INSERT INTO nowhere VALUES (1);"},
        "back": a | {"002_b.py": python_migration(2, "conn.execute('DELETE FROM a')", rollback="pass")},
        "hazard": a | {"002_b.py": python_migration(2, "conn.execute('ALTER TABLE a DROP COLUMN text')")},
        "once": a | {"002_b.py": python_migration(2, "import os\nos.mkdir('made')\nconn.execute('CREATE TABLE b (x)')")},
    }
    code = SCENE
    for name, files in packs.items():
        write_pack(pytester.path / name, name, files)
        code += f"class Test{name.title()}(PackContract):\n    pack = MigrationPack({name!r}, Path(__file__).parent / {name!r})\n"
    code += "class TestForgot(PackContract):\n    pass\nclass TestMissing(PackContract):\n    pack = 'nodes'\n"
    rules, nothing, back, hazard, status, kill, wheel = CONTRACT
    chosen = {
        "TestFiles": (rules, status),
        "TestNothing": (nothing, status, kill),
        "TestBack": (back,),
        "TestHazard": (hazard,),
        "TestOnce": (kill,),
        "TestForgot": (rules, status, kill, wheel),
        "TestMissing": (rules, wheel),
    }
    ran = run(pytester, code, "-k", " or ".join(f"({group} and ({' or '.join(tests)}))" for group, tests in chosen.items()))
    assert ran.outcomes == {f"{group}::{test}": "failed" for group, tests in chosen.items() for test in tests}, ran.text
    said = ran.said
    assert said[f"TestFiles::{rules}"].startswith("files: 1 finding\n  file_rules: ")
    for test in chosen["TestFiles"]:
        assert "wrong-name.py is not a valid migration file name" in said[f"TestFiles::{test}"]
    assert said[f"TestNothing::{nothing}"].startswith("nothing: 1 finding\n  does_not_apply: nothing:002_b fails ")
    for test in (status, kill):
        assert said[f"TestNothing::{test}"].startswith("Applying nothing:002_b failed")
    assert said[f"TestBack::{back}"].startswith("back: 1 finding\n  rollback_loses_rows: back:002_b")
    assert said[f"TestHazard::{hazard}"].startswith("hazard: 1 finding\n  drops_data: hazard:002_b")
    assert said[f"TestOnce::{kill}"].startswith(
        "once: 1 finding\n  stuck_after_a_kill: Killed after the commit of once:001_a, the next "
    )
    for test in chosen["TestForgot"]:
        assert (
            said[f"TestForgot::{test}"]
            == 'TestForgot does not say which pack it tests: give it `pack = "name"`, or a MigrationPack.'
        )
    assert said[f"TestMissing::{rules}"].startswith("Nothing was done: there is no pack 'nodes'; ")
    assert not re.search(r"Traceback|traceback|homie_migrations_core/|testing\.py", ran.text), ran.text


def test_the_contract_itself_is_never_collected(pytester):
    pytester.makeini("[pytest]\npython_classes = *")
    code = """
from homie_migrations_core.testing import PackContract

class TestPack(PackContract):
    __test__ = False

class TestOther(TestPack):
    pack = "nodes"
"""
    assert run(pytester, code, "-k", "rules").outcomes == {"TestOther::test_files_follow_the_rules": "failed"}


def test_what_was_left_out_of_a_long_pack_is_told(pytester):
    write_pack(pytester.path / "migrations", "notes", NOTES)
    code = """
kill_everywhere = killing.kill_everywhere

class TestPack(PackContract):
    pack = NOTES

    @pytest.fixture(autouse=True)
    def few(self, monkeypatch):
        monkeypatch.setattr(killing, "kill_everywhere", lambda *packs: kill_everywhere(*packs, most=1))
"""
    ran = run(pytester, SCENE + code, "-k", "kill")
    assert list(ran.outcomes.values()) == ["passed"], ran.text
    assert "No run was killed within the older migrations, notes:001_notes to notes:002_tags." in ran.text


# --- the wheel ----------------------------------------------------------------------------------------------

WHEEL = CONTRACT[-1]
HATCHLING = '[build-system]\nrequires = ["hatchling>=1.26"]\nbuild-backend = "hatchling.build"\n'


def project(folder: Path, more: str = "", build_system: str = HATCHLING) -> Path:
    """A distribution with a pack under src/; the folder of its migrations."""
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        f'{build_system}[project]\nname = "notes-migrations"\nversion = "1.0"\n'
        f'[tool.hatch.build.targets.wheel]\npackages = ["src/notes_migrations"]\n{more}',
        encoding="utf-8",
    )
    place = folder / "src" / "notes_migrations" / "migrations"
    write_pack(place, "notes", {**NOTES, "__init__.py": "", "_sample_rows.py": ""})
    return place


def test_a_wheel_without_its_migrations_fails_and_what_can_not_be_built_is_skipped(pytester):
    places = {
        "Whole": project(pytester.path / "whole", 'exclude = ["**/_sample_rows.py"]\n'),
        "WithoutOne": project(pytester.path / "without_one", 'exclude = ["**/003_stars.py"]\n'),
        "NoSystem": project(pytester.path / "no_system", build_system=""),
        "NoTool": project(pytester.path / "no_tool", build_system=HATCHLING.replace("hatchling>=1.26", "no-such-backend>=1")),
        "Unbuildable": project(pytester.path / "unbuildable", "[tool.hatch.metadata]\nhooks = 3\n"),
    }
    project(pytester.path / "without_sql", 'exclude = ["*.sql"]\n')
    code = SCENE
    for name, place in places.items():
        code += f"class Test{name}(PackContract):\n    pack = MigrationPack('notes', Path({str(place)!r}))\n"
    code += (
        "class TestSaid(TestWhole):\n    wheel_from = 'without_sql'\nclass TestNowhere(TestWhole):\n    wheel_from = 'nowhere'\n"
    )
    code += """
class TestPip(TestWhole):
    missing = {"build"}

    @pytest.fixture(autouse=True)
    def hide(self, monkeypatch):
        version = importlib.metadata.version

        def look(name):
            if name in self.missing:
                raise importlib.metadata.PackageNotFoundError(name)
            return version(name)

        monkeypatch.setattr(importlib.metadata, "version", look)

class TestNeither(TestPip):
    missing = {"build", "pip"}
"""
    ran = run(pytester, f"import importlib.metadata\n{code}", "-k", "wheel")
    assert {name.partition("::")[0]: outcome for name, outcome in ran.outcomes.items()} == {
        "TestWhole": "passed",
        "TestWithoutOne": "failed",
        "TestNoSystem": "skipped",
        "TestNoTool": "skipped",
        "TestUnbuildable": "failed",
        "TestSaid": "failed",
        "TestNowhere": "failed",
        "TestPip": "passed",
        "TestNeither": "skipped",
    }, ran.text
    said = {name.partition("::")[0]: words for name, words in ran.said.items()}
    assert said["TestSaid"].startswith(
        f"The wheel of notes that was built from {pytester.path / 'without_sql'} lacks "
        "migrations/002_tags.rollback.sql, migrations/002_tags.sql. Tell the build tool"
    )
    assert "lacks migrations/003_stars.py. Tell" in said["TestWithoutOne"]
    assert said["TestUnbuildable"].startswith(f"The wheel can't be built from {pytester.path / 'unbuildable'}:\n")
    assert said["TestNowhere"] == f"There is no pyproject.toml in {pytester.path / 'nowhere'}, where wheel_from points to."
    assert (
        said["TestNoSystem"] == f"{pytester.path / 'no_system' / 'pyproject.toml'} has no [build-system], so no wheel is made of it"
    )
    assert said["TestNoTool"] == f"{pytester.path / 'no_tool'} is built with no-such-backend, which is not installed here"


def test_the_project_of_a_pack_that_was_installed_without_some_files_is_looked_at(pytester, installed):
    """What is installed lacks the files too, and would find nothing lacking."""
    project(pytester.path / "project", 'exclude = ["*.sql"]\n')
    code = "from homie_migrations_core import MigrationPack, hookimpl\n\n@hookimpl\ndef homie_migration_packs():\n"
    code += "    return MigrationPack('notes', 'notes_migrations.migrations')\n"
    installed.distribution("notes-migrations", {"notes_migrations": code}, {"notes": "notes_migrations"})
    write_pack(
        installed.site / "notes_migrations" / "migrations", "notes", {"__init__.py": "", "001_notes.py": NOTES["001_notes.py"]}
    )
    (installed.site / "pyvenv.cfg").touch()  # it is an environment, and no project is above it
    code = "from homie_migrations_core.testing import PackContract\nclass TestPack(PackContract):\n    pack = 'notes'\n"
    ran = run(pytester, code, "-k", "wheel", "--rootdir", str(pytester.path / "project"))
    lacks = "lacks notes_migrations/migrations/002_tags.rollback.sql, notes_migrations/migrations/002_tags.sql."
    assert lacks in ran.said[f"TestPack::{WHEEL}"], ran.text
