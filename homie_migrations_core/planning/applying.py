"""The steps that bring a database up to date, or every reason why none of them may run."""

from __future__ import annotations

from homie_migrations_core import errors
from homie_migrations_core.model import Plan, Step
from homie_migrations_core.planning.lookup import find_pack, find_target, records_of
from homie_migrations_core.planning.ordering import order_pending
from homie_migrations_core.planning.states import is_recorded, migration_states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from homie_migrations_core.errors import RunRefused
    from homie_migrations_core.model import MigrationStatus, Pack, Record
    from homie_migrations_core.planning.lookup import Key
    from homie_migrations_core.planning.ordering import PendingOrder


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
    Return the steps that bring a database up to date, in an order in which nothing runs before what it requires.

    `to` stops at one migration and takes only what that requires; `only` does the same for whole packs. Packs that can't
    be applied are left out, and with them those whose pending migrations require them.

    Raises:
        RunRefused: The database is ahead, or a migration is replaced or late; every reason at once.
        UnknownTarget: `to` names nothing in `packs`.
        UnknownPack: `only` names a pack that is not there.
    """
    wanted = _wanted(packs, to, only)
    states = {pack.name: migration_states(pack, records_of(pack.name, records)) for pack in packs}
    _refuse(path, packs, states, allow_late=allow_late)
    order = order_pending(packs, records)
    chosen = order.migrations.keys() if wanted is None else _with_requirements(wanted, order)
    return Plan(
        tuple(Step(migration) for key, migration in order.migrations.items() if key in chosen),
        tuple(each for each in order.left_out if wanted is None or each.pack in wanted),
        tuple(each.ref for name in sorted(states) for each in states[name] if each.state == "edited"),
    )


def _wanted(packs: Sequence[Pack], to: str | None, only: Collection[str]) -> dict[str, int] | None:
    """Return the version up to which each pack is to be applied; None for all of all packs."""
    chosen = [find_pack(packs, name) for name in only]
    if to is not None:
        target = find_target(packs, to)
        return {target.pack: target.version}
    return {pack.name: pack.latest.version for pack in chosen} or None


def _with_requirements(wanted: Mapping[str, int], order: PendingOrder) -> set[Key]:
    """Return the pending migrations up to the wanted versions, with everything that must run before them."""
    unexplored = [key for key in order.migrations if key[0] in wanted and key[1] <= wanted[key[0]]]
    chosen: set[Key] = set()
    while unexplored:
        key = unexplored.pop()
        if key not in chosen:
            chosen.add(key)
            unexplored += order.needs[key]
    return chosen


def _refuse(path: str, packs: Sequence[Pack], states: Mapping[str, Sequence[MigrationStatus]], *, allow_late: bool) -> None:
    """Raise one error with every reason against changing this database, if there is any."""
    reasons: list[RunRefused] = []
    for pack in packs:
        by_state: dict[str, list[MigrationStatus]] = {}
        for each in states[pack.name]:
            by_state.setdefault(each.state, []).append(each)
        if ahead := by_state.get("ahead"):
            reasons.append(errors.DatabaseIsAhead(path, pack.name, [each.ref for each in ahead], pack.latest.name))
        if replaced := by_state.get("replaced"):
            shipped = {migration.version: migration.name for migration in pack.migrations}
            reasons.append(errors.MigrationReplaced(path, [(each.ref, shipped[each.version]) for each in replaced]))
        if not allow_late and (late := by_state.get("late")):
            newest = [each for each in states[pack.name] if is_recorded(each)][-1]
            reasons.append(errors.MigrationLate(path, [(each.ref, newest.name) for each in late]))
    if reasons:
        raise errors.RunRefused.for_all(reasons)
