"""A migrated database for each test of an application: what the fixture `migrated_database` adds to copying a file."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmarks.fixtures import make_pack
from benchmarks.measuring import Candidate, Comparison, repeated
from homie_migrations_core import MigrationRunner
from homie_migrations_core.authoring.database_templates import DatabaseTemplates
from homie_migrations_core.authoring.pack_choice import PackChoice
from homie_migrations_core.testing import MakesDatabases

CALLS = 20


def comparisons(folder: Path) -> Iterator[Comparison]:
    for migrations in (20, 200):
        pack = make_pack(folder / f"pack_{migrations}", migrations)
        place = folder / f"databases_{migrations}"
        place.mkdir()
        migrated = MakesDatabases(PackChoice(), DatabaseTemplates(place))
        template, numbers = migrated(pack), itertools.count()

        def copy(template: Path = template, place: Path = place, numbers: Iterator[int] = numbers) -> None:
            new = place / f"copy-{next(numbers)}"
            new.mkdir()
            shutil.copyfile(template, new / template.name)

        def fixture(migrated: MakesDatabases = migrated, pack: object = pack) -> None:
            migrated(pack)

        def migrate(place: Path = place, pack: object = pack, numbers: Iterator[int] = numbers) -> None:
            MigrationRunner(place / f"migrated-{next(numbers)}.db", [pack], backup=False).apply()

        yield Comparison(
            f"10. A database for one test, {migrations} migrations in a folder",
            [
                Candidate("a new folder and a copy of the file", repeated(copy, CALLS)),
                Candidate("migrated_database(pack)", repeated(fixture, CALLS), goal=5.0),
                Candidate("MigrationRunner(path, [pack]).apply()", repeated(migrate, 1)),
            ],
            rounds=21,
            budget=10,
        )
