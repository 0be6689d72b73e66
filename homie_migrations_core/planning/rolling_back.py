"""The steps that roll migrations back (rollback, redo, reset), or every reason why none of them may run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from graphlib import CycleError

from homie_migrations_core.errors import RollbackRefused, UnknownTarget
from homie_migrations_core.model import Migration, MigrationStatus, Pack, Plan, Record, Step
from homie_migrations_core.planning.lookup import Key, find_pack, key_of, recorded_keys, records_of, shipped_migrations
from homie_migrations_core.planning.ordering import describe_cycle, members_of_cycle, rank_by_time, sort_by_needs
from homie_migrations_core.planning.states import recorded_states

_RESTORE = "Restore an earlier snapshot instead (`homie migrations backups` lists them)."


def plan_rollback(
    path: str, packs: Sequence[Pack], records: Sequence[Record], pack_name: str, *, to: int | None = None, steps: int = 1
) -> Plan:
    """
    Return the steps that roll one pack back, newest first: `steps` of them, or all above the version `to`.

    Raises:
        UnknownPack: There is no such pack.
        UnknownTarget: `to` is neither shipped nor recorded.
        RollbackRefused: Some of it can't be rolled back, or other packs require it; every reason at once.
    """
    pack = find_pack(packs, pack_name)
    own = records_of(pack_name, records)
    known = {migration.version for migration in pack.migrations} | {record.version for record in own}
    if to is not None and to != 0 and to not in known:
        newest = f"the newest migration of the pack {pack_name} is {pack.latest.name}"
        raise UnknownTarget(f"{pack_name}:{to}", newest, "0 rolls back everything.")
    newest_first = recorded_states(pack, own)[::-1]
    chosen = newest_first[:steps] if to is None else [each for each in newest_first if each.version > to]
    selected = {(pack_name, each.version): each for each in chosen}
    _refuse(path, packs, records, selected, "Roll back the migrations that require it first, or restore an earlier snapshot.")
    shipped = shipped_migrations(packs)
    return Plan(tuple(Step(shipped[key], "rollback") for key in selected))


def plan_redo(path: str, packs: Sequence[Pack], records: Sequence[Record], pack_name: str) -> Plan:
    """
    Return the steps that roll the pack's newest applied migration back and apply it again.

    Raises:
        UnknownPack: There is no such pack.
        RollbackRefused: It can't be rolled back, or it requires what is not applied.
    """
    back = plan_rollback(path, packs, records, pack_name).steps
    recorded = recorded_keys(records)
    problems = [
        f"{step.ref} requires {ref}, which is not applied"
        for step in back
        for ref in step.migration.requires
        if key_of(ref) not in recorded
    ]
    if problems:
        raise RollbackRefused(path, problems, "Apply that first.")
    return Plan(back + tuple(Step(step.migration) for step in back))


def plan_reset(path: str, packs: Sequence[Pack], records: Sequence[Record], only: Collection[str] = ()) -> Plan:
    """
    Return the steps that roll everything back, or everything of the packs in `only`.

    The newest come first, but nothing comes before what requires it.

    Raises:
        UnknownPack: `only` names a pack that is not there.
        RollbackRefused: Some of it can't be rolled back, or other packs require it; every reason at once.
    """
    chosen = [find_pack(packs, name).name for name in only]
    known = {pack.name: pack for pack in packs}
    selected = {
        (name, each.version): each
        for name in sorted({record.pack for record in records if record.pack is not None})
        if not only or name in chosen
        for each in recorded_states(known.get(name), records_of(name, records))
    }
    _refuse(path, packs, records, selected, "Reset the packs that require it, too.")
    shipped = shipped_migrations(packs)
    rank = rank_by_time(records)
    try:
        order = sort_by_needs(_needs(selected, shipped), lambda key: (-rank[key],))
    except CycleError as error:
        cycle = members_of_cycle(error)
        none = "none of them can" if len(cycle) > 1 else "it can't"
        problem = f"{describe_cycle(cycle, shipped)}, so {none} be rolled back first"
        raise RollbackRefused(path, [problem], _RESTORE) from error
    return Plan(tuple(Step(shipped[key], "rollback") for key in order))


def _needs(selected: Collection[Key], shipped: Mapping[Key, Migration]) -> dict[Key, list[Key]]:
    """Return for each migration those that must be rolled back before it: the next one of its pack, and its requirers."""
    needs: dict[Key, list[Key]] = {key: [] for key in selected}
    previous: dict[str, Key] = {}
    for key in sorted(selected):
        below = [previous[key[0]]] if key[0] in previous else []
        previous[key[0]] = key
        for other in [*below, *(key_of(ref) for ref in shipped[key].requires)]:
            if other in needs:
                needs[other].append(key)
    return needs


def _refuse(
    path: str, packs: Sequence[Pack], records: Sequence[Record], selected: Mapping[Key, MigrationStatus], if_only_required: str
) -> None:
    """Raise one error with every reason against rolling the selected migrations back, if there is any."""
    shipped = shipped_migrations(packs)
    problems = [why for key, each in selected.items() if (why := _why_irreversible(each, shipped.get(key)))]
    required_by = _requirers(shipped, recorded_keys(records), selected)
    if problems or required_by:
        raise RollbackRefused(path, problems + required_by, _RESTORE if problems else if_only_required)


def _why_irreversible(status: MigrationStatus, migration: Migration | None) -> str | None:
    """Say why an applied migration can't be rolled back, if so."""
    if status.state == "orphaned":
        return f"the pack of {status.ref} is not installed"
    if migration is None:
        return f"the installed pack does not ship {status.ref}"
    if status.state == "replaced":
        return f"{status.ref} was replaced by another migration of that number"
    if status.problem:
        return status.problem
    return None if migration.reversible else f"{status.ref} has no rollback_migration"


def _requirers(shipped: Mapping[Key, Migration], recorded: Collection[Key], selected: Collection[Key]) -> list[str]:
    """Say which applied migrations of other packs would stay and require one that is selected."""
    return [
        f"{migration.ref} is applied and requires {ref}"
        for key, migration in sorted(shipped.items())
        if key in recorded and key not in selected
        for ref in migration.requires
        if key_of(ref) in selected and key_of(ref)[0] != migration.pack
    ]
