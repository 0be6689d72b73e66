"""Snapshots of a large database, restoring one, and a rehearsal: their time beside SQLite's own backup call, and their memory."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measuring import Candidate, CommandFailed, Comparison
from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.sqlite.snapshots import Keeper
from homie_migrations_core.stopping import StopRequest

SNAPSHOT_GOAL, RESTORE_GOAL, REHEARSAL_GOAL, MEMORY_GOAL_MB = 1.3, 4, 1.5, 100
MEGABYTES = int(os.environ.get("HOMIE_BENCH_MB", "1000"))
STATEMENTS = [
    "ALTER TABLE files ADD COLUMN colour TEXT",
    "UPDATE files SET colour = 'blue' WHERE id % 10 = 0",
    "CREATE INDEX files_folder ON files (folder)",
]
_REHEARSED = """
import resource, sys
from pathlib import Path
from homie_migrations_core import MigrationPack, MigrationRunner
runner = MigrationRunner(sys.argv[1], [MigrationPack("files", Path(sys.argv[2]))])
runner.{call}
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def _large(path: Path) -> None:
    """Create a database of about MEGABYTES, with rows of about a kilobyte."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.executescript(
            f"""BEGIN;
            CREATE TABLE files (id INTEGER PRIMARY KEY, folder INTEGER, name TEXT, content BLOB);
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MEGABYTES * 1000})
            INSERT INTO files SELECT i, i % 1000, 'file number ' || i, randomblob(930) FROM n;
            COMMIT;"""
        )


def _backup(path: Path, target: Path) -> None:
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)


def comparisons(folder: Path) -> Iterator[Comparison]:
    large, work = folder / "homie_files.db", folder / "work"
    _large(large)
    migrations = folder / "files"
    migrations.mkdir()
    (migrations / "001_colour.sql").write_text(";\n".join(STATEMENTS) + ";\n")
    pack = MigrationPack("files", migrations)

    def timed(function: Callable[[], object]) -> Callable[[], float]:
        def run() -> float:
            shutil.rmtree(work, ignore_errors=True)
            shutil.rmtree(folder / "backups", ignore_errors=True)
            work.mkdir()
            if hasattr(os, "sync"):
                os.sync()  # otherwise this run waits for what the one before left to write
            started = time.perf_counter()
            function()
            return time.perf_counter() - started

        return run

    def snapshot() -> None:
        Keeper(str(large), StopRequest(), lambda: datetime.now(UTC)).take(())

    yield Comparison(
        f"6. A checked snapshot of {MEGABYTES} MB",
        [
            Candidate("the bare backup call, with its syncs", timed(lambda: _backup(large, work / "copy.db"))),
            Candidate("the snapshot before a run", timed(snapshot), SNAPSHOT_GOAL),
        ],
        rounds=7,
        budget=60,
    )

    yield _restoring(large, folder / "before.db", pack, timed)

    def plain() -> None:
        _backup(large, work / "copy.db")
        with closing(sqlite3.connect(work / "copy.db", isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            for statement in STATEMENTS:
                connection.execute(statement)
            connection.execute("COMMIT")

    def rehearse() -> None:
        found = MigrationRunner(large, [pack]).rehearse()
        if not found.succeeded or found.findings:
            raise CommandFailed(str(found))

    yield Comparison(
        f"7. A rehearsal on {MEGABYTES} MB: a column, an update of every tenth row, an index",
        [
            Candidate("the bare backup call, then the statements", timed(plain)),
            Candidate("rehearse()", timed(rehearse), REHEARSAL_GOAL),
        ],
        rounds=5,
        budget=90,
    )
    for call in ("rehearse()", "backup()", f"restore({str(folder / 'before.db')!r})"):
        run = [sys.executable, "-c", _REHEARSED.format(call=call), str(large), str(migrations)]
        used = int(subprocess.run(run, capture_output=True, text=True, check=True).stdout)
        verdict = "met" if used <= MEMORY_GOAL_MB else "missed"
        print(
            f"\nPeak memory of a process that calls {call.partition('(')[0]}(): {used} MB, goal <= {MEMORY_GOAL_MB} MB, {verdict}",
            flush=True,
        )


def _restoring(
    large: Path, before: Path, pack: MigrationPack, timed: Callable[[Callable[[], object]], Callable[[], float]]
) -> Comparison:
    _backup(large, before)

    def restore() -> None:
        if MigrationRunner(large, [pack]).restore(before).snapshot is None:
            raise CommandFailed("no snapshot of the state before was taken")

    return Comparison(
        f"10. Restoring {MEGABYTES} MB, with its checks and a snapshot of the state before",
        [
            Candidate("the bare backup call, with its syncs", timed(lambda: _backup(before, large.parent / "work" / "copy.db"))),
            Candidate("the bare backup call into the database, with its journal", timed(lambda: _backup(before, large))),
            Candidate("restore()", timed(restore), RESTORE_GOAL),
        ],
        rounds=7,
        budget=60,
    )
