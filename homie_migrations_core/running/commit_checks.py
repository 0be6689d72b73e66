"""
Check a step before its commit: foreign keys, references, views and triggers that it broke, and indexes that it lost.

What was broken before the step does not stop it, and its author may accept some of the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

from homie_migrations_core.errors import ForeignKeysViolated, LockTimeout, SchemaLeftBroken
from homie_migrations_core.model import Step
from homie_migrations_core.packs.acceptance import read_acceptances
from homie_migrations_core.running.failures import StepFailures, file_of
from homie_migrations_core.running.watching import Warnings
from homie_migrations_core.sqlite import integrity
from homie_migrations_core.sqlite.guard import GuardedConnection
from homie_migrations_core.sqlite.integrity import Problem, Problems
from homie_migrations_core.sqlite.reader import read


class StateBeforeNeeded(Exception):
    """The step must be undone and begun again, because the state before it is needed and can't be seen any more."""


class CommitChecks:
    """The checks of one run on the file at `path`."""

    def __init__(self, path: str, failures: StepFailures, warnings: Warnings) -> None:
        self._path, self._failures, self._warnings = path, failures, warnings
        self._helpers: set[tuple[str, str, str]] | None = None
        self._before: Problems | None = None

    def file_may_have_changed(self) -> None:
        """Forget which indexes and triggers the tables have: others may have changed them."""
        self._helpers = None

    def committed(self) -> None:
        """Forget what was broken before: the next transaction begins with another state."""
        self._before = None

    def see_problems_before(self, connection: GuardedConnection) -> None:
        """Remember what is broken now, in a transaction that has changed nothing yet."""
        self._before = integrity.find_problems(connection)

    def see_indexes_before(self, connection: GuardedConnection) -> None:
        """Remember which indexes and triggers the tables have, unless it is known."""
        if self._helpers is None:
            self._helpers = integrity.helpers_of_tables(connection)

    def check(self, connection: GuardedConnection, step: Step) -> None:
        """
        Warn of indexes and triggers that a rebuild lost, and stop the step if it broke anything that its author does not accept.

        Raises:
            ForeignKeysViolated, SchemaLeftBroken: It did.
            StateBeforeNeeded: It is not known what was broken before.
        """
        touched = connection.touched
        assert self._helpers is not None
        if touched.dropped:
            for lost in integrity.lost_helpers(connection, self._helpers, touched):
                self._warnings.warned(f"{step.ref} rebuilt a table and did not create {lost} again.")
        if touched.dropped or touched.altered:
            self._helpers = None  # read again when the next step begins
        elif created := {name for kind, name in touched.created if kind != "table"}:
            self._helpers |= integrity.helpers_of_tables(connection, created)
        problems = integrity.find_problems(connection, touched)
        if not problems:
            return
        before = self._problems_before()
        new = problems.beyond(before).listed()
        if not new:
            return
        reasons = read_acceptances(step.migration, integrity.ACCEPTABLE_CODES).reasons
        if any(problem.code not in reasons for problem in new):
            raise self._refused(step, new)
        for problem in new:
            self._warnings.accepted(step, problem.code, problem.sentence, reasons[problem.code])
        self._before = before.including(problems)  # for the steps that follow in the same transaction

    def _problems_before(self) -> Problems:
        """Return what was broken in the file before this transaction, seen over a connection of its own."""
        if self._before is None:
            try:
                self._before = read(self._path, integrity.find_problems, lock_timeout=0.0)
            except LockTimeout as error:
                raise StateBeforeNeeded from error
        return self._before

    def _refused(self, step: Step, new: Sequence[Problem]) -> Exception:
        codes = {problem.code for problem in new}
        kind = SchemaLeftBroken if codes == {"broken_view"} else ForeignKeysViolated
        advice = []
        if "foreign_keys_violated" in codes:
            advice.append("Delete or repair those rows in the same migration.")
        if "dangling_reference" in codes:
            advice.append(f"{integrity.CAUSE_OF_DANGLING}.")
        if "broken_view" in codes:
            advice.append("Repair or drop the view or trigger in the same migration.")
        if acceptable := sorted(codes & integrity.ACCEPTABLE_CODES):
            file = file_of(step)
            sign = "--" if file.suffix == ".sql" else "#"
            comments = " and ".join(f"`{sign} accepts {code}: REASON`" for code in acceptable)
            advice.append(f"Where a later migration repairs it, {file.name} can accept it with the comment {comments}.")
        return self._failures.failed(step, "; ".join(problem.sentence for problem in new), " ".join(advice), kind)
