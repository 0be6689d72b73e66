"""Records without a run: what a baseline records, what a repair corrects or removes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning.builders import DB, keys, keys_of_refs, migration, pack_of, row
from planning.strategies import laws, packs_and_records

from homie_migrations_core.errors import BaselineRefused, RepairRefused, UnknownPack, UnknownTarget
from homie_migrations_core.planning.applying import plan_apply
from homie_migrations_core.planning.records import plan_baseline, plan_repair
from homie_migrations_core.planning.states import migration_states

# --- baseline -------------------------------------------------------------------------------------------------


def baseline(packs, records, version, pack="a") -> list[str]:
    return [each.ref for each in plan_baseline(DB, packs, records, pack, version)]


@pytest.mark.parametrize(
    ("records", "version", "expected"),
    [
        ([], 2, ["a:001_m1", "a:002_m2"]),
        ([row("a", 1)], 4, ["a:002_m2", "a:004_m4"]),
        ([row("a", 2)], 2, ["a:001_m1"]),
        ([row("a", 1), row("a", 2)], 2, []),
        ([row("b", 1)], 1, ["a:001_m1"]),
    ],
)
def test_a_baseline_is_what_is_not_recorded_yet_up_to_a_version(records, version, expected):
    assert baseline([pack_of("a", 1, 2, 4)], records, version) == expected


def test_edited_missing_and_ahead_migrations_do_not_stop_a_baseline():
    assert baseline([pack_of("a", 1, 3)], [row("a", 1, checksum="other"), row("a", 2), row("a", 9)], 3) == ["a:003_m3"]


@pytest.mark.parametrize("version", [-1, 0, 3, 9])
def test_a_baseline_at_a_version_that_is_not_shipped_is_refused(version):
    with pytest.raises(UnknownTarget, match=f"'a:{version}'"):
        baseline([pack_of("a", 1, 2, 4)], [], version)


def test_a_baseline_of_an_unknown_pack_is_refused():
    with pytest.raises(UnknownPack, match="there is no pack 'x'; the packs for this database are a"):
        baseline([pack_of("a", 1)], [], 1, pack="x")


def test_every_reason_against_a_baseline_is_named():
    a = pack_of(
        "a",
        1,
        migration("a", 2, requires=("b:1", "c:1")),
        migration("a", 3, problem="003_m3.py is odd", requires=("a:1",)),
        migration("a", 4, problem="004_m4.py is odd", requires=("b:2",)),
    )
    records = [row("a", 1, checksum="x", name="001_x"), row("b", 1)]
    with pytest.raises(BaselineRefused) as refused:
        baseline([a, pack_of("b", 1, 2), pack_of("c", 1)], records, 3)
    assert refused.value.path == DB
    assert refused.value.found == (
        "a:001_x is recorded where the pack now ships 001_m1",
        "a:002_m2 requires c:1, which is not recorded",
        "003_m3.py is odd",
    )


@given(packs_and_records(healthy=True), st.data())
@laws
def test_law_after_a_baseline_nothing_up_to_it_is_pending_and_nothing_else_has_changed(case, data):
    packs, records = case
    pack = data.draw(st.sampled_from(packs))
    version = data.draw(st.sampled_from([m.version for m in pack.migrations]))
    up_to = [m for m in pack.migrations if m.version <= version]
    recorded = keys(records)
    met = recorded | {(pack.name, m.version) for m in up_to}
    unmet = [ref for m in up_to for ref in m.requires if not keys_of_refs([ref]) <= met]
    try:
        found = plan_baseline(DB, packs, records, pack.name, version)
    except BaselineRefused as refused:
        assert len(refused.found) == len(unmet) > 0
        return
    assert not unmet
    assert [m.version for m in found] == sorted({m.version for m in up_to} - {v for name, v in recorded if name == pack.name})
    after = [*records, *(row(m.pack, m.version) for m in found)]
    assert plan_baseline(DB, packs, after, pack.name, version) == ()
    states_now = {each.version: each.state for each in migration_states(pack, [r for r in after if r.pack == pack.name])}
    assert {states_now[m.version] for m in up_to} == {"applied"}
    pending = {step.migration for step in plan_apply(DB, packs, after, only=[pack.name], allow_late=True).steps}
    assert not pending & set(up_to)


# --- repair ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ref", ["a:1", "a:001", "a:001_m1"])
def test_an_edited_record_gets_the_checksum_of_today_and_keeps_the_rest(ref):
    then = row("a", 1, checksum="then", duration_ms=7, pack_version="1.0")
    repair = plan_repair(DB, [pack_of("a", 1)], [then, row("b", 1)], ref)
    assert repair.before == then
    assert repair.after == replace(then, checksum="sum of a:001_m1")


@pytest.mark.parametrize(
    ("packs", "record"),
    [
        ([pack_of("a", 2)], row("a", 1)),
        ([pack_of("a", 1)], row("a", 2)),
        ([pack_of("b", 1)], row("a", 1)),
        ([pack_of("a", 1)], row("a", 1, checksum="x", name="001_x")),
    ],
    ids=["missing", "ahead", "orphaned", "replaced"],
)
def test_a_record_without_its_migration_is_removed(packs, record):
    repair = plan_repair(DB, packs, [record, row("c", 1)], record.ref)
    assert (repair.before, repair.after) == (record, None)


@pytest.mark.parametrize(
    "record",
    [row("a", 1), row("a", 1, checksum=None, name="old"), row("a", 1, name="1_renamed")],
    ids=["applied", "without a checksum", "renamed"],
)
def test_a_record_in_order_is_only_removed_on_demand(record):
    with pytest.raises(RepairRefused, match="is in order") as refused:
        plan_repair(DB, [pack_of("a", 1)], [record], "a:1")
    assert refused.value.ref == record.ref
    assert plan_repair(DB, [pack_of("a", 1)], [record], "a:1", remove=True).after is None


def test_an_edited_record_may_be_removed_too():
    assert plan_repair(DB, [pack_of("a", 1)], [row("a", 1, checksum="x")], "a:1", remove=True).after is None


@pytest.mark.parametrize("remove", [False, True])
@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("a", "is not a valid reference"),
        ("a:0", "has no record of it"),
        ("a:2", "has no record of it"),
        ("a:001_other", "has no record of it"),
        ("x:1", "has no record of it"),
    ],
)
def test_a_ref_without_a_record_is_refused(ref, words, remove):
    with pytest.raises(UnknownTarget, match=words):
        plan_repair(DB, [pack_of("a", 1, 2)], [row("a", 1)], ref, remove=remove)


@given(packs_and_records(), st.data())
@laws
def test_law_a_repaired_record_is_in_order_and_the_others_are_as_they_were(case, data):
    packs, records = case
    change = st.sampled_from([{}, {"checksum": "x"}, {"checksum": "x", "name": "x"}, {"checksum": None}])
    records = [replace(record, **data.draw(change)) for record in records] + [row("a", 9), row("gone", 1)]
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
