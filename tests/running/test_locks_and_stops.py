"""Waiting for the locks of others, and stopping a run."""

from __future__ import annotations

import logging
import sys
import threading
from pathlib import Path

import pytest
from helpers import creates, python_migration, query, recorded, run_sql, tables, write_pack
from running.execution_helpers import ALL, FAILS, FILES, Listener, held, once, refs, runner

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.errors import (
    LockTimeout,
    RunStopped,
)
from homie_migrations_core.sqlite.writer import Writer


@pytest.fixture
def pack(tmp_path: Path) -> MigrationPack:
    return write_pack(tmp_path / "pack", "p", {**FILES, "003_three.py": creates(3, "three")})


@pytest.fixture
def failing(tmp_path: Path) -> MigrationPack:
    """The third of four fails."""
    return write_pack(tmp_path / "pack", "p", {**FILES, "003_three.py": FAILS, "004_four.py": creates(4, "four")})


# --- locks ----------------------------------------------------------------------------------------------


def test_a_writer_that_keeps_the_lock_is_waited_for_as_long_as_was_asked(
    path: Path, pack: MigrationPack, caplog: pytest.LogCaptureFixture
) -> None:
    listener = Listener(path)
    with held(path, "BEGIN IMMEDIATE"), caplog.at_level(logging.INFO, "homie_migrations"), pytest.raises(LockTimeout) as timeout:
        runner(path, pack, listener, lock_timeout=0.3).apply()
    assert (timeout.value.seconds, timeout.value.applied) == (0.3, ())
    assert [record.getMessage() for record in caplog.records] == [f"Waiting for another process, which writes to {path}."]
    assert timeout.value.holders == ()  # it is this process itself
    assert listener.heard == ["run started [1, 2, 3]", "run finished"]
    assert recorded(path) == []


def test_a_writer_that_lets_go_is_followed(path: Path, pack: MigrationPack) -> None:
    waiting = threading.Event()

    class Waits(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith("Waiting"):
                waiting.set()

    log, handler = logging.getLogger("homie_migrations"), Waits()
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        with held(path, "BEGIN IMMEDIATE") as other:

            def let_go() -> None:
                assert waiting.wait(30)
                other.execute("INSERT INTO t VALUES (2)")
                other.execute("COMMIT")

            thread = threading.Thread(target=let_go)
            thread.start()
            try:
                assert refs(runner(path, pack).apply()) == ALL
            finally:
                thread.join()
    finally:
        log.setLevel(level)
        log.removeHandler(handler)
    assert query(path, "SELECT count(*) FROM t") == [(2,)]


def test_a_writer_that_comes_between_two_steps_leaves_what_was_applied(path: Path, pack: MigrationPack) -> None:
    with held(path, "SELECT 0") as other:
        other.execute("SELECT 1").close()
        listener = Listener(path, once(lambda: other.execute("BEGIN IMMEDIATE"), "finished 1"))
        with pytest.raises(LockTimeout) as timeout:
            runner(path, pack, listener, lock_timeout=0.2).apply()
    assert refs(timeout.value.applied) == ALL[:1]
    assert recorded(path) == ALL[:1]


def test_a_reader_keeps_a_rollback_journal_from_committing_and_a_wal_from_nothing(path: Path, pack: MigrationPack) -> None:
    run_sql(path, "INSERT INTO t VALUES (2), (3);")
    listener = Listener(path)
    wal = query(path, "PRAGMA journal_mode") == [("wal",)]
    with held(path, "SELECT * FROM t") as reader:
        open_select = reader.execute("SELECT * FROM t")
        open_select.fetchone()
        if wal:
            assert refs(runner(path, pack, listener, lock_timeout=0.3).apply()) == ALL
        else:
            with pytest.raises(LockTimeout, match="A reader has not finished its SELECT") as timeout:
                runner(path, pack, listener, lock_timeout=0.3).apply()
            assert timeout.value.applied == ()
            assert listener.heard[-3:] == ["started 1", "failed 1", "run finished"]
        open_select.close()
    assert recorded(path) == (ALL if wal else [])


def test_an_authors_patience_with_locks_is_not_the_runners(tmp_path: Path) -> None:
    """`PRAGMA busy_timeout` is harmless, but the commit after it must not wait as long in one piece."""
    path = tmp_path / "homie_p.db"
    run_sql(path, "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2);")
    pack = write_pack(tmp_path / "pack", "p", {"001_patient.sql": "PRAGMA busy_timeout = 600000; CREATE TABLE one (a);"})
    with held(path, "SELECT 0") as reader:
        open_select = reader.execute("SELECT * FROM t")
        open_select.fetchone()
        with pytest.raises(LockTimeout):
            runner(path, pack, lock_timeout=0.2).apply()
        open_select.close()


# --- stopping -------------------------------------------------------------------------------------------

LONG = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"  # never ends
ENDLESS = {
    "statement": f"conn.execute('{LONG}')",
    "write": f"conn.execute('CREATE TABLE endless AS {LONG.replace('count(*)', 'i')}')",
    "many_statements": "while True: conn.execute('SELECT 1')",
    "many_commits": "while True: conn.commit()",
    "swallows_errors": f"while True:\n    try:\n        conn.execute('{LONG}')\n    except Exception:\n        pass",
    "swallows_all_at_the_end": f"try:\n    conn.execute('{LONG}')\nexcept BaseException:\n    pass",
    "swallows_and_writes": f"try:\n    conn.execute('{LONG}')\nexcept BaseException:\n    sqlite3.Cursor(conn).execute('CREATE TABLE x (a)')",
    "function": "conn.create_function('f', 0, lambda: 1)\nwhile True: conn.execute('SELECT f()')",
    "script": f"conn.executescript('{LONG}; SELECT 1;')",
    "verify": "pass",
}


@pytest.mark.parametrize("endless", ENDLESS)
def test_a_stop_undoes_the_running_migration_and_keeps_those_before_it(path: Path, tmp_path: Path, endless: str) -> None:
    verify = f"conn.execute('{LONG}')" if endless == "verify" else None
    running = python_migration(
        2,
        f"conn.execute('CREATE TABLE two (a)')\nrunning.append(True)\n{ENDLESS[endless]}",
        verify=verify,
        head="import sys\nrunning = sys.modules['homie_test_stop'].running",
    )
    pack = write_pack(
        tmp_path / "pack", "p", {"001_one.py": creates(1, "one"), "002_two.py": running, "003_three.py": creates(3, "three")}
    )
    shared = type(sys)("homie_test_stop")
    shared.running = []  # type: ignore[attr-defined]
    sys.modules["homie_test_stop"] = shared
    listener = Listener(path)
    try:
        with pytest.raises(RunStopped) as stopped:
            runner(path, pack, listener, should_stop=lambda: bool(shared.running)).apply()  # type: ignore[attr-defined]
    finally:
        del sys.modules["homie_test_stop"]
    assert stopped.value.ref == "p:002_two"
    assert refs(stopped.value.applied) == ALL[:1]
    assert recorded(path) == ALL[:1]
    assert tables(path) == {"t", "one"}
    assert listener.heard[-2:] == ["failed 2", "run finished"]


def test_a_long_script_is_stopped_too(path: Path, tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "pack", "p", {"001_long.sql": f"CREATE TABLE one (a);\n{LONG};"})
    asked: list[bool] = []
    with pytest.raises(RunStopped):
        runner(path, pack, should_stop=lambda: bool(asked.append(True) or len(asked) > 20)).apply()
    assert tables(path) == {"t"}


def test_a_stop_before_the_first_step_begins_nothing(path: Path, pack: MigrationPack) -> None:
    with pytest.raises(RunStopped, match="no migration was running") as stopped:
        runner(path, pack, should_stop=lambda: True).apply()
    assert (stopped.value.ref, stopped.value.applied) == (None, ())
    assert recorded(path) == []


def test_a_stop_ends_the_wait_for_a_lock(path: Path, pack: MigrationPack) -> None:
    asked: list[bool] = []
    with held(path, "BEGIN IMMEDIATE"), pytest.raises(RunStopped):
        runner(path, pack, should_stop=lambda: bool(asked.append(True) or len(asked) > 3), lock_timeout=600).apply()


def test_who_is_waited_for_at_the_commit_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "homie_p.db"
    run_sql(path, "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2);")
    pack = write_pack(tmp_path / "pack", "p", {"001_one.py": creates(1, "one")})
    with held(path, "SELECT 0") as reader:
        open_select = reader.execute("SELECT * FROM t")
        open_select.fetchone()
        with caplog.at_level("INFO", logger="homie_migrations"), pytest.raises(LockTimeout):
            MigrationRunner(path, [pack], lock_timeout=0.5).apply()
        open_select.close()
    waiting = [record.getMessage() for record in caplog.records if record.getMessage().startswith("Waiting")]
    assert waiting == [f"Waiting for another process, which uses {path}."]
    assert tables(path) == {"t"}


def test_a_stop_ends_the_wait_for_a_reader_at_the_commit(tmp_path: Path) -> None:
    path = tmp_path / "homie_p.db"
    run_sql(path, "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2);")
    pack = write_pack(tmp_path / "pack", "p", {"001_one.py": creates(1, "one")})
    with held(path, "SELECT 0") as reader:
        open_select = reader.execute("SELECT * FROM t")
        open_select.fetchone()
        committing: list[bool] = []

        def should_stop() -> bool:
            frame = sys._getframe()
            while frame is not None and frame.f_code is not Writer.commit.__code__:
                frame = frame.f_back  # type: ignore[assignment]
            committing.append(frame is not None)
            return any(committing)

        listener = Listener(path)
        with pytest.raises(RunStopped) as stopped:
            MigrationRunner(path, [pack], observers=[listener], should_stop=should_stop, lock_timeout=600).apply()
        open_select.close()
    assert stopped.value.ref == "p:001_one"
    assert listener.heard[-2:] == ["failed 1", "run finished"]
    assert tables(path) == {"t"}
    assert not (tmp_path / "backups").exists()
