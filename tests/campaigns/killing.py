"""
Kill a migrating process at random moments, look at what it left, and let the next run finish.

A program of its own (`python killing.py JOURNAL_MODE KILLS SEED FOLDER`), because it forks: each child starts with
everything imported, so that the kill lands in the migrating and not in Python's start. Prints counts as JSON.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import time
from pathlib import Path

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core import execution, planning  # noqa: F401  (imported before the forks)

BODIES = {
    "001_script": "conn.executescript('CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT); INSERT INTO notes (text) SELECT text FROM items; CREATE INDEX notes_text ON notes (text);')",
    "002_column": "conn.execute('ALTER TABLE items ADD COLUMN colour TEXT')\nconn.commit()\nconn.execute(\"UPDATE items SET colour = 'c' || id\")",
    "003_rebuild": """
conn.executescript('''
    CREATE TABLE items_new (id INTEGER PRIMARY KEY, text TEXT NOT NULL, colour TEXT DEFAULT 'none');
    INSERT INTO items_new SELECT id, text, colour FROM items;
    DROP TABLE items;
    ALTER TABLE items_new RENAME TO items;
''')""",
    "004_spill": "conn.execute('PRAGMA cache_size = 10')\nconn.execute('UPDATE items SET text = text || id || id || id')\nconn.execute('UPDATE children SET n = n + 1')",
    "005_delete": "with conn:\n    conn.execute('DELETE FROM children WHERE id % 3 = 0')\nconn.execute('DELETE FROM notes WHERE id % 2')",
    "006_rowless": "conn.execute('CREATE TABLE words (word TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID')\nconn.executemany('INSERT INTO words VALUES (?, ?)', ((f'w{i}', i) for i in range(2000)))",
    "007_view": "conn.execute('CREATE VIEW coloured AS SELECT id, colour FROM items')\nconn.execute('CREATE TRIGGER t AFTER INSERT ON notes BEGIN UPDATE words SET n = n + 1; END')",
    "008_drop": "conn.execute('DROP TABLE spare')\nconn.execute('CREATE TABLE done (id)')",
}


def prepare(folder: Path, journal_mode: str) -> tuple[Path, MigrationPack]:
    pack = folder / "pack"
    pack.mkdir()
    for version, (name, body) in enumerate(BODIES.items(), start=1):
        indented = "".join(f"    {line}\n" for line in body.strip().splitlines())
        (pack / f"{name}.py").write_text(
            f"def get_migration_version():\n    return {version}\n\n\ndef apply_migration(conn):\n{indented}"
        )
    database = folder / "prepared.db"
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute(f"PRAGMA journal_mode = {journal_mode}")
    connection.executescript(
        """
        BEGIN;
        CREATE TABLE items (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
        CREATE TABLE children (id INTEGER PRIMARY KEY, item INTEGER REFERENCES items (id) ON DELETE CASCADE, n INTEGER);
        CREATE TABLE spare (id INTEGER PRIMARY KEY, text TEXT);
        WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 3000)
        INSERT INTO items SELECT i, 'text ' || i FROM c;
        INSERT INTO children SELECT id, id, id FROM items;
        INSERT INTO spare SELECT id, text FROM items;
        COMMIT;
        """
    )
    connection.close()
    return database, MigrationPack("killed", pack)


def state(path: Path) -> tuple[str, int]:
    """A hash of the schema and every row, and how many migrations are recorded. Opening it heals it."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        digest = hashlib.sha256()
        schema = connection.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE name <> 'schema_migrations' ORDER BY 1, 2"
        ).fetchall()
        for kind, name, sql in schema:
            digest.update(repr((kind, name, sql)).encode())
            if kind == "table" and not name.startswith("sqlite_"):
                for row in connection.execute(f'SELECT * FROM "{name}" ORDER BY 1'):
                    digest.update(repr(row).encode())
        tracked = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_migrations'").fetchone()
        recorded = (
            connection.execute("SELECT count(*), coalesce(max(version), 0) FROM schema_migrations").fetchone()
            if tracked
            else (0, 0)
        )
        assert recorded[0] == recorded[1], recorded
        return digest.hexdigest(), recorded[0]
    finally:
        connection.close()


def migrate(path: Path, pack: MigrationPack, *, to: str | None = None) -> int:
    return len(MigrationRunner(path, [pack]).apply(to=to))


def fresh(prepared: Path, work: Path) -> Path:
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    shutil.copy(prepared, work / "homie_killed.db")
    return work / "homie_killed.db"


def main() -> None:
    journal_mode, kills, seed, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    chance = random.Random(seed)
    prepared, pack = prepare(folder, journal_mode)
    path = fresh(prepared, folder / "work")
    boundaries = [state(path)]
    for name in BODIES:
        migrate(path, pack, to=f"killed:{name}")
        boundaries.append(state(path))
    assert [number for _, number in boundaries] == list(range(9)), boundaries
    assert len({digest for digest, _ in boundaries}) == 9

    began = time.monotonic()
    MigrationRunner(fresh(prepared, folder / "work"), [pack], backup=False).apply()
    duration = time.monotonic() - began
    gc.freeze()
    counts = {"kills": 0, "in_time": 0, "left_journal": 0, "acknowledged_lost": 0, "boundaries": [0] * 9}
    for _ in range(kills):
        path = fresh(prepared, folder / "work")
        said, says = os.pipe()
        backup = chance.random() < 0.3  # most of the time of a run with a snapshot goes into that
        child = os.fork()
        if child == 0:
            os.close(said)
            try:
                MigrationRunner(path, [pack], observers=[Says(says)], backup=backup).apply()
            finally:
                os._exit(0)
        os.close(says)
        time.sleep(chance.uniform(0, duration * 1.2))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        acknowledged = 0
        while more := os.read(said, 4096):
            acknowledged += len(more)
        os.close(said)
        counts["kills"] += 1
        counts["in_time"] += os.WIFSIGNALED(status)
        counts["left_journal"] += any(
            Path(f"{path}{suffix}").exists() and os.path.getsize(f"{path}{suffix}") for suffix in ("-journal", "-wal")
        )
        found = state(path)
        assert found in boundaries, f"between two boundaries: {found[1]} recorded, seed {seed}"
        counts["boundaries"][found[1]] += 1
        counts["acknowledged_lost"] += found[1] < acknowledged
        assert migrate(path, pack) == 8 - found[1]
        assert state(path) == boundaries[-1]
        leftovers = [each.name for each in path.parent.rglob("*.tmp")] if found[1] < 8 else []
        assert not leftovers, leftovers
    print(json.dumps(counts))


def _hookimpl(function):  # type: ignore[no-untyped-def]
    from homie_migrations_core import hookimpl

    return hookimpl(function)


class Says:
    """One byte for each migration that was reported as applied."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe

    @_hookimpl
    def homie_step_finished(self, run: object, step: object) -> None:
        os.write(self.pipe, b".")


if __name__ == "__main__":
    main()
