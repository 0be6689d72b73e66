"""
Refusals: what a database, a pack or a person forbids, found before the first change. Exit code 1, or 3 for what is pending.
"""

from __future__ import annotations

from homie_migrations_core.errors.base import HomieMigrationsError, in_one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from homie_migrations_core.broken import BrokenPack
    from homie_migrations_core.model import LeftOut


class RunRefused(HomieMigrationsError):
    """
    A run was refused before its first change.

    `reasons` holds every reason. One reason is raised as its own class below; several are raised as this one.
    """

    code = "run_refused"

    def __init__(
        self, summary: str, problems: str | Sequence[str] = (), advice: str = "", *, reasons: Sequence[RunRefused] = ()
    ) -> None:
        self.reasons: tuple[RunRefused, ...] = tuple(reasons) or (self,)
        super().__init__(summary, problems, advice)

    @classmethod
    def for_all(cls, reasons: Sequence[RunRefused]) -> RunRefused:
        """Return the only reason as it is, or one error with all of them."""
        if len(reasons) == 1:
            return reasons[0]
        summaries = {each.summary for each in reasons}
        same = summaries.pop() if len(summaries) == 1 else ""
        problems = [in_one_line("; ".join(each.problems), (), each.advice) if same else str(each) for each in reasons]
        numbered = [f"({number}) {problem}" for number, problem in enumerate(problems, start=1)]
        refused = RunRefused(f"{same or 'Nothing was changed'}, for {len(reasons)} reasons", problems, reasons=reasons)
        refused.args = (f"{refused.summary}: {' '.join(numbered)}",)
        return refused


class DatabaseIsAhead(RunRefused):
    """The database holds migrations that the installed pack does not know yet."""

    code = "database_is_ahead"

    def __init__(self, path: str, pack: str, unknown: Sequence[str], latest: str) -> None:
        self.path, self.pack, self.unknown, self.latest = path, pack, tuple(unknown), latest
        super().__init__(
            f"Nothing was changed in {path}",
            f"it already holds {', '.join(unknown)}, and the installed pack {pack} ends at {latest}",
            "Install the pack's newer release, or restore the snapshot taken before the upgrade.",
        )


class MigrationReplaced(RunRefused):
    """A recorded version number now belongs to another migration."""

    code = "migration_replaced"

    def __init__(self, path: str, replaced: Sequence[tuple[str, str]], explained: Sequence[str] = ()) -> None:
        self.path, self.replaced, self.explained = path, tuple(replaced), tuple(explained)
        found = [f"{recorded} is recorded, but the pack now ships {shipped} with other code" for recorded, shipped in replaced]
        super().__init__(
            f"Nothing was changed in {path}",
            [*found, *explained],
            "A version number was used twice: give the new migration the next free number.",
        )


class MigrationLate(RunRefused):
    """A pending migration has a lower version than one that is already applied."""

    code = "migration_late"

    def __init__(self, path: str, late: Sequence[tuple[str, str]], explained: Sequence[str] = ()) -> None:
        self.path, self.late, self.explained = path, tuple(ref for ref, _ in late), tuple(explained)
        self.behind = tuple(late)
        found = [f"{ref} is pending although {newest} is applied" for ref, newest in late]
        super().__init__(
            f"Nothing was changed in {path}",
            [*found, *explained],
            "Give it a higher number, or, if the order makes no difference, apply it out of order with "
            "--allow-late (allow_late=True).",
        )


class ForeignTrackingTable(RunRefused):
    """The database has a `schema_migrations` table that another tool created."""

    code = "foreign_tracking_table"

    def __init__(self, path: str, found: str) -> None:
        self.path, self.found = path, found
        super().__init__(
            f"Nothing was changed in {path}",
            f"its table `schema_migrations` belongs to another tool ({found}; dbmate, golang-migrate and Rails use that name too)",
            "Use another file, or rename that table first.",
        )


class OwnerUnclear(RunRefused):
    """The tracking table has its earlier shape, and its rows cannot be assigned to one pack."""

    code = "owner_unclear"

    def __init__(self, path: str, found: str) -> None:
        self.path, self.found = path, found
        super().__init__(
            f"Nothing was changed in {path}",
            f"its tracking table `schema_migrations` has the earlier shape, without pack names, and {found}",
            "Name the pack that wrote it with --pack (packs=[...]).",
        )


class RollbackRefused(RunRefused):
    """A rollback that could not be completed was not started."""

    code = "rollback_refused"

    def __init__(self, path: str, found: Sequence[str], advice: str) -> None:
        self.path, self.found = path, tuple(found)
        super().__init__(f"Nothing was rolled back in {path}", self.found, advice)


class BaselineRefused(RunRefused):
    """Migrations could not be recorded as applied without being run."""

    code = "baseline_refused"

    def __init__(
        self, path: str, found: Sequence[str], advice: str = "Solve that first; `homie migrations status` shows the details."
    ) -> None:
        self.path, self.found = path, tuple(found)
        super().__init__(f"Nothing was recorded in {path}", self.found, advice)


class VersionUnclear(RunRefused):
    """The version of a database without records could not be determined."""

    code = "version_unclear"

    def __init__(self, path: str, pack: str, found: str | Sequence[str], advice: str) -> None:
        self.path, self.pack, self.found = path, pack, (found,) if isinstance(found, str) else tuple(found)
        super().__init__(f"Nothing was recorded in {path}", found, advice)


class ImportRefused(RunRefused):
    """A folder of another tool's migrations holds something that can't be imported; nothing was written."""

    code = "import_refused"

    def __init__(self, folder: str, found: Sequence[str]) -> None:
        self.folder, self.found = folder, tuple(found)
        super().__init__(
            f"Nothing was imported from {folder}",
            self.found,
            "Change that in a copy of the folder, and import the copy.",
        )


class RepairRefused(RunRefused):
    """The record that was to be repaired is in order."""

    code = "repair_refused"

    def __init__(self, path: str, ref: str) -> None:
        self.path, self.ref = path, ref
        super().__init__(
            f"Nothing was changed in {path}",
            f"the record of {ref} is in order",
            "To remove it anyway, so that the migration becomes pending again, add --remove (remove=True).",
        )


class PackBroken(HomieMigrationsError):
    """A pack that was needed cannot be used."""

    code = "pack_broken"

    def __init__(self, broken: Sequence[BrokenPack | LeftOut], *, done: str = "Nothing was applied") -> None:
        self.broken = tuple(broken)
        found = [f"{each.label}: {reason}" for each in broken for reason in each.reasons]
        super().__init__(done, found, "Repair the pack, or install another release of it.")


_LISTED = 5


class DatabaseNotCurrent(HomieMigrationsError):
    """
    Migrations are pending in a database that was required to be up to date.

    `pending` holds the ref of each, in the order in which they would be applied. `exists` is False for a missing file.
    """

    code = "database_not_current"
    exit_code = 3

    def __init__(self, path: str, pending: Sequence[str], *, exists: bool = True) -> None:
        self.path, self.pending, self.exists = path, tuple(pending), exists
        listed, more = self.pending[:_LISTED], len(self.pending) - _LISTED
        super().__init__(
            f"{path} is not up to date",
            f"{'' if exists else 'there is no such file; '}pending: {', '.join(listed)}{f' and {more} more' if more > 0 else ''}",
            f"{'' if exists else 'Check the path. '}Apply them first, with `homie migrations apply` or `run_migrations`.",
        )


class ConfirmationDenied(HomieMigrationsError):
    """The question was not answered with yes."""

    code = "confirmation_denied"

    def __init__(self, question: str) -> None:
        self.question = question
        super().__init__("Nothing was done", f"{question} was not confirmed")
