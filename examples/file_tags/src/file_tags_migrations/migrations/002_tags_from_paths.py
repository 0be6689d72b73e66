"""002: every destination gets its folder names as tags: /media/ada/stick/Music/Jazz, on a drive, becomes music and jazz."""

import re
import sqlite3
import unicodedata
from collections.abc import Iterator
from pathlib import PurePath, PurePosixPath, PureWindowsPath

from homie_migrations_core import track


def get_migration_version() -> int:
    return 2


def apply_migration(conn: sqlite3.Connection) -> None:
    # The column tells the tags of this migration from those that people have given, so that the rollback removes only the former.
    conn.execute("ALTER TABLE destination_tags ADD COLUMN from_path INTEGER NOT NULL DEFAULT 0")
    (total,) = conn.execute(f"SELECT count(*) FROM destinations WHERE {HAS_ID}").fetchone()
    for destination, tags in track(tags_by_destination(conn, HAS_ID), total):
        conn.executemany(
            "INSERT INTO destination_tags (destination_id, tag, from_path) VALUES (?, ?, 1) ON CONFLICT DO NOTHING",
            [(destination, tag) for tag in tags],
        )


def verify_migration(conn: sqlite3.Connection) -> None:
    """A destination without tags must be one whose path names no folder, like the drive itself."""
    for destination, tags in tags_by_destination(conn, f"{HAS_ID} AND {HAS_NO_TAG}"):
        if tags:
            raise RuntimeError(f"the destination {destination} has no tag, and its path names {', '.join(tags)}")


def rollback_migration(conn: sqlite3.Connection) -> None:
    conn.execute("DELETE FROM destination_tags WHERE from_path = 1")
    conn.execute("ALTER TABLE destination_tags DROP COLUMN from_path")


# SQLite allows NULL in a primary key of type TEXT. Nothing can refer to such a row.
HAS_ID = "destinations.id IS NOT NULL"
HAS_NO_TAG = "NOT EXISTS (SELECT 1 FROM destination_tags WHERE destination_id = destinations.id)"


def tags_by_destination(conn: sqlite3.Connection, condition: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the id of each destination, and the tags that its path gives it."""
    # A file name on Linux is any bytes. Those that are not UTF-8 become question marks; without this they stop the migration.
    conn.text_factory = lambda raw: raw.decode("utf-8", "replace")
    rows = conn.execute(f"""
        SELECT destinations.id, CAST(path AS TEXT), CAST(mount_point AS TEXT)
        FROM destinations LEFT JOIN drives ON drives.id = drive_id
        WHERE {condition}
    """)
    for destination, path, mount_point in rows:
        yield destination, tags_of(path, mount_point)


def tags_of(path: str, mount_point: str | None) -> list[str]:
    """Return the folder names of a path below its drive, in lower case and composed Unicode, each of them once."""
    whole = pure_path(path)
    below = whole.relative_to(mount_point) if mount_point and whole.is_relative_to(mount_point) else whole
    names = [unicodedata.normalize("NFC", name).strip().lower() for name in below.parts if name not in (below.anchor, "..")]
    return list(dict.fromkeys(name for name in names if name))


def pure_path(path: str) -> PurePath:
    r"""Return a path of the system that it was written on. A backslash separates folders only after C:\ or \\server."""
    return PureWindowsPath(path) if re.match(r"[A-Za-z]:[\\/]|\\\\", path) else PurePosixPath(path)


if __name__ == "__main__":
    from homie_migrations_core import try_migration

    raise SystemExit(try_migration(__file__))
