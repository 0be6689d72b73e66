"""What a restore reads, how often and when: the snapshot is examined while other work goes on."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import fingerprint, run_sql
from sqlite import restore_helpers
from sqlite.restore_helpers import InThisProcess, content, database, in_backups

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.errors import RunStopped, SnapshotUnusable
from homie_migrations_core.progress import RESTORING, hearing_phases
from homie_migrations_core.sqlite import copying, examining, restoring, snapshots

# The fixture of this module
pack = restore_helpers.pack

JOURNAL_HEADER = bytes.fromhex("d9d505f920a163d7")  # https://sqlite.org/fileformat.html, section 3
FILL = """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
    INSERT INTO t SELECT hex(zeroblob(500)) FROM n;
"""


def called_at(monkeypatch: pytest.MonkeyPatch, module: object, name: str, first: Callable[[], object]) -> None:
    """Call `first` before each call of that function."""
    function = getattr(module, name)

    def called(*arguments: object, **named: object) -> object:
        first()
        return function(*arguments, **named)

    monkeypatch.setattr(module, name, called)


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_the_snapshot_is_examined_while_the_state_before_is_kept(
    tmp_path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    path = database(tmp_path / "data" / "homie_p.db", mode)
    runner = MigrationRunner(path, [pack])
    snapshot, then = runner.backup(), content(path)
    run_sql(path, "INSERT INTO t VALUES ('new')")
    keeps, in_time, checked = threading.Event(), list[bool](), list[str]()
    called_at(monkeypatch, snapshots, "copy_database", keeps.set)
    called_at(monkeypatch, examining, "count_rows", lambda: in_time.append(keeps.wait(20)))
    called_at(monkeypatch, examining, "find_damage", lambda: in_time.append(keeps.wait(20)))
    called_at(monkeypatch, copying, "find_damage", lambda: checked.append("the state before"))

    restored = runner.restore(snapshot)

    assert in_time == [True, True, True], "the rows of both, and the check of the snapshot"
    assert checked == ["the state before"]
    assert [(each.table, each.before, each.after) for each in restored.rows] == [("log", 4, 3), ("t", 4, 3)]
    assert content(path) == then


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_damage_that_is_found_late_is_found_before_anything_is_changed(
    tmp_path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    path = database(tmp_path / "data" / "homie_p.db", mode)
    snapshot = MigrationRunner(path, [pack]).backup()
    run_sql(path, f"{FILL} PRAGMA wal_checkpoint(TRUNCATE);")
    before, files, kept = content(path), fingerprint(tmp_path), threading.Event()
    called_at(monkeypatch, snapshots, "sync_folder", kept.set)  # that is the last thing that is done for it
    monkeypatch.setattr(examining, "find_damage", lambda _: "Tree 2" if kept.wait(20) else "")
    with pytest.raises(SnapshotUnusable, match="Tree 2"):
        MigrationRunner(path, [pack]).restore(snapshot)
    assert kept.is_set()
    assert fingerprint(tmp_path) == files
    assert content(path) == before
    assert in_backups(path) == [snapshot]


def test_nobody_is_waited_for_to_restore_a_damaged_snapshot(
    tmp_path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = database(tmp_path / "data" / "homie_p.db", "delete")
    runner, writer = MigrationRunner(path, [pack], lock_timeout=600), InThisProcess(path)
    snapshot = runner.backup()
    monkeypatch.setattr(examining, "find_damage", lambda _: "Tree 2")
    try:
        writer.run("BEGIN IMMEDIATE")
        with pytest.raises(SnapshotUnusable, match="Tree 2"):
            runner.restore(snapshot)
    finally:
        writer.close()


def test_damage_of_the_snapshot_is_reported_rather_than_what_else_fails(
    tmp_path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = database(tmp_path / "data" / "homie_p.db", "delete")
    snapshot, writer = MigrationRunner(path, [pack]).backup(), InThisProcess(path)
    monkeypatch.setattr(examining, "find_damage", lambda _: "Tree 2")
    try:
        writer.run("BEGIN EXCLUSIVE")  # so that its records can't be read
        with pytest.raises(SnapshotUnusable, match="Tree 2"):
            MigrationRunner(path, [pack], lock_timeout=0.1).preview_restore(snapshot)
    finally:
        writer.close()


def test_a_stop_ends_the_examination(tmp_path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch) -> None:
    path, began = database(tmp_path / "data" / "homie_p.db", "delete"), threading.Event()
    snapshot = MigrationRunner(path, [pack]).backup()
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    ended: list[str] = []

    def examine(connection: sqlite3.Connection) -> str:
        began.set()
        try:
            connection.execute(endless).fetchone()
        except sqlite3.OperationalError as error:
            ended.append(str(error))
        return ""

    monkeypatch.setattr(examining, "find_damage", examine)
    with pytest.raises(RunStopped):
        MigrationRunner(path, [pack], should_stop=began.is_set).preview_restore(snapshot)
    assert ended == ["interrupted"]
    assert not [each for each in threading.enumerate() if each is not threading.main_thread() and each.daemon]


def test_without_a_thread_it_is_examined_all_the_same(tmp_path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch) -> None:
    path = database(tmp_path / "data" / "homie_p.db", "delete")
    runner = MigrationRunner(path, [pack])
    snapshot, then = runner.backup(), content(path)
    run_sql(path, "DELETE FROM t")

    def no_more(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_more)
    runner.restore(snapshot)
    assert content(path) == then


def test_a_snapshot_in_wal_mode_is_not_copied_for_a_database_in_wal_mode(
    tmp_path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = database(tmp_path / "data" / "homie_p.db", "wal")
    runner, copies = MigrationRunner(path, [pack]), list[str]()
    snapshot, then = runner.backup(), content(path)
    run_sql(path, "DELETE FROM t")
    called_at(monkeypatch, restoring, "scratch_copy", lambda: copies.append("a copy"))
    runner.restore(snapshot)
    assert not copies
    assert content(path) == then


def test_pages_are_not_overwritten_before_many_of_them_are_in_the_journal(tmp_path: Path, pack: MigrationPack) -> None:
    """Before the first page is overwritten, SQLite waits until the journal is on disk, and then gives it its header."""
    path = database(tmp_path / "data" / "homie_p.db", "delete", f"CREATE TABLE t (a); {FILL}")
    assert path.stat().st_size > 20_000_000
    runner, journals = MigrationRunner(path, [pack]), list[tuple[int, bool]]()
    snapshot, journal = runner.backup(), Path(f"{path}-journal")

    def look(what: str, done: int | None, total: int | None) -> None:
        if what == RESTORING and done != total:
            content = journal.read_bytes()
            journals.append((len(content), content.startswith(JOURNAL_HEADER)))

    with hearing_phases(look):
        runner.restore(snapshot)
    assert max(journals)[0] > 10_000_000
    assert not [each for each in journals if each[1]]
