"""
Every call of a run fails in turn, or ends the process, until one run completes. Nothing is random, so there is no seed.

A call is a statement of the runner, a connection, a step of a copy, or a system call that makes the snapshot.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from campaigns.sample_database import FEW, SampleDatabase
from campaigns.worker_pool import Worker, WorkerPool

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")]


def database_that_begins(beginning: str, folder: Path, worker_pool: WorkerPool) -> SampleDatabase:
    """Return a database in one of the two modes, or one with a journal that a killed process left and that must be rolled back."""
    sample = SampleDatabase(folder, "wal" if beginning == "wal" else "delete", migrations=FEW)
    sample.reset()
    if beginning == "interrupted":
        for at in range(1, 200):
            sample.reset()
            (worker,) = worker_pool.run(sample.path, sample.pack, fault={"at": at, "exits": True, "after": False}, backup=False)
            assert worker.killed, "no run has left a journal"
            if sample.has_open_journal():
                break
        sample.reset_to_this_from_now_on()
    return sample


def run_with_fault(worker_pool: WorkerPool, sample: SampleDatabase, at: int, **how: object) -> Worker:
    sample.reset()
    (worker,) = worker_pool.run(sample.path, sample.pack, fault={"at": at, **how})
    return worker


def assert_next_run_finishes(worker_pool: WorkerPool, sample: SampleDatabase, where: str) -> None:
    """Assert that the next ordinary run completes the plan and leaves no temporary file."""
    sample.backdate()
    (worker,) = worker_pool.run(sample.path, sample.pack)
    assert worker.error is None, f"{where}: the next run said {worker.error}"
    assert sample.examine() == sample.last, where
    assert not list(sample.folder.rglob("*.tmp")), where


def rest_is_known(beginning: str, found: int) -> bool:
    """Return whether the rest is the same as for a database that was not interrupted."""
    return beginning == "interrupted" and found > 0


@pytest.mark.parametrize("beginning", ["delete", "wal", "interrupted"])
def test_whichever_call_ends_the_process_the_next_run_finishes(
    worker_pool: WorkerPool, memory_folder: Path, beginning: str
) -> None:
    """The process ends before each call in turn; after one call is before the next."""
    sample = database_that_begins(beginning, memory_folder, worker_pool)
    seen = set()
    for at in range(1, 1_000):
        worker = run_with_fault(worker_pool, sample, at, exits=True, after=False)
        where = f"call {at}"
        assert worker.error is None, where
        found = sample.examine(keeps=True)
        seen.add(found)
        assert found >= worker.acknowledged, where
        if not worker.killed or rest_is_known(beginning, found):
            break
        if found < sample.last and at % 3 == 0:
            assert_next_run_finishes(worker_pool, sample, where)
    print(f"{at} calls")
    assert at > 50
    assert seen == set(range(2 if beginning == "interrupted" else sample.last + 1))


@pytest.mark.parametrize(
    ("beginning", "after"),
    [("delete", False), ("delete", True), ("wal", False), ("wal", True), ("interrupted", False)],
)
def test_whichever_call_fails_it_is_an_error_of_this_library_and_the_next_run_finishes(
    worker_pool: WorkerPool, memory_folder: Path, beginning: str, after: bool
) -> None:
    """The call fails before it takes effect, or after it, so that the failure is a false one."""
    sample = database_that_begins(beginning, memory_folder, worker_pool)
    seen, bare = set(), []
    for at in range(1, 1_000):
        worker = run_with_fault(worker_pool, sample, at, exits=False, after=after)
        if worker.failed_call is None:
            break
        where = f"call {at}, {worker.failed_call!r}: {worker.error}"
        found = sample.examine(keeps=True)
        seen.add(found)
        assert found >= worker.acknowledged, where
        if worker.error is None:
            assert (found, worker.acknowledged) == (sample.last, sample.last), where
        elif worker.code is None:
            bare.append(where)
        if rest_is_known(beginning, found) and found < sample.last:
            break
        if found < sample.last and at % 3 == 0:
            assert_next_run_finishes(worker_pool, sample, where)
    print(f"{at} calls")
    assert at > 50
    assert not bare, "\n".join(bare)
    assert seen >= ({1} if beginning == "interrupted" else set(range(sample.last + 1)))


def test_a_failure_between_two_steps_does_not_claim_that_nothing_was_done(worker_pool: WorkerPool, memory_folder: Path) -> None:
    """The first step is committed and stays; then the disk fails while the second one takes its lock."""
    sample = database_that_begins("delete", memory_folder, worker_pool)
    worker = run_with_fault(worker_pool, sample, 2, exits=False, after=False, only="BEGIN IMMEDIATE")
    assert (sample.examine(keeps=True), worker.acknowledged) == (1, 1)
    assert worker.code is not None
    assert "Nothing was done" not in str(worker.error)
    assert "left as it is" not in str(worker.error)


@pytest.mark.parametrize(("check", "at"), [("foreign_key_check", 3), ("EXPLAIN", 1)])
def test_a_disk_that_fails_while_a_step_is_checked_is_not_called_a_fault_of_the_migration(
    worker_pool: WorkerPool, memory_folder: Path, check: str, at: int
) -> None:
    sample = SampleDatabase(memory_folder, "delete")
    worker = run_with_fault(worker_pool, sample, at, exits=False, after=False, only=check)
    assert sample.examine(keeps=True) == worker.acknowledged < sample.last
    assert "disk I/O error" in str(worker.error)
    assert worker.code not in ("foreign_keys_violated", "schema_left_broken"), worker.error
