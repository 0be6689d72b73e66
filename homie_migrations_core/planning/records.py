"""
Changes of single records without running a migration: a baseline records, a repair corrects or removes.

Carrying them out is left to `running/records`.
"""

from __future__ import annotations

from collections.abc import Sequence

from homie_migrations_core.errors import BaselineRefused, RepairRefused, UnknownTarget
from homie_migrations_core.model import Migration, Pack, Record, Repair
from homie_migrations_core.packs.naming import split_ref
from homie_migrations_core.planning.lookup import find_pack, find_target, key_of, recorded_keys, records_of
from homie_migrations_core.planning.states import migration_states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import replace
else:
    from homie_migrations_core.values import replace


def plan_baseline(
    path: str, packs: Sequence[Pack], records: Sequence[Record], pack_name: str, version: int
) -> tuple[Migration, ...]:
    """
    Return the migrations up to `version` that are not recorded yet, to be recorded without being run.

    Raises:
        UnknownPack: There is no such pack.
        UnknownTarget: The pack has no such version.
        BaselineRefused: A record contradicts it, a requirement is not recorded, or a file can't be used; every reason.
    """
    pack = find_pack(packs, pack_name)
    find_target(packs, f"{pack_name}:{version}")
    up_to = [migration for migration in pack.migrations if migration.version <= version]
    recorded = recorded_keys(records)
    after = recorded | {(pack_name, migration.version) for migration in up_to}
    shipped = {migration.version: migration.name for migration in pack.migrations}
    problems = [
        f"{each.ref} is recorded where the pack now ships {shipped[each.version]}"
        for each in migration_states(pack, records_of(pack_name, records))
        if each.state == "replaced"
    ]
    problems += [
        f"{migration.ref} requires {ref}, which is not recorded"
        for migration in up_to
        for ref in migration.requires
        if key_of(ref) not in after
    ]
    problems += [migration.problem for migration in up_to if migration.problem]
    if problems:
        raise BaselineRefused(path, problems)
    return tuple(migration for migration in up_to if (pack_name, migration.version) not in recorded)


def plan_repair(path: str, packs: Sequence[Pack], records: Sequence[Record], ref: str, *, remove: bool = False) -> Repair:
    """
    Return what becomes of the record that `ref` names.

    The record of an edited migration gets the checksum of its file of today. The record of a migration that is not
    shipped, or is shipped under another name, is removed. With `remove` any record is.

    Raises:
        UnknownTarget: `ref` is not valid, or nothing is recorded under it.
        RepairRefused: The record is in order.
    """
    parts = split_ref(ref)
    if parts is None:
        raise UnknownTarget.not_a_reference(ref, "`homie migrations history` lists what is recorded.")
    pack = next((each for each in packs if each.name == parts[0]), None)
    own = records_of(parts[0], records)
    record = next((each for each in own if each.version == parts[1] and parts[2] in (None, each.name)), None)
    if record is None:
        raise UnknownTarget(ref, f"{path} has no record of it", "`homie migrations history` lists what is recorded.")
    state = next(each.state for each in migration_states(pack, own) if each.version == record.version)
    if remove or state in ("missing", "ahead", "orphaned", "replaced"):
        return Repair(record, None)
    if state != "edited" or pack is None:
        raise RepairRefused(path, record.ref)
    shipped = next(migration for migration in pack.migrations if migration.version == record.version)
    return Repair(record, replace(record, checksum=shipped.checksum))
