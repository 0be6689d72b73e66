"""
`PlanRunner`: carry out the plans for one database, with the options that all of its runs share.

It connects a view of the database with an execution, a rehearsal or a change of single records, which do the work.
"""

from __future__ import annotations

import os

from homie_migrations_core import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from homie_migrations_core.database_view import DatabaseView
    from homie_migrations_core.model import Plan, Step
    from homie_migrations_core.running.execution import Execution, Watcher
    from homie_migrations_core.running.rehearsal import Rehearsal
    from homie_migrations_core.sqlite.file import DatabaseFile
    from homie_migrations_core.sqlite.snapshot_storage import SnapshotStorage
    from homie_migrations_core.sqlite.tracking import Tracking

    Planner = Callable[[DatabaseView], Plan]


class PlanRunner:
    """One database file, and what every run on it needs; `snapshot` is the one that the last run left."""

    def __init__(
        self,
        file: DatabaseFile,
        backup: bool,
        observers: tuple[object, ...],
        makes_parents: bool,
        backup_dir: str | None = None,
        keep: int = 5,
    ) -> None:
        self.file, self.backup, self.observers, self.makes_parents = file, backup, observers, makes_parents
        self.backup_dir, self.keep = backup_dir, keep
        self.snapshot: Path | None = None

    def execute(self, view: DatabaseView, plan: Plan, plan_again: Planner, *, all_or_nothing: bool = False) -> list[Step]:
        """
        Carry the plan out, and return the steps that were still due, in order.

        `plan_again` makes the plan again if the records turn out to differ under the write lock.

        Raises:
            FolderUnusable: The folder of the database can't be created, or that for snapshots can't be used.
            HomieMigrationsError: As `Execution.carry_out`.
        """
        if not plan.steps:
            return []
        self.require_storage()
        if self.makes_parents:
            try:
                os.makedirs(os.path.dirname(self.file.path), exist_ok=True)
            except OSError as error:
                folder, found = os.path.dirname(self.file.path), f"can't be made ({error.strerror})"
                raise errors.FolderUnusable(folder, found, "Name another data folder.") from error
        execution = self.execution(self.file.path, view, plan, plan_again, all_or_nothing=all_or_nothing)
        try:
            return execution.carry_out()
        finally:
            taken = execution.snapshot
            self.snapshot = taken if taken is not None and os.path.exists(taken) else None

    def rehearse(self, view: DatabaseView, plan: Plan, plan_again: Planner, *, all_or_nothing: bool = False) -> Rehearsal:
        """Carry the plan out on a throw-away copy, and return what it did. Raises as `rehearsal.rehearse`."""
        from homie_migrations_core.running.rehearsal import rehearse

        def execution(copy: str, watcher: Watcher) -> Execution:
            return self.execution(copy, view, plan, plan_again, all_or_nothing=all_or_nothing, watcher=watcher)

        file = self.file
        with file.stopping():
            return rehearse(file.path, plan, execution, backup=self.backup, lock_timeout=file.lock_timeout, stop=file.stop)

    def execution(
        self,
        path: str,
        view: DatabaseView,
        plan: Plan,
        plan_again: Planner,
        *,
        all_or_nothing: bool,
        watcher: Watcher | None = None,
    ) -> Execution:
        """Make a run, or with a watcher a rehearsal on the copy at `path`, of which no installed plugin hears."""
        from homie_migrations_core.packs.observers import OBSERVING_HOOKS, Observers
        from homie_migrations_core.running.execution import Execution  # the half of the library that only a change needs

        def replan(tracking: Tracking) -> tuple[Plan, str | None]:
            if tracking == view.tracking:
                return plan, view.owner
            now = view.at(tracking)
            return plan_again(now), now.owner

        rehearsing, collected = watcher is not None, view.source.collected
        manager = collected.manager_for(OBSERVING_HOOKS) if collected and not rehearsing else None
        return Execution(
            path,
            plan,
            replan,
            Observers(manager, [*self.observers, *([watcher] if rehearsing else [])]),
            {pack.name: pack.package for pack in view.packs},
            self.pack_versions(view),
            backup=self.backup and not rehearsing,
            lock_timeout=self.file.lock_timeout,
            all_or_nothing=all_or_nothing,
            stop=self.file.stop,
            watcher=watcher,
            scratch=rehearsing,
            in_place_of=self.file.path if rehearsing else "",
            storage=self._storage(),
        )

    def amend(self, view: DatabaseView, changes: Callable[[DatabaseView], dict[str, Any]]) -> None:
        """Change single records as `changes` decides for those that are there under the write lock."""
        from homie_migrations_core.running.records import RecordChanges, change_records

        def decide(tracking: Tracking) -> RecordChanges:
            now = view.at(tracking)
            return RecordChanges(now.owner, **changes(now))

        file, versions = self.file, self.pack_versions(view)
        self.snapshot = change_records(
            file.path,
            decide,
            versions,
            backup=self.backup,
            lock_timeout=file.lock_timeout,
            stop=file.stop,
            storage=self.require_storage(),
        )

    def require_storage(self) -> SnapshotStorage:
        """
        Return where snapshots go.

        Raises:
            FolderUnusable: Snapshots are to be taken, and the folder that was chosen for them can't be used.
        """
        storage = self._storage()
        if self.backup:
            storage.require()
        return storage

    def _storage(self) -> SnapshotStorage:
        from homie_migrations_core.sqlite.snapshot_storage import SnapshotStorage

        return SnapshotStorage(self.backup_dir, self.keep)

    def pack_versions(self, view: DatabaseView) -> dict[str, str | None]:
        """Return the version of the distribution of each pack, to be recorded."""
        from homie_migrations_core.packs.discovery import version_of

        return {each.name: each.distribution_version or (version_of(each.package) if each.package else None) for each in view.packs}
