"""
What a pack must pass before it is shipped: file rules, a new database, a round trip with rows, hazards.

Each migration is really run, by the same `Execution` that migrates real databases, on files that are thrown away.
Opens no other database. The parts are `from_nothing.py` and `round_trip.py`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from homie_migrations_core.authoring.findings import FILE_CODES, FROM_NOTHING_CODES, HAZARD_CODES, ROUND_TRIP_CODES
from homie_migrations_core.authoring.from_nothing import check_new_database
from homie_migrations_core.authoring.round_trip import check_round_trips
from homie_migrations_core.authoring.scratch_databases import SCRATCH
from homie_migrations_core.authoring.tested_pack import TestedPack
from homie_migrations_core.errors import RunStopped
from homie_migrations_core.model import Finding
from homie_migrations_core.packs.definition import MigrationPack
from homie_migrations_core.stopping import Stopped, StopRequest


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of a check of one pack."""

    pack: str
    migrations: tuple[str, ...]
    """The refs that were checked."""
    findings: tuple[Finding, ...]
    """All findings, including those that were accepted."""
    notes: tuple[str, ...] = ()
    """What could not be checked, and why."""

    @property
    def passed(self) -> bool:
        """Whether nothing was found but what the author accepts."""
        return all(finding.accepted is not None for finding in self.findings)


def check_pack(pack: MigrationPack, others: Sequence[MigrationPack] = (), *, stop: StopRequest | None = None) -> Checked:
    """
    Check everything about a pack; `others` are the packs of the same database, which it may require.

    Raises:
        RunStopped: `stop` asked for it.
    """
    with _testing(pack, others, stop) as tested:
        _check_file_rules(tested)
        check_new_database(tested)
        check_round_trips(tested)
        tested.findings.note_unused_acceptances()
    refs = tuple(migration.ref for migration in tested.migrations)
    return Checked(pack.name, refs, tested.findings.in_order(refs), tested.findings.notes)


def check_files(pack: MigrationPack, others: Sequence[MigrationPack] = ()) -> list[Finding]:
    """Check the file rules only. No migration is run."""
    return _check_part(pack, others, FILE_CODES, _check_file_rules)


def check_from_nothing(pack: MigrationPack, others: Sequence[MigrationPack] = ()) -> list[Finding]:
    """Check that the pack applies to a new database, with the same schema in one jump and step by step."""
    return _check_part(pack, others, FROM_NOTHING_CODES, check_new_database)


def check_round_trip(pack: MigrationPack, others: Sequence[MigrationPack] = ()) -> list[Finding]:
    """Check that each migration can be applied to tables that hold rows, rolled back, and applied again."""
    return _check_part(pack, others, ROUND_TRIP_CODES, check_round_trips)


def check_hazards(pack: MigrationPack, others: Sequence[MigrationPack] = ()) -> list[Finding]:
    """Check for what works and does harm."""
    return _check_part(pack, others, {*HAZARD_CODES, "undeclared_requirement"}, check_round_trips)


def _check_part(
    pack: MigrationPack, others: Sequence[MigrationPack], codes: Collection[str], part: Callable[[TestedPack], None]
) -> list[Finding]:
    with _testing(pack, others, None) as tested:
        part(tested)
    return [finding for finding in tested.findings.found if finding.code in codes]


@contextmanager
def _testing(pack: MigrationPack, others: Sequence[MigrationPack], stop: StopRequest | None) -> Iterator[TestedPack]:
    with tempfile.TemporaryDirectory(prefix="homie-check-") as folder:
        try:
            yield TestedPack(pack, others, Path(folder), stop or StopRequest())
        except Stopped as stopped:
            raise RunStopped(SCRATCH) from stopped


def _check_file_rules(tested: TestedPack) -> None:
    for problem in tested.unusable:
        tested.findings.add("file_rules", tested.name, f"{problem}.")
    for migration in tested.migrations:
        if migration.problem:
            tested.findings.add("file_rules", migration.ref, f"{migration.problem}.")
    tested.findings.add_unusable_acceptances()
