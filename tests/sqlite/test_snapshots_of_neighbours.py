"""Many databases in one folder: what a run costs does not grow with them, and the snapshots that they once shared a folder for."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest
from helpers import creates, query, run_sql, snapshot_folder, write_pack
from sqlite import snapshot_helpers
from sqlite.snapshot_helpers import at, backups, content, take

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.sqlite import copying, snapshot_storage
from homie_migrations_core.sqlite.snapshot_names import snapshot_name

# The fixtures of this module
pack, path = snapshot_helpers.pack, snapshot_helpers.path


def shared(path: Path, minute: int, ending: str = ".auto.db") -> Path:
    """A snapshot of the database in the folder that all databases shared."""
    snapshot = path.parent / "backups" / snapshot_name(path.name, [], at(minute), ending)
    snapshot.parent.mkdir(exist_ok=True)
    run_sql(snapshot, f"CREATE TABLE t (a); INSERT INTO t VALUES ({minute})")
    return snapshot


def counted(monkeypatch: pytest.MonkeyPatch, run: Callable[[], object], folder: Path) -> int:
    """How many entries of `folder` and what is in it a run reads."""
    listed, listdir, scandir = [], os.listdir, os.scandir

    class Entries:
        def __init__(self, place: str) -> None:
            self._entries = scandir(place)

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            self._entries.close()

        def __iter__(self) -> Self:
            return self

        def __next__(self) -> os.DirEntry[str]:
            listed.append(entry := next(self._entries))
            return entry

    def list_all(place: str) -> list[str]:
        names = listdir(place)
        listed.extend(names if os.fspath(place).startswith(str(folder)) else [])
        return names

    with monkeypatch.context() as patched:
        patched.setattr(os, "listdir", list_all)
        patched.setattr(os, "scandir", lambda place: Entries(place) if str(place).startswith(str(folder)) else scandir(place))
        run()
    return len(listed)


@pytest.mark.parametrize("before", ["in folders of their own", "in the folder that all shared"])
def test_a_run_lists_no_more_beside_two_thousand_neighbours_than_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    numbers: dict[int, list[int]] = {}
    for neighbours in (0, 2_000):
        path = tmp_path / str(neighbours) / "homie_p.db"
        path.parent.mkdir()
        run_sql(path, "CREATE TABLE t (a)")
        for number in range(neighbours):
            name = snapshot_name(f"{number}.db", [], at(number), ".auto.db")
            own = snapshot_folder(path.with_name(f"{number}.db"))
            place = own if before == "in folders of their own" else own.parent
            place.mkdir(parents=True, exist_ok=True)
            (place / name).touch()
        files = {f"00{number}_x.py": creates(number, f"t{number}") for number in range(1, 9)}
        steps = write_pack(tmp_path / f"pack_{neighbours}", "p", files)
        numbers[neighbours] = []
        for to in range(1, 9):
            run = functools.partial(MigrationRunner(path, [steps]).apply, to=f"p:{to}")
            numbers[neighbours].append(counted(monkeypatch, run, path.parent / "backups"))
        assert len(backups(path)) == 5
    assert numbers[2_000][:4] == numbers[0][:4]
    assert max(numbers[0]) < 20
    # From the fifth on, it looks whether there is little enough to look for what the database once had there.
    assert max(numbers[2_000]) <= max(numbers[0]) + snapshot_storage.FEW + 1


def test_a_small_snapshot_starts_no_thread(path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    start = copying.threading.Thread.start
    monkeypatch.setattr(copying.threading.Thread, "start", lambda thread: (started.append(thread), start(thread)))
    MigrationRunner(path, [pack]).apply()
    assert len(backups(path)) == 1
    assert started == []


# --- snapshots in the folder that all databases shared ------------------------------------------------------


def test_they_are_listed_beside_those_of_its_own_folder_and_can_be_restored(path: Path, pack: MigrationPack) -> None:
    old = [shared(path, 1), shared(path, 2, ".begun.db"), shared(path, 3, ".db")]
    new = take(path, minute=4)
    runner = MigrationRunner(path, [pack])
    assert [each.path for each in runner.backups()] == [new, *reversed(old)]
    assert [each.kind for each in runner.backups()] == ["automatic", "by_hand", "begun", "automatic"]
    runner.restore(old[0])
    assert query(path, "SELECT a FROM t") == [(1,)]
    assert old[0].exists()


def test_the_automatic_ones_go_once_there_are_as_many_newer_ones_as_are_kept(tmp_path: Path, path: Path) -> None:
    automatic = [shared(path, 1), shared(path, 2), shared(path, 3, ".begun.db")]
    others = [shared(path, 4, ".db"), shared(path.with_name("homie_p.more.db"), 1), path.parent / "backups" / "homie_p.db"]
    others[-1].write_bytes(b"a copy that somebody made")
    steps = write_pack(tmp_path / "steps", "p", {f"00{number}_x.py": creates(number, f"t{number}") for number in (1, 2, 3)})
    left = []
    for to in (1, 2, 3):
        MigrationRunner(path, [steps], keep=2).apply(to=f"p:{to}")
        left.append([each.exists() for each in automatic])
    assert left == [[True] * 3, [False] * 3, [False] * 3]
    assert all(each.exists() for each in others)
    assert len(backups(path)) == 2


def test_a_newer_one_of_them_counts_as_one_of_those_that_stay(path: Path, pack: MigrationPack) -> None:
    """As where two versions of an application take turns."""
    older, newer = take(path, minute=1), shared(path, 60 * 24 * 365 * 200)
    MigrationRunner(path, [pack], keep=2).apply()
    assert newer.exists()
    assert not older.exists()
    assert len(backups(path)) == 1


@pytest.mark.parametrize(("hours", "stays"), [(1, True), (25, False)])
def test_what_a_killed_run_left_unfinished_there_goes_when_nobody_can_be_writing_to_it(
    path: Path, pack: MigrationPack, hours: int, stays: bool
) -> None:
    left = shared(path, 1).with_suffix(".db.tmp")
    left.write_bytes(b"half")
    then = time.time() - 60 * 60 * hours
    os.utime(left, (then, then))
    MigrationRunner(path, [pack], keep=1).apply()
    assert left.exists() is stays


def test_where_too_much_is_in_that_folder_they_stay(path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot_storage, "FEW", 5)
    old = [shared(path, minute) for minute in range(5)]
    MigrationRunner(path, [pack], keep=1).apply(to="p:1")
    assert [each.exists() for each in old] == [True] * 5  # with the folder of the database there are six
    old[0].unlink()
    MigrationRunner(path, [pack], keep=1).apply()
    assert [each.exists() for each in old] == [False] * 5


def test_a_chosen_folder_is_not_looked_for_beside_the_database(path: Path, pack: MigrationPack, tmp_path: Path) -> None:
    old = shared(path, 1)
    (tmp_path / "chosen").mkdir()
    runner = MigrationRunner(path, [pack], keep=1, backup_dir=tmp_path / "chosen")
    runner.apply()
    assert old.exists()
    assert [each.path for each in runner.backups()] == [runner.snapshot]


def test_a_neighbour_that_takes_the_empty_folder_away_meanwhile_does_no_harm(
    path: Path, pack: MigrationPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, make, removed = content(path), os.mkdir, []

    def made(folder: str, *mode: int) -> None:
        make(folder, *mode)
        if not removed and str(folder).endswith("backups"):
            removed.append(folder)
            os.rmdir(folder)

    monkeypatch.setattr(os, "mkdir", made)
    runner = MigrationRunner(path, [pack])
    runner.apply()
    assert len(removed) == 1
    assert runner.snapshot is not None
    assert content(runner.snapshot) == before
