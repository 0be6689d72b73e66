"""The file name of a snapshot: what it contains, and that nothing else of a database gets into it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from helpers import recorded, snapshot_folder, write_pack
from hypothesis import given
from hypothesis import strategies as st

from homie_migrations_core import MigrationRunner
from homie_migrations_core.model import Record
from homie_migrations_core.sqlite.snapshot_names import (
    AUTOMATIC,
    BEGUN,
    BY_HAND,
    ENDINGS,
    is_snapshot_name,
    read_snapshot_name,
    snapshot_name,
)
from homie_migrations_core.sqlite.tracking import create_sql

NOON = datetime(2026, 11, 27, 12, 0, 0, 5, tzinfo=UTC)
STRANGE = [
    "../../x",
    "/etc/x",
    "..",
    "a/b",
    "a\\b",
    "a\nb",
    "\x1b[31mred",
    "a\x00b",
    "\u202eevil",
    "UPPER",
    "a b",
    "a+b",
    "a-b",
    "ä",
    "x" * 300 + "!",
    "con:",
]


def records(**versions: int) -> list[Record]:
    return [Record(version, f"{version:03}_step", pack) for pack, version in versions.items()]


@pytest.mark.parametrize(
    ("found", "part"),
    [
        ([], "untracked"),
        (records(a=1), "a-1"),
        (records(b=2, a=10), "a-10+b-2"),
        ([*records(a=3), *records(a=1)], "a-3"),
        ([Record(1, "001_x", None)], "untracked"),
        ([Record(1, "001_x", "../../x")], "others"),
        ([*records(a=3), Record(1, "001_x", "../../x"), Record(2, "002_x", "a\nb")], "a-3+others"),
        (records(**{f"pack{number:02}": 1 for number in range(12)}), "12-packs"),
        ([*records(**{f"pack{number:02}": 1 for number in range(12)}), Record(1, "001_x", "..")], "13-packs"),
        (records(**{"x" * 100: 1}), "1-packs"),
    ],
)
def test_a_name_says_what_was_applied(found: list[Record], part: str) -> None:
    assert snapshot_name("homie_p.db", found, NOON, AUTOMATIC) == f"homie_p.20261127T120000.000005Z.{part}.auto.db"


def test_the_time_in_a_name_is_utc() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=-7)))
    assert snapshot_name("a.db", [], there, BY_HAND) == "a.20261127T120000.000005Z.untracked.db"


@given(st.lists(st.text(max_size=300)))
def test_the_name_is_one_short_file_name_for_any_packs_in_the_records(packs: list[str]) -> None:
    found = [Record(number, "x", pack) for number, pack in enumerate(packs, start=1)]
    name = snapshot_name("homie_p.db", found, NOON, BEGUN)
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_+-.TZ")
    assert len(name) < 200
    assert Path(name).name == name
    assert is_snapshot_name(name, "homie_p.db", BEGUN)
    assert read_snapshot_name(name, "homie_p.db", BEGUN) is not None


def test_a_name_stays_within_what_file_systems_take_if_the_database_leaves_room() -> None:
    name = snapshot_name("d" * 190 + ".db", records(first=1, second=2, third=3), NOON, AUTOMATIC)
    assert name.endswith(".3-packs.auto.db")
    assert len(name) < 240


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_name_of_a_snapshot_is_read_back(ending: str) -> None:
    name = snapshot_name("homie_p.db", records(b=2, a=1), NOON, ending)
    assert read_snapshot_name(name, "homie_p.db", ending) == (NOON, "a-1, b-2")
    assert [each for each in ENDINGS if is_snapshot_name(name, "homie_p.db", each)] == [ending]
    assert not is_snapshot_name(name, "homie_q.db", ending)


def test_the_names_that_earlier_releases_gave_are_still_read() -> None:
    """They held whatever the record did."""
    name = "homie_p.20261127T120000.000005Z.Strange pack-3.auto.db"
    assert is_snapshot_name(name, "homie_p.db", AUTOMATIC)
    assert read_snapshot_name(name, "homie_p.db", AUTOMATIC) == (NOON, "Strange pack-3")


def test_a_name_with_an_impossible_time_is_not_a_snapshot() -> None:
    assert read_snapshot_name("homie_p.20261327T120000.000005Z.a-1.db", "homie_p.db", BY_HAND) is None


@pytest.mark.parametrize("name", STRANGE, ids=[ascii(name)[:20] for name in STRANGE])
def test_a_strange_pack_in_the_records_neither_keeps_a_database_from_being_migrated_nor_gets_into_a_path(
    tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    path = folder / "homie_p.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(create_sql("p"))
        insert = "INSERT INTO schema_migrations (version, migration_name, pack) VALUES (1, '001_x', ?)"
        connection.execute(insert, (name,))
        connection.commit()
    before = set(tmp_path.rglob("*"))
    runner = MigrationRunner(path, [write_pack(tmp_path / "pack", "p", {"001_one.sql": "CREATE TABLE t (a);"})])
    runner.apply()
    assert "p:001_one" in recorded(path)
    made = set(tmp_path.rglob("*")) - before - set((tmp_path / "pack").rglob("*")) - {tmp_path / "pack"}
    snapshots = {each for each in made if each.parent == snapshot_folder(path)}
    assert made - snapshots == {folder / "backups", snapshot_folder(path)}
    (snapshot,) = snapshots
    assert snapshot.name.endswith("Z.others.auto.db")
    assert [each.applied for each in runner.backups()] == ["others"]
    assert runner.backup().name.endswith("Z.p-1+others.db")
