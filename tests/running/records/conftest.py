"""Fixtures of the tests of baseline and repair: databases, and packs whose migrations must not run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import python_migration, run_sql, write_pack
from running.records.record_helpers import RUNS_NEVER

from homie_migrations_core import MigrationPack, MigrationRunner


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database whose tables the application made itself."""
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "homie_p.db"
    run_sql(path, "CREATE TABLE one (a); CREATE TABLE two (a); INSERT INTO one VALUES (1);")
    return path


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., MigrationPack]:
    """A folder pack of these versions; none of them can be run."""

    def make_pack(*versions: int, name: str = "p", database: str = "homie_p.db", **bodies: str) -> MigrationPack:
        files = {f"{each:03}_m{each}.py": python_migration(each, RUNS_NEVER, rollback=RUNS_NEVER) for each in versions}
        files |= {f"{key.removeprefix('m')}.py": content for key, content in bodies.items()}
        folder = tmp_path / "packs" / name
        for old in folder.glob("*.py"):
            old.unlink()
        return write_pack(folder, name, files, database=database)

    return make_pack


@pytest.fixture
def two(database: Path, make) -> Path:
    """A database in which two migrations of `p` and one of `q` are recorded."""
    packs = [make(1, 2), make(1, name="q", database="homie_p.db")]
    runner = MigrationRunner(database, packs, backup=False)
    runner.baseline("p", 2)
    runner.baseline("q", 1)
    run_sql(database, "UPDATE schema_migrations SET applied_at = '2020-01-02 03:04:05', duration_ms = 7, pack_version = '1.0'")
    return database
