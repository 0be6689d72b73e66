"""Fleets for tests: a pack that makes two tables and writes down each time it ran, and databases that hold something."""

from __future__ import annotations

import sqlite3
from concurrent.futures import Executor, Future
from contextlib import closing
from pathlib import Path

from helpers import creates, python_migration, write_pack

from homie_migrations_core import MigrationPack

REFS = ("tenant:001_one", "tenant:002_two")


def tenant_pack(folder: Path, second: str = "") -> MigrationPack:
    """A pack of two migrations; `second` is the body of the second one, beside what makes its table."""
    body = f"conn.execute('CREATE TABLE two (id INTEGER PRIMARY KEY)')\n{second}"
    files = {"001_one.py": creates(1, "one"), "002_two.py": python_migration(2, body)}
    return write_pack(folder / "tenant", "tenant", files)


def tenants(folder: Path, number: int) -> list[Path]:
    """Databases that hold a table of their own."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{each:05}.db" for each in range(number)]
    for path in paths:
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript("PRAGMA synchronous=OFF; CREATE TABLE own (a); INSERT INTO own VALUES (1);")
    return paths


def applied_times(path: Path) -> list[tuple[str, int]]:
    """What the database records, and how often."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            "SELECT pack || ':' || migration_name, count(*) FROM schema_migrations GROUP BY 1 ORDER BY 1"
        ).fetchall()


class InProcess(Executor):
    """An executor that does each task where it is submitted."""

    _max_workers = 1

    def submit(self, fn, /, *args, **kwargs):
        future: Future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future
