"""A failed step is reported as undone only after the file was read again, wherever the runner did not end its transaction."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import pytest
from helpers import creates, python_migration, query, recorded, run_sql, snapshot_folder, tables, write_pack

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.errors import HomieMigrationsError, MigrationFailed, MigrationNotUndone, RunStopped

UNGUARD = "sqlite3.Connection.set_authorizer(conn, None)\nraw = sqlite3.Cursor(conn)\n"
CREATE = "raw.execute('CREATE TABLE stray (a)')\n"
COMMIT = "sqlite3.Connection.commit(conn)\n"
INSERT = "raw.execute('INSERT INTO t VALUES (2)')\n"
MODES = ("delete", "wal")


@pytest.fixture(params=MODES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "homie_p.db"
    run_sql(path, f"PRAGMA journal_mode={request.param}; CREATE TABLE t (a UNIQUE); INSERT INTO t VALUES (1);")
    return path


def pack(tmp_path: Path, body: str, **more: str) -> MigrationPack:
    second = python_migration(2, body, **more)
    return write_pack(
        tmp_path / "pack", "p", {"001_one.py": creates(1, "one"), "002_two.py": second, "003_three.py": creates(3, "three")}
    )


def failure(path: Path, pack: MigrationPack, **options: object) -> HomieMigrationsError:
    with pytest.raises(HomieMigrationsError) as failed:
        MigrationRunner(path, [pack], **options).apply()  # type: ignore[arg-type]
    return failed.value


def snapshots(path: Path) -> list[Path]:
    return sorted(snapshot_folder(path).glob("*")) if snapshot_folder(path).exists() else []


COMMITTED = {
    "it returns": COMMIT,
    "it raises": f"{COMMIT}raise ValueError('no')",
    "it begins another transaction": f"{COMMIT}raw.execute('BEGIN')",
    "it closes the connection": f"{COMMIT}sqlite3.Connection.close(conn)",
    "it ends the process": f"{COMMIT}raise SystemExit(0)",
    "it commits through the isolation level": "sqlite3.Connection.isolation_level.__set__(conn, None)\n",
    "it begins another one with a savepoint": f"{COMMIT}raw.execute('BEGIN')\nraw.execute('SAVEPOINT x')",
}


@pytest.mark.parametrize("ending", COMMITTED.values(), ids=COMMITTED)
def test_what_a_migration_committed_without_its_guard_is_told(path: Path, tmp_path: Path, ending: str) -> None:
    error = failure(path, pack(tmp_path, UNGUARD + CREATE + ending))
    assert isinstance(error, MigrationNotUndone)
    assert (error.code, error.exit_code, error.ref) == ("migration_not_undone", 1, "p:002_two")
    assert error.certain
    assert error.left == ("p:002_two is recorded as applied",)
    assert "nothing of it is left" not in str(error)
    assert "part of it is left" in str(error)
    assert [each.ref for each in error.applied] == ["p:001_one"]
    assert tables(path) == {"t", "one", "stray"}
    assert recorded(path) == ["p:001_one", "p:002_two"]


def test_the_snapshot_that_it_names_restores_the_state_before(path: Path, tmp_path: Path) -> None:
    files = {"001_one.py": python_migration(1, UNGUARD + CREATE + COMMIT)}
    runner = MigrationRunner(path, [write_pack(tmp_path / "alone", "p", files)])
    with pytest.raises(MigrationNotUndone) as failed:
        runner.apply()
    [snapshot] = snapshots(path)
    assert snapshot.name.endswith(".auto.db")
    assert f"`homie migrations restore {snapshot}`" in str(failed.value)
    runner.restore(snapshot)
    assert tables(path) == {"t"}
    assert recorded(path) == []


def test_without_a_snapshot_it_says_what_else_can_be_done(path: Path, tmp_path: Path) -> None:
    error = failure(path, pack(tmp_path, UNGUARD + CREATE + COMMIT), backup=False)
    assert "The run took no snapshot" in str(error)


def test_in_a_new_database_it_says_to_remove_the_file(tmp_path: Path) -> None:
    path = tmp_path / "homie_p.db"
    error = failure(path, pack(tmp_path, UNGUARD + CREATE + COMMIT))
    assert isinstance(error, MigrationNotUndone)
    assert error.left == ("p:001_one is recorded as applied", "p:002_two is recorded as applied")
    assert "empty before the run: remove the file" in str(error)


def test_rows_that_were_committed_without_a_record_are_noticed(path: Path, tmp_path: Path) -> None:
    """SQLite ends the transaction, and undoes the record; what comes after it commits by itself."""
    body = f"{UNGUARD}try:\n    raw.execute('INSERT OR ROLLBACK INTO t VALUES (1)')\nexcept sqlite3.Error:\n    pass\n{INSERT}"
    error = failure(path, pack(tmp_path, body))
    assert isinstance(error, MigrationNotUndone)
    assert not error.certain
    assert "it is not certain that nothing of it is left" in str(error)
    assert query(path, "SELECT a FROM t ORDER BY a") == [(1,), (2,)]
    assert recorded(path) == ["p:001_one"]
    assert len(snapshots(path)) == 1


UNDONE = {
    "SQLite ended it": "conn.execute('INSERT OR ROLLBACK INTO t VALUES (1)')",
    "SQLite ended it and that was swallowed": "try:\n    conn.execute('INSERT OR ROLLBACK INTO t VALUES (1)')\nexcept sqlite3.Error:\n    pass",
    "it was rolled back without its guard": f"{UNGUARD}{CREATE}sqlite3.Connection.rollback(conn)",
    "it was rolled back and begun again": f"{UNGUARD}{CREATE}sqlite3.Connection.rollback(conn)\nraw.execute('BEGIN')\n{INSERT}",
    "the connection was closed": f"{UNGUARD}{CREATE}sqlite3.Connection.close(conn)",
    "it raised": f"{UNGUARD}{CREATE}raise ValueError('no')",
}


@pytest.mark.parametrize("body", UNDONE.values(), ids=UNDONE)
def test_nothing_is_left_is_said_where_it_is_true(path: Path, tmp_path: Path, body: str) -> None:
    first = write_pack(tmp_path / "first", "p", {"001_two.py": python_migration(1, body)})
    error = failure(path, first)
    assert type(error) is MigrationFailed
    assert "nothing of it is left" in str(error)
    assert tables(path) == {"t"}
    assert query(path, "SELECT a FROM t") == [(1,)]
    assert recorded(path) == []
    assert snapshots(path) == []


def test_a_rollback_that_committed_half_of_its_work_is_told(path: Path, tmp_path: Path) -> None:
    rollback = f"{UNGUARD}raw.execute('DROP TABLE two')\n{COMMIT}raise ValueError('no')"
    known = write_pack(
        tmp_path / "pack", "p", {"001_two.py": python_migration(1, "conn.execute('CREATE TABLE two (a)')", rollback=rollback)}
    )
    MigrationRunner(path, [known]).apply()
    with pytest.raises(MigrationNotUndone, match="Rolling back p:001_two failed, and it is not certain"):
        MigrationRunner(path, [known]).rollback("p")
    assert recorded(path) == ["p:001_two"]
    assert tables(path) == {"t"}


def test_a_stop_does_not_hide_what_was_committed(path: Path, tmp_path: Path) -> None:
    asked: list[bool] = []
    body = f"{UNGUARD}{CREATE}{COMMIT}import pathlib\npathlib.Path({str(tmp_path / 'asked')!r}).touch()\n"
    error = failure(path, pack(tmp_path, body), should_stop=lambda: asked.append(True) or (tmp_path / "asked").exists())
    assert isinstance(error, MigrationNotUndone)
    assert asked


def test_a_stop_of_a_sound_migration_is_only_a_stop(path: Path, tmp_path: Path) -> None:
    body = f"conn.execute('CREATE TABLE two (a)')\nimport pathlib\npathlib.Path({str(tmp_path / 'asked')!r}).touch()\n"
    assert isinstance(failure(path, pack(tmp_path, body), should_stop=(tmp_path / "asked").exists), RunStopped)
    assert tables(path) == {"t", "one"}


def test_ctrl_c_is_raised_again_and_what_was_committed_is_logged(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runner = MigrationRunner(path, [pack(tmp_path, f"{UNGUARD}{CREATE}{COMMIT}raise KeyboardInterrupt")])
    with caplog.at_level(logging.ERROR, "homie_migrations"), pytest.raises(KeyboardInterrupt):
        runner.apply()
    assert "p:002_two is recorded as applied" in caplog.text
    assert len(snapshots(path)) == 1


def test_a_file_that_can_not_be_read_again_is_no_proof(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from homie_migrations_core.running import lost_transactions

    def unreadable(*_: object, **__: object) -> object:
        from homie_migrations_core.errors import LockTimeout

        raise LockTimeout(str(path), 1.0, "reading", "Later.")

    monkeypatch.setattr(lost_transactions, "read", unreadable)
    error = failure(path, pack(tmp_path, UNGUARD + CREATE + COMMIT))
    assert isinstance(error, MigrationNotUndone)
    assert not error.certain
    assert "the file can't be read again" in str(error)


def test_the_detector_notices_commits_of_others_and_nothing_else(path: Path) -> None:
    from homie_migrations_core.sqlite.commits import CommitDetector

    writer = sqlite3.connect(path, isolation_level=None)
    detector = CommitDetector(str(path))
    try:
        for ending, seen in (("ROLLBACK", False), ("COMMIT", True), ("ROLLBACK", False)):
            writer.execute("PRAGMA cache_size=5")
            writer.execute("BEGIN IMMEDIATE")
            detector.mark()
            writer.execute("INSERT INTO t SELECT hex(randomblob(1000)) FROM pragma_function_list LIMIT 200")  # more than the cache
            writer.execute(ending)
            assert detector.saw_commit(lock_timeout=1.0) == seen
        detector.mark()
        assert not detector.saw_commit(lock_timeout=1.0)
    finally:
        detector.close()
        writer.close()
    assert detector.saw_commit(lock_timeout=1.0)  # closed, it excludes nothing
