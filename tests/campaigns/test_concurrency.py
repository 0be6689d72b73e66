"""Many processes start at once on one file: each migration takes effect once, and nobody fails."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from helpers import python_migration, query, recorded, run_sql, write_pack

PROCESSES = 16
ROUNDS = 3


def raced_pack(folder: Path):
    """Four migrations that would fail, or show, if one of them took effect twice."""
    return write_pack(
        folder,
        "raced",
        {
            "001_log.py": python_migration(1, "conn.execute('CREATE TABLE log (what TEXT)')"),
            **{
                f"{n:03}_table.py": python_migration(
                    n, f"conn.execute('CREATE TABLE t{n} (a)')\nconn.execute('INSERT INTO log VALUES (?)', ({str(n)!r},))"
                )
                for n in (2, 3, 4)
            },
        },
    )


def start(database: Path, folder: Path, go: Path) -> list[subprocess.Popen]:
    command = [sys.executable, Path(__file__).parent / "starting.py", database, folder, go]
    return [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(PROCESSES)]


def assert_everything_happened_once(database: Path) -> None:
    assert recorded(database) == ["raced:001_log", "raced:002_table", "raced:003_table", "raced:004_table"]
    assert query(database, "SELECT what FROM log ORDER BY what") == [("2",), ("3",), ("4",)]
    assert query(database, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.slow
@pytest.mark.parametrize("journal_mode", ["new file", "delete", "wal"])
def test_sixteen_processes_at_once_apply_each_migration_once_and_none_fails(tmp_path, journal_mode):
    raced_pack(tmp_path / "pack")
    for number in range(ROUNDS):
        database, go = tmp_path / f"homie_{number}.db", tmp_path / f"go{number}"
        if journal_mode != "new file":
            run_sql(database, f"PRAGMA journal_mode = {journal_mode}; CREATE TABLE before (a); INSERT INTO before VALUES (1);")
        processes = start(database, tmp_path / "pack", go)
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        go.touch()
        answers = [process.communicate(timeout=120) for process in processes]
        assert [process.returncode for process in processes] == [0] * PROCESSES, [stderr for _, stderr in answers if stderr]
        applied = Counter(ref for stdout, _ in answers for ref in stdout.split())
        assert applied == Counter(recorded(database))
        assert_everything_happened_once(database)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
@pytest.mark.parametrize("journal_mode", ["new file", "wal"])
def test_processes_that_are_killed_meanwhile_leave_no_lock_and_nothing_half_done(tmp_path, journal_mode):
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    raced_pack(tmp_path / "pack")
    for number in range(ROUNDS):
        database, go = tmp_path / f"homie_{number}.db", tmp_path / f"go{number}"
        if journal_mode == "wal":
            run_sql(database, "PRAGMA journal_mode = wal; CREATE TABLE before (a);")
        processes = start(database, tmp_path / "pack", go)
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        go.touch()
        victims = chance.sample(processes, PROCESSES // 2)
        for victim in victims:
            time.sleep(chance.uniform(0, 0.01))
            victim.send_signal(signal.SIGKILL)
        answers = {process: process.communicate(timeout=120) for process in processes}
        survivors = [process for process in processes if process not in victims]
        assert [process.returncode for process in survivors] == [0] * len(survivors), [answers[each][1] for each in survivors]
        assert_everything_happened_once(database)
