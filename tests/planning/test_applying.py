"""Plans that bring a database up to date: by cases, and by laws that hold for all packs and records."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning.builders import DB, keys, keys_of_refs, migration, pack_of, record_of, refs, row
from planning.strategies import laws, packs_and_records

from homie_migrations_core.errors import DatabaseIsAhead, MigrationLate, MigrationReplaced, RunRefused, UnknownPack, UnknownTarget
from homie_migrations_core.planning.applying import plan_apply

# --- cases ----------------------------------------------------------------------------------------------------


def test_edited_migrations_are_named_and_stop_nothing():
    plan = plan_apply(DB, [pack_of("a", 1, 2)], [row("a", 1, checksum="other")])
    assert (refs(plan), plan.edited) == (["a:002_m2"], ("a:001_m1",))


@pytest.mark.parametrize(
    ("pack", "records", "kind", "words"),
    [
        (pack_of("a", 1), [row("a", 1), row("a", 2), row("a", 3)], DatabaseIsAhead, "it already holds a:002_m2, a:003_m3"),
        (
            pack_of("a", 1),
            [row("a", 1, checksum="x", name="001_x")],
            MigrationReplaced,
            "a:001_x is recorded, but the pack now ships 001_m1 with other code",
        ),
        (pack_of("a", 1, 2, 3), [row("a", 2)], MigrationLate, "a:001_m1 is pending although 002_m2 is applied"),
    ],
)
def test_one_problem_is_refused_as_its_own_class(pack, records, kind, words):
    with pytest.raises(kind, match=words) as refused:
        plan_apply(DB, [pack, pack_of("b", 1)], records)
    assert type(refused.value) is kind
    assert refused.value.reasons == (refused.value,)


def test_every_problem_of_every_pack_is_refused_at_once():
    packs = [pack_of("a", 1, 2), pack_of("b", 1), pack_of("c", 1, 2), pack_of("d", 1)]
    records = [row("a", 2), row("a", 5), row("b", 1, checksum="x", name="001_x"), row("c", 2)]
    with pytest.raises(RunRefused) as refused:
        plan_apply(DB, packs, records)
    kinds = [type(each) for each in refused.value.reasons]
    assert kinds == [DatabaseIsAhead, MigrationLate, MigrationReplaced, MigrationLate]
    for words in ("a:005_m5", "a:001_m1 is pending although 005_m5 is applied", "b:001_x", "c:001_m1"):
        assert words in str(refused.value)


def test_a_refusal_for_one_pack_stops_the_whole_database():
    with pytest.raises(DatabaseIsAhead):
        plan_apply(DB, [pack_of("a", 1), pack_of("b", 1)], [row("b", 1), row("b", 2)], to="a:1")


def test_a_late_migration_may_be_allowed_and_comes_in_its_place():
    plan = plan_apply(DB, [pack_of("a", 1, 2, 3, 4)], [row("a", 1), row("a", 3)], allow_late=True)
    assert refs(plan) == ["a:002_m2", "a:004_m4"]


def test_missing_migrations_and_orphaned_rows_stop_nothing():
    plan = plan_apply(DB, [pack_of("a", 1, 3)], [row("a", 1), row("a", 2), row("gone", 1)])
    assert refs(plan) == ["a:003_m3"]


def test_a_target_brings_its_pack_up_to_it_with_what_that_requires():
    a = pack_of("a", 1, migration("a", 2, requires=("b:1",)), 3)
    packs = [a, pack_of("b", 1, 2), pack_of("c", 1)]
    assert refs(plan_apply(DB, packs, [], to="a:1")) == ["a:001_m1"]
    assert refs(plan_apply(DB, packs, [], to="a:002_m2")) == ["a:001_m1", "b:001_m1", "a:002_m2"]
    assert refs(plan_apply(DB, packs, [row("a", 1), row("a", 2)], to="a:1")) == []


def test_a_target_that_does_not_exist_is_refused():
    with pytest.raises(UnknownTarget, match="'a:9'"):
        plan_apply(DB, [pack_of("a", 1, 2)], [], to="a:9")


def test_only_takes_whole_packs_with_what_they_require():
    packs = [pack_of("a", migration("a", 1, requires=("b:1",)), 2), pack_of("b", 1, 2), pack_of("c", 1)]
    assert refs(plan_apply(DB, packs, [], only=["a"])) == ["b:001_m1", "a:001_m1", "a:002_m2"]
    assert refs(plan_apply(DB, packs, [], only=["b", "c"])) == ["b:001_m1", "b:002_m2", "c:001_m1"]
    for to in (None, "a:1"):
        with pytest.raises(UnknownPack, match="there is no pack 'x'; the packs for this database are a, b, c"):
            plan_apply(DB, packs, [], only=["a", "x"], to=to)


def test_of_what_is_left_out_only_the_chosen_packs_are_named():
    packs = [pack_of("a", migration("a", 1, problem="001_m1.py is odd")), pack_of("b", 1)]
    assert plan_apply(DB, packs, [], only=["b"]).left_out == ()
    assert [each.pack for each in plan_apply(DB, packs, [], only=["a"]).left_out] == ["a"]


# --- laws -----------------------------------------------------------------------------------------------------


@given(packs_and_records())
@laws
def test_law_nothing_runs_before_what_it_needs_and_nothing_runs_twice(case):
    packs, records = case
    done = keys(records)
    shipped = {pack.name: [m.version for m in pack.migrations] for pack in packs}
    for step in plan_apply(DB, packs, records).steps:
        key = (step.migration.pack, step.migration.version)
        assert key not in done
        assert keys_of_refs(step.migration.requires) <= done
        assert {(key[0], version) for version in shipped[key[0]] if version < key[1]} <= done
        done.add(key)


@given(packs_and_records(), st.randoms())
@laws
def test_law_the_order_of_packs_and_rows_changes_nothing(case, random):
    packs, records = case
    plan = plan_apply(DB, packs, records)
    random.shuffle(packs)
    random.shuffle(records)
    assert plan_apply(DB, packs, records) == plan


@given(packs_and_records(), st.integers(0, 8))
@laws
def test_law_after_some_steps_the_plan_is_what_was_left_of_it(case, taken):
    packs, records = case
    plan = plan_apply(DB, packs, records)
    again = plan_apply(DB, packs, records + [record_of(step) for step in plan.steps[:taken]])
    assert again.steps == plan.steps[taken:]
    assert again.left_out == plan.left_out


def can_all_run(packs, records) -> bool:
    """Whether these packs could be brought up to date by trying, without any other."""
    done = keys(records)
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


@given(packs_and_records())
@laws
def test_law_every_pack_that_can_be_brought_up_to_date_is_and_no_other(case):
    packs, records = case
    plan = plan_apply(DB, packs, records)
    pending = {pack.name for pack in packs if any((pack.name, m.version) not in keys(records) for m in pack.migrations)}
    subsets = chain.from_iterable(combinations(packs, size) for size in range(len(packs) + 1))
    workable = {pack.name for subset in subsets if can_all_run(subset, records) for pack in subset}
    assert {each.pack for each in plan.left_out} == pending - workable
    assert all(each.reasons for each in plan.left_out)
    assert keys(map(record_of, plan.steps)) == {
        (pack.name, m.version) for pack in packs if pack.name in workable for m in pack.migrations
    } - keys(records)


@given(packs_and_records(), st.data())
@laws
def test_law_a_target_takes_what_it_requires_and_nothing_else(case, data):
    packs, records = case
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
        open_ends |= ((keys_of_refs(due[key].requires) & due.keys()) | before) - needed
    assert keys(map(record_of, plan.steps)) == needed


@given(packs_and_records(), st.data())
@laws
def test_law_a_refusal_names_every_problem(case, data):
    packs, records = case
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
        if any(m.version < newest and (pack.name, m.version) not in keys(records) for m in pack.migrations):
            expected.add((MigrationLate, pack.name))
    if not expected:
        plan_apply(DB, packs, records)
        return
    with pytest.raises(RunRefused) as refused:
        plan_apply(DB, packs, records)
    found = set()
    for reason in refused.value.reasons:
        assert all(part in str(refused.value) for part in (reason.summary, *reason.problems, reason.advice))
        ref = {DatabaseIsAhead: "unknown", MigrationReplaced: "replaced", MigrationLate: "late"}[type(reason)]
        first = getattr(reason, ref)[0]
        found.add((type(reason), (first if isinstance(first, str) else first[0]).partition(":")[0]))
    assert found == expected
