"""
A fleet of small files in two processes, beside bare sqlite3 with the same transactions in the same two processes.

And one run in a folder where many neighbours have snapshots, beside the same run where there is none.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from benchmarks.measuring import Candidate, Comparison
from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.fleet import migrate_fleet

GOAL = 1.25
"""At most 1 / 0.8 of the time: 0.8 of the rate."""
GOAL_BESIDE_NEIGHBOURS = 1.1
DATABASES, PROCESSES, ROWS = 1_000, 2, 50
NEIGHBOURS, BESIDE_THEM = 1_500, 50
STATEMENTS = (
    "CREATE TABLE tags (id INTEGER PRIMARY KEY, name TEXT NOT NULL)",
    "CREATE INDEX by_text ON notes (text)",
    "ALTER TABLE notes ADD COLUMN done INTEGER NOT NULL DEFAULT 0",
)
RECORDS = """CREATE TABLE schema_migrations (version INTEGER NOT NULL, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
migration_name TEXT NOT NULL, pack TEXT NOT NULL, checksum TEXT, duration_ms INTEGER, pack_version TEXT,
PRIMARY KEY (pack, version))"""


def tenant_pack(folder: Path) -> MigrationPack:
    folder.mkdir(parents=True, exist_ok=True)
    for version, sql in enumerate(STATEMENTS, start=1):
        (folder / f"{version:03}_step.py").write_text(
            f"def get_migration_version() -> int:\n    return {version}\n\n"
            f"def apply_migration(conn) -> None:\n    conn.execute({sql!r})\n",
            encoding="utf-8",
        )
    return MigrationPack("tenant", folder)


def make_template(path: Path) -> bytes:
    """Return the bytes of a database with a table of some rows."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
        connection.executemany("INSERT INTO notes (text) VALUES (?)", [(f"note {number}",) for number in range(ROWS)])
    return path.read_bytes()


def make_databases(folder: Path, template: bytes, number: int) -> list[str]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    paths = [folder / f"{each:06}.db" for each in range(number)]
    for path in paths:
        path.write_bytes(template)
    if hasattr(os, "sync"):
        os.sync()  # or the first measured syncs would wait for these
    return [str(path) for path in paths]


def plain(paths: list[str], *, snapshots: bool = False) -> int:
    """Run the same transactions, as a script of one's own would, in a worker process."""
    for path in paths:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for version, sql in enumerate(STATEMENTS, start=1):
                connection.execute("BEGIN IMMEDIATE")
                if version == 1:
                    if snapshots:
                        _snapshot(path)
                    connection.execute(RECORDS)
                connection.execute(sql)
                connection.execute(
                    "INSERT INTO schema_migrations (version, migration_name, pack) VALUES (?, ?, 'tenant')",
                    (version, f"{version:03}_step"),
                )
                connection.execute("COMMIT")
    return len(paths)


def _snapshot(path: str) -> None:
    folder = os.path.join(os.path.dirname(path), "backups")
    os.makedirs(folder, exist_ok=True)
    target = os.path.join(folder, os.path.basename(path))
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
        assert copy.execute("PRAGMA quick_check").fetchone() == ("ok",)
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def comparisons(folder: Path) -> Iterator[Comparison]:
    template, pack = make_template(folder / "template.db"), tenant_pack(folder / "tenant")
    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:

        def timed(work: Callable[[list[str]], int]) -> Callable[[], float]:
            def run() -> float:
                paths = make_databases(folder / "db", template, DATABASES)
                started = time.perf_counter()
                done = work(paths)
                taken = time.perf_counter() - started
                assert done == DATABASES
                return taken

            return run

        def spread(work: Callable[[list[str]], int], paths: list[str]) -> int:
            return sum(pool.map(work, [paths[start : start + 50] for start in range(0, len(paths), 50)]))

        def ours(paths: list[str], *, backup: bool) -> int:
            outcomes = migrate_fleet(paths, [pack], pool, jobs=PROCESSES, backup=backup)
            return sum(outcome.state == "applied" for outcome in outcomes)

        yield Comparison(
            f"9a. A fleet of {DATABASES:,} files, three migrations each, in {PROCESSES} processes that run already",
            [
                Candidate("sqlite3, the same transactions", timed(partial(spread, plain))),
                Candidate("migrate_fleet(…, backup=False)", timed(partial(ours, backup=False)), GOAL),
            ],
            rounds=7,
            budget=60,
        )
        yield Comparison(
            "9b. The same with snapshots",
            [
                Candidate("sqlite3, with backup, quick_check and fsync", timed(partial(spread, partial(plain, snapshots=True)))),
                Candidate("migrate_fleet(…)", timed(partial(ours, backup=True)), GOAL),
            ],
            rounds=7,
            budget=90,
        )
    yield _beside_neighbours(folder, template, pack)


def _beside_neighbours(folder: Path, template: bytes, pack: MigrationPack) -> Comparison:
    """Return what a run with its snapshot costs in a folder where each of many databases has snapshots, old and new ones."""

    def timed(neighbours: int) -> Callable[[], float]:
        def run() -> float:
            paths = make_databases(folder / "db", template, BESIDE_THEM)
            _leave_snapshots(folder / "db", neighbours)
            started = time.perf_counter()
            applied = [MigrationRunner(path, [pack]).apply() for path in paths]
            taken = time.perf_counter() - started
            assert all(len(each) == len(STATEMENTS) for each in applied)
            return taken / BESIDE_THEM

        return run

    return Comparison(
        f"9c. A run with its snapshot beside {NEIGHBOURS:,} databases in the same folder",
        [
            Candidate("no neighbour", timed(0)),
            Candidate(f"{NEIGHBOURS:,} neighbours with snapshots", timed(NEIGHBOURS), GOAL_BESIDE_NEIGHBOURS),
        ],
        rounds=15,
        budget=60,
    )


def _leave_snapshots(folder: Path, neighbours: int) -> None:
    """Make for each neighbour a snapshot as today's version names it, and one in the folder that earlier versions used for all."""
    for number in range(neighbours):
        own = folder / "backups" / f"n{number}.db.snapshots"
        own.mkdir(parents=True)
        for place in (own, own.parent):
            (place / f"n{number}.20260105T093000.000000Z.untracked.auto.db").touch()
    if hasattr(os, "sync"):
        os.sync()
