"""
The system refuses something at many points of a run: disk space, file size, memory, permissions, a lock.

After each, the database is at a migration boundary, the error is one of this library, and an ordinary run finishes the
plan. Nothing is random, so there is no seed. The messages are tested in `tests/sqlite/test_faults.py`.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from campaigns.sample_database import SampleDatabase
from campaigns.worker_pool import ROOT, Worker, WorkerPool
from helpers import fingerprint

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="these limits are Linux's")]

SOMEBODY = 65534
as_root = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can become somebody with fewer rights"
)


def check_worker(sample: SampleDatabase, worker: Worker, where: str) -> int:
    """Return the boundary that a worker left, and assert that its error is one of this library."""
    assert worker.error is None or worker.code is not None, f"{where}: {worker.error}"
    found = sample.examine(keeps=True)
    assert found >= worker.acknowledged, where
    if worker.error is None:
        assert found == sample.last, where
    return found


def assert_next_run_finishes(worker_pool: WorkerPool, sample: SampleDatabase, where: str) -> None:
    sample.backdate()
    (worker,) = worker_pool.run(sample.path, sample.pack)
    assert worker.error is None, f"{where}: the next run said {worker.error}"
    assert sample.examine() == sample.last, where


# --- room -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backup", [True, False], ids=["backup", "no backup"])
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_limit_on_the_size_of_files_leaves_a_boundary_wherever_it_strikes(
    worker_pool: WorkerPool, memory_folder: Path, mode: str, backup: bool
) -> None:
    sample = SampleDatabase(memory_folder, mode)
    seen: set[int] = set()
    said: Counter[str] = Counter()
    pages = range(0, 80, 8) if mode == "delete" else range(0, 224, 14)  # the WAL is larger
    sizes = [4096 * page + odd for page in pages for odd in (0, 1000)]
    for size in sizes:
        sample.reset()
        (worker,) = worker_pool.run(sample.path, sample.pack, limits={"RLIMIT_FSIZE": size}, backup=backup)
        assert worker.error is None or worker.code is not None, f"{size}: {worker.error}"
        found = sample.examine(keeps=backup)
        assert found >= worker.acknowledged, size
        seen.add(found)
        said[worker.code or "success"] += 1
        if found < sample.last and size % 3 == 0:
            assert_next_run_finishes(worker_pool, sample, f"{size} bytes")
    print(dict(said), sorted(seen))
    assert {0, sample.last} <= seen
    assert len(seen) > 3


FULL_DISK = """
import json, shutil, subprocess, sys
from pathlib import Path
from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core import hookimpl

disk, beginning, pack, out, backup = sys.argv[1:]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", disk], check=True)

class Acknowledges:
    def __init__(self):
        self.heard = 0
    @hookimpl
    def homie_step_finished(self, run, step):
        self.heard += 1

for number, room in enumerate(json.loads(sys.stdin.read())):
    folder, left = Path(disk, "sample"), Path(out, str(number))
    shutil.rmtree(folder, ignore_errors=True)
    Path(disk, "ballast").write_bytes(b"")
    shutil.copytree(beginning, folder)
    with open(Path(disk, "ballast"), "wb") as ballast:
        ballast.write(bytes(max(0, shutil.disk_usage(disk).free - room)))
    acknowledges, error = Acknowledges(), None
    runner = MigrationRunner(folder / "homie_p.db", [MigrationPack("p", Path(pack))], observers=[acknowledges], backup=backup == "backup")
    try:
        runner.apply()
    except Exception as raised:
        error = raised
    shutil.copytree(folder, left)
    # now there is space again
    Path(disk, "ballast").unlink()
    try:
        MigrationRunner(folder / "homie_p.db", [MigrationPack("p", Path(pack))]).apply()
        after = None
    except Exception as raised:
        after = repr(raised)
    shutil.copytree(folder, left.with_name(f"{number} after"))
    print(json.dumps([error and f"{type(error).__name__}: {error}", getattr(error, "code", None), acknowledges.heard, after]))
"""


@pytest.mark.parametrize("backup", ["backup", "no backup"])
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_full_disk_leaves_a_boundary_wherever_it_fills_up(memory_folder: Path, mode: str, backup: str) -> None:
    sample = SampleDatabase(memory_folder, mode)
    sample.reset()
    for each in ("disk", "out"):
        (memory_folder / each).mkdir()
    rooms = [4096 * pages for pages in (*range(0, 24, 2), *range(24, 260, 12))]
    command = [
        "unshare",
        "-rm",
        sys.executable,
        "-c",
        FULL_DISK,
        *map(str, (memory_folder / "disk", sample.folder, sample.pack, memory_folder / "out", backup)),
    ]
    try:
        allowed = subprocess.run(
            ["unshare", "-rm", "mount", "-t", "tmpfs", "none", str(memory_folder / "disk")], check=False, capture_output=True
        )
    except OSError as error:
        pytest.skip(f"there is no unshare: {error}")
    if allowed.returncode:
        pytest.skip("nothing can be mounted here")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    ended = subprocess.run(command, input=json.dumps(rooms), capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == 0, ended.stderr
    seen, said = set(), Counter()
    for number, (room, line) in enumerate(zip(rooms, ended.stdout.splitlines(), strict=True)):
        error, code, acknowledged, after = json.loads(line)
        assert error is None or code is not None, f"{room}: {error}"
        found = sample.examine_folder(memory_folder / "out" / str(number), keeps=backup == "backup")
        assert found >= acknowledged, room
        assert (found == sample.last) == (error is None), f"{room}: {error}"
        assert after is None, f"{room}: {after}"
        assert sample.examine_folder(memory_folder / "out" / f"{number} after") == sample.last
        seen.add(found)
        said[error.partition(":")[0] if error else "success"] += 1
    print(dict(said), sorted(seen))
    assert {0, sample.last} <= seen
    assert len(seen) > 3


HUNGRY = {
    f"{number:03}_hungry.sql": f"CREATE TABLE hungry_{number} AS SELECT length(hex(zeroblob({size}))) AS n;"
    for number, size in enumerate((10**5, 10**6, 10**7, 5 * 10**7), start=1)
}


@pytest.mark.parametrize("backup", [True, False], ids=["backup", "no backup"])
def test_without_memory_it_ends_at_a_boundary(worker_pool: WorkerPool, memory_folder: Path, backup: bool) -> None:
    """Python itself may run out of memory, so any error is possible."""
    sample = SampleDatabase(memory_folder, "delete", migrations=HUNGRY)
    seen: set[int] = set()
    said: Counter[str] = Counter()
    for room in [0, *(2**power for power in range(12, 28)), 2**30]:
        sample.reset()
        (worker,) = worker_pool.run(sample.path, sample.pack, limits={"RLIMIT_AS": room}, backup=backup)
        said[(worker.error or "success").partition(":")[0]] += 1
        found = sample.examine(keeps=backup)
        assert found >= worker.acknowledged, room
        seen.add(found)
        if found < sample.last and room % 3 == 1:
            assert_next_run_finishes(worker_pool, sample, f"{room} bytes of memory")
    print(dict(said), sorted(seen))
    assert sample.last in seen
    assert len(seen) > (1 if backup else 2)  # a thread needs memory, too


def test_when_there_is_no_room_for_a_thread_the_snapshot_is_taken_without_one(worker_pool: WorkerPool, memory_folder: Path) -> None:
    """A thread's stack is larger than this."""
    sample = SampleDatabase(memory_folder, "delete")
    sample.reset()
    (worker,) = worker_pool.run(sample.path, sample.pack, limits={"RLIMIT_AS": 2**22}, threads=True)
    assert worker.error is None
    assert sample.examine(keeps=True) == sample.last


# --- rights ---------------------------------------------------------------------------------------------


def all_may_look(sample: SampleDatabase, folder: Path) -> None:
    folder.chmod(0o755)
    for each in (sample.folder, sample.pack, *sample.pack.iterdir(), sample.path):
        each.chmod(0o777 if each.is_dir() else 0o666)


def the_file(sample: SampleDatabase) -> None:
    sample.path.chmod(0o444)


def the_folder(sample: SampleDatabase) -> None:
    sample.folder.chmod(0o755)


def the_backups(sample: SampleDatabase) -> None:
    (sample.folder / "backups").mkdir(mode=0o755)


def the_file_to_read(sample: SampleDatabase) -> None:
    sample.path.chmod(0o600)


@as_root
@pytest.mark.parametrize("taken", [the_file, the_folder, the_backups, the_file_to_read], ids=lambda each: each.__name__)
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_without_a_right_that_it_needs_nothing_is_done(worker_pool: WorkerPool, memory_folder: Path, mode: str, taken) -> None:
    sample = SampleDatabase(memory_folder, mode)
    sample.reset()
    all_may_look(sample, memory_folder)
    taken(sample)
    before = fingerprint(sample.folder)
    (worker,) = worker_pool.run(sample.path, sample.pack, user=SOMEBODY)
    assert worker.code in ("database_not_writable", "database_not_reachable", "snapshot_failed"), worker.error
    assert worker.acknowledged == 0
    assert fingerprint(sample.folder) == before
    assert_next_run_finishes(worker_pool, sample, "by its owner")


@as_root
def test_with_the_rights_it_needs_somebody_else_can_do_it(worker_pool: WorkerPool, memory_folder: Path) -> None:
    """The control for the one above."""
    sample = SampleDatabase(memory_folder, "delete")
    sample.reset()
    all_may_look(sample, memory_folder)
    (worker,) = worker_pool.run(sample.path, sample.pack, user=SOMEBODY)
    assert check_worker(sample, worker, "as somebody") == sample.last


# --- locks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("waits", [0.0, 0.3])
def test_a_reader_that_does_not_end_keeps_the_commit_from_working_and_it_is_undone(
    worker_pool: WorkerPool, memory_folder: Path, waits: float
) -> None:
    sample = SampleDatabase(memory_folder, "delete")
    sample.reset()
    reader = sqlite3.connect(sample.path, isolation_level=None)
    try:
        unread = reader.execute("SELECT * FROM item")
        unread.fetchone()
        (worker,) = worker_pool.run(sample.path, sample.pack, lock_timeout=waits)
        assert (worker.code, worker.acknowledged) == ("lock_timeout", 0)
        assert unread.fetchone() is not None
        unread.close()
    finally:
        reader.close()
    assert check_worker(sample, worker, "beside a reader") == 0
    assert not (sample.folder / "backups").exists()
    assert_next_run_finishes(worker_pool, sample, "without the reader")
