"""A database to restore a snapshot into, and other connections that have it open."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import creates, query, run_sql, snapshot_folder, write_pack

from homie_migrations_core import MigrationPack
from homie_migrations_core.sqlite import snapshots
from homie_migrations_core.stopping import StopRequest

MODES = ("delete", "truncate", "persist", "wal")
SCHEMA = """
    CREATE TABLE t (a);
    CREATE TABLE parent (id INTEGER PRIMARY KEY);
    CREATE TABLE child (id INTEGER PRIMARY KEY, parent REFERENCES parent ON DELETE CASCADE);
    CREATE TABLE log (what TEXT);
    CREATE TRIGGER t_delete AFTER DELETE ON t BEGIN INSERT INTO log VALUES ('deleted ' || old.a); END;
    CREATE TRIGGER t_insert AFTER INSERT ON t BEGIN INSERT INTO log VALUES ('inserted ' || new.a); END;
    INSERT INTO t VALUES (1), (2), (3);
    INSERT INTO parent VALUES (1), (2);
    INSERT INTO child VALUES (1, 1), (2, 2), (3, 2);
"""
CHANGES = """
    PRAGMA foreign_keys=ON;
    DELETE FROM t WHERE a < 3; INSERT INTO t VALUES (4); DELETE FROM parent WHERE id = 2;
    CREATE TABLE more (a); INSERT INTO more VALUES (zeroblob(50000)); DROP TRIGGER t_delete;
"""


@pytest.fixture
def pack(tmp_path: Path) -> MigrationPack:
    return write_pack(tmp_path / "pack", "p", {"001_one.py": creates(1, "one"), "002_two.py": creates(2, "two")})


def database(path: Path, mode: str, script: str = SCHEMA) -> Path:
    """A database whose application uses that journal mode; truncate and persist leave a journal beside it."""
    path.parent.mkdir(exist_ok=True)
    run_sql(path, f"PRAGMA journal_mode={mode}; {script}")
    return path


@pytest.fixture(params=MODES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return database(tmp_path / "data" / "homie_p.db", request.param)


def content(path: Path) -> list[str]:
    """Everything in it; it is sound."""
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return list(connection.iterdump())
    finally:
        connection.close()


def journal_mode(path: Path) -> str:
    return query(path, "PRAGMA journal_mode")[0][0]


def in_backups(path: Path) -> list[Path]:
    folder = snapshot_folder(path)
    return sorted(folder.iterdir()) if folder.exists() else []


def begun(path: Path) -> Path:
    """A snapshot that a run took which was killed before it changed anything."""
    from datetime import UTC, datetime

    keeper = snapshots.Keeper(str(path), StopRequest(), lambda: datetime.now(UTC))
    keeper.take([])
    assert keeper.snapshot is not None
    return keeper.snapshot


# --- others who have it open --------------------------------------------------------------------------

SERVANT = """
import json, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=5)
cursor = None
for line in sys.stdin:
    what, sql = json.loads(line)
    if what == "begin":
        cursor = connection.execute(sql)
        answer = cursor.fetchone()
    elif what == "rest":
        answer, cursor = cursor.fetchall(), None
    else:
        answer = connection.execute(sql).fetchall()
    print(json.dumps(answer), flush=True)
connection.close()
"""


class InAnotherProcess:
    """A connection there."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVANT, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self._process.pid

    def _ask(self, what: str, sql: str = "") -> list:
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps([what, sql]), file=self._process.stdin, flush=True)
        return [tuple(row) if isinstance(row, list) else row for row in json.loads(self._process.stdout.readline())]

    def run(self, sql: str) -> list:
        return self._ask("run", sql)

    def begin(self, sql: str) -> tuple:
        """The first row of a SELECT that stays open."""
        return tuple(self._ask("begin", sql))

    def rest(self) -> list:
        return self._ask("rest")

    def close(self) -> None:
        self._process.communicate()


class InThisProcess:
    """A connection here."""

    pid = 0

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=5)

    def run(self, sql: str) -> list:
        return self._connection.execute(sql).fetchall()

    def begin(self, sql: str) -> tuple:
        self._cursor = self._connection.execute(sql)
        return self._cursor.fetchone()

    def rest(self) -> list:
        return self._cursor.fetchall()

    def close(self) -> None:
        self._connection.close()


Other = InAnotherProcess | InThisProcess


@pytest.fixture(params=[InAnotherProcess, InThisProcess])
def other(request: pytest.FixtureRequest, path: Path) -> Iterator[Other]:
    """Another connection that has it open."""
    somebody = request.param(path)
    yield somebody
    somebody.close()
