"""What runs before what, and which packs can't be applied."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning.builders import keys, keys_of_refs, migration, pack_of, row
from planning.strategies import laws, packs_and_records

from homie_migrations_core.planning.ordering import find_unmet, order_applied, order_pending


def order(*packs, records=()) -> list[str]:
    return [each.ref for each in order_pending(packs, records).migrations.values()]


def left_out(*packs, records=()) -> dict[str, tuple[str, ...]]:
    return {each.pack: each.reasons for each in order_pending(packs, records).left_out}


# --- what is pending ------------------------------------------------------------------------------------------


def test_pending_migrations_are_sorted_by_pack_and_version_but_for_requirements():
    a = pack_of("a", 1, migration("a", 2, requires=("b:2",)), 3)
    assert order(a, pack_of("b", 1, 2, 3), pack_of("c", 1)) == [
        "a:001_m1",
        "b:001_m1",
        "b:002_m2",
        "a:002_m2",
        "a:003_m3",
        "b:003_m3",
        "c:001_m1",
    ]


def test_versions_are_numbers_and_may_have_gaps():
    assert order(pack_of("a", 2, 10, 9, 100)) == ["a:002_m2", "a:009_m9", "a:010_m10", "a:100_m100"]


@pytest.mark.parametrize("ref", ["b:2", "b:002", "b:002_m2"])
def test_a_requirement_may_be_written_like_any_ref(ref):
    a = pack_of("a", migration("a", 1, requires=(ref,)))
    assert order(a, pack_of("b", 1, 2)) == ["b:001_m1", "b:002_m2", "a:001_m1"]


def test_a_recorded_requirement_is_met_even_if_its_pack_is_gone_or_broken_or_was_renamed():
    a = pack_of("a", migration("a", 1, requires=("b:002_former_name",)))
    assert order(a, records=[row("b", 2)]) == ["a:001_m1"]
    broken, records = pack_of("b", 1, 2, migration("b", 3, problem="003_m3.py is odd")), [row("b", 1), row("b", 2)]
    assert order(a, broken, records=records) == ["a:001_m1"]
    assert list(left_out(a, broken, records=records)) == ["b"]


# --- what is left out -----------------------------------------------------------------------------------------


def test_a_pack_with_an_unusable_pending_file_is_left_out_as_a_whole():
    b = pack_of("b", 1, migration("b", 2, problem="002_m2.py is odd"), migration("b", 3, problem="003_m3.py too"))
    assert order(pack_of("a", 1), b) == ["a:001_m1"]
    assert left_out(pack_of("a", 1), b) == {"b": ("002_m2.py is odd", "003_m3.py too")}


def test_an_unusable_file_that_is_applied_is_no_reason():
    b = pack_of("b", migration("b", 1, problem="001_m1.py is odd", checksum=None), 2)
    assert order(b, records=[row("b", 1)]) == ["b:002_m2"]
    assert left_out(b, records=[row("b", 1)]) == {}


def test_unusable_files_and_requirements_that_nobody_ships_are_reasons_side_by_side():
    a = pack_of("a", migration("a", 1, problem="001_m1.py is odd"), migration("a", 2, requires=("b:1", "c:1")))
    assert left_out(a) == {
        "a": (
            "001_m1.py is odd",
            "a:002_m2 requires b:1, which no usable pack of this database ships",
            "a:002_m2 requires c:1, which no usable pack of this database ships",
        )
    }


def test_a_pack_that_requires_one_that_cannot_be_applied_is_left_out_with_the_whole_chain():
    packs = (
        pack_of("a", 1, migration("a", 2, requires=("b:1",))),
        pack_of("b", migration("b", 1, requires=("c:1",))),
        pack_of("c", migration("c", 1, problem="001_m1.py is odd")),
        pack_of("d", 1),
    )
    assert left_out(*packs) == {
        "a": (
            "a:002_m2 requires b:1, and the pack b can't be applied because "
            "b:001_m1 requires c:1, and the pack c can't be applied because 001_m1.py is odd",
        ),
        "b": ("b:001_m1 requires c:1, and the pack c can't be applied because 001_m1.py is odd",),
        "c": ("001_m1.py is odd",),
    }
    assert order(*packs) == ["d:001_m1"]


@pytest.mark.parametrize("ref", ["gone:1", "b:9", "b:001_other"])
def test_a_pack_with_a_requirement_that_nobody_ships_is_left_out(ref):
    packs = (pack_of("a", migration("a", 1, requires=(ref,))), pack_of("b", 1))
    assert left_out(*packs) == {"a": (f"a:001_m1 requires {ref}, which no usable pack of this database ships",)}


@pytest.mark.parametrize(
    ("packs", "reason"),
    [
        (
            [pack_of("a", 1, migration("a", 2, requires=("b:1",))), pack_of("b", migration("b", 1, requires=("a:2",)))],
            "a:002_m2 and b:001_m1 require each other",
        ),
        ([pack_of("a", migration("a", 1, requires=("a:1",)))], "a:001_m1 requires itself"),
        ([pack_of("a", migration("a", 1, requires=("a:2",)), 2)], "a:001_m1 and a:002_m2 require each other"),
    ],
    ids=["two packs", "itself", "a later one of its pack"],
)
def test_migrations_that_require_each_other_are_left_out_and_named(packs, reason):
    assert left_out(*packs, pack_of("c", 1)) == {pack.name: (reason,) for pack in packs}
    assert order(*packs, pack_of("c", 1)) == ["c:001_m1"]


# --- what is applied ------------------------------------------------------------------------------------------


def applied(packs, records, **how) -> list[str]:
    return [each.ref for each in order_applied(packs, records, **how)]


def test_applied_migrations_come_in_the_order_of_their_records():
    packs = [pack_of("a", 1, 2), pack_of("b", 1)]
    by_time = [row("a", 1, applied_at="2022"), row("b", 1, applied_at="2023"), row("a", 2, applied_at="2024")]
    assert applied(packs, by_time[::-1]) == ["a:001_m1", "b:001_m1", "a:002_m2"]
    by_sequence = [row("b", 1, sequence=1, applied_at="2024"), row("a", 1, sequence=2, applied_at="2023")]
    assert applied(packs, by_sequence) == ["b:001_m1", "a:001_m1"]


def test_an_applied_migration_never_comes_before_what_it_requires():
    packs = [pack_of("a", migration("a", 1, requires=("b:1",))), pack_of("b", 1)]
    assert applied(packs, [row("a", 1, applied_at="2022"), row("b", 1, applied_at="2023")]) == ["b:001_m1", "a:001_m1"]


def test_applied_migrations_whose_files_came_to_require_each_other_keep_the_order_of_their_records():
    packs = [pack_of("a", migration("a", 1, requires=("b:1",))), pack_of("b", migration("b", 1, requires=("a:1",)))]
    assert applied(packs, [row("a", 1, applied_at="2023"), row("b", 1, applied_at="2022")]) == ["b:001_m1", "a:001_m1"]


def test_a_replaced_migration_counts_as_applied_only_on_demand_and_others_never():
    packs = [pack_of("a", 1, 2, 4)]
    records = [row("a", 1, checksum="x"), row("a", 2, checksum="x", name="002_x"), row("a", 3), row("a", 9), row("gone", 1)]
    assert applied(packs, records) == ["a:001_m1"]
    assert applied(packs, records, replaced=True) == ["a:001_m1", "a:002_m2"]


def test_unmet_requirements_of_applied_migrations_are_found():
    packs = [pack_of("a", migration("a", 1, requires=("b:1", "b:2")), migration("a", 2, requires=("c:1",))), pack_of("b", 1, 2)]
    found = find_unmet(packs, [row("a", 1), row("b", 2)])
    assert [(each.ref, ref) for each, ref in found] == [("a:001_m1", "b:1")]


@given(packs_and_records(), st.randoms())
@laws
def test_law_what_is_applied_is_ordered_whatever_the_order_of_packs_and_rows(case, random):
    packs, records = case
    found = order_applied(packs, records)
    shipped = {(pack.name, m.version) for pack in packs for m in pack.migrations}
    assert {(m.pack, m.version) for m in found} == keys(records) & shipped
    random.shuffle(packs)
    random.shuffle(records)
    assert order_applied(packs, records) == found
    unmet = {(m.pack, m.version, ref) for m, ref in find_unmet(packs, records)}
    for m in found:
        missing = {(m.pack, m.version, ref) for ref in m.requires if not keys_of_refs([ref]) <= keys(records)}
        assert missing == {each for each in unmet if each[:2] == (m.pack, m.version)}
