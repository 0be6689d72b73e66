"""
Refusals that a comparison of schemas explains: late and replaced migrations, and a version that is not clear.

What is refused is decided in `planning/`; here a replay on an empty database tells what difference it makes.
"""

from __future__ import annotations

from collections.abc import Sequence

from homie_migrations_core.errors import MigrationLate, MigrationReplaced, RunRefused, VersionUnclear
from homie_migrations_core.inspection.replay import Replayer
from homie_migrations_core.inspection.validation import Detected, explain_late, explain_replaced
from homie_migrations_core.model import Pack, Record
from homie_migrations_core.sqlite.schema_objects import Schema
from homie_migrations_core.stopping import StopRequest


def explain_refusal(
    refused: RunRefused,
    packs: Sequence[Pack],
    records: Sequence[Record],
    real: Schema,
    replayer: Replayer,
    stop: StopRequest | None = None,
) -> RunRefused:
    """
    Return the refusal with a statement of whether the schema would come out the same, where that is the question.

    `real` is the schema of the database; it is used only for a replaced migration.
    """
    reasons: list[RunRefused] = []
    for reason in refused.reasons:
        if isinstance(reason, MigrationLate):
            explained = explain_late(packs, records, replayer, stop)
            reasons.append(MigrationLate(reason.path, reason.behind, explained))
        elif isinstance(reason, MigrationReplaced):
            explained = explain_replaced(packs, records, real, replayer, stop)
            reasons.append(MigrationReplaced(reason.path, reason.replaced, explained))
        else:
            reasons.append(reason)
    return RunRefused.for_all(reasons)


def require_version(detected: Detected, path: str) -> int:
    """
    Return the version of the pack that was detected in the database at `path`.

    Raises:
        VersionUnclear: None was, or more than one could be.
    """
    pack = detected.pack
    say = f"Say it: `homie migrations baseline {pack} VERSION`."
    if detected.failed is not None:
        ref, why = detected.failed
        raise VersionUnclear(path, pack, f"{ref} can't be replayed on an empty database ({why})", say)
    if detected.version:
        return detected.version
    if detected.version == 0:
        raise VersionUnclear(path, pack, f"nothing that {pack} makes is there", "Use `homie migrations apply`.")
    if detected.equal:
        found = f"{' and '.join(detected.equal)} make the same schema, and what they do to rows can't be seen"
        raise VersionUnclear(path, pack, found, say)
    assert detected.nearest is not None
    differences = "; ".join(detected.nearest.differences)
    found = f"no version of {pack} makes what is there; nearest is {detected.nearest.ref}, but {differences}"
    raise VersionUnclear(path, pack, found, f"Settle that first, by hand. {say}")
