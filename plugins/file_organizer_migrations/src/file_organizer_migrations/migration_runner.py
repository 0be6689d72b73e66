"""
The calls that Homie's file organizer has always made, bound to this pack whatever the database file's name is.

Reads no entry point, and imports very little while the database is up to date.
"""

from __future__ import annotations

import os

from homie_migrations_core import compat


class MigrationRunner(compat.MigrationRunner):
    """One database file, and the file organizer's migrations."""

    pack_name = "file_organizer"
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "migrations")
    package = "file_organizer_migrations.migrations"


def run_migrations(db_path: str | os.PathLike[str]) -> int:
    """
    Bring the database up to date, and return the number of migrations that were applied.

    Raises:
        HomieMigrationsError: A migration failed or was refused; what failed left nothing behind.
    """
    return MigrationRunner(db_path).apply_migrations()
