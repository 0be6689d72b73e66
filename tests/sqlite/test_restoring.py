"""Restoring a snapshot: which databases and which snapshots will do."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest
from helpers import fingerprint, query, run_sql, snapshot_folder
from sqlite import restore_helpers
from sqlite.restore_helpers import (
    CHANGES,
    SCHEMA,
    InAnotherProcess,
    InThisProcess,
    begun,
    content,
    database,
    in_backups,
    journal_mode,
)

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.errors import (
    HomieMigrationsError,
    LockTimeout,
    NotADatabase,
    SnapshotUnusable,
)
from homie_migrations_core.progress import hearing_phases
from homie_migrations_core.sqlite import examining, restoring, snapshots

# The fixtures of this module
pack, path = restore_helpers.pack, restore_helpers.path


# --- shapes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("taken_in", ["delete", "wal"])
@pytest.mark.parametrize("back_up", [True, False], ids=["", "no backup"])
def test_the_database_keeps_its_journal_mode(tmp_path: Path, pack: MigrationPack, mode: str, taken_in: str, back_up: bool) -> None:
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
def test_a_tiny_snapshot_is_restored_and_undone(tmp_path: Path, pack: MigrationPack, mode: str, taken_in: str, tiny: str) -> None:
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
def test_the_wal_beside_a_snapshot_is_restored_too(tmp_path: Path, pack: MigrationPack, mode: str) -> None:
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
def test_a_file_that_is_not_a_database_is_refused_and_unchanged(tmp_path: Path, pack: MigrationPack, back_up: bool) -> None:
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
    assert restored.snapshot.parent == snapshot_folder(path)


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
def test_an_unusable_snapshot_is_refused_with_a_reason_and_nothing_is_changed(
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


def test_a_refused_snapshot_leaves_nothing_beside_the_database_whose_rows_are_being_counted(
    tmp_path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last connection takes away what SQLite made beside the file, and one that only reads could not."""
    path, source = database(tmp_path / "data" / "homie_p.db", "wal"), database(tmp_path / "source.db", "wal")
    damaged(source, path)
    files, count_rows = fingerprint(tmp_path), examining.count_rows

    def count_slowly(connection, *arguments):
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        time.sleep(0.2)
        return count_rows(connection, *arguments)

    monkeypatch.setattr(examining, "count_rows", count_slowly)
    with pytest.raises(SnapshotUnusable):
        MigrationRunner(path, [pack]).restore(source)
    assert fingerprint(tmp_path) == files


def test_a_snapshot_that_another_connection_writes_to_is_refused(tmp_path: Path, pack: MigrationPack) -> None:
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
def test_existing_row_problems_and_application_functions_do_not_prevent_it(path: Path, pack: MigrationPack, flaw: str) -> None:
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


def test_the_last_snapshot_of_a_crash_loop_can_be_restored_and_stays(path: Path, pack: MigrationPack) -> None:
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
def test_a_concurrent_backup_does_not_disturb_a_restore(
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
