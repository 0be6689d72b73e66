"""Find packs, migrations and records by pack name, version or ref. Decides nothing about them."""

from __future__ import annotations

from homie_migrations_core import errors
from homie_migrations_core.packs.naming import split_ref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from homie_migrations_core.model import Migration, Pack, Record

Key = tuple[str, int]
"""A pack's name and a version: what identifies a migration, whatever its file is called."""


def key_of(ref: str) -> Key:
    """Return the key of a ref that is known to be valid, such as one of `Migration.requires`."""
    parts = split_ref(ref)
    assert parts is not None
    return parts[0], parts[1]


def records_of(pack_name: str, records: Iterable[Record]) -> list[Record]:
    """Return the records of one pack."""
    return [record for record in records if record.pack == pack_name]


def recorded_keys(records: Iterable[Record]) -> set[Key]:
    """Return the keys of everything that is recorded. Rows that belong to no pack have none."""
    return {(record.pack, record.version) for record in records if record.pack is not None}


def shipped_migrations(packs: Iterable[Pack]) -> dict[Key, Migration]:
    """Return every migration of the packs by its key."""
    return {(pack.name, migration.version): migration for pack in packs for migration in pack.migrations}


def find_pack(packs: Sequence[Pack], name: str) -> Pack:
    """
    Return the pack of that name.

    Raises:
        UnknownPack: There is none.
    """
    for pack in packs:
        if pack.name == name:
            return pack
    raise errors.UnknownPack(name, [pack.name for pack in packs], for_database=True)


def find_target(packs: Sequence[Pack], ref: str) -> Migration:
    """
    Return the migration that `ref` names.

    Raises:
        UnknownTarget: There is none.
    """
    parts = split_ref(ref)
    if parts is None:
        raise errors.UnknownTarget.not_a_reference(ref)
    pack = next((each for each in packs if each.name == parts[0]), None)
    if pack is None:
        known = ", ".join(sorted(each.name for each in packs)) or "none"
        raise errors.UnknownTarget(ref, f"the packs of this database are: {known}", "Check the pack's name.")
    for migration in pack.migrations:
        if migration.version == parts[1] and parts[2] in (None, migration.name):
            return migration
    raise errors.UnknownTarget(
        ref, f"the newest migration of the pack {pack.name} is {pack.latest.name}", "`homie migrations status --all` lists them."
    )
