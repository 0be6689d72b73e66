"""
Carrying out a plan, one transaction a step, telling the observers.

Decides nothing but whether a step may commit; what should run is asked again, from the same pure function,
whenever the records turn out to differ from what the plan was made of.
"""

from __future__ import annotations

import inspect
import logging
import os
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, Protocol

from homie_migrations_core.errors import (
    CommitUnconfirmed,
    DatabaseUnusable,
    ForeignKeysViolated,
    ForeignTrackingTable,
    HomieMigrationsError,
    LockTimeout,
    MigrationFailed,
    RunBrokenOff,
    RunStopped,
    SchemaLeftBroken,
)
from homie_migrations_core.model import Migration, Plan, Run, Step
from homie_migrations_core.packs.files import UnusablePack
from homie_migrations_core.packs.loading import load
from homie_migrations_core.packs.observers import Observers
from homie_migrations_core.progress import listening
from homie_migrations_core.sqlite import integrity, snapshots, tracking
from homie_migrations_core.sqlite.guard import GuardedConnection
from homie_migrations_core.sqlite.guarded_transaction import Refused
from homie_migrations_core.sqlite.holders import tell_waiting
from homie_migrations_core.sqlite.reader import read
from homie_migrations_core.sqlite.script import Script
from homie_migrations_core.sqlite.sqlite_errors import explained, is_busy, is_database_error
from homie_migrations_core.sqlite.writer import CommitFailed, Writer
from homie_migrations_core.stopping import Stopped, StopRequest

_log = logging.getLogger("homie_migrations")


class Watcher(Protocol):
    """Looks on from inside the transaction of each step. What it raises ends the run."""

    def before(self, connection: GuardedConnection, step: Step) -> None:
        """The step is about to run."""

    def heard(self, statement: str) -> None:
        """The step executes this statement, its parameters filled in."""

    def warned(self, sentence: str) -> None:
        """Something about the step is odd, but no reason to stop."""

    def after(self, connection: GuardedConnection, step: Step, seconds: float) -> None:
        """The step has passed every check, and is about to be committed."""


@dataclass
class Execution:
    """
    One run on one database.

    `replan` says what is to be done for the records that are really there, read under the write lock; it may
    refuse. `packages` and `pack_versions` say for each pack where relative imports start and which release it is.
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
        self._secured = self._in_doubt = self._finished = False
        self._helpers: set[tuple[str, str, str]] | None = None
        self._known_broken: integrity.Problems | None = None
        self._look_first = False
        self._current: Step | None = None

    def carry_out(self) -> list[Step]:
        """
        Every step of the plan that was still due is committed; they come back in order.

        Raises:
            MigrationFailed, LockTimeout, SnapshotFailed, RunStopped, RunRefused, DatabaseUnusable: With the steps
                that were committed before it in `applied`, where the error has that.
        """
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
            self._all_steps(writer)
        except Stopped as error:
            stopped = RunStopped(self._named, self._current.ref if self._current else None)
            stopped.applied = self._applied()
            raise stopped from error
        except (MigrationFailed, LockTimeout) as error:
            error.applied = self._applied()
            raise
        except Exception as error:
            if is_database_error(error) or isinstance(error, DatabaseUnusable):
                raise self._broken_off(error) from error
            raise
        finally:
            writer.close()
            self._settle_snapshot()
            self.observers.tell("homie_run_finished", run=self._run)
        return self._committed

    def _broken_off(self, error: Exception) -> HomieMigrationsError:
        """What SQLite said about the file, and what that means for the steps before."""
        known = error if isinstance(error, DatabaseUnusable) else explained(error, self._named)  # type: ignore[arg-type]
        if not self._committed:
            return known
        broken = RunBrokenOff(self._named, self._current.ref if self._current else None, getattr(known, "found", str(error)))
        broken.applied = self._applied()
        return broken

    @property
    def snapshot(self) -> Path | None:
        """The snapshot that this run left, if it took one."""
        return self._keeper.snapshot

    def _applied(self) -> tuple[Migration, ...]:
        return tuple(step.migration for step in self._committed)

    # --- the walk through the plan ------------------------------------------------------------------

    def _all_steps(self, writer: Writer) -> None:
        due: deque[Step] = deque()
        known: tracking.Tracking | None = None
        owner: str | None = None
        while True:
            if writer.begin() or known is None:
                known, self._helpers = self._read(writer.connection), None
                plan, owner = self.replan(known)
                due = deque(plan.steps)
            if not due:
                self._finished = True
                return
            if self._look_first:
                self._known_broken, self._look_first = integrity.find_problems(writer.connection), False
            batch = list(due) if self.all_or_nothing or not known.holds_tables else [due[0]]
            self._secure(known, owner)
            if known.shape != "current":
                tracking.make_current(writer.connection, known.shape, owner)
            try:
                for number, step in enumerate(batch, start=1):
                    self._current = step
                    self._one_step(writer, step, followed=number < len(batch))
            except _LookFirst:
                # The step has outgrown SQLite's cache, so nobody can see the state before it but by undoing it.
                writer.rollback()
                self._look_first, known, self._helpers = True, None, None
                if not self._committed:  # others may write before the lock is taken again
                    self._settle_snapshot()
                    self._secured = False
                continue
            pristine = writer.connection.pristine()
            self._commit(writer, batch)
            known = tracking.Tracking("current", (), holds_tables=True)
            for step in batch:
                due.popleft()
                self._committed.append(step)
                self.observers.tell("homie_step_finished", run=self._run, step=step)
                if not self.scratch:
                    _log.info("%s %s in %s", "Applied" if step.direction == "apply" else "Rolled back", step.ref, self.path)
            self._current = None
            if due and not pristine:
                writer.renew()
            elif not due:
                self._finished = True
                return

    def _read(self, connection: GuardedConnection) -> tracking.Tracking:
        try:
            return tracking.read_tracking(connection)
        except tracking.ForeignTable as error:
            raise ForeignTrackingTable(self._named, str(error)) from error

    def _secure(self, known: tracking.Tracking, owner: str | None) -> None:
        """The snapshot is taken, once in a run, if the database holds anything."""
        if not self._secured and self.backup and known.holds_tables:
            self._keeper.take([each if each.pack else replace(each, pack=owner) for each in known.records])
        self._secured = True

    def _settle_snapshot(self) -> None:
        if not self._committed and not self._in_doubt:
            self._keeper.drop()
        elif self._finished:
            self._keeper.prune()

    # --- one step -------------------------------------------------------------------------------------

    def _one_step(self, writer: Writer, step: Step, *, followed: bool) -> None:
        self.observers.tell("homie_step_started", run=self._run, step=step)
        try:
            if self.watcher is not None:
                self.watcher.before(writer.connection, step)
            started = time.monotonic()
            self._attempt(writer, step)
            if self.watcher is not None:
                self.watcher.after(writer.connection, step, time.monotonic() - started)
            if followed and (left := writer.connection.clean()):
                raise self._failed(
                    step,
                    f"it replaces {left[0]}, which would reach the next migration of the same transaction",
                    "Use another name.",
                )
        except _LookFirst:
            raise
        except BaseException as error:
            writer.rollback()
            self.observers.tell("homie_step_failed", run=self._run, step=step, error=error)
            raise

    def _attempt(self, writer: Writer, step: Step) -> None:
        connection, migration = writer.connection, step.migration
        if self._helpers is None:
            self._helpers = integrity.helpers_of_tables(connection)
        started = time.monotonic()
        try:
            if step.direction == "apply":  # first, because a file that can't be written shows itself here
                tracking.record_applied(connection, migration, self.pack_versions.get(migration.pack))
            with listening(lambda done, total: self._progress(step, done, total)):
                self._run_code(connection, step)
            if step.direction == "apply":
                recorded = tracking.record_duration(connection, migration, round((time.monotonic() - started) * 1000))
            else:
                recorded = tracking.record_rolled_back(connection, migration)
        except Exception as error:
            if not is_database_error(error) or _is_about_the_file(error):
                raise
            raise self._failed(step, f"its record could not be kept ({error})", self._remedy(str(error))) from error
        if not recorded:
            raise self._failed(step, "its row in schema_migrations vanished (is there a trigger on that table?)", self._repair())
        # The name itself is not asked for: it need not be text.
        if not connection.speak("SELECT file <> '' FROM pragma_database_list WHERE name = 'main'").fetchone()[0]:
            raise self._failed(step, "the database was replaced by one in memory", self._repair())
        self._check(writer, step)

    def _progress(self, step: Step, done: int, total: int | None) -> None:
        self.observers.tell("homie_step_progress", run=self._run, step=step, done=done, total=total)

    def _run_code(self, connection: GuardedConnection, step: Step) -> None:
        migration, rolls_back = step.migration, step.direction == "rollback"
        file = _file_of(step)
        connection.arm(str(file), self.stop, self.watcher.heard if self.watcher is not None else None)
        script = Script(migration.rollback_content if rolls_back else migration.content) if file.suffix == ".sql" else None
        try:
            if script is not None:
                for statement in script:
                    connection.executescript(statement)
            else:
                functions = load(migration, self.packages.get(migration.pack))
                function = functions.rollback if rolls_back else functions.apply
                if function is None:
                    raise UnusablePack(f"{migration.path.name} has no rollback_migration()")
                self._judge_answer(step, "rollback_migration" if rolls_back else "apply_migration", function(connection))
                if functions.verify is not None and not rolls_back:
                    self._judge_ending(connection, step)
                    self._judge_answer(step, "verify_migration", functions.verify(connection))
            self._judge_ending(connection, step)
            connection.disarm()
        except (Exception, SystemExit) as error:
            connection.abandon()
            if self.stop.asked():  # whatever the author's code made of it
                raise Stopped from error
            if isinstance(error, MigrationFailed) and error.ref == step.ref:
                raise
            raise self._explain(connection, step, error, script) from error
        except BaseException:  # Ctrl-C, a stop, a test runner's or an event loop's way out: not ours to keep
            connection.abandon()
            raise

    def _judge_answer(self, step: Step, function: str, answer: Any) -> None:
        if answer is False:
            found = f"{function}() returned False ({step.migration.path.name})"
            raise self._failed(step, found, "Raise an exception that says what is wrong.")
        if isinstance(answer, GeneratorType | CoroutineType | AsyncGeneratorType) or inspect.isawaitable(answer):
            kind = "a generator" if isinstance(answer, GeneratorType | AsyncGeneratorType) else "a coroutine"
            if hasattr(answer, "close"):
                answer.close()  # or Python complains that it was never awaited
            found = f"{function}() returned {kind}, so none of its code ran ({step.migration.path.name})"
            raise self._failed(step, found, "Make it a plain function.")

    def _judge_ending(self, connection: GuardedConnection, step: Step) -> None:
        if self.stop.asked():
            raise Stopped
        connection.look_for_end()
        if connection.ended is not None:
            raise self._failed(step, connection.ended + _place(step, connection.line), self._remedy(connection.ended))
        if connection.rolled_back_last:
            place = _place(step, connection.line)
            raise self._failed(
                step,
                f"its last word was conn.rollback(), and it returned as if nothing had happened{place}",
                "Let the error that made it roll back pass, so that it can be seen.",
            )

    def _explain(self, connection: GuardedConnection, step: Step, error: BaseException, script: Script | None) -> MigrationFailed:
        found = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        place = _place_of(error, step, script)
        if connection.ended is not None:
            found, place = connection.ended, _place(step, connection.line) if connection.line else place
        elif connection.refusal is not None and (isinstance(error, Refused) or "not authorized" in str(error)):
            found = connection.refusal
        elif isinstance(error, UnusablePack):
            found, place = str(error), ""
        advice = self._remedy(found)
        if _met_the_lock(error):
            advice = "A second connection to the same file waits for the migration's own lock: use the `conn` that it is given."
        return self._failed(step, found + place, advice)

    def _repair(self) -> str:
        return f"Correct the migration and run it again{'; what was applied before it stays' if self._committed else ''}."

    def _remedy(self, found: str) -> str:
        """What to do about what SQLite said."""
        if "disk image is malformed" in found:
            return "SQLite finds the file damaged: look after the disk, and put back a snapshot."
        if "disk" in found and ("I/O error" in found or "full" in found):
            return "That is no fault of the migration: look after the disk, then run it again."
        return self._repair()

    def _failed(self, step: Step, found: str, advice: str, kind: type[MigrationFailed] = MigrationFailed) -> MigrationFailed:
        return kind(self._named, step.ref, found, advice, direction=step.direction)

    # --- checks before the commit -----------------------------------------------------------------------

    def _check(self, writer: Writer, step: Step) -> None:
        connection = writer.connection
        touched = connection.touched
        assert self._helpers is not None
        for lost in integrity.lost_helpers(connection, self._helpers, touched):
            self._warn(f"{step.ref} rebuilt a table and did not create {lost} again.")
        if touched.dropped or touched.altered or any(kind != "table" for kind, _ in touched.created):
            self._helpers = integrity.helpers_of_tables(connection)
        problems = integrity.find_problems(connection, touched)
        if not problems:
            return
        new = problems.beyond(self._broken_before()).listed()
        if not new:
            return
        found = "; ".join(each.sentence for each in new)
        if all(each.code == "broken_view" for each in new):
            raise self._failed(step, found, "Repair or drop them in the same migration.", SchemaLeftBroken)
        advice = "Delete or repair those rows in the same migration."
        if any(each.code == "dangling_reference" for each in new):
            advice = f"{integrity.CAUSE_OF_DANGLING}."
        raise self._failed(step, found, advice, ForeignKeysViolated)

    def _warn(self, sentence: str) -> None:
        if self.watcher is not None:
            self.watcher.warned(sentence)
        else:
            _log.warning("%s", sentence)

    def _broken_before(self) -> integrity.Problems:
        """What was broken in the file before this transaction, seen over a connection of its own."""
        if self._known_broken is None:
            try:
                self._known_broken = read(self.path, integrity.find_problems, lock_timeout=0.0)
            except LockTimeout as error:
                raise _LookFirst from error
        return self._known_broken

    # --- the commit -----------------------------------------------------------------------------------

    def _commit(self, writer: Writer, batch: Sequence[Step]) -> None:
        last = batch[-1]
        self._known_broken = None
        try:
            if self.stop.asked():
                raise Stopped
            self._keeper.keep()
            self._in_doubt = True
            try:
                writer.commit()
            except (LockTimeout, Stopped):
                self._in_doubt = False
                raise
            except CommitFailed as failure:
                writer.renew()
                self._in_doubt = self._took_effect(batch, failure)
                if not self._in_doubt:
                    found, advice = f"the commit failed ({failure})", "Look after the disk, then run it again."
                    raise self._failed(last, found, advice) from failure
        except BaseException as error:
            if not self._in_doubt:
                writer.rollback()
                self.observers.tell("homie_step_failed", run=self._run, step=last, error=error)
            raise

    def _took_effect(self, batch: Sequence[Step], failure: CommitFailed) -> bool:
        """Ask the file itself: after an error, COMMIT may have taken effect or not."""
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


class _LookFirst(Exception):
    """The state before a step is needed, and can only be seen before it."""


def _file_of(step: Step) -> Path:
    migration = step.migration
    return migration.rollback_path if step.direction == "rollback" and migration.rollback_path else migration.path


def _place(step: Step, line: int | None) -> str:
    return f" ({_file_of(step).name}, line {line})" if line else f" ({_file_of(step).name})"


def _place_of(error: BaseException, step: Step, script: Script | None) -> str:
    """Where in the author's file, as far as can be known."""
    if script is not None:
        return _place(step, script.line)
    file = str(step.migration.path)
    if isinstance(error, SyntaxError) and error.filename == file:
        return _place(step, error.lineno)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    if not frames:
        return _place(step, None)
    code = f": {frames[-1].line}" if frames[-1].line else ""
    return f" ({step.migration.path.name}, line {frames[-1].lineno}{code})"


def _met_the_lock(error: BaseException | None) -> bool:
    """Whether a connection of the author's own was kept waiting, however the author's code put it."""
    while error is not None:
        if is_busy(error) and "in progress" not in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_about_the_file(error: BaseException) -> bool:
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF in (8, 11, 14, 26)  # read-only, damaged, can't open, no database
