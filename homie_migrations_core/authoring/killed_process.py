"""
A process that applies a pack and is killed at a chosen moment: the request that it gets, and how it ends itself.

What is left of the database is looked at elsewhere, in `crash_test.py`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn

from homie_migrations_core.errors import HomieMigrationsError, MigrationFailed
from homie_migrations_core.model import Run, Step
from homie_migrations_core.packs.definition import MigrationPack
from homie_migrations_core.packs.hookspecs import hookimpl
from homie_migrations_core.runner import MigrationRunner
from homie_migrations_core.running.execution import Execution
from homie_migrations_core.running.plan_runner import PlanRunner
from homie_migrations_core.sqlite.file import DatabaseFile
from homie_migrations_core.sqlite.guard import GuardedConnection
from homie_migrations_core.stopping import StopRequest

KILLED = "killed"
"""What a process writes as its outcome just before it kills itself as planned."""
Moment = Literal["in the middle of", "before the commit of", "after the commit of"]
_HELPER = """
import json, sys
request = json.load(sys.stdin)
sys.path[:] = request["sys_path"]
from homie_migrations_core.authoring.killed_process import run_and_kill
run_and_kill(request["packs"], request["kill_points"])
"""


class KillPoint(NamedTuple):
    """Where one run is killed. `at` is the number of the statement in the middle of the step."""

    path: str
    ref: str
    moment: Moment
    at: int = 0

    @property
    def outcome(self) -> Path:
        """The file in which the process writes how it ended; if it is missing, the process never ran."""
        return Path(f"{self.path}.outcome")


class StatementCounter:
    """Watches a run, and counts the statements of each step."""

    statements = 0

    def before(self, connection: GuardedConnection, step: Step) -> None:
        """Start counting at zero."""
        self.statements = 0

    def heard(self, statement: str) -> None:
        """Count a statement."""
        self.statements += 1

    def warned(self, sentence: str) -> None:
        """Ignore warnings, which `check` reports."""

    def accepted(self, step: Step, code: str, sentence: str, reason: str) -> None:
        """Do nothing: `check` reports it."""

    def after(self, connection: GuardedConnection, step: Step, seconds: float) -> None:
        """Do nothing: everything is done but the commit."""


class _WatchedPlans(PlanRunner):
    def __init__(self, file: DatabaseFile, observers: tuple[object, ...], watcher: StatementCounter) -> None:
        super().__init__(file, False, observers, False)
        self._watcher = watcher

    def execution(self, *args: Any, **options: Any) -> Execution:
        execution = super().execution(*args, **options)
        execution.watcher = self._watcher
        return execution

    def pack_versions(self, view: Any) -> dict[str, str | None]:
        return {}  # to look for distributions takes longer than the rest of a run


class WatchedRunner(MigrationRunner):
    """The real runner, with a watcher inside each transaction."""

    def __init__(self, path: Path, packs: Sequence[MigrationPack], stop: StopRequest, watcher: StatementCounter) -> None:
        observers = [watcher] if isinstance(watcher, _Killer) else []
        super().__init__(path, packs, backup=False, should_stop=stop, observers=observers)
        self._plans = _WatchedPlans(self._file, tuple(observers), watcher)

    def recover(self) -> None:
        """Undo what a killed process left half-done, as every run does that changes something."""
        self._file.read_tracking(recover=True)


def run_processes(packs: Sequence[MigrationPack], kill_points: Sequence[KillPoint]) -> str:
    """Run a process for each kill point, and wait until all have ended; return what one said that could not even start."""
    values = [[each.name, isinstance(each.migrations, Path), str(each.migrations), each.database] for each in packs]
    batches = [kill_points] if hasattr(os, "fork") else [[each] for each in kill_points]
    said = ""
    for batch in batches:
        request = json.dumps({"sys_path": sys.path, "packs": values, "kill_points": batch})
        command = [sys.executable, "-c", _HELPER]
        done = subprocess.run(command, input=request, capture_output=True, encoding="utf-8", errors="replace", check=False)  # noqa: S603  (this Python, this module)
        said = said or (done.stderr.strip().splitlines() or [""])[-1]
    return said


def run_and_kill(packs: Sequence[Sequence[Any]], kill_points: Sequence[Sequence[Any]]) -> None:
    """
    Run the packs once for each kill point, each time in a process that is forked for it.

    Where there is no fork, there is one kill point, and this process is killed.
    """
    known = [MigrationPack(name, Path(place) if is_path else place, database) for name, is_path, place, database in packs]
    for each in kill_points:
        child = os.fork() if hasattr(os, "fork") else 0
        if child == 0:
            _run_until_killed(known, KillPoint(*each))
        os.waitpid(child, 0)


def _run_until_killed(packs: Sequence[MigrationPack], kill_point: KillPoint) -> NoReturn:
    try:
        WatchedRunner(Path(kill_point.path), packs, StopRequest(), _Killer(kill_point)).apply()
        _end(kill_point, "the run was over before")
    except BaseException as error:  # it must not get back to where the next process is started
        _end(kill_point, reason_of(error))


def reason_of(error: BaseException) -> str:
    """Return why a run failed, as a part of a sentence."""
    if isinstance(error, MigrationFailed):
        return f"{error.ref} failed, {error.found}"
    return str(error).rstrip(".") if isinstance(error, HomieMigrationsError) else f"{type(error).__name__}: {error}"


def _end(kill_point: KillPoint, outcome: str) -> NoReturn:
    kill_point.outcome.write_text(outcome, encoding="utf-8")
    while True:
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))  # on Windows SIGTERM ends a process as abruptly


class _Killer(StatementCounter):
    """Kills the process at its kill point."""

    def __init__(self, kill_point: KillPoint) -> None:
        self._kill_point = kill_point
        self._here = False

    def before(self, connection: GuardedConnection, step: Step) -> None:
        """Note whether this is the step."""
        super().before(connection, step)
        self._here = step.ref == self._kill_point.ref

    def heard(self, statement: str) -> None:
        """Kill the process if this is the statement."""
        super().heard(statement)
        if self._here and self.statements == self._kill_point.at:
            _end(self._kill_point, KILLED)

    def after(self, connection: GuardedConnection, step: Step, seconds: float) -> None:
        """Kill the process before the commit at the latest: a migration may execute less than the last time."""
        if self._here and self._kill_point.moment != "after the commit of":
            _end(self._kill_point, KILLED)

    @hookimpl
    def homie_step_finished(self, run: Run, step: Step) -> None:
        """Kill the process right after the commit."""
        if step.ref == self._kill_point.ref:
            _end(self._kill_point, KILLED)
