"""
Kill a run at a random time: the database is at a migration boundary, and the next run continues from there.

The times are uniform over a run, whose migrations change more than SQLite's cache holds, so that unfinished work reaches
the file. The seed is printed; HOMIE_KILLS_SEED sets it, and HOMIE_KILLS the number of kills.
"""

from __future__ import annotations

import os
import random
import sqlite3
import sys
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import pytest
from campaigns.sample_database import MIGRATIONS, SampleDatabase
from campaigns.worker_pool import WorkerPool

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")]

KILLS = int(os.environ.get("HOMIE_KILLS", "200"))
SEED = int(os.environ.get("HOMIE_KILLS_SEED", random.randrange(10**6)))


@dataclass
class Count:
    """What a campaign counted."""

    kills: int = 0
    in_time: int = 0
    left_a_journal: int = 0
    off_a_boundary: int = 0
    acknowledged_lost: int = 0
    boundaries: set[int] = field(default_factory=set)
    first_problem: str = ""

    def problem(self, what: object) -> None:
        self.first_problem = self.first_problem or str(what)


def campaign(
    worker_pool: WorkerPool, sample: SampleDatabase, kills: int, chance: random.Random, *, journals: int = 0, **options: object
) -> Count:
    """
    Kill a run and let the next one finish it, `kills` times.

    On a busy machine few of the kills hit a transaction: there are up to four times as many until `journals` were left.
    """
    durations: deque[float] = deque(maxlen=9)  # of whole runs: how busy the machine is may change
    for _ in range(3):
        sample.reset()
        (worker,) = worker_pool.run(sample.path, sample.pack, backup=True, **options)
        assert worker.error is None
        durations.append(worker.seconds)
    count = Count()
    for number in range(4 * kills):
        if number >= kills and count.left_a_journal >= journals:
            break
        sample.reset()
        after, backup = chance.uniform(0, 1.1 * median(durations)), number % 2 == 0
        (worker,) = worker_pool.run(sample.path, sample.pack, kill_after=[after], backup=backup, **options)
        assert worker.error is None, worker.error
        if not worker.killed:
            durations.append(worker.seconds)
        count.kills += 1
        count.in_time += worker.killed
        count.left_a_journal += sample.has_open_journal()
        try:
            found = sample.examine(keeps=backup)
        except (AssertionError, sqlite3.Error) as error:
            count.off_a_boundary += 1
            count.problem(f"kill {number} after {after}: {error}")
            continue
        count.boundaries.add(found)
        if found < worker.acknowledged:
            count.acknowledged_lost += 1
            count.problem(f"kill {number} after {after}: {worker.acknowledged} were acknowledged, {found} are there")
        sample.backdate()
        (worker,) = worker_pool.run(sample.path, sample.pack, backup=backup, **options)
        assert worker.error is None, f"kill {number} after {after}: {worker.error}"
        assert sample.examine(keeps=backup and found < sample.last) == sample.last, f"kill {number} after {after}"
    return count


@pytest.mark.parametrize(("mode", "kills"), [("delete", KILLS), ("wal", KILLS), ("truncate", 60), ("persist", 60)])
def test_a_killed_run_leaves_a_migration_boundary_and_the_next_one_finishes(
    worker_pool: WorkerPool, memory_folder: Path, mode: str, kills: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Truncate and persist are no property of a file: for those the connection is one on which an application has set them."""
    asked = {"journal_mode": mode} if mode in ("truncate", "persist") else {}
    count = campaign(
        worker_pool,
        SampleDatabase(memory_folder, "wal" if mode == "wal" else "delete"),
        kills,
        random.Random(SEED),
        journals=kills // 20,
        **asked,
    )
    with capsys.disabled():
        print(
            f"\n{mode}: {count.kills} kills, {count.in_time} in time, {count.left_a_journal} left a journal, "
            f"{count.off_a_boundary} off a boundary, {count.acknowledged_lost} acknowledged lost (HOMIE_KILLS_SEED={SEED})",
            file=sys.stderr,
        )
    assert (count.off_a_boundary, count.acknowledged_lost) == (0, 0), count.first_problem
    assert len(count.boundaries) > 4  # it was killed in many places
    assert count.left_a_journal >= kills // 20  # and in the middle of a transaction


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_killed_run_of_one_transaction_leaves_nothing_or_all_of_it(
    worker_pool: WorkerPool, memory_folder: Path, mode: str
) -> None:
    print(f"{mode}: HOMIE_KILLS_SEED={SEED}")
    count = campaign(worker_pool, SampleDatabase(memory_folder, mode), 30, random.Random(SEED), all_or_nothing=True)
    assert (count.off_a_boundary, count.acknowledged_lost) == (0, 0), count.first_problem
    assert {0} <= count.boundaries <= {0, len(MIGRATIONS)}


def test_a_new_database_whose_making_is_killed_is_empty_or_whole(worker_pool: WorkerPool, memory_folder: Path) -> None:
    print(f"HOMIE_KILLS_SEED={SEED}")
    sample = SampleDatabase(memory_folder, "delete", new=True)
    count = campaign(worker_pool, sample, 50, random.Random(SEED))
    assert (count.off_a_boundary, count.acknowledged_lost) == (0, 0), count.first_problem
    assert {0} <= count.boundaries <= {0, len(MIGRATIONS)}
