"""When a snapshot is taken, what is in it, and what becomes of it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from helpers import creates, fingerprint, python_migration, query, recorded, run_sql, tables, write_pack

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.errors import CommitUnconfirmed, MigrationFailed, RunStopped, SnapshotFailed
from homie_migrations_core.sqlite import snapshots
from homie_migrations_core.sqlite.database import CommitFailed, Writer
from homie_migrations_core.stopping import StopRequest

MODES = ("delete", "wal")
FAILS = python_migration(9, "conn.execute('CREATE TABLE half (a)')\nraise RuntimeError('no')")


@pytest.fixture(params=MODES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A database with one table and three rows, which nothing was applied to."""
    path = tmp_path / "data" / "homie_p.db"
    path.parent.mkdir()
    run_sql(path, f"PRAGMA journal_mode={request.param}; CREATE TABLE t (a); INSERT INTO t VALUES (1), (2), (3);")
    return path


@pytest.fixture
def pack(tmp_path: Path) -> MigrationPack:
    return write_pack(tmp_path / "pack", "p", {"001_one.py": creates(1, "one"), "002_two.py": creates(2, "two")})


def backups(path: Path) -> list[Path]:
    """What is in the folder beside the database, by name."""
    folder = path.parent / "backups"
    return sorted(folder.iterdir()) if folder.exists() else []


def content(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def take(path: Path, *, minute: int = 0) -> Path:
    """A snapshot, as a run takes it, that many minutes after a certain time."""
    return snapshots.take_snapshot(str(path), [], datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minute), StopRequest())


# --- when one is taken --------------------------------------------------------------------------------


def test_the_first_change_of_a_run_is_preceded_by_one_snapshot_of_the_state_before_it(path: Path, pack: MigrationPack) -> None:
    before = content(path)
    MigrationRunner(path, [pack]).apply()
    (snapshot,) = backups(path)
    assert content(snapshot) == before
    assert tables(path) == {"t", "one", "two"}


def test_each_run_that_changes_something_takes_one(path: Path, pack: MigrationPack) -> None:
    runner = MigrationRunner(path, [pack])
    runner.apply(to="p:1")
    runner.apply()
    runner.rollback("p")
    assert [tables(snapshot) for snapshot in backups(path)] == [{"t"}, {"t", "one"}, {"t", "one", "two"}]
    assert [recorded(snapshot) for snapshot in backups(path)] == [[], ["p:001_one"], ["p:001_one", "p:002_two"]]


def test_its_name_says_what_was_applied_when_it_was_taken(path: Path, pack: MigrationPack) -> None:
    MigrationRunner(path, [pack]).apply(to="p:1")
    MigrationRunner(path, [pack]).apply()
    first, second = (snapshot.name for snapshot in backups(path))
    assert first.startswith("homie_p.")
    assert first.endswith(".untracked.auto.db")
    assert second.endswith(".p-1.auto.db")


@pytest.mark.parametrize("empty", ["no file", "no bytes", "no schema"])
def test_a_database_that_holds_nothing_gets_none(tmp_path: Path, pack: MigrationPack, empty: str) -> None:
    path = tmp_path / "homie_p.db"
    if empty == "no bytes":
        path.touch()
    elif empty == "no schema":
        run_sql(path, "PRAGMA user_version = 3;")
    MigrationRunner(path, [pack]).apply()
    assert tables(path) == {"one", "two"}
    assert not (tmp_path / "backups").exists()


def test_a_run_with_nothing_to_do_takes_none(path: Path, pack: MigrationPack) -> None:
    MigrationRunner(path, [pack], backup=False).apply()
    assert MigrationRunner(path, [pack]).apply() == []
    assert MigrationRunner(path, [pack]).apply(to="p:1") == []
    assert MigrationRunner(path, [pack]).rollback("p", to=2) == []
    assert not (path.parent / "backups").exists()


def test_none_is_taken_where_none_is_wanted(path: Path, pack: MigrationPack) -> None:
    MigrationRunner(path, [pack], backup=False).apply()
    assert not (path.parent / "backups").exists()


# --- what is in it --------------------------------------------------------------------------------------


def test_what_is_in_the_wal_and_not_in_the_file_yet_is_in_the_snapshot(tmp_path: Path, pack: MigrationPack) -> None:
    path = tmp_path / "homie_p.db"
    application = sqlite3.connect(path, isolation_level=None)
    try:
        application.executescript(
            "PRAGMA journal_mode=wal; PRAGMA wal_autocheckpoint=0; CREATE TABLE t (a); INSERT INTO t VALUES (1);"
        )
        assert path.stat().st_size <= 4096  # all of it is in the -wal
        before = content(path)
        MigrationRunner(path, [pack]).apply()
    finally:
        application.close()
    (snapshot,) = backups(path)
    assert content(snapshot) == before
    assert {each.name for each in snapshot.parent.iterdir()} <= {snapshot.name, f"{snapshot.name}-wal", f"{snapshot.name}-shm"}


def test_it_is_the_state_at_the_beginning_of_the_transaction_though_others_write_all_the_time(
    path: Path, pack: MigrationPack
) -> None:
    """The migration notes what it finds at its beginning, under the same lock."""
    count = python_migration(1, "conn.execute('CREATE TABLE found AS SELECT count(*) AS n FROM t')")
    pack = write_pack(path.parent / "counting", "p", {"001_count.py": count})
    done = threading.Event()

    def hammer() -> None:
        connection = sqlite3.connect(path, timeout=30, isolation_level=None)
        try:
            while not done.is_set():
                connection.execute("INSERT INTO t VALUES (zeroblob(2000))")
        finally:
            connection.close()

    writer = threading.Thread(target=hammer)
    writer.start()
    try:
        MigrationRunner(path, [pack]).apply()
    finally:
        done.set()
        writer.join()
    (snapshot,) = backups(path)
    assert query(snapshot, "SELECT count(*) FROM t") == query(path, "SELECT n FROM found")


def test_a_step_that_was_begun_twice_gets_a_snapshot_of_its_second_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that breaks a key and has outgrown SQLite's cache is undone, to look at the state before it, and begun again."""
    path = tmp_path / "homie_p.db"
    run_sql(path, "CREATE TABLE t (a); CREATE TABLE child (p REFERENCES missing); INSERT INTO child VALUES (1);")
    script = """
        PRAGMA cache_size = 10;
        CREATE TABLE big AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) SELECT zeroblob(4000) FROM n;
        DELETE FROM child; INSERT INTO child VALUES (1);
    """
    begin, begun = Writer.begin, []

    def others_write_in_between(writer: Writer) -> bool:
        if begun:
            run_sql(path, "INSERT INTO t VALUES ('meanwhile');")
        begun.append(True)
        return begin(writer)

    monkeypatch.setattr(Writer, "begin", others_write_in_between)
    MigrationRunner(path, [write_pack(tmp_path / "pack", "p", {"001_large.sql": script})]).apply()
    assert len(begun) == 2
    (snapshot,) = backups(path)
    assert query(snapshot, "SELECT a FROM t") == [("meanwhile",)]
    assert tables(snapshot) == {"t", "child"}


@pytest.mark.parametrize(
    "pragma", ["page_size=1024", "auto_vacuum=incremental", "encoding='UTF-16'", "user_version=7", "application_id=9"]
)
def test_it_has_the_shape_of_the_original(tmp_path: Path, pack: MigrationPack, pragma: str) -> None:
    path, name = tmp_path / "homie_p.db", pragma.partition("=")[0]
    run_sql(path, f"PRAGMA {pragma}; CREATE TABLE t (a); INSERT INTO t VALUES (randomblob(90000));")
    before = content(path), query(path, f"PRAGMA {name}")
    MigrationRunner(path, [pack]).apply()
    (snapshot,) = backups(path)
    assert (content(snapshot), query(snapshot, f"PRAGMA {name}")) == before


@pytest.mark.skipif(os.name == "nt", reason="there are no such modes")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o666])
def test_it_has_the_file_mode_of_the_original(path: Path, pack: MigrationPack, mode: int) -> None:
    path.chmod(mode)
    MigrationRunner(path, [pack]).apply()
    assert stat.S_IMODE(backups(path)[0].stat().st_mode) == mode


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_it_lies_beside_the_file_itself_when_a_link_is_used(path: Path, pack: MigrationPack, tmp_path: Path) -> None:
    link = tmp_path / "homie_p.db"
    link.symlink_to(path)
    MigrationRunner(link, [pack]).apply()
    assert len(backups(path)) == 1
    assert not (tmp_path / "backups").exists()


@pytest.mark.parametrize("name", ["homie_p 'x'.db", "päck#1?%41.db", "no_ending", ".hidden.db", "a.b.c"])
def test_any_file_name_will_do(tmp_path: Path, pack: MigrationPack, name: str) -> None:
    path = tmp_path / name
    run_sql(path, "CREATE TABLE t (a);")
    MigrationRunner(path, [pack]).apply()
    (snapshot,) = backups(path)
    assert tables(snapshot) == {"t"}


def test_a_database_with_what_only_the_application_knows_can_be_copied(path: Path, pack: MigrationPack) -> None:
    connection = sqlite3.connect(path)
    connection.create_collation("my_order", lambda a, b: (a > b) - (a < b))
    connection.create_function("my_function", 1, lambda x: x, deterministic=True)
    connection.executescript(
        """CREATE TABLE s (a TEXT UNIQUE COLLATE my_order, b); INSERT INTO s VALUES ('x', 1), ('y', 2);
        CREATE INDEX i ON s (my_function(b));"""
    )
    connection.close()
    MigrationRunner(path, [pack]).apply()
    assert query(backups(path)[0], "SELECT b FROM s") == [(1,), (2,)]


# --- what becomes of it -----------------------------------------------------------------------------------


def test_a_run_that_commits_nothing_removes_its_own_and_leaves_no_folder(path: Path, tmp_path: Path) -> None:
    before = content(path)
    with pytest.raises(MigrationFailed):
        MigrationRunner(path, [write_pack(tmp_path / "failing", "p", {"009_fails.py": FAILS})]).apply()
    assert content(path) == before
    assert not (path.parent / "backups").exists()


def test_it_leaves_the_folder_to_what_else_is_in_it(path: Path, tmp_path: Path) -> None:
    (path.parent / "backups").mkdir()
    (path.parent / "backups" / "mine.db").write_bytes(b"mine")
    with pytest.raises(MigrationFailed):
        MigrationRunner(path, [write_pack(tmp_path / "failing", "p", {"009_fails.py": FAILS})]).apply()
    assert [each.name for each in backups(path)] == ["mine.db"]


def test_a_run_that_committed_something_before_it_failed_keeps_it(path: Path, pack: MigrationPack) -> None:
    before = content(path)
    write_pack(Path(pack.migrations), "p", {"009_fails.py": FAILS})
    with pytest.raises(MigrationFailed):
        MigrationRunner(path, [pack]).apply()
    assert recorded(path) == ["p:001_one", "p:002_two"]
    assert [content(snapshot) for snapshot in backups(path)] == [before]


def test_a_run_whose_commit_may_have_taken_effect_keeps_it(
    path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def commit_in_the_dark(_: Writer) -> None:
        raise CommitFailed("disk I/O error")

    def nobody_knows(*_: object) -> bool:
        raise CommitUnconfirmed(str(path), "p:001_one", "disk I/O error")

    monkeypatch.setattr(Writer, "commit", commit_in_the_dark)
    monkeypatch.setattr("homie_migrations_core.execution.Execution._took_effect", nobody_knows)
    with pytest.raises(CommitUnconfirmed):
        MigrationRunner(path, [pack]).apply()
    assert len(backups(path)) == 1


def test_of_the_automatic_ones_the_newest_five_stay_and_those_made_by_hand_are_untouched(path: Path, pack: MigrationPack) -> None:
    old = [take(path, minute=minute) for minute in range(7)]
    by_hand = [
        path.parent / "backups" / name
        for name in ("homie_p.db", "homie_p.before-the-move.db", "homie_p.20250101T000000.000000Z.db")
    ]
    for each in by_hand:
        shutil.copyfile(path, each)
    MigrationRunner(path, [pack]).apply()
    left = set(backups(path))
    new = left - set(old) - set(by_hand)
    assert len(new) == 1
    assert left == new | set(old[-4:]) | set(by_hand)


def test_nothing_is_pruned_by_a_run_that_did_not_succeed(path: Path, pack: MigrationPack) -> None:
    old = [take(path, minute=minute) for minute in range(7)]
    write_pack(Path(pack.migrations), "p", {"009_fails.py": FAILS})
    with pytest.raises(MigrationFailed):
        MigrationRunner(path, [pack]).apply()
    assert set(old) < set(backups(path))
    assert len(backups(path)) == 8


def test_nothing_is_pruned_by_a_run_that_was_stopped_between_two_migrations(path: Path, pack: MigrationPack) -> None:
    for minute in range(7):
        take(path, minute=minute)
    with pytest.raises(RunStopped):
        MigrationRunner(path, [pack], should_stop=lambda: recorded(path) != []).apply()
    assert recorded(path) == ["p:001_one"]
    assert len(backups(path)) == 8


@pytest.mark.parametrize("neighbour", ["homie_p.more.db", "homie_p.sqlite", "homie_p.2.db"])
def test_the_snapshots_of_a_neighbour_whose_name_begins_alike_are_not_pruned(
    path: Path, pack: MigrationPack, neighbour: str
) -> None:
    other = path.with_name(neighbour)
    run_sql(other, "CREATE TABLE neighbours (a);")
    others = {take(other, minute=minute) for minute in range(6)}
    for minute in range(6):
        take(path, minute=minute)
    MigrationRunner(path, [pack]).apply()
    left = set(backups(path))
    assert others < left
    assert len(left - others) == 5


def test_what_a_killed_run_left_half_copied_goes_with_the_next_snapshot(path: Path, pack: MigrationPack) -> None:
    (path.parent / "backups").mkdir()
    half = path.parent / "backups" / "homie_p.20250101T000000.000000Z.p-1.auto.db.tmp"
    mine = path.parent / "backups" / "mine.tmp"
    for each in (half, mine):
        each.write_bytes(b"half")
    MigrationRunner(path, [pack]).apply()
    assert not half.exists()
    assert mine.exists()


# --- when it can't be taken -----------------------------------------------------------------------------


def refuses(path: Path, pack: MigrationPack) -> SnapshotFailed:
    """The run is refused, nothing ran, nothing changed, and nothing is left of the attempt."""
    before, files = content(path), sorted(path.parent.rglob("*"))
    with pytest.raises(SnapshotFailed) as failed:
        MigrationRunner(path, [pack]).apply()
    assert content(path) == before
    assert sorted(path.parent.rglob("*")) == files
    return failed.value


def test_without_room_for_its_folder_nothing_runs(path: Path, pack: MigrationPack) -> None:
    (path.parent / "backups").write_bytes(b"a file, not a folder")
    assert "--no-backup" in str(refuses(path, pack))


def test_when_the_copy_is_not_what_it_was_copied_from_nothing_runs(
    path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = snapshots._copy

    def damaged(source: sqlite3.Connection, target: Path, stop: StopRequest) -> None:
        copied(source, target, stop)
        with target.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * 4096)

    monkeypatch.setattr(snapshots, "_copy", damaged)
    refuses(path, pack)


def test_when_it_can_not_be_put_on_disk_nothing_runs(path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left on device" in str(refuses(path, pack))


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="there is no limit of this kind")
def test_when_the_disk_has_no_room_for_it_nothing_runs(tmp_path: Path, pack: MigrationPack) -> None:
    import resource
    import signal

    path = tmp_path / "homie_p.db"
    run_sql(path, "CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(2000000));")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        error = refuses_under_limit(path, pack)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert isinstance(error, SnapshotFailed)
    assert tables(path) == {"t"}
    assert not (tmp_path / "backups").exists()


def refuses_under_limit(path: Path, pack: MigrationPack) -> BaseException | None:
    try:
        MigrationRunner(path, [pack]).apply()
    except SnapshotFailed as error:
        return error
    return None


def test_a_stop_while_it_is_taken_leaves_nothing(path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch) -> None:
    run_sql(path, "INSERT INTO t VALUES (zeroblob(30000000));")
    before, asked = fingerprint(path.parent), []

    def taking(*arguments: object) -> Path:
        asked.append(True)
        return taken(*arguments)

    def finished(*_: object) -> None:
        raise AssertionError("the copy went on to its end")

    taken = snapshots.take_snapshot
    monkeypatch.setattr(snapshots, "take_snapshot", taking)
    monkeypatch.setattr(snapshots, "_check", finished)
    with pytest.raises(RunStopped):
        MigrationRunner(path, [pack], should_stop=lambda: bool(asked)).apply()
    assert {name: digest for name, digest in fingerprint(path.parent).items() if "-" not in name} == {
        name: digest for name, digest in before.items() if "-" not in name
    }
    assert not (path.parent / "backups").exists()


def test_a_folder_that_another_failed_run_takes_away_is_made_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Path.mkdir

    def made_and_gone(self: Path, *arguments: object, **options: object) -> None:
        made(self, *arguments, **options)
        monkeypatch.undo()
        self.rmdir()

    monkeypatch.setattr(Path, "mkdir", made_and_gone)
    assert content(take(path)) == content(path)
