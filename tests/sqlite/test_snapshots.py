"""When a snapshot is taken, what is in it, and what becomes of it."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections import namedtuple
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from helpers import creates, fingerprint, python_migration, query, recorded, run_sql, tables, write_pack

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.errors import (
    CommitUnconfirmed,
    DatabaseNotReachable,
    DatabaseUnusable,
    FolderUnusable,
    LockTimeout,
    MigrationFailed,
    RunStopped,
    SnapshotFailed,
)
from homie_migrations_core.model import Record
from homie_migrations_core.progress import hearing_phases
from homie_migrations_core.sqlite import copying, snapshots
from homie_migrations_core.sqlite.writer import CommitFailed, Writer
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


def at(minute: int) -> datetime:
    """That many minutes after a certain time."""
    return datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)


def take(path: Path, *, minute: int = 0, kept: bool = True, records: tuple[Record, ...] = ()) -> Path:
    """A snapshot, as a run takes it, which is killed before its first commit unless it is `kept`."""
    keeper = snapshots.Keeper(str(path), StopRequest(), lambda: at(minute))
    keeper.take(records)
    if kept:
        keeper.keep()
    assert keeper.snapshot is not None
    return keeper.snapshot


def of_kind(path: Path, ending: str) -> list[Path]:
    return [each for each in backups(path) if each.name.endswith(ending)]


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
                done.wait(0.002)  # or nobody else ever finds the file unlocked
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
    monkeypatch.setattr("homie_migrations_core.running.execution.Execution._took_effect", nobody_knows)
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
    copied = copying.copy_database

    def damaged(source: sqlite3.Connection, target: Path, stop: StopRequest, doing: str) -> None:
        copied(source, target, stop, doing)
        with target.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * 4096)

    monkeypatch.setattr(snapshots, "copy_database", damaged)
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


def test_a_folder_that_another_failed_run_takes_away_is_made_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Path.mkdir

    def made_and_gone(self: Path, *arguments: object, **options: object) -> None:
        made(self, *arguments, **options)
        monkeypatch.undo()
        self.rmdir()

    monkeypatch.setattr(Path, "mkdir", made_and_gone)
    assert content(take(path)) == content(path)


# --- what a killed run leaves -----------------------------------------------------------------------------


NOTES = """
from pathlib import Path
with open({notes!r}, "a") as notes:
    print({version}, *sorted(each.name.partition("Z.")[2] for each in Path({folder!r}).iterdir()), file=notes)
conn.execute("CREATE TABLE t{version} (a)")
"""


def test_it_counts_from_the_first_commit_on_and_its_name_says_so(path: Path, tmp_path: Path) -> None:
    notes, folder = tmp_path / "notes", str(path.parent / "backups")
    files = {
        f"00{version}_notes.py": python_migration(version, NOTES.format(notes=str(notes), folder=folder, version=version))
        for version in (1, 2)
    }
    MigrationRunner(path, [write_pack(tmp_path / "pack", "p", files)]).apply()
    assert notes.read_text().splitlines() == ["1 untracked.begun.db", "2 untracked.auto.db"]
    assert [each.name.partition("Z.")[2] for each in backups(path)] == ["untracked.auto.db"]


def test_a_run_of_one_transaction_that_fails_at_its_end_removes_it(path: Path, pack: MigrationPack) -> None:
    write_pack(Path(pack.migrations), "p", {"009_fails.py": FAILS})
    with pytest.raises(MigrationFailed):
        MigrationRunner(path, [pack]).apply(all_or_nothing=True)
    assert backups(path) == []


KILLS_ITSELF = """
import os
from pathlib import Path
conn.execute("INSERT INTO t VALUES ('never committed')")
if Path({lethal!r}).exists():
    os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal")
@pytest.mark.parametrize("kills", [1, 4])
def test_a_series_of_killed_runs_leaves_the_first_and_the_last_of_its_snapshots_and_loses_no_older_one(
    path: Path, tmp_path: Path, kills: int
) -> None:
    old = [take(path, minute=minute) for minute in range(7)]
    before, lethal = content(path), tmp_path / "lethal"
    lethal.touch()
    pack = write_pack(tmp_path / "pack", "p", {"001_kills.py": python_migration(1, KILLS_ITSELF.format(lethal=str(lethal)))})
    run = (
        "import sys; from pathlib import Path; from homie_migrations_core import MigrationPack, MigrationRunner; "
        "MigrationRunner(sys.argv[1], [MigrationPack('p', Path(sys.argv[2]))]).apply()"
    )
    newest = []
    for _ in range(kills):
        ended = subprocess.run([sys.executable, "-c", run, str(path), str(pack.migrations)], check=False, capture_output=True)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        newest.append(of_kind(path, ".begun.db")[-1])
        assert of_kind(path, ".begun.db") == sorted({newest[0], newest[-1]})
        assert of_kind(path, ".auto.db") == old
    assert [content(each) for each in of_kind(path, ".begun.db")] == [before] * min(kills, 2)

    lethal.unlink()
    MigrationRunner(path, [pack]).apply()

    (new,) = set(backups(path)) - {*old, *newest}
    assert new.name.endswith(".auto.db")
    assert backups(path) == [*old[-3:], newest[0], new]
    assert content(new) == before


def test_a_third_one_pushes_out_the_second_but_never_one_that_counts(path: Path) -> None:
    first, counts = take(path, minute=0, kept=False), take(path, minute=1)
    take(path, minute=2, kept=False)
    third = take(path, minute=3, kept=False)
    assert backups(path) == [first, counts, third]


def test_the_snapshot_of_a_damaged_database_pushes_none_out(path: Path) -> None:
    sound = [take(path, minute=minute, kept=False) for minute in range(2)]
    root = query(path, "SELECT rootpage FROM sqlite_schema WHERE name = 't'")[0][0]
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 100)
    damaged = [take(path, minute=minute, kept=False) for minute in (2, 3)]
    assert backups(path) == [*sound, *damaged]


def test_a_clock_that_went_back_does_not_make_a_run_prune_its_own(path: Path, pack: MigrationPack) -> None:
    future = [take(path, minute=60 * 24 * 365 * 200 + minute) for minute in range(6)]
    runner = MigrationRunner(path, [pack])
    runner.apply()
    own = set(backups(path)) - set(future)
    assert len(own) == 1
    assert own == {runner.snapshot}


# --- what is no damage --------------------------------------------------------------------------------------

OLD_FLAWS = {
    "CHECK": "CREATE TABLE s (a CHECK (a > 0)); PRAGMA ignore_check_constraints=ON; INSERT INTO s VALUES (-1);",
    "NOT NULL": """CREATE TABLE s (a); INSERT INTO s VALUES (NULL); PRAGMA writable_schema=ON;
        UPDATE sqlite_schema SET sql = 'CREATE TABLE s (a NOT NULL)' WHERE name = 's';""",
    "foreign key": "CREATE TABLE s (a REFERENCES missing (b)); INSERT INTO s VALUES (1);",
    "view": "CREATE VIEW v AS SELECT * FROM gone;",
}


@pytest.mark.parametrize("flaw", OLD_FLAWS)
def test_rows_and_views_that_were_wrong_before_are_copied_as_they_are_and_no_damage(
    path: Path, pack: MigrationPack, flaw: str
) -> None:
    run_sql(path, OLD_FLAWS[flaw])
    if flaw in ("CHECK", "NOT NULL"):  # what SQLite's own check says of it
        assert query(path, "PRAGMA quick_check") != [("ok",)]
    before = content(path)
    for minute in range(3):
        take(path, minute=minute, kept=False)
    assert len(backups(path)) == 2  # damage would have pushed none out
    MigrationRunner(path, [pack]).apply()
    assert content(backups(path)[-1]) == before


# --- room, disk, stops --------------------------------------------------------------------------------------


def test_with_too_little_free_space_nothing_is_even_begun(path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def nearly_full(folder: object) -> object:
        asked.append(Path(str(folder)))
        return namedtuple("usage", "total used free")(10**9, 10**9, 4095)

    monkeypatch.setattr(shutil, "disk_usage", nearly_full)
    found = str(refuses(path, pack))
    assert "are free" in found
    assert asked == [path.parent / "backups"]  # which may be on another disk than the database


@pytest.mark.skipif(os.name == "nt", reason="there is no handle for a folder")
@pytest.mark.parametrize("there", [True, False], ids=["folder is there", "folder is made"])
def test_file_name_and_folder_are_on_disk_before_the_first_migration_begins(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    folder = path.parent / "backups"
    if there:
        folder.mkdir()
    events: list[str] = []
    sync, replace = os.fsync, os.replace

    def recorded_sync(descriptor: int) -> None:
        sync(descriptor)
        synced = os.fstat(descriptor)
        known = {"folder": folder, "parent": path.parent, **{each.name.partition("Z.")[2]: each for each in folder.iterdir()}}
        events.extend(f"sync {name}" for name, each in known.items() if os.path.samestat(each.stat(), synced))

    def recorded_replace(source: Path, target: Path) -> None:
        replace(source, target)
        events.append(f"name {target.name.partition('Z.')[2]}")

    class Observer:
        from homie_migrations_core import hookimpl

        @hookimpl
        def homie_step_started(self, run: object, step: object) -> None:
            events.append("step")

        @hookimpl
        def homie_step_finished(self, run: object, step: object) -> None:
            events.append("committed")

    monkeypatch.setattr(os, "fsync", recorded_sync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    pack = write_pack(tmp_path / "pack", "p", {"001_one.py": creates(1, "one")})
    MigrationRunner(path, [pack], observers=[Observer()]).apply()
    assert events == [
        "sync untracked.begun.db.tmp",
        "name untracked.begun.db",
        "sync folder",
        *([] if there else ["sync parent"]),
        "step",
        "name untracked.auto.db",
        "sync folder",
        "committed",
    ]


def during_the_copy(monkeypatch: pytest.MonkeyPatch, reached: threading.Event) -> None:
    monkeypatch.setattr(copying, "PAGES_A_STEP", 1)
    monkeypatch.setattr(copying, "tell_phase", lambda *_: reached.set())

    def finished(*_: object) -> bool:
        raise AssertionError("the copy went on to its end")

    monkeypatch.setattr(snapshots, "sync_and_check", finished)


def during_the_check(monkeypatch: pytest.MonkeyPatch, reached: threading.Event) -> None:
    def endless(connection: sqlite3.Connection) -> str:
        reached.set()
        try:
            connection.execute("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n").fetchall()
        except sqlite3.OperationalError as error:
            return str(error)
        raise AssertionError("it ended by itself")

    monkeypatch.setattr(copying, "find_damage", endless)


def during_the_sync(monkeypatch: pytest.MonkeyPatch, reached: threading.Event) -> None:
    over, main = threading.Event(), threading.current_thread()

    def slow(_: int) -> None:
        if threading.current_thread() is main:
            raise AssertionError("the sync of the file was not waited for")
        reached.set()
        over.wait(60)

    monkeypatch.setattr(os, "fsync", slow)
    undo = monkeypatch.undo
    monkeypatch.setattr(monkeypatch, "undo", lambda: (over.set(), undo()))


@pytest.mark.parametrize("how", ["stop", "Ctrl-C"])
@pytest.mark.parametrize("moment", [during_the_copy, during_the_check, during_the_sync])
def test_a_stop_or_ctrl_c_while_it_is_taken_ends_the_run_and_leaves_nothing(
    path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch, moment, how: str
) -> None:
    before, reached = content(path), threading.Event()

    def asked() -> bool:
        if reached.is_set() and how == "Ctrl-C":
            raise KeyboardInterrupt
        return reached.is_set()

    with monkeypatch.context() as patched:
        moment(patched, reached)
        with pytest.raises(RunStopped if how == "stop" else KeyboardInterrupt):
            MigrationRunner(path, [pack], should_stop=asked).apply()
    assert reached.is_set()
    assert not (path.parent / "backups").exists()
    assert content(path) == before


# --- by hand ----------------------------------------------------------------------------------------------


def test_backup_leaves_a_snapshot_that_no_run_prunes(path: Path, pack: MigrationPack) -> None:
    before = content(path)
    runner = MigrationRunner(path, [pack])
    snapshot = runner.backup()
    assert (snapshot.parent, runner.snapshot) == (path.parent / "backups", snapshot)
    assert content(snapshot) == before == content(path)
    for minute in range(7):
        take(path, minute=60 * 24 * 365 * 200 + minute)  # all of them newer
    runner.apply()
    assert snapshot in backups(path)
    assert not snapshot.name.endswith((".auto.db", ".begun.db"))


def test_backup_never_prunes(path: Path, pack: MigrationPack) -> None:
    old = [*(take(path, minute=minute) for minute in range(7)), *(take(path, minute=minute, kept=False) for minute in (7, 8))]
    runner = MigrationRunner(path, [pack])
    by_hand = [runner.backup() for _ in range(7)]
    assert set(backups(path)) == {*old, *by_hand}


def test_backup_is_made_of_an_up_to_date_database_and_names_what_is_applied(path: Path, pack: MigrationPack) -> None:
    runner = MigrationRunner(path, [pack], backup=False)
    runner.apply()
    assert runner.backup().name.endswith(".p-2.db")


def test_backup_of_no_file_is_refused_and_makes_none(tmp_path: Path, pack: MigrationPack) -> None:
    with pytest.raises(DatabaseUnusable) as refused:
        MigrationRunner(tmp_path / "homie_p.db", [pack]).backup()
    assert "there is no such file" in str(refused.value)
    assert [each.name for each in tmp_path.iterdir()] == ["pack"]


def test_backup_holds_what_is_only_in_the_wal_yet_and_works_beside_readers(tmp_path: Path, pack: MigrationPack) -> None:
    path = tmp_path / "homie_p.db"
    application, reader = (sqlite3.connect(path, isolation_level=None) for _ in range(2))
    try:
        application.executescript(
            "PRAGMA journal_mode=wal; PRAGMA wal_autocheckpoint=0; CREATE TABLE t (a); INSERT INTO t VALUES (1);"
        )
        rows = reader.execute("SELECT a FROM t UNION ALL SELECT 2")
        assert rows.fetchone() == (1,)
        application.execute("INSERT INTO t VALUES (3)")
        snapshot = MigrationRunner(path, [pack]).backup()
        assert rows.fetchall() == [(2,)]
    finally:
        application.close()
        reader.close()
    assert query(snapshot, "SELECT a FROM t") == [(1,), (3,)]


def test_backup_works_beside_a_reader_in_the_middle_of_its_select(path: Path, pack: MigrationPack) -> None:
    reader = sqlite3.connect(path, isolation_level=None)
    try:
        rows = reader.execute("SELECT a FROM t")
        assert rows.fetchone() == (1,)
        snapshot = MigrationRunner(path, [pack], lock_timeout=0.0).backup()
        assert rows.fetchall() == [(2,), (3,)]
    finally:
        reader.close()
    assert query(snapshot, "SELECT a FROM t") == [(1,), (2,), (3,)]


def test_backup_waits_for_a_writer_and_holds_what_that_one_wrote(path: Path, pack: MigrationPack) -> None:
    """What it is called is what was recorded when it was taken, not when the waiting began."""
    MigrationRunner(path, [pack], backup=False).apply(to="p:1")
    writer = sqlite3.connect(path, isolation_level=None)
    waited = []

    def heard(what: str, *_: object) -> None:
        if what.startswith("waiting") and not waited:
            waited.append(what)
            writer.execute("COMMIT")

    try:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO t VALUES ('last')")
        writer.execute("INSERT INTO schema_migrations (pack, version, migration_name) VALUES ('p', 2, '002_two')")
        with hearing_phases(heard):
            snapshot = MigrationRunner(path, [pack]).backup()
    finally:
        writer.close()
    assert waited
    assert query(snapshot, "SELECT a FROM t WHERE a = 'last'") == [("last",)]
    assert recorded(snapshot) == ["p:001_one", "p:002_two"]
    assert snapshot.name.endswith(".p-2.db")


def test_backup_gives_up_on_a_writer_that_does_not_end_and_leaves_nothing(path: Path, pack: MigrationPack) -> None:
    writer = sqlite3.connect(path, isolation_level=None)
    try:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(LockTimeout):
            MigrationRunner(path, [pack], lock_timeout=0.0).backup()
    finally:
        writer.close()
    assert not (path.parent / "backups").exists()


def test_backup_without_room_leaves_nothing(path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("usage", "total used free")(1, 1, 0))
    with pytest.raises(SnapshotFailed):
        MigrationRunner(path, [pack]).backup()
    assert not (path.parent / "backups").exists()


def test_backup_that_is_stopped_while_it_waits_leaves_nothing(path: Path, pack: MigrationPack) -> None:
    writer, waiting = sqlite3.connect(path, isolation_level=None), []
    try:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(RunStopped), hearing_phases(lambda what, *_: waiting.append(what)):
            MigrationRunner(path, [pack], should_stop=lambda: bool(waiting)).backup()
    finally:
        writer.close()
    assert not (path.parent / "backups").exists()


# --- the list ---------------------------------------------------------------------------------------------


def test_backups_are_listed_newest_first_with_their_kind_size_and_what_was_applied(path: Path, pack: MigrationPack) -> None:
    applied = (Record(3, "003_x", "a"), Record(2, "002_x", "a"), Record(1, "001_y", "b"))
    take(path, minute=2)
    take(path, minute=1, kept=False)
    take(path, minute=4, records=applied)
    by_hand = snapshots.take_by_hand(str(path), applied[:1], at(3), StopRequest())
    by_hand.write_bytes(b"nobody opens it")
    found = MigrationRunner(path, [pack]).backups()
    assert [(each.taken_at, each.kind, each.applied) for each in found] == [
        (at(4), "automatic", "a-3, b-1"),
        (at(3), "by_hand", "a-3"),
        (at(2), "automatic", "untracked"),
        (at(1), "begun", "untracked"),
    ]
    assert [each.size for each in found] == [each.path.stat().st_size for each in found]
    assert found[1].size == len(b"nobody opens it")


def test_backups_of_a_neighbour_and_files_of_strangers_are_not_among_them(path: Path, pack: MigrationPack) -> None:
    own = take(path)
    stem = own.name.removesuffix(".untracked.auto.db")
    for other in ("homie_p.more.db", "homie_p.sqlite", "homie_p.2.db", "homie_pp.db", "homie_.db", "p.db"):
        run_sql(path.with_name(other), "CREATE TABLE o (a);")
        assert [each.path for each in MigrationRunner(path.with_name(other), [pack]).backups()] == []
        theirs = take(path.with_name(other))
        assert [each.path for each in MigrationRunner(path.with_name(other), [pack]).backups()] == [theirs]
    for name in (
        "notes.txt",
        "homie_p.db",
        "homie_p.before.db",
        f"{stem}.untracked.auto.db.tmp",
        f"{own.name}-wal",
        f"x{own.name}",
    ):
        (path.parent / "backups" / name).write_bytes(b"")
    assert [each.path for each in MigrationRunner(path, [pack]).backups()] == [own]


def test_backups_of_a_name_that_only_looks_like_a_time_do_not_hide_the_others(path: Path, pack: MigrationPack) -> None:
    own = take(path)
    (path.parent / "backups" / "homie_p.20259999T999999.000000Z.untracked.db").write_bytes(b"")
    assert [each.path for each in MigrationRunner(path, [pack]).backups()] == [own]


def test_backups_are_listed_after_their_database_is_gone(path: Path, pack: MigrationPack) -> None:
    own = take(path)
    assert MigrationRunner(path, [pack]).backups()[0].path == own
    for each in path.parent.glob("homie_p.db*"):
        each.unlink()
    assert [each.path for each in MigrationRunner(path, [pack]).backups()] == [own]
    assert sorted(each.name for each in path.parent.iterdir()) == ["backups"]


def test_where_there_is_no_folder_there_are_no_backups_and_none_is_made(path: Path, pack: MigrationPack) -> None:
    before = fingerprint(path.parent)
    assert MigrationRunner(path, [pack]).backups() == []
    assert fingerprint(path.parent) == before


# --- whose it is ------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_databases_in_one_folder_keep_their_own_though_links_to_them_are_called_alike(tmp_path: Path, pack: MigrationPack) -> None:
    (tmp_path / "store").mkdir()
    paths = []
    for number, real in enumerate(["a.db", "b.db", "b"]):
        run_sql(tmp_path / "store" / real, f"CREATE TABLE mine (a); INSERT INTO mine VALUES ({number})")
        paths.append(tmp_path / str(number) / "homie_p.db")
        paths[-1].parent.mkdir()
        paths[-1].symlink_to(tmp_path / "store" / real)
        MigrationRunner(paths[-1], [pack]).backup()
    for number, path in enumerate(paths):
        (snapshot,) = MigrationRunner(path, [pack]).backups()
        assert query(snapshot.path, "SELECT a FROM mine") == [(number,)]
        assert MigrationRunner(path.resolve(), [pack]).backups() == [snapshot]


def test_the_snapshots_of_a_folder_that_can_not_be_read_are_no_surprise(
    path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = MigrationRunner(path, [pack])
    runner.backup()

    def locked(_: object) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", locked)
    with pytest.raises(FolderUnusable, match="backups can't be read"):
        runner.backups()


def test_a_damaged_database_is_kept_as_it_is_and_that_is_said(
    tmp_path: Path, pack: MigrationPack, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "data" / "homie_p.db"
    path.parent.mkdir()
    run_sql(
        path,
        "CREATE TABLE t (a); WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO t SELECT i FROM n",
    )
    content = bytearray(path.read_bytes())
    content[2 * 4096 : 3 * 4096] = b"x" * 4096
    path.write_bytes(content)
    snapshot = MigrationRunner(path, [pack]).backup()
    assert [record.getMessage() for record in caplog.records] == [
        f"SQLite finds {path} damaged. The snapshot is a copy of it as it is: {snapshot}"
    ]


def test_what_is_put_back_again_and_again_does_not_pile_up(path: Path, pack: MigrationPack) -> None:
    runner = MigrationRunner(path, [pack])
    runner.apply()
    (first,) = runner.backups()
    for _ in range(8):
        runner.restore(first.path)
    left = [snapshot.path for snapshot in runner.backups()]
    assert first.path in left
    assert len(left) == 6


@pytest.mark.parametrize("name", [":memory:", ""])
def test_what_is_no_name_of_a_file_is_refused(pack: MigrationPack, name: str) -> None:
    with pytest.raises(DatabaseNotReachable, match="not the name of a file"):
        MigrationRunner(name, [pack])
