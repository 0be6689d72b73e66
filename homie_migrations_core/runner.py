"""
`MigrationRunner`, the front of the library: one short method for each promise, each handing on to one room.

What only reads is inherited from `DatabaseReader`. Holds no SQL, prints nothing.
"""

from __future__ import annotations

import os

from homie_migrations_core import errors
from homie_migrations_core.database_reader import DatabaseReader, log_problems
from homie_migrations_core.running.plan_runner import PlanRunner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from pathlib import Path

    from homie_migrations_core.broken import BrokenPack
    from homie_migrations_core.database_view import DatabaseView
    from homie_migrations_core.model import LeftOut, Migration, Plan, Record, Repair, Restored
    from homie_migrations_core.packs.definition import MigrationPack
    from homie_migrations_core.packs.registered import Collected
    from homie_migrations_core.running.plan_runner import Planner
    from homie_migrations_core.running.rehearsal import Rehearsal
    from homie_migrations_core.stopping import StopRequest


class MigrationRunner(DatabaseReader):
    """
    One database and the packs that belong to it.

    Without `packs`, these are the installed packs that name this file, or `only` some of them; a file that no pack
    names gets the packs of the one database name installed, if there is just one. Nothing is opened when the runner
    is made, and only `apply` and `restore` create a database.

    `backup` takes a snapshot before the first change, into the folder `backups` beside the database, or into a folder of
    the database's own in `backup_dir`, which must exist. After a success the newest `keep` automatic snapshots stay; with 0
    the run's own is removed too. `lock_timeout` is in seconds. `should_stop` is asked between
    and during statements; when it returns True the running migration is undone and `RunStopped` raised. `observers`
    implement hooks of `hookspecs`, beside the installed plugins. `make_parents` creates the folder of the file when
    the first change is made; otherwise it must exist. `database` is the name by which packs know the file, if that
    is not its own. `collected` is the answer of an earlier `collect()`, so that entry points are read once.

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
        backup_dir: str | os.PathLike[str] | None = None,
        keep: int = 5,
    ) -> None:
        super().__init__(
            path,
            packs,
            only=only,
            lock_timeout=lock_timeout,
            should_stop=should_stop,
            make_parents=make_parents,
            database=database,
            collected=collected,
            backup_dir=backup_dir,
        )
        if keep < 0:
            raise errors.UsageProblem("Nothing was done", f"{keep} is not a valid number of snapshots to keep", "Give 0 or more.")
        self._plans = PlanRunner(self._file, backup, tuple(observers), make_parents, self._backup_dir, keep)
        self.left_out: tuple[BrokenPack | LeftOut, ...] = ()

    @property
    def snapshot(self) -> Path | None:
        """The snapshot that the last changing call left, if it left one."""
        return self._plans.snapshot

    # --- migrations ---------------------------------------------------------------------------------

    def apply(self, *, to: str | None = None, all_or_nothing: bool = False, allow_late: bool = False) -> list[Migration]:
        """
        Bring the database up to date, and return the migrations that this call applied, in order.

        Each is committed together with its record, or leaves no trace. With `to`, that one and what it needs is
        applied and nothing else. An installed pack that is broken is left out and logged; one that was handed
        in is raised as `PackBroken` once the others are done.

        Raises:
            RunRefused: Nothing was begun: ahead, replaced, late, a foreign table; every reason at once.
            MigrationFailed: One failed and was undone; the ones before it stay (`error.applied`).
            PackBroken: No usable pack is left, or one that was handed in is not usable.
            UnknownTarget, UnknownPack, PackNotChosen, DatabaseUnusable: Nothing was begun.
            SnapshotFailed, LockTimeout, RunStopped: What was committed before stays.
        """
        up_to_date = to is None and self._is_up_to_date()
        self._report_unknown()
        if up_to_date:
            return []

        def plan_of(view: DatabaseView) -> Plan:
            return self._plan_apply(view, to=to, allow_late=allow_late)

        view = self._view(recover=True)
        plan = plan_of(view)
        log_problems(view, plan)
        self.left_out = view.left_out(plan)
        steps = self._plans.execute(view, plan, plan_of, all_or_nothing=all_or_nothing)
        if self.left_out and self._source.handed_in is not None:
            raise errors.PackBroken(self.left_out, done="Not every pack was applied")
        return [step.migration for step in steps]

    def rollback(self, pack: str, *, to: int | None = None, steps: int | None = None) -> list[Migration]:
        """
        Roll back the newest `steps` migrations of the pack (1 by default), or all above version `to`.

        Returns them in the order in which they were rolled back. Nothing is begun unless all of it can be done.

        Raises:
            RollbackRefused: One has no `rollback_migration`, or others require it.
            MigrationFailed, UnknownPack, UnknownTarget, SnapshotFailed, LockTimeout: As for `apply`.
        """
        view = self._view(recover=True)
        plan = view.plan_rollback(pack, to=to, steps=steps)
        return [step.migration for step in self._plans.execute(view, plan, _down_to(pack, plan))]

    def redo(self, pack: str) -> list[Migration]:
        """
        Roll back the pack's newest migration and apply it again, in one transaction; return it.

        Raises:
            RollbackRefused, MigrationFailed, UnknownPack, SnapshotFailed, LockTimeout: As for `rollback`.
        """
        view = self._view(recover=True)
        steps = self._plans.execute(view, view.plan_redo(pack), lambda now: now.plan_redo(pack), all_or_nothing=True)
        return [step.migration for step in steps if step.direction == "apply"]

    def reset(self) -> list[Migration]:
        """
        Roll back every migration of the database, or of the packs in `only`, the newest first.

        Returns them in the order in which they were rolled back. Nothing is begun unless all of it can be done.

        Raises:
            RollbackRefused: One has no `rollback_migration`, or its pack is not installed, or others require it.
            MigrationFailed, SnapshotFailed, LockTimeout, RunStopped: What was rolled back before stays so.
        """
        view = self._view(recover=True)
        return [step.migration for step in self._plans.execute(view, view.plan_reset(), lambda now: now.plan_reset())]

    # --- rehearsals: the same on a throw-away copy ----------------------------------------------------

    def rehearse(self, *, to: str | None = None, all_or_nothing: bool = False, allow_late: bool = False) -> Rehearsal:
        """
        Carry `apply` out on a throw-away copy of the database, and return what it did. The database is only read.

        Raises:
            RehearsalFailed: The database could not be copied.
            RunRefused, UnknownTarget, UnknownPack, DatabaseUnusable, DatabaseInterrupted, LockTimeout, RunStopped: As for
                `plan` and `apply`. A migration that fails is not an error here, but part of the answer.
        """

        def plan_of(view: DatabaseView) -> Plan:
            return self._plan_apply(view, to=to, allow_late=allow_late)

        view = self._view()
        return self._plans.rehearse(view, plan_of(view), plan_of, all_or_nothing=all_or_nothing)

    def rehearse_rollback(self, pack: str, *, to: int | None = None, steps: int | None = None) -> Rehearsal:
        """Do the same for `rollback`. The `losses` of the answer say what data would be lost."""
        view = self._view()
        plan = view.plan_rollback(pack, to=to, steps=steps)
        return self._plans.rehearse(view, plan, _down_to(pack, plan))

    def rehearse_redo(self, pack: str) -> Rehearsal:
        """Do the same for `redo`."""
        view = self._view()
        return self._plans.rehearse(view, view.plan_redo(pack), lambda now: now.plan_redo(pack), all_or_nothing=True)

    def rehearse_reset(self) -> Rehearsal:
        """Do the same for `reset`."""
        view = self._view()
        return self._plans.rehearse(view, view.plan_reset(), lambda now: now.plan_reset())

    # --- snapshots ----------------------------------------------------------------------------------

    def backup(self) -> Path:
        """
        Take a checked snapshot of the database, into the folder of its snapshots. It is never pruned.

        Others may use the database meanwhile; other writers wait until it is done.

        Raises:
            DatabaseUnusable: There is no database, or it is empty.
            FolderUnusable, LockTimeout, SnapshotFailed, RunStopped: The snapshot could not be taken.
        """
        from datetime import UTC, datetime

        from homie_migrations_core.sqlite.snapshots import take_by_hand

        if not self._file.exists:
            raise errors.DatabaseNotReachable(str(self.path), "there is no such file", "Check the path.")
        storage = self._plans.require_storage()
        with self._file.locked():
            if os.path.getsize(self.path) == 0:  # nothing is committed; a copy would get a first page that its source lacks
                raise errors.DatabaseUnusable(str(self.path), "the database is empty", "There is nothing to back up yet.")
            records, now = self._recorded()[0], datetime.now(UTC)
            self._plans.snapshot = snapshot = take_by_hand(str(self.path), records, now, self._file.stop, storage)
        return snapshot

    def restore(self, snapshot: str | os.PathLike[str]) -> Restored:
        """
        Replace the database with a snapshot, in one SQLite transaction, and return what that changed.

        Other connections stay open and see either the old or the new state; a kill on the way leaves the old one.
        The state before is kept as a snapshot of its own. A missing database is created.

        Raises:
            SnapshotUnusable: The file is not a sound database, or does not fit. Nothing was changed.
            LockTimeout, RunStopped, SnapshotFailed, DatabaseUnusable: Nothing was changed.
        """
        from homie_migrations_core.running.restoring import restore

        plans, source = self._plans, os.path.abspath(snapshot)
        storage = plans.require_storage()
        restored = restore(self._file, source, self._recorded, self._attributed, backup=plans.backup, storage=storage)
        plans.snapshot = restored.snapshot
        return restored

    # --- records ------------------------------------------------------------------------------------

    def baseline(self, pack: str, version: int | None = None) -> list[Migration]:
        """
        Record the pack's migrations up to `version` without running them; return those that were not recorded yet.

        For a database whose tables exist already. Without a version, up to the one that `detect` finds.

        Raises:
            VersionUnclear: No version was given, and the schema does not tell it. Nothing was recorded.
            BaselineRefused: The database is empty, or what is recorded contradicts it. Nothing was recorded.
            UnknownPack, UnknownTarget, DatabaseUnusable, SnapshotFailed, LockTimeout: Nothing was recorded.
        """
        from homie_migrations_core.inspection.detection import require_version

        up_to = require_version(self.detect(pack), str(self.path)) if version is None else version
        view = self._view(recover=True)
        recorded = view.plan_baseline(pack, up_to)
        if recorded:
            self._plans.amend(view, lambda now: {"record": now.plan_baseline(pack, up_to)})
        return list(recorded)

    def repair(self, ref: str, *, remove: bool = False) -> Repair:
        """
        Correct one record: accept an edited migration as it is today, or remove a record; return both states of it.

        Without `remove`, only what no installed pack ships under that name is removed.

        Raises:
            RepairRefused: There is nothing to repair.
            UnknownTarget, DatabaseUnusable, SnapshotFailed, LockTimeout: Nothing was changed.
        """

        def change(view: DatabaseView) -> dict[str, tuple[Record, ...]]:
            found = view.plan_repair(ref, remove=remove)
            return {"accept": (found.after,)} if found.after else {"remove": (found.before,)}

        view = self._view(recover=True)
        repair = view.plan_repair(ref, remove=remove)
        self._plans.amend(view, change)
        return repair


def _down_to(pack: str, plan: Plan) -> Planner:
    """
    Return what a planned rollback comes to for other records: never more than was asked for.

    If another process rolls back meanwhile, this run must not go further down than it was going to.
    """
    lowest = min((step.migration.version for step in plan.steps), default=0)
    return lambda view: view.plan_rollback_down_to(pack, lowest)
