"""
Values as words and as JSON. Prints nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from homie_migrations_core.model import Finding, Record, Repair, Restored, RowCount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from homie_migrations_core.authoring.check import Checked
    from homie_migrations_core.running.rehearsal import Loss, Rehearsal


def losses_in_words(losses: Sequence[Loss]) -> str:
    """What would be gone, counted."""
    if not losses:
        return "No table would have fewer rows, and no column fewer values; values that change are not counted"
    found = [
        f"{counted(each.count, 'row')} of {each.table}"
        if each.column is None
        else f"{counted(each.count, 'value')} of {each.table}.{each.column}"
        for each in losses
    ]
    return f"This would be lost: {', '.join(found)}"


def restoring_in_words(found: Restored) -> str:
    """What putting a snapshot back would change."""
    rows = (
        f"It changes {', '.join(rows_in_words(each) for each in found.rows)}" if found.rows else "No table gets more or fewer rows"
    )
    again = f"; pending again: {', '.join(found.pending_again)}" if found.pending_again else ""
    return f"{rows}{again}; what was changed since it was taken goes"


def repair_in_words(found: Repair) -> str:
    """What repairing a record means."""
    if found.after is not None:
        return "The migration counts as applied as it is today, and nothing of it is run"
    return "The record goes, and what the migration made stays; if a pack ships it, it is pending again"


def rows_in_words(count: RowCount) -> str:
    """How the number of a table's rows changes."""
    if count.before is None:
        return f"{count.table}: a new table with {counted(count.after or 0, 'row')}"
    if count.after is None:
        return f"{count.table}: gone, with {counted(count.before, 'row')}"
    if count.before == count.after:
        return f"{count.table}: {counted(count.before, 'row')}, as before"
    return f"{count.table}: {count.before:,} to {counted(count.after, 'row')}"


def seconds_in_words(seconds: float) -> str:
    """A time that something took."""
    return f"{seconds * 1_000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def record_in_words(record: Record) -> str:
    """What stands in a row of `schema_migrations`."""
    at = f", applied at {record.applied_at}" if record.applied_at else ""
    return f"{record.ref}{at}, checksum {(record.checksum or 'none')[:12]}"


def record_as_json(record: Record) -> dict[str, Any]:
    """The same, as JSON has it."""
    return {
        "ref": record.ref,
        "pack": record.pack,
        "version": record.version,
        "name": record.name,
        "applied_at": record.applied_at,
        "duration_ms": record.duration_ms,
        "pack_version": record.pack_version,
        "checksum": record.checksum,
    }


def finding_as_json(found: Finding) -> dict[str, Any]:
    """A finding, as JSON has it."""
    return {
        "code": found.code,
        "subject": found.subject,
        "pack": found.pack,
        "message": found.message,
        "advice": found.advice,
        "accepted": found.accepted,
    }


def checked_as_json(found: Checked) -> dict[str, Any]:
    """What was found out about one pack, as JSON has it."""
    return {
        "name": found.pack,
        "migrations": list(found.migrations),
        "findings": [finding_as_json(each) for each in found.findings],
        "notes": list(found.notes),
    }


def rehearsal_as_json(found: Rehearsal) -> dict[str, Any]:
    """What a rehearsal found out, as JSON has it."""

    def changes(differences: Any) -> list[dict[str, Any]]:
        return [
            {
                "change": each.change,
                "kind": each.kind,
                "table": each.table,
                "name": each.name,
                "before": each.before,
                "after": each.after,
            }
            for each in differences
        ]

    return {
        "steps": [
            {
                "ref": step.ref,
                "direction": step.direction,
                "seconds": round(step.seconds, 6),
                "statements": list(step.statements),
                "statements_left_out": step.statements_left_out,
                "rows": [{"table": each.table, "before": each.before, "after": each.after} for each in step.rows],
                "schema": changes(step.schema),
                "warnings": list(step.warnings),
            }
            for step in found.steps
        ],
        "would_fail": found.error.ref if found.error is not None else None,
        "schema": changes(found.schema),
        "losses": [{"table": each.table, "column": each.column, "count": each.count} for each in found.losses],
        "findings": list(found.findings),
        "size": found.size,
        "disk_needed": found.disk_needed,
        "seconds_to_copy": round(found.seconds_to_copy, 6),
    }


def counted(number: int, noun: str) -> str:
    """A number and what it counts."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
