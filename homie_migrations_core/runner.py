"""
`MigrationRunner`, the front desk: calls the rooms in order; holds no SQL, prints nothing.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homie_migrations_core.broken import BrokenPack
from homie_migrations_core.errors import (
    BaselineRefused,
    DatabaseInterrupted,
    DatabaseNotReachable,
    DatabaseUnusable,
    FolderUnusable,
    ForeignTrackingTable,
    MigrationLate,
    MigrationReplaced,
    NotReplayable,
    PackBroken,
    PackNotChosen,
    RunRefused,
    RunStopped,
    UnknownPack,
    UnknownTarget,
    VersionUnclear,
)
from homie_migrations_core.model import (
    DatabaseStatus,
    Finding,
    LeftOut,
    Migration,
    Pack,
    Plan,
    Record,
    Repair,
    Restored,
    RowCount,
    Snapshot,
    State,
    Step,
)
from homie_migrations_core.packs import naming
from homie_migrations_core.packs.definition import MigrationPack
from homie_migrations_core.packs.discovery import Collected, Observers, RegisteredPack, collect, version_of
from homie_migrations_core.packs.reading import UnusablePack, read_pack
from homie_migrations_core.packs.selection import choose, handed_in, report_unknown
from homie_migrations_core.planning.applying import plan_apply
from homie_migrations_core.planning.ownership import attribute_records, find_owner
from homie_migrations_core.planning.records import plan_baseline, plan_repair
from homie_migrations_core.planning.rolling_back import plan_redo, plan_reset, plan_rollback
from homie_migrations_core.planning.status import describe_database
from homie_migrations_core.running.up_to_date import is_plainly_up_to_date
from homie_migrations_core.sqlite.file_system import is_missing, not_reachable
from homie_migrations_core.sqlite.reader import read
from homie_migrations_core.sqlite.tracking import ForeignTable, Tracking, read_tracking
from homie_migrations_core.stopping import Stopped, StopRequest

if TYPE_CHECKING:
    from homie_migrations_core.inspection.replay import Replayer
    from homie_migrations_core.inspection.validation import Detected
    from homie_migrations_core.running.execution import Execution, Watcher
    from homie_migrations_core.running.rehearsal import Rehearsal
    from homie_migrations_core.sqlite.schema import Schema

_log = logging.getLogger("homie_migrations")
_NOTHING = Tracking("none", (), holds_tables=False)


@dataclass(frozen=True)
class _Found:
    """What there is for one database: packs that can be read, packs that can't."""

    packs: tuple[Pack, ...]
    broken: tuple[BrokenPack, ...]


class MigrationRunner:
    """
    One database and the packs that belong to it.

    Without `packs`, these are the installed packs that name this file, or `only` those that are named; a file
    that no pack names gets the packs of the one database name installed, if there is just one. Nothing is
    opened when the runner is made, and no database is made but by `apply` and `restore`.

    `backup` takes a snapshot before the first change. `lock_timeout` is in seconds. `should_stop` is asked
    between and during statements; when it says True the running migration is undone and `RunStopped` raised.
    `observers` implement hooks of `hookspecs`, beside the installed plugins. `make_parents` makes the folder of
    the file when the first change is made; otherwise it must be there. `database` is the name by which packs
    know the file, if that is not its own.

    After a changing call, `snapshot` is the snapshot it left, and `left_out` the packs it had to leave alone.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        packs: Sequence[MigrationPack] | None = None,
        *,
        only: Collection[str] = (),
        backup: bool = True,
        lock_timeout: float = 30.0,
        should_stop: Callable[[], bool] | StopRequest | None = None,
        observers: Iterable[object] = (),
        make_parents: bool = False,
        database: str | None = None,
        collected: Collected | None = None,
    ) -> None:
        text = os.fspath(path)
        if not text or "\0" in text or text == ":memory:":
            raise DatabaseNotReachable(repr(text), "it is not the name of a file", "Name the database file.")
        self.path = Path(os.path.abspath(text))
        self._packs = None if packs is None else tuple(packs)
        self._only = tuple(only)
        self._backup, self._lock_timeout = backup, lock_timeout
        self._stop = should_stop if isinstance(should_stop, StopRequest) else StopRequest(should_stop)
        self._observers = tuple(observers)
        self._make_parents = make_parents
        self._database = database or self.path.name
        self._collected = collected
        self._replayer: Replayer | None = None
        self.snapshot: Path | None = None
        self.left_out: tuple[BrokenPack | LeftOut, ...] = ()

    # --- looking ------------------------------------------------------------------------------------

    def status(self) -> DatabaseStatus:
        """
        Where every migration stands. Changes no byte, makes no file, runs no migration.

        Raises:
            DatabaseUnusable, LockTimeout: The file can't be read.
            ForeignTrackingTable: Another tool's `schema_migrations` is in it.
            PackNotChosen, UnknownPack: It is not clear which packs are meant.
        """
        found = self._read_packs()
        exists = os.path.lexists(self.path)
        state: State | None = None
        try:
            tracking = self._look()
        except DatabaseInterrupted:
            tracking, state = _NOTHING, "interrupted"
        self._beware_of_strangers(tracking)
        records, _ = self._attributed(tracking, found)
        empty = not (tracking.holds_tables or state)
        return describe_database(self.path, found.packs, found.broken, records, exists=exists, empty=empty, state=state)

    def plan(self, *, to: str | None = None, allow_late: bool = False) -> Plan:
        """
        What `apply` would do, as a value. Changes no byte and makes no file.

        No migration is run, but that for a refusal they may be replayed on an empty database in memory.

        Raises:
            RunRefused: What stands against a run; every reason at once.
            UnknownTarget, UnknownPack: `to` or `only` name nothing.
            DatabaseUnusable, DatabaseInterrupted, LockTimeout: The file can't be read.
        """
        found = self._read_packs()
        return self._plan_apply(found, self._look(), to=to, allow_late=allow_late)[0]

    def history(self) -> tuple[Record, ...]:
        """What is applied, in the order in which it was. Changes nothing."""
        found, tracking = self._read_packs(), self._look()
        self._beware_of_strangers(tracking)
        records, _ = self._attributed(tracking, found)
        return tuple(sorted(records, key=lambda record: (str(record.applied_at or ""), record.pack or "", record.version)))

    def broken(self) -> tuple[BrokenPack, ...]:
        """The packs of this database that can't be used, and why."""
        return self._read_packs().broken

    def validate(self) -> list[Finding]:
        """
        What is not as the packs say: in the records, and in the schema, compared with a replay in memory. Changes nothing.

        Nothing pending is a finding, nor a table that no migration ever touched. The migrations that are recorded are
        run on an empty database in memory.

        Raises:
            DatabaseUnusable, DatabaseInterrupted, LockTimeout, ForeignTrackingTable, RunStopped: The file can't be read.
            OwnerUnclear: It can't be said whose the rows of an earlier table are.
        """
        from homie_migrations_core.inspection.validation import validate

        found = self._read_packs()
        everywhere = self._collected.broken if self._collected is not None else ()
        broken = {name for each in (*found.broken, *everywhere) if (name := each.pack or each.entry_point)}
        with self._stopping():
            tracking, real = self._look_with_schema()
            records, _ = self._usable_records(found, tracking)
            with self._off_limits():
                return validate(
                    found.packs, broken, records, real, self._replays(), handed_in=self._packs is not None, stop=self._stop
                )

    def schema(self) -> Schema:
        """
        What all migrations of the packs make, on an empty database in memory. The file is not looked at.

        Raises:
            RunRefused, UnknownPack, PackBroken: There is no plan for it.
            NotReplayable: A migration fails there.
        """
        found = self._read_packs()
        plan = plan_apply(str(self.path), found.packs, (), only=self._only)
        self._refuse_if_useless(found, plan)
        with self._stopping(), self._off_limits():
            replayed = self._replays().replay(found.packs, [step.migration for step in plan.steps], self._stop)
        if replayed.failed is not None:
            raise NotReplayable(*replayed.failed)
        return replayed.schema

    def real_schema(self) -> Schema:
        """
        What is in the database, whoever made it. Changes nothing.

        Raises:
            DatabaseUnusable, DatabaseInterrupted, LockTimeout: The file can't be read.
        """
        from homie_migrations_core.sqlite.schema import read_schema

        if is_missing(str(self.path)):
            raise not_reachable(str(self.path))
        with self._stopping():
            return read(str(self.path), read_schema, lock_timeout=self._lock_timeout, stop=self._stop)

    def detect(self, pack: str) -> Detected:
        """
        How far the database is that has no record of the pack: its schema is compared with what each version makes.

        Raises:
            UnknownPack, RunRefused: There is no plan for the pack.
            DatabaseUnusable, DatabaseInterrupted, LockTimeout, ForeignTrackingTable: The file can't be read.
        """
        from homie_migrations_core.inspection.validation import detect

        found = self._read_packs()
        with self._stopping():
            tracking, real = self._look_with_schema()
        self._usable_records(found, tracking)
        with self._stopping(), self._off_limits():
            return detect(found.packs, self._known(found, pack), real, self._stop)

    def _look_with_schema(self) -> tuple[Tracking, Schema]:
        """The records and the schema as they are at one moment."""
        from homie_migrations_core.sqlite.schema import read_records_and_schema

        tracking = self._look()
        if not os.path.exists(self.path):
            return tracking, {}
        return read(str(self.path), read_records_and_schema, lock_timeout=self._lock_timeout, stop=self._stop)

    @contextlib.contextmanager
    def _stopping(self) -> Iterator[None]:
        """Inside, a stop ends with the library's own error."""
        try:
            yield
        except Stopped as error:
            raise RunStopped(str(self.path)) from error

    def _off_limits(self) -> contextlib.AbstractContextManager[None]:
        """Inside, a migration that is only tried can't open the file by itself."""
        from homie_migrations_core.sqlite.scratch import off_limits

        return off_limits(str(self.path))

    def _replays(self) -> Replayer:
        if self._replayer is None:
            from homie_migrations_core.inspection.replay import Replayer

            self._replayer = Replayer()
        return self._replayer

    # --- changing -----------------------------------------------------------------------------------

    def apply(self, *, to: str | None = None, all_or_nothing: bool = False, allow_late: bool = False) -> list[Migration]:
        """
        The database is up to date; the migrations that this call applied come back in order.

        Each is committed together with its record, or leaves no trace. With `to`, what that one needs is
        applied and nothing else. An installed pack that is broken is left out and logged; one that was handed
        in is raised as `PackBroken` once the others are done.

        Raises:
            RunRefused: Nothing was begun: ahead, replaced, late, a foreign table; every reason at once.
            MigrationFailed: One failed and was undone; the ones before it stay (`error.applied`).
            PackBroken: No usable pack is left, or one that was handed in is not usable.
            UnknownTarget, UnknownPack, PackNotChosen, DatabaseUnusable: Nothing was begun.
            SnapshotFailed, LockTimeout, RunStopped: What was committed before stays.
        """
        plainly_up_to_date = to is None and is_plainly_up_to_date(str(self.path), *self._choose())
        if self._collected is not None and not self._only:
            report_unknown(self._collected)
        if plainly_up_to_date:
            return []
        found = self._read_packs()
        tracking = self._look(repairing=True)
        plan, _ = self._plan_apply(found, tracking, to=to, allow_late=allow_late)
        self._report(found, plan)
        unusable = self._refuse_if_useless(found, plan)
        self.left_out = tuple(unusable)
        done: list[Migration] = []
        if plan.steps:
            steps = self._execute(
                plan,
                found,
                lambda now: self._plan_apply(found, now, to=to, allow_late=allow_late),
                all_or_nothing=all_or_nothing,
            )
            done = [step.migration for step in steps]
        if unusable and self._packs is not None:
            raise PackBroken(unusable, done="Not every pack was applied")
        return done

    def rollback(self, pack: str, *, to: int | None = None, steps: int | None = None) -> list[Migration]:
        """
        The newest `steps` migrations of the pack (1 by default), or all above version `to`, are rolled back.

        They come back in the order in which they went. Nothing is begun unless all of it can be done.

        Raises:
            RollbackRefused: One has no `rollback_migration`, or others require it.
            MigrationFailed, UnknownPack, UnknownTarget, SnapshotFailed, LockTimeout: As for `apply`.
        """
        found = self._read_packs()
        plan = self._plan_rollback(found, self._look(repairing=True), pack, to=to, steps=steps)
        if not plan.steps:
            return []
        # Fixed now: if another process rolls back meanwhile, this run must not go further than was asked.
        lowest = min(step.migration.version for step in plan.steps)
        return [step.migration for step in self._execute(plan, found, lambda now: self._go_back(found, now, pack, down_to=lowest))]

    def plan_rollback(self, pack: str, *, to: int | None = None, steps: int | None = None) -> Plan:
        """What `rollback` would do, as a value, or why it would not be begun."""
        return self._plan_rollback(self._read_packs(), self._look(), pack, to=to, steps=steps)

    def plan_redo(self, pack: str) -> Plan:
        """What `redo` would do, as a value, or why it would not be begun."""
        found = self._read_packs()
        return self._again(found, pack, self._look())[0]

    def redo(self, pack: str) -> list[Migration]:
        """
        The pack's newest migration was rolled back and applied again, in one transaction.

        Raises:
            RollbackRefused, MigrationFailed, UnknownPack, SnapshotFailed, LockTimeout: As for `rollback`.
        """
        found = self._read_packs()
        plan, _ = self._again(found, pack, self._look(repairing=True))
        if not plan.steps:
            return []
        steps = self._execute(plan, found, lambda now: self._again(found, pack, now), all_or_nothing=True)
        return [step.migration for step in steps if step.direction == "apply"]

    def reset(self) -> list[Migration]:
        """
        Every migration of the database, or of the packs in `only`, was rolled back, the newest first.

        They come back in the order in which they went. Nothing is begun unless all of it can be done.

        Raises:
            RollbackRefused: One has no `rollback_migration`, or its pack is not installed, or others require it.
            MigrationFailed, SnapshotFailed, LockTimeout, RunStopped: What was rolled back before stays so.
        """
        found = self._read_packs()
        plan = self._plan_reset(found, self._look(repairing=True))[0]
        if not plan.steps:
            return []
        return [step.migration for step in self._execute(plan, found, lambda now: self._plan_reset(found, now))]

    def plan_reset(self) -> Plan:
        """What `reset` would do, as a value, or why it would not be begun."""
        return self._plan_reset(self._read_packs(), self._look())[0]

    # --- rehearsing ---------------------------------------------------------------------------------

    def rehearse(self, *, to: str | None = None, all_or_nothing: bool = False, allow_late: bool = False) -> Rehearsal:
        """
        `apply` was carried out on a throw-away copy of the database, and what it did comes back. The database was only read.

        Raises:
            RehearsalFailed: There could be no copy.
            RunRefused, UnknownTarget, UnknownPack, DatabaseUnusable, DatabaseInterrupted, LockTimeout, RunStopped: As for
                `plan` and `apply`. A migration that fails is no error here, but part of the answer.
        """
        found = self._read_packs()

        def again(now: Tracking) -> tuple[Plan, str | None]:
            return self._plan_apply(found, now, to=to, allow_late=allow_late)

        return self._rehearse(again(self._look())[0], found, again, all_or_nothing=all_or_nothing)

    def rehearse_rollback(self, pack: str, *, to: int | None = None, steps: int | None = None) -> Rehearsal:
        """The same for `rollback`: its `losses` say what data would go."""
        found = self._read_packs()
        plan = self._plan_rollback(found, self._look(), pack, to=to, steps=steps)
        lowest = min((step.migration.version for step in plan.steps), default=0)
        return self._rehearse(plan, found, lambda now: self._go_back(found, now, pack, down_to=lowest))

    def rehearse_redo(self, pack: str) -> Rehearsal:
        """The same for `redo`."""
        found = self._read_packs()
        plan, _ = self._again(found, pack, self._look())
        return self._rehearse(plan, found, lambda now: self._again(found, pack, now), all_or_nothing=True)

    def rehearse_reset(self) -> Rehearsal:
        """The same for `reset`."""
        found = self._read_packs()
        return self._rehearse(self._plan_reset(found, self._look())[0], found, lambda now: self._plan_reset(found, now))

    # --- snapshots ----------------------------------------------------------------------------------

    def backup(self) -> Path:
        """
        A checked snapshot of the database as it is now is in the folder `backups` beside it. It is never pruned.

        Others may use the database meanwhile; who writes waits.

        Raises:
            DatabaseUnusable, LockTimeout, SnapshotFailed, RunStopped: There is none.
        """
        from homie_migrations_core.sqlite.holders import tell_waiting
        from homie_migrations_core.sqlite.snapshots import take_by_hand
        from homie_migrations_core.sqlite.writer import Writer

        path = str(self.path)
        if not os.path.exists(self.path):
            raise DatabaseNotReachable(path, "there is no such file", "Check the path.")
        writer = Writer(path, lock_timeout=self._lock_timeout, stop=self._stop, waiting=lambda: tell_waiting(path), create=False)
        try:
            writer.begin()
            self.snapshot = take_by_hand(path, self._whatever_is_recorded()[0], datetime.now(UTC), self._stop)
        except Stopped as error:
            raise RunStopped(path) from error
        finally:
            writer.close()
        return self.snapshot

    def backups(self) -> list[Snapshot]:
        """The snapshots of the database in the folder `backups` beside it, the newest first. None of them is opened."""
        from homie_migrations_core.sqlite.snapshots import list_snapshots

        return list_snapshots(str(self.path))

    def restore(self, snapshot: str | os.PathLike[str]) -> Restored:
        """
        The database is what the snapshot is, for everybody who has it open, and durably. What was there before is a snapshot.

        It is one transaction of SQLite's: a kill on the way leaves the old state. A database that is not there is made.

        Raises:
            SnapshotUnusable: The file is no sound database, or does not fit. Nothing was changed.
            LockTimeout, RunStopped, SnapshotFailed, DatabaseUnusable: Nothing was changed.
        """
        from homie_migrations_core.sqlite.holders import tell_waiting
        from homie_migrations_core.sqlite.snapshots import Keeper, Restoring

        preview, path = self.preview_restore(snapshot), str(self.path)
        restoring = Restoring(
            path,
            os.path.abspath(snapshot),
            lock_timeout=self._lock_timeout,
            stop=self._stop,
            waiting=lambda: tell_waiting(path, readers=True),
        )
        keeper = Keeper(path, self._stop, lambda: datetime.now(UTC))

        def secure() -> None:
            records, holds = self._whatever_is_recorded()
            if self._backup and holds:
                keeper.take(records, counts=True)

        try:
            restoring.put_back(secure)
        except BaseException as error:
            if not restoring.done:
                keeper.drop()
            if isinstance(error, Stopped):
                raise RunStopped(path) from error
            raise
        _log.info("Put %s back into %s", snapshot, path)
        self.snapshot = keeper.snapshot
        keeper.prune(but=Path(os.path.abspath(snapshot)))
        return replace(preview, snapshot=keeper.snapshot)

    def preview_restore(self, snapshot: str | os.PathLike[str]) -> Restored:
        """
        What `restore` would change: which migrations become pending again, and which tables get more or fewer rows.

        Raises:
            SnapshotUnusable: The file is no sound database. Neither file was changed.
        """
        with self._stopping():
            return self._preview_restore(snapshot)

    def _preview_restore(self, snapshot: str | os.PathLike[str]) -> Restored:
        from homie_migrations_core.sqlite.rows import count_rows, tables_of
        from homie_migrations_core.sqlite.snapshots import Restoring

        path, source = str(self.path), os.path.abspath(snapshot)
        Restoring(path, source, lock_timeout=self._lock_timeout, stop=self._stop, waiting=lambda: None).check()
        found = self._read_packs()
        try:
            then = self._attributed(read(source, read_tracking, lock_timeout=self._lock_timeout), found)[0]
        except ForeignTable:  # another tool's record; what it means is that tool's business
            then = ()
        rows_then = read(source, lambda c: count_rows(c, tables_of(c), self._stop), lock_timeout=self._lock_timeout)
        now, rows_now = self._whatever_is_recorded()[0], dict[str, int]()
        if os.path.exists(self.path):
            try:
                rows_now = read(path, lambda c: count_rows(c, tables_of(c), self._stop), lock_timeout=self._lock_timeout)
            except (DatabaseUnusable, DatabaseInterrupted):  # damaged: then it is to be replaced
                rows_now = {}
        return Restored(
            self.path,
            Path(source),
            tuple(each.ref for each in now if each.ref not in {other.ref for other in then}),
            tuple(each.ref for each in then if each.ref not in {other.ref for other in now}),
            tuple(
                RowCount(table, rows_now.get(table), rows_then.get(table))
                for table in sorted({*rows_now, *rows_then})
                if rows_now.get(table) != rows_then.get(table)
            ),
        )

    def _whatever_is_recorded(self) -> tuple[tuple[Record, ...], bool]:
        """The records, if they can be read; and whether the file may hold anything."""
        if not os.path.exists(self.path):
            return (), False
        try:
            tracking = self._look()
        except (DatabaseUnusable, DatabaseInterrupted, ForeignTrackingTable):
            return (), True
        return self._attributed(tracking, self._read_packs())[0], tracking.holds_tables

    # --- records ------------------------------------------------------------------------------------

    def baseline(self, pack: str, version: int | None = None) -> list[Migration]:
        """
        The pack's migrations up to `version` are recorded without having been run; those that were not yet come back.

        For a database whose tables exist already. Without a version, up to the one that `detect` finds.

        Raises:
            VersionUnclear: None was given, and the schema does not tell. Nothing was recorded.
            BaselineRefused: The database is empty, or what is recorded contradicts it. Nothing was recorded.
            UnknownPack, UnknownTarget, DatabaseUnusable, SnapshotFailed, LockTimeout: Nothing was recorded.
        """
        found = self._read_packs()
        up_to = self._detected(pack) if version is None else version
        recorded = self._plan_baseline(found, self._look(repairing=True), pack, up_to)
        if recorded:
            self._amend(found, lambda now: {"record": self._plan_baseline(found, now, pack, up_to)})
        return list(recorded)

    def plan_baseline(self, pack: str, version: int) -> list[Migration]:
        """What `baseline` would record, or why it would not."""
        return list(self._plan_baseline(self._read_packs(), self._look(), pack, version))

    def _detected(self, pack: str) -> int:
        detected, path = self.detect(pack), str(self.path)
        say = f"Say it: `homie migrations baseline {pack} VERSION`."
        if detected.failed is not None:
            ref, why = detected.failed
            raise VersionUnclear(path, pack, f"{ref} can't be replayed on an empty database ({why})", say)
        if detected.version:
            return detected.version
        if detected.version == 0:
            raise VersionUnclear(path, pack, f"nothing that {pack} makes is there", "Use `homie migrations apply`.")
        if detected.equal:
            found = f"{' and '.join(detected.equal)} make the same schema, and what they do to rows can't be seen"
            raise VersionUnclear(path, pack, found, say)
        assert detected.nearest is not None
        differences = "; ".join(detected.nearest.differences)
        found = f"no version of {pack} makes what is there; nearest is {detected.nearest.ref}, but {differences}"
        raise VersionUnclear(path, pack, found, f"Settle that first, by hand. {say}")

    def plan_repair(self, ref: str, *, remove: bool = False) -> Repair:
        """What `repair` would change, as a value, or why it would not."""
        return self._plan_repair(self._read_packs(), self._look(), ref, remove=remove)

    def repair(self, ref: str, *, remove: bool = False) -> Repair:
        """
        One record is in order again: an edited migration is accepted as it is today, or a record is removed.

        Removed is what no installed pack ships under that name, and any other record with `remove`.

        Raises:
            RepairRefused: There is nothing to repair.
            UnknownTarget, DatabaseUnusable, SnapshotFailed, LockTimeout: Nothing was changed.
        """
        found = self._read_packs()
        repair = self._plan_repair(found, self._look(repairing=True), ref, remove=remove)

        def decide(now: Tracking) -> dict[str, tuple[Record, ...]]:
            found_now = self._plan_repair(found, now, ref, remove=remove)
            return {"accept": (found_now.after,)} if found_now.after else {"remove": (found_now.before,)}

        self._amend(found, decide)
        return repair

    # --- which packs --------------------------------------------------------------------------------

    def _choose(self) -> tuple[list[RegisteredPack], list[BrokenPack]]:
        """The packs of this database, their files not read yet."""
        if self._packs is not None:
            return handed_in(self._packs)
        if self._collected is None:
            self._collected = collect()
        return choose(str(self.path), self._database, self._collected, self._only)

    def _read_packs(self) -> _Found:
        chosen, broken = self._choose()
        packs: list[Pack] = []
        for each in chosen:
            try:
                packs.append(read_pack(each.pack, distribution=each.distribution, distribution_version=each.distribution_version))
            except UnusablePack as error:
                broken.append(each.broken(str(error)))
        packs.sort(key=lambda pack: pack.name)
        for name in self._only:
            if name not in {pack.name for pack in packs}:
                if unusable := [each for each in broken if each.pack == name]:
                    raise PackBroken(unusable, done="Nothing was done")
                raise UnknownPack(name, [pack.name for pack in packs], where="there for this database")
        return _Found(tuple(packs), tuple(broken))

    def _known(self, found: _Found, pack: str) -> str:
        """The pack's name, if it can be used."""
        if unusable := [each for each in found.broken if each.pack == pack]:
            raise PackBroken(unusable, done="Nothing was done")
        return pack

    # --- what is recorded ---------------------------------------------------------------------------

    def _look(self, *, repairing: bool = False) -> Tracking:
        """The records as they are now. With `repairing`, an interrupted database may be opened for change."""
        path = str(self.path)
        if is_missing(path):
            if (os.path.isdir(os.path.dirname(path)) or self._make_parents) and not os.path.islink(path):
                return _NOTHING
            raise not_reachable(path)
        if os.path.isdir(path):
            raise not_reachable(path)
        self._stop.raising = True  # a signal that comes while others keep the file locked tears nothing
        try:
            return read(path, read_tracking, lock_timeout=self._lock_timeout, stop=self._stop)
        except ForeignTable as error:
            raise ForeignTrackingTable(path, str(error)) from error
        except DatabaseInterrupted:
            if not repairing:
                raise
        except Stopped as error:
            raise RunStopped(path) from error
        finally:
            self._stop.raising = False
        # Opening it for change is what rolls the interrupted change back (https://sqlite.org/atomiccommit.html, section 4).
        from homie_migrations_core.sqlite.holders import tell_waiting
        from homie_migrations_core.sqlite.writer import Writer

        writer = Writer(path, lock_timeout=self._lock_timeout, stop=self._stop, waiting=lambda: tell_waiting(path), create=False)
        try:
            writer.begin()
        except Stopped as error:
            raise RunStopped(path) from error
        finally:
            writer.close()
        _log.warning("%s: a run that was interrupted has been rolled back.", path)
        return self._look()

    def _attributed(self, tracking: Tracking, found: _Found) -> tuple[tuple[Record, ...], RunRefused | None]:
        if tracking.shape != "earlier":
            return tracking.records, None
        return attribute_records(str(self.path), tracking.records, self._owner(found), found.packs)

    def _owner(self, found: _Found) -> str | None:
        packs = [pack for pack in found.packs if not self._only or pack.name in self._only]
        broken = [each for each in found.broken if not self._only or each.pack in self._only]
        return find_owner(self._database, packs, broken)

    def _usable_records(self, found: _Found, tracking: Tracking) -> tuple[tuple[Record, ...], str | None]:
        self._beware_of_strangers(tracking)
        records, unclear = self._attributed(tracking, found)
        if unclear is not None:
            raise unclear
        return records, self._owner(found)

    def _beware_of_strangers(self, tracking: Tracking) -> None:
        """A file with tables, no record, and a name that no pack gave it, is probably a typo."""
        if self._packs is not None or self._only or tracking.records or not tracking.holds_tables or self._collected is None:
            return
        known = {each.pack.database for each in self._collected.packs} | {each.database for each in self._collected.broken}
        if self._database not in known:
            raise PackNotChosen(
                str(self.path),
                "it holds tables but no record of a migration, and no installed pack is for a file of that name",
                [each.pack.name for each in self._collected.packs],
            )

    # --- plans --------------------------------------------------------------------------------------

    def _plan_apply(self, found: _Found, tracking: Tracking, *, to: str | None, allow_late: bool) -> tuple[Plan, str | None]:
        if to is not None and (parts := naming.split_ref(to)):
            self._known(found, parts[0])
        records, owner = self._usable_records(found, tracking)
        try:
            plan = plan_apply(str(self.path), found.packs, records, to=to, only=self._only, allow_late=allow_late)
        except RunRefused as refused:
            raise self._explained(refused, found, records) from None
        return plan, owner

    def _explained(self, refused: RunRefused, found: _Found, records: tuple[Record, ...]) -> RunRefused:
        """The refusal, and whether the schema would come out the same all the same."""
        from homie_migrations_core.inspection.validation import explain_late, explain_replaced

        reasons: list[RunRefused] = []
        for reason in refused.reasons:
            if isinstance(reason, MigrationLate):
                with self._stopping(), self._off_limits():
                    explained = explain_late(found.packs, records, self._replays(), self._stop)
                reasons.append(MigrationLate(reason.path, reason.behind, explained))
            elif isinstance(reason, MigrationReplaced):
                real = self._look_with_schema()[1]
                with self._stopping(), self._off_limits():
                    explained = explain_replaced(found.packs, records, real, self._replays(), self._stop)
                reasons.append(MigrationReplaced(reason.path, reason.replaced, explained))
            else:
                reasons.append(reason)
        return RunRefused.for_all(reasons)

    def _refuse_if_useless(self, found: _Found, plan: Plan) -> list[BrokenPack | LeftOut]:
        """What a plan leaves out; if that is all there is, it is an error."""
        unusable: list[BrokenPack | LeftOut] = [*found.broken, *plan.left_out]
        if self._only:
            unusable = [each for each in unusable if each.pack in self._only]
        if unusable and not {pack.name for pack in found.packs} - {each.pack for each in plan.left_out}:
            raise PackBroken(unusable, done="Nothing was done")
        return unusable

    def _plan_rollback(self, found: _Found, tracking: Tracking, pack: str, *, to: int | None, steps: int | None) -> Plan:
        if to is not None and steps is not None:
            raise UnknownTarget(f"{pack}:{to}", "a version and a number of steps were given", "Give one of them.")
        if (to is not None and to < 0) or (steps is not None and steps < 1):
            raise UnknownTarget(f"{pack}:{to if to is not None else steps}", "there is nothing below 0", "Give 0 or more.")
        records, _ = self._usable_records(found, tracking)
        return plan_rollback(str(self.path), found.packs, records, self._known(found, pack), to=to, steps=steps or 1)

    def _go_back(self, found: _Found, tracking: Tracking, pack: str, *, down_to: int) -> tuple[Plan, str | None]:
        records, owner = self._usable_records(found, tracking)
        steps = sum(1 for record in records if record.pack == pack and record.version >= down_to)
        if steps == 0:
            return Plan(), owner
        return plan_rollback(str(self.path), found.packs, records, pack, steps=steps), owner

    def _again(self, found: _Found, pack: str, tracking: Tracking) -> tuple[Plan, str | None]:
        records, owner = self._usable_records(found, tracking)
        return plan_redo(str(self.path), found.packs, records, self._known(found, pack)), owner

    def _plan_reset(self, found: _Found, tracking: Tracking) -> tuple[Plan, str | None]:
        records, owner = self._usable_records(found, tracking)
        for each in found.broken:
            if each.pack in {record.pack for record in records} and (not self._only or each.pack in self._only):
                raise PackBroken([each], done="Nothing was rolled back")
        return plan_reset(str(self.path), found.packs, records, self._only), owner

    def _plan_baseline(self, found: _Found, tracking: Tracking, pack: str, version: int) -> tuple[Migration, ...]:
        records, _ = self._usable_records(found, tracking)
        migrations = plan_baseline(str(self.path), found.packs, records, self._known(found, pack), version)
        if not tracking.holds_tables:
            raise BaselineRefused(
                str(self.path), ["it holds no table, so nothing of the pack can be there"], "Use `homie migrations apply`."
            )
        return migrations

    def _plan_repair(self, found: _Found, tracking: Tracking, ref: str, *, remove: bool) -> Repair:
        records, _ = self._usable_records(found, tracking)
        if parts := naming.split_ref(ref):
            self._known(found, parts[0])
        return plan_repair(str(self.path), found.packs, records, ref, remove=remove)

    def _report(self, found: _Found, plan: Plan) -> None:
        for ref in plan.edited:
            _log.warning("%s was edited after it was applied to %s; its code of then stays in force.", ref, self.path)
        unusable: list[BrokenPack | LeftOut] = [*found.broken, *plan.left_out]
        for each in unusable:
            _log.error("The pack %s was left out: %s", each.label, each.reason, extra={"unusable": each})

    def _execute(
        self,
        plan: Plan,
        found: _Found,
        replan: Callable[[Tracking], tuple[Plan, str | None]],
        *,
        all_or_nothing: bool = False,
    ) -> list[Step]:
        if self._make_parents:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise FolderUnusable(
                    str(self.path.parent), f"can't be made ({error.strerror})", "Name another data folder."
                ) from error
        execution = self._execution(str(self.path), plan, found, replan, all_or_nothing=all_or_nothing)
        try:
            return execution.carry_out()
        finally:
            taken = execution.snapshot
            self.snapshot = taken if taken is not None and os.path.exists(taken) else None

    def _execution(
        self,
        path: str,
        plan: Plan,
        found: _Found,
        replan: Callable[[Tracking], tuple[Plan, str | None]],
        *,
        all_or_nothing: bool,
        watcher: Watcher | None = None,
    ) -> Execution:
        """A run, or with a watcher a rehearsal on the copy at `path`, of which no installed plugin hears."""
        from homie_migrations_core.running.execution import Execution  # the half of the library that only a change needs

        rehearsing = watcher is not None
        manager = self._collected.manager if self._collected and not rehearsing else None
        return Execution(
            path,
            plan,
            replan,
            Observers(manager, [*self._observers, *([watcher] if rehearsing else [])]),
            {pack.name: pack.package for pack in found.packs},
            self._pack_versions(found),
            backup=self._backup and not rehearsing,
            lock_timeout=self._lock_timeout,
            all_or_nothing=all_or_nothing,
            stop=self._stop,
            watcher=watcher,
            scratch=rehearsing,
            in_place_of=str(self.path) if rehearsing else "",
        )

    def _pack_versions(self, found: _Found) -> dict[str, str | None]:
        return {
            each.name: each.distribution_version or (version_of(each.package) if each.package else None) for each in found.packs
        }

    def _rehearse(
        self,
        plan: Plan,
        found: _Found,
        replan: Callable[[Tracking], tuple[Plan, str | None]],
        *,
        all_or_nothing: bool = False,
    ) -> Rehearsal:
        from homie_migrations_core.running.rehearsal import rehearse

        def execution(copy: str, watcher: Watcher) -> Execution:
            return self._execution(copy, plan, found, replan, all_or_nothing=all_or_nothing, watcher=watcher)

        try:
            return rehearse(str(self.path), plan, execution, backup=self._backup, lock_timeout=self._lock_timeout, stop=self._stop)
        except Stopped as error:
            raise RunStopped(str(self.path)) from error

    def _amend(self, found: _Found, decide: Callable[[Tracking], dict[str, Any]]) -> None:
        from homie_migrations_core.running.records import Amendment, amend

        def decided(now: Tracking) -> Amendment:
            return Amendment(self._owner(found), **decide(now))

        self.snapshot = amend(
            str(self.path),
            decided,
            self._pack_versions(found),
            backup=self._backup,
            lock_timeout=self._lock_timeout,
            stop=self._stop,
        )
