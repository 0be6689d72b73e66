"""A database and migrations of every kind, with a digest of the database after each of them."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from pathlib import Path

from helpers import python_migration, recorded, run_sql, write_pack

from homie_migrations_core import MigrationPack, MigrationRunner

SMALL_CACHE = "PRAGMA cache_size = 10;\n"
"""Smaller than what a migration changes, so that unfinished work reaches the file."""
MIGRATIONS = {
    "001_script.py": python_migration(
        1,
        """
        conn.execute("PRAGMA cache_size = 10")
        conn.executescript('''
            BEGIN;
            CREATE TABLE log (n INTEGER PRIMARY KEY, what TEXT);
            INSERT INTO log (what) SELECT 'found ' || id FROM item;
            COMMIT;
            CREATE INDEX log_what ON log (what);
        ''')
        conn.commit()
        """,
    ),
    "002_alter.sql": "ALTER TABLE item ADD COLUMN size INTEGER NOT NULL DEFAULT 0;\nALTER TABLE item RENAME COLUMN text TO body;",
    "003_rebuild.sql": SMALL_CACHE
    + """
        CREATE TABLE new_item (id INTEGER PRIMARY KEY, body TEXT NOT NULL, size INTEGER, doubled TEXT);
        INSERT INTO new_item SELECT id, body, length(body), body || body FROM item;
        DROP TABLE item;
        ALTER TABLE new_item RENAME TO item;
        CREATE INDEX item_body ON item (body);
    """,
    "004_update.sql": SMALL_CACHE + "UPDATE item SET body = 'changed ' || body || id, size = size + 1;",
    "005_without_rowid.sql": SMALL_CACHE
    + "CREATE TABLE words (word TEXT PRIMARY KEY, item REFERENCES item) WITHOUT ROWID;\nINSERT INTO words SELECT doubled || id, id FROM item;",
    "006_delete.py": python_migration(
        6,
        """
        conn.execute("PRAGMA cache_size = 10")
        for number in range(0, 600, 3):
            with conn:
                conn.execute("DELETE FROM words WHERE item = ?", (number,))
                conn.execute("DELETE FROM item WHERE id = ?", (number,))
        """,
    ),
    "007_drop.sql": "DROP TABLE log;",
    "008_view.sql": "CREATE VIEW sizes AS SELECT id, size FROM item;\nCREATE TRIGGER sized AFTER INSERT ON item BEGIN UPDATE item SET size = 1 WHERE id = new.id; END;",
}
FEW = {name: MIGRATIONS[name] for name in ("001_script.py", "002_alter.sql", "003_rebuild.sql")}
"""Enough for a campaign that tries every call of a run."""


def digest(path: Path) -> str:
    """Return a digest of everything but times. Raises if the database is damaged. Opening it rolls a journal back."""
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        found = [
            connection.execute(
                "SELECT type, name, sql FROM sqlite_schema WHERE tbl_name <> 'schema_migrations' ORDER BY 1, 2"
            ).fetchall()
        ]
        for kind, name, _ in found[0]:
            if kind == "table":
                found.append(connection.execute(f'SELECT * FROM "{name}" ORDER BY 1').fetchall())
        return hashlib.sha256(repr(found).encode()).hexdigest()
    finally:
        connection.close()


class SampleDatabase:
    """A folder with a database and its snapshots, which can be reset to the state before a run."""

    def __init__(self, folder: Path, mode: str, *, new: bool = False, migrations: dict[str, str] = MIGRATIONS) -> None:
        self._beginning, self.pack, self.folder, self._new = folder / "beginning", folder / "pack", folder / "database", new
        self.path, self.last = self.folder / "homie_p.db", len(migrations)
        self._beginning.mkdir()
        if not new:
            run_sql(
                self._beginning / self.path.name,
                f"""PRAGMA journal_mode={mode};
                CREATE TABLE item (id INTEGER PRIMARY KEY, text TEXT);
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)
                INSERT INTO item SELECT i, 'text number ' || i || ' and so on, and so on, and so on' FROM n;""",
            )
            os.utime(self._beginning / self.path.name, (0, 0))  # readers wait a little for a file that has just changed
        files = dict(migrations)
        if new:  # then the first step makes the table
            files["001_script.py"] = files["001_script.py"].replace(
                "BEGIN;",
                """BEGIN; CREATE TABLE item (id INTEGER PRIMARY KEY, text TEXT);
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600) INSERT INTO item SELECT i, 'text ' || i FROM n;""",
            )
        write_pack(self.pack, "p", files)
        self.boundaries: dict[int, str] = {}
        self.reset()
        for version in range(self.last + 1):
            if version:
                MigrationRunner(self.path, [MigrationPack("p", self.pack)], backup=False).apply(to=f"p:{version}")
            if version or not new:
                self.boundaries[version] = digest(self.path)
        assert len(set(self.boundaries.values())) == len(self.boundaries)

    def reset(self) -> None:
        """Restore the folder to its state before the first run."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self._beginning, self.folder)

    def reset_to_this_from_now_on(self) -> None:
        """Let `reset` restore the present state of the folder."""
        shutil.rmtree(self._beginning)
        self.backdate()
        shutil.copytree(self.folder, self._beginning)

    def backdate(self) -> None:
        """Set the time of the last change to long ago."""
        if self.path.exists():
            os.utime(self.path, (0, 0))

    def examine(self, *, keeps: bool = False) -> int:
        """
        Return how many migrations are applied, looking at a copy of what a process left.

        With `keeps`, a database that was changed must have its snapshot.
        """
        copied = self.folder.with_name("examined")
        shutil.rmtree(copied, ignore_errors=True)
        shutil.copytree(self.folder, copied)
        return self.examine_folder(copied, keeps=keeps)

    def examine_folder(self, folder: Path, *, keeps: bool = False) -> int:
        """
        Return how many migrations are applied to the database in `folder`. Opening it changes the folder.

        Raises:
            AssertionError, sqlite3.Error: It is damaged or between two migrations, or one of its snapshots is.
        """
        path = folder / self.path.name
        whole = [each for ending in ("auto", "begun") for each in (folder / "backups").glob(f"*/*.{ending}.db")]
        for snapshot in whole:
            assert digest(snapshot) == self.boundaries[len(recorded(snapshot))], f"{snapshot.name} is not whole"
        if not path.exists():
            assert self._new, "the database is gone"
            return 0
        versions = [int(ref.partition(":")[2][:3]) for ref in recorded(path)]
        assert versions == list(range(1, len(versions) + 1))
        if versions or not self._new:
            assert digest(path) == self.boundaries[len(versions)], f"{len(versions)} are recorded, and that is not what is there"
        else:
            connection = sqlite3.connect(path)
            assert connection.execute("SELECT * FROM sqlite_schema").fetchall() == []
            connection.close()
        if keeps and versions and not self._new:
            kept = [digest(each) for each in whole if each.name.endswith(".auto.db")]
            assert self.boundaries[0] in kept, f"{len(versions)} are committed, and there is no snapshot of the state before them"
        return len(versions)

    def has_open_journal(self) -> bool:
        """Return whether the next writer must recover: there is a journal that is not empty and whose header was not erased."""
        for ending in ("-journal", "-wal"):
            beside = self.path.with_name(self.path.name + ending)
            if beside.exists() and beside.read_bytes()[:8].strip(b"\0"):
                return True
        return False
