"""Nothing to do, in one process: the call that a long-running application makes again."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.measuring import Candidate, CommandFailed, Comparison, repeated
from benchmarks.scenes import make_pack
from homie_migrations_core import MigrationRunner, run_migrations

GOAL = 3.0


def comparisons(folder: Path) -> Iterator[Comparison]:
    for migrations, calls in ((20, 40), (500, 10)):
        pack = make_pack(folder / f"pack_{migrations}", migrations)
        path = str(folder / f"nothing_{migrations}.db")
        run_migrations(path, [pack], backup=False)

        def floor(path: str = path) -> None:
            connection = sqlite3.connect(path)
            connection.execute("SELECT version FROM schema_migrations").fetchall()
            connection.close()

        def runner(path: str = path, packs: tuple = (pack,)) -> object:
            return MigrationRunner(path, packs=packs).apply()

        def function(path: str = path, packs: tuple = (pack,)) -> object:
            return run_migrations(path, packs)

        yield Comparison(
            f"1. Nothing to do, in process, {migrations} migrations in a folder",
            [
                Candidate("sqlite3: connect, SELECT version, close", repeated(floor, calls)),
                Candidate("MigrationRunner(path, packs=[pack]).apply()", repeated(_checked(runner), calls), GOAL),
                Candidate("run_migrations(path, [pack])", repeated(_checked(function), calls), GOAL),
            ],
            rounds=41,
            budget=10,
        )


def _checked(call: Callable[[], object]) -> Callable[[], object]:
    if call():
        raise CommandFailed("the database was not up to date")
    return call
