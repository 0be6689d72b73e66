"""
Whether a database is what its migrations say it is: its records against the packs, its schema against a replay.

Finds and tells; changes nothing. The replay runs the authors' code on a database in memory.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from homie_migrations_core.errors import HomieMigrationsError
from homie_migrations_core.inspection.replay import Replayed, Replayer, replay, replay_each
from homie_migrations_core.model import Finding, MigrationStatus, Pack, Record
from homie_migrations_core.planning.applying import plan_apply
from homie_migrations_core.planning.ordering import find_unmet, order_applied
from homie_migrations_core.planning.states import find_late, migration_states
from homie_migrations_core.sqlite.names import fold
from homie_migrations_core.sqlite.schema_comparison import Difference, compare, pair_renames
from homie_migrations_core.sqlite.schema_objects import Schema
from homie_migrations_core.stopping import StopRequest

_SCHEMA = "`homie migrations schema` shows what the migrations make"
_ADVICE = {
    "added": f"Write a migration that makes it, or take it out by hand after a snapshot; {_SCHEMA}.",
    "removed": f"Make it again by hand, or put a snapshot back; {_SCHEMA}.",
    "changed": f"Write a migration that makes it so, or change it back by hand after a snapshot; {_SCHEMA}.",
    "reordered": f"Rebuild the table by hand after a snapshot, or name columns wherever they are used; {_SCHEMA}.",
}


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
    Everything that is not as it should be. `real` is the schema of the database, `records` its records.

    Of packs that are `broken` nothing can be said. If the packs were `handed_in`, others may well be left out on purpose.
    """
    applied = order_applied(packs, records)
    replayed = replayer.replay(packs, applied, stop)
    known = {pack.name: pack for pack in packs}
    unknown: list[str] = []
    history: list[Finding] = []
    for name in sorted({record.pack for record in records if record.pack}):
        own = [record for record in records if record.pack == name]
        if name in broken:
            unknown += [record.ref for record in own]
            continue
        for each in migration_states(known.get(name), own):
            if each.state in ("ahead", "missing", "orphaned", "replaced"):
                unknown.append(each.ref)
            history += _of_history(name, each, handed_in=handed_in)
    for late in find_late(packs, records):
        explained = explain_late(packs, records, replayer, stop)
        message = f"{late.ref} is pending although a newer one is applied; {explained}"
        advice = "Give it a number above those that are applied, or apply it with --allow-late."
        history.append(Finding("late", late.ref, late.pack, message, advice))
    history += _out_of_step(packs, records)
    if replayed.failed is not None:
        ref, why = replayed.failed
        message = f"{ref} can't be replayed on an empty database ({why}), so the schema was not compared"
        advice = "Correct it: on a new database it would fail in the same way."
        history.append(Finding("replay_failed", ref, ref.partition(":")[0], message, advice))
        return history
    drift = find_drift(replayed, real, unknown)
    return [_with_what_changed(each, drift) for each in history] + drift


def _of_history(pack: str, status: MigrationStatus, *, handed_in: bool) -> list[Finding]:
    ref, at = status.ref, f" at {status.applied_at}" if status.applied_at else ""
    found = []
    if status.problem and status.state != "pending":
        advice = "Repair the file; what is applied stays applied."
        found.append(Finding("unreadable", ref, pack, f"{ref} is applied, and its file can't be used: {status.problem}", advice))
    told = {
        "edited": (
            f"{ref} was edited after it was applied{at}; its code of then stays in force",
            f"Put what is new into a migration of its own, or accept it as it is: `homie migrations repair {ref}`.",
        ),
        "replaced": (
            f"{ref} is recorded{at} under a number that now belongs to another migration",
            "Give the new migration the next free number.",
        ),
        "ahead": (
            f"{ref} is applied{at}, and newer than anything that the installed pack ships",
            "Install the pack's newer release, or put back the snapshot taken before the upgrade.",
        ),
        "missing": (
            f"{ref} is applied{at}, and the pack does not ship it any more",
            f"Bring its file back, or remove its record: `homie migrations repair {ref}`.",
        ),
        "orphaned": (
            f"{ref} is applied{at}, and its pack {pack} is not installed",
            f"Install the pack again, or remove the record: `homie migrations repair {ref}`.",
        ),
    }
    if handed_in:
        told["orphaned"] = (
            f"{ref} is applied{at}, and its pack {pack} is not among those that were given",
            "Give that one, too, to have it looked at.",
        )
    if status.state in told:
        found.append(Finding(status.state, ref, pack, *told[status.state]))
    return found


def _out_of_step(packs: Sequence[Pack], records: Sequence[Record]) -> list[Finding]:
    """Applied migrations whose requirements are not."""
    return [
        Finding(
            "out_of_step",
            migration.ref,
            migration.pack,
            f"{migration.ref} is applied and requires {ref}, which is not",
            "Apply it, or roll back what requires it.",
        )
        for migration, ref in find_unmet(packs, records)
    ]


def _with_what_changed(finding: Finding, drift: Sequence[Finding]) -> Finding:
    """What an edit changed can only be seen by what it makes: the code of then is not kept."""
    if finding.code != "edited":
        return finding
    of_pack = [each.subject for each in drift if each.pack == finding.pack]
    if of_pack:
        seen = f"what the pack makes today is not what is there ({', '.join(dict.fromkeys(of_pack))})"
    else:
        seen = "what it makes today is the schema that is there, so only what it does to rows can differ"
    return replace(finding, message=f"{finding.message}; {seen}")


# --- drift ----------------------------------------------------------------------------------------------


def find_drift(replayed: Replayed, real: Schema, unknown: Collection[str] = ()) -> list[Finding]:
    """
    How the schema of a database differs from what its migrations make; only of what they ever touched.

    `unknown` are refs whose code is not there, and which may be the reason.
    """
    differences = compare(replayed.schema, only_touched(real, replayed.touched))
    maybe = f" (it may come from {', '.join(unknown)}, whose code is not there)" if unknown else ""
    found = []
    for each, renamed in pair_renames(differences, replayed.schema, real):
        owner = _owner(each, replayed)
        if renamed is not None:
            code, message = "drift_column_renamed", f"`{each.table}` has `{renamed.name}` where its migrations make `{each.name}`"
            advice = _ADVICE["changed"]
        else:
            code, message, advice = f"drift_{each.kind}_{each.change}", drift_in_words(each), _ADVICE[each.change]
        subject = each.table if each.kind in ("column", "constraint", "option") else each.name
        found.append(Finding(code, subject, owner, f"{message}{maybe}", advice))
    return found


def only_touched(schema: Schema, touched: Collection[tuple[str, str]]) -> Schema:
    """What is the application's own is left out: its tables, with everything on them, and its views."""
    tables = {name for kind, name in touched if kind == "table"}
    views = {name for kind, name in touched if kind == "view"}

    def belongs(kind: str, name: str, table: str) -> bool:
        if kind == "table":
            return name in tables
        return name in views if kind == "view" else fold(table) in tables | views

    return {key: each for key, each in schema.items() if belongs(*key, each.table)}


def _owner(difference: Difference, replayed: Replayed) -> str | None:
    keys = ((difference.kind, difference.name), ("table", difference.table), ("view", difference.table))
    return next((maker for kind, name in keys if (maker := replayed.makers.get((kind, fold(name))))), None)


def drift_in_words(each: Difference) -> str:
    """A difference between what migrations make and what is there, on one line."""
    before, after = (text.replace("\n", "\\n") if text else "of no type" for text in (each.before, each.after))
    where = f"`{each.table}`"
    if each.change == "reordered":
        return f"{where} has its columns in another order than its migrations make: {after}"
    if each.kind in ("table", "view"):
        told = {
            "added": f"the {each.kind} {where} is there, although its migrations took it away",
            "removed": f"the {each.kind} {where} is missing, which its migrations make",
            "changed": f"the {each.kind} {where} is not what its migrations make: {after}, and not {before}",
        }
    else:
        name = f"{each.kind} `{each.name}`"
        told = {
            "added": f"{where} has {_a(each.kind)} {name} that no migration made",
            "removed": f"{where} lacks the {name}, which its migrations make",
            "changed": f"the {name} of {where} is {after}, and its migrations make {before}",
        }
    return told[each.change]


def _a(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"


# --- other orders -----------------------------------------------------------------------------------------


def explain_late(packs: Sequence[Pack], records: Sequence[Record], replayer: Replayer, stop: StopRequest | None = None) -> str:
    """Whether applying what is late now makes the schema that a new database gets, as words."""
    applied = order_applied(packs, records)
    try:
        pending = [step.migration for step in plan_apply("", packs, records, allow_late=True).steps]
        anew = [step.migration for step in plan_apply("", packs, ()).steps]
    except HomieMigrationsError:
        return "whether the order makes a difference can't be seen until the rest is settled"
    both = {each.ref for each in (*applied, *pending)}
    late = replayer.replay(packs, [*applied, *pending], stop)
    if late.failed is not None and late.failed[0] in {each.ref for each in applied}:
        return f"whether the order makes a difference can't be seen, because {late.failed[0]} can't be replayed"
    if late.failed is not None:
        return f"applied now, {late.failed[0]} would fail: {late.failed[1]}"
    fresh = replayer.replay(packs, [each for each in anew if each.ref in both], stop)
    if fresh.failed is not None:
        return f"in the order of their numbers, {fresh.failed[0]} fails: {fresh.failed[1]}"
    rows = "what they do to rows can't be compared"
    if differences := compare(fresh.schema, late.schema):
        told = "; ".join(each.in_words() for each in differences)
        return f"applied now, the schema would not come out as in the order of their numbers ({told}); {rows}"
    return f"applied now, the schema would come out the same as in the order of their numbers; {rows}"


def explain_replaced(
    packs: Sequence[Pack], records: Sequence[Record], real: Schema, replayer: Replayer, stop: StopRequest | None = None
) -> str:
    """Whether the database has the schema that the migrations make which now have the recorded numbers, as words."""
    replayed = replayer.replay(packs, order_applied(packs, records, replaced=True), stop)
    if replayed.failed is not None:
        return f"{replayed.failed[0]} can't be replayed on an empty database: {replayed.failed[1]}"
    rows = "what they did to rows can't be compared"
    if differences := compare(replayed.schema, only_touched(real, replayed.touched)):
        return f"The schema is not what the pack makes today: {'; '.join(drift_in_words(each) for each in differences)}; {rows}"
    return f"The schema is the one that the pack makes today all the same; {rows}"


# --- how far a database is ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DetectedVersion:
    """One version of a pack, and how the database differs from what it makes."""

    version: int
    ref: str
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Detected:
    """How far a database is that has no record of it."""

    pack: str
    version: int | None
    """The one version whose schema is there; 0 for nothing of it; None if there is none, or more than one."""
    equal: tuple[str, ...]
    """Refs of every version that makes the schema which is there: more than one if some change only rows."""
    nearest: DetectedVersion | None
    """Where no version fits: the one that differs least."""
    above: DetectedVersion | None
    """The next version, and what of it is not there."""
    failed: tuple[str, str] | None = None
    """The migration at which the replay ended, and why."""


def _key(difference: Difference) -> tuple[str, str, str]:
    return difference.kind, fold(difference.table), fold(difference.name)


def detect(packs: Sequence[Pack], pack_name: str, real: Schema, stop: StopRequest | None = None) -> Detected:
    """
    The version of the pack whose migrations make what is in the database, compared at each.

    Raises:
        RunRefused, UnknownPack: The pack can't be planned.
    """
    steps = [step.migration for step in plan_apply("", packs, (), only=[pack_name]).steps]
    replays = list(replay_each(packs, steps, stop))
    if replays and replays[-1][1].failed is not None:
        return Detected(pack_name, None, (), None, None, replays[-1][1].failed)
    stages = [(f"{pack_name}:0", 0, Replayed({}, {}))]
    for migration, replayed in replays:
        if migration.pack == pack_name:
            stages.append((migration.ref, migration.version, replayed))
        elif len(stages) == 1:  # what the pack requires from the beginning
            stages[0] = (*stages[0][:2], replayed)
    # Of what other packs make only what this one has changed, too.
    own = {key for _, _, replayed in stages for key, maker in replayed.makers.items() if maker == pack_name}
    there = only_touched(real, own)
    # What another pack may have added to these tables says nothing about this one.
    excused: set[tuple[str, str, str]] = set()
    if len(packs) > 1:
        everything = replay(packs, [step.migration for step in plan_apply("", packs, ()).steps], stop)
        by_others = compare(only_touched(stages[-1][2].schema, own), only_touched(everything.schema, own))
        excused = {_key(each) for each in by_others if each.change == "added"}
    found = []
    for ref, version, replayed in stages:
        differences = compare(only_touched(replayed.schema, own), there)
        told = [drift_in_words(each) for each in differences if not (each.change == "added" and _key(each) in excused)]
        found.append(DetectedVersion(version, ref, tuple(told)))
    equal = [each for each in found if not each.differences]
    if len(equal) != 1:
        candidates = [each for each in found if each.version] or found  # some of it is there: it is not at the beginning
        nearest = None if equal else min(candidates, key=lambda each: (len(each.differences), -each.version))
        return Detected(pack_name, None, tuple(each.ref for each in equal), nearest, None)
    above = next((each for each in found if each.version > equal[0].version), None)
    return Detected(pack_name, equal[0].version, (equal[0].ref,), None, above)
