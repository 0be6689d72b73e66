"""A pack as `new-pack` writes it, installed in editable mode in an environment of its own, and held to every tool that it names."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest
from pages.running import link_other_packages, link_our_packages

pytestmark = pytest.mark.slow

BIN = "Scripts" if os.name == "nt" else "bin"


class Author:
    """Somebody who works on a pack, in a virtual environment that holds this library and the tools of the `test` extra."""

    def __init__(self, place: Path) -> None:
        self.folder = place / "work"
        self.folder.mkdir()
        link_our_packages(place / "ours")
        link_other_packages(place / "beside")
        venv.create(place / "venv", with_pip=False)
        self.python = place / "venv" / BIN / "python"
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(str(place / each) for each in ("ours", "beside")),
            "HOMIE_DATA_DIR": str(place / "data"),
            "PIP_NO_INDEX": "1",
            "PIP_NO_DEPS": "1",
            "PIP_NO_BUILD_ISOLATION": "0",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_ROOT_USER_ACTION": "ignore",
        }

    def run(self, *line: object, cwd: Path | None = None) -> str:
        """Run a program, which has to succeed, and return what it printed."""
        done = subprocess.run(
            [str(each) for each in line],
            cwd=cwd or self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}"
        return done.stdout

    def homie(self, *arguments: object) -> str:
        return self.run(self.python, "-m", "homie_migrations_core", "migrations", *arguments)

    def makes(self, name: str, *options: object) -> Path:
        """Make a pack, install it in editable mode, and return its folder."""
        self.homie("new-pack", name, *options)
        folder = self.folder / name.replace("_", "-")
        self.run(self.python, "-m", "pip", "install", "-q", "-e", f"{folder}[test]")
        return folder

    def passes_its_tools(self, name: str, folder: Path) -> None:
        """`check`, its own tests, and ruff; warnings are errors."""
        checked = self.homie("check", name)
        assert checked.startswith(f"{name}: ")
        assert ", 0 findings" in checked
        run_tests = (self.python, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", folder)
        assert "7 passed" in self.run(*run_tests)
        ruff = Path(sys.executable).with_name("ruff.exe" if os.name == "nt" else "ruff")
        self.run(ruff, "check", "--no-cache", folder)
        self.run(ruff, "format", "--no-cache", "--check", folder)


@pytest.fixture(scope="module")
def author(tmp_path_factory: pytest.TempPathFactory) -> Author:
    return Author(tmp_path_factory.mktemp("author"))


@pytest.mark.parametrize("name", ["order", "sqlite_tools", "a"])
def test_a_new_pack_passes_check_its_tests_and_ruff_as_generated(author: Author, name: str):
    author.passes_its_tools(name, author.makes(name))
    assert f"applied {name}:001_first_table" in author.homie("apply", "--pack", name)


def test_a_new_pack_goes_on_with_new_and_passes_mypy(author: Author):
    folder = author.makes("ledger")
    (written,) = author.homie("new", "ledger", "Second").splitlines()
    file = author.folder / written.removeprefix("wrote ")
    assert file.parent == folder / "src" / "ledger_migrations" / "migrations", "that is where the sources are"
    file.write_text(file.read_text(encoding="utf-8").replace("raise NotImplementedError", "pass"), encoding="utf-8")
    author.passes_its_tools("ledger", folder)
    assert "applied ledger:002_second" in author.homie("apply", "--pack", "ledger")
    assert "Success: no issues found in 5 source files" in author.run(author.python, "-m", "mypy", cwd=folder)
    file.write_text(file.read_text(encoding="utf-8") + "\n\nx: int = 'no number'\n", encoding="utf-8")
    with pytest.raises(AssertionError, match=r"002_second.py:\d+: error: Incompatible types"):
        author.run(author.python, "-m", "mypy", cwd=folder)


def test_an_imported_history_is_such_a_pack_too(author: Author):
    theirs = author.folder / "theirs"
    theirs.mkdir()
    (theirs / "V1__notes.sql").write_text("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT);\n", encoding="utf-8")
    (theirs / "V2__colour.sql").write_text("ALTER TABLE notes ADD COLUMN colour TEXT;\n", encoding="utf-8")
    author.passes_its_tools("notes", author.makes("notes", "--import", "theirs"))


def test_the_ci_file_and_the_test_extra_of_a_new_pack_name_the_tools_that_it_passes(author: Author):
    author.homie("new-pack", "named")
    folder = author.folder / "named"
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    tools = {each.partition(">")[0] for each in project["project"]["optional-dependencies"]["test"]}
    assert tools == {"pytest", "ruff", "mypy", "hatchling"}
    workflow = (folder / ".github" / "workflows" / "check.yml").read_text(encoding="utf-8")
    for command in ("homie migrations check named", "python -m pytest", "ruff check .", "ruff format --check .", "mypy"):
        assert command in workflow
