"""The state of each pack in one database, and the one that is reported for the database."""

from __future__ import annotations

from homie_migrations_core.model import DatabaseStatus, PackStatus
from homie_migrations_core.planning.lookup import recorded_keys, records_of, shipped_migrations
from homie_migrations_core.planning.states import is_recorded, migration_states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from dataclasses import replace
    from pathlib import Path

    from homie_migrations_core.broken import BrokenPack
    from homie_migrations_core.model import Pack, Record, State
else:
    from homie_migrations_core.values import replace

_WORST_FIRST: tuple[State, ...] = ("broken", "ahead", "replaced", "late", "pending", "missing", "edited", "orphaned")


def describe_database(
    path: Path,
    packs: Sequence[Pack],
    broken: Sequence[BrokenPack],
    records: Sequence[Record],
    *,
    exists: bool,
    empty: bool,
    state: State | None = None,
    only: Collection[str] = (),
) -> DatabaseStatus:
    """
    Return the state of every pack in one database, or of each of those in `only`.

    `empty` says that the database holds nothing, whether the file exists or not. `state` is given if reading the file
    has decided everything already: interrupted, foreign.
    """
    left_out = _left_out(packs, records)
    if only:  # after the order is known: a pack may require one that is not shown
        packs = [pack for pack in packs if pack.name in only]
        broken = [each for each in broken if each.pack in only]
        records = [record for record in records if record.pack in only]
    found = {pack.name: _installed(pack, records, state, left_out.get(pack.name, ())) for pack in packs}
    for each in broken:
        if each.pack is not None and each.pack not in found:
            found[each.pack] = _broken(each.pack, each, records)
    for name in {record.pack for record in records if record.pack is not None} - found.keys():
        found[name] = _orphaned(name, records)
    if state is None:
        state = _of_database(found.values())
        if empty and state in ("pending", "up_to_date"):
            state = "new"
    return DatabaseStatus(path, exists, state, dict(sorted(found.items())), tuple(records))


def _left_out(packs: Sequence[Pack], records: Sequence[Record]) -> Mapping[str, tuple[str, ...]]:
    """Return the packs that can't be applied, and why. Without anything pending there is no such pack."""
    if shipped_migrations(packs).keys() <= recorded_keys(records):
        return {}
    from homie_migrations_core.planning.ordering import order_pending

    return {each.pack: each.reasons for each in order_pending(packs, records).left_out}


def _installed(pack: Pack, records: Sequence[Record], state: State | None, left_out: tuple[str, ...]) -> PackStatus:
    own = records_of(pack.name, records)
    migrations = migration_states(pack, own)
    states: list[State] = [each.state for each in migrations]
    if any(each.problem and not is_recorded(each) for each in migrations):
        states.append("broken")
    if state is not None:
        migrations = tuple(replace(each, state=state) for each in migrations)
    return PackStatus(
        pack.name,
        state or _worst(states),
        _newest(own),
        pack.latest.version,
        migrations,
        pack.distribution,
        pack.distribution_version,
        left_out,
    )


def _broken(name: str, broken: BrokenPack, records: Sequence[Record]) -> PackStatus:
    own = records_of(name, records)
    migrations = tuple(replace(each, state="broken") for each in migration_states(None, own))
    return PackStatus(
        name, "broken", _newest(own), 0, migrations, broken.distribution, broken.distribution_version, (broken.reason,)
    )


def _orphaned(name: str, records: Sequence[Record]) -> PackStatus:
    own = records_of(name, records)
    return PackStatus(name, "orphaned", _newest(own), 0, migration_states(None, own))


def _newest(records: Sequence[Record]) -> int:
    return max((record.version for record in records), default=0)


def _of_database(packs: Collection[PackStatus]) -> State:
    """Return the worst state. A pack that is not installed counts only where there is no other."""
    return _worst([each.state for each in packs if each.state != "orphaned"] or [each.state for each in packs])


def _worst(states: Collection[State]) -> State:
    return next((state for state in _WORST_FIRST if state in states), "up_to_date")
