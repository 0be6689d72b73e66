"""The packs and databases that the benchmarks use, and the check that a measured run has done its work."""

from __future__ import annotations

import gc
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from benchmarks.measuring import CommandFailed
from homie_migrations_core import MigrationPack

_MIGRATION = '''"""{version:03}: the table items_{version}."""

import sqlite3


def get_migration_version() -> int:
    return {version}


def apply_migration(conn: sqlite3.Connection) -> None:
    conn.execute("{sql}")


def rollback_migration(conn: sqlite3.Connection) -> None:
    conn.execute("DROP TABLE items_{version}")
'''

EARLIER_TABLE = """CREATE TABLE schema_migrations (
    version INTEGER PRIMARY KEY,
    applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    migration_name TEXT NOT NULL
)"""


def name_of(version: int) -> str:
    """Return the name of a migration."""
    return f"{version:03}_items_{version}"


def sql_of(version: int) -> str:
    """Return the only statement of a migration."""
    return f"CREATE TABLE items_{version} (id INTEGER PRIMARY KEY, text TEXT)"


def make_pack(folder: Path, migrations: int) -> MigrationPack:
    """Write a folder pack in which each migration creates one table."""
    folder.mkdir()
    for version in range(1, migrations + 1):
        source = _MIGRATION.format(version=version, sql=sql_of(version))
        (folder / f"{name_of(version)}.py").write_text(source, encoding="utf-8")
    return MigrationPack(name="items", migrations=folder)


def make_sql_pack(folder: Path, migrations: int) -> MigrationPack:
    """Write a folder pack of the same migrations as SQL scripts, each with its rollback script."""
    folder.mkdir()
    for version in range(1, migrations + 1):
        apply = f"-- {version:03}: the table items_{version}.\n{sql_of(version)};\n"
        (folder / f"{name_of(version)}.sql").write_text(apply, encoding="utf-8")
        (folder / f"{name_of(version)}.rollback.sql").write_text(f"DROP TABLE items_{version};\n", encoding="utf-8")
    return MigrationPack(name="items", migrations=folder)


class FreshDatabases:
    """Measures work on a new database each time, on the disk of the temporary folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._made = folder, 0
        folder.mkdir()

    def timed(
        self, work: Callable[[str], object], *, journal_mode: str = "delete", holds_a_table: bool = True, records: int | None = None
    ) -> Callable[[], float]:
        """
        Return what measures `work(path)`, without creating and deleting its database.

        With `records`, the database must hold that many of them afterwards.
        """

        def run() -> float:
            self._made += 1
            folder = self._folder / str(self._made)
            folder.mkdir()
            path = str(folder / "homie_items.db")
            if journal_mode != "delete" or holds_a_table:
                with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                    connection.execute(f"PRAGMA journal_mode={journal_mode}")
                    if holds_a_table:
                        connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
                        connection.execute("CREATE INDEX notes_by_text ON notes (text)")
                        connection.execute("INSERT INTO notes (text) VALUES ('kept')")
                settle(path)
            if hasattr(os, "sync"):
                os.sync()  # otherwise this run waits for what the one before left to write
            gc.collect()
            started = time.perf_counter()
            work(path)
            seconds = time.perf_counter() - started
            if records is not None and count_records(path) != records:
                raise CommandFailed(f"{count_records(path)} records instead of {records}")
            shutil.rmtree(folder)
            return seconds

        return run


def settle(path: str | os.PathLike[str]) -> None:
    """
    Make a database look as if it was written a while ago.

    The library waits for a moment before it reads a database in WAL mode that was written just now, because two writes within the
    resolution of the file system's clock look like one. A database is seldom so fresh, but one that was made to be measured is.
    """
    earlier = time.time() - 60
    os.utime(path, (earlier, earlier))


def count_records(path: str) -> int:
    """Return how many migrations are recorded in the database."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM schema_migrations").fetchone()[0])
