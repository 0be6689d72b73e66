"""Packs that are checked: a first migration that is in order, and parts of a second one; and what was found."""

from __future__ import annotations

from helpers import python_migration

from homie_migrations_core.authoring.check import Checked

NOTES = python_migration(
    1,
    """
    conn.execute("CREATE TABLE folders (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
    conn.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, folder INTEGER REFERENCES folders (id), text TEXT)")
    conn.execute("CREATE INDEX notes_of_folder ON notes (folder)")
    """,
    rollback="""
    conn.execute("DROP TABLE notes")
    conn.execute("DROP TABLE folders")
    """,
)
REBUILD = """
conn.execute("CREATE TABLE rebuilt (id INTEGER PRIMARY KEY, folder INTEGER REFERENCES folders (id), text TEXT)")
conn.execute("INSERT INTO rebuilt SELECT id, folder, text FROM notes")
conn.execute("DROP TABLE notes")
conn.execute("ALTER TABLE rebuilt RENAME TO notes")
"""
ADD = "conn.execute('ALTER TABLE notes ADD COLUMN colour TEXT')"
INDEX = 'conn.execute("CREATE INDEX notes_of_folder ON notes (folder)")\n'


def codes(found) -> list[str]:
    return [each.code for each in (found.findings if isinstance(found, Checked) else found)]


def only(found: Checked):
    assert codes(found) == codes(found)[:1], found.findings
    return found.findings[0]
