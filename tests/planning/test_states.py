"""The state of each migration."""

from __future__ import annotations

import pytest
from planning.builders import migration, pack_of, row

from homie_migrations_core.planning.states import find_late, is_recorded, migration_states, recorded_states

STATES = {
    "shipped and not recorded is pending": (
        pack_of("a", 1, 2),
        [],
        [("a:001_m1", "pending"), ("a:002_m2", "pending")],
    ),
    "shipped and recorded is applied": (
        pack_of("a", 1, 2),
        [row("a", 1)],
        [("a:001_m1", "applied"), ("a:002_m2", "pending")],
    ),
    "pending below an applied one is late": (
        pack_of("a", 1, 2, 3, 4),
        [row("a", 1), row("a", 3)],
        [("a:001_m1", "applied"), ("a:002_m2", "late"), ("a:003_m3", "applied"), ("a:004_m4", "pending")],
    ),
    "pending below one that is ahead is late": (
        pack_of("a", 1),
        [row("a", 5)],
        [("a:001_m1", "late"), ("a:005_m5", "ahead")],
    ),
    "pending below one that is missing is late": (
        pack_of("a", 1, 3),
        [row("a", 2)],
        [("a:001_m1", "late"), ("a:002_m2", "missing"), ("a:003_m3", "pending")],
    ),
    "other code under the same name is edited": (
        pack_of("a", 1),
        [row("a", 1, checksum="other")],
        [("a:001_m1", "edited")],
    ),
    "other code under another name is replaced, and named as it is recorded": (
        pack_of("a", 1),
        [row("a", 1, checksum="other", name="001_other")],
        [("a:001_other", "replaced")],
    ),
    "the same code under another name is applied": (
        pack_of("a", 1),
        [row("a", 1, name="1_renamed")],
        [("a:1_renamed", "applied")],
    ),
    "a row without a checksum is that version whatever its name": (
        pack_of("a", 1),
        [row("a", 1, checksum=None, name="migration_001")],
        [("a:migration_001", "applied")],
    ),
    "recorded above the newest shipped is ahead": (
        pack_of("a", 1),
        [row("a", 1), row("a", 2), row("a", 3)],
        [("a:001_m1", "applied"), ("a:002_m2", "ahead"), ("a:003_m3", "ahead")],
    ),
    "recorded below the newest shipped and not shipped is missing": (
        pack_of("a", 1, 3),
        [row("a", 1), row("a", 2), row("a", 3)],
        [("a:001_m1", "applied"), ("a:002_m2", "missing"), ("a:003_m3", "applied")],
    ),
    "recorded by a pack that is not installed is orphaned": (
        None,
        [row("gone", 1), row("gone", 2)],
        [("gone:001_m1", "orphaned"), ("gone:002_m2", "orphaned")],
    ),
}


@pytest.mark.parametrize(("pack", "records", "expected"), STATES.values(), ids=STATES)
def test_state(pack, records, expected):
    assert [(each.ref, each.state) for each in migration_states(pack, records)] == expected
    recorded = [(each.ref, each.state) for each in recorded_states(pack, records)]
    assert recorded == [(ref, state) for ref, state in expected if state not in ("pending", "late")]


def test_an_applied_migration_has_its_time():
    assert migration_states(pack_of("a", 1), [row("a", 1)])[0].applied_at == "2024-05-06 07:08:09"


def test_an_applied_file_that_cannot_be_read_is_applied_and_has_a_problem():
    unreadable = migration("a", 1, checksum=None, problem="001_m1.py, line 1: invalid syntax")
    (found,) = migration_states(pack_of("a", unreadable), [row("a", 1)])
    assert (found.state, found.problem) == ("applied", "001_m1.py, line 1: invalid syntax")
    assert is_recorded(found)


def test_late_migrations_are_found_in_every_pack():
    packs = [pack_of("a", 1, 2, 3), pack_of("b", 1, 2), pack_of("c", 1)]
    found = find_late(packs, [row("a", 3), row("b", 1), row("c", 1), row("d", 9)])
    assert [each.ref for each in found] == ["a:001_m1", "a:002_m2"]
