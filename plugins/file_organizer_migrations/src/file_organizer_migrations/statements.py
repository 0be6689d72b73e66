"""
The SQL of the path memory, named so that a test can ask SQLite which index each statement uses.

The tables are made by the migrations.
"""

from __future__ import annotations

_DRIVE = (
    "SELECT id, user_id, unique_identifier, mount_point, volume_label, drive_type, cloud_provider, is_available,"
    " last_seen_at, created_at FROM drives"
)
_DESTINATION = "SELECT id, user_id, path, category, drive_id, created_at, last_used_at, usage_count, is_active FROM destinations"

REGISTER_DRIVE = """
INSERT INTO drives (id, user_id, unique_identifier, mount_point, volume_label, drive_type, cloud_provider)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (user_id, unique_identifier) DO UPDATE SET
    mount_point = excluded.mount_point,
    volume_label = excluded.volume_label,
    drive_type = excluded.drive_type,
    cloud_provider = excluded.cloud_provider,
    is_available = 1,
    last_seen_at = CURRENT_TIMESTAMP
"""
DRIVE_BY_IDENTIFIER = f"{_DRIVE} WHERE user_id = ? AND unique_identifier = ?"
DRIVE_BY_ID = f"{_DRIVE} WHERE id = ?"
AVAILABLE_DRIVES = f"{_DRIVE} WHERE user_id = ? AND is_available = 1 ORDER BY mount_point"
MARK_AVAILABLE = "UPDATE drives SET is_available = 1, last_seen_at = CURRENT_TIMESTAMP WHERE id = ?"
MARK_UNAVAILABLE = "UPDATE drives SET is_available = 0 WHERE id = ?"

REMEMBER_DESTINATION = """
INSERT INTO destinations (id, user_id, path, category, drive_id)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (user_id, path) DO UPDATE SET
    category = excluded.category,
    drive_id = coalesce(excluded.drive_id, drive_id),
    is_active = 1
"""
DESTINATION_BY_PATH = f"{_DESTINATION} WHERE user_id = ? AND path = ?"
DESTINATION_BY_ID = f"{_DESTINATION} WHERE id = ?"
# An order that no index has: SQLite would rather scan all of a user's rows in order than sort the few that are asked for.
DESTINATIONS = f"{_DESTINATION} WHERE user_id = ? ORDER BY usage_count DESC, path"
ACTIVE_DESTINATIONS = f"{_DESTINATION} WHERE user_id = ? AND is_active = 1 ORDER BY usage_count DESC, path"
DESTINATIONS_OF_CATEGORY = f"{_DESTINATION} WHERE user_id = ? AND category = ? ORDER BY usage_count DESC, path"
# Nearly every row is active and few share a category: the + keeps SQLite from preferring the index on is_active.
ACTIVE_DESTINATIONS_OF_CATEGORY = (
    f"{_DESTINATION} WHERE user_id = ? AND category = ? AND +is_active = 1 ORDER BY usage_count DESC, path"
)
FORGET_DESTINATION = "UPDATE destinations SET is_active = 0 WHERE id = ?"

COUNT_USE = """
UPDATE destinations SET usage_count = coalesce(usage_count, 0) + 1, last_used_at = CURRENT_TIMESTAMP WHERE id = ?
"""
# Takes the time from the row that was just counted, so that both say the same second.
RECORD_USE = """
INSERT INTO destination_usage (id, destination_id, used_at, file_count, operation_type)
SELECT ?, id, last_used_at, ?, ? FROM destinations WHERE id = ?
"""
_USE = "SELECT id, destination_id, used_at, file_count, operation_type FROM destination_usage"
USE_BY_ID = f"{_USE} WHERE id = ?"
USAGE_HISTORY = f"{_USE} WHERE destination_id = ? ORDER BY used_at DESC, rowid DESC LIMIT ?"
