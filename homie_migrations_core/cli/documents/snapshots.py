"""
What backup, backups and restore add to the document.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

from homie_migrations_core.cli.documents.inspection import Rows, rows
from homie_migrations_core.model import Restored, Snapshot


class BackupFields(TypedDict):
    """What `backup` adds to a database."""

    snapshot: str
    """The path of the snapshot."""


class SnapshotFields(TypedDict):
    """One snapshot."""

    path: str
    taken_at: str
    """The time in UTC, as ISO 8601 writes it."""
    size: int
    """In bytes."""
    applied: str
    """The newest version of each pack at that time, `file_organizer-1`; `untracked` for none."""
    kind: Literal["automatic", "by_hand", "begun"]
    """`begun`: taken by a run that was killed before it changed anything."""


class BackupsFields(TypedDict):
    """What `backups` adds to a database."""

    snapshots: list[SnapshotFields]
    """The newest first."""


class RestoredDocument(TypedDict):
    """What a restore changed."""

    source: str
    """The path of the snapshot."""
    pending_again: list[str]
    """References of migrations that were recorded before, and are not any more."""
    applied_again: list[str]
    """References of migrations that were not recorded before, and are now."""
    rows: list[Rows]
    """The tables whose numbers of rows differ."""


class RestoreFields(TypedDict):
    """What `restore` adds to a database."""

    restored: RestoredDocument
    snapshot: str | None
    """The path of the snapshot of the state before."""


def snapshots(found: Sequence[Snapshot]) -> BackupsFields:
    """Return snapshots as JSON has them."""
    return {
        "snapshots": [
            {
                "path": str(each.path),
                "taken_at": each.taken_at.isoformat(),
                "size": each.size,
                "applied": each.applied,
                "kind": each.kind,
            }
            for each in found
        ]
    }


def restored(found: Restored) -> RestoreFields:
    """Return what a restore changed as JSON has it."""
    return {
        "restored": {
            "source": str(found.source),
            "pending_again": list(found.pending_again),
            "applied_again": list(found.applied_again),
            "rows": rows(found.rows),
        },
        "snapshot": str(found.snapshot) if found.snapshot else None,
    }
