"""Baseline and repair: records change, one transaction and one snapshot at a time, and no migration is run."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from helpers import EARLIER_TABLE, creates, fingerprint, python_migration, query, recorded, run_sql, tables, write_pack

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.errors import (
    BaselineRefused,
    DatabaseIsAhead,
    DatabaseNotReachable,
    ForeignTrackingTable,
    LockTimeout,
    MigrationReplaced,
    NotADatabase,
    OwnerUnclear,
    PackBroken,
    RecordNotKept,
    RepairRefused,
    RunRefused,
    RunStopped,
    SnapshotFailed,
    UnknownPack,
    UnknownTarget,
)

RUNS_NEVER = "raise AssertionError('a migration was run')"
BUSY = [
    pytest.param("delete", "BEGIN IMMEDIATE", id="a writer"),
    pytest.param("delete", "BEGIN EXCLUSIVE", id="a writer that lets nobody read"),
    pytest.param("wal", "BEGIN IMMEDIATE", id="a writer of a WAL"),
]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database whose tables the application made itself."""
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "homie_p.db"
    run_sql(path, "CREATE TABLE one (a); CREATE TABLE two (a); INSERT INTO one VALUES (1);")
    return path


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., MigrationPack]:
    """A folder pack of these versions; none of them can be run."""

    def make_pack(*versions: int, name: str = "p", database: str = "homie_p.db", **bodies: str) -> MigrationPack:
        files = {f"{each:03}_m{each}.py": python_migration(each, RUNS_NEVER, rollback=RUNS_NEVER) for each in versions}
        files |= {f"{key.removeprefix('m')}.py": content for key, content in bodies.items()}
        folder = tmp_path / "packs" / name
        for old in folder.glob("*.py"):
            old.unlink()
        return write_pack(folder, name, files, database=database)

    return make_pack


def rows(path: Path) -> list[tuple]:
    """The whole table of records."""
    return query(path, "SELECT * FROM schema_migrations ORDER BY pack, version")


def snapshots(path: Path) -> list[Path]:
    return sorted((path.parent / "backups").glob("*")) if (path.parent / "backups").exists() else []


def refs(migrations) -> list[str]:
    return [each.ref for each in migrations]


@contextmanager
def held(path: Path, mode: str, sql: str) -> Iterator[sqlite3.Connection]:
    """Another program's connection, in the middle of something."""
    run_sql(path, f"PRAGMA journal_mode={mode}")
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute(sql)
    try:
        yield connection
    finally:
        connection.close()


# --- baseline ------------------------------------------------------------------------------------------------------------


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


# --- repair ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def two(database: Path, make) -> Path:
    """A database in which two migrations of `p` and one of `q` are recorded."""
    packs = [make(1, 2), make(1, name="q", database="homie_p.db")]
    runner = MigrationRunner(database, packs, backup=False)
    runner.baseline("p", 2)
    runner.baseline("q", 1)
    run_sql(database, "UPDATE schema_migrations SET applied_at = '2020-01-02 03:04:05', duration_ms = 7, pack_version = '1.0'")
    return database


def packs_of(make, *versions: int, **bodies: str) -> list[MigrationPack]:
    return [make(*versions, **bodies), make(1, name="q", database="homie_p.db")]


EDITED = python_migration(2, "conn.execute('SELECT 2')")


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


# --- what stands in the way ------------------------------------------------------------------------------------------------


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
    (two.parent / "backups").write_text("a file of that name")
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
