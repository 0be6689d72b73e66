"""A restore that fails: what is reported, and what is left."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import run_sql
from sqlite import restore_helpers
from sqlite.restore_helpers import (
    CHANGES,
    InThisProcess,
    content,
    database,
    in_backups,
)

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.errors import (
    CommitUnconfirmed,
    DatabaseReplaced,
    DatabaseUnusable,
    HomieMigrationsError,
    RunStopped,
    SnapshotFailed,
)
from homie_migrations_core.progress import hearing_phases
from homie_migrations_core.sqlite import restoring

# The fixtures of this module
pack, path = restore_helpers.pack, restore_helpers.path


# --- stops, and what can't be done ----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["stop", "Ctrl-C"])
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_stop_at_any_moment_leaves_the_state_before_or_a_reported_restore(
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


def test_without_room_for_the_copy_that_it_needs_meanwhile_it_says_so(
    tmp_path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot in WAL mode is copied first, so that a database in another mode keeps that."""
    path, source = (
        database(tmp_path / "data" / "homie_p.db", "delete"),
        database(tmp_path / "source.db", "wal", "CREATE TABLE o (a);"),
    )
    before = content(path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("usage", "total used free")(1, 1, 0))
    with pytest.raises(HomieMigrationsError) as refused:
        MigrationRunner(path, [pack], backup=False).restore(source)
    assert "are free" in str(refused.value)
    assert content(path) == before
    assert in_backups(path) == []


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="there is no limit of this kind")
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_full_disk_is_reported_and_nothing_is_changed(tmp_path: Path, pack: MigrationPack, mode: str) -> None:
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


def test_tables_of_another_tool_can_be_kept_and_restored(path: Path, pack: MigrationPack) -> None:
    run_sql(path, "CREATE TABLE schema_migrations (version TEXT); INSERT INTO schema_migrations VALUES ('2024')")
    before, runner = content(path), MigrationRunner(path, [pack])
    snapshot = runner.backup()
    run_sql(path, CHANGES)
    assert runner.restore(snapshot).pending_again == ()
    assert content(path) == before


# --- what an error reports ------------------------------------------------------------------------------


def failing_at(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    """As if the disk failed when that share of the pages is copied; at 1 the copy has been committed."""

    def fail(_what: str, done: int | None = None, total: int | None = None) -> None:
        if done is not None and total and done >= share * total:
            raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(restoring, "PAGES_A_STEP", 1)
    monkeypatch.setattr(restoring, "tell_phase", fail)


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_an_error_before_the_commit_reports_that_nothing_was_done(
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
def test_an_error_after_the_commit_is_logged_and_the_database_is_reported_as_restored(
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
def test_an_error_after_which_the_file_can_not_be_read_is_reported_as_unknown(
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
def test_a_database_that_is_removed_or_replaced_meanwhile_is_not_reported_as_restored(
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
