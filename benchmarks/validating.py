"""Comparing a database with its migrations: beside reading its schema, and beside running them without a library."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from benchmarks.fixtures import EARLIER_TABLE, make_pack
from benchmarks.measuring import Candidate, CommandFailed, Comparison, repeated
from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.inspection.replay import replay
from homie_migrations_core.packs.reading import read_pack
from homie_migrations_core.sqlite import schema_objects, sql_tokens

VALIDATE_GOAL, REPLAY_GOAL = 10, 1.5
"""The first is a goal beside the call of `status()`, and beside reading the schema with sqlite3."""
TABLES, REPLAYED = 100, 500


def _make_pack(folder: Path, *, columns: bool) -> MigrationPack:
    """Write a pack in which one migration creates each table and another adds an index, and with `columns` a column too."""
    folder.mkdir()
    for number in range(1, TABLES + 1):
        table = (
            f"CREATE TABLE items_{number} (\n    id INTEGER PRIMARY KEY,\n    name TEXT NOT NULL DEFAULT 'none',  -- as shown\n"
            f"    parent INTEGER REFERENCES items_{max(1, number - 1)} (id) ON DELETE CASCADE,\n    size REAL CHECK (size >= 0),\n"
            "    made_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,\n    UNIQUE (parent, name)\n);\n"
        )
        more = f"CREATE INDEX items_{number}_by_size ON items_{number} (size, name);\n"
        if columns:
            more += f"ALTER TABLE items_{number} ADD COLUMN colour TEXT;\n"
        (folder / f"{number:03}_items_{number}.sql").write_text(table, encoding="utf-8")
        (folder / f"{TABLES + number:03}_more_{number}.sql").write_text(more, encoding="utf-8")
    return MigrationPack(name="items", migrations=folder)


def _read_once(path: Path) -> None:
    """Read a schema in the cheapest possible way."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT * FROM sqlite_master").fetchall()
        for kind, name, *_ in found:
            if kind == "table":
                connection.execute(f'PRAGMA table_xinfo("{name}")').fetchall()


def _clear_caches() -> None:
    """Clear the caches that earlier calls in this process have filled."""
    for cache in (sql_tokens.tokenize, schema_objects.parse, sql_tokens.column_text):
        cache.cache_clear()


def _validate(runner: MigrationRunner) -> None:
    if findings := runner.validate():
        raise CommandFailed(f"{len(findings)} findings in a database that is in order, {findings[0].message}")


def comparisons(folder: Path) -> Iterator[Comparison]:
    yield _validating(
        folder / "indexes", f"8a. validate(): {2 * TABLES} migrations, {TABLES} tables, {TABLES} indexes", goal=VALIDATE_GOAL
    )
    # SQLite parses the whole schema again for each ALTER TABLE, so that its own share grows with the square of the tables.
    yield _validating(folder / "columns", "8b. The same with a column added to each table, for information", columns=True)
    yield _beside_status(folder / "indexes")
    many = read_pack(make_pack(folder / "many", REPLAYED))
    yield Comparison(
        f"9. A replay of {REPLAYED} migrations in memory",
        [
            Candidate("sqlite3, the same files compiled and run, one transaction each", _timed(partial(_plain, many.migrations))),
            Candidate("replay(…), with the schema that comes of it", _timed(partial(_replayed, many)), REPLAY_GOAL),
        ],
        rounds=21,
        budget=30,
    )


def _validating(folder: Path, title: str, *, columns: bool = False, goal: float | None = None) -> Comparison:
    folder.mkdir()
    path, pack = folder / "homie_items.db", _make_pack(folder / "items", columns=columns)
    MigrationRunner(path, [pack], backup=False).apply()
    runner = MigrationRunner(path, [pack])
    scripts = [each.content.decode() for each in read_pack(pack).migrations]

    def statements() -> None:
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            for script in scripts:
                connection.executescript(script)

    def first() -> float:
        _clear_caches()
        fresh = MigrationRunner(path, [pack])
        started = time.perf_counter()
        _validate(fresh)
        return time.perf_counter() - started

    return Comparison(
        title,
        [
            Candidate("sqlite3, sqlite_master and table_xinfo of each table", repeated(partial(_read_once, path), 5)),
            Candidate("sqlite3, the migrations' statements in memory", repeated(statements, 1)),
            Candidate("the first call", first, goal),
            Candidate("the second call of the same runner", repeated(partial(_validate, runner), 3), goal),
        ],
        rounds=21,
        budget=20,
    )


def _beside_status(folder: Path) -> Comparison:
    path, pack = folder / "homie_items.db", MigrationPack(name="items", migrations=folder / "items")

    def first() -> None:
        _clear_caches()
        _validate(MigrationRunner(path, [pack]))

    def status() -> None:
        if MigrationRunner(path, [pack]).status().state != "up_to_date":
            raise CommandFailed("not everything is applied")

    return Comparison(
        "8c. The same beside status(), each with a runner of its own",
        [Candidate("status()", repeated(status, 3)), Candidate("validate(), the first call", repeated(first, 1), VALIDATE_GOAL)],
        rounds=21,
        budget=15,
    )


def _timed(function: Callable[[], int]) -> Callable[[], float]:
    def run() -> float:
        _clear_caches()
        started = time.perf_counter()
        made = function()
        seconds = time.perf_counter() - started
        if made != REPLAYED:
            raise CommandFailed(f"{made} tables instead of {REPLAYED}")
        return seconds

    return run


def _plain(migrations) -> int:
    """Do what a replay does without a library: compile and run the files and write the records, in memory."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute(EARLIER_TABLE)
        for each in migrations:
            connection.execute("BEGIN")
            module: dict[str, Callable[[sqlite3.Connection], None]] = {}
            exec(compile(each.content, str(each.path), "exec"), module)
            module["apply_migration"](connection)
            connection.execute("INSERT INTO schema_migrations (version, migration_name) VALUES (?, ?)", (each.version, each.name))
            connection.execute("COMMIT")
        return connection.execute("SELECT count(*) FROM sqlite_master WHERE name LIKE 'items%'").fetchone()[0]


def _replayed(pack) -> int:
    return len(replay([pack], pack.migrations).schema)
