"""001: remembers where people put their files: drives, destinations, and how often each was used."""

import sqlite3


def get_migration_version() -> int:
    return 1


# Homie created these tables before it tracked versions, so they may be there already.
TABLES = """
CREATE TABLE IF NOT EXISTS drives (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    unique_identifier TEXT NOT NULL,
    mount_point TEXT NOT NULL,
    volume_label TEXT,
    drive_type TEXT NOT NULL,
    cloud_provider TEXT,
    is_available INTEGER DEFAULT 1,
    last_seen_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (user_id, unique_identifier)
);

CREATE TABLE IF NOT EXISTS destinations (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    path TEXT NOT NULL,
    category TEXT NOT NULL,
    drive_id TEXT REFERENCES drives (id) ON DELETE SET NULL,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    last_used_at TIMESTAMP,
    usage_count INTEGER DEFAULT 0,
    is_active INTEGER DEFAULT 1,
    UNIQUE (user_id, path)
);

CREATE TABLE IF NOT EXISTS destination_usage (
    id TEXT PRIMARY KEY,
    destination_id TEXT NOT NULL REFERENCES destinations (id) ON DELETE CASCADE,
    used_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    file_count INTEGER DEFAULT 1,
    operation_type TEXT
);

CREATE INDEX IF NOT EXISTS idx_destinations_user_category ON destinations (user_id, category);
CREATE INDEX IF NOT EXISTS idx_destinations_user_active ON destinations (user_id, is_active);
CREATE INDEX IF NOT EXISTS idx_drives_user_available ON drives (user_id, is_available);
CREATE INDEX IF NOT EXISTS idx_usage_destination ON destination_usage (destination_id);
"""

EXPECTED = {
    "drives": (
        "id user_id unique_identifier mount_point volume_label drive_type cloud_provider is_available last_seen_at created_at"
    ),
    "destinations": "id user_id path category drive_id created_at last_used_at usage_count is_active",
    "destination_usage": "id destination_id used_at file_count operation_type",
}


def apply_migration(conn: sqlite3.Connection) -> None:
    conn.executescript(TABLES)


def verify_migration(conn: sqlite3.Connection) -> None:
    """A table that was there already must be the one that this pack means."""
    for table, columns in EXPECTED.items():
        found = {row[1] for row in conn.execute(f"PRAGMA table_info({table})")}
        missing = set(columns.split()) - found
        if missing:
            raise RuntimeError(f"the table {table} that is already there lacks {', '.join(sorted(missing))}")


def rollback_migration(conn: sqlite3.Connection) -> None:
    conn.execute("DROP TABLE IF EXISTS destination_usage")
    conn.execute("DROP TABLE IF EXISTS destinations")
    conn.execute("DROP TABLE IF EXISTS drives")


if __name__ == "__main__":
    from homie_migrations_core import try_migration

    raise SystemExit(try_migration(__file__))
