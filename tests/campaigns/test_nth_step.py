"""
Every single thing that a run does fails in turn, or is the last one it does: nothing random, until one run gets through.

A thing is a statement of the runner, a connection, a step of the copy, or a call of the system that makes the snapshot.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from campaigns.crew import Crew, Worker
from campaigns.field import FEW, Field

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")]


def field_of(beginning: str, folder: Path, crew: Crew) -> Field:
    """A database in one of the two modes, or one that a killed process left with a journal that must be rolled back."""
    field = Field(folder, "wal" if beginning == "wal" else "delete", migrations=FEW)
    field.begin_again()
    if beginning == "interrupted":
        for at in range(1, 200):
            field.begin_again()
            (worker,) = crew.run(field.path, field.pack, fault={"at": at, "exits": True, "after": False}, backup=False)
            assert worker.killed, "it has never left a journal"
            if field.interrupted():
                break
        field.begin_like_this()
    return field


def strike(crew: Crew, field: Field, at: int, **how: object) -> Worker:
    field.begin_again()
    (worker,) = crew.run(field.path, field.pack, fault={"at": at, **how})
    return worker


def finish(crew: Crew, field: Field, where: str) -> None:
    """The next ordinary run goes on from there to the end, and leaves nothing half."""
    field.grow_old()
    (worker,) = crew.run(field.path, field.pack)
    assert worker.error is None, f"{where}: the next run said {worker.error}"
    assert field.examine() == field.last, where
    assert not list(field.folder.rglob("*.tmp")), where


def enough(beginning: str, found: int) -> bool:
    """What comes after its first step is the same for a database that was interrupted before it."""
    return beginning == "interrupted" and found > 0


@pytest.mark.parametrize("beginning", ["delete", "wal", "interrupted"])
def test_whatever_is_the_last_thing_that_a_run_does_the_next_one_finishes_it(crew: Crew, ram: Path, beginning: str) -> None:
    """Before each in turn; after one of them is before the next."""
    field = field_of(beginning, ram, crew)
    seen = set()
    for at in range(1, 1_000):
        worker = strike(crew, field, at, exits=True, after=False)
        where = f"moment {at}"
        assert worker.error is None, where
        found = field.examine(keeps=True)
        seen.add(found)
        assert found >= worker.acknowledged, where
        if not worker.killed or enough(beginning, found):
            break
        if found < field.last and at % 3 == 0:
            finish(crew, field, where)
    print(f"{at} moments")
    assert at > 50
    assert seen == set(range(2 if beginning == "interrupted" else field.last + 1))


@pytest.mark.parametrize(
    ("beginning", "after"),
    [("delete", False), ("delete", True), ("wal", False), ("wal", True), ("interrupted", False)],
)
def test_whatever_fails_in_a_run_is_an_error_of_this_library_and_the_next_one_finishes_it(
    crew: Crew, ram: Path, beginning: str, after: bool
) -> None:
    """Before it took effect, or after, so that whoever asked hears of a failure that was none."""
    field = field_of(beginning, ram, crew)
    seen, bare = set(), []
    for at in range(1, 1_000):
        worker = strike(crew, field, at, exits=False, after=after)
        if worker.struck is None:
            break
        where = f"moment {at}, {worker.struck!r}: {worker.error}"
        found = field.examine(keeps=True)
        seen.add(found)
        assert found >= worker.acknowledged, where
        if worker.error is None:
            assert (found, worker.acknowledged) == (field.last, field.last), where
        elif worker.code is None:
            bare.append(where)
        if enough(beginning, found) and found < field.last:
            break
        if found < field.last and at % 3 == 0:
            finish(crew, field, where)
    print(f"{at} moments")
    assert at > 50
    assert not bare, "\n".join(bare)
    assert seen >= ({1} if beginning == "interrupted" else set(range(field.last + 1)))


def test_a_failure_between_two_steps_does_not_claim_that_nothing_was_done(crew: Crew, ram: Path) -> None:
    """The first step is committed, and stays; then the disk is in the way of the second one's lock."""
    field = field_of("delete", ram, crew)
    worker = strike(crew, field, 2, exits=False, after=False, only="BEGIN IMMEDIATE")
    assert (field.examine(keeps=True), worker.acknowledged) == (1, 1)
    assert worker.code is not None
    assert "Nothing was done" not in str(worker.error)
    assert "left as it is" not in str(worker.error)


@pytest.mark.parametrize(("check", "at"), [("foreign_key_check", 3), ("EXPLAIN", 1)])
def test_a_disk_that_fails_while_a_step_is_checked_is_not_called_a_fault_of_the_migration(
    crew: Crew, ram: Path, check: str, at: int
) -> None:
    field = Field(ram, "delete")
    worker = strike(crew, field, at, exits=False, after=False, only=check)
    assert field.examine(keeps=True) == worker.acknowledged < field.last
    assert "disk I/O error" in str(worker.error)
    assert worker.code not in ("foreign_keys_violated", "schema_left_broken"), worker.error
