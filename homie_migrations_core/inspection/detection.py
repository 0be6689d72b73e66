"""
Which version of a pack a database without records has: the one whose migrations produce the schema that is there.

Recording it is left to `running/records`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from homie_migrations_core.errors import VersionUnclear
from homie_migrations_core.inspection.drift import describe_drift, only_touched
from homie_migrations_core.inspection.replay import Replayed, replay, replay_each
from homie_migrations_core.model import Migration, Pack
from homie_migrations_core.planning.applying import plan_apply
from homie_migrations_core.sqlite.names import fold
from homie_migrations_core.sqlite.schema_comparison import Difference, compare
from homie_migrations_core.sqlite.schema_objects import Schema
from homie_migrations_core.stopping import StopRequest

_ObjectKey = tuple[str, str]
_DifferenceKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class DetectedVersion:
    """One version of a pack, and how the database differs from what it produces."""

    version: int
    ref: str
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Detected:
    """Which version of a pack is in a database, as far as the schema tells."""

    pack: str
    version: int | None
    """The one version whose schema is there; 0 if nothing of the pack is; None if no version fits, or more than one."""
    equal: tuple[str, ...]
    """Refs of every version that produces the schema that is there: several if some of them change only rows."""
    nearest: DetectedVersion | None
    """Where no version fits, the one that differs least."""
    above: DetectedVersion | None
    """The next version, and what of it is not there."""
    failed: tuple[str, str] | None = None
    """The migration that could not be replayed, and why."""


@dataclass(frozen=True, slots=True)
class _Stage:
    """What the migrations of a pack produce up to one version."""

    version: int
    ref: str
    replayed: Replayed


def detect(packs: Sequence[Pack], pack_name: str, real: Schema, stop: StopRequest | None = None) -> Detected:
    """
    Return the version of the pack whose migrations produce `real`, the schema of a database.

    Raises:
        RunRefused: The pack can't be planned.
        UnknownPack: There is no such pack.
        Stopped: `stop` asked for it.
    """
    steps = [step.migration for step in plan_apply("", packs, (), only=[pack_name]).steps]
    replays = list(replay_each(packs, steps, stop))
    if replays and replays[-1][1].failed is not None:
        return Detected(pack_name, None, (), None, None, replays[-1][1].failed)
    stages = _stages(pack_name, replays)
    # Of what other packs create only what this one has changed too.
    own = {key for stage in stages for key, maker in stage.replayed.makers.items() if maker == pack_name}
    ignored = _added_by_others(packs, stages[-1].replayed, own, stop)
    there = only_touched(real, own)
    versions = []
    for stage in stages:
        differences = compare(only_touched(stage.replayed.schema, own), there)
        kept = (each for each in differences if not (each.change == "added" and _key(each) in ignored))
        versions.append(DetectedVersion(stage.version, stage.ref, tuple(describe_drift(each) for each in kept)))
    return _choose(pack_name, versions)


def _stages(pack_name: str, replays: Iterable[tuple[Migration, Replayed]]) -> list[_Stage]:
    """Return what is there before the pack's first migration, and after each of its migrations."""
    stages = [_Stage(0, f"{pack_name}:0", Replayed({}, {}))]
    for migration, replayed in replays:
        if migration.pack == pack_name:
            stages.append(_Stage(migration.version, migration.ref, replayed))
        elif len(stages) == 1:  # what the pack requires from the beginning
            stages[0] = _Stage(0, f"{pack_name}:0", replayed)
    return stages


def _added_by_others(
    packs: Sequence[Pack], newest: Replayed, own: Collection[_ObjectKey], stop: StopRequest | None
) -> set[_DifferenceKey]:
    """Return what other packs add to the tables of this one. That it is there says nothing about this pack's version."""
    if len(packs) == 1:
        return set()
    everything = replay(packs, [step.migration for step in plan_apply("", packs, ()).steps], stop)
    by_others = compare(only_touched(newest.schema, own), only_touched(everything.schema, own))
    return {_key(each) for each in by_others if each.change == "added"}


def _key(difference: Difference) -> _DifferenceKey:
    return difference.kind, fold(difference.table), fold(difference.name)


def _choose(pack_name: str, versions: Sequence[DetectedVersion]) -> Detected:
    equal = [each for each in versions if not each.differences]
    if len(equal) == 1:
        above = next((each for each in versions if each.version > equal[0].version), None)
        return Detected(pack_name, equal[0].version, (equal[0].ref,), None, above)
    if equal:
        return Detected(pack_name, None, tuple(each.ref for each in equal), None, None)
    candidates = [each for each in versions if each.version] or versions  # tables exist, so version 0 is not a candidate
    nearest = min(candidates, key=lambda each: (len(each.differences), -each.version))
    return Detected(pack_name, None, (), nearest, None)


def require_version(detected: Detected, path: str) -> int:
    """
    Return the version that was detected in the database at `path`.

    Raises:
        VersionUnclear: No version fits, or more than one.
    """
    pack = detected.pack
    name_it = f"Name the version: `homie migrations baseline {pack} VERSION`."
    if detected.failed is not None:
        ref, why = detected.failed
        raise VersionUnclear(path, pack, f"{ref} can't be replayed on an empty database ({why})", name_it)
    if detected.version:
        return detected.version
    if detected.version == 0:
        raise VersionUnclear(path, pack, f"nothing that {pack} creates is there", "Use `homie migrations apply`.")
    if detected.equal:
        found = f"{' and '.join(detected.equal)} produce the same schema, and what they do to rows can't be seen"
        raise VersionUnclear(path, pack, found, name_it)
    assert detected.nearest is not None
    found = f"no version of {pack} produces the schema that is there; the nearest is {detected.nearest.ref}"
    raise VersionUnclear(path, pack, [found, *detected.nearest.differences], f"Remove the differences by hand, or: {name_it}")
