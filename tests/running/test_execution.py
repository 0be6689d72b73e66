"""Carry out a plan: what is kept, what is undone, who hears of it, and what other processes may do in between."""

from __future__ import annotations

import logging
import sqlite3
import sys
from pathlib import Path

import pytest
from helpers import EARLIER_TABLE, creates, python_migration, query, recorded, run_sql, tables, write_pack
from running.execution_helpers import ALL, FAILS, FILES, Listener, held, once, refs, runner

from homie_migrations_core import MigrationPack
from homie_migrations_core.errors import (
    DatabaseIsAhead,
    MigrationFailed,
)


@pytest.fixture
def pack(tmp_path: Path) -> MigrationPack:
    return write_pack(tmp_path / "pack", "p", {**FILES, "003_three.py": creates(3, "three")})


@pytest.fixture
def failing(tmp_path: Path) -> MigrationPack:
    """The third of four fails."""
    return write_pack(tmp_path / "pack", "p", {**FILES, "003_three.py": FAILS, "004_four.py": creates(4, "four")})


# --- where a run stops ----------------------------------------------------------------------------------


def test_the_applied_migrations_come_back_in_order_with_their_records(path: Path, pack: MigrationPack) -> None:
    assert refs(runner(path, pack).apply()) == ALL
    assert tables(path) == {"t", "one", "two", "three"}
    rows = query(
        path,
        "SELECT version, migration_name, pack, length(checksum), duration_ms >= 0, applied_at IS NOT NULL FROM schema_migrations",
    )
    assert rows == [(number, f"00{number}_{name}", "p", 64, 1, 1) for number, name in enumerate(("one", "two", "three"), start=1)]
    assert runner(path, pack).apply() == []


def test_a_step_that_fails_is_undone_and_those_before_it_stay(path: Path, failing: MigrationPack) -> None:
    with pytest.raises(MigrationFailed) as failed:
        runner(path, failing).apply()
    assert failed.value.ref == "p:003_three"
    assert refs(failed.value.applied) == ALL[:2]
    assert recorded(path) == ALL[:2]
    assert tables(path) == {"t", "one", "two"}


def test_the_next_run_goes_on_where_it_stopped(path: Path, failing: MigrationPack, tmp_path: Path) -> None:
    with pytest.raises(MigrationFailed):
        runner(path, failing).apply()
    write_pack(tmp_path / "pack", "p", {"003_three.py": creates(3, "three")})
    assert refs(runner(path, failing).apply()) == ["p:003_three", "p:004_four"]


def test_all_or_nothing_leaves_nothing_when_one_fails(path: Path, failing: MigrationPack) -> None:
    with pytest.raises(MigrationFailed) as failed:
        runner(path, failing).apply(all_or_nothing=True)
    assert failed.value.ref == "p:003_three"
    assert failed.value.applied == ()
    assert recorded(path) == []
    assert query(path, "SELECT name FROM sqlite_schema") == [("t",)]


def test_all_or_nothing_is_one_transaction(path: Path, pack: MigrationPack) -> None:
    listener = Listener(path)
    assert refs(runner(path, pack, listener).apply(all_or_nothing=True)) == ALL
    assert listener.recorded == [[]] * 4 + [ALL] * 4


@pytest.mark.parametrize("made", ["no file", "no bytes", "no schema"])
def test_an_empty_database_is_built_in_one_transaction(
    tmp_path: Path, pack: MigrationPack, failing: MigrationPack, made: str
) -> None:
    path = tmp_path / "homie_p.db"
    if made == "no bytes":
        path.touch()
    elif made == "no schema":
        run_sql(path, "PRAGMA journal_mode=wal; PRAGMA user_version=1;")
    with pytest.raises(MigrationFailed) as failed:
        runner(path, failing).apply()
    assert failed.value.applied == ()
    assert query(path, "SELECT * FROM sqlite_schema") == []

    write_pack(tmp_path / "pack", "p", {"003_three.py": creates(3, "three"), "004_four.py": creates(4, "four")})
    listener = Listener(path)
    assert refs(runner(path, pack, listener).apply()) == [*ALL, "p:004_four"]
    assert listener.recorded == [[]] * 5 + [[*ALL, "p:004_four"]] * 5


def test_a_table_of_the_earlier_shape_is_converted_with_the_first_step_or_not_at_all(
    path: Path, failing: MigrationPack, tmp_path: Path
) -> None:
    run_sql(
        path,
        f"{EARLIER_TABLE} INSERT INTO schema_migrations VALUES (1, '2024-01-01 00:00:00', '001_one'), (2, '2024-01-02 00:00:00', '002_two');",
    )
    before = query(path, "SELECT sql FROM sqlite_schema")
    with pytest.raises(MigrationFailed):
        runner(path, failing).apply()
    assert query(path, "SELECT sql FROM sqlite_schema") == before
    write_pack(tmp_path / "pack", "p", {"003_three.py": creates(3, "three")})
    runner(path, failing).apply(to="p:3")
    assert query(path, "SELECT version, applied_at, pack FROM schema_migrations WHERE version < 3") == [
        (1, "2024-01-01 00:00:00", "p"),
        (2, "2024-01-02 00:00:00", "p"),
    ]


def test_a_rollback_undoes_the_newest_first_and_removes_the_records(path: Path, pack: MigrationPack) -> None:
    runner(path, pack).apply()
    listener = Listener(path)
    assert refs(runner(path, pack, listener).rollback("p", to=1)) == ["p:003_three", "p:002_two"]
    assert tables(path) == {"t", "one"}
    assert listener.recorded[listener.heard.index("finished 3")] == ALL[:2]


def test_a_rollback_that_fails_keeps_the_record_and_what_was_rolled_back_before_it(path: Path, tmp_path: Path) -> None:
    files = {
        "001_one.py": creates(1, "one"),
        "002_two.py": python_migration(2, "pass", rollback="conn.execute('DROP TABLE one')\nraise ValueError"),
    }
    pack = write_pack(tmp_path / "pack", "p", {**files, "003_three.py": creates(3, "three")})
    runner(path, pack).apply()
    with pytest.raises(MigrationFailed, match="Rolling back p:002_two failed") as failed:
        runner(path, pack).rollback("p", to=0)
    assert failed.value.direction == "rollback"
    assert refs(failed.value.applied) == ["p:003_three"]
    assert recorded(path) == ALL[:2]
    assert tables(path) == {"t", "one"}


def test_a_redo_is_one_transaction(path: Path, tmp_path: Path) -> None:
    once = python_migration(
        1,
        "assert not undone\nconn.execute('CREATE TABLE one (a)')",
        rollback="undone.append(1)\nconn.execute('DROP TABLE one')",
        head="import sys\nundone = sys.modules.setdefault('homie_test_redo', type(sys)('m')).__dict__.setdefault('undone', [])",
    )
    pack = write_pack(tmp_path / "pack", "p", {"001_one.py": once})
    try:
        runner(path, pack).apply()
        with pytest.raises(MigrationFailed):
            runner(path, pack).redo("p")
    finally:
        del sys.modules["homie_test_redo"]
    assert recorded(path) == ["p:001_one"]
    assert tables(path) == {"t", "one"}


# --- observers ------------------------------------------------------------------------------------------


def test_observers_hear_of_each_step_in_order_and_of_success_after_the_commit(path: Path, pack: MigrationPack) -> None:
    listener = Listener(path)
    runner(path, pack, listener).apply()
    assert listener.heard == [
        "run started [1, 2, 3]",
        *("started 1", "finished 1", "started 2", "finished 2", "started 3", "finished 3"),
        "run finished",
    ]
    assert listener.recorded == [[], [], ALL[:1], ALL[:1], ALL[:2], ALL[:2], ALL, ALL]


def test_observers_hear_of_a_failure_once_it_is_undone_and_of_the_end(path: Path, failing: MigrationPack) -> None:
    listener = Listener(path)
    with pytest.raises(MigrationFailed) as failed:
        runner(path, failing, listener).apply()
    assert listener.heard[-3:] == ["started 3", "failed 3", "run finished"]
    assert listener.recorded[-1] == ALL[:2]
    assert listener.errors == [failed.value]
    with held(path, "BEGIN IMMEDIATE"):  # and nothing is locked any more
        pass


def test_observers_hear_nothing_of_a_run_with_nothing_to_do(path: Path, pack: MigrationPack) -> None:
    runner(path, pack).apply()
    listener = Listener(path)
    runner(path, pack, listener).apply()
    assert listener.heard == []


@pytest.mark.parametrize("error", [RuntimeError, SystemExit, sqlite3.OperationalError, MigrationFailed])
def test_an_observer_that_raises_is_logged_and_harms_neither_the_run_nor_the_others(
    path: Path, failing: MigrationPack, caplog: pytest.LogCaptureFixture, error: type[BaseException]
) -> None:
    def raising(what: str) -> None:
        raise error(*("p", "p:1", "what", "then")[: 4 if error is MigrationFailed else 1])

    listener, bad = Listener(path), Listener(path, raising)
    with caplog.at_level(logging.ERROR, "homie_migrations"), pytest.raises(MigrationFailed, match="p:003_three"):
        runner(path, failing, bad, listener, Listener(path, raising)).apply()
    assert listener.heard == bad.heard
    assert len(listener.heard) == 8
    assert recorded(path) == ALL[:2]
    assert {record.levelname for record in caplog.records} == {"ERROR"}
    assert len(caplog.records) == 16


# --- another process in between -------------------------------------------------------------------------


def test_what_another_process_applied_after_the_plan_was_made_is_not_applied_again(path: Path, pack: MigrationPack) -> None:
    listener = Listener(path, once(lambda: runner(path, pack).apply(), "run started"))
    assert runner(path, pack, listener).apply() == []
    assert listener.heard == ["run started [1, 2, 3]", "run finished"]
    assert recorded(path) == ALL


def test_only_what_this_run_did_itself_comes_back(path: Path, pack: MigrationPack) -> None:
    listener = Listener(path, once(lambda: runner(path, pack).apply(to="p:2"), "run started"))
    assert refs(runner(path, pack, listener).apply()) == ALL[2:]


def test_another_process_may_come_between_two_steps(path: Path, pack: MigrationPack) -> None:
    listener = Listener(path, once(lambda: runner(path, pack).apply(to="p:2"), "finished 1"))
    assert refs(runner(path, pack, listener).apply()) == [ALL[0], ALL[2]]
    assert recorded(path) == ALL


def test_another_process_may_make_the_database_that_this_one_was_about_to_make(tmp_path: Path, pack: MigrationPack) -> None:
    path = tmp_path / "homie_p.db"
    listener = Listener(path, once(lambda: runner(path, pack).apply(to="p:1"), "run started"))
    assert refs(runner(path, pack, listener).apply()) == ALL[1:]
    assert recorded(path) == ALL


def test_a_newer_release_that_came_first_stops_the_older_one_before_its_first_change(
    path: Path, pack: MigrationPack, tmp_path: Path
) -> None:
    newer = write_pack(tmp_path / "newer", "p", {**FILES, "003_three.py": creates(3, "three"), "004_four.py": creates(4, "four")})
    listener = Listener(path, once(lambda: runner(path, newer).apply(), "run started"))
    with pytest.raises(DatabaseIsAhead):
        runner(path, pack, listener).apply()
    assert recorded(path) == [*ALL, "p:004_four"]


def test_a_rollback_goes_no_further_than_was_asked_when_another_one_came_first(path: Path, pack: MigrationPack) -> None:
    runner(path, pack).apply()
    listener = Listener(path, once(lambda: runner(path, pack).rollback("p"), "run started"))
    assert runner(path, pack, listener).rollback("p") == []
    assert recorded(path) == ALL[:2]


def test_another_program_that_only_writes_its_data_changes_nothing(path: Path, pack: MigrationPack) -> None:
    listener = Listener(path, lambda what: run_sql(path, "INSERT INTO t VALUES (2);") if what.startswith("finished") else None)
    assert refs(runner(path, pack, listener).apply()) == ALL
    assert query(path, "SELECT count(*) FROM t") == [(4,)]


# --- the file -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["delete", "truncate", "persist", "wal"])
@pytest.mark.parametrize("fails", [False, True])
def test_the_journal_is_left_as_it_was(tmp_path: Path, mode: str, fails: bool) -> None:
    path = tmp_path / "homie_p.db"
    run_sql(path, f"PRAGMA journal_mode={mode}; CREATE TABLE t (a);")
    stored = "wal" if mode == "wal" else "delete"  # the others are a connection's own affair
    mid = python_migration(
        2,
        "conn.execute('PRAGMA cache_size = 5')\nconn.execute('CREATE TABLE two AS SELECT zeroblob(100000) AS b')",
        rollback="pass",
    )
    pack = write_pack(
        tmp_path / "pack",
        "p",
        {"001_one.py": creates(1, "one"), "002_two.py": mid, "003_three.py": FAILS if fails else creates(3, "three")},
    )
    if fails:
        with pytest.raises(MigrationFailed):
            runner(path, pack).apply()
    else:
        runner(path, pack).apply()
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith("homie_p.db-")] == []
    assert query(path, "PRAGMA journal_mode") == [(stored,)]


def test_a_database_that_another_program_puts_into_wal_mode_during_the_run_stays_in_it(tmp_path: Path, pack: MigrationPack) -> None:
    path = tmp_path / "homie_p.db"
    run_sql(path, "CREATE TABLE t (a);")
    listener = Listener(path, lambda what: run_sql(path, "PRAGMA journal_mode=wal") if what.startswith("finished") else None)
    assert refs(runner(path, pack, listener).apply()) == ALL
    assert query(path, "PRAGMA journal_mode") == [("wal",)]


def test_a_commit_is_on_disk_before_it_is_reported(path: Path, tmp_path: Path) -> None:
    """EXTRA is what survives a power cut in every journal mode; it must be set before the transaction begins."""
    body = "conn.execute('CREATE TABLE found AS SELECT ? AS synchronous', conn.execute('PRAGMA synchronous').fetchone())"
    later = python_migration(2, body.replace("found", "found_again"))
    leaves = python_migration(1, f"{body}\nconn.execute('PRAGMA cache_size = 77')")  # so the next step gets another connection
    runner(path, write_pack(tmp_path / "pack", "p", {"001_a.py": leaves, "002_b.py": later})).apply()
    assert query(path, "SELECT * FROM found UNION ALL SELECT * FROM found_again") == [(3,), (3,)]


def test_a_migration_may_use_the_library_on_another_file(path: Path, tmp_path: Path) -> None:
    other = write_pack(tmp_path / "other", "q", {"001_other.py": creates(1, "other")})
    body = f"""
        from pathlib import Path
        from homie_migrations_core import MigrationPack, MigrationRunner
        pack = MigrationPack("q", Path({str(other.migrations)!r}))
        assert len(MigrationRunner({str(tmp_path / "homie_q.db")!r}, [pack]).apply()) == 1
        conn.execute("CREATE TABLE one (a)")
    """
    runner(path, write_pack(tmp_path / "pack", "p", {"001_one.py": python_migration(1, body)})).apply()
    assert tables(tmp_path / "homie_q.db") == {"other"}
    assert tables(path) == {"t", "one"}
