"""Single numbers that the calculation on paper needs: syncs, bytes, memory and open files."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from benchmarks.fleet import make_databases, make_template, tenant_pack
from benchmarks.measuring import CommandFailed
from homie_migrations_core import MigrationPack
from homie_migrations_core.fleet import migrate_fleet
from homie_migrations_core.fleet.reports import as_json
from homie_migrations_core.sqlite.snapshot_storage import FOLDER

_ROOT = Path(__file__).resolve().parents[2]
_TRACED = """
import sys
from pathlib import Path
from benchmarks.scale import facts
facts.apply_once(Path(sys.argv[1]), backup=sys.argv[2] == "snapshots")
"""
_LOOKS_AT_ITS_PROCESS = """
import os
from pathlib import Path


def get_migration_version():
    return 1


def apply_migration(conn):
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    conn.execute("CREATE TABLE seen (files INTEGER, kilobytes INTEGER)")
    conn.execute("INSERT INTO seen VALUES (?, ?)", (len(os.listdir("/proc/self/fd")) - 1, peak))  # listing opens the folder
"""


def measure(folder: Path, files: int) -> dict[str, float]:
    """Return the facts by their names. What this system can't tell is left out."""
    found = {"syncs a second": _syncs_a_second(folder, files), **_bytes(folder / "bytes", files)}
    if shutil.which("strace"):
        found["syncs a database"] = _syncs_a_database(folder / "syncs", "none")
        found["syncs a database, with a snapshot"] = _syncs_a_database(folder / "snapshots", "snapshots")
    if sys.platform == "linux":
        found |= _a_worker(folder / "worker", files)
    return found


def apply_once(folder: Path, *, backup: bool) -> None:
    """Apply the pack of a fleet to one database, in this process."""
    pack, paths = MigrationPack("tenant", folder / "tenant"), [str(folder / "db" / "000000.db")]
    with ThreadPoolExecutor(1) as threads:
        outcomes = list(migrate_fleet(paths, [pack], threads, backup=backup))
    assert outcomes[0].state == "applied", outcomes


def _fleet(folder: Path, files: int) -> tuple[MigrationPack, list[str]]:
    folder.mkdir()
    return tenant_pack(folder / "tenant"), make_databases(folder / "db", make_template(folder / "template.db"), files)


def _syncs_a_second(folder: Path, times: int) -> float:
    """Return how often a second a page can be written and synced, one after the other."""
    path, taken = folder / "synced", []
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    try:
        for number in range(times):
            started = time.perf_counter()
            os.pwrite(descriptor, bytes(4096), number * 4096)
            os.fsync(descriptor)
            taken.append(time.perf_counter() - started)
    finally:
        os.close(descriptor)
    return 1 / statistics.mean(taken)


def _syncs_a_database(folder: Path, snapshots: str) -> int:
    _fleet(folder, 1)
    trace = folder / "trace"
    command = ["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync", "-e", "signal=none", "-o", str(trace)]
    _run([*command, sys.executable, "-c", _TRACED, str(folder), snapshots])
    return sum(" = 0" in line for line in trace.read_text().splitlines())


def _bytes(folder: Path, files: int) -> dict[str, float]:
    """Return what a small fleet leaves on the disk. A line of the report is counted without the path of its database."""
    pack, paths = _fleet(folder, files)
    Path(paths[0]).write_bytes(b"This is not a database. " * 200)
    with ThreadPoolExecutor(2) as threads:
        outcomes = list(migrate_fleet(paths, [pack], threads))
    lines = {outcome.state: len(json.dumps(as_json(outcome)).replace(outcome.path, "")) + 1 for outcome in outcomes}
    named = {outcome.state: json.dumps(as_json(outcome)).count(outcome.path) for outcome in outcomes}
    kept = list((folder / "db" / FOLDER).rglob("*"))
    snapshots = [each for each in kept if each.is_file()]
    return {
        "bytes of a small database": Path(paths[1]).stat().st_size,
        "bytes of its snapshot": statistics.mean(each.stat().st_size for each in snapshots),
        "snapshots of a database after one run": len(snapshots) / (files - 1),
        "folders of a database for its snapshots": (len(kept) - len(snapshots)) / (files - 1),
        "bytes of a report line": lines["applied"],
        "paths in a report line": named["applied"],
        "bytes of a failed report line": lines["failed"],
        "paths in a failed report line": named["failed"],
    }


def _a_worker(folder: Path, files: int) -> dict[str, float]:
    """Return what a migration sees of the process that runs it, the most of all databases."""
    _, paths = _fleet(folder, files)
    (folder / "look").mkdir()
    (folder / "look" / "001_look.py").write_text(_LOOKS_AT_ITS_PROCESS, encoding="utf-8")
    seen = []
    for outcome in migrate_fleet(paths, [MigrationPack("look", folder / "look")], jobs=1):
        assert outcome.state == "applied", outcome
        with closing(sqlite3.connect(outcome.path)) as connection:
            seen.append(connection.execute("SELECT files, kilobytes FROM seen").fetchone())
    open_files, kilobytes = (max(values) for values in zip(*seen, strict=True))
    return {"open files of a worker": open_files, "memory of a worker": kilobytes / 1024}


def _run(command: list[str]) -> str:
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CommandFailed(done.stderr)
    return done.stdout
