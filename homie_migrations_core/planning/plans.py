"""
Packs + records + a target → states and a plan, or every reason why not.

Pure: no file, no clock, no database. The same input gives the same plan or the same refusal.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from homie_migrations_core.broken import BrokenPack
from homie_migrations_core.errors import (
    BaselineRefused,
    DatabaseIsAhead,
    MigrationLate,
    MigrationReplaced,
    OwnerUnclear,
    RepairRefused,
    RollbackRefused,
    RunRefused,
    UnknownPack,
    UnknownTarget,
)
from homie_migrations_core.model import (
    DatabaseStatus,
    LeftOut,
    Migration,
    MigrationStatus,
    Pack,
    PackStatus,
    Plan,
    Record,
    Repair,
    State,
    Step,
)
from homie_migrations_core.packs.naming import owner_in_file_name, split_ref

_WORST_FIRST: tuple[State, ...] = ("broken", "ahead", "replaced", "late", "pending", "missing", "edited", "orphaned")


# --- whose rows ---------------------------------------------------------------------------------------


def find_owner(file_name: str, packs: Sequence[Pack], broken: Sequence[BrokenPack]) -> str | None:
    """
    The pack to which rows without a pack's name belong; None if several could be.

    `packs` and `broken` are those at hand for the file. Of several, the one that names the file counts.
    """
    named = owner_in_file_name(file_name)
    if named is not None:
        return named
    known = {pack.name: pack.database for pack in packs} | {each.pack: each.database for each in broken if each.pack}
    candidates = [name for name in known if len(known) == 1 or known[name] == file_name]
    return candidates[0] if len(candidates) == 1 else None


def attribute(
    path: str, records: Sequence[Record], owner: str | None, packs: Sequence[Pack]
) -> tuple[tuple[Record, ...], RunRefused | None]:
    """
    The rows of an earlier table, given to their owner; and why nobody may convert them, if so.

    Without an owner the rows stay without one, and count for no pack.
    """
    if owner is None:
        return tuple(records), OwnerUnclear(path, "more than one pack could have written it") if records else None
    given = tuple(replace(record, pack=owner) for record in records)
    pack = next((each for each in packs if each.name == owner), None)
    shipped = {migration.version for migration in pack.migrations} if pack else set()
    strange = [record.ref for record in given if pack and record.version not in shipped and record.version <= pack.latest.version]
    if strange:
        return given, OwnerUnclear(path, f"{', '.join(strange)} is nothing that the pack {owner} ships")
    return given, None


# --- states -------------------------------------------------------------------------------------------


def migration_states(pack: Pack | None, records: Iterable[Record]) -> tuple[MigrationStatus, ...]:
    """Every migration of one pack, shipped or recorded, by version. `records` are the pack's own."""
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
        if migration is None:
            state = "orphaned" if pack is None else "ahead" if version > newest_shipped else "missing"
        elif record.checksum in (None, migration.checksum) or migration.checksum is None:
            state = "applied"
        else:
            state = "edited" if record.name == migration.name else "replaced"
        found.append(
            MigrationStatus(record.ref, version, record.name, state, record.applied_at, migration.problem if migration else None)
        )
    return tuple(found)


def describe(
    path: Path,
    packs: Sequence[Pack],
    broken: Sequence[BrokenPack],
    records: Sequence[Record],
    *,
    exists: bool,
    empty: bool,
    state: State | None = None,
) -> DatabaseStatus:
    """
    Where every pack stands in one database. `empty` means that nothing is in it, whether it exists or not.

    `state` is what reading it already found out, if that decides everything: interrupted, foreign.
    """
    found: dict[str, PackStatus] = {}
    left_out = {each.pack: each.reason for each in _order_pending(packs, records)[0]}
    for pack in packs:
        own = [record for record in records if record.pack == pack.name]
        migrations = migration_states(pack, own)
        unusable = any(each.problem and each.state in ("pending", "late") for each in migrations)
        if state is not None:
            migrations = tuple(replace(each, state=state) for each in migrations)
        found[pack.name] = PackStatus(
            pack.name,
            state or _worst([each.state for each in migrations] + (["broken"] if unusable else [])),
            max((record.version for record in own), default=0),
            pack.latest.version,
            migrations,
            pack.distribution,
            pack.distribution_version,
            left_out.get(pack.name),
        )
    for each in broken:
        if each.pack is not None and each.pack not in found:
            own = [record for record in records if record.pack == each.pack]
            found[each.pack] = PackStatus(
                each.pack,
                "broken",
                max((record.version for record in own), default=0),
                0,
                tuple(replace(one, state="broken") for one in migration_states(None, own)),
                each.distribution,
                each.distribution_version,
                each.reason,
            )
    for name in sorted({record.pack for record in records if record.pack and record.pack not in found}):
        own = [record for record in records if record.pack == name]
        found[name] = PackStatus(name, "orphaned", max(record.version for record in own), 0, migration_states(None, own))
    if state is None:
        known = [status.state for status in found.values() if status.state != "orphaned"]
        state = _worst(known or [status.state for status in found.values()])
        if empty and state in ("pending", "up_to_date"):
            state = "new"
    return DatabaseStatus(path, exists, state, dict(sorted(found.items())), tuple(records))


def _worst(states: Collection[str]) -> State:
    return next((state for state in _WORST_FIRST if state in states), "up_to_date")


# --- plans --------------------------------------------------------------------------------------------


def plan_apply(
    path: str,
    packs: Sequence[Pack],
    records: Sequence[Record],
    *,
    to: str | None = None,
    only: Collection[str] = (),
    allow_late: bool = False,
) -> Plan:
    """
    The steps that bring a database up to date, in an order in which nothing runs before what it requires.

    `to` stops at one migration and takes only what that requires; `only` does the same for whole packs.
    Packs that cannot be applied are left out, and with them those whose pending migrations require them.

    Raises:
        RunRefused: The database is ahead, or a migration is replaced or late; every reason at once.
        UnknownTarget: `to` names nothing in `packs`.
        UnknownPack: `only` names a pack that is not there.
    """
    states = {pack.name: migration_states(pack, [r for r in records if r.pack == pack.name]) for pack in packs}
    wanted = _wanted(packs, to, only)
    _refuse(path, packs, states, allow_late=allow_late)
    left_out, order = _order_pending(packs, records)
    chosen = _required_by(wanted, order) if wanted is not None else None
    left_out = [each for each in left_out if wanted is None or each.pack in wanted]
    edited = tuple(each.ref for name in sorted(states) for each in states[name] if each.state == "edited")
    steps = tuple(Step(migration) for key, (migration, _) in order.items() if chosen is None or key in chosen)
    return Plan(steps, tuple(left_out), edited)


def find_target(packs: Sequence[Pack], ref: str) -> Migration:
    """
    The migration that `ref` names.

    Raises:
        UnknownTarget: There is none.
    """
    parts = split_ref(ref)
    if parts is None:
        raise UnknownTarget(ref, "a target looks like pack:3 or pack:003_words", "`homie migrations status` shows them all.")
    pack = next((each for each in packs if each.name == parts[0]), None)
    if pack is None:
        have = ", ".join(sorted(each.name for each in packs)) or "none"
        raise UnknownTarget(ref, f"the packs of this database are: {have}", "Check the pack's name.")
    for migration in pack.migrations:
        if migration.version == parts[1] and parts[2] in (None, migration.name):
            return migration
    raise UnknownTarget(ref, f"the pack {pack.name} ends at {pack.latest.name}", "`homie migrations status` shows its migrations.")


def _wanted(packs: Sequence[Pack], to: str | None, only: Collection[str]) -> dict[str, int] | None:
    known = {pack.name: pack for pack in packs}
    for name in only:
        if name not in known:
            raise UnknownPack(name, known, where="usable for this database")
    if to is not None:
        target = find_target(packs, to)
        return {target.pack: target.version}
    return {name: known[name].latest.version for name in only} or None


def _refuse(path: str, packs: Sequence[Pack], states: Mapping[str, Sequence[MigrationStatus]], *, allow_late: bool) -> None:
    reasons: list[RunRefused] = []
    for pack in packs:
        found = states[pack.name]
        if ahead := [each.ref for each in found if each.state == "ahead"]:
            reasons.append(DatabaseIsAhead(path, pack.name, ahead, pack.latest.name))
        if replaced := [each for each in found if each.state == "replaced"]:
            shipped = {migration.version: migration.name for migration in pack.migrations}
            reasons.append(MigrationReplaced(path, [(each.ref, shipped[each.version]) for each in replaced]))
        if not allow_late and (late := [each for each in found if each.state == "late"]):
            newest = [each for each in found if each.state not in ("pending", "late")][-1]
            reasons.append(MigrationLate(path, [(each.ref, newest.name) for each in late]))
    if reasons:
        raise RunRefused.for_all(reasons)


_Key = tuple[str, int]
_Rank = tuple[str | int, ...]
_Order = dict[_Key, tuple[Migration, list[_Key]]]


def _order_pending(packs: Sequence[Pack], records: Sequence[Record]) -> tuple[list[LeftOut], _Order]:
    recorded = {(record.pack, record.version) for record in records}
    pending = {pack.name: [each for each in pack.migrations if (pack.name, each.version) not in recorded] for pack in packs}
    return _order(packs, pending, recorded)


def _order(
    packs: Sequence[Pack], pending: Mapping[str, Sequence[Migration]], recorded: Collection[tuple[str | None, int]]
) -> tuple[list[LeftOut], _Order]:
    """Every pending migration with what it waits for, in an order that can be run; and the packs that can't."""
    shipped = {(pack.name, migration.version): migration for pack in packs for migration in pack.migrations}
    excluded: dict[str, str] = {}
    for name, migrations in pending.items():
        if problems := [each.problem for each in migrations if each.problem]:
            excluded[name] = "; ".join(problems)
    while True:
        waits_for: dict[_Key, list[_Key]] = {}
        before = len(excluded)
        for name, migrations in sorted(pending.items()):
            previous: _Key | None = None
            for migration in migrations:
                needs: list[_Key] = [previous] if previous else []
                for ref in migration.requires:
                    if reason := _why_unmet(ref, migration, shipped, recorded, excluded):
                        excluded.setdefault(name, reason)
                    elif (key := _key(ref)) not in recorded:
                        needs.append(key)
                waits_for[name, migration.version] = needs
                previous = (name, migration.version)
        if len(excluded) > before:
            continue
        waits_for = {key: needs for key, needs in waits_for.items() if key[0] not in excluded}
        try:
            keys = _sorted(waits_for)
        except CycleError as error:
            ring = list(dict.fromkeys(error.args[1]))
            words = " and ".join(shipped[key].ref for key in ring)
            for key in ring:
                excluded.setdefault(key[0], f"{words} require each other" if len(ring) > 1 else f"{words} requires itself")
            continue
        left_out = [LeftOut(name, reason) for name, reason in sorted(excluded.items())]
        return left_out, {key: (shipped[key], waits_for[key]) for key in keys}


def _key(ref: str) -> _Key:
    parts = split_ref(ref)
    assert parts is not None
    return parts[0], parts[1]


def _why_unmet(
    ref: str,
    migration: Migration,
    shipped: Mapping[_Key, Migration],
    recorded: Collection[tuple[str | None, int]],
    excluded: Mapping[str, str],
) -> str | None:
    key, parts = _key(ref), split_ref(ref)
    if key in recorded:
        return None
    if key not in shipped or (parts and parts[2] not in (None, shipped[key].name)):
        return f"{migration.ref} requires {ref}, which no usable pack of this database ships"
    if key[0] in excluded and key[0] != migration.pack:
        return f"{migration.ref} requires {ref}, and {key[0]} can't be applied ({excluded[key[0]]})"
    return None


def _sorted(waits_for: Mapping[_Key, Sequence[_Key]], rank: Callable[[_Key], _Rank] = lambda key: key) -> list[_Key]:
    """By pack and version, or by `rank`, but for what is required."""
    sorter = TopologicalSorter(waits_for)
    sorter.prepare()
    ready: list[tuple[_Rank, _Key]] = []
    order: list[_Key] = []
    while sorter.is_active():
        for key in sorter.get_ready():
            heapq.heappush(ready, (rank(key), key))
        _, key = heapq.heappop(ready)
        order.append(key)
        sorter.done(key)
    return order


def _required_by(wanted: Mapping[str, int], order: _Order) -> set[_Key]:
    open_ends = [key for key in order if key[0] in wanted and key[1] <= wanted[key[0]]]
    chosen: set[_Key] = set()
    while open_ends:
        key = open_ends.pop()
        if key not in chosen:
            chosen.add(key)
            open_ends += order[key][1]
    return chosen


def order_applied(packs: Sequence[Pack], records: Sequence[Record], *, replaced: bool = False) -> list[Migration]:
    """
    The recorded migrations that are shipped, in the order in which they took effect: by time, and nothing before what it requires.

    With `replaced`, also those that now have the number of another one that is recorded.
    """
    shipped = {(pack.name, migration.version): migration for pack in packs for migration in pack.migrations}
    ranks = _in_time(records)
    applied: set[_Key] = set()
    for pack in packs:
        own = [record for record in records if record.pack == pack.name]
        for each in migration_states(pack, own):
            key = (pack.name, each.version)
            if key in shipped and each.state not in ("pending", "late") and (replaced or each.state != "replaced"):
                applied.add(key)
    waits_for = {key: [_key(ref) for ref in shipped[key].requires if _key(ref) in applied] for key in applied}
    try:
        keys = _sorted(waits_for, lambda key: (ranks[key], *key))
    except CycleError:  # then they were not what they are today when they were applied
        keys = sorted(applied, key=lambda key: (ranks[key], *key))
    return [shipped[key] for key in keys]


def _in_time(records: Sequence[Record]) -> dict[tuple[str | None, int], int]:
    """The place of each record in the order in which they were written: a clock may go back, and tells only seconds."""
    ordered = sorted(records, key=lambda each: (each.sequence, str(each.applied_at or ""), each.version, each.pack or ""))
    return {(record.pack, record.version): number for number, record in enumerate(ordered)}


def find_late(packs: Sequence[Pack], records: Sequence[Record]) -> list[Migration]:
    """The migrations that are pending although a newer one of their pack is applied."""
    return [
        next(migration for migration in pack.migrations if migration.version == each.version)
        for pack in packs
        for each in migration_states(pack, [record for record in records if record.pack == pack.name])
        if each.state == "late"
    ]


def find_unmet(packs: Sequence[Pack], records: Sequence[Record]) -> list[tuple[Migration, str]]:
    """Each applied migration with each of its requirements that is not applied."""
    recorded = {(record.pack, record.version) for record in records}
    return [
        (migration, ref)
        for pack in packs
        for migration in pack.migrations
        if (pack.name, migration.version) in recorded
        for ref in migration.requires
        if _key(ref) not in recorded
    ]


def plan_rollback(
    path: str, packs: Sequence[Pack], records: Sequence[Record], pack_name: str, *, to: int | None = None, steps: int = 1
) -> Plan:
    """
    The steps that roll one pack back, newest first: `steps` of them, or until `to` is the newest that is applied.

    Raises:
        UnknownPack: The pack is not there.
        RollbackRefused: Some of it can't be rolled back, or others require it; every reason, and nothing is begun.
    """
    pack = next((each for each in packs if each.name == pack_name), None)
    if pack is None:
        raise UnknownPack(pack_name, [each.name for each in packs], where="usable for this database")
    shipped = {migration.version: migration for migration in pack.migrations}
    if to is not None and to != 0 and to not in shipped and to not in {r.version for r in records if r.pack == pack_name}:
        raise UnknownTarget(f"{pack_name}:{to}", f"the pack {pack_name} ends at {pack.latest.name}", "0 rolls back everything.")
    found = [
        each
        for each in migration_states(pack, [r for r in records if r.pack == pack_name])
        if each.state not in ("pending", "late")
    ]
    newest_first = found[::-1]
    gone = newest_first[:steps] if to is None else [each for each in newest_first if each.version > to]
    problems = [why for each in gone if (why := _why_not_back(each, shipped.get(each.version)))]
    versions = {each.version for each in gone}
    required_by = [
        f"{migration.ref} is applied and requires {ref}"
        for other in packs
        if other.name != pack_name
        for migration in other.migrations
        if any(r.pack == other.name and r.version == migration.version for r in records)
        for ref in migration.requires
        if _key(ref)[0] == pack_name and _key(ref)[1] in versions
    ]
    if problems or required_by:
        first = "" if problems else "Roll back what requires it first, or put"
        raise RollbackRefused(path, problems + required_by, f"{first or 'Put'} back a snapshot that was taken before it.")
    return Plan(tuple(Step(shipped[each.version], "rollback") for each in gone))


def _why_not_back(status: MigrationStatus, migration: Migration | None) -> str | None:
    """Why an applied migration can't be rolled back, if so."""
    if migration is None:
        return f"the installed pack does not ship {status.ref}"
    if status.state == "replaced":
        return f"{status.ref} was replaced by another migration of that number"
    if status.problem:
        return status.problem
    return None if migration.reversible else f"{status.ref} has no rollback_migration"


def plan_reset(path: str, packs: Sequence[Pack], records: Sequence[Record], only: Collection[str] = ()) -> Plan:
    """
    The steps that roll everything back, or all of the packs in `only`: the newest first, but nothing before what requires it.

    Raises:
        UnknownPack: `only` names a pack that is not there.
        RollbackRefused: Some of it can't be rolled back, or others require it; every reason, and nothing is begun.
    """
    known = {pack.name: pack for pack in packs}
    for name in only:
        if name not in known:
            raise UnknownPack(name, known, where="usable for this database")
    shipped = {(pack.name, migration.version): migration for pack in packs for migration in pack.migrations}
    gone: list[_Key] = []
    problems: list[str] = []
    for name in sorted({record.pack for record in records if record.pack}):
        if only and name not in only:
            continue
        for each in migration_states(known.get(name), [record for record in records if record.pack == name]):
            if each.state in ("pending", "late"):
                continue
            gone.append((name, each.version))
            if name not in known:
                problems.append(f"the pack of {each.ref} is not installed")
            elif why := _why_not_back(each, shipped.get((name, each.version))):
                problems.append(why)
    recorded = {(record.pack, record.version) for record in records if record.pack}
    required_by = [
        f"{migration.ref} is applied and requires {ref}"
        for key, migration in sorted(shipped.items())
        if key in recorded and key not in gone
        for ref in migration.requires
        if _key(ref) in gone
    ]
    if problems or required_by:
        advice = "Put back a snapshot that was taken before it." if problems else "Reset what requires it, too."
        raise RollbackRefused(path, problems + required_by, advice)
    after: dict[_Key, list[_Key]] = {key: [] for key in gone}  # each with those that must be rolled back before it
    for key in gone:
        below = [other for other in gone if other[0] == key[0] and other[1] < key[1]]
        for other in [*below[-1:], *(_key(ref) for ref in shipped[key].requires)]:
            if other in after:
                after[other].append(key)
    rank = _in_time(records)
    try:
        keys = _sorted(after, lambda key: (-rank[key],))
    except CycleError as error:
        ring = " and ".join(shipped[key].ref for key in dict.fromkeys(error.args[1]))
        advice = "Put back a snapshot that was taken before it."
        raise RollbackRefused(path, [f"none of {ring} can go first, because they require each other"], advice) from error
    return Plan(tuple(Step(shipped[key], "rollback") for key in keys))


def plan_baseline(
    path: str, packs: Sequence[Pack], records: Sequence[Record], pack_name: str, version: int
) -> tuple[Migration, ...]:
    """
    The migrations up to `version` that are to be recorded without being run: those that are not recorded yet.

    Raises:
        UnknownPack, UnknownTarget: There is no such pack or version.
        BaselineRefused: What is recorded contradicts it, or something that they require is not recorded.
    """
    pack = next((each for each in packs if each.name == pack_name), None)
    if pack is None:
        raise UnknownPack(pack_name, [each.name for each in packs], where="usable for this database")
    find_target(packs, f"{pack_name}:{version}")
    states = migration_states(pack, [record for record in records if record.pack == pack_name])
    up_to = [migration for migration in pack.migrations if migration.version <= version]
    recorded = {(record.pack, record.version) for record in records} | {(pack_name, each.version) for each in up_to}
    problems = [f"{each.ref} is recorded as something else" for each in states if each.state == "replaced"]
    problems += [
        f"{migration.ref} requires {ref}, which is not recorded"
        for migration in up_to
        for ref in migration.requires
        if _key(ref) not in recorded
    ]
    problems += [migration.problem for migration in up_to if migration.problem]
    if problems:
        raise BaselineRefused(path, problems)
    there = {record.version for record in records if record.pack == pack_name}
    return tuple(migration for migration in up_to if migration.version not in there)


def plan_repair(path: str, packs: Sequence[Pack], records: Sequence[Record], ref: str, *, remove: bool = False) -> Repair:
    """
    What becomes of the record that `ref` names.

    An edited migration is accepted as it is today. The record of one that the packs don't ship, or under another
    name, is removed; so is any other, if `remove` says so.

    Raises:
        UnknownTarget: `ref` is no ref, or nothing is recorded under it.
        RepairRefused: There is nothing to repair.
    """
    parts = split_ref(ref)
    if parts is None:
        raise UnknownTarget(ref, "a target looks like pack:3 or pack:003_words", "`homie migrations status` shows them all.")
    pack = next((each for each in packs if each.name == parts[0]), None)
    own = [record for record in records if record.pack == parts[0]]
    record = next((each for each in own if each.version == parts[1] and parts[2] in (None, each.name)), None)
    if record is None:
        raise UnknownTarget(ref, f"{path} has no record of it", "`homie migrations history` shows what is recorded.")
    state = next(each.state for each in migration_states(pack, own) if each.version == record.version)
    if remove or state in ("missing", "ahead", "orphaned", "replaced"):
        return Repair(record, None)
    if state != "edited" or pack is None:
        raise RepairRefused(path, record.ref)
    shipped = next(migration for migration in pack.migrations if migration.version == record.version)
    return Repair(record, replace(record, checksum=shipped.checksum))


def plan_redo(path: str, packs: Sequence[Pack], records: Sequence[Record], pack_name: str) -> Plan:
    """
    Roll back the pack's newest applied migration, then apply it again.

    Raises:
        UnknownPack, RollbackRefused: As for a rollback of one step, or it requires what is not applied.
    """
    back = plan_rollback(path, packs, records, pack_name).steps
    recorded = {(record.pack, record.version) for record in records}
    problems = [
        f"{step.ref} requires {ref}, which is not applied"
        for step in back
        for ref in step.migration.requires
        if _key(ref) not in recorded
    ]
    if problems:
        raise RollbackRefused(path, problems, "Apply that first.")
    return Plan(back + tuple(Step(step.migration) for step in back))
