"""What a run costs beside its migrations, in numbers that no load moves."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from helpers import creates, run_sql, write_pack

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.database_view import DatabaseView


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "homie_p.db"
    run_sql(path, "CREATE TABLE t (a); INSERT INTO t VALUES (1);")
    return path


@pytest.fixture
def pack(tmp_path: Path) -> MigrationPack:
    return write_pack(tmp_path / "pack", "p", {"001_one.py": creates(1, "one"), "002_two.py": creates(2, "two")})


@pytest.mark.parametrize(("backup", "connections"), [(False, 4), (True, 6)])
def test_a_run_opens_few_connections(
    database: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch, backup: bool, connections: int
) -> None:
    """Two to read, one to write, one to notice commits; with a snapshot one to write it and one to check it."""
    opened, connect = [], sqlite3.connect

    def counted(name: str, *args: Any, **options: Any) -> sqlite3.Connection:
        opened.append(name)
        return connect(name, *args, **options)

    monkeypatch.setattr(sqlite3, "connect", counted)
    assert len(MigrationRunner(database, [pack], backup=backup).apply()) == 2
    assert len(opened) == connections


def test_the_plan_is_made_once_if_the_records_are_the_same_under_the_write_lock(
    database: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, plan = [], DatabaseView.plan_apply

    def counted(*args: Any, **options: Any) -> Any:
        made.append(args)
        return plan(*args, **options)

    monkeypatch.setattr(DatabaseView, "plan_apply", counted)
    assert len(MigrationRunner(database, [pack]).apply()) == 2
    assert len(made) == 1
