"""
What plan, apply, rollback, redo, reset, baseline, repair and history add to the document.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NotRequired, TypedDict

from homie_migrations_core.model import LeftOut as LeftOutPack
from homie_migrations_core.model import Plan, Record, Repair
from homie_migrations_core.vocabulary import Direction

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
    """The steps in the order in which `apply` would run them."""
    left_out: list[LeftOut]
    edited: list[str]
    """References of applied migrations whose code differs today."""


class ChangeFields(TypedDict):
    """What every changing command adds to a database."""

    snapshot: str | None
    """The path of the snapshot of the state before, if there is one."""
    left_out: list[LeftOut]


class ApplyFields(ChangeFields):
    """What `apply` adds to a database."""

    applied: list[str]
    """References of the migrations that were applied, in order. They stay, whatever came after."""


class RollbackFields(ChangeFields):
    """What `rollback` and `reset` add to a database."""

    rolled_back: list[str]
    """References of the migrations that were rolled back, in order."""


class RedoFields(ChangeFields):
    """What `redo` adds to a database."""

    redone: list[str]
    """References of the migrations that were rolled back and applied again."""


class DetectedVersion(TypedDict):
    """The version that `baseline --detect` found."""

    pack: str
    version: int | None
    """Null if no version, or more than one, fits."""
    equal: list[str]
    """References of the migrations whose schema equals that of the database."""
    nearest: str | None
    """The reference of the migration that comes closest."""
    differences: list[str]
    """How the schema differs from that of the nearest one."""


class BaselineFields(ChangeFields):
    """What `baseline` adds to a database."""

    recorded: list[str]
    """References of the migrations that were recorded without being run, in order."""
    detected: NotRequired[DetectedVersion]
    """With `--detect`: what the comparison found."""


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
    """One row of the tracking table."""

    ref: str
    pack: str | None
    """Null in a table of the earlier shape, which knows no packs."""
    version: int
    name: str
    applied_at: str | None
    """The time in UTC, as it is stored: `2026-01-05 09:30:00`."""
    duration_ms: int | None
    pack_version: str | None
    """The version of the distribution that applied it."""
    checksum: str | None


class HistoryFields(TypedDict):
    """What `history` adds to a database."""

    history: list[RecordFields]
    """The records in the order in which they were written."""


class RecordChange(TypedDict):
    """A record before and after a repair."""

    ref: str
    before: RecordFields
    after: RecordFields | None
    """Null if the record is removed."""


class RepairFields(TypedDict):
    """What `repair` adds to a database."""

    repair: RecordChange
    snapshot: NotRequired[str | None]
    """The path of the snapshot of the state before, if there is one."""


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
