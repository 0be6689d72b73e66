"""Triggers, locks, stops and other processes that are in the way of a change of records."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import fingerprint, recorded, run_sql, snapshot_folder
from running.records.record_helpers import BUSY, EDITED, held, packs_of, rows, snapshots

from homie_migrations_core import MigrationRunner
from homie_migrations_core.errors import (
    LockTimeout,
    RecordNotKept,
    RunRefused,
    RunStopped,
    SnapshotFailed,
)

TRIGGERS = {
    "an update is ignored": "CREATE TRIGGER t BEFORE UPDATE ON schema_migrations BEGIN SELECT RAISE(IGNORE); END",
    "an update is undone": "CREATE TRIGGER t AFTER UPDATE ON schema_migrations WHEN new.checksum <> old.checksum "
    "BEGIN UPDATE schema_migrations SET checksum = old.checksum WHERE pack = new.pack AND version = new.version; END",
    "the row vanishes": "CREATE TRIGGER t AFTER UPDATE ON schema_migrations "
    "BEGIN DELETE FROM schema_migrations WHERE pack = new.pack AND version = new.version; END",
}


@pytest.mark.parametrize("trigger", TRIGGERS.values(), ids=TRIGGERS)
def test_a_checksum_that_the_database_itself_undoes_is_an_error_and_nothing_is_changed(two: Path, make, trigger: str):
    run_sql(two, trigger)
    before, runner = fingerprint(two.parent), MigrationRunner(two, packs_of(make, 1, m002_m2=EDITED))
    with pytest.raises(RecordNotKept) as kept:
        runner.repair("p:2")
    assert (kept.value.path, kept.value.ref) == (str(two), "p:002_m2")
    assert fingerprint(two.parent) == before


@pytest.mark.parametrize(
    "trigger",
    [
        "CREATE TRIGGER t BEFORE DELETE ON schema_migrations BEGIN SELECT RAISE(IGNORE); END",
        "CREATE TRIGGER t AFTER DELETE ON schema_migrations "
        "BEGIN INSERT INTO schema_migrations (version, migration_name, pack) VALUES (old.version, old.migration_name, old.pack); END",
    ],
    ids=["ignored", "undone"],
)
def test_a_removal_that_the_database_itself_undoes_is_an_error_and_nothing_is_changed(two: Path, make, trigger: str):
    run_sql(two, trigger)
    before, runner = fingerprint(two.parent), MigrationRunner(two, packs_of(make, 1))
    with pytest.raises(RecordNotKept):
        runner.repair("p:2")
    assert fingerprint(two.parent) == before


@pytest.mark.parametrize(
    "then",
    [
        "SELECT RAISE(IGNORE)",
        "DELETE FROM schema_migrations WHERE version = new.version",
        "UPDATE schema_migrations SET version = 99 WHERE version = new.version",
    ],
)
def test_a_baseline_that_the_database_itself_undoes_is_an_error_and_nothing_is_changed(database: Path, make, then: str):
    runner = MigrationRunner(database, [make(1, 2)], backup=False)
    runner.baseline("p", 1)
    when = "BEFORE" if "RAISE" in then else "AFTER"
    run_sql(database, f"CREATE TRIGGER t {when} INSERT ON schema_migrations BEGIN {then}; END")
    before = fingerprint(database.parent)
    with pytest.raises(RecordNotKept):
        MigrationRunner(database, [make(1, 2)]).baseline("p", 2)
    assert fingerprint(database.parent) == before


def test_a_trigger_that_raises_ends_it_with_nothing_changed(two: Path, make):
    run_sql(two, "CREATE TRIGGER t BEFORE UPDATE ON schema_migrations BEGIN SELECT RAISE(ABORT, 'hands off'); END")
    before, runner = fingerprint(two.parent), MigrationRunner(two, packs_of(make, 1, m002_m2=EDITED))
    with pytest.raises(Exception, match="hands off"):
        runner.repair("p:2")
    assert fingerprint(two.parent) == before


def calls(make) -> list[Callable[[Path, dict], object]]:
    """A baseline and a repair, each with something to do, on the database `two`."""
    return [
        lambda path, how: MigrationRunner(path, packs_of(make, 1, 2, 3), **how).baseline("p", 3),
        lambda path, how: MigrationRunner(path, packs_of(make, 1, m002_m2=EDITED), **how).repair("p:2"),
    ]


@pytest.fixture(params=[0, 1], ids=["baseline", "repair"])
def amend(request: pytest.FixtureRequest, make) -> Callable[..., object]:
    return lambda path, **how: calls(make)[request.param](path, how)


def test_a_snapshot_that_can_not_be_taken_stops_it(two: Path, amend):
    snapshot_folder(two).parent.write_text("a file of that name")
    before = fingerprint(two.parent)
    with pytest.raises(SnapshotFailed):
        amend(two)
    assert fingerprint(two.parent) == before


@pytest.mark.parametrize(("mode", "busy"), BUSY)
def test_a_writer_is_waited_for_as_long_as_was_asked(two: Path, amend, mode: str, busy: str):
    with held(two, mode, busy), pytest.raises(LockTimeout) as timeout:
        amend(two, lock_timeout=0.2)
    assert timeout.value.path == str(two)
    assert len(rows(two)) == 3
    assert snapshots(two) == []


def test_a_reader_that_never_ends_keeps_it_from_committing_and_nothing_is_left(two: Path, amend):
    before = rows(two)
    with held(two, "delete", "BEGIN") as reader:
        reader.execute("SELECT * FROM one").fetchall()
        with pytest.raises(LockTimeout):
            amend(two, lock_timeout=0.2)
    assert rows(two) == before
    assert snapshots(two) == []


@pytest.mark.parametrize(("mode", "busy"), BUSY)
def test_should_stop_ends_the_wait(two: Path, amend, mode: str, busy: str):
    before, asked = rows(two), []

    def should_stop() -> bool:
        asked.append(None)
        return len(asked) > 5

    with held(two, mode, busy), pytest.raises(RunStopped) as stopped:
        amend(two, lock_timeout=60.0, should_stop=should_stop)
    assert stopped.value.path == str(two)
    assert rows(two) == before
    assert snapshots(two) == []


def test_whenever_should_stop_says_so_all_of_it_or_nothing_happened(two: Path, amend, tmp_path: Path):
    """Each time that it is asked is tried, one after the other, until it comes too late."""
    before = rows(two)
    for moment in range(1, 200):
        asked = []

        def should_stop(moment: int = moment, asked: list[None] = asked) -> bool:
            asked.append(None)
            return len(asked) >= moment

        try:
            amend(two, should_stop=should_stop)
        except RunStopped:
            assert rows(two) == before
            assert snapshots(two) == []
        else:
            assert moment > 3
            assert rows(two) != before
            assert len(snapshots(two)) == 1
            return
    pytest.fail("it never came too late")


def test_what_other_processes_recorded_meanwhile_is_respected(two: Path, make):
    """The records are read again under the write lock."""
    runner = MigrationRunner(two, packs_of(make, 1, 2, 3))
    view = runner._view

    def and_then_another_process_records_it(**how: object):
        seen = view(**how)
        MigrationRunner(two, packs_of(make, 1, 2, 3), backup=False).baseline("p", 3)
        return seen

    runner._view = and_then_another_process_records_it  # type: ignore[method-assign]
    runner.baseline("p", 3)
    assert recorded(two) == ["p:001_m1", "p:002_m2", "p:003_m3", "q:001_m1"]
    assert snapshots(two) == []


def test_a_record_that_another_process_repaired_meanwhile_is_refused(two: Path, make):
    runner = MigrationRunner(two, packs_of(make, 1, m002_m2=EDITED))
    view = runner._view

    def and_then_another_process_repairs_it(**how: object):
        seen = view(**how)
        MigrationRunner(two, packs_of(make, 1, m002_m2=EDITED), backup=False).repair("p:2")
        return seen

    runner._view = and_then_another_process_repairs_it  # type: ignore[method-assign]
    with pytest.raises(RunRefused):
        runner.repair("p:2")
    assert snapshots(two) == []


def test_the_log_says_what_was_recorded_and_repaired(two: Path, make, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, "homie_migrations"):
        MigrationRunner(two, packs_of(make, 1, 2, 3), backup=False).baseline("p", 3)
        MigrationRunner(two, packs_of(make, 1, 2), backup=False).repair("p:3")
    assert [record.getMessage() for record in caplog.records] == [
        f"Recorded p:003_m3 in {two} without running it",
        f"Repaired the record of p:003_m3 in {two}",
    ]
