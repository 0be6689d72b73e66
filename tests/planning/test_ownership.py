"""To which pack the rows of an earlier tracking table belong."""

from __future__ import annotations

from dataclasses import replace

import pytest
from planning.builders import DB, pack_of, row

from homie_migrations_core.broken import BrokenPack
from homie_migrations_core.errors import OwnerUnclear
from homie_migrations_core.planning.ownership import attribute_records, find_owner

MAIL, NEWS = pack_of("mail", 1, database="app.db"), pack_of("news", 1, database="app.db")
UNNAMED = BrokenPack("it can't be loaded", entry_point="x")


@pytest.mark.parametrize(
    ("file_name", "packs", "broken", "owner"),
    [
        ("homie_a.db", [], [], "a"),
        ("homie_a.db", [pack_of("b", 1, database="homie_a.db")], [], "a"),
        ("homie_a.db", [pack_of("a", 1), pack_of("b", 1, database="homie_a.db")], [], "a"),
        ("app.db", [], [], None),
        ("app.db", [MAIL], [], "mail"),
        ("app.db", [MAIL, NEWS], [], None),
        ("app.db", [MAIL, pack_of("b", 1)], [], "mail"),
        ("app.db", [MAIL], [BrokenPack("x", "news", "app.db")], None),
        ("app.db", [], [BrokenPack("x", "news", "app.db")], "news"),
        ("app.db", [MAIL], [UNNAMED], "mail"),
        ("copy.db", [MAIL], [], "mail"),
        ("copy.db", [MAIL], [UNNAMED], "mail"),
        ("copy.db", [MAIL, NEWS], [], None),
        ("homie_A.db", [MAIL], [], "mail"),
    ],
)
def test_the_owner_is_in_the_file_name_or_is_the_only_pack_that_targets_it(file_name, packs, broken, owner):
    assert find_owner(file_name, packs, broken) == owner


def test_rows_without_a_pack_are_attributed_to_the_owner():
    packs = [pack_of("0", 3), pack_of("a", 1, 2), pack_of("b", 3)]
    attributed, refusal = attribute_records(DB, [row(None, 1), row(None, 2)], "a", packs)
    assert ([each.pack for each in attributed], refusal) == (["a", "a"], None)
    assert attributed[0] == replace(row(None, 1), pack="a")


def test_an_owner_that_is_not_installed_gets_its_rows():
    attributed, refusal = attribute_records(DB, [row(None, 9)], "a", [pack_of("b", 1)])
    assert (attributed[0].pack, refusal) == ("a", None)


def test_rows_newer_than_the_owners_files_are_no_contradiction():
    assert attribute_records(DB, [row(None, 1), row(None, 3)], "a", [pack_of("a", 1, 2)])[1] is None


def test_rows_that_the_owner_never_shipped_are_a_contradiction():
    attributed, refusal = attribute_records(DB, [row(None, 1), row(None, 2), row(None, 4)], "a", [pack_of("a", 1, 3, 5)])
    assert isinstance(refusal, OwnerUnclear)
    assert refusal.found == "the pack a never shipped a:002_m2, a:004_m4, which it records"
    assert [each.pack for each in attributed] == ["a", "a", "a"]


def test_rows_that_several_packs_could_have_written_belong_to_none():
    attributed, refusal = attribute_records(DB, [row(None, 1)], None, [MAIL, NEWS])
    assert attributed == (row(None, 1),)
    assert refusal.found == "more than one pack could have written it"


def test_an_earlier_table_without_rows_needs_no_owner():
    assert attribute_records(DB, [], None, [MAIL, NEWS]) == ((), None)
