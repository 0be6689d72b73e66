"""A baseline records migrations without running them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from helpers import EARLIER_TABLE, fingerprint, python_migration, query, recorded, run_sql, tables, write_pack
from running.records.record_helpers import RUNS_NEVER, refs, rows, snapshots

from homie_migrations_core import MigrationRunner
from homie_migrations_core.errors import (
    BaselineRefused,
    ForeignTrackingTable,
    NotADatabase,
    OwnerUnclear,
    PackBroken,
    UnknownPack,
    UnknownTarget,
)


def test_a_baseline_records_up_to_a_version_and_runs_nothing(database: Path, make):
    runner = MigrationRunner(database, [make(1, 2, 3)])
    assert refs(runner.baseline("p", 2)) == ["p:001_m1", "p:002_m2"]
    assert recorded(database) == ["p:001_m1", "p:002_m2"]
    assert tables(database) == {"one", "two"}
    assert query(database, "SELECT * FROM one") == [(1,)]
    assert [step.ref for step in runner.plan().steps] == ["p:003_m3"]
    assert runner.status().packs["p"].state == "pending"


def test_a_record_of_a_baseline_has_a_time_a_checksum_and_no_duration(database: Path, make):
    runner = MigrationRunner(database, [make(1)])
    (migration,) = runner.baseline("p", 1)
    (record,) = runner.history()
    assert (record.ref, record.checksum, record.duration_ms) == ("p:001_m1", migration.checksum, None)
    at = datetime.strptime(record.applied_at, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=5)
    assert runner.status().packs["p"].migrations[0].state == "applied"


def test_the_release_that_recorded_it_is_noted(installed, database: Path):
    installed.pack("p", {"001_m1.py": python_migration(1, RUNS_NEVER)}, version="3.4")
    MigrationRunner(database).baseline("p", 1)
    assert query(database, "SELECT pack_version FROM schema_migrations") == [("3.4",)]


def test_a_snapshot_of_the_state_before_is_taken_first(database: Path, make):
    runner = MigrationRunner(database, [make(1)])
    runner.baseline("p", 1)
    assert snapshots(database) == [runner.snapshot]
    assert runner.snapshot.name.endswith(".untracked.auto.db")
    assert recorded(runner.snapshot) == []
    assert query(runner.snapshot, "SELECT * FROM one") == [(1,)]


def test_without_backup_there_is_none(database: Path, make):
    runner = MigrationRunner(database, [make(1)], backup=False)
    runner.baseline("p", 1)
    assert (runner.snapshot, snapshots(database)) == (None, [])


def test_a_second_baseline_changes_nothing(database: Path, make):
    runner = MigrationRunner(database, [make(1, 2)], backup=False)
    runner.baseline("p", 2)
    before = fingerprint(database.parent)
    again = MigrationRunner(database, [make(1, 2)])
    assert again.baseline("p", 2) == again.baseline("p", 1) == []
    assert again.snapshot is None
    assert fingerprint(database.parent) == before


def test_what_is_recorded_already_stays_as_it_was_and_the_rest_is_added(database: Path, make):
    runner = MigrationRunner(database, [make(1, 2, 3)], backup=False)
    runner.baseline("p", 1)
    run_sql(database, "UPDATE schema_migrations SET applied_at = '2020-01-02 03:04:05', duration_ms = 7")
    before = rows(database)
    assert refs(runner.baseline("p", 3)) == ["p:002_m2", "p:003_m3"]
    assert rows(database)[:1] == before


def test_a_gap_below_is_filled(database: Path, make):
    runner = MigrationRunner(database, [make(1, 3)], backup=False)
    runner.baseline("p", 3)
    runner = MigrationRunner(database, [make(1, 2, 3)], backup=False)
    assert runner.status().packs["p"].migrations[1].state == "late"
    assert refs(runner.baseline("p", 2)) == ["p:002_m2"]


@pytest.mark.parametrize("held_by", ["another pack", "nobody"])
def test_the_earlier_table_is_brought_to_the_current_shape_with_its_rows_and_times(database: Path, make, held_by: str):
    run_sql(database, EARLIER_TABLE + "INSERT INTO schema_migrations VALUES (1, '2020-01-02 03:04:05', '001_m1');")
    packs = [make(1, 2)] + ([make(1, name="q", database="homie_p.db")] if held_by == "another pack" else [])
    runner = MigrationRunner(database, packs)
    assert refs(runner.baseline("p", 2)) == ["p:002_m2"]
    assert [(row[0], row[2], row[3]) for row in rows(database)] == [(1, "001_m1", "p"), (2, "002_m2", "p")]
    assert query(database, "SELECT applied_at FROM schema_migrations WHERE version = 1") == [("2020-01-02 03:04:05",)]
    assert runner.snapshot.name.endswith(".p-1.auto.db")
    assert len(query(runner.snapshot, "PRAGMA table_info(schema_migrations)")) == 3


def test_an_earlier_table_that_could_be_of_several_packs_is_refused(tmp_path: Path, make):
    path = tmp_path / "shared.db"
    run_sql(path, "CREATE TABLE t (a);" + EARLIER_TABLE + "INSERT INTO schema_migrations VALUES (1, '', '001_m1');")
    packs = [make(1, 2, database="shared.db"), make(1, name="q", database="shared.db")]
    before = fingerprint(tmp_path)
    with pytest.raises(OwnerUnclear):
        MigrationRunner(path, packs).baseline("p", 2)
    assert fingerprint(tmp_path) == before


@pytest.mark.parametrize("what", ["missing", "empty", "a database without tables"])
def test_where_nothing_is_there_nothing_is_recorded(tmp_path: Path, make, what: str):
    path = tmp_path / "homie_p.db"
    if what == "empty":
        path.touch()
    elif what != "missing":
        run_sql(path, "CREATE TABLE t (a); DROP TABLE t;")
    before, pack = fingerprint(tmp_path), make(1)
    before = fingerprint(tmp_path)
    with pytest.raises(BaselineRefused) as refused:
        MigrationRunner(path, [pack]).baseline("p", 1)
    assert refused.value.path == str(path)
    assert str(refused.value) == (
        f"Nothing was recorded in {path}: it holds no table, so nothing of the pack can be there. Use `homie migrations apply`."
    )
    assert fingerprint(tmp_path) == before


@pytest.mark.parametrize("version", [0, 3, 99])
def test_a_version_that_the_pack_does_not_have_is_refused(database: Path, make, version: int):
    before, pack = fingerprint(database.parent), make(1, 2, 4)
    with pytest.raises(UnknownTarget, match=rf"'p:{version}' does not name a migration"):
        MigrationRunner(database, [pack]).baseline("p", version)
    assert fingerprint(database.parent) == before


def test_a_pack_that_is_not_there_is_refused(database: Path, make):
    with pytest.raises(UnknownPack):
        MigrationRunner(database, [make(1)]).baseline("q", 1)


def test_a_broken_pack_is_named_and_nothing_recorded(database: Path, make, tmp_path: Path):
    pack, broken = make(1), write_pack(tmp_path / "packs" / "q", "q", {"x.py": ""}, database="homie_p.db")
    runner = MigrationRunner(database, [pack, broken])
    with pytest.raises(PackBroken):
        runner.baseline("q", 1)
    assert refs(runner.baseline("p", 1)) == ["p:001_m1"]


def test_a_file_that_can_not_be_used_is_not_recorded(database: Path, make):
    pack = make(1, m002_bad="def get_migration_version(: pass")
    before = fingerprint(database.parent)
    with pytest.raises(BaselineRefused) as refused:
        MigrationRunner(database, [pack]).baseline("p", 2)
    assert "002_bad.py" in str(refused.value)
    assert fingerprint(database.parent) == before
    assert refs(MigrationRunner(database, [pack]).baseline("p", 1)) == ["p:001_m1"]


def test_what_is_required_must_be_recorded_first_and_every_reason_is_named(database: Path, make):
    q = make(1, 2, name="q", database="homie_p.db")
    p = make(
        m001_m1=python_migration(1, RUNS_NEVER, requires=("q:1",)), m002_m2=python_migration(2, RUNS_NEVER, requires=("q:2", "p:1"))
    )
    runner = MigrationRunner(database, [p, q], backup=False)
    before = fingerprint(database.parent)
    with pytest.raises(BaselineRefused) as refused:
        runner.baseline("p", 2)
    assert refused.value.found == (
        "p:001_m1 requires q:1, which is not recorded",
        "p:002_m2 requires q:2, which is not recorded",
    )
    assert fingerprint(database.parent) == before
    runner.baseline("q", 2)
    assert refs(runner.baseline("p", 2)) == ["p:001_m1", "p:002_m2"]


def test_a_version_that_is_recorded_as_something_else_is_refused(database: Path, make):
    runner = MigrationRunner(database, [make(1, 2)], backup=False)
    runner.baseline("p", 1)
    run_sql(database, "UPDATE schema_migrations SET migration_name = '001_other', checksum = 'other'")
    with pytest.raises(BaselineRefused) as refused:
        runner.baseline("p", 2)
    assert refused.value.found == ("p:001_other is recorded where the pack now ships 001_m1",)


def test_another_tools_table_is_left_alone(database: Path, make):
    run_sql(database, "CREATE TABLE schema_migrations (version TEXT PRIMARY KEY)")
    before = fingerprint(database.parent)
    with pytest.raises(ForeignTrackingTable):
        MigrationRunner(database, [make(1)]).baseline("p", 1)
    assert fingerprint(database.parent) == before


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path, make):
    path = tmp_path / "homie_p.db"
    path.write_bytes(b"these are no pages" * 100)
    with pytest.raises(NotADatabase):
        MigrationRunner(path, [make(1)]).baseline("p", 1)
    with pytest.raises(NotADatabase):
        MigrationRunner(path, [make(1)]).repair("p:1")
    assert path.read_bytes() == b"these are no pages" * 100
