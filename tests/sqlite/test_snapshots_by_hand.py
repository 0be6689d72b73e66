"""Snapshots taken by hand, the list of all, and whose a snapshot is."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections import namedtuple
from pathlib import Path

import pytest
from helpers import fingerprint, query, recorded, run_sql, snapshot_folder
from sqlite import snapshot_helpers
from sqlite.snapshot_helpers import at, backups, content, take

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.errors import (
    DatabaseNotReachable,
    DatabaseUnusable,
    FolderUnusable,
    LockTimeout,
    RunStopped,
    SnapshotFailed,
)
from homie_migrations_core.model import Record
from homie_migrations_core.progress import hearing_phases
from homie_migrations_core.sqlite import snapshots
from homie_migrations_core.stopping import StopRequest

# The fixtures of this module
pack, path = snapshot_helpers.pack, snapshot_helpers.path


# --- by hand ----------------------------------------------------------------------------------------------


def test_backup_leaves_a_snapshot_that_no_run_prunes(path: Path, pack: MigrationPack) -> None:
    before = content(path)
    runner = MigrationRunner(path, [pack])
    snapshot = runner.backup()
    assert (snapshot.parent, runner.snapshot) == (snapshot_folder(path), snapshot)
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


def test_backup_includes_the_wal_and_works_beside_readers(tmp_path: Path, pack: MigrationPack) -> None:
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


def test_backups_of_other_databases_and_other_files_are_not_listed(path: Path, pack: MigrationPack) -> None:
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
        (snapshot_folder(path) / name).write_bytes(b"")
    assert [each.path for each in MigrationRunner(path, [pack]).backups()] == [own]


def test_backups_of_a_name_that_only_looks_like_a_time_do_not_hide_the_others(path: Path, pack: MigrationPack) -> None:
    own = take(path)
    (snapshot_folder(path) / "homie_p.20259999T999999.000000Z.untracked.db").write_bytes(b"")
    assert [each.path for each in MigrationRunner(path, [pack]).backups()] == [own]


def test_backups_are_listed_after_their_database_is_gone(path: Path, pack: MigrationPack) -> None:
    own = take(path)
    assert MigrationRunner(path, [pack]).backups()[0].path == own
    for each in path.parent.glob("homie_p.db*"):
        each.unlink()
    assert [each.path for each in MigrationRunner(path, [pack]).backups()] == [own]
    assert sorted(each.name for each in path.parent.iterdir()) == ["backups"]


def test_without_a_folder_there_are_no_backups_and_none_is_created(path: Path, pack: MigrationPack) -> None:
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


def test_an_unreadable_folder_of_snapshots_is_an_error_with_a_reason(
    path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = MigrationRunner(path, [pack])
    runner.backup()

    def locked(_: object) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", locked)
    with pytest.raises(FolderUnusable, match="snapshots can't be read"):
        runner.backups()


def test_a_snapshot_of_a_damaged_database_is_kept_with_a_warning(
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


def test_repeated_restores_do_not_pile_up_snapshots(path: Path, pack: MigrationPack) -> None:
    runner = MigrationRunner(path, [pack])
    runner.apply()
    (first,) = runner.backups()
    for _ in range(8):
        runner.restore(first.path)
    left = [snapshot.path for snapshot in runner.backups()]
    assert first.path in left
    assert len(left) == 6


@pytest.mark.parametrize("name", [":memory:", ""])
def test_a_path_that_can_not_name_a_file_is_refused(pack: MigrationPack, name: str) -> None:
    with pytest.raises(DatabaseNotReachable, match="not the name of a file"):
        MigrationRunner(name, [pack])
