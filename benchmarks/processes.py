"""Whole processes: `homie migrations status`, and the start of an application with nothing to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path

from benchmarks.fixtures import make_pack, name_of
from benchmarks.measuring import Candidate, CommandFailed, Comparison
from file_organizer_migrations.migration_runner import run_migrations as run_file_organizer
from homie_migrations_core import run_migrations

STATUS_OF_FOLDER_GOAL, STATUS_GOAL = 3.2, 6.0
START_GOAL, START_WITH_ALL_GOAL = 1.4, 3.5
_SQLITE_ROW = "sqlite3: connect, SELECT, print"

_SMALLEST_TYPER = """
import sqlite3

import typer

app = typer.Typer()


@app.command()
def status(database: str = "") -> None:
    connection = sqlite3.connect(database)
    print(connection.execute("SELECT max(version) FROM schema_migrations").fetchone()[0])
    connection.close()


app()
"""
_HOMIE = """
from {module} import {function}
{function}()
"""
_PLAIN = """
import sqlite3
import sys

connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT version FROM schema_migrations").fetchall()
connection.close()
print("up to date")
"""
_FILE_ORGANIZER = """
import sys

from file_organizer_migrations.migration_runner import run_migrations

if run_migrations(sys.argv[1]) == 0:
    print("up to date")
"""
_EVERY_PACK = _FILE_ORGANIZER.replace("file_organizer_migrations.migration_runner", "homie_migrations_core")
_PACKAGE = """
import sys

from homie_migrations_core import MigrationPack, run_migrations

if run_migrations(sys.argv[1], [MigrationPack("file_organizer", "file_organizer_migrations.migrations")]) == 0:
    print("up to date")
"""
_FOLDER = """
import os
import sys

from homie_migrations_core import MigrationPack, run_migrations

folder = os.path.join(os.path.dirname(sys.argv[1]), "items")
if run_migrations(sys.argv[1], [MigrationPack("items", folder)]) == 0:
    print("up to date")
"""
_FOLDER_AS_PATH = """
import sys
from pathlib import Path

from homie_migrations_core import MigrationPack, run_migrations

folder = Path(sys.argv[1]).parent / "items"
if run_migrations(sys.argv[1], [MigrationPack("items", folder)]) == 0:
    print("up to date")
"""
_RUNNER = """
import os
import sys

from homie_migrations_core import MigrationPack, MigrationRunner

folder = os.path.join(os.path.dirname(sys.argv[1]), "items")
if not MigrationRunner(sys.argv[1], [MigrationPack("items", folder)]).apply():
    print("up to date")
"""
_PLAIN_WITH_PATHLIB = f"import pathlib\n{_PLAIN}"


class _Programs:
    """Small programs that this Python runs, with their byte code cached."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        # Byte code must be cached, whatever the caller's environment says, or each run would compile everything again.
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("TYPER_", "PYTHONDONTWRITE", "COV"))},
            "HOMIE_DATA_DIR": str(folder / "data"),
        }

    def script(self, name: str, source: str) -> list[str]:
        """Write `source` to a file and return the command that runs it."""
        path = self._folder / f"{name}.py"
        path.write_text(source, encoding="utf-8")
        return [sys.executable, str(path)]

    def timed(self, command: Sequence[str], expected: str) -> Callable[[], float]:
        """Return what measures a process from start to end. Its first run, which must print `expected`, is not measured."""
        first = subprocess.run(command, env=self._environment, cwd=self._folder, capture_output=True, text=True, check=False)
        if first.returncode != 0 or expected not in first.stdout:
            printed = (first.stderr or first.stdout).strip().splitlines()
            raise CommandFailed(
                f"{' '.join(command)}: exit code {first.returncode}; {printed[-1] if printed else 'it printed nothing'}"
            )

        def run() -> float:
            started = time.perf_counter()
            done = subprocess.run(command, env=self._environment, cwd=self._folder, stdout=subprocess.DEVNULL, check=False)
            seconds = time.perf_counter() - started
            if done.returncode != 0:
                raise CommandFailed(f"{' '.join(command)}: exit code {done.returncode}")
            return seconds

        return run


def status_comparisons(folder: Path) -> Iterator[Comparison]:
    programs = _Programs(folder / "status")
    installed, in_folder = str(folder / "homie_file_organizer.db"), str(folder / "homie_items.db")
    run_file_organizer(installed)
    pack = make_pack(folder / "items", 20)
    run_migrations(in_folder, [pack], backup=False)
    console = shutil.which("homie", path=sysconfig.get_path("scripts"))
    registered = list(entry_points(group="console_scripts", name="homie"))
    if console is None or not registered:
        raise CommandFailed("the command `homie` is not installed beside this Python")
    source = _HOMIE.format(module=registered[0].module, function=registered[0].attr)
    smallest, homie = programs.script("smallest_typer", _SMALLEST_TYPER), programs.script("two_lines", source)
    ours = ["migrations", "status", "--database", installed]
    from_folder = ["migrations", "status", "--dir", str(pack.migrations), "--database", in_folder]
    organizer = "001_destination_memory"
    yield Comparison(
        "2. `homie migrations status`, whole process, up to date",
        [
            Candidate("python -c pass", programs.timed([sys.executable, "-c", "pass"], "")),
            Candidate("status --dir, 20 migrations", programs.timed([*homie, *from_folder], name_of(20)), STATUS_OF_FOLDER_GOAL),
            Candidate(
                "status --dir as the console script `homie`",
                programs.timed([console, *from_folder], name_of(20)),
                STATUS_OF_FOLDER_GOAL,
            ),
            Candidate("status, installed packs, 1 migration", programs.timed([*homie, *ours], organizer), STATUS_GOAL),
            Candidate("the same as the console script `homie`", programs.timed([console, *ours], organizer), STATUS_GOAL),
            Candidate(_SQLITE_ROW, programs.timed([*programs.script("plain", _PLAIN), installed], "up to date")),
            Candidate("smallest Typer program that prints the version", programs.timed([*smallest, "--database", installed], "1")),
        ],
        rounds=25,
        budget=40,
        second_floor=_SQLITE_ROW,
    )


def start_comparisons(folder: Path) -> Iterator[Comparison]:
    programs = _Programs(folder / "start")
    path = str(folder / "homie_file_organizer.db")
    run_file_organizer(path)

    def row(name: str, source: str, path: str = path) -> Callable[[], float]:
        return programs.timed([*programs.script(name, source), path], "up to date")

    yield Comparison(
        "3. An application's start, fresh process, up to date",
        [
            Candidate("sqlite3: connect, SELECT version, close", row("plain", _PLAIN)),
            Candidate("file_organizer_migrations … run_migrations(path)", row("organizer", _FILE_ORGANIZER), START_GOAL),
            Candidate("run_migrations(path, [pack]), a package", row("package", _PACKAGE), START_GOAL),
            Candidate(
                "homie_migrations_core.run_migrations(path), every pack", row("every_pack", _EVERY_PACK), START_WITH_ALL_GOAL
            ),
            Candidate("python -c pass", programs.timed([sys.executable, "-c", "pass"], "")),
        ],
        rounds=41,
        budget=20,
    )
    for migrations in (20, 500):
        place = folder / f"with_{migrations}"
        place.mkdir()
        in_folder = str(place / "homie_items.db")
        run_migrations(in_folder, [make_pack(place / "items", migrations)], backup=False)
        with_pathlib = "sqlite3: the same, and import pathlib"
        yield Comparison(
            f"3. An application's start, fresh process, {migrations} migrations in a folder that is handed in",
            [
                Candidate("sqlite3: connect, SELECT version, close", row("plain", _PLAIN, in_folder)),
                Candidate("run_migrations(path, [pack]), the folder as text", row("folder", _FOLDER, in_folder), START_GOAL),
                Candidate("MigrationRunner(path, [pack]).apply(), the same", row("runner", _RUNNER, in_folder), START_GOAL),
                Candidate("run_migrations(path, [pack]), the folder as a Path", row("folder_as_path", _FOLDER_AS_PATH, in_folder)),
                Candidate(with_pathlib, row("plain_with_pathlib", _PLAIN_WITH_PATHLIB, in_folder)),
            ],
            rounds=41,
            budget=10,
            second_floor=with_pathlib,
        )
