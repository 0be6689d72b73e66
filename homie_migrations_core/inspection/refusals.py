"""
What difference a late or a replaced migration makes to the schema, found out by replays on empty databases.

Whether to refuse them is decided in `planning/applying`.
"""

from __future__ import annotations

from collections.abc import Sequence

from homie_migrations_core.errors import HomieMigrationsError, MigrationLate, MigrationReplaced, RunRefused
from homie_migrations_core.inspection.drift import describe_drift, only_touched
from homie_migrations_core.inspection.replay import Replayer
from homie_migrations_core.model import Pack, Record
from homie_migrations_core.planning.applying import plan_apply
from homie_migrations_core.planning.ordering import order_applied
from homie_migrations_core.sqlite.schema_comparison import compare
from homie_migrations_core.sqlite.schema_objects import Schema
from homie_migrations_core.stopping import StopRequest

_ROWS = "changes to rows can't be compared"


def explain_refusal(
    refused: RunRefused,
    packs: Sequence[Pack],
    records: Sequence[Record],
    real: Schema,
    replayer: Replayer,
    stop: StopRequest | None = None,
) -> RunRefused:
    """
    Return the refusal, completed by what `explain_late` and `explain_replaced` find.

    `real` is the schema of the database; it is used only for a replaced migration.
    """
    reasons: list[RunRefused] = []
    for reason in refused.reasons:
        if isinstance(reason, MigrationLate):
            reasons.append(MigrationLate(reason.path, reason.behind, explain_late(packs, records, replayer, stop)))
        elif isinstance(reason, MigrationReplaced):
            explained = explain_replaced(packs, records, real, replayer, stop)
            reasons.append(MigrationReplaced(reason.path, reason.replaced, explained))
        else:
            reasons.append(reason)
    return RunRefused.for_all(reasons)


def explain_late(
    packs: Sequence[Pack], records: Sequence[Record], replayer: Replayer, stop: StopRequest | None = None
) -> tuple[str, ...]:
    """Say whether applying the late migrations now produces the schema that a new database gets, one fact per item."""
    applied = order_applied(packs, records)
    try:
        pending = [step.migration for step in plan_apply("", packs, records, allow_late=True).steps]
        anew = [step.migration for step in plan_apply("", packs, ()).steps]
    except HomieMigrationsError:
        return ("whether the order makes a difference can't be told until the other problems are solved",)
    both = {each.ref for each in (*applied, *pending)}
    late = replayer.replay(packs, [*applied, *pending], stop)
    if late.failed is not None:
        ref, why = late.failed
        if ref in {each.ref for each in applied}:
            return (f"whether the order makes a difference can't be told, because {ref} can't be replayed",)
        return (f"applied now, {ref} would fail: {why}",)
    fresh = replayer.replay(packs, [each for each in anew if each.ref in both], stop)
    if fresh.failed is not None:
        ref, why = fresh.failed
        return (f"applied in the order of the versions, {ref} fails: {why}",)
    if differences := compare(fresh.schema, late.schema):
        result = "applied now, the migrations produce another schema than in the order of their versions"
        return (result, *(each.in_words() for each in differences), _ROWS)
    return ("applied now, the migrations produce the same schema as in the order of their versions", _ROWS)


def explain_replaced(
    packs: Sequence[Pack], records: Sequence[Record], real: Schema, replayer: Replayer, stop: StopRequest | None = None
) -> tuple[str, ...]:
    """Say whether the database has the schema of the migrations that have the recorded numbers today, one fact per item."""
    replayed = replayer.replay(packs, order_applied(packs, records, replaced=True), stop)
    if replayed.failed is not None:
        ref, why = replayed.failed
        return (f"{ref} can't be replayed on an empty database: {why}",)
    if differences := compare(replayed.schema, only_touched(real, replayed.touched)):
        return ("the schema is not the one that the pack produces today", *map(describe_drift, differences), _ROWS)
    return ("the schema is the one that the pack produces today", _ROWS)
