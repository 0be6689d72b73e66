"""What the tests of runs share: the migrations, an observer that listens, and a lock that is held."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from helpers import creates, python_migration, recorded

from homie_migrations_core import MigrationPack, MigrationRunner, Run, Step, hookimpl

MODES = ("delete", "wal")
FAILS = python_migration(3, "conn.execute('CREATE TABLE three (a)')\nraise RuntimeError('no')", rollback="pass")
FILES = {"001_one.py": creates(1, "one"), "002_two.py": creates(2, "two")}
ALL = ["p:001_one", "p:002_two", "p:003_three"]


def runner(path: Path, pack: MigrationPack, *observers: object, **options: object) -> MigrationRunner:
    return MigrationRunner(path, [pack], backup=False, observers=observers, **options)  # type: ignore[arg-type]


def refs(migrations: object) -> list[str]:
    return [migration.ref for migration in migrations]  # type: ignore[attr-defined]


@contextmanager
def held(path: Path, sql: str) -> Iterator[sqlite3.Connection]:
    """Another program's connection that has begun this and not ended it."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    cursor = connection.execute(sql)
    try:
        yield connection
    finally:
        cursor.close()
        connection.close()


class Listener:
    """Notes what it hears, and what another connection then sees."""

    def __init__(self, path: Path, then: Callable[[str], None] = lambda _: None) -> None:
        self.heard: list[str] = []
        self.recorded: list[list[str]] = []
        self.errors: list[BaseException] = []
        self._path, self._then = path, then

    def _note(self, what: str) -> None:
        self.heard.append(what)
        self.recorded.append(recorded(self._path) if self._path.exists() else [])
        self._then(what)

    @hookimpl
    def homie_run_started(self, run: Run) -> None:
        self._note(f"run started {[step.migration.version for step in run.plan.steps]}")

    @hookimpl
    def homie_step_started(self, run: Run, step: Step) -> None:
        self._note(f"started {step.migration.version}")

    @hookimpl
    def homie_step_finished(self, run: Run, step: Step) -> None:
        self._note(f"finished {step.migration.version}")

    @hookimpl
    def homie_step_failed(self, run: Run, step: Step, error: BaseException) -> None:
        self.errors.append(error)
        self._note(f"failed {step.migration.version}")

    @hookimpl
    def homie_run_finished(self, run: Run) -> None:
        self._note("run finished")


def once(act: Callable[[], object], when: str) -> Callable[[str], None]:
    """Do it when that is heard for the first time."""
    done: list[bool] = []

    def then(what: str) -> None:
        if what.startswith(when) and not done:
            done.append(True)
            act()

    return then
