"""
What is left when the process that applies a pack is killed, and whether the next run goes on from there.

The processes are real, and so is their end. The databases are thrown away. Power that fails is not looked at here.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn

from homie_migrations_core.errors import HomieMigrationsError, MigrationFailed
from homie_migrations_core.model import Finding, Run, Step
from homie_migrations_core.packs.definition import MigrationPack
from homie_migrations_core.packs.hookspecs import hookimpl
from homie_migrations_core.runner import MigrationRunner
from homie_migrations_core.running.execution import Execution
from homie_migrations_core.sqlite.guard import GuardedConnection
from homie_migrations_core.sqlite.reader import read
from homie_migrations_core.sqlite.rows import count_rows, tables_of
from homie_migrations_core.sqlite.schema_comparison import compare
from homie_migrations_core.sqlite.schema_objects import Schema
from homie_migrations_core.sqlite.writer import Writer
from homie_migrations_core.stopping import StopRequest

MOST = 30
"""Of how many migrations of a pack the process is killed: the newest, because each costs some six runs."""

_Moment = Literal["in the middle of", "before the commit of", "after the commit of"]
_BESIDE = "of_the_application"
# What holds a table is migrated step by step; an empty database in one transaction.
_BEGINNING = (f"CREATE TABLE {_BESIDE} (id INTEGER PRIMARY KEY, text TEXT)", f"INSERT INTO {_BESIDE} (text) VALUES ('kept')")
_KILLED = "killed"
_HELPER = """
import json, sys
request = json.load(sys.stdin)
sys.path[:] = request["sys_path"]
from homie_migrations_core.authoring.crash_test import meet
meet(request["packs"], request["dooms"])
"""
_ADVICE = "A migration must be able to run again after it was killed: look for what it does outside of `conn`."


class Kills(NamedTuple):
    """What a pack made of being killed."""

    findings: tuple[Finding, ...]
    number: int
    """How many runs were killed."""
    left_out: tuple[str, ...] = ()
    """Refs of older migrations during which none was."""


def kill_everywhere(
    pack: MigrationPack, others: Sequence[MigrationPack] = (), *, most: int = MOST, stop: StopRequest | None = None
) -> Kills:
    """
    A run was killed within and after each migration of the pack; what was not as it should be then comes back.

    Of a pack with more than `most` migrations, that is the newest ones.

    Raises:
        HomieMigrationsError: The pack can't be applied at all.
    """
    packs = (pack, *others)
    with tempfile.TemporaryDirectory(prefix="homie-kills-") as folder:
        scene = _Scene(Path(folder), packs, stop or StopRequest())
        killed, left_out = scene.prepare(most)
        said = _carry_out(packs, [each.doom for each in killed])
        found = [finding for each in killed if (finding := scene.examine(each, said))]
    first = dict(reversed(found))  # of those with the same reason
    return Kills(tuple(reversed(first.values())), len(killed), tuple(left_out))


# --- the scene --------------------------------------------------------------------------------------------


class _Doom(NamedTuple):
    """Where one run ends. `at` is the number of the statement in the middle of the step."""

    path: str
    ref: str
    moment: _Moment
    at: int = 0

    @property
    def outcome(self) -> Path:
        """The file in which the process says how it ended; without it, it never ran."""
        return Path(f"{self.path}.outcome")


@dataclass(frozen=True)
class _State:
    """What a boundary between two steps looks like."""

    refs: tuple[str, ...] = ()
    schema: Schema | None = None
    rows: dict[str, int] | None = None

    def of_the_packs(self) -> _State:
        """The same where no application was before."""
        schema = {key: each for key, each in (self.schema or {}).items() if each.table != _BESIDE}
        return _State(self.refs, schema, {table: count for table, count in (self.rows or {}).items() if table != _BESIDE})

    def differs_from(self, expected: _State) -> str:
        """How, in words; nothing if it does not."""
        if self.refs != expected.refs:
            return f"{_listed(self.refs)} is recorded instead of {_listed(expected.refs)}"
        if differences := compare(expected.schema or {}, self.schema or {}):
            return "; ".join(each.in_words() for each in differences)
        rows, wanted = self.rows or {}, expected.rows or {}
        return "; ".join(
            f"{table} has {rows.get(table)} rows instead of {wanted.get(table)}"
            for table in sorted({*rows, *wanted})
            if rows.get(table) != wanted.get(table)
        )


def _listed(refs: Sequence[str]) -> str:
    return ", ".join(refs) or "nothing"


class _Killed(NamedTuple):
    """A doom, the state that it has to leave, and the one to which the next run has to come."""

    doom: _Doom
    left: _State
    to: str | None
    reached: _State


class _Scene:
    """A database for each kill, and what has to become of it."""

    def __init__(self, folder: Path, packs: Sequence[MigrationPack], stop: StopRequest) -> None:
        self._folder, self._packs, self._stop = folder, packs, stop
        self._own = packs[0].name

    def prepare(self, most: int) -> tuple[list[_Killed], list[str]]:
        """Walk through all steps once, unharmed, and keep what is there before each."""
        database = self._place("unharmed")
        self._begin(database)
        watcher = _Watcher()
        runner = _Runner(database, self._packs, self._stop, watcher)
        steps = runner.plan().steps
        states, copies, statements = [runner.state()], list[str](), list[int]()
        for number, step in enumerate(steps):
            copies.append(str(shutil.copyfile(database, self._place(f"{number}"))))
            runner.apply(to=step.ref)
            states.append(runner.state())
            statements.append(watcher.statements)
        own = [number for number, step in enumerate(steps) if step.migration.pack == self._own]
        killed = []
        for number in own[-most:]:
            ref, middle = steps[number].ref, statements[number] // 2 + 1
            here, there = states[number], states[number + 1]
            beyond = steps[number + 1].ref if number + 1 < len(steps) else None
            if statements[number]:
                killed.append(_Killed(self._doom(copies[number], ref, "in the middle of", middle), here, ref, there))
            killed.append(_Killed(self._doom(copies[number], ref, "before the commit of"), here, ref, there))
            killed.append(
                _Killed(
                    self._doom(copies[number], ref, "after the commit of"), there, beyond, states[number + 2] if beyond else there
                )
            )
        new = self._doom("", steps[own[-1]].ref, "before the commit of")
        killed.append(_Killed(new, _State(), None, states[-1].of_the_packs()))
        return killed, [steps[number].ref for number in own[:-most]]

    def _begin(self, database: Path) -> None:
        """There is something of the application in it."""
        writer = Writer(str(database), lock_timeout=30.0, stop=self._stop, waiting=lambda: None, create=True)
        try:
            writer.begin()
            for statement in _BEGINNING:
                writer.connection.speak(statement)
            writer.commit()
        finally:
            writer.close()

    def _doom(self, copy_of: str, ref: str, moment: _Moment, at: int = 0) -> _Doom:
        place = self._place(f"{len(list(self._folder.iterdir()))}-doomed")
        if copy_of:
            shutil.copyfile(copy_of, place)
        return _Doom(str(place), ref, moment, at)

    def _place(self, name: str) -> Path:
        """Messages and migrations see the name that the database really has."""
        (self._folder / name).mkdir()
        return self._folder / name / self._packs[0].database

    def examine(self, killed: _Killed, said: str) -> tuple[str, Finding] | None:
        """What is not as it should be now that the process is gone, and the reason, which others may share."""
        doom, when = killed.doom, f"{killed.doom.moment} {killed.doom.ref}"
        outcome = doom.outcome.read_text(encoding="utf-8") if doom.outcome.exists() else said or "it ended before it had begun"
        if outcome != _KILLED:
            return outcome, self._finding(
                "not_killed", doom, f"The process that was to be killed {when} did not come so far", outcome
            )
        runner = _Runner(Path(doom.path), self._packs, self._stop, _Watcher())
        try:
            runner.settle()
            if why := runner.state().differs_from(killed.left):
                return doom.ref, self._finding("killed_off_a_boundary", doom, f"Killed {when}, it left a half-done database", why)
            runner.apply(to=killed.to)
            if why := runner.state().differs_from(killed.reached):
                return doom.ref, self._finding(
                    "differs_after_a_kill", doom, f"Killed {when}, the next run made something else", why
                )
        except HomieMigrationsError as error:
            return _why(error), self._finding("stuck_after_a_kill", doom, f"Killed {when}, the next run can't go on", _why(error))
        return None

    def _finding(self, code: str, doom: _Doom, what: str, why: str) -> Finding:
        return Finding(code, doom.ref, self._own, f"{what}: {why}.", _ADVICE)


class _Watcher:
    """Counts what a step executes."""

    statements = 0

    def before(self, connection: GuardedConnection, step: Step) -> None:
        """Count from here."""
        self.statements = 0

    def heard(self, statement: str) -> None:
        """Another one."""
        self.statements += 1

    def warned(self, sentence: str) -> None:
        """`check` tells of it."""

    def after(self, connection: GuardedConnection, step: Step, seconds: float) -> None:
        """All is done but the commit."""


class _Runner(MigrationRunner):
    """The real one, with somebody who looks on inside each transaction."""

    def __init__(self, path: Path, packs: Sequence[MigrationPack], stop: StopRequest, watcher: _Watcher) -> None:
        observers = [watcher] if isinstance(watcher, _Killer) else []
        super().__init__(path, packs, backup=False, should_stop=stop, observers=observers)
        self._watcher = watcher

    def _execution(self, *args: Any, **options: Any) -> Execution:
        execution = super()._execution(*args, **options)
        execution.watcher = self._watcher
        return execution

    def _pack_versions(self, view: Any) -> dict[str, str | None]:
        return {}  # to look for distributions takes longer than the rest of a run

    def settle(self) -> None:
        """What the killed process left half-done is undone, as by every run that changes something."""
        self._file.read_tracking(recover=True)

    def state(self) -> _State:
        """What is there."""
        if not self.path.exists():
            return _State()
        os.utime(self.path, (0, 0))  # readers give a file that has just changed a moment, and nobody else has this one
        rows = read(str(self.path), lambda connection: count_rows(connection, tables_of(connection)), lock_timeout=30.0)
        return _State(tuple(sorted(each.ref for each in self.history())), self.real_schema(), rows)


# --- in other processes -------------------------------------------------------------------------------------


def _carry_out(packs: Sequence[MigrationPack], dooms: Sequence[_Doom]) -> str:
    """Every run has met its end. What a process said that could not even begin comes back."""
    told = [[each.name, isinstance(each.migrations, Path), str(each.migrations), each.database] for each in packs]
    batches = [dooms] if hasattr(os, "fork") else [[doom] for doom in dooms]
    said = ""
    for batch in batches:
        request = json.dumps({"sys_path": sys.path, "packs": told, "dooms": batch})
        command = [sys.executable, "-c", _HELPER]
        done = subprocess.run(command, input=request, capture_output=True, encoding="utf-8", errors="replace", check=False)  # noqa: S603  (this Python, this module)
        said = said or (done.stderr.strip().splitlines() or [""])[-1]
    return said


def meet(packs: Sequence[Sequence[Any]], dooms: Sequence[Sequence[Any]]) -> None:
    """Start a run for each doom, one after the other. Where there is no fork, it is one, and this process is it."""
    known = [MigrationPack(name, Path(place) if is_path else place, database) for name, is_path, place, database in packs]
    for each in dooms:
        child = os.fork() if hasattr(os, "fork") else 0
        if child == 0:
            _meet(known, _Doom(*each))
        os.waitpid(child, 0)


def _meet(packs: Sequence[MigrationPack], doom: _Doom) -> NoReturn:
    try:
        _Runner(Path(doom.path), packs, StopRequest(), _Killer(doom)).apply()
        _end(doom, "the run was over before")
    except BaseException as error:  # it must not get back to where the next process is started
        _end(doom, _why(error))


def _why(error: BaseException) -> str:
    if isinstance(error, MigrationFailed):
        return f"{error.ref} failed, {error.found}"
    return str(error).rstrip(".") if isinstance(error, HomieMigrationsError) else f"{type(error).__name__}: {error}"


def _end(doom: _Doom, outcome: str) -> NoReturn:
    doom.outcome.write_text(outcome, encoding="utf-8")
    while True:
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))  # on Windows it is the same, whatever its name


class _Killer(_Watcher):
    """Ends the process where its doom is."""

    def __init__(self, doom: _Doom) -> None:
        self._doom = doom
        self._here = False

    def before(self, connection: GuardedConnection, step: Step) -> None:
        """Is it this step?"""
        super().before(connection, step)
        self._here = step.ref == self._doom.ref

    def heard(self, statement: str) -> None:
        """Is it this statement?"""
        super().heard(statement)
        if self._here and self.statements == self._doom.at:
            _end(self._doom, _KILLED)

    def after(self, connection: GuardedConnection, step: Step, seconds: float) -> None:
        """At the latest: a migration may execute less than the last time."""
        if self._here and self._doom.moment != "after the commit of":
            _end(self._doom, _KILLED)

    @hookimpl
    def homie_step_finished(self, run: Run, step: Step) -> None:
        """The commit was the last thing it did."""
        if step.ref == self._doom.ref:
            _end(self._doom, _KILLED)
