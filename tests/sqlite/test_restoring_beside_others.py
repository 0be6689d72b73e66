"""Restoring a snapshot into a database that others read and write meanwhile."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import fingerprint, query, recorded, run_sql
from sqlite import restore_helpers
from sqlite.restore_helpers import (
    CHANGES,
    InThisProcess,
    Other,
    content,
    database,
    in_backups,
    journal_mode,
)

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.errors import LockTimeout
from homie_migrations_core.model import RowCount
from homie_migrations_core.progress import hearing_phases

# The fixtures of this module
other, pack, path = restore_helpers.other, restore_helpers.pack, restore_helpers.path


def test_everything_is_restored_and_open_connections_see_it_at_the_next_read(path: Path, pack: MigrationPack, other: Other) -> None:
    before, mode = content(path), journal_mode(path)
    runner = MigrationRunner(path, [pack])
    snapshot = runner.backup()
    run_sql(path, CHANGES)
    runner.apply()
    after = content(path)
    assert other.run("SELECT a FROM t ORDER BY a") == [(3,), (4,)]

    restored = runner.restore(snapshot)

    assert other.run("SELECT a FROM t ORDER BY a") == [(1,), (2,), (3,)]
    assert other.run("SELECT count(*) FROM sqlite_schema WHERE name IN ('more', 'one')") == [(0,)]
    assert other.run("DELETE FROM t WHERE a = 1") == []  # the trigger is back, too
    assert other.run("SELECT what FROM log ORDER BY rowid DESC LIMIT 1") == [("deleted 1",)]
    assert journal_mode(path) == mode
    assert content(snapshot) == before
    assert restored.snapshot == runner.snapshot
    assert restored.snapshot is not None
    assert restored.snapshot.name.endswith(".p-2.auto.db")
    assert content(restored.snapshot) == after


def test_putting_back_what_was_there_before_undoes_it_exactly(path: Path, pack: MigrationPack) -> None:
    runner = MigrationRunner(path, [pack])
    before = content(path)
    snapshot = runner.backup()
    run_sql(path, CHANGES)
    after = content(path)
    undo = runner.restore(snapshot).snapshot
    assert content(path) == before
    assert undo is not None
    runner.restore(undo)
    assert content(path) == after


def test_the_answer_says_what_changed(path: Path, pack: MigrationPack) -> None:
    runner = MigrationRunner(path, [pack], backup=False)
    runner.apply(to="p:1")
    snapshot = runner.backup()
    run_sql(path, "INSERT INTO t VALUES (4), (5); DROP TABLE parent;")
    runner.apply()
    files = fingerprint(path.parent)

    preview = runner.preview_restore(snapshot)

    assert fingerprint(path.parent) == files
    assert (preview.path, preview.source, preview.snapshot) == (path, snapshot, None)
    assert (preview.pending_again, preview.applied_again) == (("p:002_two",), ())
    counts = {each.table: each for each in preview.rows}
    assert counts["t"] == RowCount("t", 5, 3)
    assert counts["parent"] == RowCount("parent", None, 2)
    assert counts["two"] == RowCount("two", 0, None)
    assert "one" not in counts
    assert runner.restore(snapshot) == preview
    assert recorded(path) == ["p:001_one"]
    later = MigrationRunner(path, [pack]).apply()
    assert [each.ref for each in later] == ["p:002_two"]


def test_a_migration_that_was_rolled_back_since_is_applied_again(path: Path, pack: MigrationPack) -> None:
    runner = MigrationRunner(path, [pack], backup=False)
    runner.apply()
    snapshot = runner.backup()
    runner.rollback("p", to=0)
    restored = runner.restore(snapshot)
    assert (restored.pending_again, restored.applied_again) == ((), ("p:001_one", "p:002_two"))
    assert runner.status().packs["p"].current_version == 2


def test_without_a_backup_there_is_none(path: Path, pack: MigrationPack) -> None:
    before = content(path)
    snapshot = MigrationRunner(path, [pack]).backup()
    run_sql(path, CHANGES)
    restored = MigrationRunner(path, [pack], backup=False).restore(snapshot)
    assert restored.snapshot is None
    assert in_backups(path) == [snapshot]
    assert content(path) == before


def test_a_restore_waits_for_a_reader_only_without_a_wal(path: Path, pack: MigrationPack, other: Other) -> None:
    runner = MigrationRunner(path, [pack])
    snapshot = runner.backup()
    run_sql(path, "INSERT INTO t VALUES (4)")
    assert other.begin("SELECT a FROM t ORDER BY rowid") == (1,)
    waited: list[str] = []

    def heard(what: str, *_: object) -> None:
        if what.startswith("waiting") and not waited:
            waited.append(what)
            assert other.rest() == [(2,), (3,), (4,)]

    with hearing_phases(heard):
        runner.restore(snapshot)

    if journal_mode(path) == "wal":
        assert not waited
        assert other.rest() == [(2,), (3,), (4,)]
    else:
        assert waited
        if other.pid and Path("/proc/locks").exists():
            assert f"process {other.pid} " in waited[0]
    assert other.run("SELECT a FROM t ORDER BY rowid") == [(1,), (2,), (3,)]


def test_a_reader_that_does_not_end_is_named_and_nothing_was_changed(path: Path, pack: MigrationPack, other: Other) -> None:
    snapshot = MigrationRunner(path, [pack]).backup()
    run_sql(path, CHANGES)
    if journal_mode(path) == "wal":
        pytest.skip("it is not waited for")
    before = content(path)
    assert other.begin("SELECT a FROM t ORDER BY rowid") == (3,)
    with pytest.raises(LockTimeout) as given_up:
        MigrationRunner(path, [pack], lock_timeout=0.2).restore(snapshot)
    if other.pid and Path("/proc/locks").exists():
        (holder,) = given_up.value.holders
        assert f"process {other.pid} " in holder
    else:
        assert given_up.value.holders == ()
    assert other.rest() == [(4,)]
    assert content(path) == before
    assert in_backups(path) == [snapshot]


def test_a_writer_that_does_not_end_is_named_once_and_nothing_was_changed(path: Path, pack: MigrationPack, other: Other) -> None:
    snapshot = MigrationRunner(path, [pack]).backup()
    run_sql(path, CHANGES)
    before = content(path)
    other.run("BEGIN IMMEDIATE")
    other.run("INSERT INTO t VALUES (9)")
    with pytest.raises(LockTimeout) as given_up:
        MigrationRunner(path, [pack], lock_timeout=0.2).restore(snapshot)
    other.run("ROLLBACK")
    if other.pid and Path("/proc/locks").exists():
        assert [holder.split()[1] for holder in given_up.value.holders] == [str(other.pid)]
    assert content(path) == before
    assert in_backups(path) == [snapshot]


def test_a_writer_is_waited_for_and_what_it_wrote_is_in_the_snapshot_of_the_state_before(
    path: Path, pack: MigrationPack, other: Other
) -> None:
    runner = MigrationRunner(path, [pack], lock_timeout=5)
    snapshot = runner.backup()
    other.run("BEGIN IMMEDIATE")
    other.run("INSERT INTO t VALUES (9)")

    def heard(what: str, *_: object) -> None:
        if what.startswith("waiting"):
            other.run("COMMIT")

    with hearing_phases(heard):
        before = runner.restore(snapshot).snapshot
    assert before is not None
    assert query(before, "SELECT a FROM t") == [(1,), (2,), (3,), (9,)]
    assert other.run("SELECT a FROM t") == [(1,), (2,), (3,)]


HAMMER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
connection.execute("PRAGMA synchronous=OFF")
for number in range(1000, 10**9):
    connection.execute("INSERT INTO t VALUES (?)", (number,))
    print(number, flush=True)
    time.sleep(0.01)  # otherwise no other connection finds the file unlocked
"""


def test_no_row_whose_commit_succeeded_is_lost(path: Path, pack: MigrationPack) -> None:
    """It is in the snapshot of the state before, or in the database; no connection writes in between."""
    runner = MigrationRunner(path, [pack], lock_timeout=20)
    snapshot = runner.backup()
    hammer = subprocess.Popen([sys.executable, "-c", HAMMER, str(path)], stdout=subprocess.PIPE, text=True)
    kept: set[int] = set()
    try:
        assert hammer.stdout
        acknowledged = {int(hammer.stdout.readline())}
        for _ in range(4):
            before = runner.restore(snapshot).snapshot
            assert before is not None
            kept |= {number for (number,) in query(before, "SELECT a FROM t")}
            acknowledged.add(int(hammer.stdout.readline()))
    finally:
        hammer.kill()
        rest = hammer.communicate()[0]
    acknowledged |= {int(line) for line in rest.splitlines(keepends=True) if line.endswith("\n")}
    assert len(kept) > 4
    kept |= {number for (number,) in query(path, "SELECT a FROM t")}
    assert acknowledged <= kept


@pytest.mark.parametrize("start", ["no tables", "no bytes"])
def test_rows_written_into_an_empty_database_during_the_wait_are_not_lost(tmp_path: Path, pack: MigrationPack, start: str) -> None:
    source = database(tmp_path / "source.db", "delete")
    path = tmp_path / "data" / "homie_p.db"
    path.parent.mkdir()
    if start == "no tables":
        run_sql(path, "PRAGMA user_version=1")
    else:
        path.touch()
    writer = InThisProcess(path)
    try:
        writer.run("BEGIN IMMEDIATE")
        writer.run("CREATE TABLE precious (a)")
        writer.run("INSERT INTO precious VALUES (1)")

        def heard(what: str, *_: object) -> None:
            if what.startswith("waiting"):
                writer.run("COMMIT")

        with hearing_phases(heard):
            before = MigrationRunner(path, [pack], lock_timeout=5).restore(source).snapshot
    finally:
        writer.close()
    assert content(path) == content(source)
    assert before is not None
    assert query(before, "SELECT a FROM precious") == [(1,)]


def test_a_write_right_after_a_restore_does_not_make_it_fail(tmp_path: Path, pack: MigrationPack) -> None:
    """In a WAL the write lock is gone with the commit."""
    path = database(tmp_path / "data" / "homie_p.db", "wal")
    snapshot = MigrationRunner(path, [pack]).backup()
    run_sql(path, "INSERT INTO t VALUES ('before')")
    writer, written = InThisProcess(path), []

    def heard(what: str, done: int | None = None, total: int | None = None) -> None:
        if what.startswith("restoring") and done == total:
            writer.run("INSERT INTO t VALUES (zeroblob(100000))")
            written.append(True)

    try:
        with hearing_phases(heard):
            before = MigrationRunner(path, [pack]).restore(snapshot).snapshot
    finally:
        writer.close()
    assert written == [True]
    assert query(path, "SELECT count(*) FROM t") == [(4,)]
    assert before is not None
    assert query(before, "SELECT a FROM t WHERE a = 'before'") == [("before",)]


REPLICATES = """
import os, select, sqlite3, sys
path = sys.argv[1]
reading, checkpointing = (sqlite3.connect(path, isolation_level=None, timeout=30) for _ in range(2))
checkpointing.execute("PRAGMA wal_autocheckpoint=0")
reading.execute("BEGIN")
reading.execute("SELECT count(*) FROM t").fetchall()
wal = open(path + "-wal", "rb")
identity, salt, size = os.fstat(wal.fileno()).st_ino, wal.read(32), 0
print("ready", flush=True)
troubles, rounds = [], 0
while not select.select([0], [], [], 0)[0]:
    checkpointing.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    now = os.stat(path + "-wal")
    wal.seek(0)
    if (now.st_ino, wal.read(32)) != (identity, salt):
        troubles.append("another log")
    if now.st_size < size:
        troubles.append("shorter")
    size, rounds = now.st_size, rounds + 1
print(*troubles, "rounds" if rounds else "none", flush=True)
sys.stdin.readline()
sys.stdin.readline()
"""


def test_a_replicator_of_the_wal_sees_an_ordinary_transaction(tmp_path: Path, pack: MigrationPack) -> None:
    """The log continues: applied to a copy of the file from before the restore, it gives the restored state."""
    path = database(tmp_path / "data" / "homie_p.db", "wal")
    before = content(path)
    snapshot = MigrationRunner(path, [pack]).backup()
    application = sqlite3.connect(path, isolation_level=None)
    replica = tmp_path / "replica.db"
    try:
        application.execute("PRAGMA wal_autocheckpoint=0")
        application.execute("INSERT INTO t VALUES (4)")
        shutil.copyfile(path, replica)  # this drops the locks of this process; no other one is at work yet
        replicator = subprocess.Popen(
            [sys.executable, "-c", REPLICATES, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        try:
            assert replicator.stdin
            assert replicator.stdout
            assert replicator.stdout.readline() == "ready\n"
            for number in range(3):
                application.execute("INSERT INTO t VALUES (?)", (5 + number,))
                MigrationRunner(path, [pack]).restore(snapshot)
                assert application.execute("SELECT a FROM t").fetchall() == [(1,), (2,), (3,)]
            print("enough", file=replicator.stdin)
            result = replicator.stdout.readline()
            shutil.copyfile(f"{path}-wal", f"{replica}-wal")
        finally:
            replicator.communicate("over\n", timeout=5)
        assert result == "rounds\n"
    finally:
        application.close()
    assert content(replica) == before
