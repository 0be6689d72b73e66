"""`migrate_fleet`, `fleet_status` and `validate_fleet`, by what they yield; the work is done in this process."""

from __future__ import annotations

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fleet.fleet_helpers import REFS, InProcess, applied_times, tenant_pack, tenants
from helpers import fingerprint, recorded, run_sql

from homie_migrations_core import MigrationRunner
from homie_migrations_core.errors import PackBroken
from homie_migrations_core.fleet import Outcome, PackVersions, fleet_status, migrate_fleet, validate_fleet


@pytest.fixture
def pack(tmp_path: Path):
    return tenant_pack(tmp_path)


def by_name(results) -> dict[str, object]:
    return {Path(each.path).name: each for each in results}


def test_each_database_gets_one_outcome_with_what_was_applied(tmp_path: Path, pack):
    paths = tenants(tmp_path / "db", 5)
    MigrationRunner(paths[0], [pack]).apply()
    MigrationRunner(paths[1], [pack]).apply(to="tenant:1")
    found = by_name(migrate_fleet(paths, [pack], InProcess()))
    assert found.keys() == {path.name for path in paths}
    assert (found["00000.db"].state, found["00000.db"].applied) == ("up_to_date", ())
    assert (found["00001.db"].state, found["00001.db"].applied) == ("applied", REFS[1:])
    assert all(found[f"0000{number}.db"][1:5] == ("applied", REFS, None, None) for number in (2, 3, 4))
    assert all(isinstance(each, Outcome) and each.seconds > 0 and os.path.isabs(each.path) for each in found.values())
    assert all(recorded(path) == list(REFS) for path in paths)


BAD = {
    "damaged.db": "database_damaged",
    "not_a_database.db": "not_a_database",
    "locked.db": "lock_timeout",
    "ahead.db": "database_is_ahead",
    "foreign.db": "foreign_tracking_table",
    "missing.db": "database_not_reachable",
    "folder.db": "database_not_reachable",
    "pipe.db": "database_not_reachable",
    "no_folder/at_all.db": "database_not_reachable",
    "failing.db": "migration_failed",
}


def make_bad(folder: Path) -> None:
    folder.mkdir()
    run_sql(
        folder / "damaged.db",
        "CREATE TABLE a (x); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 999) INSERT INTO a SELECT hex(randomblob(50)) FROM n;",
    )
    with (folder / "damaged.db").open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 3000)
    (folder / "not_a_database.db").write_text("This is not a database. " * 100)
    run_sql(folder / "locked.db", "CREATE TABLE own (a)")
    run_sql(
        folder / "ahead.db",
        "CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, applied_at TIMESTAMP, migration_name TEXT NOT NULL); INSERT INTO schema_migrations VALUES (1, '', '001_one'), (2, '', '002_two'), (9, '', '009_nine')",
    )
    run_sql(folder / "foreign.db", "CREATE TABLE schema_migrations (version TEXT PRIMARY KEY)")
    (folder / "folder.db").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe.db")
    run_sql(folder / "failing.db", "CREATE TABLE two (a)")


@pytest.mark.skipif(os.name == "nt", reason="there are no pipes among files")
def test_one_bad_file_of_each_kind_never_stops_the_others(tmp_path: Path, pack):
    make_bad(tmp_path / "bad")
    good = tenants(tmp_path / "db", 11)
    bad = [tmp_path / "bad" / name for name in BAD]
    mixed = [path for pair in zip(good, [*bad, good[0]], strict=True) for path in pair]
    holder = sqlite3.connect(tmp_path / "bad" / "locked.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        with ThreadPoolExecutor(2) as threads:
            outcomes = list(migrate_fleet(mixed, [pack], threads, lock_timeout=0.2))
    finally:
        holder.close()
    assert len(outcomes) == len(mixed)
    failed = {os.path.relpath(each.path, tmp_path / "bad"): each.error_code for each in outcomes if each.state == "failed"}
    assert failed == BAD
    assert all(each.message for each in outcomes if each.state == "failed")
    partly = by_name(outcomes)["failing.db"]
    assert partly.applied == REFS[:1]
    assert all(recorded(path) == list(REFS) for path in good)


@pytest.mark.skipif(os.name == "nt" or (hasattr(os, "geteuid") and os.geteuid() == 0), reason="root may write everything")
def test_a_read_only_database_fails_and_is_not_changed(tmp_path: Path, pack):
    (path,) = tenants(tmp_path / "db", 1)
    path.chmod(0o444)
    path.parent.chmod(0o555)
    try:
        (outcome,) = migrate_fleet([path], [pack], InProcess())
    finally:
        path.parent.chmod(0o755)
    assert outcome.error_code == "database_not_writable"


def test_the_same_path_twice_does_no_harm(tmp_path: Path, pack):
    paths = tenants(tmp_path / "db", 2)
    with ThreadPoolExecutor(4) as threads:
        outcomes = list(migrate_fleet([*paths, *paths, *paths], [pack], threads))
    assert len(outcomes) == 6
    assert not [each.message for each in outcomes if each.state == "failed"]
    for path in paths:  # two workers may share the migrations of one database
        assert sorted(ref for each in outcomes if each.path == str(path) for ref in each.applied) == list(REFS)
    assert [applied_times(path) for path in paths] == [[(ref, 1) for ref in REFS]] * 2


def test_a_path_without_a_file_is_made_only_on_purpose(tmp_path: Path, pack):
    path = tmp_path / "new.db"
    (refused,) = migrate_fleet([path], [pack], InProcess())
    assert (refused.error_code, path.exists()) == ("database_not_reachable", False)
    assert "--create" in refused.message
    (made,) = migrate_fleet([path], [pack], InProcess(), create=True)
    assert (made.state, recorded(path)) == ("applied", list(REFS))


def test_a_failure_among_the_canaries_stops_the_rest(tmp_path: Path, pack):
    paths = tenants(tmp_path / "db", 30)
    outcomes = list(migrate_fleet([paths[0], tmp_path / "missing.db", *paths[1:]], [pack], InProcess(), canaries=3))
    assert 2 <= len(outcomes) <= 3
    assert not [path for path in paths[3:] if recorded(path)]


def test_after_the_canaries_the_others_follow(tmp_path: Path, pack):
    paths = tenants(tmp_path / "db", 12)
    outcomes = list(migrate_fleet([*paths[:2], tmp_path / "missing.db", *paths[2:]], [pack], InProcess(), canaries=2))
    assert {Path(each.path).name for each in outcomes[:2]} == {"00000.db", "00001.db"}
    assert sorted(each.state for each in outcomes) == ["applied"] * 12 + ["failed"]


def test_more_failures_than_allowed_stop_the_rest(tmp_path: Path, pack):
    """What was handed out is finished: one task of one database each, at first."""
    missing = [tmp_path / f"missing{number}.db" for number in range(500)]
    outcomes = list(migrate_fleet(missing, [pack], InProcess(), max_failures=3))
    assert 4 <= len(outcomes) <= 12
    assert len(list(migrate_fleet(missing, [pack], InProcess(), max_failures=500))) == 500


def test_a_stop_is_asked_for_between_databases_and_what_was_not_begun_has_no_outcome(tmp_path: Path, pack):
    paths = tenants(tmp_path / "db", 40)
    seen: list[Outcome] = []
    for outcome in migrate_fleet(paths, [pack], InProcess(), should_stop=lambda: len(seen) >= 3):
        seen.append(outcome)  # noqa: PERF402  (should_stop looks at it)
    assert 3 <= len(seen) < 40
    assert {each.path for each in seen} == {str(path) for path in paths if recorded(path)}


def test_closing_the_generator_begins_nothing_more(tmp_path: Path, pack):
    paths = tenants(tmp_path / "db", 60)
    with ThreadPoolExecutor(1) as threads:
        outcomes = migrate_fleet(paths, [pack], threads)
        next(outcomes)
        outcomes.close()
        done = [path for path in paths if recorded(path)]
    assert 1 <= len(done) < 30
    assert all(recorded(path) in ([], list(REFS)) for path in paths)


def test_an_unusable_pack_is_an_error_before_anything_is_begun(tmp_path: Path, pack):
    (Path(pack.migrations) / "odd name.sql").touch()
    with pytest.raises(PackBroken):
        migrate_fleet(tenants(tmp_path / "db", 1), [pack], InProcess())


@pytest.mark.parametrize("wrong", [{"jobs": 0}, {"canaries": -1}, {"max_failures": -1}], ids=str)
def test_numbers_that_make_no_sense_are_an_error_at_once(pack, wrong):
    with pytest.raises(ValueError, match="must be"):
        migrate_fleet([], [pack], **wrong)
    with pytest.raises(ValueError, match="at least one pack"):
        migrate_fleet([], [])


def test_the_status_of_a_fleet_names_the_versions_and_changes_nothing(tmp_path: Path, pack):
    paths = tenants(tmp_path / "db", 2)
    MigrationRunner(paths[0], [pack]).apply(to="tenant:1")
    before = fingerprint(tmp_path / "db")
    found = by_name(fleet_status([*paths, tmp_path / "missing.db"], [pack], InProcess()))
    assert found["00000.db"].packs == (PackVersions("tenant", "pending", 1, 2),)
    assert (found["00001.db"].state, found["00001.db"].packs[0].current) == ("pending", 0)
    assert (found["missing.db"].state, found["missing.db"].error_code) == ("failed", "database_not_reachable")
    assert fingerprint(tmp_path / "db") == before


def test_the_validation_of_a_fleet_yields_findings(tmp_path: Path, pack):
    good, drifted = tenants(tmp_path / "db", 2)
    list(migrate_fleet([good, drifted], [pack], InProcess()))
    run_sql(drifted, "ALTER TABLE one ADD COLUMN more")
    found = by_name(validate_fleet([good, drifted], [pack], InProcess()))
    assert (found["00000.db"].state, found["00000.db"].findings) == ("valid", ())
    assert found["00001.db"].state == "findings"
    assert {each.code for each in found["00001.db"].findings} == {"drift_column_added"}


def test_options_of_a_run_reach_each_database(tmp_path: Path, pack):
    paths, backups = tenants(tmp_path / "db", 2), tmp_path / "snapshots"
    backups.mkdir()
    (first, second) = migrate_fleet(paths, [pack], InProcess(), to="tenant:1", backup_dir=backups)
    assert (first.applied, second.applied) == (REFS[:1], REFS[:1])
    assert len(list(backups.rglob("*.auto.db"))) == 2
    assert not (tmp_path / "db" / "backups").exists()
    list(migrate_fleet(paths, [pack], InProcess(), backup=False))
    assert len(list(backups.rglob("*.auto.db"))) == 2
