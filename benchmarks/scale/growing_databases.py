"""More tables, more rows and more bytes in a database."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks.fixtures import settle
from benchmarks.measuring import repeated
from benchmarks.scale.growing_packs import LOOK, plain_look, times
from benchmarks.scale.rounds import Work
from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.sqlite.snapshot_storage import FOLDER

_ADD_TABLE = "CREATE TABLE tags (id INTEGER PRIMARY KEY, name TEXT NOT NULL)"
_ADD_COLUMN = "ALTER TABLE notes ADD COLUMN colour TEXT"
_CHANGE_EVERY_ROW = "UPDATE notes SET text = text || '.'"
_SAME, _ALL_ROWS, _COLUMN = "sqlite3: the same statement", "sqlite3: UPDATE of every row", "sqlite3: ADD COLUMN"
_BACKUP = "sqlite3: backup call"
_OF_EVERY_TENTH = "UPDATE files SET colour = 'blue' WHERE id % 10 = 0"


def _pack(folder: Path, *statements: str) -> MigrationPack:
    """Write a folder pack with a migration for each statement."""
    folder.mkdir(parents=True)
    for version, sql in enumerate(statements, start=1):
        (folder / f"{version:03}_step.sql").write_text(f"{sql};\n", encoding="utf-8")
    return MigrationPack(folder.name, folder)


def _make(path: Path, *scripts: str) -> None:
    """Make a database fast; it is synced at the end."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        for script in scripts:
            connection.executescript(f"BEGIN; {script}; COMMIT;")


def _applied(template: Path, pack: MigrationPack, *, backup: bool = False) -> Callable[[], float]:
    """Return what measures applying a pack to a copy of a database."""
    return _on_a_copy(template, lambda path: MigrationRunner(path, [pack], backup=backup).apply())


def _on_a_copy(template: Path, work: Callable[[Path], object]) -> Callable[[], float]:
    """Return what measures work on a copy of a database, without making the copy."""

    def run() -> float:
        place = template.parent / "work"
        place.mkdir()
        path = place / template.name
        shutil.copyfile(template, path)
        settle(path)
        if hasattr(os, "sync"):
            os.sync()  # or the first measured sync would wait for the copy
        started = time.perf_counter()
        work(path)
        seconds = time.perf_counter() - started
        shutil.rmtree(place)
        return seconds

    return run


def _plain(statements: Sequence[str]) -> Callable[[Path], None]:
    def run(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(statement)
                connection.execute("COMMIT")

    return run


def _looks(path: Path, pack: MigrationPack, number: int) -> list[Work]:
    return [
        Work("start with nothing to do", repeated(lambda: MigrationRunner(path, [pack]).apply(), number), LOOK),
        Work("status", repeated(lambda: MigrationRunner(path, [pack]).status(), number), LOOK),
        Work("validate", repeated(lambda: MigrationRunner(path, [pack]).validate(), 1)),
        Work(LOOK, repeated(lambda: plain_look(path), number), floor=True),
    ]


@contextmanager
def tables(folder: Path, size: int) -> Iterator[list[Work]]:
    """Prepare a database with that many tables of its application, and one migration."""
    template, current = folder / "homie_app.db", folder / "current.db"
    _make(template, ";".join(f"CREATE TABLE own_{number} (id INTEGER PRIMARY KEY, text TEXT)" for number in range(size)))
    pack = _pack(folder / "tags", _ADD_TABLE)
    shutil.copyfile(template, current)
    MigrationRunner(current, [pack], backup=False).apply()
    yield [
        Work("apply one migration, no snapshot", _applied(template, pack), _SAME),
        Work("apply one migration, with a snapshot", _applied(template, pack, backup=True), _SAME),
        Work(_SAME, _on_a_copy(template, _plain([_ADD_TABLE])), floor=True),
        *_looks(current, pack, times(size)),
    ]


@contextmanager
def rows(folder: Path, size: int) -> Iterator[list[Work]]:
    """Prepare a table of that many rows, each of which refers to another table, and migrations that change it."""
    template, current = folder / "homie_notes.db", folder / "current.db"
    _make(
        template,
        "CREATE TABLE folders (id INTEGER PRIMARY KEY, name TEXT);"
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, folder INTEGER REFERENCES folders (id), text TEXT);"
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99) "
        "INSERT INTO folders SELECT i, 'folder' FROM n;"
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {size}) "
        "INSERT INTO notes SELECT i, i % 100, 'note number ' || i FROM n",
    )
    column, every_row = _pack(folder / "column", _ADD_COLUMN), _pack(folder / "every_row", _CHANGE_EVERY_ROW)
    shutil.copyfile(template, current)
    MigrationRunner(current, [column], backup=False).apply()
    yield [
        Work("apply: UPDATE of every row", _applied(template, every_row), _ALL_ROWS),
        Work(_ALL_ROWS, _on_a_copy(template, _plain([_CHANGE_EVERY_ROW])), floor=True),
        Work("apply: ADD COLUMN", _applied(template, column), _COLUMN),
        Work(_COLUMN, _on_a_copy(template, _plain([_ADD_COLUMN])), floor=True),
        *_looks(current, column, times(100)),
    ]


def _copy(source: Path, target: Path) -> None:
    """Copy with SQLite's own backup call, which syncs at its end."""
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


@contextmanager
def megabytes(folder: Path, size: int) -> Iterator[list[Work]]:
    """Prepare a database of that many megabytes, with rows of about a kilobyte."""
    template = folder / "homie_files.db"
    _make(
        template,
        "CREATE TABLE files (id INTEGER PRIMARY KEY, folder INTEGER, name TEXT, colour TEXT, content BLOB);"
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {size * 1_000}) "
        "INSERT INTO files SELECT i, i % 1000, 'file number ' || i, NULL, randomblob(930) FROM n",
    )
    pack = _pack(folder / "files", _OF_EVERY_TENTH)
    runner = MigrationRunner(template, [pack])
    snapshot = runner.backup()
    target = folder / "copy.db"

    def without_new_snapshots(work: Callable[[], object]) -> Callable[[], float]:
        def run() -> float:
            if hasattr(os, "sync"):
                os.sync()
            started = time.perf_counter()
            work()
            seconds = time.perf_counter() - started
            target.unlink(missing_ok=True)
            for each in (folder / FOLDER).rglob("*.db"):
                if each != snapshot:
                    each.unlink()
            return seconds

        return run

    yield [
        Work("snapshot", without_new_snapshots(runner.backup), _BACKUP),
        Work("restore", without_new_snapshots(lambda: runner.restore(snapshot)), _BACKUP),
        Work("rehearse: UPDATE of every tenth row", without_new_snapshots(runner.rehearse), _BACKUP),
        Work("validate", without_new_snapshots(runner.validate)),
        Work(_BACKUP, without_new_snapshots(lambda: _copy(template, target)), floor=True),
    ]
