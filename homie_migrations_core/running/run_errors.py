"""
Choose the error that the caller of a run gets for the one that ended it.

The words of a failed step are chosen in `failures`; whether a step was undone is found out in `lost_transactions`.
"""

from __future__ import annotations

from collections.abc import Sequence

from homie_migrations_core.errors import (
    DatabaseReplaced,
    DatabaseUnusable,
    HomieMigrationsError,
    LockTimeout,
    MigrationFailed,
    RunBrokenOff,
    RunStopped,
)
from homie_migrations_core.model import Step
from homie_migrations_core.running.run_snapshot import RunSnapshot
from homie_migrations_core.sqlite.sqlite_errors import error_from_sqlite, is_database_error
from homie_migrations_core.stopping import Stopped


class RunErrors:
    """Makes the errors of one run. `named` is the path in messages, `committed` the steps that were committed so far."""

    def __init__(self, named: str, committed: Sequence[Step], snapshot: RunSnapshot) -> None:
        self._named, self._committed, self._snapshot = named, committed, snapshot

    def reported(self, error: BaseException, current: Step | None) -> BaseException:
        """Return the error to report for `error`, with what was applied before it."""
        if isinstance(error, Stopped):
            error = RunStopped(self._named, current.ref if current else None)
        elif isinstance(error, DatabaseUnusable) or is_database_error(error):
            error = self._broken_off(error, current)
        if isinstance(error, MigrationFailed | LockTimeout | RunStopped | RunBrokenOff):
            error.applied = tuple(step.migration for step in self._committed)
        return error

    def replaced(self, found: str, current: Step | None) -> DatabaseReplaced:
        """Return the error for a file that is not the one that was opened any more. The snapshot stays in any case."""
        self._snapshot.keep_in_any_case()
        ref = current.ref if current else None
        committed = [step.ref for step in self._committed]
        return DatabaseReplaced(self._named, ref, f"{found} during the run", committed, self._snapshot.path)

    def _broken_off(self, error: BaseException, current: Step | None) -> HomieMigrationsError:
        """Return the error for what SQLite reported about the file, and what that means for the steps before."""
        known = error if isinstance(error, DatabaseUnusable) else error_from_sqlite(error, self._named)  # type: ignore[arg-type]
        if not self._committed:
            return known
        return RunBrokenOff(self._named, current.ref if current else None, getattr(known, "found", str(error)))
