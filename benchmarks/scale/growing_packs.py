"""More migrations in a pack, and more packs."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks.fixtures import EARLIER_TABLE, FreshDatabases, make_pack, name_of, sql_of
from benchmarks.measuring import CommandFailed, repeated
from benchmarks.scale.rounds import Work
from homie_migrations_core import MigrationPack, MigrationRunner, run_migrations

MIGRATIONS_A_PACK = 5
LOOK, EACH = "sqlite3: connect, SELECT, close", "sqlite3: a transaction for each"
_PLAIN_PROCESS = "sqlite3: start of a process"
_PLUGIN = """from pathlib import Path

from homie_migrations_core import MigrationPack, hookimpl


@hookimpl
def homie_migration_packs():
    return MigrationPack({name!r}, Path(__file__).parent / {name!r}, "homie_items.db")
"""
_START = "import sys\nfrom homie_migrations_core import run_migrations\nassert run_migrations(sys.argv[1]) == 0\n"
_PLAIN_START = (
    "import sqlite3, sys\nconnection = sqlite3.connect(sys.argv[1])\n"
    "assert connection.execute('SELECT version FROM schema_migrations').fetchall()\nconnection.close()\n"
)


def _plain_apply(statements: Sequence[tuple[str, str]]) -> Callable[[str], None]:
    """Return what runs the statements as a script of one's own would: a transaction for each, with its record."""

    def apply(path: str) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute(EARLIER_TABLE)
            for version, (name, sql) in enumerate(statements, start=1):
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(sql)
                connection.execute("INSERT INTO schema_migrations (version, migration_name) VALUES (?, ?)", (version, name))
                connection.execute("COMMIT")

    return apply


def plain_look(path: Path) -> None:
    """Read the records, which is the least that a start has to do."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT version FROM schema_migrations").fetchall()


def times(size: int) -> int:
    """Return how often a short call is repeated, so that it is not lost in the noise of the clock."""
    return max(1, min(20, 2_000 // size))


def _looks(path: Path, packs: Sequence[MigrationPack], size: int) -> list[Work]:
    """Return the work that changes nothing, on a database that is up to date."""
    return [
        Work("start with nothing to do", repeated(lambda: run_migrations(path, packs), times(size)), LOOK),
        Work("status", repeated(lambda: MigrationRunner(path, packs).status(), times(size)), LOOK),
        Work("validate", repeated(lambda: MigrationRunner(path, packs).validate(), 1)),
        Work(LOOK, repeated(lambda: plain_look(path), times(size)), floor=True),
    ]


@contextmanager
def migrations(folder: Path, size: int) -> Iterator[list[Work]]:
    """Prepare one pack with that many migrations, each a CREATE TABLE."""
    pack, fresh, path = make_pack(folder / "items", size), FreshDatabases(folder / "new"), folder / "homie_items.db"
    run_migrations(path, [pack])
    into_new = fresh.timed(lambda at: run_migrations(at, [pack]), records=size, holds_a_table=False)
    plain = _plain_apply([(name_of(version), sql_of(version)) for version in range(1, size + 1)])
    yield [
        Work("apply all, existing database", fresh.timed(lambda at: run_migrations(at, [pack]), records=size), EACH),
        Work("apply all, new database", into_new, EACH),
        Work(EACH, fresh.timed(plain, records=size), floor=True),
        *_looks(path, [pack], size),
    ]


@contextmanager
def packs(folder: Path, size: int) -> Iterator[list[Work]]:
    """Prepare that many installed packs of one database, with a few migrations each."""
    site, fresh, path = folder / "site", FreshDatabases(folder / "new"), folder / "homie_items.db"
    made = [_install(site, f"items_{number}") for number in range(1, size + 1)]
    number = size * MIGRATIONS_A_PACK
    run_migrations(path, made)
    files = [file for pack in made for file in sorted(Path(pack.migrations).iterdir())]
    statements = [(file.stem, file.read_text(encoding="utf-8")) for file in files]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])}
    yield [
        Work("apply all, existing database", fresh.timed(lambda at: run_migrations(at, made), records=number), EACH),
        Work(EACH, fresh.timed(_plain_apply(statements), records=number), floor=True),
        Work("start of a process, packs installed", lambda: _process(_START, path, environment), _PLAIN_PROCESS),
        Work(_PLAIN_PROCESS, lambda: _process(_PLAIN_START, path, environment), floor=True),
        *_looks(path, made, number),
    ]


def _install(site: Path, name: str) -> MigrationPack:
    """Put a pack where it is found as an installed distribution."""
    folder = site / name
    folder.mkdir(parents=True)
    for version in range(1, MIGRATIONS_A_PACK + 1):
        sql = f"CREATE TABLE {name}_{version} (id INTEGER PRIMARY KEY);\n"
        (folder / f"{version:03}_step.sql").write_text(sql, encoding="utf-8")
    (site / f"{name}_plugin.py").write_text(_PLUGIN.format(name=name), encoding="utf-8")
    information = site / f"{name}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    (information / "entry_points.txt").write_text(f"[homie.migrations]\n{name} = {name}_plugin\n", encoding="utf-8")
    return MigrationPack(name, folder, "homie_items.db")


def _process(program: str, path: Path, environment: dict[str, str]) -> float:
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program, str(path)], env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        raise CommandFailed(done.stderr)
    return seconds
