"""
What every question about one database starts from: its file, its packs, and a view of both.

The questions are the methods of `DatabaseReader`.
"""

from __future__ import annotations

import os

from homie_migrations_core import errors, logs
from homie_migrations_core.database_view import DatabaseView
from homie_migrations_core.packs.source import PackSource
from homie_migrations_core.sqlite.file import EMPTY, DatabaseFile
from homie_migrations_core.stopping import StopRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from homie_migrations_core.inspection.replay import Replayer
    from homie_migrations_core.model import Plan, Record
    from homie_migrations_core.packs.definition import MigrationPack
    from homie_migrations_core.packs.registered import Collected
    from homie_migrations_core.sqlite.schema_objects import Schema
    from homie_migrations_core.sqlite.tracking import Tracking


class DatabaseAccess:
    """One database file and the packs that belong to it."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        packs: Sequence[MigrationPack] | None = None,
        *,
        only: Collection[str] = (),
        lock_timeout: float = 30.0,
        should_stop: Callable[[], bool] | StopRequest | None = None,
        make_parents: bool = False,
        database: str | None = None,
        collected: Collected | None = None,
        backup_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        text = os.fspath(path)
        if not text or "\0" in text or text == ":memory:":
            raise errors.DatabaseNotReachable(repr(text), "it is not the name of a file", "Name the database file.")
        path = os.path.abspath(text)
        stop = should_stop if isinstance(should_stop, StopRequest) else StopRequest(should_stop)
        self._file = DatabaseFile(path, lock_timeout, stop)
        self._source = PackSource(path, packs, only=only, database=database or os.path.basename(path), collected=collected)
        self._make_parents = make_parents
        if backup_dir is not None and not os.fspath(backup_dir):
            raise errors.UsageProblem("Nothing was done", "the name of the folder for snapshots is empty", "Name a folder.")
        self._backup_dir = None if backup_dir is None else os.path.abspath(backup_dir)
        self._replayer: Replayer | None = None

    @property
    def path(self) -> Path:
        """The database file."""
        from pathlib import Path  # importing it takes long, and not every question needs it

        return Path(self._file.path)

    def _is_up_to_date(self) -> bool:
        """Tell whether there is nothing to do for sure. It reads little, waits for nothing and explains nothing."""
        from homie_migrations_core.running.up_to_date import are_up_to_date

        chosen, broken = self._source.choose()
        folders = [each.folder for each in chosen if each.folder]
        return not broken and are_up_to_date(self._file.path, [each.pack for each in chosen], folders)

    def _report_unknown(self) -> None:
        """Log the installed entry points that cannot be loaded, unless the caller chose among the packs."""
        if self._source.collected is not None and not self._source.only:
            from homie_migrations_core.packs.selection import report_unknown

            report_unknown(self._source.collected)

    def _view(self, *, recover: bool = False) -> DatabaseView:
        """Read the packs and the records as they are now. Only with `recover` is an interrupted run rolled back."""
        view = self._view_of(EMPTY)
        return view.at(self._file.read_tracking(makes_parents=self._make_parents, recover=recover))

    def _view_and_schema(self) -> tuple[DatabaseView, Schema]:
        view = self._view_of(EMPTY)
        tracking, real = self._file.read_tracking_and_schema(makes_parents=self._make_parents)
        return view.at(tracking), real

    def _view_of(self, tracking: Tracking) -> DatabaseView:
        """Read the packs, and show them with what is said to be recorded."""
        return DatabaseView(self._file.path, self._source, *self._source.read(), tracking)

    def _plan_apply(self, view: DatabaseView, *, to: str | None, allow_late: bool) -> Plan:
        try:
            return view.plan_apply(to=to, allow_late=allow_late)
        except errors.RunRefused as refused:
            from homie_migrations_core.inspection.refusals import explain_refusal

            logs.load()  # a migration that is replayed may log by itself
            replaced = any(isinstance(reason, errors.MigrationReplaced) for reason in refused.reasons)
            real = self._file.read_schema() if replaced else {}
            with self._file.replaying():
                explained = explain_refusal(refused, view.packs, view.attributed, real, self._replays(), self._file.stop)
            raise explained from None

    def _replays(self) -> Replayer:
        if self._replayer is None:
            from homie_migrations_core.inspection.replay import Replayer

            self._replayer = Replayer()
        return self._replayer

    def _recorded(self) -> tuple[Sequence[Record], bool]:
        """Return the records, if they can be read, and whether the file may hold anything."""
        if not self._file.exists:
            return (), False
        try:
            view = self._view()
        except (errors.DatabaseUnusable, errors.DatabaseInterrupted, errors.ForeignTrackingTable):
            return (), True
        return view.attributed, view.tracking.holds_tables
