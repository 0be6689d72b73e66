"""
The state of each migration: applied, pending, late, edited, replaced, ahead, missing or orphaned.

What a state means for a run is left to `applying`, `rolling_back` and `records`.
"""

from __future__ import annotations

from homie_migrations_core.model import MigrationStatus
from homie_migrations_core.planning.lookup import records_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from homie_migrations_core.model import Migration, Pack, Record, State


def migration_states(pack: Pack | None, records: Iterable[Record]) -> tuple[MigrationStatus, ...]:
    """
    Return every migration of one pack with its state, shipped or recorded, by version.

    `records` are the pack's own. A pack that is not installed is None.
    """
    shipped = {migration.version: migration for migration in pack.migrations} if pack else {}
    recorded = {record.version: record for record in records}
    newest_shipped, newest_recorded = max(shipped, default=0), max(recorded, default=0)
    found = []
    for version in sorted(shipped.keys() | recorded.keys()):
        migration, record = shipped.get(version), recorded.get(version)
        state: State
        if record is None:
            assert migration is not None
            state = "late" if version < newest_recorded else "pending"
            found.append(MigrationStatus(migration.ref, version, migration.name, state, None, migration.problem))
            continue
        if migration is not None:
            state = _compare(record, migration)
        else:
            state = "orphaned" if pack is None else "ahead" if version > newest_shipped else "missing"
        problem = migration.problem if migration else None
        found.append(MigrationStatus(record.ref, version, record.name, state, record.applied_at, problem))
    return tuple(found)


def _compare(record: Record, migration: Migration) -> State:
    """Say what a record is of the migration that is shipped with its number today."""
    if record.checksum is None or migration.checksum is None or record.checksum == migration.checksum:
        return "applied"
    return "edited" if record.name == migration.name else "replaced"


def is_recorded(status: MigrationStatus) -> bool:
    """Whether the database has a record of that migration, in order or not."""
    return status.state not in ("pending", "late")


def recorded_states(pack: Pack | None, records: Iterable[Record]) -> list[MigrationStatus]:
    """Return what `migration_states` returns, but only what is recorded."""
    return [status for status in migration_states(pack, records) if is_recorded(status)]


def find_late(packs: Sequence[Pack], records: Sequence[Record]) -> list[Migration]:
    """Return the migrations that are pending although a higher version of their pack is applied."""
    return [
        next(migration for migration in pack.migrations if migration.version == status.version)
        for pack in packs
        for status in migration_states(pack, records_of(pack.name, records))
        if status.state == "late"
    ]
