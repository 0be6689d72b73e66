"""Carrying out a plan: what is kept, what is undone, who hears of it, and what happens when something comes between."""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers import EARLIER_TABLE, creates, python_migration, query, recorded, run_sql, tables, write_pack

from homie_migrations_core import MigrationPack, MigrationRunner, Run, Step, hookimpl
from homie_migrations_core.errors import (
    CommitUnconfirmed,
    DatabaseIsAhead,
    HomieMigrationsError,
    LockTimeout,
    MigrationFailed,
    RunStopped,
)
from homie_migrations_core.sqlite.guard import GuardedConnection
from homie_migrations_core.sqlite.script import Script
from homie_migrations_core.sqlite.writer import CommitFailed, Writer

MODES = ("delete", "wal")
FAILS = python_migration(3, "conn.execute('CREATE TABLE three (a)')\nraise RuntimeError('no')", rollback="pass")
FILES = {"001_one.py": creates(1, "one"), "002_two.py": creates(2, "two")}
ALL = ["p:001_one", "p:002_two", "p:003_three"]


@pytest.fixture(params=MODES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A database that holds a table, so that each step has a transaction of its own."""
    path = tmp_path / "homie_p.db"
    run_sql(path, f"PRAGMA journal_mode={request.param}; CREATE TABLE t (a); INSERT INTO t VALUES (1);")
    return path


@pytest.fixture
def pack(tmp_path: Path) -> MigrationPack:
    return write_pack(tmp_path / "pack", "p", {**FILES, "003_three.py": creates(3, "three")})


@pytest.fixture
def failing(tmp_path: Path) -> MigrationPack:
    """The third of four fails."""
    return write_pack(tmp_path / "pack", "p", {**FILES, "003_three.py": FAILS, "004_four.py": creates(4, "four")})


def runner(path: Path, pack: MigrationPack, *observers: object, **options: object) -> MigrationRunner:
    return MigrationRunner(path, [pack], backup=False, observers=observers, **options)  # type: ignore[arg-type]


def refs(migrations: object) -> list[str]:
    return [migration.ref for migration in migrations]  # type: ignore[attr-defined]


@contextmanager
def held(path: Path, sql: str) -> Iterator[sqlite3.Connection]:
    """Another program's connection that has begun this and not ended it."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    cursor = connection.execute(sql)
    try:
        yield connection
    finally:
        cursor.close()
        connection.close()


class Listener:
    """Notes what it hears, and what another connection then sees."""

    def __init__(self, path: Path, then: Callable[[str], None] = lambda _: None) -> None:
        self.heard: list[str] = []
        self.recorded: list[list[str]] = []
        self.errors: list[BaseException] = []
        self._path, self._then = path, then

    def _note(self, what: str) -> None:
        self.heard.append(what)
        self.recorded.append(recorded(self._path) if self._path.exists() else [])
        self._then(what)

    @hookimpl
    def homie_run_started(self, run: Run) -> None:
        self._note(f"run started {[step.migration.version for step in run.plan.steps]}")

    @hookimpl
    def homie_step_started(self, run: Run, step: Step) -> None:
        self._note(f"started {step.migration.version}")

    @hookimpl
    def homie_step_finished(self, run: Run, step: Step) -> None:
        self._note(f"finished {step.migration.version}")

    @hookimpl
    def homie_step_failed(self, run: Run, step: Step, error: BaseException) -> None:
        self.errors.append(error)
        self._note(f"failed {step.migration.version}")

    @hookimpl
    def homie_run_finished(self, run: Run) -> None:
        self._note("run finished")


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


def once(act: Callable[[], object], when: str) -> Callable[[str], None]:
    """Do it when that is heard for the first time."""
    done: list[bool] = []

    def then(what: str) -> None:
        if what.startswith(when) and not done:
            done.append(True)
            act()

    return then


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


# --- commits that fail ----------------------------------------------------------------------------------


def commit_fails(monkeypatch: pytest.MonkeyPatch, at: int, *, takes_effect: bool) -> None:
    """The `at`th commit raises, before or after it took effect."""
    commit, commits = Writer.commit, []

    def faulty(writer: Writer) -> None:
        commits.append(True)
        if len(commits) != at or takes_effect:
            commit(writer)
        if len(commits) == at:
            raise CommitFailed("disk I/O error")

    monkeypatch.setattr(Writer, "commit", faulty)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_commit_that_failed_is_a_failed_migration(
    path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    listener = Listener(path)
    commit_fails(monkeypatch, at, takes_effect=False)
    with pytest.raises(MigrationFailed, match=r"the commit failed \(disk I/O error\)") as failed:
        runner(path, pack, listener).apply()
    assert failed.value.ref == ALL[at - 1]
    assert refs(failed.value.applied) == ALL[: at - 1]
    assert recorded(path) == ALL[: at - 1]
    assert listener.heard[-2:] == [f"failed {at}", "run finished"]
    assert refs(runner(path, pack).apply()) == ALL[at - 1 :]


@pytest.mark.parametrize("all_or_nothing", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_commit_that_raised_but_took_effect_is_looked_up_in_the_file(
    path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch, at: int, all_or_nothing: bool
) -> None:
    listener = Listener(path)
    commit_fails(monkeypatch, at, takes_effect=True)
    assert refs(runner(path, pack, listener).apply(all_or_nothing=all_or_nothing)) == ALL
    assert recorded(path) == ALL
    assert [heard for heard in listener.heard if heard.startswith("fail")] == []


@pytest.mark.parametrize("takes_effect", [False, True])
def test_the_same_holds_for_a_rollback(
    path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch, takes_effect: bool
) -> None:
    runner(path, pack).apply()
    commit_fails(monkeypatch, 1, takes_effect=takes_effect)
    if takes_effect:
        assert refs(runner(path, pack).rollback("p", steps=2)) == ["p:003_three", "p:002_two"]
        assert recorded(path) == ALL[:1]
    else:
        with pytest.raises(MigrationFailed, match="Rolling back p:003_three failed"):
            runner(path, pack).rollback("p", steps=2)
        assert recorded(path) == ALL


@pytest.mark.parametrize("takes_effect", [False, True])
def test_of_a_redo_whose_commit_failed_nothing_is_claimed(
    path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch, takes_effect: bool
) -> None:
    """Its record is there before and after it, so the file can't tell."""
    runner(path, pack).apply()
    commit_fails(monkeypatch, 1, takes_effect=takes_effect)
    with pytest.raises(CommitUnconfirmed):
        runner(path, pack).redo("p")
    assert recorded(path) == ALL


@pytest.mark.parametrize("takes_effect", [False, True])
def test_a_commit_that_nobody_can_look_up_is_said_to_be_unknown(
    path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch, takes_effect: bool
) -> None:
    def unreadable(*_: object, **__: object) -> object:
        raise LockTimeout(str(path), 1.0, "reading", "Later.")

    commit_fails(monkeypatch, 1, takes_effect=takes_effect)
    monkeypatch.setattr("homie_migrations_core.running.execution.read", unreadable)
    listener = Listener(path)
    with pytest.raises(CommitUnconfirmed, match="It is not known whether p:001_one was committed"):
        runner(path, pack, listener).apply()
    assert not [heard for heard in listener.heard if heard.startswith(("finished", "failed"))]
    assert recorded(path) == (ALL[:1] if takes_effect else [])


def test_a_ctrl_c_right_after_a_commit_loses_neither_the_step_nor_its_snapshot(
    path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Writer.commit

    def pressed(writer: Writer) -> None:
        commit(writer)
        raise KeyboardInterrupt

    monkeypatch.setattr(Writer, "commit", pressed)
    with pytest.raises(KeyboardInterrupt):
        MigrationRunner(path, [pack]).apply()
    assert recorded(path) == ALL[:1]
    assert len(list((path.parent / "backups").iterdir())) == 1


def count_of_statements(path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch, fail_at: int = 0) -> int:
    """How many statements the runner itself executes; the one at `fail_at` raises."""
    execute, spoken = GuardedConnection.execute_unguarded, []

    def faulty(self: GuardedConnection, sql: str, parameters: object = ()) -> sqlite3.Cursor:
        spoken.append(sql)
        if len(spoken) == fail_at:
            raise sqlite3.OperationalError("disk I/O error")
        return execute(self, sql, parameters)

    with monkeypatch.context() as patch:
        patch.setattr(GuardedConnection, "execute_unguarded", faulty)
        try:
            runner(path, pack).apply()
        except HomieMigrationsError:
            assert fail_at
    return len(spoken)


def test_whichever_statement_of_the_runner_fails_the_database_is_at_a_boundary(
    path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = path.read_bytes()
    statements = count_of_statements(path, pack, monkeypatch)
    assert statements > 20
    made = ["one", "two", "three"]
    for fail_at in range(1, statements + 1):
        path.write_bytes(content)
        os.utime(path, (0, 0))  # a file that was just written is given a moment to settle before it is read
        count_of_statements(path, pack, monkeypatch, fail_at)
        assert tables(path) == {"t", *made[: len(recorded(path))]}
        runner(path, pack).apply()
        assert recorded(path) == ALL


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


# --- scripts, statement by statement ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "statements"),
    [
        ("", []),
        (" ; ;-- nothing\n;/* ; */", []),
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1; SELECT 2;", ["SELECT 1;", "SELECT 2;"]),
        ("SELECT ';';SELECT \";\";SELECT [;];SELECT `;`;", ["SELECT ';';", 'SELECT ";";', "SELECT [;];", "SELECT `;`;"]),
        ("SELECT 'it''s;';SELECT 2", ["SELECT 'it''s;';", "SELECT 2"]),
        ("SELECT 1 -- ; '\n, 2;SELECT 3 /* ; ' */;", ["SELECT 1 -- ; '\n, 2;", "SELECT 3 /* ; ' */;"]),
        ("SELECT 4 - -1 / 2, a->'$;' FROM t;SELECT 2", ["SELECT 4 - -1 / 2, a->'$;' FROM t;", "SELECT 2"]),
        (
            "CREATE TRIGGER a AFTER INSERT ON t BEGIN SELECT 1; SELECT CASE 1 WHEN 1 THEN 2 END; END; SELECT 5",
            ["CREATE TRIGGER a AFTER INSERT ON t BEGIN SELECT 1; SELECT CASE 1 WHEN 1 THEN 2 END; END;", "SELECT 5"],
        ),
        (
            "create/**/temp -- x\n trigger a after insert on t begin select ';END;'; end -- y\n; SELECT 5",
            ["create/**/temp -- x\n trigger a after insert on t begin select ';END;'; end -- y\n;", "SELECT 5"],
        ),
        (
            "CREATE TABLE trigger_end (a); CREATE TRIGGERS; END; SELECT 1",
            ["CREATE TABLE trigger_end (a);", "CREATE TRIGGERS;", "END;", "SELECT 1"],
        ),
        ("CREATE TRIGGER a BEGIN SELECT 1; ENDING; END", ["CREATE TRIGGER a BEGIN SELECT 1; ENDING; END"]),
        ("SELECT 'never closed; SELECT 2;", ["SELECT 'never closed; SELECT 2;"]),
    ],
)
def test_a_script_is_cut_where_sqlite_ends_a_statement(script: str, statements: list[str]) -> None:
    assert list(Script(script.encode())) == statements
    assert all(sqlite3.complete_statement(each) for each in statements[:-1])
