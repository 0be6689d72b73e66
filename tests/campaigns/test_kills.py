"""
A process is killed at a random moment: the database is at a migration boundary, and the next run goes on from there.

The moments are uniform over a run, whose migrations change more than SQLite's cache holds, so that half-done work is
in the file. The seed is printed; set HOMIE_KILLS_SEED to draw the same moments again.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import sqlite3
import sys
import tempfile
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest
from campaigns.crew import Crew
from helpers import python_migration, recorded, run_sql, write_pack

from homie_migrations_core import MigrationRunner

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")]

KILLS = int(os.environ.get("HOMIE_KILLS", "200"))
SEED = int(os.environ.get("HOMIE_KILLS_SEED", random.randrange(10**6)))
SMALL_CACHE = "PRAGMA cache_size = 10;\n"
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


def digest(path: Path) -> str:
    """Everything in a database but when it was done."""
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


class Field:
    """A database, its migrations, and what it looks like after each of them."""

    def __init__(self, folder: Path, mode: str, *, new: bool = False) -> None:
        self._prepared, self.pack, self._folder, self._new = folder / "prepared.db", folder / "pack", folder / "field", new
        self.path = self._folder / "homie_p.db"
        run_sql(
            self._prepared,
            f"""PRAGMA journal_mode={mode};
            CREATE TABLE item (id INTEGER PRIMARY KEY, text TEXT);
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)
            INSERT INTO item SELECT i, 'text number ' || i || ' and so on, and so on, and so on' FROM n;""",
        )
        files = dict(MIGRATIONS)
        if new:  # then the first step makes what there was
            files["001_script.py"] = files["001_script.py"].replace(
                "BEGIN;",
                """BEGIN; CREATE TABLE item (id INTEGER PRIMARY KEY, text TEXT);
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600) INSERT INTO item SELECT i, 'text ' || i FROM n;""",
            )
        write_pack(self.pack, "p", files)
        self.boundaries: dict[int, str] = {}
        self.begin_again()
        for version in range(len(MIGRATIONS) + 1):
            if version:
                MigrationRunner(self.path, [write_pack(self.pack, "p", {})], backup=False).apply(to=f"p:{version}")
            if version or not new:
                self.boundaries[version] = digest(self.path)
        assert len(set(self.boundaries.values())) == len(self.boundaries)

    def begin_again(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        if not self._new:
            shutil.copy2(self._prepared, self.path)
            os.utime(self.path, (0, 0))

    def examine(self) -> int:
        """After how many migrations the database is, seen in a copy of the files that the killed process left."""
        if not self.path.exists():
            return 0
        autopsy = self._folder.with_name("autopsy")
        shutil.rmtree(autopsy, ignore_errors=True)
        shutil.copytree(self._folder, autopsy)
        copy = autopsy / self.path.name
        versions = [int(ref.partition(":")[2][:3]) for ref in recorded(copy)]
        assert versions == list(range(1, len(versions) + 1))
        if versions or not self._new:
            assert digest(copy) == self.boundaries[len(versions)]
        else:
            connection = sqlite3.connect(copy)
            assert connection.execute("SELECT * FROM sqlite_schema").fetchall() == []
            connection.close()
        for snapshot in (autopsy / "backups").glob("*.auto.db") if not self._new else ():
            assert digest(snapshot) == self.boundaries[len(recorded(snapshot))]
        return len(versions)

    def interrupted(self) -> bool:
        """Whether there is work for whoever comes next."""
        return any(
            beside.exists() and beside.stat().st_size > 0
            for beside in (self.path.with_name(self.path.name + ending) for ending in ("-journal", "-wal"))
        )


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In memory where that can be had: a killed process loses nothing that the kernel has, so waiting for a disk proves nothing."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    with Crew() as crew:
        yield crew


def campaign(crew: Crew, field: Field, kills: int, chance: random.Random, **options: object) -> tuple[set[int], int]:
    """Kill and go on, so many times. At which boundaries the database was, and how often half-done work was left."""
    durations: deque[float] = deque(maxlen=9)  # of whole runs: how busy the machine is may change
    for _ in range(3):
        field.begin_again()
        (worker,) = crew.run(field.path, field.pack, backup=True, **options)
        assert worker.error is None
        durations.append(worker.seconds)
    seen, interrupted = set(), 0
    for number in range(kills):
        field.begin_again()
        after = chance.uniform(0, 1.1 * median(durations))
        (worker,) = crew.run(field.path, field.pack, kill_after=[after], backup=number % 2 == 0, **options)
        assert worker.error is None, worker.error
        if not worker.killed:
            durations.append(worker.seconds)
        interrupted += field.interrupted()
        seen.add(field.examine())
        (worker,) = crew.run(field.path, field.pack, backup=number % 2 == 0, **options)
        assert worker.error is None, f"kill {number} after {after}: {worker.error}"
        assert field.examine() == len(MIGRATIONS), f"kill {number} after {after}"
    return seen, interrupted


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_killed_run_leaves_a_migration_boundary_and_the_next_one_finishes(
    crew: Crew, tmp_path: Path, mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print(f"\n{mode}: {KILLS} kills, HOMIE_KILLS_SEED={SEED}", file=sys.stderr)
    seen, interrupted = campaign(crew, Field(tmp_path, mode), KILLS, random.Random(SEED))
    assert len(seen) > 4  # it was killed in many places
    assert interrupted > KILLS // 10  # and in the middle of things


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_killed_run_of_one_transaction_leaves_nothing_or_all_of_it(crew: Crew, tmp_path: Path, mode: str) -> None:
    print(f"{mode}: HOMIE_KILLS_SEED={SEED}")
    seen, _ = campaign(crew, Field(tmp_path, mode), 30, random.Random(SEED), all_or_nothing=True)
    assert seen <= {0, len(MIGRATIONS)}
    assert 0 in seen


def test_a_new_database_whose_making_is_killed_is_empty_or_whole(crew: Crew, tmp_path: Path) -> None:
    print(f"HOMIE_KILLS_SEED={SEED}")
    seen, _ = campaign(crew, Field(tmp_path, "delete", new=True), 50, random.Random(SEED))
    assert seen <= {0, len(MIGRATIONS)}
    assert 0 in seen


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_whichever_statement_of_the_runner_is_its_last_the_database_is_at_a_boundary(crew: Crew, tmp_path: Path, mode: str) -> None:
    """Not random: the process ends before each single one in turn, until one run gets through."""
    field = Field(tmp_path, mode)
    seen = set()
    for exit_at in range(1, 1_000):
        field.begin_again()
        (worker,) = crew.run(field.path, field.pack, exit_at=exit_at, backup=exit_at % 4 == 0)
        assert worker.error is None
        seen.add(field.examine())
        if not worker.killed:
            break
        if exit_at % 5 == 0:
            (worker,) = crew.run(field.path, field.pack, backup=False)
            assert (worker.error, field.examine()) == (None, len(MIGRATIONS))
    assert exit_at > 50
    assert seen == set(range(len(MIGRATIONS) + 1))
