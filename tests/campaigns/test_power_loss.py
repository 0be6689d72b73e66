"""
The power fails at a random moment of a run: the disk is at a migration boundary, and nothing acknowledged is lost.

Every system call of a run is recorded; for many moments of it disks are made up that hold what a disk may hold then.
The seed is printed; set HOMIE_POWER_SEED to draw the same disks again.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest
from campaigns import power
from campaigns.field import Field

WHY_NOT = power.why_not() if sys.platform == "linux" else "calls are recorded on Linux only"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))]

CUTS = int(os.environ.get("HOMIE_POWER_CUTS", "300"))
SEED = int(os.environ.get("HOMIE_POWER_SEED", random.randrange(10**6)))


class Count(Counter[str]):
    """What a campaign saw."""

    first_trouble = ""

    def trouble(self, what: str, how: str) -> None:
        self[what] += 1
        self.first_trouble = self.first_trouble or f"{what}, {how}"


def campaign(folder: Path, setting: str, cuts: int, chance: random.Random) -> Count:
    """Let the power fail at so many moments, and look at what is left."""
    mode, new = setting.split()[0], "new" in setting
    field = Field(folder, mode, new=new)
    field.begin_again()
    disk = power.Disk(field.folder)
    events = power.record(field.path, field.pack, setting, scratch=folder)
    begin = next(number for number, event in enumerate(events) if event.call == "said")
    moments = Counter(chance.randint(begin, len(events)) for _ in range(cuts - 1))
    moments[len(events)] += 1
    for number, event in enumerate(events):  # and once at each boundary, however short a random cut finds it
        moments[number + 1] += event.call == "said"
    found: set[int] = set()
    count = Count()
    for number in range(len(events) + 1):
        for _ in range(moments[number]):
            count["cuts"] += 1
            when = f"cut {count['cuts']} after {number} of {len(events)} calls"
            left = folder / "left"
            left.mkdir()
            disk.fail(chance, left)
            count["left a journal"] += any(
                each.suffix in (".db-journal", ".db-wal") and each.stat().st_size > 0 for each in left.iterdir()
            )
            try:
                there = field.judge(left, keeps=True)
            except Exception as error:  # what is read from a damaged file may be anything
                count.trouble("damaged", f"{when}: {type(error).__name__}: {error}")
            else:
                found.add(there)
                if there < disk.acknowledged:
                    count.trouble("acknowledged lost", f"{when}: {disk.acknowledged} were acknowledged, {there} are there")
            shutil.rmtree(left)
        if number < len(events):
            disk.happen(events[number])
    assert disk.acknowledged == field.last
    count["boundaries"] = len(found)
    return count


SETTINGS = ["delete", "wal", "wal in use", "delete new"]


@pytest.mark.parametrize("setting", SETTINGS)
def test_when_the_power_fails_the_database_is_at_a_boundary_and_what_was_acknowledged_is_there(
    ram: Path, setting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And wherever a step is committed, the snapshot of the state before it is there, and whole."""
    count = campaign(ram, setting, CUTS, random.Random(SEED))
    with capsys.disabled():
        print(f"\n{setting}: {dict(count)}, HOMIE_POWER_SEED={SEED}", file=sys.stderr)
    assert (count["damaged"], count["acknowledged lost"]) == (0, 0), count.first_trouble
    assert count["left a journal"] > CUTS // 20
    assert count["boundaries"] == (2 if "new" in setting else 9)


@pytest.mark.parametrize("setting", ["delete careless", "wal careless"])
def test_a_connection_that_does_not_sync_is_caught_by_the_same_campaign(
    ram: Path, setting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The control: with `synchronous=OFF` a disk like this is lost, so the campaign above could have found it."""
    count = campaign(ram, setting, CUTS // 3, random.Random(SEED))
    with capsys.disabled():
        print(f"\n{setting}: {dict(count)}, HOMIE_POWER_SEED={SEED}", file=sys.stderr)
    assert count["damaged"] > 0
    assert count["damaged"] + count["acknowledged lost"] > CUTS // 15
