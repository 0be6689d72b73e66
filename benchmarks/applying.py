"""Applying many small migrations, which mostly waits for the disk, and what each setting for durability costs by itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from benchmarks.fixtures import EARLIER_TABLE, FreshDatabases, make_pack, make_sql_pack, name_of, sql_of
from benchmarks.measuring import Candidate, Comparison
from homie_migrations_core import MigrationPack, run_migrations

JOURNAL_GOAL, WAL_GOAL, NEW_GOAL = 1.3, 1.6, 0.5
MIGRATIONS, COMMITS = 1_000, 200
_STATEMENTS = [(version, name_of(version), sql_of(version)) for version in range(1, MIGRATIONS + 1)]


def _plain(path: str, *, synchronous: str = "FULL", one_transaction: bool = False, files: Path | None = None) -> None:
    """Create the same tables and records without a library. With `files`, compile and run each migration's file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(EARLIER_TABLE)
        for number, (version, name, sql) in enumerate(_STATEMENTS):
            if number and not one_transaction:
                connection.execute("BEGIN IMMEDIATE")
            if files is None:
                connection.execute(sql)
            else:
                module: dict[str, Callable[[sqlite3.Connection], None]] = {}
                exec(compile((files / f"{name}.py").read_bytes(), name, "exec"), module)
                module["apply_migration"](connection)
            connection.execute("INSERT INTO schema_migrations (version, migration_name) VALUES (?, ?)", (version, name))
            if not one_transaction:
                connection.execute("COMMIT")
        if one_transaction:
            connection.execute("COMMIT")


def comparisons(folder: Path) -> Iterator[Comparison]:
    fresh = FreshDatabases(folder / "applying")
    python, sql = make_pack(folder / "items", MIGRATIONS), make_sql_pack(folder / "items_in_sql", MIGRATIONS)
    from_files = partial(_plain, files=python.migrations)
    extra, one = partial(_plain, synchronous="EXTRA"), partial(_plain, one_transaction=True)

    def rows(timed: Callable[[Callable[[str], object]], Callable[[], float]], goal: float) -> list[Candidate]:
        def ours(pack: MigrationPack, *, backup: bool) -> Callable[[], float]:
            return timed(partial(run_migrations, packs=[pack], backup=backup))

        return [
            Candidate("sqlite3, as SQLite comes", timed(_plain)),
            Candidate("sqlite3, synchronous=EXTRA", timed(extra)),
            Candidate("sqlite3, the same files compiled and run", timed(from_files)),
            Candidate("run_migrations(…, backup=False), .sql files", ours(sql, backup=False), goal),
            Candidate("run_migrations(…, backup=False), .py files", ours(python, backup=False), goal),
            Candidate("run_migrations(…), .py files, with its snapshot", ours(python, backup=True)),
        ]

    timed = partial(fresh.timed, records=MIGRATIONS)
    yield Comparison(
        f"4a. {MIGRATIONS:,} one-statement migrations, one transaction each; the database holds a table",
        rows(timed, JOURNAL_GOAL),
        rounds=15,
        budget=60,
        second_floor="sqlite3, synchronous=EXTRA",
    )
    yield Comparison(
        "4b. The same in WAL mode",
        rows(partial(timed, journal_mode="wal"), WAL_GOAL),
        rounds=15,
        budget=30,
        second_floor="sqlite3, synchronous=EXTRA",
    )
    new = partial(timed, holds_a_table=False)
    yield Comparison(
        "4c. The same into a new database, which ours makes in one transaction",
        [
            Candidate("sqlite3, one transaction each", new(_plain)),
            Candidate("sqlite3, one transaction for all", new(one)),
            Candidate("run_migrations(…), .sql files", new(partial(run_migrations, packs=[sql])), NEW_GOAL),
            Candidate("run_migrations(…), .py files", new(partial(run_migrations, packs=[python])), NEW_GOAL),
        ],
        rounds=15,
        budget=20,
        second_floor="sqlite3, one transaction for all",
    )


def _commits(path: str, journal_mode: str, synchronous: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode={journal_mode}")
        connection.execute(f"PRAGMA synchronous={synchronous}")
        for number in range(COMMITS):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO notes (text) VALUES (?)", (f"note {number}",))
            connection.execute("COMMIT")


def durability_comparisons(folder: Path) -> Iterator[Comparison]:
    fresh = FreshDatabases(folder / "durability")

    def row(journal_mode: str, synchronous: str) -> Candidate:
        run = fresh.timed(
            partial(_commits, journal_mode=journal_mode, synchronous=synchronous),
            journal_mode="wal" if journal_mode == "wal" else "delete",
        )
        return Candidate(f"{journal_mode}, {synchronous}", lambda: run() / COMMITS)

    yield Comparison(
        "5. One commit of one row, by journal mode and synchronous, for information",
        [
            row("delete", "FULL"),
            row("delete", "EXTRA"),
            row("truncate", "FULL"),
            row("truncate", "EXTRA"),
            row("wal", "FULL"),
            row("wal", "NORMAL"),
        ],
        rounds=21,
        budget=20,
        unit="us",
    )
