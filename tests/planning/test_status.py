"""Where packs stand in a database, and the state of the database."""

from __future__ import annotations

from pathlib import Path

import pytest
from planning.builders import DB, migration, pack_of, row

from homie_migrations_core.broken import BrokenPack
from homie_migrations_core.planning.status import describe_database


def describe(packs=(), records=(), broken=(), *, exists=True, empty=False, state=None):
    return describe_database(Path(DB), packs, broken, records, exists=exists, empty=empty, state=state)


@pytest.mark.parametrize(
    ("pack", "records", "state", "current", "latest"),
    [
        (pack_of("a", 1, 2), [row("a", 1), row("a", 2)], "up_to_date", 2, 2),
        (pack_of("a", 1, 2), [row("a", 1)], "pending", 1, 2),
        (pack_of("a", 1, 2), [], "pending", 0, 2),
        (pack_of("a", 1, 2), [row("a", 2)], "late", 2, 2),
        (pack_of("a", 1), [row("a", 1, checksum="x")], "edited", 1, 1),
        (pack_of("a", 1), [row("a", 1, checksum="x", name="001_x")], "replaced", 1, 1),
        (pack_of("a", 1), [row("a", 1), row("a", 7)], "ahead", 7, 1),
        (pack_of("a", 2), [row("a", 1), row("a", 2)], "missing", 2, 2),
        (pack_of("a", 1, 2, 3), [row("a", 1, checksum="x"), row("a", 2, checksum="x", name="y")], "replaced", 2, 3),
        (pack_of("a", 1, 2), [row("a", 1, checksum="x")], "pending", 1, 2),
        (pack_of("a", 2), [row("a", 1), row("a", 2, checksum="x")], "missing", 2, 2),
        (pack_of("a", 1, migration("a", 2, problem="002_m2.py has no apply_migration()")), [row("a", 1)], "broken", 1, 2),
        (pack_of("a", migration("a", 1, problem="001_m1.py is odd")), [row("a", 1)], "up_to_date", 1, 1),
    ],
)
def test_a_pack_has_its_worst_state(pack, records, state, current, latest):
    status = describe([pack], records)
    found = status.packs["a"]
    assert (found.state, found.current_version, found.latest_version, status.state) == (state, current, latest, state)


def test_a_pack_that_cannot_be_applied_has_each_reason():
    broken_files = [migration("a", each, problem=f"{each:03}_m{each}.py is odd") for each in (1, 2)]
    status = describe([pack_of("a", *broken_files), pack_of("b", migration("b", 1, requires=("a:1",))), pack_of("c", 1)])
    assert status.packs["a"].reasons == ("001_m1.py is odd", "002_m2.py is odd")
    assert status.packs["a"].reason == "001_m1.py is odd; 002_m2.py is odd"
    assert status.packs["b"].reasons[0].startswith("b:001_m1 requires a:1, and the pack a can't be applied because")
    assert (status.packs["c"].reasons, status.packs["c"].reason) == ((), None)


def test_a_broken_pack_keeps_its_rows_and_has_a_reason():
    broken = BrokenPack("no such module", "a", "homie_a.db", "a", "a-dist", "1.0")
    status = describe([pack_of("b", 1)], [row("a", 1), row("a", 2), row("b", 7)], [broken])
    found = status.packs["a"]
    assert (found.state, found.reason, found.distribution, found.distribution_version) == (
        "broken",
        "no such module",
        "a-dist",
        "1.0",
    )
    assert (found.current_version, found.latest_version) == (2, 0)
    assert [(each.ref, each.state) for each in found.migrations] == [("a:001_m1", "broken"), ("a:002_m2", "broken")]
    assert status.state == "broken"
    assert describe([], [], [broken]).packs["a"].current_version == 0
    assert describe([], [], [broken], empty=True).state == "broken"


def test_a_broken_entry_point_that_names_no_pack_is_no_pack_of_the_database():
    assert describe([], [], [BrokenPack("it can't be loaded", entry_point="x")]).packs == {}


def test_an_orphaned_pack_does_not_decide_the_state_beside_an_installed_one():
    status = describe([pack_of("a", 1)], [row("a", 1), row("gone", 3), row("lost", 4)])
    assert (status.state, status.packs["a"].state, status.packs["gone"].state) == ("up_to_date", "up_to_date", "orphaned")
    gone = status.packs["gone"]
    assert (gone.current_version, gone.latest_version, [each.ref for each in gone.migrations]) == (3, 0, ["gone:003_m3"])
    assert describe([], [row("gone", 3)]).state == "orphaned"


def test_rows_without_an_owner_count_for_no_pack():
    status = describe([pack_of("a", 1)], [row(None, 1)])
    assert (list(status.packs), status.packs["a"].state, status.packs["a"].reason) == (["a"], "pending", None)
    assert status.records == (row(None, 1),)


def test_the_worst_pack_decides_the_state_of_the_database():
    status = describe([pack_of("a", 1), pack_of("b", 1), pack_of("c", 1)], [row("a", 1), row("c", 9)])
    assert [each.state for each in status.packs.values()] == ["up_to_date", "pending", "ahead"]
    assert status.state == "ahead"


@pytest.mark.parametrize(("exists", "empty", "state"), [(False, True, "new"), (True, True, "new"), (True, False, "pending")])
def test_a_database_without_anything_in_it_is_new(exists, empty, state):
    status = describe([pack_of("a", 1)], exists=exists, empty=empty)
    assert (status.state, status.exists, status.packs["a"].state) == (state, exists, "pending")


@pytest.mark.parametrize("state", ["interrupted", "foreign"])
def test_a_state_found_while_reading_the_file_counts_for_everything(state):
    status = describe([pack_of("a", 1), pack_of("b", 1)], state=state)
    assert {status.state} | {each.state for each in status.packs.values()} == {state}
    assert {one.state for each in status.packs.values() for one in each.migrations} == {state}


def test_packs_are_sorted_by_name():
    assert list(describe([pack_of("c", 1), pack_of("a", 1)], [row("b", 1)]).packs) == ["a", "b", "c"]
