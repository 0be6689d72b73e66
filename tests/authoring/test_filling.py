"""The rows that tables hold while a migration is tested: those of the author, and made-up ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from checked_packs import NOTES, only
from helpers import python_migration, write_pack

from homie_migrations_core.authoring.check import (
    check_pack,
)

STUBBORN = python_migration(
    1,
    'conn.execute("CREATE TABLE t (a TEXT NOT NULL CHECK (instr(a, char(7)) = 3), b TEXT)")',
    rollback="conn.execute('DROP TABLE t')",
)


def test_a_table_that_can_not_be_filled_is_named(checked):
    finding = only(checked("pass", rollback="pass", first=STUBBORN))
    assert (finding.code, finding.subject) == ("table_not_filled", "p:001_notes")
    assert "No row could be made up for t (CHECK constraint failed" in finding.message


def test_the_author_may_fill_it(checked):
    samples = "def sample_rows(conn):\n    if conn.execute(\"SELECT 1 FROM sqlite_master WHERE name = 't'\").fetchone():\n"
    samples += "        conn.execute(\"INSERT INTO t VALUES ('ab' || char(7), 'kept')\")\n        conn.commit()\n"
    assert checked("pass", rollback="pass", first=STUBBORN, **{"_sample_rows.py": samples}).passed
    finding = only(checked("pass", rollback="conn.execute('DELETE FROM t')", first=STUBBORN, **{"_sample_rows.py": samples}))
    assert "loses 1 of 1 rows of t" in finding.message


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ("", "has no attribute 'sample_rows'"),
        ("def sample_rows(conn):\n    conn.execute('INSERT INTO nowhere VALUES (1)')", "no such table: nowhere"),
        ("def sample_rows(conn):\n    conn.execute('PRAGMA journal_mode=WAL')", "PRAGMA journal_mode can't be part"),
    ],
)
def test_sample_rows_that_fail_are_a_finding(tmp_path: Path, samples: str, words: str):
    pack = write_pack(tmp_path / "p", "p", {"001_notes.py": NOTES, "_sample_rows.py": samples})
    finding = only(check_pack(pack))
    assert finding.code == "table_not_filled"
    assert words in finding.message


READS_JSON = {
    "001_people.sql": """
        CREATE TABLE people (
            id INTEGER PRIMARY KEY,
            mail TEXT NOT NULL UNIQUE CHECK (mail LIKE '%_@_%.__%'),
            born TEXT CHECK (born IS date(born)),
            settings TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(settings)),
            theme TEXT NOT NULL GENERATED ALWAYS AS (json_extract(settings, '$.theme')) VIRTUAL,
            tags TEXT
        );
        CREATE INDEX people_theme ON people (theme);
    """,
    "001_people.rollback.sql": "DROP TABLE people;",
    "002_tags.sql": """
        CREATE TABLE tags (person INTEGER NOT NULL REFERENCES people (id), tag TEXT NOT NULL);
        INSERT INTO tags SELECT people.id, each.value FROM people, json_each(people.tags) AS each;
    """,
    "002_tags.rollback.sql": "DROP TABLE tags;",
    "003_domain.py": python_migration(
        3,
        """
        conn.execute("ALTER TABLE people ADD COLUMN domain TEXT")
        for id, mail, born in conn.execute("SELECT id, mail, born FROM people").fetchall():
            name, domain = mail.split("@")
            conn.execute("UPDATE people SET domain = ? WHERE id = ?", (domain, id))
        """,
        rollback="conn.execute('ALTER TABLE people DROP COLUMN domain')",
    ),
}


def test_columns_that_are_read_as_json_dates_or_addresses_are_no_false_alarm(tmp_path: Path):
    """The second migration is the first to show that `tags` holds JSON."""
    found = check_pack(write_pack(tmp_path / "p", "p", READS_JSON))
    assert (found.findings, found.notes) == ((), ())
