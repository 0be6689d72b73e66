"""
What the system itself refuses, at many places of a run: room on the disk, room in a file, memory, rights, a lock.

The database is at a migration boundary after each, what is raised is an error of this library, and an ordinary run
finishes. What each of them says is tested in `tests/sqlite/test_faults.py`.
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
from campaigns.crew import ROOT, Crew, Worker
from campaigns.field import Field
from helpers import fingerprint

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="these limits are Linux's")]

SOMEBODY = 65534
as_root = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can become somebody with fewer rights"
)


def judged(field: Field, worker: Worker, where: str) -> int:
    """The boundary that a worker left, whatever it met."""
    assert worker.error is None or worker.code is not None, f"{where}: {worker.error}"
    found = field.examine(keeps=True)
    assert found >= worker.acknowledged, where
    if worker.error is None:
        assert found == field.last, where
    return found


def finish(crew: Crew, field: Field, where: str) -> None:
    field.grow_old()
    (worker,) = crew.run(field.path, field.pack)
    assert worker.error is None, f"{where}: the next run said {worker.error}"
    assert field.examine() == field.last, where


# --- room -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backup", [True, False], ids=["backup", "no backup"])
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_limit_on_the_size_of_files_leaves_a_boundary_wherever_it_strikes(crew: Crew, ram: Path, mode: str, backup: bool) -> None:
    field = Field(ram, mode)
    seen: set[int] = set()
    said: Counter[str] = Counter()
    pages = range(0, 80, 8) if mode == "delete" else range(0, 224, 14)  # the WAL is larger
    sizes = [4096 * page + odd for page in pages for odd in (0, 1000)]
    for size in sizes:
        field.begin_again()
        (worker,) = crew.run(field.path, field.pack, limits={"RLIMIT_FSIZE": size}, backup=backup)
        assert worker.error is None or worker.code is not None, f"{size}: {worker.error}"
        found = field.examine(keeps=backup)
        assert found >= worker.acknowledged, size
        seen.add(found)
        said[worker.code or "all went well"] += 1
        if found < field.last and size % 3 == 0:
            finish(crew, field, f"{size} bytes")
    print(dict(said), sorted(seen))
    assert {0, field.last} <= seen
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
    folder, left = Path(disk, "field"), Path(out, str(number))
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
    # and now there is room
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
def test_a_full_disk_leaves_a_boundary_wherever_it_fills_up(ram: Path, mode: str, backup: str) -> None:
    field = Field(ram, mode)
    field.begin_again()
    for each in ("disk", "out"):
        (ram / each).mkdir()
    rooms = [4096 * pages for pages in (*range(0, 24, 2), *range(24, 260, 12))]
    command = [
        "unshare",
        "-rm",
        sys.executable,
        "-c",
        FULL_DISK,
        *map(str, (ram / "disk", field.folder, field.pack, ram / "out", backup)),
    ]
    try:
        allowed = subprocess.run(
            ["unshare", "-rm", "mount", "-t", "tmpfs", "none", str(ram / "disk")], check=False, capture_output=True
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
        found = field.judge(ram / "out" / str(number), keeps=backup == "backup")
        assert found >= acknowledged, room
        assert (found == field.last) == (error is None), f"{room}: {error}"
        assert after is None, f"{room}: {after}"
        assert field.judge(ram / "out" / f"{number} after") == field.last
        seen.add(found)
        said[error.partition(":")[0] if error else "all went well"] += 1
    print(dict(said), sorted(seen))
    assert {0, field.last} <= seen
    assert len(seen) > 3


HUNGRY = {
    f"{number:03}_hungry.sql": f"CREATE TABLE hungry_{number} AS SELECT length(hex(zeroblob({size}))) AS n;"
    for number, size in enumerate((10**5, 10**6, 10**7, 5 * 10**7), start=1)
}


@pytest.mark.parametrize("backup", [True, False], ids=["backup", "no backup"])
def test_without_memory_it_ends_at_a_boundary(crew: Crew, ram: Path, backup: bool) -> None:
    """Python itself may be what is refused memory, so that any error may come of it."""
    field = Field(ram, "delete", migrations=HUNGRY)
    seen: set[int] = set()
    said: Counter[str] = Counter()
    for room in [0, *(2**power for power in range(12, 28)), 2**30]:
        field.begin_again()
        (worker,) = crew.run(field.path, field.pack, limits={"RLIMIT_AS": room}, backup=backup)
        said[(worker.error or "all went well").partition(":")[0]] += 1
        found = field.examine(keeps=backup)
        assert found >= worker.acknowledged, room
        seen.add(found)
        if found < field.last and room % 3 == 1:
            finish(crew, field, f"{room} bytes of memory")
    print(dict(said), sorted(seen))
    assert field.last in seen
    assert len(seen) > (1 if backup else 2)  # a thread needs memory, too


def test_when_there_is_no_room_for_a_thread_the_snapshot_is_taken_without_one(crew: Crew, ram: Path) -> None:
    """A thread's stack is larger than this."""
    field = Field(ram, "delete")
    field.begin_again()
    (worker,) = crew.run(field.path, field.pack, limits={"RLIMIT_AS": 2**21})
    assert worker.error is None
    assert field.examine(keeps=True) == field.last


# --- rights ---------------------------------------------------------------------------------------------


def all_may_look(field: Field, folder: Path) -> None:
    folder.chmod(0o755)
    for each in (field.folder, field.pack, *field.pack.iterdir(), field.path):
        each.chmod(0o777 if each.is_dir() else 0o666)


def the_file(field: Field) -> None:
    field.path.chmod(0o444)


def the_folder(field: Field) -> None:
    field.folder.chmod(0o755)


def the_backups(field: Field) -> None:
    (field.folder / "backups").mkdir(mode=0o755)


def the_file_to_read(field: Field) -> None:
    field.path.chmod(0o600)


@as_root
@pytest.mark.parametrize("taken", [the_file, the_folder, the_backups, the_file_to_read], ids=lambda each: each.__name__)
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_without_a_right_that_it_needs_nothing_is_done(crew: Crew, ram: Path, mode: str, taken) -> None:
    field = Field(ram, mode)
    field.begin_again()
    all_may_look(field, ram)
    taken(field)
    before = fingerprint(field.folder)
    (worker,) = crew.run(field.path, field.pack, user=SOMEBODY)
    assert worker.code in ("database_not_writable", "database_not_reachable", "snapshot_failed"), worker.error
    assert worker.acknowledged == 0
    assert fingerprint(field.folder) == before
    finish(crew, field, "by its owner")


@as_root
def test_with_the_rights_it_needs_somebody_else_can_do_it(crew: Crew, ram: Path) -> None:
    """The control for the one above."""
    field = Field(ram, "delete")
    field.begin_again()
    all_may_look(field, ram)
    (worker,) = crew.run(field.path, field.pack, user=SOMEBODY)
    assert judged(field, worker, "as somebody") == field.last


# --- locks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("waits", [0.0, 0.3])
def test_a_reader_that_does_not_end_keeps_the_commit_from_working_and_it_is_undone(crew: Crew, ram: Path, waits: float) -> None:
    field = Field(ram, "delete")
    field.begin_again()
    reader = sqlite3.connect(field.path, isolation_level=None)
    try:
        unread = reader.execute("SELECT * FROM item")
        unread.fetchone()
        (worker,) = crew.run(field.path, field.pack, lock_timeout=waits)
        assert (worker.code, worker.acknowledged) == ("lock_timeout", 0)
        assert unread.fetchone() is not None
        unread.close()
    finally:
        reader.close()
    assert judged(field, worker, "beside a reader") == 0
    assert not (field.folder / "backups").exists()
    finish(crew, field, "without the reader")
