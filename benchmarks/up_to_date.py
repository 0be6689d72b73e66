"""A call with nothing to do, in one process: what a long-running application pays each time."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.fixtures import make_pack
from benchmarks.measuring import Candidate, CommandFailed, Comparison, repeated
from homie_migrations_core import MigrationPack, MigrationRunner, run_migrations

GOAL = 3.0


def comparisons(folder: Path) -> Iterator[Comparison]:
    for migrations, calls in ((20, 40), (500, 10)):
        pack = make_pack(folder / f"pack_{migrations}", migrations)
        path = str(folder / f"nothing_{migrations}.db")
        run_migrations(path, [pack], backup=False)
        runner, function = partial(_apply_by_runner, path, pack), partial(run_migrations, path, [pack])
        yield Comparison(
            f"1. Nothing to do, in process, {migrations} migrations in a folder",
            [
                Candidate("sqlite3: connect, SELECT version, close", repeated(partial(_select, path), calls)),
                Candidate("MigrationRunner(path, packs=[pack]).apply()", repeated(_checked(runner), calls), GOAL),
                Candidate("run_migrations(path, [pack])", repeated(_checked(function), calls), GOAL),
            ],
            rounds=41,
            budget=10,
        )


def _select(path: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute("SELECT version FROM schema_migrations").fetchall()
    connection.close()


def _apply_by_runner(path: str, pack: MigrationPack) -> object:
    return MigrationRunner(path, packs=[pack]).apply()


def _checked(call: Callable[[], object]) -> Callable[[], object]:
    """Return the call, after it has said once that there is nothing to do."""
    if call():
        raise CommandFailed("the database was not up to date")
    return call
