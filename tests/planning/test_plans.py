"""States and plans: the pure room, by cases and by laws."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, combinations
from pathlib import Path

import pytest
from homie_migrations_core.planning.applying import plan_apply
from homie_migrations_core.planning.lookup import find_target
from homie_migrations_core.planning.ownership import attribute_records, find_owner
from homie_migrations_core.planning.records import plan_baseline, plan_repair
from homie_migrations_core.planning.rolling_back import plan_redo, plan_reset, plan_rollback
from homie_migrations_core.planning.states import migration_states
from homie_migrations_core.planning.status import describe_database
from homie_migrations_core.errors import (
    BaselineRefused,
    DatabaseIsAhead,
    MigrationLate,
    MigrationReplaced,
    OwnerUnclear,
    RepairRefused,
    RollbackRefused,
    RunRefused,
    UnknownPack,
    UnknownTarget,
)
from homie_migrations_core.broken import BrokenPack
from homie_migrations_core.model import Migration, Pack, Plan, Record
from hypothesis import assume, given, settings
from hypothesis import strategies as st

DB = "data/homie_a.db"


def migration(pack: str, version: int, **facts) -> Migration:
    name = f"{version:03}_m{version}"
    facts = {"checksum": f"sum of {pack}:{name}", "reversible": True, **facts}
    return Migration(pack, version, name, Path(pack, f"{name}.py"), **facts)


def ship(name: str, *migrations: int | Migration, database: str = "") -> Pack:
    """A pack of these versions, or of these very migrations."""
    made = (migration(name, each) if isinstance(each, int) else each for each in migrations)
    return Pack(name, database or f"homie_{name}.db", tuple(sorted(made, key=lambda each: each.version)))


def row(pack: str | None, version: int, **facts) -> Record:
    """What the database says after `ship`'s migration was applied."""
    name = f"{version:03}_m{version}"
    facts = {"applied_at": "2024-05-06 07:08:09", "checksum": f"sum of {pack}:{name}", **facts}
    return Record(version, facts.pop("name", name), pack, **facts)


def states(pack: Pack | None, *records: Record) -> list[tuple[str, str]]:
    return [(each.ref, each.state) for each in migration_states(pack, records)]


def refs(plan: Plan) -> list[str]:
    return [step.ref for step in plan.steps]


# --- states of migrations -------------------------------------------------------------------------------------


def test_what_is_shipped_and_not_recorded_is_pending():
    assert states(ship("a", 1, 2)) == [("a:001_m1", "pending"), ("a:002_m2", "pending")]


def test_what_is_shipped_and_recorded_is_applied():
    assert states(ship("a", 1, 2), row("a", 1)) == [("a:001_m1", "applied"), ("a:002_m2", "pending")]
    assert migration_states(ship("a", 1), [row("a", 1)])[0].applied_at == "2024-05-06 07:08:09"


def test_what_is_pending_below_an_applied_one_is_late():
    assert states(ship("a", 1, 2, 3, 4), row("a", 1), row("a", 3)) == [
        ("a:001_m1", "applied"),
        ("a:002_m2", "late"),
        ("a:003_m3", "applied"),
        ("a:004_m4", "pending"),
    ]


def test_below_one_that_is_ahead_or_missing_it_is_late_too():
    assert states(ship("a", 1), row("a", 5)) == [("a:001_m1", "late"), ("a:005_m5", "ahead")]
    assert states(ship("a", 1, 3), row("a", 2)) == [("a:001_m1", "late"), ("a:002_m2", "missing"), ("a:003_m3", "pending")]


def test_other_code_under_the_same_name_is_edited():
    assert states(ship("a", 1), row("a", 1, checksum="other")) == [("a:001_m1", "edited")]


def test_other_code_under_another_name_is_replaced_and_shown_as_it_was_recorded():
    assert states(ship("a", 1), row("a", 1, checksum="other", name="001_other")) == [("a:001_other", "replaced")]


def test_the_same_code_under_another_name_is_applied():
    assert states(ship("a", 1), row("a", 1, name="1_renamed")) == [("a:1_renamed", "applied")]


def test_without_a_checksum_a_row_is_that_version_whatever_its_name():
    assert states(ship("a", 1), row("a", 1, checksum=None, name="migration_001")) == [("a:migration_001", "applied")]


def test_an_applied_file_that_cannot_be_read_is_applied_and_says_why():
    spoiled = migration("a", 1, checksum=None, problem="001_m1.py, line 1: invalid syntax")
    (found,) = migration_states(ship("a", spoiled), [row("a", 1)])
    assert (found.state, found.problem) == ("applied", "001_m1.py, line 1: invalid syntax")


def test_what_is_recorded_above_the_newest_shipped_is_ahead():
    assert states(ship("a", 1), row("a", 1), row("a", 2), row("a", 3)) == [
        ("a:001_m1", "applied"),
        ("a:002_m2", "ahead"),
        ("a:003_m3", "ahead"),
    ]


def test_what_is_recorded_below_it_and_no_longer_shipped_is_missing():
    assert states(ship("a", 1, 3), row("a", 1), row("a", 2), row("a", 3))[1] == ("a:002_m2", "missing")


def test_what_an_absent_pack_recorded_is_orphaned():
    assert states(None, row("gone", 1), row("gone", 2)) == [("gone:001_m1", "orphaned"), ("gone:002_m2", "orphaned")]


# --- states of packs and databases ------------------------------------------------------------------------------


def describe(packs=(), records=(), broken=(), *, exists=True, empty=False, state=None):
    return describe_database(Path(DB), packs, broken, records, exists=exists, empty=empty, state=state)


@pytest.mark.parametrize(
    ("pack", "records", "state", "current", "latest"),
    [
        (ship("a", 1, 2), [row("a", 1), row("a", 2)], "up_to_date", 2, 2),
        (ship("a", 1, 2), [row("a", 1)], "pending", 1, 2),
        (ship("a", 1, 2), [], "pending", 0, 2),
        (ship("a", 1, 2), [row("a", 2)], "late", 2, 2),
        (ship("a", 1), [row("a", 1, checksum="x")], "edited", 1, 1),
        (ship("a", 1), [row("a", 1, checksum="x", name="001_x")], "replaced", 1, 1),
        (ship("a", 1), [row("a", 1), row("a", 7)], "ahead", 7, 1),
        (ship("a", 2), [row("a", 1), row("a", 2)], "missing", 2, 2),
        (ship("a", 1, 2, 3), [row("a", 1, checksum="x"), row("a", 2, checksum="x", name="y")], "replaced", 2, 3),
        (ship("a", 1, 2), [row("a", 1, checksum="x")], "pending", 1, 2),
        (ship("a", 2), [row("a", 1), row("a", 2, checksum="x")], "missing", 2, 2),
        (ship("a", 1, migration("a", 2, problem="002_m2.py has no apply_migration()")), [row("a", 1)], "broken", 1, 2),
        (ship("a", migration("a", 1, problem="001_m1.py is odd")), [row("a", 1)], "up_to_date", 1, 1),
    ],
)
def test_a_pack_is_in_the_state_that_matters_most(pack, records, state, current, latest):
    status = describe([pack], records)
    found = status.packs["a"]
    assert (found.state, found.current_version, found.latest_version, status.state) == (state, current, latest, state)


def test_a_broken_pack_keeps_its_rows_and_says_why():
    broken = BrokenPack("no such module", "a", "homie_a.db", "a", "a-dist", "1.0")
    status = describe([ship("b", 1)], [row("a", 1), row("a", 2), row("b", 7)], [broken])
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


def test_an_entry_point_of_unknown_name_is_no_pack_of_the_database():
    assert describe([], [], [BrokenPack("it can't be loaded", entry_point="x")]).packs == {}


def test_an_orphaned_pack_does_not_decide_over_a_healthy_one():
    status = describe([ship("a", 1)], [row("a", 1), row("gone", 3), row("lost", 4)])
    assert (status.state, status.packs["a"].state, status.packs["gone"].state) == ("up_to_date", "up_to_date", "orphaned")
    gone = status.packs["gone"]
    assert (gone.current_version, gone.latest_version, [each.ref for each in gone.migrations]) == (3, 0, ["gone:003_m3"])
    assert describe([], [row("gone", 3)]).state == "orphaned"


def test_rows_that_belong_to_nobody_count_for_no_pack():
    status = describe([ship("a", 1)], [row(None, 1)])
    assert (list(status.packs), status.packs["a"].state, status.packs["a"].reason) == (["a"], "pending", None)
    assert status.records == (row(None, 1),)


def test_the_worst_pack_decides_over_the_database():
    status = describe([ship("a", 1), ship("b", 1), ship("c", 1)], [row("a", 1), row("c", 9)])
    assert [each.state for each in status.packs.values()] == ["up_to_date", "pending", "ahead"]
    assert status.state == "ahead"


@pytest.mark.parametrize(("exists", "empty", "state"), [(False, True, "new"), (True, True, "new"), (True, False, "pending")])
def test_a_database_without_anything_in_it_is_new(exists, empty, state):
    status = describe([ship("a", 1)], exists=exists, empty=empty)
    assert (status.state, status.exists, status.packs["a"].state) == (state, exists, "pending")


@pytest.mark.parametrize("state", ["interrupted", "foreign"])
def test_what_reading_already_found_out_decides_everything(state):
    status = describe([ship("a", 1), ship("b", 1)], state=state)
    assert {status.state} | {each.state for each in status.packs.values()} == {state}
    assert {one.state for each in status.packs.values() for one in each.migrations} == {state}


def test_packs_come_in_the_order_of_their_names():
    assert list(describe([ship("c", 1), ship("a", 1)], [row("b", 1)]).packs) == ["a", "b", "c"]


# --- whose rows -----------------------------------------------------------------------------------------------------

MAIL, NEWS = ship("mail", 1, database="app.db"), ship("news", 1, database="app.db")


@pytest.mark.parametrize(
    ("file_name", "packs", "broken", "owner"),
    [
        ("homie_a.db", [], [], "a"),
        ("homie_a.db", [ship("b", 1, database="homie_a.db")], [], "a"),
        ("homie_a.db", [ship("a", 1), ship("b", 1, database="homie_a.db")], [], "a"),
        ("app.db", [], [], None),
        ("app.db", [MAIL], [], "mail"),
        ("app.db", [MAIL, NEWS], [], None),
        ("app.db", [MAIL, ship("b", 1)], [], "mail"),
        ("app.db", [MAIL], [BrokenPack("x", "news", "app.db")], None),
        ("app.db", [], [BrokenPack("x", "news", "app.db")], "news"),
        ("app.db", [MAIL], [BrokenPack("it can't be loaded", entry_point="x")], "mail"),
        ("copy.db", [MAIL], [], "mail"),
        ("copy.db", [MAIL], [BrokenPack("it can't be loaded", entry_point="x")], "mail"),
        ("copy.db", [MAIL, NEWS], [], None),
        ("homie_A.db", [MAIL], [], "mail"),
    ],
)
def test_the_owner_is_in_the_file_name_or_the_one_pack_that_targets_it(file_name, packs, broken, owner):
    assert find_owner(file_name, packs, broken) == owner


def test_rows_without_a_pack_are_given_to_the_owner():
    given_rows, refusal = attribute_records(DB, [row(None, 1), row(None, 2)], "a", [ship("0", 3), ship("a", 1, 2), ship("b", 3)])
    assert ([each.pack for each in given_rows], refusal) == (["a", "a"], None)
    assert given_rows[0] == replace(row(None, 1), pack="a")


def test_rows_of_an_owner_that_is_not_installed_are_given_to_it_all_the_same():
    given_rows, refusal = attribute_records(DB, [row(None, 9)], "a", [ship("b", 1)])
    assert (given_rows[0].pack, refusal) == ("a", None)


def test_rows_newer_than_the_owners_files_are_no_contradiction():
    assert attribute_records(DB, [row(None, 1), row(None, 3)], "a", [ship("a", 1, 2)])[1] is None


def test_a_row_that_the_owner_never_shipped_contradicts_it():
    given_rows, refusal = attribute_records(DB, [row(None, 1), row(None, 2), row(None, 4)], "a", [ship("a", 1, 3, 5)])
    assert isinstance(refusal, OwnerUnclear)
    assert refusal.found == "the pack a never shipped a:002_m2, a:004_m4, which it records"
    assert [each.pack for each in given_rows] == ["a", "a", "a"]


def test_rows_that_several_packs_could_have_written_belong_to_none():
    given_rows, refusal = attribute_records(DB, [row(None, 1)], None, [MAIL, NEWS])
    assert given_rows == (row(None, 1),)
    assert refusal.found == "more than one pack could have written it"


def test_an_earlier_table_without_rows_contradicts_nobody():
    assert attribute_records(DB, [], None, [MAIL, NEWS]) == ((), None)


# --- plans: cases -----------------------------------------------------------------------------------------------------


def test_a_plan_goes_by_pack_and_version_but_for_what_is_required():
    a = ship("a", 1, migration("a", 2, requires=("b:2",)), 3)
    assert refs(plan_apply(DB, [a, ship("b", 1, 2, 3), ship("c", 1)], [])) == [
        "a:001_m1",
        "b:001_m1",
        "b:002_m2",
        "a:002_m2",
        "a:003_m3",
        "b:003_m3",
        "c:001_m1",
    ]


def test_versions_are_numbers_and_may_have_gaps():
    assert refs(plan_apply(DB, [ship("a", 2, 10, 9, 100)], [])) == ["a:002_m2", "a:009_m9", "a:010_m10", "a:100_m100"]


@pytest.mark.parametrize("ref", ["b:2", "b:002", "b:002_m2"])
def test_a_requirement_may_be_written_like_any_ref(ref):
    plan = plan_apply(DB, [ship("a", migration("a", 1, requires=(ref,))), ship("b", 1, 2)], [])
    assert refs(plan) == ["b:001_m1", "b:002_m2", "a:001_m1"]


def test_a_recorded_requirement_is_met_even_when_its_pack_is_gone_or_broken_or_was_renamed():
    a = ship("a", migration("a", 1, requires=("b:002_as_it_was_called_then",)))
    assert refs(plan_apply(DB, [a], [row("b", 2)])) == ["a:001_m1"]
    broken = ship("b", 1, 2, migration("b", 3, problem="003_m3.py is odd"))
    plan = plan_apply(DB, [a, broken], [row("b", 1), row("b", 2)])
    assert (refs(plan), [each.pack for each in plan.left_out]) == (["a:001_m1"], ["b"])


def left_out(*packs: Pack, records=()) -> dict[str, tuple[str, ...]]:
    return {each.pack: each.reasons for each in plan_apply(DB, packs, records).left_out}


def test_a_pack_with_an_unusable_pending_file_is_left_out_whole():
    b = ship("b", 1, migration("b", 2, problem="002_m2.py is odd"), migration("b", 3, problem="003_m3.py too"))
    plan = plan_apply(DB, [ship("a", 1), b], [])
    assert refs(plan) == ["a:001_m1"]
    assert left_out(ship("a", 1), b) == {"b": ("002_m2.py is odd", "003_m3.py too")}


def test_an_unusable_file_that_is_applied_is_no_reason():
    b = ship("b", migration("b", 1, problem="001_m1.py is odd", checksum=None), 2)
    assert refs(plan_apply(DB, [b], [row("b", 1)])) == ["b:002_m2"]


def test_what_requires_a_pack_that_cannot_be_applied_is_left_out_with_the_whole_chain():
    packs = (
        ship("a", 1, migration("a", 2, requires=("b:1",))),
        ship("b", migration("b", 1, requires=("c:1",))),
        ship("c", migration("c", 1, problem="001_m1.py is odd")),
        ship("d", 1),
    )
    assert left_out(*packs) == {
        "a": (
            "a:002_m2 requires b:1, and the pack b can't be applied because "
            "b:001_m1 requires c:1, and the pack c can't be applied because 001_m1.py is odd",
        ),
        "b": ("b:001_m1 requires c:1, and the pack c can't be applied because 001_m1.py is odd",),
        "c": ("001_m1.py is odd",),
    }
    assert refs(plan_apply(DB, packs, [])) == ["d:001_m1"]


@pytest.mark.parametrize("ref", ["gone:1", "b:9", "b:001_other"])
def test_a_requirement_that_nobody_ships_leaves_the_pack_out(ref):
    packs = (ship("a", migration("a", 1, requires=(ref,))), ship("b", 1))
    assert left_out(*packs) == {"a": (f"a:001_m1 requires {ref}, which no usable pack of this database ships",)}


def test_packs_that_require_each_other_are_left_out_and_named():
    a = ship("a", 1, migration("a", 2, requires=("b:1",)))
    b = ship("b", migration("b", 1, requires=("a:2",)))
    assert left_out(a, b, ship("c", 1)) == {
        "a": ("a:002_m2 and b:001_m1 require each other",),
        "b": ("a:002_m2 and b:001_m1 require each other",),
    }


def test_a_migration_that_requires_itself_or_a_later_one_of_its_pack_is_named():
    assert left_out(ship("a", migration("a", 1, requires=("a:1",)))) == {"a": ("a:001_m1 requires itself",)}
    assert left_out(ship("a", migration("a", 1, requires=("a:2",)), 2)) == {"a": ("a:001_m1 and a:002_m2 require each other",)}


def test_edited_migrations_are_named_and_stop_nothing():
    plan = plan_apply(DB, [ship("a", 1, 2)], [row("a", 1, checksum="other")])
    assert (refs(plan), plan.edited) == (["a:002_m2"], ("a:001_m1",))


@pytest.mark.parametrize(
    ("pack", "records", "kind", "words"),
    [
        (ship("a", 1), [row("a", 1), row("a", 2), row("a", 3)], DatabaseIsAhead, "it already holds a:002_m2, a:003_m3"),
        (
            ship("a", 1),
            [row("a", 1, checksum="x", name="001_x")],
            MigrationReplaced,
            "a:001_x is recorded where the pack now ships 001_m1",
        ),
        (ship("a", 1, 2, 3), [row("a", 2)], MigrationLate, "a:001_m1 is pending although 002_m2 is applied"),
    ],
)
def test_one_problem_is_refused_as_its_own_kind(pack, records, kind, words):
    with pytest.raises(kind, match=words) as refused:
        plan_apply(DB, [pack, ship("b", 1)], records)
    assert type(refused.value) is kind
    assert refused.value.reasons == (refused.value,)


def test_every_problem_of_every_pack_is_refused_at_once():
    packs = [ship("a", 1, 2), ship("b", 1), ship("c", 1, 2), ship("d", 1)]
    records = [row("a", 2), row("a", 5), row("b", 1, checksum="x", name="001_x"), row("c", 2)]
    with pytest.raises(RunRefused) as refused:
        plan_apply(DB, packs, records)
    kinds = [type(each) for each in refused.value.reasons]
    assert kinds == [DatabaseIsAhead, MigrationLate, MigrationReplaced, MigrationLate]
    for words in ("a:005_m5", "a:001_m1 is pending although 005_m5 is applied", "b:001_x", "c:001_m1"):
        assert words in str(refused.value)


def test_a_refusal_stops_the_whole_database_also_for_a_target_in_another_pack():
    with pytest.raises(DatabaseIsAhead):
        plan_apply(DB, [ship("a", 1), ship("b", 1)], [row("b", 1), row("b", 2)], to="a:1")


def test_a_late_migration_may_be_allowed_and_comes_in_its_place():
    plan = plan_apply(DB, [ship("a", 1, 2, 3, 4)], [row("a", 1), row("a", 3)], allow_late=True)
    assert refs(plan) == ["a:002_m2", "a:004_m4"]


def test_a_missing_migration_and_orphaned_rows_stop_nothing():
    plan = plan_apply(DB, [ship("a", 1, 3)], [row("a", 1), row("a", 2), row("gone", 1)])
    assert refs(plan) == ["a:003_m3"]


def test_a_target_brings_its_pack_up_to_it_with_what_that_requires():
    a = ship("a", 1, migration("a", 2, requires=("b:1",)), 3)
    packs = [a, ship("b", 1, 2), ship("c", 1)]
    assert refs(plan_apply(DB, packs, [], to="a:1")) == ["a:001_m1"]
    assert refs(plan_apply(DB, packs, [], to="a:002_m2")) == ["a:001_m1", "b:001_m1", "a:002_m2"]
    assert refs(plan_apply(DB, packs, [row("a", 1), row("a", 2)], to="a:1")) == []


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("a", "'a' is not a known target; it is not a valid reference"),
        ("a:x", "it is not a valid reference"),
        ("x:1", "the packs of this database are: a, b"),
        ("a:9", "the newest migration of the pack a is 002_m2"),
        ("a:0", "the newest migration of the pack a is 002_m2"),
        ("a:001_other", "the newest migration of the pack a is 002_m2"),
    ],
)
def test_a_target_that_does_not_exist_is_refused(ref, words):
    with pytest.raises(UnknownTarget, match=words):
        plan_apply(DB, [ship("b", 1), ship("a", 1, 2)], [], to=ref)


def test_where_no_pack_is_there_a_target_says_so():
    with pytest.raises(UnknownTarget, match="the packs of this database are: none"):
        find_target([], "a:1")


def test_only_takes_whole_packs_with_what_they_require():
    packs = [ship("a", migration("a", 1, requires=("b:1",)), 2), ship("b", 1, 2), ship("c", 1)]
    assert refs(plan_apply(DB, packs, [], only=["a"])) == ["b:001_m1", "a:001_m1", "a:002_m2"]
    assert refs(plan_apply(DB, packs, [], only=["b", "c"])) == ["b:001_m1", "b:002_m2", "c:001_m1"]
    with pytest.raises(UnknownPack, match="there is no pack 'x'; the packs usable for this database are a, b, c"):
        plan_apply(DB, packs, [], only=["a", "x"])


def test_of_what_is_left_out_only_the_chosen_packs_are_named():
    packs = [ship("a", migration("a", 1, problem="001_m1.py is odd")), ship("b", 1)]
    assert plan_apply(DB, packs, [], only=["b"]).left_out == ()
    assert [each.pack for each in plan_apply(DB, packs, [], only=["a"]).left_out] == ["a"]


# --- rolling back: cases --------------------------------------------------------------------------------------------------


def back(packs, records, pack="a", **how) -> list[str]:
    plan = plan_rollback(DB, packs, records, pack, **how)
    assert all(step.direction == "rollback" for step in plan.steps)
    return refs(plan)


def test_a_rollback_goes_newest_first_by_steps_or_down_to_a_version():
    packs, records = [ship("a", 1, 2, 3, 4)], [row("a", 1), row("a", 2), row("a", 3)]
    assert back(packs, records) == ["a:003_m3"]
    assert back(packs, records, steps=2) == ["a:003_m3", "a:002_m2"]
    assert back(packs, records, steps=9) == ["a:003_m3", "a:002_m2", "a:001_m1"]
    assert back(packs, records, to=1) == ["a:003_m3", "a:002_m2"]
    assert back(packs, records, to=0) == ["a:003_m3", "a:002_m2", "a:001_m1"]
    assert back(packs, records, to=3) == back(packs, records, to=4) == []
    assert back(packs, []) == []


def test_a_rollback_to_nowhere_or_of_nothing_is_refused():
    with pytest.raises(
        UnknownTarget, match="'a:9' is not a known target; the newest migration of the pack a is 001_m1. 0 rolls back everything."
    ):
        back([ship("a", 1)], [row("a", 1)], to=9)
    with pytest.raises(UnknownTarget, match="'a:9' is not a known target"):
        back([ship("a", 1)], [row("a", 1), row("b", 9)], to=9)
    with pytest.raises(UnknownPack, match="no pack 'x'"):
        back([ship("a", 1)], [row("a", 1)], "x")


def test_a_rollback_may_stop_at_one_that_is_recorded_and_no_longer_shipped():
    assert back([ship("a", 1, 3)], [row("a", 1), row("a", 2), row("a", 3)], to=2) == ["a:003_m3"]


def test_every_reason_against_a_rollback_is_named_and_none_of_it_is_planned():
    a = ship("a", 1, migration("a", 2, reversible=False), migration("a", 3, problem="003_m3.py is odd"), 4, 6)
    b = ship("b", migration("b", 1, requires=("a:4",)), migration("b", 2, requires=("a:001_m1", "a:6")))
    records = [*(row("a", each) for each in (1, 2, 3, 5, 6, 7)), row("a", 4, checksum="x", name="004_x"), row("b", 1)]
    with pytest.raises(RollbackRefused) as refused:
        back([a, b], records, to=0)
    assert refused.value.found == (
        "the installed pack does not ship a:007_m7",
        "the installed pack does not ship a:005_m5",
        "a:004_x was replaced by another migration of that number",
        "003_m3.py is odd",
        "a:002_m2 has no rollback_migration",
        "b:001_m1 is applied and requires a:4",
    )


def test_an_edited_migration_can_be_rolled_back_by_the_code_of_today():
    assert back([ship("a", 1)], [row("a", 1, checksum="other")]) == ["a:001_m1"]


def test_a_pack_that_only_might_require_it_is_not_in_the_way():
    b = ship("b", migration("b", 1, requires=("a:1",)))
    assert back([ship("a", 1, 2), b], [row("a", 1), row("a", 2)], to=0) == ["a:002_m2", "a:001_m1"]
    assert back([ship("a", 1, 2), b], [row("a", 1), row("a", 2), row("b", 1)], to=1) == ["a:002_m2"]


def test_redo_is_the_newest_one_back_and_forth():
    plan = plan_redo(DB, [ship("a", 1, 2, 3)], [row("a", 1), row("a", 2)], "a")
    assert [(step.ref, step.direction) for step in plan.steps] == [("a:002_m2", "rollback"), ("a:002_m2", "apply")]
    assert plan_redo(DB, [ship("a", 1)], [], "a") == Plan()


def test_redo_does_not_apply_before_what_is_required_by_now():
    a = ship("a", 1, migration("a", 2, requires=("b:1",)))
    with pytest.raises(RollbackRefused, match="a:002_m2 requires b:1, which is not applied. Apply that first."):
        plan_redo(DB, [a, ship("b", 1)], [row("a", 1), row("a", 2)], "a")
    assert len(plan_redo(DB, [a], [row("a", 1), row("a", 2), row("b", 1)], "a").steps) == 2


# --- resetting: cases -----------------------------------------------------------------------------------------------------


def reset(packs, records, only=()) -> list[str]:
    plan = plan_reset(DB, packs, records, only)
    assert {step.direction for step in plan.steps} <= {"rollback"}
    return refs(plan)


def test_a_reset_takes_back_everything_the_newest_first():
    packs = [ship("a", 1, 2), ship("b", 1, 2)]
    at = "2024-05-06 07:08:0{}".format
    records = [
        row("a", 1, applied_at=at(1)),
        row("b", 1, applied_at=at(2)),
        row("a", 2, applied_at=at(3)),
        row("b", 2, applied_at=at(4)),
    ]
    assert reset(packs, records) == ["b:002_m2", "a:002_m2", "b:001_m1", "a:001_m1"]
    assert reset(packs, records[:1]) == ["a:001_m1"]
    assert reset(packs, []) == []


def test_times_do_not_count_within_a_pack_nor_against_what_is_required():
    a = ship("a", 1, 2)
    assert reset([a], [row("a", 1, applied_at="2025"), row("a", 2, applied_at="2024")]) == ["a:002_m2", "a:001_m1"]
    b = ship("b", migration("b", 1, requires=("a:2",)))
    records = [row("b", 1, applied_at="2023"), row("a", 1, applied_at=None), row("a", 2, applied_at="2025")]
    assert reset([a, b], records) == ["b:001_m1", "a:002_m2", "a:001_m1"]


def test_what_was_recorded_without_a_time_goes_last():
    assert reset([ship("a", 1), ship("b", 1)], [row("a", 1, applied_at="2024"), row("b", 1, applied_at=None)]) == [
        "a:001_m1",
        "b:001_m1",
    ]


def test_every_reason_against_a_reset_is_named_and_none_of_it_is_planned():
    a = ship("a", 1, migration("a", 2, reversible=False), migration("a", 3, problem="003_m3.py is odd"), 4, 6)
    records = [*(row("a", each) for each in (1, 2, 3, 5, 6, 7)), row("a", 4, checksum="x", name="004_x"), row("gone", 1)]
    with pytest.raises(RollbackRefused) as refused:
        reset([a, ship("b", 1)], records)
    assert refused.value.path == DB
    assert refused.value.found == (
        "a:002_m2 has no rollback_migration",
        "003_m3.py is odd",
        "a:004_x was replaced by another migration of that number",
        "the installed pack does not ship a:005_m5",
        "the installed pack does not ship a:007_m7",
        "the pack of gone:001_m1 is not installed",
    )


def test_only_resets_whole_packs_and_is_refused_for_what_others_require():
    a = ship("a", 1, 2)
    b = ship("b", migration("b", 1, requires=("a:1",)), migration("b", 2, reversible=False))
    records = [row("a", 1), row("a", 2), row("b", 1)]
    assert reset([a, b], records, only=["b"]) == ["b:001_m1"]
    assert reset([a, b], [*records, row("gone", 1)], only=["a", "b"]) == ["a:002_m2", "b:001_m1", "a:001_m1"]
    with pytest.raises(RollbackRefused, match="b:001_m1 is applied and requires a:1. Reset the packs that require it, too."):
        reset([a, b], records, only=["a"])
    with pytest.raises(UnknownPack, match="'x'"):
        reset([a, b], records, only=["a", "x"])


def test_an_edited_migration_and_one_that_was_renamed_can_be_reset():
    assert reset([ship("a", 1, 2)], [row("a", 1, checksum="other"), row("a", 2, name="2_old")]) == ["a:002_m2", "a:001_m1"]


@pytest.mark.parametrize(
    "packs",
    [
        [ship("a", migration("a", 1, requires=("b:1",))), ship("b", migration("b", 1, requires=("a:1",)))],
        [ship("a", migration("a", 1, requires=("a:1",))), ship("b", 1)],
        [ship("a", migration("a", 1, requires=("a:2",)), 2), ship("b", 1)],
    ],
    ids=["two packs", "itself", "a later one"],
)
def test_applied_migrations_that_came_to_require_each_other_are_reset_or_refused(packs):
    """Their files were edited since then: a recorded requirement is met, whatever it says today."""
    records = [row("a", 1, checksum="then"), row("b", 1, checksum="then")]
    if len(packs[0].migrations) == 2:
        records.append(row("a", 2))
    try:
        found = reset(packs, records)
    except RollbackRefused as refused:
        assert "require" in str(refused)
    else:
        assert sorted(found) == sorted(record.ref for record in records)


# --- recording without running: cases -------------------------------------------------------------------------------------


def baseline(packs, records, version, pack="a") -> list[str]:
    return [each.ref for each in plan_baseline(DB, packs, records, pack, version)]


def test_a_baseline_is_what_is_not_recorded_yet_up_to_a_version():
    a = ship("a", 1, 2, 4)
    assert baseline([a], [], 2) == ["a:001_m1", "a:002_m2"]
    assert baseline([a], [row("a", 1)], 4) == ["a:002_m2", "a:004_m4"]
    assert baseline([a], [row("a", 2)], 2) == ["a:001_m1"]
    assert baseline([a], [row("a", 1), row("a", 2)], 2) == []
    assert baseline([a], [row("b", 1)], 1) == ["a:001_m1"]


def test_a_baseline_of_what_is_edited_ahead_or_missing_is_not_held_up():
    assert baseline([ship("a", 1, 3)], [row("a", 1, checksum="other"), row("a", 2), row("a", 9)], 3) == ["a:003_m3"]


@pytest.mark.parametrize("version", [-1, 0, 3, 9])
def test_a_baseline_at_a_version_that_is_not_shipped_is_refused(version):
    with pytest.raises(UnknownTarget, match=f"'a:{version}'"):
        baseline([ship("a", 1, 2, 4)], [], version)


def test_a_baseline_of_an_unknown_pack_is_refused():
    with pytest.raises(UnknownPack, match="there is no pack 'x'; the packs usable for this database are a"):
        baseline([ship("a", 1)], [], 1, pack="x")


def test_every_reason_against_a_baseline_is_named():
    a = ship(
        "a",
        1,
        migration("a", 2, requires=("b:1", "c:1")),
        migration("a", 3, problem="003_m3.py is odd", requires=("a:1",)),
        migration("a", 4, problem="004_m4.py is odd", requires=("b:2",)),
    )
    records = [row("a", 1, checksum="x", name="001_x"), row("b", 1)]
    with pytest.raises(BaselineRefused) as refused:
        baseline([a, ship("b", 1, 2), ship("c", 1)], records, 3)
    assert refused.value.path == DB
    assert refused.value.found == (
        "a:001_x is recorded where the pack now ships 001_m1",
        "a:002_m2 requires c:1, which is not recorded",
        "003_m3.py is odd",
    )


# --- repairing a record: cases ----------------------------------------------------------------------------------------------


def test_an_edited_record_gets_todays_checksum_and_keeps_the_rest():
    then = row("a", 1, checksum="then", duration_ms=7, pack_version="1.0")
    for ref in ("a:1", "a:001", "a:001_m1"):
        repair = plan_repair(DB, [ship("a", 1)], [then, row("b", 1)], ref)
        assert repair.before == then
        assert repair.after == replace(then, checksum="sum of a:001_m1")


@pytest.mark.parametrize(
    ("packs", "record"),
    [
        ([ship("a", 2)], row("a", 1)),
        ([ship("a", 1)], row("a", 2)),
        ([ship("b", 1)], row("a", 1)),
        ([ship("a", 1)], row("a", 1, checksum="x", name="001_x")),
    ],
    ids=["missing", "ahead", "orphaned", "replaced"],
)
def test_a_record_of_nothing_is_to_be_removed(packs, record):
    repair = plan_repair(DB, packs, [record, row("c", 1)], record.ref)
    assert (repair.before, repair.after) == (record, None)


@pytest.mark.parametrize(
    "record",
    [row("a", 1), row("a", 1, checksum=None, name="old"), row("a", 1, name="1_renamed")],
    ids=["applied", "without a checksum", "renamed"],
)
def test_a_record_in_order_is_left_alone_unless_it_is_to_be_removed(record):
    with pytest.raises(RepairRefused, match="is in order") as refused:
        plan_repair(DB, [ship("a", 1)], [record], "a:1")
    assert refused.value.ref == record.ref
    assert plan_repair(DB, [ship("a", 1)], [record], "a:1", remove=True).after is None


def test_an_edited_record_may_be_removed_too():
    assert plan_repair(DB, [ship("a", 1)], [row("a", 1, checksum="x")], "a:1", remove=True).after is None


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("a", "it is not a valid reference"),
        ("a:0", "."),
        ("a:2", "has no record of it"),
        ("a:001_other", "has no record of it"),
        ("x:1", "has no record of it"),
    ],
)
def test_a_ref_without_a_record_is_refused(ref, words):
    for remove in (False, True):
        with pytest.raises(UnknownTarget, match=words):
            plan_repair(DB, [ship("a", 1, 2)], [row("a", 1)], ref, remove=remove)


# --- laws -------------------------------------------------------------------------------------------------------------------

NAMES = "abcd"


@st.composite
def scenes(draw, *, healthy: bool = False):
    """Packs that require each other in every which way, and a database that holds some of it."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    known = st.builds(
        lambda pack, version, words: f"{pack}:{version:03}" + (f"_m{version}" if words else ""),
        st.sampled_from(NAMES),
        st.integers(1, 4),
        st.booleans(),
    )
    packs = []
    for name in names:
        versions = draw(st.sets(st.integers(1, 4), min_size=1))
        packs.append(
            ship(
                name,
                *(
                    migration(
                        name,
                        version,
                        requires=tuple(draw(st.lists(known, max_size=2))) if draw(st.integers(0, 2)) == 0 else (),
                        problem=f"{version} is odd" if not healthy and draw(st.integers(0, 9)) == 0 else None,
                        reversible=draw(st.integers(0, 4)) > 0,
                    )
                    for version in versions
                ),
            )
        )
    records = []
    for name in NAMES:
        shipped = next(([m.version for m in pack.migrations] for pack in packs if pack.name == name), [1, 2])
        records += [row(name, version) for version in shipped[: draw(st.integers(0, len(shipped)))]]
    return packs, records


laws = settings(max_examples=100, deadline=None)


def keys_of(requires) -> set[tuple[str, int]]:
    return {(ref.partition(":")[0], int(ref.partition(":")[2].partition("_")[0])) for ref in requires}


def done_by(records) -> set[tuple[str, int]]:
    return {(record.pack, record.version) for record in records}


def applied(step) -> Record:
    return row(step.migration.pack, step.migration.version)


@given(scenes())
@laws
def test_law_nothing_runs_before_what_it_needs_and_nothing_runs_twice(scene):
    packs, records = scene
    done = done_by(records)
    shipped = {pack.name: [m.version for m in pack.migrations] for pack in packs}
    for step in plan_apply(DB, packs, records).steps:
        key = (step.migration.pack, step.migration.version)
        assert key not in done
        assert keys_of(step.migration.requires) <= done
        assert {(key[0], version) for version in shipped[key[0]] if version < key[1]} <= done
        done.add(key)


@given(scenes(), st.randoms())
@laws
def test_law_the_order_in_which_packs_and_rows_come_changes_nothing(scene, random):
    packs, records = scene
    plan = plan_apply(DB, packs, records)
    random.shuffle(packs)
    random.shuffle(records)
    assert plan_apply(DB, packs, records) == plan


@given(scenes(), st.integers(0, 8))
@laws
def test_law_after_some_steps_the_plan_is_what_was_left_of_it(scene, taken):
    packs, records = scene
    plan = plan_apply(DB, packs, records)
    again = plan_apply(DB, packs, records + [applied(step) for step in plan.steps[:taken]])
    assert again.steps == plan.steps[taken:]
    assert again.left_out == plan.left_out


def can_all_run(packs, records) -> bool:
    """Whether these packs could be brought up to date by trying, without any other."""
    done = done_by(records)
    if any(m.problem for pack in packs for m in pack.migrations if (pack.name, m.version) not in done):
        return False
    # A row meets a requirement whatever its name; a file only under its own.
    met = {f"{pack}:{version:03}" for pack, version in done} | {f"{pack}:{version:03}_m{version}" for pack, version in done}
    waiting = [[m for m in pack.migrations if (pack.name, m.version) not in done] for pack in packs]
    while any(waiting):
        runnable = [each for each in waiting if each and set(each[0].requires) <= met]
        if not runnable:
            return False
        m = runnable[0].pop(0)
        met |= {f"{m.pack}:{m.version:03}", f"{m.pack}:{m.name}"}
    return True


@given(scenes())
@laws
def test_law_all_of_the_packs_that_can_be_brought_up_to_date_are_and_no_others(scene):
    packs, records = scene
    plan = plan_apply(DB, packs, records)
    pending = {pack.name for pack in packs if any((pack.name, m.version) not in done_by(records) for m in pack.migrations)}
    subsets = chain.from_iterable(combinations(packs, size) for size in range(len(packs) + 1))
    workable = {pack.name for subset in subsets if can_all_run(subset, records) for pack in subset}
    assert {each.pack for each in plan.left_out} == pending - workable
    assert done_by(map(applied, plan.steps)) == {
        (pack.name, m.version) for pack in packs if pack.name in workable for m in pack.migrations
    } - done_by(records)


@given(scenes(), st.data())
@laws
def test_law_a_target_takes_what_it_requires_and_nothing_else(scene, data):
    packs, records = scene
    target = data.draw(st.sampled_from([m for pack in packs for m in pack.migrations]))
    plan = plan_apply(DB, packs, records, to=target.ref)
    everything = plan_apply(DB, packs, records)
    assert [step for step in everything.steps if step in plan.steps] == list(plan.steps)
    assert all(step.direction == "apply" for step in plan.steps)
    due = {(m.pack, m.version): m for m in (step.migration for step in everything.steps)}
    needed: set[tuple[str, int]] = set()
    open_ends = {key for key in due if key[0] == target.pack and key[1] <= target.version}
    while open_ends:
        key = open_ends.pop()
        needed.add(key)
        before = {each for each in due if each[0] == key[0] and each[1] < key[1]}
        open_ends |= ((keys_of(due[key].requires) & due.keys()) | before) - needed
    assert done_by(map(applied, plan.steps)) == needed


@given(scenes(), st.data())
@laws
def test_law_a_refusal_names_every_problem(scene, data):
    packs, records = scene
    names = {pack.name for pack in packs}
    expected = set()
    for number, record in enumerate(records):
        pack = next((each for each in packs if each.name == record.pack), None)
        if pack is not None and data.draw(st.integers(0, 3)) == 0:
            records[number] = replace(record, checksum="other", name="001_other")
            expected.add((MigrationReplaced, pack.name))
    for name in sorted(names):
        if data.draw(st.integers(0, 3)) == 0:
            records.append(row(name, 9))
            expected.add((DatabaseIsAhead, name))
    for pack in packs:
        newest = max((record.version for record in records if record.pack == pack.name), default=0)
        if any(m.version < newest and (pack.name, m.version) not in done_by(records) for m in pack.migrations):
            expected.add((MigrationLate, pack.name))
    if not expected:
        plan_apply(DB, packs, records)
        return
    with pytest.raises(RunRefused) as refused:
        plan_apply(DB, packs, records)
    found = set()
    for reason in refused.value.reasons:
        assert str(reason) in str(refused.value)
        ref = {DatabaseIsAhead: "unknown", MigrationReplaced: "replaced", MigrationLate: "late"}[type(reason)]
        first = getattr(reason, ref)[0]
        found.add((type(reason), (first if isinstance(first, str) else first[0]).partition(":")[0]))
    assert found == expected


@given(scenes(healthy=True), st.data())
@laws
def test_law_a_rollback_leaves_nothing_behind_that_requires_it(scene, data):
    packs, records = scene
    pack = data.draw(st.sampled_from(packs))
    how = data.draw(st.sampled_from([{"steps": 1}, {"steps": 2}, {"to": 0}, {"to": pack.migrations[0].version}]))
    own = [record.version for record in records if record.pack == pack.name][::-1]
    expected = own[: how["steps"]] if "steps" in how else [version for version in own if version > how["to"]]
    gone = {(pack.name, version) for version in expected}
    remaining = done_by(records) - gone
    requirers = {
        m.ref
        for each in packs
        for m in each.migrations
        if each.name != pack.name and (each.name, m.version) in remaining and keys_of(m.requires) & gone
    }
    stuck = {m.ref for m in pack.migrations if (pack.name, m.version) in gone and not m.reversible}
    try:
        plan = plan_rollback(DB, packs, records, pack.name, **how)
    except RollbackRefused as refused:
        assert {problem.split()[0] for problem in refused.found} == requirers | stuck
    else:
        assert not requirers | stuck
        assert [step.migration.version for step in plan.steps] == expected


@given(scenes(healthy=True))
@laws
def test_law_what_was_applied_can_be_rolled_back_in_the_opposite_order(scene):
    packs, _ = scene
    packs = [replace(pack, migrations=tuple(replace(m, reversible=True) for m in pack.migrations)) for pack in packs]
    steps = plan_apply(DB, packs, []).steps
    now = [applied(step) for step in steps]
    for step in steps[::-1]:
        (gone,) = plan_rollback(DB, packs, now, step.migration.pack).steps
        assert gone.migration == step.migration
        now.remove(applied(step))
    assert now == []


# --- laws of resetting, recording and repairing -----------------------------------------------------------------------------


def requires_itself(packs, recorded) -> bool:
    """Whether some of what is recorded requires each other, its own pack's order included."""
    needs = {}
    for pack in packs:
        own = [m for m in pack.migrations if (pack.name, m.version) in recorded]
        for below, m in zip([None, *own], own, strict=False):
            mine = keys_of(m.requires) | ({(pack.name, below.version)} if below else set())
            needs[pack.name, m.version] = mine & recorded
    while free := [key for key, mine in needs.items() if not mine & needs.keys()]:
        for key in free:
            del needs[key]
    return bool(needs)


def with_times(data, records):
    """The records, applied at some time or other."""
    return [replace(record, applied_at=data.draw(st.sampled_from([None, "2023", "2024", "2025"]))) for record in records]


def packs_of_a_scene(scene):
    """All of them can be rolled back, and the records are theirs."""
    packs = [replace(pack, migrations=tuple(replace(m, reversible=True) for m in pack.migrations)) for pack in scene[0]]
    names = {pack.name for pack in packs}
    records = [record for record in scene[1] if record.pack in names]
    assume(not requires_itself(packs, done_by(records)))
    return packs, records


@given(scenes(healthy=True), st.data())
@laws
def test_law_a_reset_takes_back_all_of_it_and_nothing_before_what_requires_it(scene, data):
    packs, records = packs_of_a_scene(scene)
    records = with_times(data, records)
    left = done_by(records)
    for step in plan_reset(DB, packs, records).steps:
        key = (step.migration.pack, step.migration.version)
        assert step.direction == "rollback"
        left.remove(key)
        assert not [
            m.ref for pack in packs for m in pack.migrations if (pack.name, m.version) in left and key in keys_of(m.requires)
        ]
        assert not [version for name, version in left if name == key[0] and version > key[1]]
    assert left == set()


@given(scenes(healthy=True), st.data(), st.randoms())
@laws
def test_law_the_order_in_which_packs_and_rows_come_does_not_change_a_reset(scene, data, random):
    packs, records = packs_of_a_scene(scene)
    records = with_times(data, records)
    plan = plan_reset(DB, packs, records)
    random.shuffle(packs)
    random.shuffle(records)
    assert plan_reset(DB, packs, records) == plan


@given(scenes(healthy=True), st.data())
@laws
def test_law_after_some_steps_a_reset_is_what_was_left_of_it(scene, data):
    packs, records = packs_of_a_scene(scene)
    records = with_times(data, records)
    steps = plan_reset(DB, packs, records).steps
    taken = data.draw(st.integers(0, len(steps)))
    gone = {(step.migration.pack, step.migration.version) for step in steps[:taken]}
    left = [record for record in records if (record.pack, record.version) not in gone]
    assert plan_reset(DB, packs, left).steps == steps[taken:]


@given(scenes(healthy=True))
@laws
def test_law_a_reset_is_what_single_rollbacks_could_do(scene):
    packs, now = packs_of_a_scene(scene)
    for step in plan_reset(DB, packs, now).steps:
        assert plan_rollback(DB, packs, now, step.migration.pack).steps == (step,)
        now = [record for record in now if (record.pack, record.version) != (step.migration.pack, step.migration.version)]


@given(scenes(healthy=True), st.data())
@laws
def test_law_what_was_applied_in_order_is_reset_in_the_opposite_order(scene, data):
    packs = [replace(pack, migrations=tuple(replace(m, reversible=True) for m in pack.migrations)) for pack in scene[0]]
    steps = plan_apply(DB, packs, []).steps
    steps = steps[: data.draw(st.integers(0, len(steps)))]
    records = [replace(applied(step), applied_at=f"2024-05-06 07:{number:02}:00") for number, step in enumerate(steps)]
    assert [step.migration for step in plan_reset(DB, packs, records).steps] == [step.migration for step in steps[::-1]]


@given(scenes(), st.data())
@laws
def test_law_a_reset_is_refused_for_every_reason_there_is(scene, data):
    packs, records = scene
    only = data.draw(st.lists(st.sampled_from([pack.name for pack in packs]), unique=True))
    assume(not requires_itself(packs, done_by(records)))
    chosen = {record.pack for record in records if not only or record.pack in only}
    known = {(pack.name, m.version): m for pack in packs for m in pack.migrations}
    gone = {key for key in done_by(records) if key[0] in chosen}
    stuck = {key for key in gone if key not in known or known[key].problem or not known[key].reversible}
    required = {
        (key, ref) for key, m in known.items() if key in done_by(records) - gone for ref in m.requires if keys_of([ref]) & gone
    }
    try:
        plan = plan_reset(DB, packs, records, only)
    except RollbackRefused as refused:
        assert len(refused.found) == len(stuck) + len(required)
        assert stuck | required
    else:
        assert not stuck | required
        assert {(step.migration.pack, step.migration.version) for step in plan.steps} == gone


@given(scenes(healthy=True), st.data())
@laws
def test_law_after_a_baseline_nothing_up_to_it_is_pending_and_nothing_else_has_changed(scene, data):
    packs, records = scene
    pack = data.draw(st.sampled_from(packs))
    version = data.draw(st.sampled_from([m.version for m in pack.migrations]))
    up_to = [m for m in pack.migrations if m.version <= version]
    unmet = [
        ref for m in up_to for ref in m.requires if not keys_of([ref]) <= done_by(records) | {(pack.name, m.version) for m in up_to}
    ]
    try:
        found = plan_baseline(DB, packs, records, pack.name, version)
    except BaselineRefused as refused:
        assert len(refused.found) == len(unmet) > 0
        return
    assert not unmet
    assert [m.version for m in found] == sorted(
        {m.version for m in up_to} - {v for name, v in done_by(records) if name == pack.name}
    )
    after = [*records, *(row(m.pack, m.version) for m in found)]
    assert plan_baseline(DB, packs, after, pack.name, version) == ()
    states_now = {each.version: each.state for each in migration_states(pack, [r for r in after if r.pack == pack.name])}
    assert {states_now[m.version] for m in up_to} == {"applied"}
    still_due = {m for step in plan_apply(DB, packs, after, only=[pack.name], allow_late=True).steps for m in [step.migration]}
    assert not still_due & set(up_to)


@given(scenes(), st.data())
@laws
def test_law_a_repaired_record_is_in_order_and_the_others_are_as_they_were(scene, data):
    packs, records = scene
    strange = st.sampled_from([{}, {"checksum": "x"}, {"checksum": "x", "name": "x"}, {"checksum": None}])
    records = [replace(record, **data.draw(strange)) for record in records] + [row("a", 9), row("gone", 1)]
    record = data.draw(st.sampled_from(records))
    own = next((pack for pack in packs if pack.name == record.pack), None)
    ref = f"{record.pack}:{record.version}"
    before = {each.version: each.state for each in migration_states(own, [r for r in records if r.pack == record.pack])}
    try:
        repair = plan_repair(DB, packs, records, ref)
    except RepairRefused:
        assert before[record.version] == "applied"
        assert plan_repair(DB, packs, records, ref, remove=True).after is None
        return
    assert repair.before == record
    others = [each for each in records if each is not record]
    if repair.after is None:
        assert before[record.version] in ("missing", "ahead", "orphaned", "replaced")
        with pytest.raises(UnknownTarget):
            plan_repair(DB, packs, others, ref)
    else:
        assert before[record.version] == "edited"
        assert replace(repair.after, checksum=record.checksum) == record
        with pytest.raises(RepairRefused):
            plan_repair(DB, packs, [*others, repair.after], ref)
