"""
Whether a database is what its migrations say: its records against the packs, its schema against a replay.

Finds and reports; changes nothing. The replay runs the authors' code on a database in memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from homie_migrations_core.inspection.drift import find_drift
from homie_migrations_core.inspection.refusals import explain_late
from homie_migrations_core.inspection.replay import Replayed, Replayer
from homie_migrations_core.model import Finding, MigrationStatus, Pack, Record
from homie_migrations_core.packs.naming import time_in_words
from homie_migrations_core.planning.lookup import records_of
from homie_migrations_core.planning.ordering import find_unmet, order_applied
from homie_migrations_core.planning.states import find_late, migration_states
from homie_migrations_core.sqlite.schema_objects import Schema
from homie_migrations_core.stopping import StopRequest


def validate(
    packs: Sequence[Pack],
    broken: Collection[str],
    records: Sequence[Record],
    real: Schema,
    replayer: Replayer,
    *,
    handed_in: bool = False,
    stop: StopRequest | None = None,
) -> list[Finding]:
    """
    Return everything that is wrong with the history and the schema of a database.

    `real` is its schema, `records` are its records. Nothing is said about packs that are `broken`. If the packs were
    `handed_in`, others may be left out on purpose.

    Raises:
        Stopped: `stop` asked for it.
    """
    replayed = replayer.replay(packs, order_applied(packs, records), stop)
    history, unknown = _find_in_history(packs, broken, records, handed_in=handed_in)
    history += _find_late(packs, records, replayer, stop)
    history += _find_out_of_step(packs, records)
    history += _find_accepted(replayed)
    if replayed.failed is not None:
        ref, why = replayed.failed
        message = f"{ref} can't be replayed on an empty database ({why}), so the schema was not compared"
        advice = "Correct the migration: on a new database it would fail in the same way."
        return [*history, Finding("replay_failed", ref, ref.partition(":")[0], message, advice)]
    drift = find_drift(replayed, real, unknown)
    return [_with_effect_of_edit(each, drift) for each in history] + drift


def _find_accepted(replayed: Replayed) -> list[Finding]:
    """Return the problems that applied migrations left behind and accept, as long as nothing repairs them."""
    return [
        Finding(
            each.problem.code,
            each.migration.ref,
            each.migration.pack,
            f"{each.migration.ref} leaves a problem that no applied migration has repaired: {each.problem.sentence}",
            "Let a later migration repair it.",
            each.reason,
        )
        for each in replayed.accepted
    ]


def _find_in_history(
    packs: Sequence[Pack], broken: Collection[str], records: Sequence[Record], *, handed_in: bool
) -> tuple[list[Finding], list[str]]:
    """Return what is wrong with the records, and the refs of those whose migrations are not available for a replay."""
    installed = {pack.name: pack for pack in packs}
    findings: list[Finding] = []
    unknown: list[str] = []
    for name in sorted({record.pack for record in records if record.pack}):
        own = records_of(name, records)
        if name in broken:
            unknown += [record.ref for record in own]
            continue
        for status in migration_states(installed.get(name), own):
            if status.state in ("ahead", "missing", "orphaned", "replaced"):
                unknown.append(status.ref)
            findings += _findings_of(name, status, handed_in=handed_in)
    return findings, unknown


def _findings_of(pack: str, status: MigrationStatus, *, handed_in: bool) -> Iterator[Finding]:
    ref, applied = status.ref, f"applied at {time_in_words(status.applied_at)}" if status.applied_at else "applied"
    if status.problem and status.state != "pending":
        message, advice = (
            f"{ref} is applied, but its file can't be used: {status.problem}",
            "Repair the file. What is applied stays.",
        )
        yield Finding("unreadable", ref, pack, message, advice)
    remove = f"remove its record: `homie migrations repair {ref}`."
    explained = {
        "edited": (
            f"{ref} was edited after it was {applied}; the version that was applied stays in effect",
            f"Move the change into a new migration, or accept the file as it is: `homie migrations repair {ref}`.",
        ),
        "replaced": (
            f"{ref} was {applied}, but its number now belongs to another migration",
            "Give the new migration the next free number.",
        ),
        "ahead": (
            f"{ref} was {applied}, but it is newer than anything that the installed pack ships",
            "Install the pack's newer release, or restore the snapshot taken before the upgrade.",
        ),
        "missing": (f"{ref} was {applied}, but the pack no longer ships it", f"Restore its file, or {remove}"),
        "orphaned": (
            f"{ref} was {applied}, but its pack {pack} is not {'among the given packs' if handed_in else 'installed'}",
            "Give that pack too, so that it can be validated." if handed_in else f"Install the pack again, or {remove}",
        ),
    }
    if status.state in explained:
        yield Finding(status.state, ref, pack, *explained[status.state])


def _find_late(packs: Sequence[Pack], records: Sequence[Record], replayer: Replayer, stop: StopRequest | None) -> list[Finding]:
    late = find_late(packs, records)
    explained = explain_late(packs, records, replayer, stop) if late else ()
    advice = "Give it a number above those that are applied, or apply it with --allow-late."
    return [
        Finding(
            "late",
            migration.ref,
            migration.pack,
            "; ".join([f"{migration.ref} is pending although a newer migration is applied", *explained]),
            advice,
        )
        for migration in late
    ]


def _find_out_of_step(packs: Sequence[Pack], records: Sequence[Record]) -> list[Finding]:
    """Return the applied migrations with requirements that are not applied."""
    return [
        Finding(
            "out_of_step",
            migration.ref,
            migration.pack,
            f"{migration.ref} is applied and requires {ref}, which is not applied",
            "Apply the requirement, or roll back the migration that requires it.",
        )
        for migration, ref in find_unmet(packs, records)
    ]


def _with_effect_of_edit(finding: Finding, drift: Sequence[Finding]) -> Finding:
    """Add to the finding of an edit how the schema differs. The file as it was applied is not kept, so nothing else can tell."""
    if finding.code != "edited":
        return finding
    of_pack = [each.subject for each in drift if each.pack == finding.pack]
    if of_pack:
        effect = f"the pack now produces another schema than the one that is there ({', '.join(dict.fromkeys(of_pack))})"
    else:
        effect = "the pack still produces the schema that is there, so only changes to rows can differ"
    return replace(finding, message=f"{finding.message}; {effect}")
