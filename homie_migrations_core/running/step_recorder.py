"""Record what each step of a rehearsal does to the copy: its statements, rows, schema, warnings and journal."""

from __future__ import annotations

from dataclasses import dataclass, replace

from homie_migrations_core.model import RowCount, Run, Step
from homie_migrations_core.packs.hookspecs import hookimpl
from homie_migrations_core.running.losses import TableHistory, TableState
from homie_migrations_core.running.watching import accepted_in_words
from homie_migrations_core.sqlite import rows, scratch
from homie_migrations_core.sqlite.guard import GuardedConnection
from homie_migrations_core.sqlite.names import fold
from homie_migrations_core.sqlite.schema import read_schema
from homie_migrations_core.sqlite.schema_comparison import Difference, compare
from homie_migrations_core.vocabulary import Direction

KEPT_STATEMENTS = 1_000
"""The number of statements of one step that are kept; the others are counted."""
_LONGEST_STATEMENT = 20_000


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


class StepRecorder:
    """The watcher of a rehearsal, and an observer of its run."""

    def __init__(self, copy: str) -> None:
        self._copy = copy
        self.steps: list[RehearsedStep] = []
        self.history = TableHistory(TableState({}, {}))
        self.largest_journal = 0
        """Bytes of the journal or WAL beside the copy, at its greatest size."""
        self._begun = False
        self._statements: list[str] = []
        self._left_out = 0
        self._warnings: list[str] = []

    def before(self, connection: GuardedConnection, step: Step) -> None:
        """Read the state before the first step; the one before each other step is known."""
        recorded = [(each.ref, each.direction) for each in self.steps]
        if (step.ref, step.direction) in recorded:  # the transaction was begun again, and with it all steps in it
            again = recorded.index((step.ref, step.direction))
            del self.steps[again:], self.history.after_steps[again:]
        elif not self._begun:
            self._begun = True
            state = TableState(rows.count_rows(connection, rows.tables_of(connection)), read_schema(connection))
            self.history = replace(self.history, before=state)
        self._statements, self._left_out, self._warnings = [], 0, []

    def heard(self, statement: str) -> None:
        """Keep a statement, unless there are too many already."""
        if statement.strip().rstrip(";").strip().upper() == "COMMIT":  # does nothing here, and Python adds its own
            return
        if len(self._statements) < KEPT_STATEMENTS:
            self._statements.append(statement.strip()[:_LONGEST_STATEMENT])
        else:
            self._left_out += 1

    def warned(self, sentence: str) -> None:
        """Keep a warning."""
        self._warnings.append(sentence)

    def accepted(self, step: Step, code: str, sentence: str, reason: str) -> None:
        """Keep a problem that the author accepts, with the reason, as a warning."""
        self._warnings.append(accepted_in_words(step, code, sentence, reason))

    def after(self, connection: GuardedConnection, step: Step, seconds: float) -> None:
        """Count again the rows of the tables that the step touched, and compare the schema."""
        touched, before = connection.touched, self.history.last
        tables, schema = list(before.rows), before.schema
        if touched.created or touched.dropped or touched.altered:
            schema = read_schema(connection)
            tables = rows.tables_of(connection)
        changed = touched.written | {name for _, name in touched.created | touched.dropped}
        again = [table for table in tables if table.lower() in changed or table not in before.rows]
        counts = {table: before.rows[table] for table in tables if table in before.rows} | rows.count_rows(connection, again)
        self.history.after_steps.append(TableState(counts, schema))
        self.history.touched |= {fold(table) for table in again} | touched.written
        differences = tuple(compare(before.schema, schema))
        if touched.altered:
            self.history.touched |= {fold(each.table) for each in differences}
        shown = sorted({*again, *(set(before.rows) - set(counts))})
        self.steps.append(
            RehearsedStep(
                step.ref,
                step.direction,
                seconds,
                tuple(self._statements),
                self._left_out,
                tuple(RowCount(table, before.rows.get(table), counts.get(table)) for table in shown),
                differences,
                tuple(self._warnings),
            )
        )

    @hookimpl
    def homie_step_finished(self, run: Run, step: Step) -> None:
        """Look how large the journal has grown."""
        self.largest_journal = max(self.largest_journal, scratch.peak_beside(self._copy))
