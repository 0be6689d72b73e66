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


class SnapshotFields(TypedDict):
    """One snapshot. `size` is in bytes, `taken_at` in UTC."""

    path: str
    taken_at: str
    size: int
    applied: str
    kind: Literal["automatic", "by_hand", "begun"]


class BackupsFields(TypedDict):
    """What `backups` adds to a database."""

    snapshots: list[SnapshotFields]


class RestoredDocument(TypedDict):
    """What a restore changed."""

    source: str
    pending_again: list[str]
    applied_again: list[str]
    rows: list[Rows]


class RestoreFields(TypedDict):
    """What `restore` adds to a database."""

    restored: RestoredDocument
    snapshot: str | None


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
