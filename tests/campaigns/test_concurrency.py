"""Many processes run on one file at the same time: each migration takes effect once, and no process fails."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from campaigns.worker_pool import Worker, WorkerPool
from helpers import python_migration, query, recorded, run_sql, write_pack

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
AT_ONCE, ROUNDS = 16, 5
SEED = int(os.environ.get("HOMIE_KILLS_SEED", random.randrange(10**6)))
FILES = {
    f"{number:03}_step.py": python_migration(
        number,
        f"""
        conn.execute("CREATE TABLE made_{number} (a)")  # would fail twice
        conn.executescript("CREATE TABLE IF NOT EXISTS log (version INTEGER, process INTEGER)")
        conn.execute("INSERT INTO log VALUES ({number}, ?)", (__import__("os").getpid(),))
        conn.executemany("INSERT INTO made_{number} VALUES (?)", [(i,) for i in range(500)])
        """,
    )
    for number in range(1, 7)
}
VERSIONS = list(range(1, 7))


def prepared(path: Path, state: str) -> None:
    """Prepare a file: none, an empty one, or one with data, in one of the two journal modes."""
    mode, _, kind = state.partition(" ")
    if kind == "existing":
        run_sql(path, f"PRAGMA journal_mode={mode}; CREATE TABLE t (a); INSERT INTO t VALUES (1);")
    elif mode == "wal":
        run_sql(path, "PRAGMA journal_mode=wal;")


def assert_once_each(path: Path, workers: list[Worker]) -> None:
    """Assert that every migration took effect once, according to the tables, the log, the records and the workers."""
    assert [worker.error for worker in workers if worker.error] == []
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    assert query(path, "SELECT version FROM log ORDER BY version") == [(version,) for version in VERSIONS]
    assert recorded(path) == [f"p:{version:03}_step" for version in VERSIONS]
    applied = sorted(name for worker in workers for name in worker.applied)
    if not any(worker.killed for worker in workers):
        assert applied == [f"{version:03}_step" for version in VERSIONS]
    for version in VERSIONS:
        assert query(path, f"SELECT count(*) FROM made_{version}") == [(500,)]


STATES = ["delete new", "wal new", "delete existing", "wal existing"]


@needs_fork
@pytest.mark.slow
@pytest.mark.parametrize("state", STATES)
def test_with_many_processes_at_once_each_migration_takes_effect_once_and_no_process_fails(
    worker_pool: WorkerPool, tmp_path: Path, state: str
) -> None:
    pack = tmp_path / "pack"
    write_pack(pack, "p", FILES)
    for number in range(ROUNDS):
        path = tmp_path / f"round_{number}.db"
        prepared(path, state)
        workers = worker_pool.run(path, pack, kill_after=[None] * AT_ONCE, lock_timeout=60)
        assert_once_each(path, workers)
        names = [each.name for each in (tmp_path / "backups").glob(f"round_{number}.*/*")]
        assert any(name.endswith(".auto.db") for name in names) == state.endswith("existing")
        assert not any(name.endswith(".tmp") for name in names)


@needs_fork
@pytest.mark.slow
@pytest.mark.parametrize("state", STATES)
def test_killed_processes_do_not_change_that(worker_pool: WorkerPool, tmp_path: Path, state: str) -> None:
    print(f"HOMIE_KILLS_SEED={SEED}")
    chance = random.Random(SEED)
    pack = tmp_path / "pack"
    write_pack(pack, "p", FILES)
    prepared(tmp_path / "measured.db", state)
    unharmed = worker_pool.run(tmp_path / "measured.db", pack, kill_after=[None] * AT_ONCE, lock_timeout=60)
    longest, killed = max(worker.seconds for worker in unharmed), 0
    for number in range(ROUNDS):
        path = tmp_path / f"round_{number}.db"
        prepared(path, state)
        lives: list[float | None] = [chance.uniform(0, longest) if chance.random() < 0.7 else None for _ in range(AT_ONCE - 1)]
        workers = worker_pool.run(path, pack, kill_after=[None, *lives], lock_timeout=60)
        assert_once_each(path, workers)
        killed += sum(worker.killed for worker in workers)
    assert killed > ROUNDS


@needs_fork
@pytest.mark.slow
def test_every_process_reports_a_migration_that_fails(worker_pool: WorkerPool, tmp_path: Path) -> None:
    """No process fails because another one removed its own snapshot."""
    pack = tmp_path / "pack"
    write_pack(pack, "p", {"001_step.py": python_migration(1, "conn.execute('CREATE TABLE a (b)')\nraise ValueError('no')")})
    for number in range(ROUNDS):
        path = tmp_path / f"round_{number}.db"
        prepared(path, "delete existing")
        workers = worker_pool.run(path, pack, kill_after=[None] * AT_ONCE, lock_timeout=60)
        assert {(worker.error or "").partition(":")[0] for worker in workers} == {"MigrationFailed"}
        assert recorded(path) == []
        assert not (tmp_path / "backups").exists()
