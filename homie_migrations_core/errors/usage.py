"""
Errors of usage and environment: nothing was created, changed or lost. Exit code 2.
"""

from __future__ import annotations

from homie_migrations_core.errors.base import HomieMigrationsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class UsageProblem(HomieMigrationsError):
    """The call or the environment does not fit; nothing was created, changed or lost."""

    code, exit_code = "usage", 2


class UnknownPack(UsageProblem):
    """The named pack is not installed, or is not for this database."""

    code = "unknown_pack"

    def __init__(self, name: str, known: Iterable[str], *, for_database: bool = False) -> None:
        self.name, self.known, self.for_database = name, tuple(sorted(known)), for_database
        if self.known:
            have = f"the {'packs for this database' if for_database else 'installed packs'} are {', '.join(self.known)}"
        else:
            have = "there is no pack for this database" if for_database else "no pack is installed"
        super().__init__(
            "Nothing was done",
            f"there is no pack {name!r}; {have}",
            "Check the spelling, or install the distribution that provides it (`homie migrations packs` lists what is installed).",
        )


class UnknownTarget(UsageProblem):
    """A reference that names no migration of these packs, or that is not a valid reference."""

    code = "unknown_target"

    def __init__(self, ref: str, found: str, advice: str) -> None:
        self.ref, self.found = ref, found
        super().__init__("Nothing was done", f"{ref!r} does not name a migration: {found}", advice)

    @classmethod
    def not_a_reference(cls, ref: str, advice: str = "`homie migrations status --all` lists every migration.") -> UnknownTarget:
        """Return the error for a text that does not have the form of a reference."""
        error = cls(ref, "it is not a valid reference (expected e.g. 'pack:3')", advice)
        UsageProblem.__init__(error, error.summary, f"{ref!r} is not a valid reference (expected e.g. 'pack:3')", advice)
        return error


class PackNotChosen(UsageProblem):
    """The file name does not say which packs are meant."""

    code = "pack_not_chosen"

    def __init__(self, path: str, found: str, candidates: Iterable[str]) -> None:
        self.path, self.found, self.candidates = path, found, tuple(sorted(candidates))
        options = " or ".join(f"`--pack {each}`" for each in self.candidates or ("NAME",))
        super().__init__(f"Nothing was changed in {path}", found, f"Choose a pack with {options}.")


class PackInvalid(UsageProblem):
    """A `MigrationPack` was created with an unusable name, database or location."""

    code = "pack_invalid"

    def __init__(self, found: str, advice: str) -> None:
        self.found = found
        super().__init__("This is not a valid migration pack", found, advice)


class NothingInstalled(UsageProblem):
    """A command needs a pack, and none is installed."""

    code = "nothing_installed"

    def __init__(self) -> None:
        super().__init__(
            "Nothing was done",
            "no installed distribution registers migrations (entry point group `homie.migrations`)",
            "Install a pack into this Python environment, or name a folder of migrations with `--dir` and `--database`.",
        )


class DatabaseUnusable(UsageProblem):
    """The file cannot be used as a database; it was not changed."""

    code = "database_unusable"

    def __init__(self, path: str, found: str, advice: str) -> None:
        self.path, self.found = path, found
        super().__init__(f"Nothing was changed in {path}", found, advice)


class NotADatabase(DatabaseUnusable):
    """The file is not an SQLite database, or it is encrypted."""

    code = "not_a_database"

    def __init__(self, path: str, advice: str = "Check the path.") -> None:
        super().__init__(path, "it is not an SQLite database, or it is encrypted", advice)


class DatabaseDamaged(DatabaseUnusable):
    """SQLite found the file damaged."""

    code = "database_damaged"

    def __init__(
        self, path: str, found: str, advice: str = "Restore a snapshot from the `backups` folder beside the database."
    ) -> None:
        super().__init__(path, f"SQLite finds it damaged ({found})", advice)


class DatabaseNotReachable(DatabaseUnusable):
    """The file, or the folder it should be in, cannot be opened."""

    code = "database_not_reachable"


class DatabaseNotWritable(DatabaseUnusable):
    """The file, or the folder it is in, cannot be written."""

    code = "database_not_writable"


class NewerSQLiteNeeded(DatabaseUnusable):
    """The file uses a feature that is newer than the SQLite of this Python."""

    code = "newer_sqlite_needed"

    def __init__(self, path: str, found: str, version: str) -> None:
        super().__init__(
            path,
            f"its format or schema needs a newer SQLite than {version} ({found})",
            "Use a Python with a newer SQLite. The file is not damaged.",
        )


class SnapshotUnusable(UsageProblem):
    """The file to restore from is not a usable snapshot; the database was not changed."""

    code = "snapshot_unusable"

    def __init__(self, path: str, found: str) -> None:
        self.path, self.found = path, found
        super().__init__(
            f"Nothing was restored from {path}", found, "Choose another snapshot (`homie migrations backups` lists them)."
        )


class FolderUnusable(UsageProblem):
    """A path that should be a folder does not exist, or is something else."""

    code = "folder_unusable"

    def __init__(self, path: str, found: str, advice: str) -> None:
        self.path, self.found = path, found
        super().__init__("Nothing was done", f"{path} {found}", advice)


class NobodyToAsk(UsageProblem):
    """A confirmation is needed, and there is no terminal to ask on."""

    code = "nobody_to_ask"

    def __init__(self, question: str) -> None:
        self.question = question
        super().__init__(
            "Nothing was done",
            f"{question} needs a confirmation, and there is no terminal to ask on",
            "Run it in a terminal, or add --yes.",
        )


class NotCreated(UsageProblem):
    """A file or folder for the author of a pack could not be written; nothing was changed."""

    code = "not_created"

    def __init__(self, found: str, advice: str) -> None:
        self.found = found
        super().__init__("Nothing was written", found, advice)


class ReportUnusable(UsageProblem):
    """A file that should be the report of a fleet holds something else."""

    code = "report_unusable"

    def __init__(self, path: str) -> None:
        self.path = path
        advice = "Name a file that --report wrote; --report also takes a new one."
        super().__init__("Nothing was done", f"{path} is not the report of a fleet", advice)
