"""
Ten thousand files, of which one in a hundred is broken in one of ten ways, and a worker that is killed in the middle.

`python -m benchmarks.fleet_of_ten_thousand [NUMBER] [FOLDER]`: runs them, mends what was broken, runs what failed again from the
report, and asks every file how often each migration is recorded. Prints rates, memory and errors; ends with 1 if a file is wrong.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path

from benchmarks.fleet import STATEMENTS, make_databases, make_template, tenant_pack
from homie_migrations_core import MigrationPack
from homie_migrations_core.fleet import Outcome, migrate_fleet
from homie_migrations_core.fleet.reports import ReportFile, failed_paths

EVERY = 100
AHEAD = "INSERT INTO schema_migrations VALUES (9, CURRENT_TIMESTAMP, '009_nine')"
EARLIER = "CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, applied_at TIMESTAMP, migration_name TEXT NOT NULL)"


def broken_in(kind: int, path: Path, holders: list[sqlite3.Connection]) -> str:
    """Break a file in one of ten ways, and return what was done."""
    content = path.read_bytes()
    if kind == 0:
        path.write_bytes(content[:100] + b"\xff" * 4000 + content[4100:])
        return "damaged"
    if kind == 1:
        path.write_bytes(b"This is not a database. " * 200)
        return "not a database"
    if kind == 2:
        holders.append(sqlite3.connect(path, isolation_level=None))
        holders[-1].execute("BEGIN IMMEDIATE")
        return "locked"
    if kind in (3, 4, 5, 6):
        sql = {
            3: f"{EARLIER}; {AHEAD}",
            4: "CREATE TABLE schema_migrations (version TEXT PRIMARY KEY)",
            5: "CREATE TABLE tags (mine)",
            6: "CREATE VIEW schema_migrations AS SELECT 1",
        }[kind]
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(sql)
        return {3: "ahead", 4: "another tool's records", 5: "a table is there already", 6: "records are a view"}[kind]
    path.unlink()
    if kind == 7:
        return "missing"
    if kind == 8:
        path.mkdir()
        return "a folder"
    os.mkfifo(path)
    return "a pipe"


def mend(path: Path, template: bytes) -> None:
    if path.is_dir():
        path.rmdir()
    with suppress(FileNotFoundError):
        path.unlink()
    path.write_bytes(template)


def child_processes() -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True, check=True)
    return [int(line.split()[0]) for line in found.stdout.splitlines() if "spawn_main" in line]


def run(paths: Iterable[str], pack: MigrationPack, report: Path, *, kill_after: int | None = None) -> Iterator[Outcome]:
    with ReportFile(report) as lines:
        for number, outcome in enumerate(migrate_fleet(paths, [pack], jobs=2, lock_timeout=1.0), start=1):
            lines.append(outcome)
            if number == kill_after:
                os.kill(child_processes()[0], signal.SIGKILL)
            yield outcome


def told(title: str, outcomes: Iterator[Outcome]) -> None:
    """Run them, and print the rate, the memory of this process as it went, and the errors."""
    started, states, memory = time.perf_counter(), Counter[str](), []
    done = 0
    for done, outcome in enumerate(outcomes, start=1):
        states[outcome.error_code or outcome.state] += 1
        if done % 2_000 == 0:
            memory.append(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.1f}")
    taken = time.perf_counter() - started
    print(f"{title}: {done:,} databases in {taken:.1f} s, {done / taken:,.0f} a second; peak MB each 2,000: {', '.join(memory)}")
    for state, number in states.most_common():
        print(f"  {number:6,}  {state}", flush=True)


def wrong_databases(paths: Iterable[str]) -> list[str]:
    """Return the databases that do not record each migration exactly once."""
    wrong = []
    for path in paths:
        with closing(sqlite3.connect(path)) as connection:
            versions = [version for (version,) in connection.execute("SELECT version FROM schema_migrations ORDER BY version")]
        if versions != list(range(1, len(STATEMENTS) + 1)):
            wrong.append(path)
    return wrong


def main(arguments: list[str]) -> int:
    number = int(arguments[0]) if arguments else 10_000
    with tempfile.TemporaryDirectory(dir=arguments[1] if arguments[1:] else None) as place:
        folder = Path(place)
        template, pack, report = make_template(folder / "template.db"), tenant_pack(folder / "tenant"), folder / "report.jsonl"
        paths, holders = make_databases(folder / "db", template, number), []
        kinds = Counter(broken_in(at // EVERY % 10, Path(path), holders) for at, path in enumerate(paths) if at % EVERY == 50)
        print(f"broken: {', '.join(f'{count} {kind}' for kind, count in kinds.items())}")
        told("first run, a worker killed in its middle", run(iter(paths), pack, report, kill_after=number // 2))
        failed = failed_paths(report)
        for holder in holders:
            holder.close()
        for path in failed:
            mend(Path(path), template)
        told("second run, only the failed ones, mended", run(failed, pack, report))
        wrong = wrong_databases(paths)
        left = failed_paths(report)
        size = report.stat().st_size
        print(f"report: {size:,} bytes, {len(left)} failed at the end; databases that are wrong: {len(wrong)}")
        shutil.rmtree(folder / "db")
        return 1 if wrong or left or len(failed) != sum(kinds.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
