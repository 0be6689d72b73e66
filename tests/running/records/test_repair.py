"""A repair accepts an edited migration or removes a record, one row at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import EARLIER_TABLE, creates, fingerprint, recorded, run_sql, tables
from running.records.record_helpers import EDITED, packs_of, refs, rows

from homie_migrations_core import MigrationRunner
from homie_migrations_core.errors import (
    DatabaseIsAhead,
    DatabaseNotReachable,
    MigrationReplaced,
    PackBroken,
    RepairRefused,
    UnknownTarget,
)


def test_an_edited_migration_is_accepted_as_it_is_today_and_only_its_checksum_changes(two: Path, make):
    runner = MigrationRunner(two, packs_of(make, 1, m002_m2=EDITED))
    assert runner.status().packs["p"].migrations[1].state == "edited"
    before = rows(two)

    planned = runner.plan_repair("p:2")
    assert rows(two) == before
    repair = runner.repair("p:2")

    assert repair == planned
    assert repair.after is not None
    assert (repair.before.ref, repair.after.ref) == ("p:002_m2", "p:002_m2")
    assert repair.before.checksum != repair.after.checksum
    after = rows(two)
    assert after[0] == before[0]
    assert after[2] == before[2]
    assert after[1] == tuple(repair.after.checksum if each == repair.before.checksum else each for each in before[1])
    assert runner.status().packs["p"].state == "up_to_date"
    assert runner.snapshot.name.endswith(".p-2+q-1.auto.db")
    assert rows(runner.snapshot) == before


REMOVED = {
    "missing": (lambda make: packs_of(make, 2), "p:1", 0),
    "ahead": (lambda make: packs_of(make, 1), "p:002_m2", 1),
    "orphaned": (lambda make: packs_of(make, 1, 2)[:1], "q:1", 2),
    "replaced": (lambda make: packs_of(make, 1, m002_other=EDITED), "p:2", 1),
}


@pytest.mark.parametrize(("packs", "ref", "number"), REMOVED.values(), ids=REMOVED)
def test_a_record_that_nothing_belongs_to_is_removed_and_no_other(two: Path, make, packs, ref: str, number: int, request):
    runner = MigrationRunner(two, packs(make))
    state = [each.state for pack in runner.status().packs.values() for each in pack.migrations]
    assert request.node.callspec.id in state
    before = rows(two)
    planned = runner.plan_repair(ref)
    repair = runner.repair(ref)
    assert repair == planned
    assert repair.after is None
    assert rows(two) == before[:number] + before[number + 1 :]
    assert tables(two) == {"one", "two"}
    assert rows(runner.snapshot) == before


def test_the_record_of_a_pack_that_is_only_broken_is_not_taken_for_nobodys(two: Path, make, tmp_path: Path):
    packs = packs_of(make, 1, 2)
    (tmp_path / "packs" / "p" / "x.py").write_text("")
    runner = MigrationRunner(two, packs)
    assert runner.status().packs["p"].state == "broken"
    before = rows(two)
    with pytest.raises((PackBroken, RepairRefused)):
        runner.repair("p:1")
    assert rows(two) == before


def test_after_a_repair_a_run_goes_on(two: Path, make):
    runner = MigrationRunner(two, packs_of(make, 1), backup=False)
    with pytest.raises(DatabaseIsAhead):
        runner.apply()
    runner.repair("p:2")
    assert runner.apply() == []

    runner = MigrationRunner(two, packs_of(make, m001_new=creates(1, "new")), backup=False)
    with pytest.raises(MigrationReplaced):
        runner.apply()
    runner.repair("p:001_m1")
    assert refs(runner.apply()) == ["p:001_new"]


def test_a_record_in_order_is_only_removed_on_request(two: Path, make):
    runner = MigrationRunner(two, packs_of(make, 1, 2))
    before = fingerprint(two.parent)
    for repair in (runner.repair, runner.plan_repair):
        with pytest.raises(RepairRefused) as refused:
            repair("p:2")
        assert refused.value.ref == "p:002_m2"
    assert fingerprint(two.parent) == before
    table = rows(two)
    assert runner.repair("p:2", remove=True).after is None
    assert rows(two) == [table[0], table[2]]
    assert [step.ref for step in runner.plan().steps] == ["p:002_m2"]


def test_an_edited_record_can_be_removed_too(two: Path, make):
    runner = MigrationRunner(two, packs_of(make, 1, m002_m2=EDITED))
    assert runner.repair("p:2", remove=True).after is None
    assert recorded(two) == ["p:001_m1", "q:001_m1"]


@pytest.mark.parametrize("ref", ["p", "p:3", "p:002_other", "r:1", "p:x", "", "p:0"])
def test_a_ref_under_which_nothing_is_recorded_is_refused(two: Path, make, ref: str):
    runner = MigrationRunner(two, packs_of(make, 1, 2, 3))
    before = fingerprint(two.parent)
    with pytest.raises(UnknownTarget):
        runner.repair(ref, remove=True)
    assert fingerprint(two.parent) == before


def test_where_there_is_no_database_nothing_is_made(tmp_path: Path, make):
    pack = make(1)
    before = fingerprint(tmp_path)
    with pytest.raises(UnknownTarget):
        MigrationRunner(tmp_path / "homie_p.db", [pack]).repair("p:1")
    with pytest.raises(DatabaseNotReachable):
        MigrationRunner(tmp_path / "nowhere" / "homie_p.db", [pack]).repair("p:1")
    assert fingerprint(tmp_path) == before


def test_a_record_of_the_earlier_table_can_be_removed(database: Path, make):
    run_sql(
        database,
        EARLIER_TABLE
        + "INSERT INTO schema_migrations VALUES (1, '2020-01-02 03:04:05', '001_m1'), (2, '2020-01-02 03:04:06', '002_m2');",
    )
    runner = MigrationRunner(database, [make(1)])
    assert runner.repair("p:2").before.ref == "p:002_m2"
    assert [row[:4] for row in rows(database)] == [(1, "2020-01-02 03:04:05", "001_m1", "p")]
