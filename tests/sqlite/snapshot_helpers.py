"""A database that a snapshot is taken of, and the content of its folder of snapshots."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from helpers import creates, python_migration, run_sql, snapshot_folder, write_pack

from homie_migrations_core import MigrationPack
from homie_migrations_core.model import Record
from homie_migrations_core.sqlite import snapshots
from homie_migrations_core.stopping import StopRequest

MODES = ("delete", "wal")
FAILS = python_migration(9, "conn.execute('CREATE TABLE half (a)')\nraise RuntimeError('no')")


@pytest.fixture(params=MODES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A database with one table and three rows, which nothing was applied to."""
    path = tmp_path / "data" / "homie_p.db"
    path.parent.mkdir()
    run_sql(path, f"PRAGMA journal_mode={request.param}; CREATE TABLE t (a); INSERT INTO t VALUES (1), (2), (3);")
    return path


@pytest.fixture
def pack(tmp_path: Path) -> MigrationPack:
    return write_pack(tmp_path / "pack", "p", {"001_one.py": creates(1, "one"), "002_two.py": creates(2, "two")})


def backups(path: Path) -> list[Path]:
    """What is in the folder beside the database, by name."""
    folder = snapshot_folder(path)
    return sorted(folder.iterdir()) if folder.exists() else []


def content(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def at(minute: int) -> datetime:
    """That many minutes after a certain time."""
    return datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)


def take(path: Path, *, minute: int = 0, kept: bool = True, records: tuple[Record, ...] = ()) -> Path:
    """A snapshot, as a run takes it, which is killed before its first commit unless it is `kept`."""
    keeper = snapshots.Keeper(str(path), StopRequest(), lambda: at(minute))
    keeper.take(records)
    if kept:
        keeper.keep()
    assert keeper.snapshot is not None
    return keeper.snapshot


def of_kind(path: Path, ending: str) -> list[Path]:
    return [each for each in backups(path) if each.name.endswith(ending)]
