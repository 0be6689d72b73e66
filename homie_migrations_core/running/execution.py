"""
Carry out a plan on one database: its transactions, and what observers hear of them.

What happens inside a transaction is the subject of `steps`, the snapshot that of `run_snapshot`, the error at the end that of
`run_errors`. What should run is decided by a pure function of planning, which is called again whenever the records differ from
those that the plan was made of.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from homie_migrations_core.errors import (
    DatabaseReplaced,
    ForeignTrackingTable,
    LockTimeout,
    MigrationNotUndone,
)
from homie_migrations_core.model import Plan, Record, Run, Step
from homie_migrations_core.packs.observers import Observers
from homie_migrations_core.running.commit_checks import CommitChecks, StateBeforeNeeded
from homie_migrations_core.running.failures import StepFailures
from homie_migrations_core.running.lost_transactions import advice_after, find_leftovers, took_effect
from homie_migrations_core.running.replaced_file import how_replaced
from homie_migrations_core.running.run_errors import RunErrors
from homie_migrations_core.running.run_snapshot import RunSnapshot
from homie_migrations_core.running.steps import StepRunner
from homie_migrations_core.running.watching import LoggedWarnings
from homie_migrations_core.running.watching import Watcher as Watcher
from homie_migrations_core.sqlite import tracking
from homie_migrations_core.sqlite.commits import CommitDetector
from homie_migrations_core.sqlite.guard import GuardedConnection
from homie_migrations_core.sqlite.holders import tell_waiting
from homie_migrations_core.sqlite.snapshot_storage import DEFAULT_STORAGE, SnapshotStorage
from homie_migrations_core.sqlite.snapshots import Keeper
from homie_migrations_core.sqlite.writer import CommitFailed, Writer
from homie_migrations_core.stopping import Stopped, StopRequest, ends_the_run

_log = logging.getLogger("homie_migrations")


@dataclass
class Execution:
    """
    One run on one database.

    `replan` returns what is due for the records that are really there, read under the write lock, and the owner of the database;
    it may refuse. `packages` and `pack_versions` give for each pack where relative imports start and which release it is.
    A rehearsal works on a `scratch` file, `in_place_of` the one that messages name.
    """

    path: str
    plan: Plan
    replan: Callable[[tracking.Tracking], tuple[Plan, str | None]]
    observers: Observers
    packages: dict[str, str | None]
    pack_versions: dict[str, str | None]
    backup: bool = True
    lock_timeout: float = 30.0
    all_or_nothing: bool = False
    stop: StopRequest = field(default_factory=StopRequest)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    watcher: Watcher | None = None
    scratch: bool = False
    in_place_of: str = ""
    storage: SnapshotStorage = DEFAULT_STORAGE

    def __post_init__(self) -> None:
        self._named = self.in_place_of or self.path
        self._run = Run(Path(self._named), self.plan)
        self._committed: list[Step] = []
        self._snapshot = RunSnapshot(Keeper(self.path, self.stop, self.now, self.storage), wanted=self.backup)
        self._commits = CommitDetector(self.path)
        self._failures = StepFailures(self._named, self._committed)
        self._errors = RunErrors(self._named, self._committed, self._snapshot)
        self._finished = False
        self._state_before_needed = False
        self._known: tracking.Tracking | None = None
        """What was read of the records; None if they must be read again."""
        self._since_read: list[Step] = []
        """The steps that this run has committed since then: `_recorded` adds them."""
        self._owner: str | None = None
        self._due: deque[Step] = deque()
        self._current: Step | None = None

    def carry_out(self) -> list[Step]:
        """
        Carry out every step of the plan that is still due, and return those that were committed, in order.

        Raises:
            MigrationFailed, LockTimeout, SnapshotFailed, RunStopped, RunRefused, DatabaseUnusable: With the steps
                that were committed before it in `applied`, where the error has that.
            DatabaseReplaced: The file is not the one that was opened any more.
        """
        self._checks = CommitChecks(self.path, self._failures, self.watcher or LoggedWarnings(self.path))
        self._steps = StepRunner(
            self.packages,
            self.pack_versions,
            self.stop,
            self._checks,
            self._failures,
            self._tell_progress,
            self.watcher.heard if self.watcher is not None else None,
        )
        writer = Writer(
            self.path,
            lock_timeout=self.lock_timeout,
            stop=self.stop,
            waiting=lambda: tell_waiting(self.path),
            create=not os.path.exists(self.path),
            scratch=self.scratch,
        )
        self.observers.tell("homie_run_started", run=self._run)
        try:
            self._carry_out_all(writer)
        except (Exception, Stopped) as error:
            reported = self._reported(writer, error)
            if reported is error:
                raise
            raise reported from error
        finally:
            self._commits.close()
            writer.close()
            self._snapshot.settle(committed=bool(self._committed), finished=self._finished)
            self.observers.tell("homie_run_finished", run=self._run)
        return self._committed

    @property
    def snapshot(self) -> Path | None:
        """The snapshot that this run left, if it took one."""
        return self._snapshot.path

    # --- transaction by transaction -------------------------------------------------------------------

    def _carry_out_all(self, writer: Writer) -> None:
        while self._begin(writer):
            known = self._known
            assert known is not None
            batch = list(self._due) if self.all_or_nothing or not known.holds_tables else [self._due[0]]
            self._snapshot.take_once(self._records_with_owner, holds_tables=known.holds_tables, commits=self._commits)
            if known.shape != "current":
                tracking.make_current(writer.connection, known.shape, self._owner)
            try:
                for number, step in enumerate(batch, start=1):
                    self._current = step
                    self._carry_out_step(writer, step, followed=number < len(batch))
            except StateBeforeNeeded:
                # The step has outgrown SQLite's cache, so the state before it can only be seen by undoing it.
                writer.rollback()
                self._state_before_needed, self._known = True, None
                self._snapshot.take_again(committed=bool(self._committed))  # others may write before the lock is taken again
                continue
            pristine = writer.connection.pristine()
            self._commit(writer, batch)
            self._tell_committed(batch)
            if not self._due:
                break
            if not pristine:
                writer.renew()
        self._finished = True

    def _begin(self, writer: Writer) -> bool:
        """Take the write lock and see what is due. False if nothing is."""
        may_differ = writer.begin()
        if may_differ or self._known is None:
            self._known, self._since_read = self._read_records(writer.connection), []
            self._checks.file_may_have_changed()
            plan, self._owner = self.replan(self._known)
            self._due = deque(plan.steps)
            self._steps.expect(plan.steps)
        if not self._due:
            return False
        self._require_same_file(writer)
        if not self.scratch:
            self._commits.mark()
        if self._state_before_needed:
            self._checks.see_problems_before(writer.connection)
            self._state_before_needed = False
        return True

    def _read_records(self, connection: GuardedConnection) -> tracking.Tracking:
        try:
            return tracking.read_tracking(connection)
        except tracking.ForeignTable as error:
            raise ForeignTrackingTable(self._named, str(error)) from error

    def _records_with_owner(self) -> list[Record]:
        return [each if each.pack else replace(each, pack=self._owner) for each in self._recorded().records]

    def _recorded(self) -> tracking.Tracking:
        assert self._known is not None
        return _after_steps(self._known, self._since_read)

    def _tell_progress(self, step: Step, done: int, total: int | None) -> None:
        self.observers.tell("homie_step_progress", run=self._run, step=step, done=done, total=total)

    def _tell_committed(self, batch: Sequence[Step]) -> None:
        assert self._known is not None
        for step in batch:
            self._due.popleft()
            self._since_read.append(step)
            self._committed.append(step)
            self.observers.tell("homie_step_finished", run=self._run, step=step)
            if not self.scratch and _log.isEnabledFor(logging.INFO):
                sentence = "Applied %s in %s" if step.direction == "apply" else "Rolled back %s in %s"
                _log.info(sentence, step.ref, self.path, extra={"database": self.path, "ref": step.ref})
        if self._known.shape != "current" or not self._known.holds_tables:
            self._known = replace(self._known, shape="current", holds_tables=True)
        self._current = None

    # --- one step -------------------------------------------------------------------------------------

    def _carry_out_step(self, writer: Writer, step: Step, *, followed: bool) -> None:
        connection = writer.connection
        self.observers.tell("homie_step_started", run=self._run, step=step)
        try:
            if self.watcher is not None:
                self.watcher.before(connection, step)
            started = time.monotonic()
            self._steps.run(connection, step)
            if self.watcher is not None:
                self.watcher.after(connection, step, time.monotonic() - started)
            if followed and (left := connection.clean()):
                found = f"it replaces {left[0]}, which would reach the next migration of the same transaction"
                raise self._failures.failed(step, found, "Use another name.")
        except StateBeforeNeeded:
            raise
        except BaseException as error:
            undone = connection.holds_transaction()
            writer.rollback()
            not_undone = None if undone or self.scratch else self._not_undone(step, error)
            self.observers.tell("homie_step_failed", run=self._run, step=step, error=not_undone or error)
            if not_undone is None:
                raise
            if not isinstance(error, Stopped) and ends_the_run(error):
                _log.error("%s", not_undone, extra={"database": self.path, "ref": step.ref})
                raise
            raise not_undone from error

    def _not_undone(self, step: Step, error: BaseException) -> MigrationNotUndone | None:
        """Return the error for a step whose transaction the runner did not end, unless nothing of it is left."""
        assert self._known is not None
        found = find_leftovers(self.path, step, error, self._recorded(), self._commits, lock_timeout=self.lock_timeout)
        if found is None:
            return None
        self._snapshot.keep_in_any_case()
        advice = advice_after(self._snapshot.path, was_empty=not self._known.holds_tables)
        return MigrationNotUndone(
            self._named, step.ref, found.failure, advice, found.seen, certain=found.certain, direction=step.direction
        )

    # --- the commit -----------------------------------------------------------------------------------

    def _commit(self, writer: Writer, batch: Sequence[Step]) -> None:
        last, in_effect = batch[-1], False
        self._checks.committed()
        try:
            if self.stop.asked():
                raise Stopped
            self._require_same_file(writer)
            self._snapshot.keep()
            in_effect = True  # for all that is known, unless the commit says otherwise
            try:
                writer.commit()
            except (LockTimeout, Stopped):
                in_effect = False
                raise
            except CommitFailed as failure:
                self._commits.close()  # a connection that only reads leaves the -wal and -shm files, if it is the last one
                writer.renew()
                in_effect = took_effect(self.path, batch, failure, lock_timeout=self.lock_timeout)
                if not in_effect:
                    found, advice = f"the commit failed ({failure})", "Check the disk, then run it again."
                    raise self._failures.failed(last, found, advice) from failure
            self._require_same_file(writer)
        except BaseException as error:
            if not in_effect or isinstance(error, DatabaseReplaced):
                writer.rollback()
                self.observers.tell("homie_step_failed", run=self._run, step=last, error=error)
            raise
        finally:
            self._snapshot.needed |= in_effect

    def _reported(self, writer: Writer, error: BaseException) -> BaseException:
        if not isinstance(error, DatabaseReplaced) and (found := how_replaced(writer)):
            return self._errors.replaced(found, self._current)
        return self._errors.reported(error, self._current)

    def _require_same_file(self, writer: Writer) -> None:
        if found := how_replaced(writer):
            raise self._errors.replaced(found, self._current)


def _after_steps(before: tracking.Tracking, steps: Iterable[Step]) -> tracking.Tracking:
    """Return what a database records after some steps. Made when it is asked for: a run has many steps, and few questions."""
    records = {(each.pack, each.version): each for each in before.records}
    for step in steps:
        migration = step.migration
        records.pop((migration.pack, migration.version), None)
        if step.direction == "apply":
            record = Record(migration.version, migration.name, migration.pack, migration.checksum)
            records[migration.pack, migration.version] = record
    return replace(before, records=tuple(records.values()))
