"""
Kills processes that apply a pack, and checks what is left and whether the next run continues from there.

The processes are real, and so are the kills. The databases are thrown away. Power failures are not simulated here.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from homie_migrations_core.authoring.killed_process import (
    KILLED,
    KillPoint,
    Moment,
    StatementCounter,
    WatchedRunner,
    reason_of,
    run_processes,
)
from homie_migrations_core.errors import HomieMigrationsError
from homie_migrations_core.model import Finding, Step
from homie_migrations_core.packs.definition import MigrationPack
from homie_migrations_core.sqlite.reader import read
from homie_migrations_core.sqlite.rows import count_rows, tables_of
from homie_migrations_core.sqlite.schema_comparison import compare
from homie_migrations_core.sqlite.schema_objects import Schema
from homie_migrations_core.sqlite.writer import Writer
from homie_migrations_core.stopping import StopRequest

MOST = 30
"""During how many migrations of a pack processes are killed: the newest, because each costs some six runs."""
_BESIDE = "of_the_application"
# What holds a table is migrated step by step; an empty database in one transaction.
_BEGINNING = (f"CREATE TABLE {_BESIDE} (id INTEGER PRIMARY KEY, text TEXT)", f"INSERT INTO {_BESIDE} (text) VALUES ('kept')")
_ADVICE = "A migration must be able to run again after a kill: look for what it does outside of `conn`."


class Kills(NamedTuple):
    """The result of killing the runs of a pack."""

    findings: tuple[Finding, ...]
    number: int
    """How many runs were killed."""
    left_out: tuple[str, ...] = ()
    """Refs of older migrations during which none was."""


def kill_everywhere(
    pack: MigrationPack, others: Sequence[MigrationPack] = (), *, most: int = MOST, stop: StopRequest | None = None
) -> Kills:
    """
    Kill a run within and after each migration of the pack; return what was not as it should be then.

    Of a pack with more than `most` migrations, the newest ones are taken.

    Raises:
        HomieMigrationsError: The pack can't be applied at all.
    """
    packs = (pack, *others)
    with tempfile.TemporaryDirectory(prefix="homie-kills-") as folder:
        crash_test = CrashTest(Path(folder), packs, stop or StopRequest())
        kills, left_out = crash_test.prepare(most)
        said = run_processes(packs, [each.point for each in kills])
        found = [finding for each in kills if (finding := crash_test.examine(each, said))]
    first = dict(reversed(found))  # of those with the same reason
    return Kills(tuple(reversed(first.values())), len(kills), tuple(left_out))


@dataclass(frozen=True)
class DatabaseState:
    """What a database holds between two steps."""

    refs: tuple[str, ...] = ()
    schema: Schema | None = None
    rows: dict[str, int] | None = None

    def of_the_packs(self) -> DatabaseState:
        """Return the same without the application's table."""
        schema = {key: each for key, each in (self.schema or {}).items() if each.table != _BESIDE}
        return DatabaseState(self.refs, schema, {table: count for table, count in (self.rows or {}).items() if table != _BESIDE})

    def differs_from(self, expected: DatabaseState) -> str:
        """Return the differences in words; an empty text if there are none."""
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


class PlannedKill(NamedTuple):
    """A kill point, the state that the killed run has to leave, and the one that the next run has to reach."""

    point: KillPoint
    left: DatabaseState
    to: str | None
    reached: DatabaseState


class CrashTest:
    """A database for each kill, and what has to become of it."""

    def __init__(self, folder: Path, packs: Sequence[MigrationPack], stop: StopRequest) -> None:
        self._folder, self._packs, self._stop = folder, packs, stop
        self._own = packs[0].name

    def prepare(self, most: int) -> tuple[list[PlannedKill], list[str]]:
        """Apply all steps once without a kill, and keep the database before each; return the kills, and the refs without."""
        database = self._place("unharmed")
        self._make_table_of_application(database)
        counter = StatementCounter()
        runner = WatchedRunner(database, self._packs, self._stop, counter)
        steps = runner.plan().steps
        states, copies, statements = [read_state(runner)], list[str](), list[int]()
        for number, step in enumerate(steps):
            copies.append(str(shutil.copyfile(database, self._place(f"{number}"))))
            runner.apply(to=step.ref)
            states.append(read_state(runner))
            statements.append(counter.statements)
        own = [number for number, step in enumerate(steps) if step.migration.pack == self._own]
        kills = [
            kill for number in own[-most:] for kill in self._kills_around(steps, number, copies[number], statements[number], states)
        ]
        new = self._kill_point("", steps[own[-1]].ref, "before the commit of")
        kills.append(PlannedKill(new, DatabaseState(), None, states[-1].of_the_packs()))
        return kills, [steps[number].ref for number in own[:-most]]

    def _kills_around(
        self, steps: Sequence[Step], number: int, copy: str, statements: int, states: Sequence[DatabaseState]
    ) -> list[PlannedKill]:
        """Return the kills within one step, before its commit and after it."""
        ref, here, there = steps[number].ref, states[number], states[number + 1]
        following = steps[number + 1].ref if number + 1 < len(steps) else None
        kills = [PlannedKill(self._kill_point(copy, ref, "before the commit of"), here, ref, there)]
        if statements:
            kills.insert(0, PlannedKill(self._kill_point(copy, ref, "in the middle of", statements // 2 + 1), here, ref, there))
        reached = states[number + 2] if following else there
        return [*kills, PlannedKill(self._kill_point(copy, ref, "after the commit of"), there, following, reached)]

    def _make_table_of_application(self, database: Path) -> None:
        writer = Writer(str(database), lock_timeout=30.0, stop=self._stop, waiting=lambda: None, create=True)
        try:
            writer.begin()
            for statement in _BEGINNING:
                writer.connection.execute_unguarded(statement)
            writer.commit()
        finally:
            writer.close()

    def _kill_point(self, copy_of: str, ref: str, moment: Moment, at: int = 0) -> KillPoint:
        place = self._place(f"{len(list(self._folder.iterdir()))}-killed")
        if copy_of:
            shutil.copyfile(copy_of, place)
        return KillPoint(str(place), ref, moment, at)

    def _place(self, name: str) -> Path:
        """Return a path in a new folder. Messages and migrations see the name that the database really has."""
        (self._folder / name).mkdir()
        return self._folder / name / self._packs[0].database

    def examine(self, kill: PlannedKill, said: str) -> tuple[str, Finding] | None:
        """Return what is wrong now that the process is gone, with the reason, which several findings may share."""
        point, when = kill.point, f"{kill.point.moment} {kill.point.ref}"
        outcome = point.outcome.read_text(encoding="utf-8") if point.outcome.exists() else said or "it ended before it began"
        if outcome != KILLED:
            what = f"The process that was to be killed {when} did not get that far"
            return outcome, self._finding("not_killed", point, what, outcome)
        runner = WatchedRunner(Path(point.path), self._packs, self._stop, StatementCounter())
        try:
            runner.recover()
            if why := read_state(runner).differs_from(kill.left):
                what = f"Killed {when}, it left a half-done database"
                return point.ref, self._finding("killed_off_a_boundary", point, what, why)
            runner.apply(to=kill.to)
            if why := read_state(runner).differs_from(kill.reached):
                what = f"Killed {when}, the next run made something else"
                return point.ref, self._finding("differs_after_a_kill", point, what, why)
        except HomieMigrationsError as error:
            what = f"Killed {when}, the next run can't go on"
            return reason_of(error), self._finding("stuck_after_a_kill", point, what, reason_of(error))
        return None

    def _finding(self, code: str, point: KillPoint, what: str, why: str) -> Finding:
        return Finding(code, point.ref, self._own, f"{what}: {why}.", _ADVICE)


def read_state(runner: WatchedRunner) -> DatabaseState:
    """Return what a runner's database holds."""
    if not runner.path.exists():
        return DatabaseState()
    os.utime(runner.path, (0, 0))  # readers wait a moment for a file that has just changed, and this one is private
    rows = read(str(runner.path), lambda connection: count_rows(connection, tables_of(connection)), lock_timeout=30.0)
    return DatabaseState(tuple(sorted(each.ref for each in runner.history())), runner.real_schema(), rows)
