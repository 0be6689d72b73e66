"""The database and the calls that the tests of rehearsals share."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.running.rehearsal import Rehearsal

as_root = pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can become somebody else")
SOMEBODY = 65534

REAL_DATA = """
CREATE TABLE drives (id INTEGER PRIMARY KEY, name TEXT, label TEXT);
CREATE TABLE files (id INTEGER PRIMARY KEY, drive INTEGER REFERENCES drives (id), size INTEGER);
CREATE INDEX files_by_drive ON files (drive);
INSERT INTO drives VALUES (1, 'c', 'main'), (2, 'd', NULL), (3, 'e', 'old');
INSERT INTO files VALUES (1, 1, 10), (2, 1, NULL), (3, 2, 30), (4, 2, 40);
"""


def rehearse(database: Path, pack: MigrationPack, *, observers: tuple[object, ...] = (), **how: object) -> Rehearsal:
    return MigrationRunner(database, [pack], observers=observers).rehearse(**how)  # type: ignore[arg-type]


def state_of(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Every file below a folder: when it was changed, its rights, its content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        stat = path.stat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        # Readers of a WAL note in the -shm where they are; it is no part of the database.
        found[path.name] = (0, 0, "") if path.name.endswith("-shm") else (stat.st_mtime_ns, stat.st_mode, content)
    return found


def refs(found: Rehearsal) -> list[str]:
    return [step.ref for step in found.steps]


def in_words(found: Rehearsal) -> list[str]:
    return [each.in_words() for each in found.schema]


CHANGES = (
    "conn.execute('ALTER TABLE drives ADD COLUMN seen TEXT')\nconn.execute(\"UPDATE drives SET seen = 'now'\")",
    "conn.execute('DELETE FROM files')\nconn.execute('CREATE TABLE more (a)')",
)


def statements(found: Rehearsal, number: int = 0) -> list[str]:
    return list(found.steps[number].statements)
