"""
Carry out a plan on one database: its transactions, the snapshot before the first change, and what observers are told.

What happens inside a transaction is the subject of `steps`. What should run is decided by a pure function of planning, which is
asked again whenever the records differ from those that the plan was made of.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from homie_migrations_core.errors import (
    CommitUnconfirmed,
    DatabaseReplaced,
    DatabaseUnusable,
    ForeignTrackingTable,
    HomieMigrationsError,
    LockTimeout,
    MigrationFailed,
    MigrationNotUndone,
    RunBrokenOff,
    RunStopped,
    SnapshotFailed,
)
from homie_migrations_core.model import Migration, Plan, Record, Run, Step
from homie_migrations_core.packs.observers import Observers
from homie_migrations_core.running.commit_checks import CommitChecks, StateBeforeNeeded
from homie_migrations_core.running.failures import StepFailures
from homie_migrations_core.running.lost_transactions import advice_after, find_leftovers
from homie_migrations_core.running.replaced_file import how_replaced
from homie_migrations_core.running.steps import StepRunner
from homie_migrations_core.running.watching import LoggedWarnings
from homie_migrations_core.running.watching import Watcher as Watcher
from homie_migrations_core.sqlite import snapshots, tracking
from homie_migrations_core.sqlite.commits import CommitDetector
from homie_migrations_core.sqlite.guard import GuardedConnection
from homie_migrations_core.sqlite.holders import tell_waiting
from homie_migrations_core.sqlite.reader import read
from homie_migrations_core.sqlite.sqlite_errors import explained, is_database_error
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

    def __post_init__(self) -> None:
        self._named = self.in_place_of or self.path
        self._run = Run(Path(self._named), self.plan)
        self._committed: list[Step] = []
        self._keeper = snapshots.Keeper(self.path, self.stop, self.now)
        self._commits = CommitDetector(self.path)
        self._failures = StepFailures(self._named, self._committed)
        self._snapshot_considered = self._keep_snapshot = self._finished = False
        self._state_before_needed = False
        self._known: tracking.Tracking | None = None
        """The records; None if they must be read again."""
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
        self._checks = CommitChecks(self.path, self._failures, self.watcher or LoggedWarnings())
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
            self._settle_snapshot()
            self.observers.tell("homie_run_finished", run=self._run)
        return self._committed

    @property
    def snapshot(self) -> Path | None:
        """The snapshot that this run left, if it took one."""
        return self._keeper.snapshot

    # --- transaction by transaction -------------------------------------------------------------------

    def _carry_out_all(self, writer: Writer) -> None:
        while self._begin(writer):
            known = self._known
            assert known is not None
            batch = list(self._due) if self.all_or_nothing or not known.holds_tables else [self._due[0]]
            self._take_snapshot(known)
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
                if not self._committed:  # others may write before the lock is taken again
                    self._settle_snapshot()
                    self._snapshot_considered = False
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
            self._known = self._read_records(writer.connection)
            self._checks.file_may_have_changed()
            plan, self._owner = self.replan(self._known)
            self._due = deque(plan.steps)
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

    def _tell_progress(self, step: Step, done: int, total: int | None) -> None:
        self.observers.tell("homie_step_progress", run=self._run, step=step, done=done, total=total)

    def _tell_committed(self, batch: Sequence[Step]) -> None:
        assert self._known is not None
        records = {(each.pack, each.version): each for each in self._known.records}
        for step in batch:
            self._due.popleft()
            key = (step.migration.pack, step.migration.version)
            records.pop(key, None)
            if step.direction == "apply":
                records[key] = Record(step.migration.version, step.migration.name, step.migration.pack, step.migration.checksum)
            self._committed.append(step)
            self.observers.tell("homie_step_finished", run=self._run, step=step)
            if not self.scratch:
                _log.info("%s %s in %s", "Applied" if step.direction == "apply" else "Rolled back", step.ref, self.path)
        self._known = tracking.Tracking("current", tuple(records.values()), holds_tables=True)
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
                _log.error("%s", not_undone)
                raise
            raise not_undone from error

    def _not_undone(self, step: Step, error: BaseException) -> MigrationNotUndone | None:
        """Return the error for a step whose transaction was ended behind the runner's back, unless nothing of it is left."""
        assert self._known is not None
        found = find_leftovers(self.path, step, error, self._known, self._commits, lock_timeout=self.lock_timeout)
        if found is None:
            return None
        self._keep_the_snapshot()
        advice = advice_after(self._keeper.snapshot, was_empty=not self._known.holds_tables)
        return MigrationNotUndone(
            self._named, step.ref, found.failure, advice, found.seen, certain=found.certain, direction=step.direction
        )

    # --- the commit -----------------------------------------------------------------------------------

    def _commit(self, writer: Writer, batch: Sequence[Step]) -> None:
        last = batch[-1]
        self._checks.committed()
        try:
            if self.stop.asked():
                raise Stopped
            self._require_same_file(writer)
            self._keeper.keep()
            self._keep_snapshot = True
            try:
                writer.commit()
            except (LockTimeout, Stopped):
                self._keep_snapshot = False
                raise
            except CommitFailed as failure:
                self._commits.close()  # a connection that only reads leaves the -wal and -shm files, if it is the last one
                writer.renew()
                self._keep_snapshot = self._took_effect(batch, failure)
                if not self._keep_snapshot:
                    found, advice = f"the commit failed ({failure})", "Look after the disk, then run it again."
                    raise self._failures.failed(last, found, advice) from failure
            self._require_same_file(writer)
        except BaseException as error:
            if not self._keep_snapshot or isinstance(error, DatabaseReplaced):
                writer.rollback()
                self.observers.tell("homie_step_failed", run=self._run, step=last, error=error)
            raise

    def _took_effect(self, batch: Sequence[Step], failure: CommitFailed) -> bool:
        """Ask the file itself: a COMMIT that raised may have taken effect or not."""
        refs = [step.ref for step in batch]
        step = next((each for each in reversed(batch) if refs.count(each.ref) == 1), None)
        if step is None:  # a redo: its record is there either way
            raise CommitUnconfirmed(self.path, refs[-1], str(failure)) from failure

        def look(connection: Any) -> bool:
            return tracking.is_recorded(connection, step.migration)

        try:
            recorded = read(self.path, look, lock_timeout=self.lock_timeout)
        except HomieMigrationsError as error:
            raise CommitUnconfirmed(self.path, step.ref, str(failure)) from error
        return recorded == (step.direction == "apply")

    def _require_same_file(self, writer: Writer) -> None:
        if found := how_replaced(writer):
            raise self._replaced(found)

    # --- the snapshot -----------------------------------------------------------------------------------

    def _take_snapshot(self, known: tracking.Tracking) -> None:
        """Take the snapshot, once in a run, if the database holds anything."""
        if not self._snapshot_considered and self.backup and known.holds_tables:
            self._keeper.take([each if each.pack else replace(each, pack=self._owner) for each in known.records])
        self._snapshot_considered = True

    def _keep_the_snapshot(self) -> None:
        """Let the snapshot stay, because it may be all that is left of the state before."""
        self._keep_snapshot = True
        with contextlib.suppress(SnapshotFailed):  # it can't be given its final name, and stays under the one that it has
            self._keeper.keep()

    def _settle_snapshot(self) -> None:
        if not self._committed and not self._keep_snapshot:
            self._keeper.drop()
        elif self._finished:
            self._keeper.prune()

    # --- how the run ended ------------------------------------------------------------------------------

    def _applied(self) -> tuple[Migration, ...]:
        return tuple(step.migration for step in self._committed)

    def _reported(self, writer: Writer, error: BaseException) -> BaseException:
        """Return the error that the caller gets for one that ended the run."""
        if isinstance(error, DatabaseReplaced):
            return error
        if found := how_replaced(writer):
            return self._replaced(found)
        if isinstance(error, Stopped):
            error = RunStopped(self._named, self._current.ref if self._current else None)
        elif isinstance(error, DatabaseUnusable) or is_database_error(error):
            error = self._broken_off(error)
        if isinstance(error, MigrationFailed | LockTimeout | RunStopped | RunBrokenOff):
            error.applied = self._applied()
        return error

    def _replaced(self, found: str) -> DatabaseReplaced:
        self._keep_the_snapshot()
        ref = self._current.ref if self._current else None
        return DatabaseReplaced(
            self._named, ref, f"{found} during the run", [step.ref for step in self._committed], self._keeper.snapshot
        )

    def _broken_off(self, error: BaseException) -> HomieMigrationsError:
        """Return the error for what SQLite said about the file, and what that means for the steps before."""
        known = error if isinstance(error, DatabaseUnusable) else explained(error, self._named)  # type: ignore[arg-type]
        if not self._committed:
            return known
        return RunBrokenOff(self._named, self._current.ref if self._current else None, getattr(known, "found", str(error)))
