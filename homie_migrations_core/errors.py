"""
Every error, its sentence, its stable code and its exit code.

A sentence has three parts: what was refused or failed, what was found, what to do next. Nothing here
knows SQLite, files or the terminal. Kept free of imports: an up-to-date start-up loads it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from homie_migrations_core.broken import BrokenPack
    from homie_migrations_core.model import LeftOut, Migration


class HomieMigrationsError(Exception):
    """The root of every error that this library raises on purpose."""

    code = "error"
    exit_code = 1

    def __reduce__(self) -> tuple[object, ...]:
        return _remade, (type(self), self.args), self.__dict__  # an error of a worker process keeps its class and its facts


def _remade(kind: type[HomieMigrationsError], args: tuple[object, ...]) -> HomieMigrationsError:
    return kind.__new__(kind, *args)


# --- usage and environment: exit code 2 -------------------------------------------------------------


class UsageProblem(HomieMigrationsError):
    """The call or the environment does not fit; nothing was made, changed or lost."""

    code, exit_code = "usage", 2


class UnknownPack(UsageProblem):
    """A pack was named that is not installed, or not for this database."""

    code = "unknown_pack"

    def __init__(self, name: str, known: Iterable[str], *, where: str = "installed") -> None:
        self.name, self.known = name, tuple(sorted(known))
        have = f"the packs {where} are {', '.join(self.known)}" if self.known else f"no pack is {where}"
        super().__init__(
            f"Nothing was done: there is no pack {name!r}; {have}. "
            "Check the spelling, or install the distribution that brings it (`homie migrations packs` lists them)."
        )


class UnknownTarget(UsageProblem):
    """A ref that names no migration of the packs at hand, or is no ref at all."""

    code = "unknown_target"

    def __init__(self, ref: str, found: str, advice: str) -> None:
        self.ref, self.found = ref, found
        super().__init__(f"Nothing was done: {ref!r} is not a known target; {found}. {advice}")


class PackNotChosen(UsageProblem):
    """The file name does not say which packs are meant."""

    code = "pack_not_chosen"

    def __init__(self, path: str, found: str, candidates: Iterable[str]) -> None:
        self.path, self.found, self.candidates = path, found, tuple(sorted(candidates))
        pick = " or ".join(self.candidates) if self.candidates else "NAME"
        super().__init__(f"Nothing was done to {path}: {found}. Say which pack is meant with `--pack {pick}`.")


class PackInvalid(UsageProblem):
    """A `MigrationPack` was made with a name, database or place that can't be one."""

    code = "pack_invalid"

    def __init__(self, found: str, advice: str) -> None:
        self.found = found
        super().__init__(f"This is not a migration pack: {found}. {advice}")


class NothingInstalled(UsageProblem):
    """A command was to change databases, and no pack is there to say how."""

    code = "nothing_installed"

    def __init__(self) -> None:
        super().__init__(
            "Nothing was done: no installed distribution registers migrations (entry point group `homie.migrations`). "
            "Install a pack into this Python environment, or name a folder with `--dir` and `--database`."
        )


class DatabaseUnusable(UsageProblem):
    """The file cannot be used as a database; it was not changed."""

    code = "database_unusable"

    def __init__(self, path: str, found: str, advice: str) -> None:
        self.path, self.found = path, found
        super().__init__(f"Nothing was done to {path}: {found}. {advice}")


class NotADatabase(DatabaseUnusable):
    """The file holds something that SQLite does not recognise."""

    code = "not_a_database"

    def __init__(self, path: str, advice: str = "Check the path; the file was left as it is.") -> None:
        super().__init__(path, "it is not an SQLite database, or it is encrypted", advice)


class DatabaseDamaged(DatabaseUnusable):
    """SQLite found the file damaged."""

    code = "database_damaged"

    def __init__(
        self,
        path: str,
        found: str,
        advice: str = "Put back a snapshot from the `backups` folder beside it; the file was left as it is.",
    ) -> None:
        super().__init__(path, f"SQLite finds it damaged ({found})", advice)


class DatabaseNotReachable(DatabaseUnusable):
    """The file, or the folder it should be in, cannot be opened."""

    code = "database_not_reachable"


class DatabaseNotWritable(DatabaseUnusable):
    """The file, or the folder it is in, cannot be written."""

    code = "database_not_writable"


class NewerSQLiteNeeded(DatabaseUnusable):
    """The file uses what this Python's SQLite does not know yet."""

    code = "newer_sqlite_needed"

    def __init__(self, path: str, found: str, version: str) -> None:
        super().__init__(
            path,
            f"its format or schema needs a newer SQLite than {version} ({found})",
            "Use a Python that brings a newer SQLite; this is not damage.",
        )


class SnapshotUnusable(UsageProblem):
    """A file that was to be put back can't be, and the database was not changed."""

    code = "snapshot_unusable"

    def __init__(self, path: str, found: str) -> None:
        self.path, self.found = path, found
        super().__init__(
            f"Nothing was put back from {path}: {found}. Choose another snapshot (`homie migrations backups` lists them)."
        )


class FolderUnusable(UsageProblem):
    """A folder that was named is not there, or is none."""

    code = "folder_unusable"

    def __init__(self, path: str, found: str, advice: str) -> None:
        self.path, self.found = path, found
        super().__init__(f"Nothing was done: {path} {found}. {advice}")


class NobodyToAsk(UsageProblem):
    """A question had to be asked, and there was no terminal to ask it on."""

    code = "nobody_to_ask"

    def __init__(self, question: str) -> None:
        self.question = question
        super().__init__(
            f"Nothing was done: {question} needs a yes, and there is no terminal to ask on. Run it in a terminal, or add --yes."
        )


# --- refusals: exit code 1, nothing was changed -----------------------------------------------------


class RunRefused(HomieMigrationsError):
    """
    A run was refused before its first change.

    `reasons` holds every reason; a refusal of one kind is raised as its own class below, several kinds
    at once as this one.
    """

    code = "run_refused"

    def __init__(self, sentence: str, reasons: Sequence[RunRefused] = ()) -> None:
        self.reasons: tuple[RunRefused, ...] = tuple(reasons) or (self,)
        super().__init__(sentence)

    @classmethod
    def for_all(cls, reasons: Sequence[RunRefused]) -> RunRefused:
        """The one reason as it is, or all of them in one error."""
        if len(reasons) == 1:
            return reasons[0]
        return RunRefused(" ".join(str(reason) for reason in reasons), reasons)


class DatabaseIsAhead(RunRefused):
    """The database holds migrations that the installed pack does not know yet."""

    code = "database_is_ahead"

    def __init__(self, path: str, pack: str, unknown: Sequence[str], latest: str) -> None:
        self.path, self.pack, self.unknown, self.latest = path, pack, tuple(unknown), latest
        super().__init__(
            f"Nothing was changed in {path}: it already holds {', '.join(unknown)}, "
            f"and the installed pack {pack} ends at {latest}. "
            "Install the pack's newer release, or put back the snapshot taken before the upgrade."
        )


class MigrationReplaced(RunRefused):
    """A recorded version number now belongs to another migration."""

    code = "migration_replaced"

    def __init__(self, path: str, replaced: Sequence[tuple[str, str]], explained: str = "") -> None:
        self.path, self.replaced, self.explained = path, tuple(replaced), explained
        found = ", ".join(f"{recorded} is recorded where the pack now ships {shipped}" for recorded, shipped in replaced)
        super().__init__(
            f"Nothing was changed in {path}: {found}, and its code differs too. "
            f"{explained + '. ' if explained else ''}"
            "A version number was used twice: give the new migration the next free number."
        )


class MigrationLate(RunRefused):
    """A pending migration has a lower version than one that is already applied."""

    code = "migration_late"

    def __init__(self, path: str, late: Sequence[tuple[str, str]], explained: str = "") -> None:
        self.path, self.late, self.explained = path, tuple(ref for ref, _ in late), explained
        self.behind = tuple(late)
        found = ", ".join(f"{ref} is pending although {newest} is applied" for ref, newest in late)
        super().__init__(
            f"Nothing was changed in {path}: {found}. {explained[:1].upper()}{explained[1:]}{'. ' if explained else ''}"
            "Give it a number above those, or apply it out of order with "
            "--allow-late (allow_late=True) once you know that the order makes no difference."
        )


class ForeignTrackingTable(RunRefused):
    """The database has a `schema_migrations` that another tool made."""

    code = "foreign_tracking_table"

    def __init__(self, path: str, found: str) -> None:
        self.path, self.found = path, found
        super().__init__(
            f"Nothing was changed in {path}: its schema_migrations belongs to another tool ({found}; dbmate, "
            "golang-migrate and Rails use that name too). Point to another file, or rename that table first."
        )


class OwnerUnclear(RunRefused):
    """An earlier tracking table whose rows cannot be said to belong to one pack."""

    code = "owner_unclear"

    def __init__(self, path: str, found: str) -> None:
        self.path, self.found = path, found
        super().__init__(
            f"Nothing was changed in {path}: its schema_migrations is of the earlier shape, without pack names, and "
            f"{found}. Name the one pack that wrote it with --pack (packs=[...])."
        )


class RollbackRefused(RunRefused):
    """A rollback that could not be carried out whole was not begun."""

    code = "rollback_refused"

    def __init__(self, path: str, found: Sequence[str], advice: str) -> None:
        self.path, self.found = path, tuple(found)
        super().__init__(f"Nothing was rolled back in {path}: {'; '.join(found)}. {advice}")


class BaselineRefused(RunRefused):
    """Migrations that were to be recorded without being run were not."""

    code = "baseline_refused"

    def __init__(
        self, path: str, found: Sequence[str], advice: str = "Settle that first; `homie migrations status` shows it."
    ) -> None:
        self.path, self.found = path, tuple(found)
        super().__init__(f"Nothing was recorded in {path}: {'; '.join(found)}. {advice}")


class VersionUnclear(RunRefused):
    """How far a database is that has no record of it could not be told."""

    code = "version_unclear"

    def __init__(self, path: str, pack: str, found: str, advice: str) -> None:
        self.path, self.pack, self.found = path, pack, found
        super().__init__(f"Nothing was recorded in {path}: {found}. {advice}")


class RepairRefused(RunRefused):
    """A record that was to be repaired is in order."""

    code = "repair_refused"

    def __init__(self, path: str, ref: str) -> None:
        self.path, self.ref = path, ref
        super().__init__(
            f"Nothing was changed in {path}: the record of {ref} is in order. "
            "To remove it all the same, so that the migration becomes pending again, add --remove (remove=True)."
        )


class PackBroken(HomieMigrationsError):
    """A pack that was needed cannot be used."""

    code = "pack_broken"

    def __init__(self, broken: Sequence[BrokenPack | LeftOut], *, done: str = "Nothing of it was applied") -> None:
        self.broken = tuple(broken)
        found = "; ".join(f"{each.label}: {each.reason}" for each in broken)
        super().__init__(f"{done}: {found}. Repair the pack, or install another release of it.")


class ConfirmationDenied(HomieMigrationsError):
    """The answer was no."""

    code = "confirmation_denied"

    def __init__(self, question: str) -> None:
        self.question = question
        super().__init__(f"Nothing was done: {question} was answered with no.")


# --- a run that stopped: exit code 1 ----------------------------------------------------------------


class MigrationFailed(HomieMigrationsError):
    """
    One migration failed, and nothing of it is in the database.

    `applied` holds the migrations of the same run that were committed before it and stay.
    """

    code = "migration_failed"

    def __init__(self, path: str, ref: str, found: str, advice: str, *, direction: str = "apply") -> None:
        self.path, self.ref, self.found, self.direction = path, ref, found, direction
        self.applied: tuple[Migration, ...] = ()
        verb = "Rolling back" if direction == "rollback" else "Applying"
        super().__init__(f"{verb} {ref} failed, and nothing of it is left in {path}: {found}. {advice}")


class RecordNotKept(HomieMigrationsError):
    """A record could not be changed: the database itself undid it."""

    code = "record_not_kept"

    def __init__(self, path: str, ref: str) -> None:
        self.path, self.ref = path, ref
        super().__init__(
            f"Nothing was changed in {path}: the row of {ref} in schema_migrations did not stay as it was written. "
            "Look for a trigger on that table, and remove it first."
        )


class ForeignKeysViolated(MigrationFailed):
    """A migration left rows behind whose parents are missing, or keys that point nowhere."""

    code = "foreign_keys_violated"


class SchemaLeftBroken(MigrationFailed):
    """A migration left a view or trigger behind that no longer compiles."""

    code = "schema_left_broken"


class RunBrokenOff(HomieMigrationsError):
    """The system failed in the middle of a run: the running migration was undone, the ones before it stay."""

    code = "run_broken_off"

    def __init__(self, path: str, ref: str | None, found: str) -> None:
        self.path, self.ref, self.found = path, ref, found
        self.applied: tuple[Migration, ...] = ()
        undone = f"Nothing of {ref} is left, and what" if ref else "What"
        super().__init__(
            f"The run on {path} was broken off: {found}. {undone} was applied before it stays. "
            "Look after the disk and the file's permissions, then run it again to go on."
        )


class LockTimeout(HomieMigrationsError):
    """Another connection held the database for longer than `lock_timeout`; `holders` names it where the system tells."""

    code = "lock_timeout"

    def __init__(self, path: str, seconds: float, doing: str, advice: str, holders: Sequence[str] = ()) -> None:
        self.path, self.seconds, self.doing, self.holders = path, seconds, doing, tuple(holders)
        self.applied: tuple[Migration, ...] = ()
        who = f"{' and '.join(holders)} {'keep' if len(holders) > 1 else 'keeps'}" if holders else "another connection keeps"
        super().__init__(f"Gave up {doing} {path} after {seconds:g} s: {who} it locked. {advice}")


class SnapshotFailed(HomieMigrationsError):
    """The snapshot before the first change could not be taken, so nothing ran."""

    code = "snapshot_failed"

    def __init__(self, path: str, found: str, *, by_hand: bool = False) -> None:
        self.path, self.found, self.by_hand = path, found, by_hand
        room = "Make room or give write access to the `backups` folder beside it"
        super().__init__(
            f"There is no snapshot of {path}: it could not be taken ({found}). {room}."
            if by_hand
            else f"Nothing was changed in {path}: the snapshot before the first change could not be taken ({found}). "
            f"{room}, or run without one (--no-backup)."
        )


class RehearsalFailed(HomieMigrationsError):
    """There could be no copy of the database to rehearse on. What fails in a rehearsal is told by the rehearsal."""

    code = "rehearsal_failed"

    def __init__(self, path: str, found: str) -> None:
        self.path, self.found = path, found
        super().__init__(
            f"Nothing was rehearsed: {path} could not be copied ({found}). "
            "Make room beside it, or give write access to its folder; the database was left as it is."
        )


class NotReplayable(HomieMigrationsError):
    """A migration fails on an empty database in memory, so what the packs make can't be told."""

    code = "not_replayable"

    def __init__(self, ref: str, found: str) -> None:
        self.ref, self.found = ref, found
        super().__init__(
            f"The schema can't be told: {ref} fails on an empty database ({found}). "
            "Correct it: on a new database it would fail in the same way."
        )


class CommitUnconfirmed(HomieMigrationsError):
    """A commit reported an error, and the file could not be asked whether it took effect."""

    code = "commit_unconfirmed"

    def __init__(self, path: str, ref: str, found: str) -> None:
        self.path, self.ref, self.found = path, ref, found
        super().__init__(
            f"It is not known whether {ref} was committed to {path}: {found}, and the file could not be read again. "
            "The database is at a migration boundary either way: `homie migrations status` tells which."
        )


class RunStopped(HomieMigrationsError):
    """`should_stop` said so: the running migration was undone, the ones before it stay."""

    code, exit_code = "run_stopped", 130

    def __init__(self, path: str, ref: str | None = None) -> None:
        self.path, self.ref = path, ref
        self.applied: tuple[Migration, ...] = ()
        undone = f"{ref} was undone" if ref else "nothing was begun"
        super().__init__(f"Stopped on request in {path}: {undone}. Run it again to go on.")


class DatabaseInterrupted(HomieMigrationsError):
    """A killed process left a journal behind; reading does not repair it, the next changing run does."""

    code = "database_interrupted"

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(
            f"{path} was not read: a process that changed it was interrupted and left a journal. "
            "The next `homie migrations apply` (or any program that writes to it) rolls that back by itself."
        )
