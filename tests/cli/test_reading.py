"""Looking changes no byte, makes no file and takes no lock, whatever state the database is in."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import creates, fingerprint, problems, query, run_sql

COMMANDS = ["status", "plan", "history"]
NAME = "a b#c?d%20é.db"


class Place:
    """A folder with one migration applied to a database, and what keeps it busy."""

    def __init__(self, tmp_path: Path, homie) -> None:
        self.folder, self.database = tmp_path / "tasks", tmp_path / NAME
        self.folder.mkdir()
        (self.folder / "001_one.py").write_text(creates(1, "one"))
        (self.folder / "002_two.py").write_text(creates(2, "two"))
        self.options = ("--dir", self.folder, "--database", self.database)
        assert homie("apply", *self.options, "--to", "tasks:1").code == 0
        self.others: list[sqlite3.Connection] = []

    def connect(self) -> sqlite3.Connection:
        self.others.append(sqlite3.connect(self.database, isolation_level=None))
        return self.others[-1]


@pytest.fixture
def place(tmp_path: Path, homie) -> Iterator[Place]:
    made = Place(tmp_path, homie)
    yield made
    tmp_path.chmod(0o700)
    for each in made.others:
        each.close()


def missing(place: Place) -> str:
    place.database.unlink()
    return "new"


def zero_bytes(place: Place) -> str:
    place.database.write_bytes(b"")
    return "new"


def plain(place: Place) -> str:
    return "pending"


def read_only(place: Place) -> str:
    place.database.chmod(0o400)
    place.database.parent.chmod(0o500)
    return "pending"


def wal_at_rest(place: Place) -> str:
    run_sql(place.database, "PRAGMA journal_mode=WAL; INSERT INTO one VALUES (1, 'x');")
    assert not Path(f"{place.database}-wal").exists()
    return "pending"


def wal_in_use(place: Place) -> str:
    other = place.connect()
    other.execute("PRAGMA journal_mode=WAL")
    other.execute("INSERT INTO one VALUES (1, 'x')")
    assert Path(f"{place.database}-wal").stat().st_size > 0
    return "pending"


def writer_at_work(place: Place) -> str:
    other = place.connect()
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO one VALUES (1, 'x')")
    return "pending"


def edited_and_ahead(place: Place) -> str:
    run_sql(
        place.database,
        "UPDATE schema_migrations SET checksum = 'other';"
        "INSERT INTO schema_migrations (version, migration_name, pack) VALUES (9, '009_x', 'tasks');",
    )
    return "ahead"


STATES = [missing, zero_bytes, plain, read_only, wal_at_rest, wal_in_use, writer_at_work, edited_and_ahead]


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_reading_commands_leave_everything_as_it_was(homie, place: Place, state):
    word = state(place)
    around = place.database.parent
    before = fingerprint(around) if state is not wal_in_use else {**fingerprint(around), f"{NAME}-shm": ""}

    for command in COMMANDS:
        result = homie(command, *place.options, "--lock-timeout", "0.3", "--json")
        expected = 1 if word == "ahead" and command == "plan" else 0
        assert result.code == expected, (command, result.err)
        if command == "status":
            assert result.json["databases"][0]["state"] == word

    after = fingerprint(around)
    if state is wal_in_use:  # where SQLite's readers note what they read, beside the file and never in it
        after[f"{NAME}-shm"] = ""
    assert after == before


def test_reading_leaves_the_time_of_the_last_change(homie, place: Place):
    before = place.database.stat()
    for command in COMMANDS:
        homie(command, *place.options)
    after = place.database.stat()
    assert (after.st_mtime_ns, after.st_ino, after.st_mode) == (before.st_mtime_ns, before.st_ino, before.st_mode)


def test_an_apply_with_nothing_to_do_changes_no_byte_either(homie, place: Place):
    homie("apply", *place.options, "--no-backup")
    before = fingerprint(place.database.parent)
    assert homie("apply", *place.options).code == 0
    assert fingerprint(place.database.parent) == before


def interrupt(database: Path) -> None:
    """Kill a process in the middle of a change, after part of it has reached the file."""
    code = f"""
import os, sqlite3
connection = sqlite3.connect({str(database)!r}, isolation_level=None)
connection.execute("PRAGMA cache_size = 2")
connection.execute("BEGIN IMMEDIATE")
connection.executemany("INSERT INTO one VALUES (NULL, ?)", [("x" * 500,)] * 500)
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    assert Path(f"{database}-journal").stat().st_size > 0


@pytest.mark.skipif(os.name == "nt", reason="a kill of POSIX")
def test_an_interrupted_database_is_reported_and_repaired_by_apply(homie, place: Place):
    interrupt(place.database)
    before = fingerprint(place.database.parent)

    shown = homie("status", *place.options)
    assert shown.code == 0
    assert shown.out.splitlines()[0] == f"{place.database}: interrupted"
    assert "The next `homie migrations apply` rolls that back." in shown.out
    assert homie("status", *place.options, "--check").code == 3
    for command in ("plan", "history"):
        result = homie(command, *place.options)
        assert (result.code, result.out, len(problems(result.err))) == (1, "", 1)
        assert "was killed and left a journal" in result.err
    assert fingerprint(place.database.parent) == before

    applied = homie("apply", *place.options, "--no-backup")
    assert applied.code == 0
    assert query(place.database, "SELECT count(*) FROM one") == [(0,)]
    assert query(place.database, "PRAGMA integrity_check") == [("ok",)]
    assert homie("status", *place.options, "--check").code == 0


def test_a_copy_of_the_file_alone_can_be_read(homie, place: Place, tmp_path: Path):
    """What people do when they ask for help: they send the file."""
    run_sql(place.database, "PRAGMA journal_mode=WAL; INSERT INTO one VALUES (1, 'x');")
    elsewhere = tmp_path / "sent"
    elsewhere.mkdir()
    shutil.copy(place.database, elsewhere / "copy.db")
    before = fingerprint(elsewhere)
    assert homie("history", "--dir", place.folder, "--database", elsewhere / "copy.db").code == 0
    assert fingerprint(elsewhere) == before
