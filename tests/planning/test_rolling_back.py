"""Plans that roll back: rollback, redo and reset, by cases and by laws."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from planning.builders import DB, keys, keys_of_refs, migration, pack_of, record_of, refs, row
from planning.strategies import all_reversible, has_cycle, laws, packs_and_records, resettable

from homie_migrations_core.errors import RollbackRefused, UnknownPack, UnknownTarget
from homie_migrations_core.model import Plan
from homie_migrations_core.planning.applying import plan_apply
from homie_migrations_core.planning.rolling_back import plan_redo, plan_reset, plan_rollback


def rollback(packs, records, pack="a", **how) -> list[str]:
    plan = plan_rollback(DB, packs, records, pack, **how)
    assert all(step.direction == "rollback" for step in plan.steps)
    return refs(plan)


def reset(packs, records, only=()) -> list[str]:
    plan = plan_reset(DB, packs, records, only)
    assert {step.direction for step in plan.steps} <= {"rollback"}
    return refs(plan)


# --- rollback: cases ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, ["a:003_m3"]),
        ({"steps": 2}, ["a:003_m3", "a:002_m2"]),
        ({"steps": 9}, ["a:003_m3", "a:002_m2", "a:001_m1"]),
        ({"to": 1}, ["a:003_m3", "a:002_m2"]),
        ({"to": 0}, ["a:003_m3", "a:002_m2", "a:001_m1"]),
        ({"to": 3}, []),
        ({"to": 4}, []),
    ],
    ids=str,
)
def test_a_rollback_takes_the_newest_first_by_steps_or_down_to_a_version(how, expected):
    records = [row("a", 1), row("a", 2), row("a", 3)]
    assert rollback([pack_of("a", 1, 2, 3, 4)], records, **how) == expected
    assert rollback([pack_of("a", 1, 2, 3, 4)], [], **how) == []


def test_a_rollback_to_an_unknown_version_or_of_an_unknown_pack_is_refused():
    words = "'a:9' does not name a migration: the newest migration of the pack a is 001_m1. 0 rolls back everything."
    with pytest.raises(UnknownTarget, match=words):
        rollback([pack_of("a", 1)], [row("a", 1)], to=9)
    with pytest.raises(UnknownTarget, match="'a:9' does not name a migration"):
        rollback([pack_of("a", 1)], [row("a", 1), row("b", 9)], to=9)
    with pytest.raises(UnknownPack, match="no pack 'x'"):
        rollback([pack_of("a", 1)], [row("a", 1)], "x")


def test_a_rollback_may_stop_at_a_version_that_is_recorded_and_not_shipped():
    assert rollback([pack_of("a", 1, 3)], [row("a", 1), row("a", 2), row("a", 3)], to=2) == ["a:003_m3"]


def test_every_reason_against_a_rollback_is_named_and_nothing_is_planned():
    a = pack_of("a", 1, migration("a", 2, reversible=False), migration("a", 3, problem="003_m3.py is odd"), 4, 6)
    b = pack_of("b", migration("b", 1, requires=("a:4",)), migration("b", 2, requires=("a:001_m1", "a:6")))
    records = [*(row("a", each) for each in (1, 2, 3, 5, 6, 7)), row("a", 4, checksum="x", name="004_x"), row("b", 1)]
    with pytest.raises(RollbackRefused, match="Restore an earlier snapshot instead") as refused:
        rollback([a, b], records, to=0)
    assert refused.value.found == (
        "the installed pack does not ship a:007_m7",
        "the installed pack does not ship a:005_m5",
        "a:004_x was replaced by another migration of that number",
        "003_m3.py is odd",
        "a:002_m2 has no rollback_migration",
        "b:001_m1 is applied and requires a:4",
    )


def test_a_rollback_of_what_an_applied_migration_of_another_pack_requires_is_refused():
    b = pack_of("b", migration("b", 1, requires=("a:1",)))
    records = [row("a", 1), row("a", 2), row("b", 1)]
    with pytest.raises(RollbackRefused, match="Roll back the migrations that require it first") as refused:
        rollback([pack_of("a", 1, 2), b], records, to=0)
    assert refused.value.found == ("b:001_m1 is applied and requires a:1",)
    assert rollback([pack_of("a", 1, 2), b], records, to=1) == ["a:002_m2"]
    assert rollback([pack_of("a", 1, 2), b], records[:2], to=0) == ["a:002_m2", "a:001_m1"]


def test_an_edited_migration_is_rolled_back_by_its_file_of_today():
    assert rollback([pack_of("a", 1)], [row("a", 1, checksum="other")]) == ["a:001_m1"]


# --- redo: cases ----------------------------------------------------------------------------------------------


def test_redo_rolls_the_newest_one_back_and_applies_it():
    plan = plan_redo(DB, [pack_of("a", 1, 2, 3)], [row("a", 1), row("a", 2)], "a")
    assert [(step.ref, step.direction) for step in plan.steps] == [("a:002_m2", "rollback"), ("a:002_m2", "apply")]
    assert plan_redo(DB, [pack_of("a", 1)], [], "a") == Plan()


def test_redo_is_refused_while_a_requirement_is_not_applied():
    a = pack_of("a", 1, migration("a", 2, requires=("b:1",)))
    with pytest.raises(RollbackRefused, match="a:002_m2 requires b:1, which is not applied. Apply that first."):
        plan_redo(DB, [a, pack_of("b", 1)], [row("a", 1), row("a", 2)], "a")
    assert len(plan_redo(DB, [a], [row("a", 1), row("a", 2), row("b", 1)], "a").steps) == 2


# --- reset: cases ---------------------------------------------------------------------------------------------


def test_a_reset_rolls_everything_back_the_newest_first():
    packs = [pack_of("a", 1, 2), pack_of("b", 1, 2)]
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


def test_versions_and_requirements_count_before_times():
    a = pack_of("a", 1, 2)
    assert reset([a], [row("a", 1, applied_at="2025"), row("a", 2, applied_at="2024")]) == ["a:002_m2", "a:001_m1"]
    b = pack_of("b", migration("b", 1, requires=("a:2",)))
    records = [row("b", 1, applied_at="2023"), row("a", 1, applied_at=None), row("a", 2, applied_at="2025")]
    assert reset([a, b], records) == ["b:001_m1", "a:002_m2", "a:001_m1"]


def test_a_record_without_a_time_is_reset_last():
    records = [row("a", 1, applied_at="2024"), row("b", 1, applied_at=None)]
    assert reset([pack_of("a", 1), pack_of("b", 1)], records) == ["a:001_m1", "b:001_m1"]


def test_every_reason_against_a_reset_is_named_and_nothing_is_planned():
    a = pack_of("a", 1, migration("a", 2, reversible=False), migration("a", 3, problem="003_m3.py is odd"), 4, 6)
    records = [*(row("a", each) for each in (1, 2, 3, 5, 6, 7)), row("a", 4, checksum="x", name="004_x"), row("gone", 1)]
    with pytest.raises(RollbackRefused) as refused:
        reset([a, pack_of("b", 1)], records)
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
    a = pack_of("a", 1, 2)
    b = pack_of("b", migration("b", 1, requires=("a:1",)), migration("b", 2, reversible=False))
    records = [row("a", 1), row("a", 2), row("b", 1)]
    assert reset([a, b], records, only=["b"]) == ["b:001_m1"]
    assert reset([a, b], [*records, row("gone", 1)], only=["a", "b"]) == ["a:002_m2", "b:001_m1", "a:001_m1"]
    with pytest.raises(RollbackRefused, match="b:001_m1 is applied and requires a:1. Reset the packs that require it, too."):
        reset([a, b], records, only=["a"])
    with pytest.raises(UnknownPack, match="'x'"):
        reset([a, b], records, only=["a", "x"])


def test_an_edited_migration_and_a_renamed_one_can_be_reset():
    records = [row("a", 1, checksum="other"), row("a", 2, name="2_old")]
    assert reset([pack_of("a", 1, 2)], records) == ["a:002_m2", "a:001_m1"]


@pytest.mark.parametrize(
    ("packs", "problem"),
    [
        (
            [pack_of("a", migration("a", 1, requires=("b:1",))), pack_of("b", migration("b", 1, requires=("a:1",)))],
            "b:001_m1 require each other, so none of them can be rolled back first",
        ),
        (
            [pack_of("a", migration("a", 1, requires=("a:1",))), pack_of("b", 1)],
            "a:001_m1 requires itself, so it can't be rolled back first",
        ),
        (
            [pack_of("a", migration("a", 1, requires=("a:2",)), 2), pack_of("b", 1)],
            "a:002_m2 require each other, so none of them can be rolled back first",
        ),
    ],
    ids=["two packs", "itself", "a later one"],
)
def test_a_reset_of_applied_migrations_that_came_to_require_each_other_is_refused(packs, problem):
    """Their files were edited since: a recorded requirement is met, whatever the files say today."""
    records = [row(pack.name, m.version, checksum="then") for pack in packs for m in pack.migrations]
    with pytest.raises(RollbackRefused, match=problem):
        reset(packs, records)


# --- laws -----------------------------------------------------------------------------------------------------


@given(packs_and_records(healthy=True), st.data())
@laws
def test_law_a_rollback_leaves_nothing_applied_that_requires_it(case, data):
    packs, records = case
    pack = data.draw(st.sampled_from(packs))
    how = data.draw(st.sampled_from([{"steps": 1}, {"steps": 2}, {"to": 0}, {"to": pack.migrations[0].version}]))
    own = [record.version for record in records if record.pack == pack.name][::-1]
    expected = own[: how["steps"]] if "steps" in how else [version for version in own if version > how["to"]]
    gone = {(pack.name, version) for version in expected}
    remaining = keys(records) - gone
    requirers = {
        m.ref
        for each in packs
        for m in each.migrations
        if each.name != pack.name and (each.name, m.version) in remaining and keys_of_refs(m.requires) & gone
    }
    stuck = {m.ref for m in pack.migrations if (pack.name, m.version) in gone and not m.reversible}
    try:
        plan = plan_rollback(DB, packs, records, pack.name, **how)
    except RollbackRefused as refused:
        assert {problem.split()[0] for problem in refused.found} == requirers | stuck
    else:
        assert not requirers | stuck
        assert [step.migration.version for step in plan.steps] == expected


@given(packs_and_records(healthy=True))
@laws
def test_law_what_was_applied_can_be_rolled_back_in_the_opposite_order(case):
    packs = [all_reversible(pack) for pack in case[0]]
    steps = plan_apply(DB, packs, []).steps
    now = [record_of(step) for step in steps]
    for step in steps[::-1]:
        (gone,) = plan_rollback(DB, packs, now, step.migration.pack).steps
        assert gone.migration == step.migration
        now.remove(record_of(step))
    assert now == []


@given(resettable())
@laws
def test_law_a_reset_rolls_everything_back_and_nothing_before_what_requires_it(case):
    packs, records = case
    left = keys(records)
    for step in plan_reset(DB, packs, records).steps:
        key = (step.migration.pack, step.migration.version)
        assert step.direction == "rollback"
        left.remove(key)
        assert not [
            m.ref for pack in packs for m in pack.migrations if (pack.name, m.version) in left and key in keys_of_refs(m.requires)
        ]
        assert not [version for name, version in left if name == key[0] and version > key[1]]
    assert left == set()


@given(resettable(), st.randoms())
@laws
def test_law_the_order_of_packs_and_rows_does_not_change_a_reset(case, random):
    packs, records = case
    plan = plan_reset(DB, packs, records)
    random.shuffle(packs)
    random.shuffle(records)
    assert plan_reset(DB, packs, records) == plan


@given(resettable(), st.data())
@laws
def test_law_after_some_steps_a_reset_is_what_was_left_of_it(case, data):
    packs, records = case
    steps = plan_reset(DB, packs, records).steps
    taken = data.draw(st.integers(0, len(steps)))
    gone = {(step.migration.pack, step.migration.version) for step in steps[:taken]}
    left = [record for record in records if (record.pack, record.version) not in gone]
    assert plan_reset(DB, packs, left).steps == steps[taken:]


@given(resettable())
@laws
def test_law_a_reset_is_what_single_rollbacks_could_do(case):
    packs, now = case
    for step in plan_reset(DB, packs, now).steps:
        assert plan_rollback(DB, packs, now, step.migration.pack).steps == (step,)
        now = [record for record in now if (record.pack, record.version) != (step.migration.pack, step.migration.version)]


@given(packs_and_records(healthy=True), st.data())
@laws
def test_law_what_was_applied_in_order_is_reset_in_the_opposite_order(case, data):
    packs = [all_reversible(pack) for pack in case[0]]
    steps = plan_apply(DB, packs, []).steps
    steps = steps[: data.draw(st.integers(0, len(steps)))]
    records = [replace(record_of(step), applied_at=f"2024-05-06 07:{number:02}:00") for number, step in enumerate(steps)]
    assert [step.migration for step in plan_reset(DB, packs, records).steps] == [step.migration for step in steps[::-1]]


@given(packs_and_records(), st.data())
@laws
def test_law_a_reset_is_refused_for_every_reason_there_is(case, data):
    packs, records = case
    only = data.draw(st.lists(st.sampled_from([pack.name for pack in packs]), unique=True))
    assume(not has_cycle(packs, keys(records)))
    chosen = {record.pack for record in records if not only or record.pack in only}
    known = {(pack.name, m.version): m for pack in packs for m in pack.migrations}
    gone = {key for key in keys(records) if key[0] in chosen}
    stuck = {key for key in gone if key not in known or known[key].problem or not known[key].reversible}
    required = {
        (key, ref) for key, m in known.items() if key in keys(records) - gone for ref in m.requires if keys_of_refs([ref]) & gone
    }
    try:
        plan = plan_reset(DB, packs, records, only)
    except RollbackRefused as refused:
        assert len(refused.found) == len(stuck) + len(required)
        assert stuck | required
    else:
        assert not stuck | required
        assert {(step.migration.pack, step.migration.version) for step in plan.steps} == gone
