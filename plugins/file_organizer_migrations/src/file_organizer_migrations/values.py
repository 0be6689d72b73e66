"""What the path memory returns: drives, destinations and uses, as frozen values made from rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Drive:
    """A disk, stick or cloud folder of a user. Times are UTC text, as SQLite writes it."""

    id: str
    user_id: str
    unique_identifier: str
    mount_point: str
    volume_label: str | None
    drive_type: str
    cloud_provider: str | None
    is_available: bool
    last_seen_at: str | None
    created_at: str | None


@dataclass(frozen=True, slots=True)
class Destination:
    """A folder into which a user puts files of one category. Times are UTC text, as SQLite writes it."""

    id: str
    user_id: str
    path: str
    category: str
    drive_id: str | None
    created_at: str | None
    last_used_at: str | None
    usage_count: int
    is_active: bool


@dataclass(frozen=True, slots=True)
class Use:
    """One time that files went to a destination. The time is UTC text, as SQLite writes it."""

    id: str
    destination_id: str
    used_at: str | None
    file_count: int
    operation_type: str | None


def drive_of(row: Sequence[Any]) -> Drive:
    """Return a row of `drives` as a value."""
    drive = Drive(*row)
    return replace(drive, is_available=bool(drive.is_available))


def destination_of(row: Sequence[Any]) -> Destination:
    """Return a row of `destinations` as a value. Rows of earlier releases may have gaps."""
    destination = Destination(*row)
    return replace(destination, usage_count=destination.usage_count or 0, is_active=bool(destination.is_active))
