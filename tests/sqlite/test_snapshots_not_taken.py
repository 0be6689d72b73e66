"""What runs when a snapshot can't be taken, and what is no reason not to take one."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import threading
from collections import namedtuple
from pathlib import Path

import pytest
from helpers import creates, query, run_sql, snapshot_folder, tables, write_pack
from sqlite import snapshot_helpers
from sqlite.snapshot_helpers import backups, content, take

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.errors import RunStopped, SnapshotFailed
from homie_migrations_core.sqlite import copying, snapshots
from homie_migrations_core.stopping import StopRequest

# The fixtures of this module
pack, path = snapshot_helpers.pack, snapshot_helpers.path


# --- when it can't be taken -----------------------------------------------------------------------------


def refuses(path: Path, pack: MigrationPack) -> SnapshotFailed:
    """The run is refused, nothing ran, nothing changed, and nothing is left of the attempt."""
    before, files = content(path), sorted(path.parent.rglob("*"))
    with pytest.raises(SnapshotFailed) as failed:
        MigrationRunner(path, [pack]).apply()
    assert content(path) == before
    assert sorted(path.parent.rglob("*")) == files
    return failed.value


@pytest.mark.parametrize("whose", ["its own", "that of all"])
def test_where_a_file_has_the_name_of_its_folder_nothing_runs(path: Path, pack: MigrationPack, whose: str) -> None:
    taken = snapshot_folder(path) if whose == "its own" else snapshot_folder(path).parent
    taken.parent.mkdir(exist_ok=True)
    taken.write_bytes(b"a file, not a folder")
    assert "--no-backup" in str(refuses(path, pack))
    assert taken.read_bytes() == b"a file, not a folder"


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


# --- what is no damage --------------------------------------------------------------------------------------

OLD_FLAWS = {
    "CHECK": "CREATE TABLE s (a CHECK (a > 0)); PRAGMA ignore_check_constraints=ON; INSERT INTO s VALUES (-1);",
    "NOT NULL": """CREATE TABLE s (a); INSERT INTO s VALUES (NULL); PRAGMA writable_schema=ON;
        UPDATE sqlite_schema SET sql = 'CREATE TABLE s (a NOT NULL)' WHERE name = 's';""",
    "foreign key": "CREATE TABLE s (a REFERENCES missing (b)); INSERT INTO s VALUES (1);",
    "view": "CREATE VIEW v AS SELECT * FROM gone;",
}


@pytest.mark.parametrize("flaw", OLD_FLAWS)
def test_invalid_rows_and_broken_views_are_copied_and_not_reported_as_damage(path: Path, pack: MigrationPack, flaw: str) -> None:
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
    assert asked == [snapshot_folder(path)]  # which may be on another disk than the database


@pytest.mark.skipif(os.name == "nt", reason="there is no handle for a folder")
@pytest.mark.parametrize("there", [True, False], ids=["folder is there", "folder is made"])
def test_file_name_and_folder_are_on_disk_before_the_first_migration_begins(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    folder = snapshot_folder(path)
    if there:
        folder.parent.mkdir()
    events: list[str] = []
    sync, replace = os.fsync, os.replace

    def recorded_sync(descriptor: int) -> None:
        sync(descriptor)
        synced = os.fstat(descriptor)
        known = {
            "folder": folder,
            "backups": folder.parent,
            "parent": path.parent,
            **{each.name.partition("Z.")[2]: each for each in folder.iterdir()},
        }
        events.extend(f"sync {name}" for name, each in known.items() if os.path.samestat(each.stat(), synced))

    def recorded_replace(source: str, target: str) -> None:
        replace(source, target)
        events.append(f"name {Path(target).name.partition('Z.')[2]}")

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
        "sync backups",
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
    monkeypatch.setattr(copying, "SMALL", 0)

    def endless(connection: sqlite3.Connection) -> str:
        reached.set()
        try:
            connection.execute("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n").fetchall()
        except sqlite3.OperationalError as error:
            return str(error)
        raise AssertionError("it ended by itself")

    monkeypatch.setattr(copying, "find_damage", endless)


def during_the_check_of_a_small_copy(monkeypatch: pytest.MonkeyPatch, reached: threading.Event) -> None:
    """The run's own thread does that, because it is short, and stops at its end."""
    find_damage, thread = copying.find_damage, threading.current_thread()

    def reaching(connection: sqlite3.Connection) -> str:
        assert threading.current_thread() is thread
        reached.set()
        return find_damage(connection)

    monkeypatch.setattr(copying, "find_damage", reaching)


def during_the_sync(monkeypatch: pytest.MonkeyPatch, reached: threading.Event) -> None:
    monkeypatch.setattr(copying, "SMALL", 0)
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
@pytest.mark.parametrize("moment", [during_the_copy, during_the_check, during_the_check_of_a_small_copy, during_the_sync])
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
