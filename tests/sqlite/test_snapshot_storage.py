"""Where snapshots are kept, how many stay, and what is reported about the space that they take."""

from __future__ import annotations

import logging
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from helpers import creates, query, run_sql, tables, write_pack
from sqlite import snapshot_helpers
from sqlite.snapshot_helpers import FAILS, backups, content

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.errors import FolderUnusable, MigrationFailed, SnapshotFailed, UsageProblem
from homie_migrations_core.progress import hearing_phases
from homie_migrations_core.sqlite import copying
from homie_migrations_core.sqlite.snapshot_storage import SnapshotStorage

# The fixtures of this module
pack, path = snapshot_helpers.pack, snapshot_helpers.path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The folder that was chosen for snapshots."""
    place = tmp_path / "elsewhere"
    place.mkdir()
    return place


def apply_each(path: Path, pack: MigrationPack, **options: object) -> list[Path]:
    """The snapshots that one run for each migration took, of which some may be gone."""
    taken = []
    for version in (1, 2):
        runner = MigrationRunner(path, [pack], **options)  # type: ignore[arg-type]
        runner.apply(to=f"p:{version}")
        taken += [runner.snapshot] if runner.snapshot else []
    return taken


# --- another folder -------------------------------------------------------------------------------------


def test_a_snapshot_goes_into_a_folder_of_its_database_in_the_chosen_one(path: Path, pack: MigrationPack, place: Path) -> None:
    before = content(path)
    runner = MigrationRunner(path, [pack], backup_dir=place)
    runner.apply()
    assert runner.snapshot is not None
    assert content(runner.snapshot) == before
    assert runner.snapshot.parent.parent == place
    assert runner.snapshot.parent.name.startswith("homie_p.db-")
    assert backups(path) == []
    assert [each.path for each in runner.backups()] == [runner.snapshot]
    assert MigrationRunner(path, [pack]).backups() == []


def test_a_snapshot_by_hand_and_one_before_a_restore_go_there_too(path: Path, pack: MigrationPack, place: Path) -> None:
    runner = MigrationRunner(path, [pack], backup_dir=str(place))
    by_hand = runner.backup()
    runner.apply()
    restored = runner.restore(by_hand)
    assert restored.snapshot is not None
    assert {by_hand.parent, restored.snapshot.parent} == {Path(SnapshotStorage(str(place)).folder_of(str(path)).path)}
    assert "one" in tables(restored.snapshot)
    assert "one" not in tables(path)
    assert backups(path) == []


def test_one_before_a_change_of_records_goes_there_too(path: Path, pack: MigrationPack, place: Path) -> None:
    runner = MigrationRunner(path, [pack], backup_dir=place)
    runner.baseline("p", 1)
    assert runner.snapshot is not None
    assert runner.snapshot.parent.parent == place
    assert backups(path) == []


def test_databases_of_the_same_name_prune_their_own_snapshots_only(tmp_path: Path, pack: MigrationPack, place: Path) -> None:
    paths = [tmp_path / tenant / "homie_p.db" for tenant in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        run_sql(path, "CREATE TABLE t (a);")
    first = [apply_each(path, pack, backup_dir=place, keep=1) for path in paths]
    left = [[each.path for each in MigrationRunner(path, [pack], backup_dir=place).backups()] for path in paths]
    assert left == [[taken[-1]] for taken in first]
    assert left[0][0].parent != left[1][0].parent


def test_a_link_and_its_file_share_their_snapshots(path: Path, pack: MigrationPack, place: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    try:
        link.symlink_to(path)
    except OSError:
        pytest.skip("links need rights here")
    MigrationRunner(link, [pack], backup_dir=place).apply()
    assert len(MigrationRunner(path, [pack], backup_dir=place).backups()) == 1


def test_a_relative_folder_is_that_of_the_moment_when_the_runner_is_made(
    path: Path, pack: MigrationPack, place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    runner = MigrationRunner(path, [pack], backup_dir="elsewhere")
    monkeypatch.chdir(path.parent)
    runner.apply()
    assert runner.snapshot is not None
    assert runner.snapshot.parent.parent == place


@pytest.mark.parametrize("there", ["nothing", "a file"])
def test_without_the_chosen_folder_nothing_runs_and_none_is_made(
    path: Path, pack: MigrationPack, tmp_path: Path, there: str
) -> None:
    """A disk that is not mounted leaves no folder behind, and the snapshots must not go to another disk."""
    place = tmp_path / "not_mounted"
    if there == "a file":
        place.touch()
    before = content(path)
    runner = MigrationRunner(path, [pack], backup_dir=place)
    for change in (runner.apply, runner.backup, lambda: runner.baseline("p", 1)):
        with pytest.raises(FolderUnusable, match="does not exist" if there == "nothing" else "is not a folder"):
            change()
    assert content(path) == before
    assert not place.is_dir()


def test_a_folder_that_vanishes_before_the_snapshot_stops_the_run(
    path: Path, pack: MigrationPack, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, require = content(path), SnapshotStorage.require

    def unmounted(storage: SnapshotStorage) -> None:
        require(storage)
        if place.exists():
            place.rmdir()

    monkeypatch.setattr(SnapshotStorage, "require", unmounted)
    with pytest.raises(FolderUnusable):
        MigrationRunner(path, [pack], backup_dir=place).apply()
    assert content(path) == before
    assert not place.exists()


def test_the_folder_is_not_needed_where_no_snapshot_is_taken(path: Path, pack: MigrationPack, tmp_path: Path) -> None:
    assert len(MigrationRunner(path, [pack], backup=False, backup_dir=tmp_path / "none").apply()) == 2
    assert MigrationRunner(path, [pack], backup_dir=tmp_path / "none").apply() == []


def test_a_run_that_commits_nothing_leaves_nothing_there(path: Path, tmp_path: Path, place: Path) -> None:
    with pytest.raises(MigrationFailed):
        MigrationRunner(path, [write_pack(tmp_path / "failing", "p", {"009_fails.py": FAILS})], backup_dir=place).apply()
    assert list(place.iterdir()) == []


def test_when_it_can_not_be_written_there_the_message_names_that_folder(
    path: Path, pack: MigrationPack, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SnapshotFailed, match=f"give write access to {place}"):
        MigrationRunner(path, [pack], backup_dir=place).apply()
    assert list(place.iterdir()) == []


@pytest.mark.skipif(
    not (os.path.isdir("/dev/shm") and os.path.isdir("/var/tmp")), reason="there is no second file system to be sure of"
)
def test_the_folder_may_be_on_another_file_system(tmp_path: Path, pack: MigrationPack) -> None:
    import tempfile

    here = Path(tempfile.mkdtemp(dir="/var/tmp"))
    there = Path(tempfile.mkdtemp(dir="/dev/shm"))
    try:
        if os.stat(here).st_dev == os.stat(there).st_dev:
            pytest.skip("both are on one file system")
        path = here / "homie_p.db"
        run_sql(path, "CREATE TABLE t (a); INSERT INTO t VALUES (1);")
        runner = MigrationRunner(path, [pack], backup_dir=there)
        runner.apply()
        assert runner.snapshot is not None
        assert query(runner.snapshot, "SELECT a FROM t") == [(1,)]
        runner.restore(runner.snapshot)
        assert tables(path) == {"t"}
    finally:
        shutil.rmtree(here)
        shutil.rmtree(there)


@pytest.mark.parametrize(
    "name", ["x" * 251 + ".db", "päck" * 40 + ".db", ".hidden", "a b.db"], ids=["long", "umlauts", "hidden", "space"]
)
def test_any_file_name_makes_a_folder(tmp_path: Path, place: Path, name: str) -> None:
    folder = SnapshotStorage(str(place)).folder_of(str(tmp_path / name))
    assert folder.make() is False
    assert [each.name for each in place.iterdir()] == [Path(folder.path).name]


# --- how many stay ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("keep", "left"), [(0, 0), (1, 1), (2, 2), (9, 2)])
def test_the_newest_stay_after_a_success(path: Path, pack: MigrationPack, keep: int, left: int) -> None:
    taken = apply_each(path, pack, keep=keep)
    assert backups(path) == taken[len(taken) - left :]
    assert (taken == []) == (keep == 0)


def test_to_keep_none_removes_those_of_earlier_runs_but_none_that_was_taken_by_hand(path: Path, pack: MigrationPack) -> None:
    MigrationRunner(path, [pack]).apply(to="p:1")
    by_hand = MigrationRunner(path, [pack]).backup()
    assert len(backups(path)) == 2
    runner = MigrationRunner(path, [pack], keep=0)
    runner.apply()
    assert runner.snapshot is None
    assert backups(path) == [by_hand]


def test_to_keep_none_keeps_the_snapshot_of_a_run_that_failed_after_a_commit(path: Path, pack: MigrationPack) -> None:
    before = content(path)
    write_pack(Path(pack.migrations), "p", {"009_fails.py": FAILS})
    with pytest.raises(MigrationFailed):
        MigrationRunner(path, [pack], keep=0).apply()
    assert [content(each) for each in backups(path)] == [before]


def test_to_keep_none_does_not_remove_the_snapshot_that_is_restored(path: Path, pack: MigrationPack) -> None:
    runner = MigrationRunner(path, [pack])
    runner.apply()
    assert runner.snapshot is not None
    restored = MigrationRunner(path, [pack], keep=0).restore(runner.snapshot)
    assert restored.snapshot is None
    assert backups(path) == [runner.snapshot]


def test_invalid_settings_are_refused_at_once(path: Path, pack: MigrationPack) -> None:
    with pytest.raises(UsageProblem, match="-1 is not a valid number of snapshots to keep"):
        MigrationRunner(path, [pack], keep=-1)
    with pytest.raises(UsageProblem, match="the name of the folder for snapshots is empty"):
        MigrationRunner(path, [pack], backup_dir="")


# --- how much space it takes ------------------------------------------------------------------------------


def test_the_space_is_reported_before_a_large_snapshot(
    path: Path, pack: MigrationPack, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "LARGE", path.stat().st_size)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("Usage", "free")(3_000_000_000))
    notes: list[str] = []
    with hearing_phases(lambda *_: None, notes.append):
        runner = MigrationRunner(path, [pack], backup_dir=place)
        runner.apply()
    assert runner.snapshot is not None
    assert notes == [f"taking a snapshot: 8.2 kB are needed in {runner.snapshot.parent}, 3.0 GB are free"]


def test_before_a_small_one_it_is_only_logged(path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    notes: list[str] = []
    with caplog.at_level(logging.INFO, "homie_migrations"), hearing_phases(lambda *_: None, notes.append):
        MigrationRunner(path, [write_pack(tmp_path / "pack", "p", {"001_one.py": creates(1, "one")})]).apply()
    assert notes == []
    assert sum("are needed in" in each for each in caplog.messages) == 1
