"""
Cut the power at random points of a run: the database is at a migration boundary, and no acknowledged migration is lost.

Every system call of a run is recorded, and for many points of it a disk is built that holds what a disk may hold then.
The seed is printed; HOMIE_POWER_SEED sets it, and HOMIE_POWER_CUTS the number of power cuts.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest
from campaigns import simulated_disk
from campaigns.sample_database import SampleDatabase

NOT_RECORDABLE = simulated_disk.reason_not_to_record() if sys.platform == "linux" else "calls are recorded on Linux only"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(NOT_RECORDABLE is not None, reason=str(NOT_RECORDABLE))]

CUTS = int(os.environ.get("HOMIE_POWER_CUTS", "300"))
SEED = int(os.environ.get("HOMIE_POWER_SEED", random.randrange(10**6)))


class Count(Counter[str]):
    """What a campaign counted."""

    first_problem = ""

    def problem(self, what: str, how: str) -> None:
        self[what] += 1
        self.first_problem = self.first_problem or f"{what}, {how}"


def campaign(folder: Path, setting: str, cuts: int, chance: random.Random) -> Count:
    """Cut the power at `cuts` random points and at each boundary, and examine what is left."""
    mode, new = setting.split()[0], "new" in setting
    sample = SampleDatabase(folder, mode, new=new)
    sample.reset()
    disk = simulated_disk.Disk(sample.folder)
    events = simulated_disk.record(sample.path, sample.pack, setting, scratch=folder)
    begin = next(number for number, event in enumerate(events) if event.call == "said")
    moments = Counter(chance.randint(begin, len(events)) for _ in range(cuts - 1))
    moments[len(events)] += 1
    for number, event in enumerate(events):  # and once at each boundary, which a random cut may miss
        moments[number + 1] += event.call == "said"
    found: set[int] = set()
    count = Count()
    for number in range(len(events) + 1):
        for _ in range(moments[number]):
            count["cuts"] += 1
            when = f"cut {count['cuts']} after {number} of {len(events)} calls"
            left = folder / "left"
            left.mkdir()
            disk.lose_power(chance, left)
            count["left a journal"] += any(
                each.suffix in (".db-journal", ".db-wal") and each.stat().st_size > 0 for each in left.iterdir()
            )
            try:
                there = sample.examine_folder(left, keeps=True)
            except Exception as error:  # reading a damaged file may raise anything
                count.problem("damaged", f"{when}: {type(error).__name__}: {error}")
            else:
                found.add(there)
                if there < disk.acknowledged:
                    count.problem("acknowledged lost", f"{when}: {disk.acknowledged} were acknowledged, {there} are there")
            shutil.rmtree(left)
        if number < len(events):
            disk.carry_out(events[number])
    assert disk.acknowledged == sample.last
    count["boundaries"] = len(found)
    return count


SETTINGS = ["delete", "wal", "wal in use", "delete new"]


@pytest.mark.parametrize("setting", SETTINGS)
def test_when_the_power_fails_the_database_is_at_a_boundary_and_what_was_acknowledged_is_there(
    memory_folder: Path, setting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a step is committed, the snapshot of the state before it is complete."""
    count = campaign(memory_folder, setting, CUTS, random.Random(SEED))
    with capsys.disabled():
        print(f"\n{setting}: {dict(count)}, HOMIE_POWER_SEED={SEED}", file=sys.stderr)
    assert (count["damaged"], count["acknowledged lost"]) == (0, 0), count.first_problem
    assert count["left a journal"] > CUTS // 20
    assert count["boundaries"] == (2 if "new" in setting else 9)


@pytest.mark.parametrize("setting", ["delete careless", "wal careless"])
def test_a_connection_that_does_not_sync_is_caught_by_the_same_campaign(
    memory_folder: Path, setting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The control: the simulation finds the damage of `synchronous=OFF`, so it would have found it above."""
    chance = random.Random(SEED)
    count = Count()
    for attempt in range(4):  # few of the cuts damage a file, so one attempt may find none
        (folder := memory_folder / str(attempt)).mkdir()
        count = campaign(folder, setting, CUTS // 3, chance)
        if count["damaged"]:
            break
    with capsys.disabled():
        print(f"\n{setting}: {dict(count)}, HOMIE_POWER_SEED={SEED}", file=sys.stderr)
    assert count["damaged"] > 0
    assert count["damaged"] + count["acknowledged lost"] > CUTS // 15
