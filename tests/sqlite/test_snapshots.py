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
from pathlib import Path

import pytest
from helpers import python_migration, query, recorded, run_sql, snapshot_folder, tables, write_pack
from sqlite import snapshot_helpers
from sqlite.snapshot_helpers import FAILS, backups, content, of_kind, take

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.errors import CommitUnconfirmed, MigrationFailed, RunStopped
from homie_migrations_core.sqlite.writer import CommitFailed, Writer

# The fixtures of this module
pack, path = snapshot_helpers.pack, snapshot_helpers.path


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
                done.wait(0.002)  # otherwise no other connection finds the file unlocked
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
    """A step that breaks a key and has outgrown SQLite's cache is undone, to look at the state before it, and started again."""
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
def test_it_is_beside_the_file_itself_when_a_link_is_used(path: Path, pack: MigrationPack, tmp_path: Path) -> None:
    link = tmp_path / "homie_p.db"
    link.symlink_to(path)
    MigrationRunner(link, [pack]).apply()
    assert len(backups(path)) == 1
    assert not (tmp_path / "backups").exists()


@pytest.mark.parametrize("name", ["homie_p 'x'.db", "päck#1?%41.db", "no_ending", ".hidden.db", "a.b.c"])
def test_a_database_with_any_file_name_gets_a_snapshot(tmp_path: Path, pack: MigrationPack, name: str) -> None:
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
    snapshot_folder(path).mkdir(parents=True)
    (snapshot_folder(path) / "mine.db").write_bytes(b"mine")
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

    def unknown(*_: object, **__: object) -> bool:
        raise CommitUnconfirmed(str(path), "p:001_one", "disk I/O error")

    monkeypatch.setattr(Writer, "commit", commit_in_the_dark)
    monkeypatch.setattr("homie_migrations_core.running.execution.took_effect", unknown)
    with pytest.raises(CommitUnconfirmed):
        MigrationRunner(path, [pack]).apply()
    assert len(backups(path)) == 1


def test_of_the_automatic_ones_the_newest_five_stay_and_those_made_by_hand_are_untouched(path: Path, pack: MigrationPack) -> None:
    old = [take(path, minute=minute) for minute in range(7)]
    by_hand = [
        snapshot_folder(path) / name for name in ("homie_p.db", "homie_p.before-the-move.db", "homie_p.20250101T000000.000000Z.db")
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
def test_the_snapshots_of_a_database_with_a_similar_name_are_not_pruned(path: Path, pack: MigrationPack, neighbour: str) -> None:
    other = path.with_name(neighbour)
    run_sql(other, "CREATE TABLE neighbours (a);")
    others = {take(other, minute=minute) for minute in range(6)}
    for minute in range(6):
        take(path, minute=minute)
    MigrationRunner(path, [pack]).apply()
    assert set(backups(other)) == others
    assert len(backups(path)) == 5


def test_what_a_killed_run_left_half_copied_goes_with_the_next_snapshot(path: Path, pack: MigrationPack) -> None:
    snapshot_folder(path).mkdir(parents=True)
    half = snapshot_folder(path) / "homie_p.20250101T000000.000000Z.p-1.auto.db.tmp"
    mine = snapshot_folder(path) / "mine.tmp"
    for each in (half, mine):
        each.write_bytes(b"half")
    MigrationRunner(path, [pack]).apply()
    assert not half.exists()
    assert mine.exists()


# --- what a killed run leaves -----------------------------------------------------------------------------


NOTES = """
from pathlib import Path
with open({notes!r}, "a") as notes:
    print({version}, *sorted(each.name.partition("Z.")[2] for each in Path({folder!r}).iterdir()), file=notes)
conn.execute("CREATE TABLE t{version} (a)")
"""


def test_it_counts_from_the_first_commit_on_and_its_name_says_so(path: Path, tmp_path: Path) -> None:
    notes, folder = tmp_path / "notes", str(snapshot_folder(path))
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


def test_the_snapshot_of_a_damaged_database_removes_no_older_one(path: Path) -> None:
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
