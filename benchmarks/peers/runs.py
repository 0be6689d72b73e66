"""Running the tools: what is measured, and the check that the work was done."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from benchmarks.measuring import Candidate, CommandFailed, Comparison
from benchmarks.peers.projects import DATABASE, Tool, plain_sqlite

NOTHING, PYTHON = 20, "python -c pass"
"""How many migrations an up-to-date database has, and what a process that does nothing is compared with."""
PLAIN = Tool("plain sqlite3", (), plain_sqlite, ("python", "apply.py"))
COUNTS = {100: (9, 60), 1_000: (7, 240)}
"""How many migrations are applied to a new database, in how many rounds, and after how many seconds no new round begins."""


class Project:
    """A tool's project with a number of migrations, and its database."""

    def __init__(self, tool: Tool, programs: Path, folder: Path, count: int) -> None:
        self._tool, self._folder, self._count = tool, folder / "items", count  # `--dir` names our pack after the folder
        # Byte code must be cached, whatever the caller's environment says, or each run would compile everything again.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "HOMIE", "VIRTUAL_ENV", "COV"))}
        self._environment = {**kept, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
        self._folder.mkdir(parents=True)
        tool.write(self._folder, count)

    def apply_to_new(self) -> float:
        """Apply every migration to a new database, and return the seconds that the process took."""
        for left in self._folder.glob(f"{DATABASE}*"):
            left.unlink()
        shutil.rmtree(self._folder / "backups", ignore_errors=True)
        if self._tool.before:
            self._run(self._tool.before)
        seconds = self.apply()
        with closing(sqlite3.connect(self._folder / DATABASE)) as connection:
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master WHERE name GLOB 'items_[0-9]*'").fetchone()
        if tables != self._count:
            raise CommandFailed(f"{self._tool.name} made {tables} tables instead of {self._count}")
        return seconds

    def apply(self) -> float:
        """Run the tool's command once, and return the seconds that the process took."""
        if hasattr(os, "sync"):
            os.sync()  # otherwise this run waits for what the one before left to write
        return self._run(self._tool.apply)

    def _run(self, command: Sequence[str]) -> float:
        started = time.perf_counter()
        program = shutil.which(command[0], path=self._environment["PATH"]) or command[0]
        done = subprocess.run(
            [program, *command[1:]], cwd=self._folder, env=self._environment, capture_output=True, text=True, check=False
        )
        seconds = time.perf_counter() - started
        if done.returncode != 0:
            raise CommandFailed(f"{' '.join(command)} ended with exit code {done.returncode}: {done.stderr or done.stdout}")
        return seconds


def comparisons(tools: dict[Tool, Path], python: Path, folder: Path) -> Iterator[Comparison]:
    """
    Yield what is compared: nothing to do, and each number of migrations on a new database.

    `tools` are the folders of programs by tool, and `python` is the folder of a Python without any package.
    """
    everything = {PLAIN: python, **tools}
    up_to_date = {tool: Project(tool, programs, folder / f"0-{tool.name}", NOTHING) for tool, programs in everything.items()}
    for project in up_to_date.values():
        project.apply_to_new()
    bare = Tool(PYTHON, (), lambda _folder, _count: None, ("python", "-c", "pass"))
    candidates = [Candidate(PYTHON, Project(bare, python, folder / "bare", 0).apply)]
    candidates += [Candidate(tool.name, project.apply) for tool, project in up_to_date.items()]
    yield Comparison(f"Nothing to do, {NOTHING} migrations applied", candidates, 21, 90)
    for count, (rounds, budget) in COUNTS.items():
        runs: list[tuple[str, Callable[[], float]]] = [
            (tool.name, Project(tool, programs, folder / f"{count}-{tool.name}", count).apply_to_new)
            for tool, programs in everything.items()
        ]
        title = f"{count:,} migrations on a new database"
        yield Comparison(title, [Candidate(name, run) for name, run in runs], rounds, budget)
