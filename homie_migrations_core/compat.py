"""
The runner that Homie's backends have always called, for one folder of migrations.

A backend's `migration_runner.py` becomes a subclass of this `MigrationRunner` with two attributes. Very little is imported
while the database is up to date.
"""

from __future__ import annotations

import os

from homie_migrations_core.running.up_to_date import is_up_to_date

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar, TypedDict

    from homie_migrations_core.runner import MigrationRunner as _CoreRunner

    class Entry(TypedDict):
        """One migration in what `get_migration_status` returns."""

        version: int
        name: str

    class MigrationStatusDict(TypedDict):
        """What `get_migration_status` returns."""

        current_version: int
        applied_migrations: list[Entry]
        pending_migrations: list[Entry]


class MigrationRunner:
    """One database, and the one pack that the subclass names, whatever the name of the file."""

    pack_name: ClassVar[str]
    folder: ClassVar[str | os.PathLike[str]]
    """The folder of the pack's migrations."""
    package: ClassVar[str | None] = None
    """The same folder as a package, if it is one: for relative imports, and to record which release applied what."""

    def __init__(self, db_path: str | os.PathLike[str]) -> None:
        self.db_path = db_path

    def apply_migrations(self) -> int:
        """
        Bring the database up to date, and return the number of migrations that were applied.

        Raises:
            HomieMigrationsError: As `homie_migrations_core.MigrationRunner.apply`.
        """
        if is_up_to_date(os.path.abspath(os.fspath(self.db_path)), {self.pack_name: os.fspath(self.folder)}):
            return 0
        return len(self._runner().apply())

    def get_migration_status(self) -> MigrationStatusDict:
        """Return what is applied and what is pending. Changes nothing; a missing file is version 0 and stays missing."""
        status = self._runner().status().packs[self.pack_name]
        pending: list[Entry] = []
        applied: list[Entry] = []
        for migration in status.migrations:
            entries = pending if migration.state in ("pending", "late") else applied
            entries.append({"version": migration.version, "name": migration.name})
        return {"current_version": status.current_version, "applied_migrations": applied, "pending_migrations": pending}

    def _runner(self) -> _CoreRunner:
        from pathlib import Path

        from homie_migrations_core.packs.definition import MigrationPack
        from homie_migrations_core.runner import MigrationRunner as CoreRunner

        return CoreRunner(self.db_path, packs=[MigrationPack(self.pack_name, self.package or Path(self.folder))])
