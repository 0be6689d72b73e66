"""What the tests of baseline and repair share: packs that never run, locks, and what a database records."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers import python_migration, query, run_sql, snapshot_folder

from homie_migrations_core import MigrationPack

RUNS_NEVER = "raise AssertionError('a migration was run')"
BUSY = [
    pytest.param("delete", "BEGIN IMMEDIATE", id="a writer"),
    pytest.param("delete", "BEGIN EXCLUSIVE", id="a writer that lets nobody read"),
    pytest.param("wal", "BEGIN IMMEDIATE", id="a writer of a WAL"),
]

EDITED = python_migration(2, "conn.execute('SELECT 2')")


def rows(path: Path) -> list[tuple]:
    """The whole table of records."""
    return query(path, "SELECT * FROM schema_migrations ORDER BY pack, version")


def snapshots(path: Path) -> list[Path]:
    return sorted(snapshot_folder(path).glob("*")) if snapshot_folder(path).exists() else []


def refs(migrations) -> list[str]:
    return [each.ref for each in migrations]


@contextmanager
def held(path: Path, mode: str, sql: str) -> Iterator[sqlite3.Connection]:
    """Another program's connection, in the middle of something."""
    run_sql(path, f"PRAGMA journal_mode={mode}")
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute(sql)
    try:
        yield connection
    finally:
        connection.close()


def packs_of(make, *versions: int, **bodies: str) -> list[MigrationPack]:
    return [make(*versions, **bodies), make(1, name="q", database="homie_p.db")]
