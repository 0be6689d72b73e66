"""
Values as sentences and phrases for people. Prints nothing.
"""

from __future__ import annotations

from homie_migrations_core.packs.naming import time_in_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from homie_migrations_core.model import Record, Repair, Restored, RowCount
    from homie_migrations_core.running.rehearsal import Loss


def counted(number: int, noun: str) -> str:
    """Return a number and what it counts."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def state_in_words(state: str) -> str:
    """Return a state as people say it."""
    return state.replace("_", " ")


def snapshot_time_in_words(taken_at: datetime) -> str:
    """Return the time of a snapshot with its zone."""
    return f"{taken_at:%Y-%m-%d %H:%M:%S} UTC"


def seconds_in_words(seconds: float) -> str:
    """Return a duration."""
    return f"{seconds * 1_000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def losses_in_words(losses: Sequence[Loss]) -> str:
    """Return what would be lost, counted."""
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
    """Return what restoring a snapshot would change."""
    rows = (
        f"It changes {', '.join(rows_in_words(each) for each in found.rows)}" if found.rows else "No table gets more or fewer rows"
    )
    again = f"; pending again: {', '.join(found.pending_again)}" if found.pending_again else ""
    return f"{rows}{again}; changes made since it was taken are lost"


def repair_in_words(found: Repair) -> str:
    """Return what repairing a record means."""
    if found.after is not None:
        return "The migration counts as applied as it is today; nothing of it is run"
    return "The record is removed, and what the migration made stays; if a pack ships it, it is pending again"


def rows_in_words(count: RowCount) -> str:
    """Return how the number of a table's rows changes."""
    if count.before is None:
        return f"{count.table}: a new table with {counted(count.after or 0, 'row')}"
    if count.after is None:
        return f"{count.table}: gone, with {counted(count.before, 'row')}"
    if count.before == count.after:
        return f"{count.table}: {counted(count.before, 'row')}, as before"
    return f"{count.table}: {count.before:,} to {counted(count.after, 'row')}"


def record_in_words(record: Record) -> str:
    """Return what a row of `schema_migrations` says."""
    at = f", applied at {time_in_words(record.applied_at)}" if record.applied_at else ""
    return f"{record.ref}{at}, checksum {(record.checksum or 'none')[:12]}"
