"""
Carrying out a plan on a throw-away copy of the real database, and noting what happens.

The same `Execution` with the same checks as a run. What it would do to the real file is told; nothing is done to it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from homie_migrations_core.errors import MigrationFailed
from homie_migrations_core.model import Direction, Plan, RowCount, Run, Step
from homie_migrations_core.packs.hookspecs import hookimpl
from homie_migrations_core.running.watching import accepted_in_words
from homie_migrations_core.sqlite import rows, scratch
from homie_migrations_core.sqlite.names import fold
from homie_migrations_core.sqlite.reader import read
from homie_migrations_core.sqlite.schema import read_schema
from homie_migrations_core.sqlite.schema_comparison import Difference, compare, pair_renames
from homie_migrations_core.sqlite.schema_objects import Column, Schema
from homie_migrations_core.stopping import StopRequest

if TYPE_CHECKING:
    from homie_migrations_core.running.execution import Execution, Watcher
    from homie_migrations_core.sqlite.guard import GuardedConnection

KEPT_STATEMENTS = 1_000
"""Of the statements of one step, so many are kept; the others are counted."""
_KEPT_SIGNS = 20_000


@dataclass(frozen=True, slots=True)
class Loss:
    """Data that would be gone: rows of a table, or the values of one of its columns."""

    table: str
    column: str | None
    count: int


@dataclass(frozen=True, slots=True)
class RehearsedStep:
    """What one step did to the copy."""

    ref: str
    direction: Direction
    seconds: float
    statements: tuple[str, ...]
    """As they were executed, parameters filled in; the first thousand of them."""
    statements_left_out: int
    rows: tuple[RowCount, ...]
    """Of the tables that it touched."""
    schema: tuple[Difference, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a run would do to a database, seen on a copy that is gone."""

    path: Path
    plan: Plan
    steps: tuple[RehearsedStep, ...] = ()
    error: MigrationFailed | None = None
    """What would fail; the steps are those before it."""
    schema: tuple[Difference, ...] = ()
    """From the beginning to the end of the plan."""
    losses: tuple[Loss, ...] = ()
    findings: tuple[str, ...] = ()
    """What is wrong with the database after the plan, although no step is to blame for it."""
    size: int = 0
    """Bytes of the database before."""
    disk_needed: int = 0
    """Bytes: the snapshot, the largest journal and the growth; not SQLite's own temporary files."""
    seconds_to_copy: float = 0.0

    @property
    def succeeded(self) -> bool:
        """Whether the whole plan went through."""
        return self.error is None


def rehearse(
    path: str,
    plan: Plan,
    execution: Callable[[str, Watcher], Execution],
    *,
    backup: bool,
    lock_timeout: float,
    stop: StopRequest,
) -> Rehearsal:
    """
    The plan was carried out on a copy of the database at `path`, by what `execution` makes for a copy and a watcher.

    The copy is gone. The database was only read.

    Raises:
        RehearsalFailed: There could be no copy.
        HomieMigrationsError: What stops a run, but for a migration that fails: that is part of the answer.
    """
    if not plan.steps:
        return Rehearsal(Path(path), plan)
    started = time.monotonic()
    with scratch.scratch_copy(path, lock_timeout=lock_timeout, stop=stop) as copy:
        copied = time.monotonic() - started
        size = os.path.getsize(copy) if os.path.exists(path) and os.path.getsize(path) else 0
        notes = Notes(copy)
        failure: MigrationFailed | None = None
        with scratch.off_limits(path):
            try:
                execution(copy, notes).carry_out()
            except MigrationFailed as error:
                failure = error
        damage, problems = scratch.examine(copy, stop)
        grown = max(0, os.path.getsize(copy) - size)
        losses = _losses(path, copy, notes, lock_timeout)
    changes = compare(notes.schema_at_first, notes.schema)
    return Rehearsal(
        Path(path),
        plan,
        tuple(notes.steps),
        failure,
        tuple(changes),
        tuple(losses),
        (*([damage] if damage else []), *(each.sentence for each in problems.listed())),
        size,
        (size if backup else 0) + notes.peak + grown,
        copied,
    )


def _losses(path: str, copy: str, notes: Notes, lock_timeout: float) -> list[Loss]:
    """What is there now and would not be at the end, or was not at some point on the way."""
    first = {fold(table): table for table in notes.rows_at_first}
    least = dict(notes.rows_at_first)
    without: set[tuple[str, str]] = set()
    renamed: set[str] = set()
    for counts, state in notes.stages:
        changes = compare(notes.schema_at_first, state)
        renamed |= {fold(table) for table in _renamed(notes, counts, state, changes)}
        there = {fold(table): count for table, count in counts.items()}
        for key, table in first.items():
            least[table] = min(least[table], there.get(key, 0))
        for change, renamed_to in pair_renames(changes, notes.schema_at_first, state):
            if (change.change, change.kind) == ("removed", "column") and renamed_to is None:
                without.add((fold(change.table), fold(change.name)))
    found: list[Loss] = []
    columns: dict[str, list[str]] = {}
    ended_with = {fold(table) for table in notes.rows}
    for key, table in sorted(first.items()):
        if key in renamed:
            continue
        if gone := notes.rows_at_first[table] - least[table]:
            found.append(Loss(table, None, gone))
        known = notes.schema_at_first.get(("table", key))
        if known is None or key not in notes.touched or key not in ended_with or (gone and not least[table]):
            continue
        columns[table] = [
            column.name
            for column in known.columns
            if "GENERATED" not in column.words and (not gone or (key, fold(column.name)) in without)
        ]
    if not any(columns.values()) or not os.path.exists(path):
        return found
    # The copy has lost them; the database itself still has them.
    before = read(path, lambda connection: rows.count_all_values(connection, columns), lock_timeout=lock_timeout)
    after = read(copy, lambda connection: rows.count_all_values(connection, columns), lock_timeout=lock_timeout)
    for (table, column), count in before.items():
        is_without = (fold(table), fold(column)) in without
        left = 0 if is_without else after.get((table, column), count)
        if left < count:
            found.append(Loss(table, column, count - left))
    return found


def _renamed(notes: Notes, counts: dict[str, int], state: Schema, changes: list[Difference]) -> set[str]:
    """Tables that are there under another name, with the same columns and no fewer rows."""
    gone = [each.name for each in changes if (each.change, each.kind) == ("removed", "table")]
    new = [each.name for each in changes if (each.change, each.kind) == ("added", "table")]

    def shape(of: Schema, table: str) -> tuple[Column, ...]:
        return of["table", fold(table)].columns

    return {
        old
        for old in gone
        for other in new
        if shape(notes.schema_at_first, old) == shape(state, other) and counts.get(other, 0) >= notes.rows_at_first.get(old, 0)
    }


class Notes:
    """The watcher of a rehearsal."""

    def __init__(self, copy: str) -> None:
        self._copy = copy
        self.steps: list[RehearsedStep] = []
        self.peak = 0
        self.rows_at_first: dict[str, int] = {}
        self.schema_at_first: Schema = {}
        self.rows: dict[str, int] = {}
        self.schema: Schema = {}
        self.stages: list[tuple[dict[str, int], Schema]] = []
        """The rows and the schema after each step."""
        self.touched: set[str] = set()
        """The tables that a step wrote to or made anew, in small letters."""
        self._states: list[tuple[dict[str, int], Schema]] = []
        self._statements: list[str] = []
        self._left_out = 0
        self._warnings: list[str] = []

    def before(self, connection: GuardedConnection, step: Step) -> None:
        """Count what is there, once; later it is known."""
        noted = [(each.ref, each.direction) for each in self.steps]
        if (step.ref, step.direction) in noted:  # the transaction was begun again, and with it all steps in it
            again = noted.index((step.ref, step.direction))
            self.rows, self.schema = self._states[again]
            del self.steps[again:], self._states[again:], self.stages[again:]
        elif not self._states:
            self.rows_at_first = self.rows = rows.count_rows(connection, rows.tables_of(connection))
            self.schema_at_first = self.schema = read_schema(connection)
        self._statements, self._left_out, self._warnings = [], 0, []

    def heard(self, statement: str) -> None:
        """Keep it, if there are not too many already."""
        if statement.strip().rstrip(";").strip().upper() == "COMMIT":  # does nothing here, and Python adds its own
            return
        if len(self._statements) < KEPT_STATEMENTS:
            self._statements.append(statement.strip()[:_KEPT_SIGNS])
        else:
            self._left_out += 1

    def warned(self, sentence: str) -> None:
        """Keep it."""
        self._warnings.append(sentence)

    def accepted(self, step: Step, code: str, sentence: str, reason: str) -> None:
        """Keep it with its reason."""
        self._warnings.append(accepted_in_words(step, code, sentence, reason))

    def after(self, connection: GuardedConnection, step: Step, seconds: float) -> None:
        """Count again what the step touched, and see what it made of the schema."""
        touched, before, schema_before = connection.touched, self.rows, self.schema
        tables = list(before)
        if touched.created or touched.dropped or touched.altered:
            self.schema = read_schema(connection)
            tables = rows.tables_of(connection)
        changed = touched.written | {name for _, name in touched.created | touched.dropped}
        again = [table for table in tables if table.lower() in changed or table not in before]
        self.rows = {table: before[table] for table in tables if table in before} | rows.count_rows(connection, again)
        shown = {*again, *(set(before) - set(self.rows))}
        self._states.append((before, schema_before))
        self.stages.append((self.rows, self.schema))
        self.touched |= {fold(table) for table in again} | touched.written
        if touched.altered:
            self.touched |= {fold(each.table) for each in compare(schema_before, self.schema)}
        self.steps.append(
            RehearsedStep(
                step.ref,
                step.direction,
                seconds,
                tuple(self._statements),
                self._left_out,
                tuple(RowCount(table, before.get(table), self.rows.get(table)) for table in sorted(shown)),
                tuple(compare(schema_before, self.schema)),
                tuple(self._warnings),
            )
        )

    @hookimpl
    def homie_step_finished(self, run: Run, step: Step) -> None:
        """Look how large the journal has grown."""
        self.peak = max(self.peak, scratch.peak_beside(self._copy))
