"""
What plan, apply, rollback, redo, reset, baseline, repair and history add to the document.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NotRequired, TypedDict

from homie_migrations_core.model import Direction, Plan, Record, Repair
from homie_migrations_core.model import LeftOut as LeftOutPack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from homie_migrations_core.broken import BrokenPack
    from homie_migrations_core.inspection.detection import Detected


class PlannedStep(TypedDict):
    """One step of a plan."""

    ref: str
    direction: Direction


class LeftOut(TypedDict):
    """A pack that a run leaves as it is."""

    pack: str | None
    reason: str


class PlanFields(TypedDict):
    """What `plan` adds to a database."""

    plan: list[PlannedStep]
    left_out: list[LeftOut]
    edited: list[str]


class ChangeFields(TypedDict):
    """What every changing command adds to a database: where the snapshot is, and which packs were left out."""

    snapshot: str | None
    left_out: list[LeftOut]


class ApplyFields(ChangeFields):
    """What `apply` adds to a database."""

    applied: list[str]


class RollbackFields(ChangeFields):
    """What `rollback` and `reset` add to a database."""

    rolled_back: list[str]


class RedoFields(ChangeFields):
    """What `redo` adds to a database."""

    redone: list[str]


class DetectedVersion(TypedDict):
    """The version that `baseline --detect` found."""

    pack: str
    version: int | None
    equal: list[str]
    nearest: str | None
    differences: list[str]


class BaselineFields(ChangeFields):
    """What `baseline` adds to a database."""

    recorded: list[str]
    detected: NotRequired[DetectedVersion]


def left_out(packs: Iterable[BrokenPack | LeftOutPack]) -> list[LeftOut]:
    """Return packs that were left out as JSON has them."""
    return [{"pack": each.pack, "reason": each.reason} for each in packs]


def plan(found: Plan) -> PlanFields:
    """Return a plan as JSON has it."""
    return {
        "plan": [{"ref": step.ref, "direction": step.direction} for step in found.steps],
        "left_out": left_out(found.left_out),
        "edited": list(found.edited),
    }


def detected(found: Detected) -> DetectedVersion:
    """Return what a detection found as JSON has it."""
    return {
        "pack": found.pack,
        "version": found.version,
        "equal": list(found.equal),
        "nearest": found.nearest.ref if found.nearest else None,
        "differences": list(found.nearest.differences) if found.nearest else [],
    }


class RecordFields(TypedDict):
    """One row of the tracking table. `applied_at` is in UTC."""

    ref: str
    pack: str | None
    version: int
    name: str
    applied_at: str | None
    duration_ms: int | None
    pack_version: str | None
    checksum: str | None


class HistoryFields(TypedDict):
    """What `history` adds to a database."""

    history: list[RecordFields]


class RecordChange(TypedDict):
    """A record before and after a repair; `after` is null where it is removed."""

    ref: str
    before: RecordFields
    after: RecordFields | None


class RepairFields(TypedDict):
    """What `repair` adds to a database."""

    repair: RecordChange
    snapshot: NotRequired[str | None]


def record(found: Record) -> RecordFields:
    """Return a record as JSON has it."""
    return {
        "ref": found.ref,
        "pack": found.pack,
        "version": found.version,
        "name": found.name,
        "applied_at": found.applied_at,
        "duration_ms": found.duration_ms,
        "pack_version": found.pack_version,
        "checksum": found.checksum,
    }


def history(found: Sequence[Record]) -> HistoryFields:
    """Return the records of a database as JSON has them."""
    return {"history": [record(each) for each in found]}


def repair(found: Repair) -> RepairFields:
    """Return the change of a record as JSON has it."""
    after = record(found.after) if found.after else None
    return {"repair": {"ref": found.before.ref, "before": record(found.before), "after": after}}
