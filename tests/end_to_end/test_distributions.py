"""What users get: both distributions built, looked into, installed in an empty environment, and used from there."""

from __future__ import annotations

import email
import importlib.util
import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from json_documents import read_document

CHECKOUT = Path(__file__).resolve().parents[2]
CORE, ORGANIZER = CHECKOUT, CHECKOUT / "plugins" / "file_organizer_migrations"
CORE_SOURCES, ORGANIZER_SOURCES = CORE / "homie_migrations_core", ORGANIZER / "src" / "file_organizer_migrations"
FILE = "homie_file_organizer.db"
TEST_TOOLS = {"pytest", "hypothesis", "pytest-cov", "coverage", "pytest-xdist", "build", "hatchling", "ruff", "mypy"}

pytestmark = pytest.mark.skipif(importlib.util.find_spec("build") is None, reason="needs the `test` extra")

# A stranger's distribution, made the way the tutorial makes one; it shares the file organizer's database.
STRANGER = {
    "pyproject.toml": """
[build-system]
requires = ["hatchling>=1.26"]
build-backend = "hatchling.build"

[project]
name = "notes-migrations"
version = "1.2.3"
requires-python = ">=3.11"
dependencies = ["homie-migrations-core>=0.1,<0.2"]

[project.entry-points."homie.migrations"]
notes = "notes_migrations.plugin"

[tool.hatch.build.targets.wheel]
packages = ["src/notes_migrations"]
""",
    "src/notes_migrations/__init__.py": "",
    "src/notes_migrations/plugin.py": """
from homie_migrations_core import MigrationPack, hookimpl

@hookimpl
def homie_migration_packs() -> MigrationPack:
    return MigrationPack(name="notes", migrations="notes_migrations.migrations", database="homie_file_organizer.db")
""",
    "src/notes_migrations/migrations/__init__.py": "",
    "src/notes_migrations/migrations/001_notes.py": '''
"""001: a note for each destination."""
import sqlite3

REQUIRES = ("file_organizer:1",)

def get_migration_version() -> int:
    return 1

def apply_migration(conn: sqlite3.Connection) -> None:
    conn.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, destination_id TEXT REFERENCES destinations (id), text TEXT)")

def rollback_migration(conn: sqlite3.Connection) -> None:
    conn.execute("DROP TABLE notes")
''',
    "src/notes_migrations/migrations/002_colours.sql": "-- every note gets a colour\nALTER TABLE notes ADD COLUMN colour TEXT;\n",
    "src/notes_migrations/migrations/002_colours.rollback.sql": "ALTER TABLE notes DROP COLUMN colour;\n",
}


# --- building ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Built:
    """A distribution, built: the source archive, and the wheel that was made from it."""

    sdist: Path
    wheel: Path

    def in_sdist(self) -> set[str]:
        """Paths below the one folder of the archive."""
        with tarfile.open(self.sdist) as archive:
            return {each.name.partition("/")[2] for each in archive if each.isfile()}

    def in_wheel(self) -> set[str]:
        with zipfile.ZipFile(self.wheel) as archive:
            assert archive.testzip() is None
            return set(archive.namelist())

    def metadata(self, file: str = "METADATA") -> str:
        with zipfile.ZipFile(self.wheel) as archive:
            (name,) = [each for each in archive.namelist() if each.endswith(f".dist-info/{file}")]
            return archive.read(name).decode()


def build(project: Path, out: Path, *options: str) -> None:
    line = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), *options, str(project)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=out.parent)
    assert done.returncode == 0, done.stdout + done.stderr


def built(project: Path, out: Path) -> Built:
    """Without further options, `build` makes the wheel from the source archive and not from the checkout."""
    build(project, out)
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return Built(sdist, wheel)


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return built(CORE, tmp_path_factory.mktemp("core") / "dist")


@pytest.fixture(scope="module")
def organizer(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return built(ORGANIZER, tmp_path_factory.mktemp("organizer") / "dist")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("stranger")
    for name, content in STRANGER.items():
        path = folder / "notes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content.lstrip("\n"))
    return built(folder / "notes", folder / "dist")


def sources(folder: Path) -> set[str]:
    """Every file that belongs to a package, by its path from where the package is imported."""
    return {
        path.relative_to(folder.parent).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_cores_archives_hold_the_whole_package_its_types_and_the_licence(core: Built):
    package = sources(CORE_SOURCES)
    assert {"homie_migrations_core/py.typed", "homie_migrations_core/cli/app.py"} <= package
    templates = "homie_migrations_core/authoring/templates"
    assert {f"{templates}/pack/.gitignore.tmpl", f"{templates}/pack/src/__package__/py.typed.tmpl"} <= package
    assert {each for each in core.in_wheel() if ".dist-info/" not in each} == package
    assert {each for each in core.in_sdist() if each.startswith("homie_migrations_core/")} == package
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "PKG-INFO"} <= core.in_sdist()
    assert any(each.endswith(".dist-info/licenses/LICENSE") for each in core.in_wheel())
    assert not [each for each in core.in_sdist() if each.startswith(("tests/", "plugins/", "benchmarks/", ".venv/"))]


def test_the_file_organizers_archives_hold_every_migration_its_types_and_the_licence(organizer: Built):
    package = sources(ORGANIZER_SOURCES)
    assert {f"file_organizer_migrations/{each}" for each in ("py.typed", "migrations/001_destination_memory.py")} <= package
    assert {each for each in organizer.in_wheel() if ".dist-info/" not in each} == package
    assert {each.removeprefix("src/") for each in organizer.in_sdist() if each.startswith("src/")} == package
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"} <= organizer.in_sdist()
    assert any(each.endswith(".dist-info/licenses/LICENSE") for each in organizer.in_wheel())


def test_a_strangers_archives_hold_every_migration_sql_files_too(stranger: Built):
    files = {each.removeprefix("src/") for each in STRANGER if each.startswith("src/")}
    assert {"notes_migrations/migrations/002_colours.sql", "notes_migrations/migrations/002_colours.rollback.sql"} <= files
    assert files <= stranger.in_wheel()
    assert {f"src/{each}" for each in files} <= stranger.in_sdist()


@pytest.mark.parametrize("project", [CORE, ORGANIZER], ids=["core", "file organizer"])
def test_a_wheel_is_the_same_from_the_checkout_and_from_the_source_archive(project: Path, request, tmp_path: Path):
    from_sdist = request.getfixturevalue("core" if project is CORE else "organizer")
    build(project, tmp_path / "dist", "--wheel")
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(from_sdist.wheel) as other:
        assert sorted(one.namelist()) == sorted(other.namelist())
        for name in one.namelist():
            assert one.read(name) == other.read(name), name


def names(requirements: list[str]) -> set[str]:
    """The distributions that are required without any extra."""
    needed = [each for each in requirements if "extra ==" not in each]
    return {each.replace(";", " ").replace(">", " ").replace("<", " ").replace("=", " ").split()[0] for each in needed}


def test_the_core_needs_four_distributions_and_names_no_pack(core: Built):
    metadata = email.message_from_string(core.metadata())
    assert names(metadata.get_all("Requires-Dist", [])) == {"pluggy", "importlib-metadata", "typer", "platformdirs"}
    assert not [each for each in metadata.get_all("Requires-Dist", []) if "file" in each and "organizer" in each]
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    scripts = ["[console_scripts]", "homie", "=", "homie_migrations_core.cli.entry:main"]
    plugin = ["[pytest11]", "homie_migrations", "=", "homie_migrations_core.testing"]
    assert core.metadata("entry_points.txt").split() == scripts + plugin


def test_the_pack_depends_on_the_core_by_a_range_of_versions(organizer: Built):
    metadata = email.message_from_string(organizer.metadata())
    (core,) = [each for each in metadata.get_all("Requires-Dist", []) if each.startswith("homie-migrations-core")]
    assert ">=" in core
    assert "<" in core
    assert "[homie.migrations]" in organizer.metadata("entry_points.txt")


# --- installing ----------------------------------------------------------------------------------------------


class Environment:
    """A virtual environment that knows nothing of the checkout."""

    def __init__(self, place: Path) -> None:
        venv.create(place, with_pip=False)
        self.place, self.bin = place, place / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.bin / "python"

    def pip(self, *arguments: object) -> None:
        """Our pip at work there: it needs none of its own."""
        line = [sys.executable, "-m", "pip", "--python", self.python, "-q", *arguments]
        done = subprocess.run([str(each) for each in line], capture_output=True, text=True, check=False, cwd=self.place)
        assert done.returncode == 0, done.stdout + done.stderr

    def run(self, program: str, *arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """A program of the environment, with nothing but what a fresh login has."""
        given = {"PATH": f"{self.bin}{os.pathsep}{os.defpath}", "HOME": str(cwd), "USERPROFILE": str(cwd), **environment}
        if os.name == "nt":
            given["SYSTEMROOT"] = os.environ["SYSTEMROOT"]
        line = [str(self.bin / program), *(str(each) for each in arguments)]
        return subprocess.run(line, capture_output=True, text=True, check=False, cwd=cwd, env=given, timeout=60)

    def homie(self, *arguments: object, cwd: Path, code: int = 0) -> str:
        """What `homie migrations …` prints, with a data folder in `cwd`; a JSON document fits its schema."""
        done = self.run("homie", "migrations", *arguments, cwd=cwd, HOMIE_DATA_DIR=str(cwd / "data"))
        assert done.returncode == code, done.stdout + done.stderr
        assert done.stderr == ""
        if "--json" in arguments:
            read_document(arguments, done.stdout)
        return done.stdout


@pytest.fixture(scope="module")
def environment(core: Built, organizer: Built, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Both wheels, installed with what they need, and nothing else."""
    made = Environment(tmp_path_factory.mktemp("away") / "venv")
    made.pip("install", "--no-compile", core.wheel, organizer.wheel)  # what is imported is compiled then
    return made


@pytest.fixture
def with_stranger(environment: Environment, stranger: Built):
    """The same, with a stranger's pack."""
    environment.pip("install", "--no-deps", stranger.wheel)
    yield environment
    environment.pip("uninstall", "-y", "notes-migrations")


def test_the_environment_holds_none_of_the_test_tools_and_nothing_of_the_checkout(environment: Environment, tmp_path: Path):
    code = """
import importlib.metadata, json, sys
import file_organizer_migrations, homie_migrations_core
print(json.dumps({
    "distributions": sorted({each.name.lower() for each in importlib.metadata.distributions()}),
    "files": [homie_migrations_core.__file__, file_organizer_migrations.__file__],
    "path": sys.path,
}))
"""
    done = environment.run("python", "-W", "error", "-c", code, cwd=tmp_path)
    found = json.loads(done.stdout)
    assert {"homie-migrations-core", "homie-file-organizer-migrations", "typer", "pluggy"} <= set(found["distributions"])
    assert not TEST_TOOLS & set(found["distributions"])
    assert all(Path(each).is_relative_to(environment.place) for each in found["files"])
    assert not [each for each in found["path"] if each.startswith(str(CHECKOUT))]


def test_one_command_leads_to_a_migrated_database(environment: Environment, tmp_path: Path):
    database = tmp_path / "data" / "modules" / FILE
    assert environment.homie("apply", cwd=tmp_path).splitlines() == [
        f"{database} (from HOMIE_DATA_DIR): a new database",
        "  applied file_organizer:001_destination_memory",
    ]
    document = json.loads(environment.homie("status", "--json", "--check", cwd=tmp_path))
    (found,) = document["databases"]
    assert (found["path"], found["exists"], found["state"]) == (str(database), True, "up_to_date")
    (pack,) = found["packs"]
    assert (pack["name"], pack["distribution"], pack["state"]) == (
        "file_organizer",
        "homie-file-organizer-migrations",
        "up_to_date",
    )
    assert [each["ref"] for each in pack["migrations"]] == ["file_organizer:001_destination_memory"]
    assert document["broken"] == []


@pytest.mark.parametrize("command", ["status", "plan", "apply", "rollback", "redo", "history", "packs"])
def test_every_command_runs_where_only_the_wheels_are(environment: Environment, tmp_path: Path, command: str):
    given = ["file_organizer", "--yes"] if command in ("rollback", "redo") else []
    assert environment.homie(command, *given, cwd=tmp_path)
    assert json.loads(environment.homie(command, *given, "--json", cwd=tmp_path))["error"] is None
    assert "--json" in environment.homie(command, "--help", cwd=tmp_path)


def test_the_module_is_the_same_command(environment: Environment, tmp_path: Path):
    done = environment.run("python", "-W", "error", "-m", "homie_migrations_core", "migrations", "packs", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("file_organizer  homie-file-organizer-migrations ")


def test_the_calls_that_backends_have_always_made_work_there(environment: Environment, tmp_path: Path):
    code = f"""
from pathlib import Path
from file_organizer_migrations.migration_runner import MigrationRunner, run_migrations
database = Path({FILE!r})
print(MigrationRunner(database).get_migration_status(), database.exists())
print(run_migrations(database), run_migrations(database), MigrationRunner(database).apply_migrations())
print(MigrationRunner(database).get_migration_status())
"""
    done = environment.run("python", "-W", "error", "-c", code, cwd=tmp_path)
    entry = "{'version': 1, 'name': '001_destination_memory'}"
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"{{'current_version': 0, 'applied_migrations': [], 'pending_migrations': [{entry}]}} False",
        "1 0 0",
        f"{{'current_version': 1, 'applied_migrations': [{entry}], 'pending_migrations': []}}",
    ]


def test_a_migration_file_of_the_installed_pack_runs_by_hand(environment: Environment, tmp_path: Path):
    (file,) = environment.place.rglob("001_destination_memory.py")
    done = environment.run("python", file, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "applied file_organizer:001_destination_memory again" in done.stdout


def test_a_strangers_installed_pack_joins_in_the_same_command(with_stranger: Environment, tmp_path: Path):
    listed = with_stranger.homie("packs", cwd=tmp_path)
    assert "notes           notes-migrations 1.2.3                 homie_file_organizer.db  2 migrations  002_colours" in listed

    assert with_stranger.homie("apply", cwd=tmp_path).splitlines()[1:] == [
        "  applied file_organizer:001_destination_memory",
        "  applied notes:001_notes",
        "  applied notes:002_colours",
    ]
    (found,) = json.loads(with_stranger.homie("status", "--json", cwd=tmp_path))["databases"]
    assert [(pack["name"], pack["current_version"], pack["distribution_version"]) for pack in found["packs"]] == [
        ("file_organizer", 1, found["packs"][0]["distribution_version"]),
        ("notes", 2, "1.2.3"),
    ]
    assert "by 1.2.3" in with_stranger.homie("history", cwd=tmp_path)
    rolled_back = with_stranger.homie("rollback", "notes", "--to", "0", "--yes", cwd=tmp_path)
    assert "  rolled back notes:002_colours\n  rolled back notes:001_notes\n" in rolled_back
    assert with_stranger.homie("plan", cwd=tmp_path).splitlines()[1:] == ["  1. notes:001_notes", "  2. notes:002_colours"]


def test_a_stranger_who_joins_later_is_applied_to_the_database_that_is_there(
    environment: Environment, stranger: Built, tmp_path: Path
):
    environment.homie("apply", cwd=tmp_path)
    environment.pip("install", "--no-deps", stranger.wheel)
    try:
        assert "  applied notes:002_colours" in environment.homie("apply", cwd=tmp_path).splitlines()
        assert len(list((tmp_path / "data" / "modules" / "backups").rglob("*.auto.db"))) == 1
    finally:
        environment.pip("uninstall", "-y", "notes-migrations")
    status = environment.homie("status", "--check", cwd=tmp_path)
    assert "  notes: orphaned, version 2" in status.splitlines()
