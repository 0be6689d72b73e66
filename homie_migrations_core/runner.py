"""
`MigrationRunner`, the front desk: calls the rooms in order; holds no SQL, prints nothing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from homie_migrations_core import naming, planning
from homie_migrations_core.choosing import choose, handed_in, is_plainly_up_to_date, report_unknown
from homie_migrations_core.errors import (
    DatabaseInterrupted,
    DatabaseNotReachable,
    FolderUnusable,
    ForeignTrackingTable,
    PackBroken,
    PackNotChosen,
    RunRefused,
    RunStopped,
    UnknownPack,
    UnknownTarget,
)
from homie_migrations_core.model import (
    BrokenPack,
    DatabaseStatus,
    LeftOut,
    Migration,
    MigrationPack,
    Pack,
    Plan,
    Record,
    State,
    Step,
)
from homie_migrations_core.packs import UnusablePack, read_pack
from homie_migrations_core.plugins import Collected, Observers, RegisteredPack, collect, version_of
from homie_migrations_core.sqlite.database import not_reachable, read
from homie_migrations_core.sqlite.tracking import ForeignTable, Tracking, read_tracking
from homie_migrations_core.stopping import Stopped, StopRequest

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
    opened when the runner is made, and no file is made but by `apply`, `rollback` and `redo`.

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
        if not text or "\0" in text:
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
        return planning.describe(self.path, found.packs, found.broken, records, exists=exists, empty=empty, state=state)

    def plan(self, *, to: str | None = None, allow_late: bool = False) -> Plan:
        """
        What `apply` would do, as a value. Changes no byte, makes no file, runs no migration.

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
        unusable: list[BrokenPack | LeftOut] = [*found.broken, *plan.left_out]
        if self._only:
            unusable = [each for each in unusable if each.pack in self._only]
        self.left_out = tuple(unusable)
        if unusable and not {pack.name for pack in found.packs} - {each.pack for each in plan.left_out}:
            raise PackBroken(unusable, done="Nothing was done")
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

    def redo(self, pack: str) -> list[Migration]:
        """
        The pack's newest migration was rolled back and applied again, in one transaction.

        Raises:
            RollbackRefused, MigrationFailed, UnknownPack, SnapshotFailed, LockTimeout: As for `rollback`.
        """
        found = self._read_packs()

        def again(now: Tracking) -> tuple[Plan, str | None]:
            records, owner = self._usable_records(found, now)
            return planning.plan_redo(str(self.path), found.packs, records, self._known(found, pack)), owner

        plan, _ = again(self._look(repairing=True))
        if not plan.steps:
            return []
        return [step.migration for step in self._execute(plan, found, again, all_or_nothing=True) if step.direction == "apply"]

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
        if not os.path.exists(path):
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
        from homie_migrations_core.sqlite.database import Writer

        writer = Writer(path, lock_timeout=self._lock_timeout, stop=self._stop, waiting=lambda: None, create=False)
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
        return planning.attribute(str(self.path), tracking.records, self._owner(found), found.packs)

    def _owner(self, found: _Found) -> str | None:
        packs = [pack for pack in found.packs if not self._only or pack.name in self._only]
        broken = [each for each in found.broken if not self._only or each.pack in self._only]
        return planning.find_owner(self._database, packs, broken)

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
        plan = planning.plan_apply(str(self.path), found.packs, records, to=to, only=self._only, allow_late=allow_late)
        return plan, owner

    def _plan_rollback(self, found: _Found, tracking: Tracking, pack: str, *, to: int | None, steps: int | None) -> Plan:
        if to is not None and steps is not None:
            raise UnknownTarget(f"{pack}:{to}", "a version and a number of steps were given", "Give one of them.")
        if (to is not None and to < 0) or (steps is not None and steps < 1):
            raise UnknownTarget(f"{pack}:{to if to is not None else steps}", "there is nothing below 0", "Give 0 or more.")
        records, _ = self._usable_records(found, tracking)
        return planning.plan_rollback(str(self.path), found.packs, records, self._known(found, pack), to=to, steps=steps or 1)

    def _go_back(self, found: _Found, tracking: Tracking, pack: str, *, down_to: int) -> tuple[Plan, str | None]:
        records, owner = self._usable_records(found, tracking)
        steps = sum(1 for record in records if record.pack == pack and record.version >= down_to)
        if steps == 0:
            return Plan(), owner
        return planning.plan_rollback(str(self.path), found.packs, records, pack, steps=steps), owner

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
        from homie_migrations_core.execution import Execution  # the half of the library that only a change needs

        execution = Execution(
            str(self.path),
            plan,
            replan,
            Observers(self._collected.manager if self._collected else None, self._observers),
            {pack.name: pack.package for pack in found.packs},
            {each.name: each.distribution_version or (version_of(each.package) if each.package else None) for each in found.packs},
            backup=self._backup,
            lock_timeout=self._lock_timeout,
            all_or_nothing=all_or_nothing,
            stop=self._stop,
        )
        try:
            return execution.carry_out()
        finally:
            taken = execution.snapshot
            self.snapshot = taken if taken is not None and taken.exists() else None
