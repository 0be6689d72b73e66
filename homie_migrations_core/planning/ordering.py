"""
What runs before what: pending migrations by pack, version and requirement, applied ones by time and requirement.

Also which packs can't be ordered at all, because something that they require can't be there.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from homie_migrations_core.model import LeftOut, Migration, Pack, Record
from homie_migrations_core.packs.naming import split_ref
from homie_migrations_core.planning.lookup import Key, key_of, recorded_keys, records_of, shipped_migrations
from homie_migrations_core.planning.states import recorded_states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    from homie_migrations_core.values import dataclass

_Rank = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class PendingOrder:
    """The pending migrations in an order in which they can run, and the packs that can't be applied."""

    migrations: Mapping[Key, Migration]
    """In that order."""
    needs: Mapping[Key, Sequence[Key]]
    """For each of them, those among them that must run before it."""
    left_out: tuple[LeftOut, ...]


def order_pending(packs: Sequence[Pack], records: Sequence[Record]) -> PendingOrder:
    """
    Order what is pending by pack and version, but nothing before what it requires.

    A pack is left out as a whole if a pending file of it can't be used, or if it requires what can't be applied.
    """
    recorded, shipped = recorded_keys(records), shipped_migrations(packs)
    pending: dict[str, list[Migration]] = {name: [] for name in sorted(pack.name for pack in packs)}
    for key in sorted(shipped.keys() - recorded):
        pending[key[0]].append(shipped[key])
    left_out: dict[str, tuple[str, ...]] = {}
    while True:
        _leave_out_unusable(left_out, pending, shipped, recorded)
        needs = {
            key: needed
            for name, migrations in pending.items()
            if name not in left_out
            for key, needed in _needs(migrations, recorded)
        }
        try:
            order = sort_by_needs(needs)
        except CycleError as error:
            cycle = members_of_cycle(error)
            for name, _ in cycle:
                left_out.setdefault(name, (describe_cycle(cycle, shipped),))
            continue
        reasons = tuple(LeftOut(name, left_out[name]) for name in sorted(left_out))
        return PendingOrder({key: shipped[key] for key in order}, needs, reasons)


def _leave_out_unusable(
    left_out: dict[str, tuple[str, ...]],
    pending: Mapping[str, Sequence[Migration]],
    shipped: Mapping[Key, Migration],
    recorded: Collection[Key],
) -> None:
    """Add the packs that can't be applied to `left_out`, until no other pack requires one of them."""
    while True:
        found: dict[str, tuple[str, ...]] = {}
        for name, migrations in pending.items():
            reasons = [each.problem for each in migrations if each.problem]
            for each in migrations:
                reasons += _unmet_requirements(each, shipped, recorded, left_out)
            if reasons and name not in left_out:
                found[name] = tuple(reasons)
        if not found:
            return
        left_out.update(found)


def _unmet_requirements(
    migration: Migration, shipped: Mapping[Key, Migration], recorded: Collection[Key], left_out: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """Say which requirements of a pending migration are neither recorded nor about to be applied, and why."""
    for ref in migration.requires:
        key, parts = key_of(ref), split_ref(ref)
        if key in recorded:
            continue
        if key not in shipped or (parts and parts[2] not in (None, shipped[key].name)):
            yield f"{migration.ref} requires {ref}, which no usable pack of this database ships"
        elif key[0] in left_out and key[0] != migration.pack:
            why = " and ".join(left_out[key[0]])
            yield f"{migration.ref} requires {ref}, and the pack {key[0]} can't be applied because {why}"


def _needs(migrations: Sequence[Migration], recorded: Collection[Key]) -> Iterator[tuple[Key, list[Key]]]:
    """Return for each pending migration of a pack the one before it and what it requires, unless that is recorded."""
    previous: list[Key] = []
    for migration in migrations:
        key = (migration.pack, migration.version)
        yield key, previous + [needed for ref in migration.requires if (needed := key_of(ref)) not in recorded]
        previous = [key]


def order_applied(packs: Sequence[Pack], records: Sequence[Record], *, replaced: bool = False) -> list[Migration]:
    """
    Return the applied migrations that are still shipped, in the order in which they took effect.

    That is the order of the records, but nothing comes before what it requires. With `replaced`, a migration that now
    has the number of another, recorded one is in its place.
    """
    shipped, ranks = shipped_migrations(packs), rank_by_time(records)
    applied = {
        (pack.name, status.version)
        for pack in packs
        for status in recorded_states(pack, records_of(pack.name, records))
        if (pack.name, status.version) in shipped and (replaced or status.state != "replaced")
    }
    needs = {key: [needed for ref in shipped[key].requires if (needed := key_of(ref)) in applied] for key in applied}

    def rank(key: Key) -> _Rank:
        return ranks[key], *key

    try:
        order = sort_by_needs(needs, rank)
    except CycleError:  # their files were edited since: when they were applied, they did not require each other
        order = sorted(applied, key=rank)
    return [shipped[key] for key in order]


def rank_by_time(records: Iterable[Record]) -> dict[Key, int]:
    """
    Give each record its number in the order in which they were written.

    The sequence decides before the time: a clock may go back, and it tells only seconds.
    """
    ordered = sorted(records, key=lambda each: (each.sequence, str(each.applied_at or ""), each.version, each.pack or ""))
    return {(record.pack, record.version): number for number, record in enumerate(ordered) if record.pack is not None}


def find_unmet(packs: Sequence[Pack], records: Sequence[Record]) -> list[tuple[Migration, str]]:
    """Return each applied migration with each of its requirements that is not applied."""
    recorded = recorded_keys(records)
    return [
        (migration, ref)
        for key, migration in sorted(shipped_migrations(packs).items())
        if key in recorded
        for ref in migration.requires
        if key_of(ref) not in recorded
    ]


def sort_by_needs(needs: Mapping[Key, Sequence[Key]], rank: Callable[[Key], _Rank] = lambda key: key) -> list[Key]:
    """
    Sort by `rank` (by default pack and version), but put nothing before what it needs.

    Raises:
        CycleError: Some of them need each other.
    """
    by_rank, before = sorted(needs, key=rank), set[Key]()
    for key in by_rank:
        if not before.issuperset(needs[key]):
            break
        before.add(key)
    else:  # as nearly always: at each point, the first of the rest may run
        return by_rank
    sorter = TopologicalSorter(needs)
    sorter.prepare()
    ready: list[tuple[_Rank, Key]] = []
    order: list[Key] = []
    while sorter.is_active():
        for key in sorter.get_ready():
            heapq.heappush(ready, (rank(key), key))
        _, key = heapq.heappop(ready)
        order.append(key)
        sorter.done(key)
    return order


def members_of_cycle(error: CycleError) -> list[Key]:
    """Return what needs each other, each once."""
    return list(dict.fromkeys(error.args[1]))


def describe_cycle(cycle: Sequence[Key], shipped: Mapping[Key, Migration]) -> str:
    """Say which migrations require each other."""
    names = " and ".join(shipped[key].ref for key in cycle)
    return f"{names} require each other" if len(cycle) > 1 else f"{names} requires itself"
