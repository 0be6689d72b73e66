"""
To which pack the rows of an earlier tracking table, which has no pack names, belong.

Converting that table is left to `sqlite/tracking`.
"""

from __future__ import annotations

from homie_migrations_core.errors import OwnerUnclear
from homie_migrations_core.packs.naming import owner_in_file_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from dataclasses import replace

    from homie_migrations_core.broken import BrokenPack
    from homie_migrations_core.errors import RunRefused
    from homie_migrations_core.model import Pack, Record
else:
    from homie_migrations_core.values import replace


def find_owner(file_name: str, packs: Sequence[Pack], broken: Sequence[BrokenPack]) -> str | None:
    """
    Return the pack that owns rows without a pack name, or None if several packs could.

    A name like `homie_x.db` decides it. For other names it is the only pack in `packs` and `broken`, or else the only
    one among them that targets a file of this name.
    """
    named = owner_in_file_name(file_name)
    if named is not None:
        return named
    targets = {pack.name: pack.database for pack in packs} | {each.pack: each.database for each in broken if each.pack}
    candidates = [name for name in targets if len(targets) == 1 or targets[name] == file_name]
    return candidates[0] if len(candidates) == 1 else None


def attribute_records(
    path: str, records: Sequence[Record], owner: str | None, packs: Sequence[Pack]
) -> tuple[tuple[Record, ...], RunRefused | None]:
    """
    Return the rows of an earlier table as records of their owner, and why they must not be converted, if so.

    Without an owner the rows stay without a pack and count for none.
    """
    if owner is None:
        return tuple(records), OwnerUnclear(path, "more than one pack could have written it") if records else None
    attributed = tuple(replace(record, pack=owner) for record in records)
    pack = next((each for each in packs if each.name == owner), None)
    if pack is None:
        return attributed, None
    shipped = {migration.version for migration in pack.migrations}
    # Rows above the newest shipped version come from a newer release: that is `ahead`, and no contradiction.
    strange = [each.ref for each in attributed if each.version not in shipped and each.version <= pack.latest.version]
    if strange:
        return attributed, OwnerUnclear(path, f"the pack {owner} never shipped {', '.join(strange)}, which it records")
    return attributed, None
