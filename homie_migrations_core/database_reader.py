"""
`DatabaseReader`: everything that can be asked about one database without changing it.

Each method calls one room. `MigrationRunner` is a reader that can also change the database.
"""

from __future__ import annotations

import os

from homie_migrations_core import errors
from homie_migrations_core.database_access import DatabaseAccess
from homie_migrations_core.logs import log as _log
from homie_migrations_core.sqlite.file import EMPTY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from homie_migrations_core.broken import BrokenPack
    from homie_migrations_core.database_view import DatabaseView
    from homie_migrations_core.inspection.detection import Detected
    from homie_migrations_core.model import (
        DatabaseStatus,
        Finding,
        LeftOut,
        Migration,
        Plan,
        Record,
        Repair,
        Restored,
        Snapshot,
        State,
    )
    from homie_migrations_core.sqlite.schema_objects import Schema
    from homie_migrations_core.sqlite.tracking import Tracking


class DatabaseReader(DatabaseAccess):
    """The questions about one database and its packs. No method changes a byte or makes a file."""

    # --- states and findings ------------------------------------------------------------------------

    def status(self) -> DatabaseStatus:
        """
        Return the state of every migration, or of those of the packs in `only`. Runs no migration.

        Raises:
            DatabaseUnusable, LockTimeout: The file cannot be read.
            ForeignTrackingTable: Another tool's `schema_migrations` is in it.
            PackNotChosen, UnknownPack: It is not clear which packs are meant.
        """
        view, exists = self._view_of(EMPTY), os.path.lexists(self._file.path)
        state: State | None = None
        try:
            view = view.at(self._file.read_tracking(makes_parents=self._make_parents))
        except errors.DatabaseInterrupted:
            state = "interrupted"
        return view.status(exists=exists, state=state)

    def require_current(self) -> None:
        """
        Return if `apply` would have nothing to do. For programs that use a database and must not migrate it.

        It costs what `apply` costs on an up-to-date database. Packs that `apply` would leave out are logged in the same way.

        Raises:
            DatabaseNotCurrent: Migrations are pending (`error.pending`), or the file does not exist.
            RunRefused: The run is refused: ahead, replaced, late, a foreign table; with every reason at once.
            PackBroken: No usable pack is left, or one that was handed in is not usable.
            UnknownPack, PackNotChosen: It is not clear which packs are meant.
            DatabaseUnusable, DatabaseInterrupted, LockTimeout: The file cannot be read.
        """
        up_to_date = self._is_up_to_date()
        self._report_unknown()
        if up_to_date:
            return
        view = self._view()
        plan = self._plan_apply(view, to=None, allow_late=False)
        log_problems(view, plan)
        left_out = view.left_out(plan)
        if plan.steps:
            raise errors.DatabaseNotCurrent(str(self.path), [step.ref for step in plan.steps], exists=self._file.exists)
        if left_out and self._source.handed_in is not None:
            raise errors.PackBroken(left_out, done="Not every pack is applied")

    def history(self) -> tuple[Record, ...]:
        """Return what is applied, or what is of the packs in `only`, in the order in which it was. Raises as `status`."""
        view = self._view()
        view.refuse_unknown_file()
        chosen = (each for each in view.attributed if self._source.includes(each.pack))
        return tuple(sorted(chosen, key=lambda each: (str(each.applied_at or ""), each.pack or "", each.version)))

    def broken(self) -> tuple[BrokenPack, ...]:
        """Return the packs of this database that cannot be used, and why."""
        return self._source.read()[1]

    def validate(self) -> list[Finding]:
        """
        Compare the records with the packs, and the schema with a replay in memory; return what differs.

        With `only`, findings about other packs are left out. What is pending is not a finding, nor is a table that no
        migration ever touched. The migrations that are recorded are run on an empty database in memory.

        Raises:
            DatabaseUnusable, DatabaseInterrupted, LockTimeout, ForeignTrackingTable, RunStopped: The file cannot be read.
            OwnerUnclear: The rows of an earlier table cannot be said to belong to one pack.
        """
        from homie_migrations_core.inspection.validation import validate

        view, real = self._view_and_schema()
        collected = self._source.collected
        everywhere = (*view.broken, *(collected.broken if collected is not None else ()))
        broken = {name for each in everywhere if (name := each.pack or each.entry_point)}
        records, handed_in = view.records(), self._source.handed_in is not None
        with self._file.replaying():
            findings = validate(view.packs, broken, records, real, self._replays(), handed_in=handed_in, stop=self._file.stop)
        return [each for each in findings if each.pack is None or self._source.includes(each.pack)]

    def detect(self, pack: str) -> Detected:
        """
        Compare the schema with what each version of the pack makes, for a database that has no record of the pack.

        Raises:
            UnknownPack, PackBroken, RunRefused: There is no plan for the pack.
            DatabaseUnusable, DatabaseInterrupted, LockTimeout, ForeignTrackingTable: The file cannot be read.
        """
        from homie_migrations_core.inspection.detection import detect

        view, real = self._view_and_schema()
        view.records()
        view.require_usable(pack)
        with self._file.replaying():
            return detect(view.packs, pack, real, self._file.stop)

    # --- schemas ------------------------------------------------------------------------------------

    def schema(self) -> Schema:
        """
        Return the schema that all migrations of the packs make on an empty database in memory. The file is not read.

        Raises:
            RunRefused, UnknownPack, PackBroken: There is no plan for it.
            NotReplayable: A migration fails there.
        """
        from homie_migrations_core.planning.applying import plan_apply

        view = self._view_of(EMPTY)
        plan = plan_apply(view.path, view.packs, (), only=self._source.only)
        view.left_out(plan)
        with self._file.replaying():
            replayed = self._replays().replay(view.packs, [step.migration for step in plan.steps], self._file.stop)
        if replayed.failed is not None:
            raise errors.NotReplayable(*replayed.failed)
        return replayed.schema

    def real_schema(self) -> Schema:
        """
        Return the schema that is in the database, whichever program created it.

        Raises:
            DatabaseUnusable, DatabaseInterrupted, LockTimeout, RunStopped: The file cannot be read.
        """
        return self._file.read_schema()

    # --- plans --------------------------------------------------------------------------------------

    def plan(self, *, to: str | None = None, allow_late: bool = False) -> Plan:
        """
        Return what `apply` would do.

        No migration is run, except that for a refusal they may be replayed on an empty database in memory.

        Raises:
            RunRefused: The run is refused; with every reason at once.
            UnknownTarget, UnknownPack: `to` or `only` name nothing.
            DatabaseUnusable, DatabaseInterrupted, LockTimeout: The file cannot be read.
        """
        return self._plan_apply(self._view(), to=to, allow_late=allow_late)

    def plan_rollback(self, pack: str, *, to: int | None = None, steps: int | None = None) -> Plan:
        """Return what `rollback` would do. Raises as `rollback`."""
        return self._view().plan_rollback(pack, to=to, steps=steps)

    def plan_redo(self, pack: str) -> Plan:
        """Return what `redo` would do. Raises as `redo`."""
        return self._view().plan_redo(pack)

    def plan_reset(self) -> Plan:
        """Return what `reset` would do. Raises as `reset`."""
        return self._view().plan_reset()

    def plan_baseline(self, pack: str, version: int) -> list[Migration]:
        """Return the migrations that `baseline` would record. Raises as `baseline`."""
        return list(self._view().plan_baseline(pack, version))

    def plan_repair(self, ref: str, *, remove: bool = False) -> Repair:
        """Return what `repair` would change. Raises as `repair`."""
        return self._view().plan_repair(ref, remove=remove)

    # --- snapshots ----------------------------------------------------------------------------------

    def backups(self) -> list[Snapshot]:
        """
        Return the snapshots of the database, the newest first. None of them is opened.

        They are looked for in `backup_dir`, or else in the folder `backups` beside the database.
        """
        from homie_migrations_core.sqlite.snapshot_storage import SnapshotStorage
        from homie_migrations_core.sqlite.snapshots import list_snapshots

        return list_snapshots(str(self.path), SnapshotStorage(self._backup_dir))

    def preview_restore(self, snapshot: str | os.PathLike[str]) -> Restored:
        """
        Return what `restore` would change: migrations that become pending again, and tables with more or fewer rows.

        Raises:
            SnapshotUnusable: The file is not a sound database.
        """
        from homie_migrations_core.running.restoring import preview

        return preview(self._file, os.path.abspath(snapshot), self._recorded, self._attributed)

    def _attributed(self, tracking: Tracking) -> Sequence[Record]:
        return self._view_of(tracking).attributed


def log_problems(view: DatabaseView, plan: Plan) -> None:
    """Log what is edited, and which packs are left out."""
    for ref in plan.edited:
        sentence = "%s was edited after it was applied to %s; the version that was applied stays in effect."
        _log.warning(sentence, ref, view.path, extra={"database": view.path, "ref": ref})
    unusable: list[BrokenPack | LeftOut] = [*view.broken, *plan.left_out]
    for each in unusable:
        _log.error("The pack %s was left out: %s", each.label, each.reason, extra={"database": view.path, "unusable": each})
