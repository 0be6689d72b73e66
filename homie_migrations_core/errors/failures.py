"""
Failures: a run, a snapshot or a rehearsal that could not be completed. Exit code 1; 130 after a stop.
"""

from __future__ import annotations

from homie_migrations_core.errors.base import HomieMigrationsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from homie_migrations_core.model import Migration


class MigrationFailed(HomieMigrationsError):
    """
    One migration failed, and nothing of it is in the database.

    `applied` holds the migrations of the same run that were committed before it and stay. `file` is the migration's
    own file, or its rollback's, and `line` the line in it; each is None where it is not known.
    """

    code = "migration_failed"

    def __init__(self, path: str, ref: str, found: str, advice: str, *, direction: str = "apply") -> None:
        self.path, self.ref, self.found, self.direction = path, ref, found, direction
        self.file: str | None = None
        self.line: int | None = None
        self.applied: tuple[Migration, ...] = ()
        verb = "Rolling back" if direction == "rollback" else "Applying"
        super().__init__(f"{verb} {ref} failed, and nothing of it is left in {path}", found, advice)


class MigrationNotUndone(MigrationFailed):
    """
    A migration failed after something other than the runner ended its transaction, and something was committed.

    `left` says what the file shows; `certain`, whether it is the migration's for sure. The snapshot of the run is kept.
    """

    code = "migration_not_undone"

    def __init__(
        self, path: str, ref: str, found: str, advice: str, left: Sequence[str], *, certain: bool, direction: str = "apply"
    ) -> None:
        super().__init__(path, ref, found, advice, direction=direction)
        self.left, self.certain = tuple(left), certain
        verb = "Rolling back" if direction == "rollback" else "Applying"
        undone = "part of it is left" if certain else "it is not certain that nothing of it is left"
        HomieMigrationsError.__init__(self, f"{verb} {ref} failed, and {undone} in {path}", [found, *left], advice)


class ForeignKeysViolated(MigrationFailed):
    """A migration left rows behind whose parents are missing, or foreign keys that point nowhere."""

    code = "foreign_keys_violated"


class SchemaLeftBroken(MigrationFailed):
    """A migration left a view or trigger behind that no longer compiles."""

    code = "schema_left_broken"


class DatabaseReplaced(HomieMigrationsError):
    """The database file was replaced or removed during a run; it is not known what the file at that path holds now."""

    code = "database_replaced"

    def __init__(
        self, path: str, ref: str | None, found: str, committed: Sequence[str] = (), snapshot: object | None = None
    ) -> None:
        self.path, self.ref, self.found = path, ref, found
        self.committed, self.snapshot = tuple(committed), snapshot
        self.applied: tuple[Migration, ...] = ()
        what = f"Applying {ref} to {path}" if ref else f"The run on {path}"
        lost = [f"{', '.join(committed)} went into the file that was there before"] if committed else []
        kept = [f"the state before the run is in the snapshot {snapshot}"] if snapshot else []
        super().__init__(
            f"{what} failed",
            [found, *lost, *kept],
            "Find out which program did that, and keep it away from the file. "
            "`homie migrations status` shows what the file holds now.",
        )


class RecordNotKept(HomieMigrationsError):
    """A record could not be changed: the database itself undid the change."""

    code = "record_not_kept"

    def __init__(self, path: str, ref: str) -> None:
        self.path, self.ref = path, ref
        super().__init__(
            f"Nothing was changed in {path}",
            f"the row of {ref} in `schema_migrations` did not stay as it was written",
            "Look for a trigger on that table, and remove it first.",
        )


class RunBrokenOff(HomieMigrationsError):
    """The system failed during a run: the running migration was undone, the ones before it stay."""

    code = "run_broken_off"

    def __init__(self, path: str, ref: str | None, found: str) -> None:
        self.path, self.ref, self.found = path, ref, found
        self.applied: tuple[Migration, ...] = ()
        undone = f"{ref} was undone, and what" if ref else "what"
        super().__init__(
            f"The run on {path} failed; {undone} was applied before it stays",
            found,
            "Check the disk and the file's permissions, then run it again to continue.",
        )


class LockTimeout(HomieMigrationsError):
    """Another connection held the database for longer than `lock_timeout`; `holders` names it where the system knows."""

    code = "lock_timeout"

    def __init__(self, path: str, seconds: float, doing: str, advice: str, holders: Sequence[str] = ()) -> None:
        self.path, self.seconds, self.doing, self.holders = path, seconds, doing, tuple(holders)
        self.applied: tuple[Migration, ...] = ()
        who = f"{' and '.join(holders)} {'keep' if len(holders) > 1 else 'keeps'}" if holders else "another connection keeps"
        super().__init__(f"Gave up {doing} {path} after {seconds:g} s", f"{who} it locked", advice)


class SnapshotFailed(HomieMigrationsError):
    """The snapshot could not be taken; before a change, nothing was changed. `folder` is the one chosen for snapshots, if any."""

    code = "snapshot_failed"

    def __init__(self, path: str, found: str, *, by_hand: bool = False, folder: str | None = None) -> None:
        self.path, self.found, self.by_hand, self.folder = path, found, by_hand, folder
        place = folder or "the `backups` folder beside the database"
        advice = f"Free some space, give write access to {place},"
        if by_hand:
            super().__init__(f"No snapshot of {path} was taken", found, f"{advice} or choose another folder (--backup-dir).")
        else:
            super().__init__(
                f"Nothing was changed in {path}",
                f"the snapshot before the first change could not be taken ({found})",
                f"{advice} choose another folder (--backup-dir), or run without a snapshot (--no-backup).",
            )


class RehearsalFailed(HomieMigrationsError):
    """The database could not be copied for a rehearsal. What fails in the rehearsal itself is part of its result."""

    code = "rehearsal_failed"

    def __init__(self, path: str, found: str) -> None:
        self.path, self.found = path, found
        super().__init__(
            "Nothing was rehearsed",
            f"{path} could not be copied ({found})",
            "Free some space beside it, or give write access to its folder. The database was not changed.",
        )


class NotReplayable(HomieMigrationsError):
    """A migration fails on an empty database in memory, so the schema that the packs produce is not known."""

    code = "not_replayable"

    def __init__(self, ref: str, found: str) -> None:
        self.ref, self.found = ref, found
        super().__init__(
            "The schema could not be determined",
            f"{ref} fails on an empty database ({found})",
            "Correct it: it would fail on a new database in the same way.",
        )


class CommitUnconfirmed(HomieMigrationsError):
    """A commit reported an error, and the file could not be read to see whether it took effect."""

    code = "commit_unconfirmed"

    def __init__(self, path: str, ref: str, found: str) -> None:
        self.path, self.ref, self.found = path, ref, found
        super().__init__(
            f"It is not known whether {ref} was committed to {path}",
            f"{found}, and the file could not be read again",
            "The database is at a migration boundary either way: `homie migrations status` shows which.",
        )


class RunStopped(HomieMigrationsError):
    """A stop was requested: the running migration was undone, the ones before it stay."""

    code, exit_code = "run_stopped", 130

    def __init__(self, path: str, ref: str | None = None) -> None:
        self.path, self.ref = path, ref
        self.applied: tuple[Migration, ...] = ()
        undone = f"{ref} was undone" if ref else "no migration was running"
        super().__init__(f"Stopped on request in {path}", undone, "Run it again to continue.")


class DatabaseInterrupted(HomieMigrationsError):
    """A killed process left a journal behind; reading does not repair it, the next changing run does."""

    code = "database_interrupted"

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(
            f"{path} was not read",
            "a process that was changing it was killed and left a journal",
            "The next `homie migrations apply` (or any program that writes to it) rolls that back.",
        )


class PacksDiffer(HomieMigrationsError):
    """The packs of a fleet's worker are not those of the caller; the worker did nothing."""

    code = "packs_differ"

    def __init__(self, packs: Sequence[str], found: str = "") -> None:
        self.packs, self.found = tuple(packs), found
        names = ", ".join(packs)
        super().__init__(
            "Nothing was done",
            f"a worker has other migrations of {names} than the caller{f' ({found})' if found else ''}",
            "Install the same release of the packs wherever workers run, and start the workers again.",
        )


class WorkerDied(HomieMigrationsError):
    """A database of a fleet got no answer from its worker. It may be migrated or not; it is never half migrated."""

    code = "worker_died"

    def __init__(self, path: str, found: str) -> None:
        self.path, self.found = path, found
        super().__init__(
            f"The worker that had {path} gave no answer",
            found,
            "The database is at a migration boundary: `homie migrations status` shows which. Run it again, alone, to see why.",
        )


class ExecutorBroken(HomieMigrationsError):
    """The executor of a fleet can't be used any more; what it had not begun was not done."""

    code = "executor_broken"

    def __init__(
        self,
        found: str,
        advice: str = "Every outcome that was reported holds. Run the same databases again, with a new executor, to continue.",
    ) -> None:
        self.found = found
        super().__init__("The fleet was not finished", found, advice)
