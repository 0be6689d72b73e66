"""Putting a snapshot back: what is there afterwards, for whom, and what happens if it can't be done."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import creates, fingerprint, query, recorded, run_sql, write_pack

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.errors import (
    CommitUnconfirmed,
    DatabaseReplaced,
    DatabaseUnusable,
    HomieMigrationsError,
    LockTimeout,
    NotADatabase,
    RunStopped,
    SnapshotFailed,
    SnapshotUnusable,
)
from homie_migrations_core.model import RowCount
from homie_migrations_core.progress import hearing_phases
from homie_migrations_core.sqlite import restoring, snapshots
from homie_migrations_core.stopping import StopRequest

MODES = ("delete", "truncate", "persist", "wal")
SCHEMA = """
    CREATE TABLE t (a);
    CREATE TABLE parent (id INTEGER PRIMARY KEY);
    CREATE TABLE child (id INTEGER PRIMARY KEY, parent REFERENCES parent ON DELETE CASCADE);
    CREATE TABLE log (what TEXT);
    CREATE TRIGGER t_delete AFTER DELETE ON t BEGIN INSERT INTO log VALUES ('deleted ' || old.a); END;
    CREATE TRIGGER t_insert AFTER INSERT ON t BEGIN INSERT INTO log VALUES ('inserted ' || new.a); END;
    INSERT INTO t VALUES (1), (2), (3);
    INSERT INTO parent VALUES (1), (2);
    INSERT INTO child VALUES (1, 1), (2, 2), (3, 2);
"""
CHANGES = """
    PRAGMA foreign_keys=ON;
    DELETE FROM t WHERE a < 3; INSERT INTO t VALUES (4); DELETE FROM parent WHERE id = 2;
    CREATE TABLE more (a); INSERT INTO more VALUES (zeroblob(50000)); DROP TRIGGER t_delete;
"""


@pytest.fixture
def pack(tmp_path: Path) -> MigrationPack:
    return write_pack(tmp_path / "pack", "p", {"001_one.py": creates(1, "one"), "002_two.py": creates(2, "two")})


def database(path: Path, mode: str, script: str = SCHEMA) -> Path:
    """A database whose application uses that journal mode; truncate and persist leave a journal beside it."""
    path.parent.mkdir(exist_ok=True)
    run_sql(path, f"PRAGMA journal_mode={mode}; {script}")
    return path


@pytest.fixture(params=MODES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return database(tmp_path / "data" / "homie_p.db", request.param)


def content(path: Path) -> list[str]:
    """Everything in it; it is sound."""
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return list(connection.iterdump())
    finally:
        connection.close()


def journal_mode(path: Path) -> str:
    return query(path, "PRAGMA journal_mode")[0][0]


def in_backups(path: Path) -> list[Path]:
    folder = path.parent / "backups"
    return sorted(folder.iterdir()) if folder.exists() else []


def begun(path: Path) -> Path:
    """A snapshot that a run took which was killed before it changed anything."""
    from datetime import UTC, datetime

    keeper = snapshots.Keeper(str(path), StopRequest(), lambda: datetime.now(UTC))
    keeper.take([])
    assert keeper.snapshot is not None
    return keeper.snapshot


# --- others who have it open --------------------------------------------------------------------------

SERVANT = """
import json, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=5)
cursor = None
for line in sys.stdin:
    what, sql = json.loads(line)
    if what == "begin":
        cursor = connection.execute(sql)
        answer = cursor.fetchone()
    elif what == "rest":
        answer, cursor = cursor.fetchall(), None
    else:
        answer = connection.execute(sql).fetchall()
    print(json.dumps(answer), flush=True)
connection.close()
"""


class InAnotherProcess:
    """A connection there."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVANT, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self._process.pid

    def _ask(self, what: str, sql: str = "") -> list:
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps([what, sql]), file=self._process.stdin, flush=True)
        return [tuple(row) if isinstance(row, list) else row for row in json.loads(self._process.stdout.readline())]

    def run(self, sql: str) -> list:
        return self._ask("run", sql)

    def begin(self, sql: str) -> tuple:
        """The first row of a SELECT that stays open."""
        return tuple(self._ask("begin", sql))

    def rest(self) -> list:
        return self._ask("rest")

    def close(self) -> None:
        self._process.communicate()


class InThisProcess:
    """A connection here."""

    pid = 0

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=5)

    def run(self, sql: str) -> list:
        return self._connection.execute(sql).fetchall()

    def begin(self, sql: str) -> tuple:
        self._cursor = self._connection.execute(sql)
        return self._cursor.fetchone()

    def rest(self) -> list:
        return self._cursor.fetchall()

    def close(self) -> None:
        self._connection.close()


Other = InAnotherProcess | InThisProcess


@pytest.fixture(params=[InAnotherProcess, InThisProcess])
def other(request: pytest.FixtureRequest, path: Path) -> Iterator[Other]:
    """Somebody who has it open."""
    somebody = request.param(path)
    yield somebody
    somebody.close()


def test_everything_is_back_and_who_has_it_open_sees_it_at_the_next_read(path: Path, pack: MigrationPack, other: Other) -> None:
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


def test_a_reader_in_the_middle_of_its_select_goes_on_in_a_wal_and_is_waited_for_otherwise(
    path: Path, pack: MigrationPack, other: Other
) -> None:
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
    time.sleep(0.01)  # or nobody else ever finds the file unlocked
"""


def test_no_row_that_somebody_was_told_is_written_gets_lost(path: Path, pack: MigrationPack) -> None:
    """It is in the snapshot of the state before, or in the database; nobody writes in between."""
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
def test_what_somebody_wrote_into_an_empty_database_while_it_was_waited_for_is_not_lost(
    tmp_path: Path, pack: MigrationPack, start: str
) -> None:
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


def test_who_writes_the_moment_after_it_is_done_does_not_make_it_a_failure(tmp_path: Path, pack: MigrationPack) -> None:
    """In a WAL the write lock is gone with the commit."""
    path = database(tmp_path / "data" / "homie_p.db", "wal")
    snapshot = MigrationRunner(path, [pack]).backup()
    run_sql(path, "INSERT INTO t VALUES ('before')")
    writer, written = InThisProcess(path), []

    def heard(what: str, done: int | None = None, total: int | None = None) -> None:
        if what.startswith("putting") and done == total:
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


def test_who_replicates_the_wal_sees_an_ordinary_transaction(tmp_path: Path, pack: MigrationPack) -> None:
    """The log goes on, and with it a copy of the file that is older than the restore becomes what was put back."""
    path = database(tmp_path / "data" / "homie_p.db", "wal")
    before = content(path)
    snapshot = MigrationRunner(path, [pack]).backup()
    application = sqlite3.connect(path, isolation_level=None)
    replica = tmp_path / "replica.db"
    try:
        application.execute("PRAGMA wal_autocheckpoint=0")
        application.execute("INSERT INTO t VALUES (4)")
        shutil.copyfile(path, replica)  # this process drops its locks so; nobody else is at work yet
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
            said = replicator.stdout.readline()
            shutil.copyfile(f"{path}-wal", f"{replica}-wal")
        finally:
            replicator.communicate("over\n", timeout=5)
        assert said == "rounds\n"
    finally:
        application.close()
    assert content(replica) == before


# --- shapes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("taken_in", ["delete", "wal"])
@pytest.mark.parametrize("back_up", [True, False], ids=["", "no backup"])
def test_the_database_keeps_its_journal_mode_whatever_that_of_the_snapshot_is(
    tmp_path: Path, pack: MigrationPack, mode: str, taken_in: str, back_up: bool
) -> None:
    path = database(tmp_path / "data" / "homie_p.db", taken_in)
    before = content(path)
    snapshot = MigrationRunner(path, [pack]).backup()
    run_sql(path, f"{CHANGES} PRAGMA journal_mode={mode};")
    files = fingerprint(snapshot.parent)
    MigrationRunner(path, [pack], backup=back_up).restore(snapshot)
    assert journal_mode(path) == mode
    assert content(path) == before
    assert fingerprint(snapshot.parent).items() >= files.items()
    assert len(in_backups(path)) == 1 + back_up


@pytest.mark.parametrize(("live", "then"), [(1024, 4096), (4096, 1024), (512, 65536)])
def test_other_page_sizes_fit_into_a_rollback_journal_database_also_while_it_is_open(
    tmp_path: Path, pack: MigrationPack, live: int, then: int
) -> None:
    path = database(tmp_path / "data" / "homie_p.db", "delete", f"PRAGMA page_size={live}; VACUUM; CREATE TABLE old (a);")
    source = database(tmp_path / "source.db", "delete", f"PRAGMA page_size={then}; VACUUM; {SCHEMA}")
    before = content(path)
    somebody = InAnotherProcess(path)
    try:
        assert somebody.run("SELECT * FROM old") == []
        undo = MigrationRunner(path, [pack]).restore(source).snapshot
        assert somebody.run("SELECT a FROM t") == [(1,), (2,), (3,)]
    finally:
        somebody.close()
    assert content(path) == content(source)
    assert query(path, "PRAGMA page_size") == [(then,)]
    assert undo is not None
    MigrationRunner(path, [pack]).restore(undo)
    assert content(path) == before


@pytest.mark.parametrize("taken_in", ["delete", "wal"])
def test_other_page_sizes_are_refused_for_a_wal_database_which_stays_as_it_was(
    tmp_path: Path, pack: MigrationPack, taken_in: str
) -> None:
    path = database(tmp_path / "data" / "homie_p.db", "wal")
    source = database(tmp_path / "source.db", taken_in, f"PRAGMA page_size=1024; VACUUM; {SCHEMA} INSERT INTO t VALUES (9);")
    assert query(source, "PRAGMA page_size") == [(1024,)] or taken_in == "wal"
    if taken_in == "wal":
        run_sql(source, "PRAGMA journal_mode=delete; PRAGMA page_size=1024; VACUUM; PRAGMA journal_mode=wal;")
    before, files = content(path), fingerprint(tmp_path)
    with pytest.raises(SnapshotUnusable) as refused:
        MigrationRunner(path, [pack]).restore(source)
    assert "4096 bytes" in str(refused.value)
    assert fingerprint(tmp_path) == files
    assert content(path) == before


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize(("live", "then"), [(10, 12_000_000), (12_000_000, 10)], ids=["it grows", "it shrinks"])
def test_the_snapshot_may_be_larger_or_smaller(tmp_path: Path, pack: MigrationPack, mode: str, live: int, then: int) -> None:
    path = database(tmp_path / "data" / "homie_p.db", mode, f"CREATE TABLE t (a); INSERT INTO t VALUES (randomblob({live}));")
    source = database(tmp_path / "source.db", mode, f"CREATE TABLE t (a); INSERT INTO t VALUES (randomblob({then}));")
    before = query(path, "SELECT a FROM t")
    undo = MigrationRunner(path, [pack]).restore(source).snapshot
    assert query(path, "SELECT a FROM t") == query(source, "SELECT a FROM t")
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    assert path.stat().st_size == source.stat().st_size
    assert undo is not None
    MigrationRunner(path, [pack]).restore(undo)
    assert query(path, "SELECT a FROM t") == before


TINY = {
    "one page": "CREATE VIEW v AS SELECT 1;",
    "two pages": "CREATE TABLE t (a);",
    "one page that was more": "CREATE TABLE t (a); INSERT INTO t VALUES (1); CREATE VIEW v AS SELECT 1; DROP TABLE t; VACUUM;",
}


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("taken_in", ["delete", "wal"])
@pytest.mark.parametrize("tiny", TINY)
def test_it_may_be_tiny(tmp_path: Path, pack: MigrationPack, mode: str, taken_in: str, tiny: str) -> None:
    path = database(tmp_path / "data" / "homie_p.db", mode)
    source = database(tmp_path / "source.db", taken_in, TINY[tiny])
    before, then = content(path), content(source)
    undo = MigrationRunner(path, [pack]).restore(source).snapshot
    assert content(path) == then
    assert undo is not None
    assert content(undo) == before
    MigrationRunner(path, [pack]).restore(undo)
    assert content(path) == before


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_what_is_in_a_wal_beside_the_snapshot_is_put_back_too(tmp_path: Path, pack: MigrationPack, mode: str) -> None:
    path = database(tmp_path / "data" / "homie_p.db", mode)
    original = sqlite3.connect(tmp_path / "original.db", isolation_level=None)
    source = tmp_path / "copy" / "source.db"
    source.parent.mkdir()
    try:
        original.executescript(
            f"PRAGMA journal_mode=wal; PRAGMA wal_autocheckpoint=0; {SCHEMA} INSERT INTO t VALUES ('in the wal');"
        )
        for ending in ("", "-wal"):
            shutil.copyfile(f"{tmp_path / 'original.db'}{ending}", f"{source}{ending}")
    finally:
        original.close()
    files = fingerprint(source.parent)
    MigrationRunner(path, [pack]).restore(source)
    assert query(path, "SELECT a FROM t WHERE a = 'in the wal'") == [("in the wal",)]
    assert journal_mode(path) == mode
    assert fingerprint(source.parent).items() >= files.items()
    assert len(in_backups(path)) == 1  # and not the copy that it needs for that


# --- the database that is there, or not -------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="there are no such modes")
@pytest.mark.parametrize("taken_in", ["delete", "wal"])
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_database_that_is_not_there_is_made_with_the_file_mode_of_the_snapshot(
    tmp_path: Path, pack: MigrationPack, taken_in: str, mode: int
) -> None:
    path = database(tmp_path / "data" / "homie_p.db", taken_in)
    before = content(path)
    path.chmod(mode)
    snapshot = MigrationRunner(path, [pack]).backup()
    for each in path.parent.glob("homie_p.db*"):
        each.unlink()
    runner = MigrationRunner(path, [pack])
    assert runner.preview_restore(snapshot).rows
    assert not path.exists()
    assert runner.restore(snapshot).snapshot is None
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert content(path) == before
    assert in_backups(path) == [snapshot]


def test_a_database_that_is_there_keeps_its_file_mode(path: Path, pack: MigrationPack) -> None:
    snapshot = MigrationRunner(path, [pack]).backup()
    snapshot.chmod(0o600)
    path.chmod(0o640)
    MigrationRunner(path, [pack]).restore(snapshot)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("fails", ["a stop", "no room"])
def test_a_database_that_is_not_there_is_not_half_there_if_it_could_not_be_made(
    tmp_path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    source = database(tmp_path / "source.db", "wal" if fails == "no room" else "delete")
    path = tmp_path / "data" / "homie_p.db"
    path.parent.mkdir()
    phases: list[str] = []
    if fails == "a stop":
        monkeypatch.setattr(restoring, "PAGES_A_STEP", 1)
    else:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("usage", "total used free")(1, 1, 0))
    with pytest.raises(HomieMigrationsError), hearing_phases(lambda what, *_: phases.append(what)):
        MigrationRunner(path, [pack], should_stop=lambda: "restoring the snapshot" in phases).restore(source)
    assert {each.name for each in path.parent.iterdir()} <= {"homie_p.db"}
    assert not path.exists() or content(path) == ["BEGIN TRANSACTION;", "COMMIT;"]


@pytest.mark.parametrize("empty", ["no bytes", "no schema", "no schema, in a wal"])
def test_an_empty_database_is_filled_and_needs_no_snapshot(tmp_path: Path, pack: MigrationPack, empty: str) -> None:
    source, path = database(tmp_path / "source.db", "delete"), tmp_path / "data" / "homie_p.db"
    path.parent.mkdir()
    if empty == "no bytes":
        path.touch()
    else:
        run_sql(path, f"PRAGMA journal_mode={'wal' if 'wal' in empty else 'delete'}; PRAGMA user_version=4;")
    assert MigrationRunner(path, [pack]).restore(source).snapshot is None
    assert content(path) == content(source)
    assert in_backups(path) == []


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("back_up", [True, False])
def test_a_damaged_database_is_replaced_and_kept_as_it_was(tmp_path: Path, pack: MigrationPack, mode: str, back_up: bool) -> None:
    path = database(tmp_path / "data" / "homie_p.db", mode)
    before = content(path)
    snapshot = MigrationRunner(path, [pack]).backup()
    root = query(path, "SELECT rootpage FROM sqlite_schema WHERE name = 't'")[0][0]
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 200)
    damaged = path.read_bytes()
    restored = MigrationRunner(path, [pack], backup=back_up).restore(snapshot)
    assert content(path) == before
    assert (restored.snapshot is not None) == back_up
    if restored.snapshot is not None:
        kept = restored.snapshot.read_bytes()
        assert kept[4096:] == damaged[4096:]  # the first page counts changes


@pytest.mark.parametrize("back_up", [True, False])
def test_a_file_that_is_no_database_is_refused_and_untouched(tmp_path: Path, pack: MigrationPack, back_up: bool) -> None:
    source, path = database(tmp_path / "source.db", "delete"), tmp_path / "data" / "homie_p.db"
    path.parent.mkdir()
    path.write_bytes(b"dear diary, " * 1000)
    files = fingerprint(tmp_path)
    with pytest.raises(NotADatabase, match="move it away"):
        MigrationRunner(path, [pack], backup=back_up).restore(source)
    assert fingerprint(tmp_path) == files


CHANGES_AND_DIES = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size=5")
connection.execute("BEGIN")
connection.execute("UPDATE t SET a = a || 'half done'")
connection.execute("INSERT INTO t SELECT zeroblob(4000) FROM sqlite_schema, sqlite_schema")
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal")
def test_an_interrupted_database_is_healed_first(tmp_path: Path, pack: MigrationPack) -> None:
    path = database(tmp_path / "data" / "homie_p.db", "delete")
    before = content(path)
    snapshot = MigrationRunner(path, [pack]).backup()
    run_sql(path, "INSERT INTO t VALUES ('later')")
    later = content(path)
    subprocess.run([sys.executable, "-c", CHANGES_AND_DIES, str(path)], check=False)
    assert path.with_name("homie_p.db-journal").stat().st_size > 0
    undo = MigrationRunner(path, [pack]).restore(snapshot).snapshot
    assert content(path) == before
    assert undo is not None
    assert content(undo) == later


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_to_the_database_is_followed(tmp_path: Path, pack: MigrationPack) -> None:
    path = database(tmp_path / "data" / "homie_p.db", "delete")
    before = content(path)
    snapshot = MigrationRunner(path, [pack]).backup()
    run_sql(path, CHANGES)
    (tmp_path / "homie_p.db").symlink_to(path)
    restored = MigrationRunner(tmp_path / "homie_p.db", [pack]).restore(snapshot)
    assert (tmp_path / "homie_p.db").is_symlink()
    assert content(path) == before
    assert restored.snapshot is not None
    assert restored.snapshot.parent == path.parent / "backups"


# --- the snapshot -----------------------------------------------------------------------------------------


def no_file(path: Path, _: Path) -> None:
    path.unlink()


def no_database(path: Path, _: Path) -> None:
    path.write_bytes(b"dear diary, " * 1000)


def damaged(path: Path, _: Path) -> None:
    root = query(path, "SELECT rootpage FROM sqlite_schema WHERE name = 't'")[0][0]
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 200)


def cut_off(path: Path, _: Path) -> None:
    os.truncate(path, path.stat().st_size - 4096)


def no_bytes(path: Path, _: Path) -> None:
    path.write_bytes(b"")


def no_schema(path: Path, _: Path) -> None:
    path.unlink()
    run_sql(path, "PRAGMA user_version=1")


def folder(path: Path, _: Path) -> None:
    path.unlink()
    path.mkdir()


def the_database_itself(path: Path, live: Path) -> None:
    path.unlink()
    path.hardlink_to(live)


def a_link_to_it(path: Path, live: Path) -> None:
    path.unlink()
    path.symlink_to(live)


def a_link_to_nowhere(path: Path, live: Path) -> None:
    path.unlink()
    path.symlink_to(live.with_name("nowhere"))


UNUSABLE = {
    no_file: "there is no such file",
    no_database: "not an SQLite database",
    damaged: "damaged",
    cut_off: "",
    no_bytes: "it holds nothing",
    no_schema: "it holds nothing",
    folder: "there is no such file",
    the_database_itself: "it is the database itself",
    a_link_to_it: "it is the database itself",
    a_link_to_nowhere: "there is no such file",
}


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("make", UNUSABLE, ids=lambda make: make.__name__)
def test_a_snapshot_that_can_not_be_used_is_refused_in_words_and_nothing_is_changed(
    tmp_path: Path, pack: MigrationPack, mode: str, make
) -> None:
    path = database(tmp_path / "data" / "homie_p.db", mode)
    source = database(tmp_path / "source.db", mode)
    make(source, path)
    files = fingerprint(tmp_path)
    for call in (MigrationRunner(path, [pack]).restore, MigrationRunner(path, [pack]).preview_restore):
        with pytest.raises(SnapshotUnusable) as refused:
            call(source)
        assert UNUSABLE[make] in str(refused.value)
        assert refused.value.path == str(source)
        assert fingerprint(tmp_path) == files


def test_a_snapshot_that_somebody_is_writing_to_is_refused(tmp_path: Path, pack: MigrationPack) -> None:
    path, source = database(tmp_path / "data" / "homie_p.db", "delete"), database(tmp_path / "source.db", "delete")
    writer, files = InThisProcess(source), fingerprint(path.parent)
    try:
        writer.run("BEGIN EXCLUSIVE")
        with pytest.raises(SnapshotUnusable) as refused:
            MigrationRunner(path, [pack]).restore(source)
    finally:
        writer.close()
    assert "another program writes to it" in str(refused.value)
    assert fingerprint(path.parent) == files


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal")
def test_a_snapshot_whose_change_was_interrupted_is_refused_as_a_snapshot(tmp_path: Path, pack: MigrationPack) -> None:
    path, source = database(tmp_path / "data" / "homie_p.db", "delete"), database(tmp_path / "source.db", "delete")
    subprocess.run([sys.executable, "-c", CHANGES_AND_DIES, str(source)], check=False)
    files = fingerprint(tmp_path)
    with pytest.raises(SnapshotUnusable):
        MigrationRunner(path, [pack]).restore(source)
    assert fingerprint(tmp_path) == files


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_to_a_snapshot_will_do(tmp_path: Path, pack: MigrationPack) -> None:
    path, source = (
        database(tmp_path / "data" / "homie_p.db", "delete", "CREATE TABLE o (a);"),
        database(tmp_path / "s.db", "delete"),
    )
    (tmp_path / "link").symlink_to(source)
    MigrationRunner(path, [pack]).restore(tmp_path / "link")
    assert content(path) == content(source)


@pytest.mark.parametrize("flaw", ["CHECK", "collation"])
def test_old_flaws_of_rows_and_what_only_the_application_knows_are_no_reason_against_it(
    path: Path, pack: MigrationPack, flaw: str
) -> None:
    if flaw == "CHECK":
        run_sql(path, "CREATE TABLE s (a CHECK (a > 0)); PRAGMA ignore_check_constraints=ON; INSERT INTO s VALUES (-1);")
    else:
        connection = sqlite3.connect(path)
        connection.create_collation("my_order", lambda a, b: (a > b) - (a < b))
        connection.executescript("CREATE TABLE s (a TEXT UNIQUE COLLATE my_order); INSERT INTO s VALUES ('-1');")
        connection.close()
    snapshot = MigrationRunner(path, [pack]).backup()
    run_sql(path, "INSERT INTO t VALUES (4)")
    MigrationRunner(path, [pack]).restore(snapshot)
    assert query(path, "SELECT a FROM t") == [(1,), (2,), (3,)]
    assert [str(value) for (value,) in query(path, "SELECT a FROM s")] == ["-1"]


def test_the_last_snapshot_of_a_crash_loop_can_be_put_back_and_stays(path: Path, pack: MigrationPack) -> None:
    """The snapshot of the state before is taken meanwhile, and would push it out."""
    first = begun(path)
    run_sql(path, "INSERT INTO t VALUES (4)")
    last = begun(path)
    run_sql(path, CHANGES)
    restored = MigrationRunner(path, [pack]).restore(last)
    assert query(path, "SELECT a FROM t") == [(1,), (2,), (3,), (4,)]
    assert {first, last, restored.snapshot} == set(in_backups(path))


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("taken_in", ["delete", "wal"])
def test_a_backup_that_somebody_takes_meanwhile_does_not_get_in_its_way(
    tmp_path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch, mode: str, taken_in: str
) -> None:
    """It clears away what killed processes left half-made, and this is not of that kind."""
    path = database(tmp_path / "data" / "homie_p.db", mode, "CREATE TABLE o (a);")
    source = database(tmp_path / "source.db", taken_in)
    copy, meanwhile = snapshots.copy_database, []

    def copied(*arguments: object) -> None:
        copy(*arguments)
        if not meanwhile:
            meanwhile.append(True)
            try:
                MigrationRunner(path, [pack], lock_timeout=0.0).backup()
            except LockTimeout:
                meanwhile.append("it waits")

    monkeypatch.setattr(snapshots, "copy_database", copied)
    before = MigrationRunner(path, [pack]).restore(source).snapshot
    assert meanwhile
    assert content(path) == content(source)
    assert before is not None
    assert query(before, "SELECT name FROM sqlite_schema") == [("o",)]


# --- stops, and what can't be done ----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["stop", "Ctrl-C"])
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_wherever_it_is_stopped_nothing_was_changed_or_it_is_told_as_done(
    tmp_path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch, mode: str, how: str
) -> None:
    """Stopped at the first question, at the second, and so on, until nothing asks any more."""
    monkeypatch.setattr(restoring, "PAGES_A_STEP", 2)
    path = database(tmp_path / "data" / "homie_p.db", mode)
    snapshot = MigrationRunner(path, [pack]).backup()
    then = content(path)
    stopped, done, wrong = 0, 0, []
    for number in range(1, 200):
        run_sql(path, "INSERT INTO t VALUES ('new')")
        before, questions = content(path), iter(range(1, 10_000))

        def asked(questions: Iterator[int] = questions, number: int = number) -> bool:
            if next(questions) < number:
                return False
            if how == "Ctrl-C":
                raise KeyboardInterrupt
            return True

        runner = MigrationRunner(path, [pack], should_stop=asked)
        try:
            undo = runner.restore(snapshot).snapshot
        except (RunStopped, KeyboardInterrupt):
            stopped += 1
            if content(path) != before:
                wrong.append(f"stopped at question {number}, and it was put back; left: {len(in_backups(path)) - 1} snapshots")
            continue
        done += 1
        assert content(path) == then
        assert undo is not None
        assert content(undo) == before
        if next(questions) <= number:
            break
    assert stopped > 5
    assert not wrong, wrong
    assert len(in_backups(path)) == 1 + done


def test_a_stop_while_it_waits_changes_nothing(path: Path, pack: MigrationPack) -> None:
    snapshot = MigrationRunner(path, [pack]).backup()
    run_sql(path, CHANGES)
    before, phases, writer = content(path), [], InThisProcess(path)
    try:
        writer.run("BEGIN IMMEDIATE")
        with pytest.raises(RunStopped), hearing_phases(lambda what, *_: phases.append(what)):
            MigrationRunner(path, [pack], should_stop=lambda: any(each.startswith("waiting") for each in phases)).restore(snapshot)
    finally:
        writer.close()
    assert phases[-1].startswith("waiting")
    assert content(path) == before
    assert in_backups(path) == [snapshot]


def test_if_the_state_before_can_not_be_kept_nothing_is_changed(
    path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = MigrationRunner(path, [pack]).backup()
    run_sql(path, CHANGES)
    before = content(path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("usage", "total used free")(1, 1, 0))
    with pytest.raises((SnapshotFailed, DatabaseUnusable)) as refused:
        MigrationRunner(path, [pack]).restore(snapshot)
    assert "are free" in str(refused.value)
    assert content(path) == before
    assert in_backups(path) == [snapshot]


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_without_room_for_the_copy_that_it_needs_meanwhile_it_says_so(
    tmp_path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """A snapshot in WAL mode is copied first, so that the database keeps its own mode."""
    path, source = database(tmp_path / "data" / "homie_p.db", mode), database(tmp_path / "source.db", "wal", "CREATE TABLE o (a);")
    before = content(path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("usage", "total used free")(1, 1, 0))
    with pytest.raises(HomieMigrationsError) as refused:
        MigrationRunner(path, [pack], backup=False).restore(source)
    assert "are free" in str(refused.value)
    assert content(path) == before
    assert in_backups(path) == []


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="there is no limit of this kind")
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_full_disk_is_told_as_such_and_nothing_is_changed(tmp_path: Path, pack: MigrationPack, mode: str) -> None:
    import resource

    path = database(tmp_path / "data" / "homie_p.db", mode)
    source = database(tmp_path / "source.db", "delete", "CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(20000000));")
    before = content(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(DatabaseUnusable):
            MigrationRunner(path, [pack], lock_timeout=0.0).restore(source)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert content(path) == before
    assert in_backups(path) == []


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_a_link_that_leads_nowhere_is_refused_and_nothing_is_made(path: Path, pack: MigrationPack, tmp_path: Path) -> None:
    snapshot, link = MigrationRunner(path, [pack]).backup(), tmp_path / "homie_p.db"
    link.symlink_to(tmp_path / "nowhere" / "homie_p.db")
    with pytest.raises(DatabaseUnusable, match="a link that leads nowhere"):
        MigrationRunner(link, [pack]).restore(snapshot)
    assert not (tmp_path / "nowhere").exists()


def test_what_belongs_to_another_tool_can_be_kept_and_put_back(path: Path, pack: MigrationPack) -> None:
    run_sql(path, "CREATE TABLE schema_migrations (version TEXT); INSERT INTO schema_migrations VALUES ('2024')")
    before, runner = content(path), MigrationRunner(path, [pack])
    snapshot = runner.backup()
    run_sql(path, CHANGES)
    assert runner.restore(snapshot).pending_again == ()
    assert content(path) == before


# --- what is said after an error ------------------------------------------------------------------------


def failing_at(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    """As if the disk failed when that share of the pages is copied; at 1 the copy has been committed."""

    def fail(_what: str, done: int | None = None, total: int | None = None) -> None:
        if done is not None and total and done >= share * total:
            raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(restoring, "PAGES_A_STEP", 1)
    monkeypatch.setattr(restoring, "tell_phase", fail)


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_an_error_before_the_commit_is_told_as_nothing_done(
    tmp_path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    path, source = (
        database(tmp_path / "data" / "homie_p.db", mode),
        database(tmp_path / "source.db", "delete", "CREATE TABLE o (a);"),
    )
    before = content(path)
    failing_at(monkeypatch, 0.5)
    with pytest.raises(DatabaseUnusable, match="disk I/O error"):
        MigrationRunner(path, [pack]).restore(source)
    assert content(path) == before
    assert in_backups(path) == []


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_an_error_after_the_commit_is_logged_and_the_database_told_as_restored(
    tmp_path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, mode: str
) -> None:
    path, source = (
        database(tmp_path / "data" / "homie_p.db", mode),
        database(tmp_path / "source.db", "delete", "CREATE TABLE o (a);"),
    )
    failing_at(monkeypatch, 1)
    found = MigrationRunner(path, [pack]).restore(source)
    assert content(path) == content(source)
    assert found.snapshot is not None
    assert f"{path} was restored, and SQLite reported an error after that: disk I/O error" in caplog.text


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_an_error_after_which_the_file_can_not_be_read_is_told_as_not_known(
    tmp_path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    path, source = (
        database(tmp_path / "data" / "homie_p.db", mode),
        database(tmp_path / "source.db", "delete", "CREATE TABLE o (a);"),
    )
    failing_at(monkeypatch, 0.5)

    def unreadable(*_: object, **__: object) -> None:
        raise DatabaseUnusable(str(path), "it is gone", "Look for it.")

    read = restoring.read
    monkeypatch.setattr(restoring, "read", lambda at, *rest, **more: (unreadable if at == str(path) else read)(at, *rest, **more))
    with pytest.raises(
        CommitUnconfirmed, match=r"It is not known whether the snapshot .*source\.db was committed to .*disk I/O error"
    ):
        MigrationRunner(path, [pack]).restore(source)


@pytest.mark.skipif(os.name == "nt", reason="an open file can't be replaced there")
@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_database_that_is_removed_or_replaced_meanwhile_is_not_told_as_restored(
    tmp_path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch, how: str, mode: str
) -> None:
    path, source = (
        database(tmp_path / "data" / "homie_p.db", mode),
        database(tmp_path / "source.db", "delete", "CREATE TABLE o (a);"),
    )
    other = database(tmp_path / "other.db", "delete", "CREATE TABLE strange (a);")

    def meanwhile(*_: object) -> None:
        if how == "removed":
            path.unlink(missing_ok=True)
        elif other.exists():
            other.replace(path)

    monkeypatch.setattr(restoring, "tell_phase", meanwhile)
    with pytest.raises(DatabaseReplaced, match="replaced or removed the file while it was restored"):
        MigrationRunner(path, [pack]).restore(source)
