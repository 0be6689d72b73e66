"""Packs, migrations and records by name, version and ref."""

from __future__ import annotations

import pytest
from planning.builders import pack_of, row

from homie_migrations_core.errors import UnknownPack, UnknownTarget
from homie_migrations_core.planning.lookup import (
    find_pack,
    find_target,
    key_of,
    recorded_keys,
    records_of,
    shipped_migrations,
)

PACKS = [pack_of("b", 1), pack_of("a", 1, 2)]


@pytest.mark.parametrize("ref", ["a:2", "a:002", "a:0002", "a:002_m2"])
def test_a_target_may_be_written_like_any_ref(ref):
    assert find_target(PACKS, ref).ref == "a:002_m2"


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("a", r"'a' is not a valid reference \(expected e.g. 'pack:3'\)"),
        ("a:x", "is not a valid reference"),
        ("x:1", "the packs of this database are: a, b"),
        ("a:9", "the newest migration of the pack a is 002_m2"),
        ("a:0", "the newest migration of the pack a is 002_m2"),
        ("a:001_other", "the newest migration of the pack a is 002_m2"),
    ],
)
def test_an_unknown_target_is_refused(ref, words):
    with pytest.raises(UnknownTarget, match=words):
        find_target(PACKS, ref)


def test_an_unknown_target_is_refused_where_there_is_no_pack():
    with pytest.raises(UnknownTarget, match="the packs of this database are: none"):
        find_target([], "a:1")


def test_an_unknown_pack_is_refused_with_the_known_ones():
    assert find_pack(PACKS, "a") is PACKS[1]
    with pytest.raises(UnknownPack, match="no pack 'x'; the packs for this database are a, b"):
        find_pack(PACKS, "x")


def test_keys_are_made_of_pack_and_version_alone():
    assert {key_of(ref) for ref in ("a:1", "a:001", "a:001_any_name")} == {("a", 1)}
    assert list(shipped_migrations(PACKS)) == [("b", 1), ("a", 1), ("a", 2)]


def test_a_row_without_a_pack_has_no_key_and_is_no_packs_record():
    records = [row("a", 1), row(None, 2), row("b", 3)]
    assert recorded_keys(records) == {("a", 1), ("b", 3)}
    assert records_of("a", records) == [row("a", 1)]
