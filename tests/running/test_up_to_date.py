"""The fast check of a start-up: True only if nothing is to be done for sure, without opening a file of a pack."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

import pytest
from helpers import EARLIER_TABLE, creates, fingerprint, run_sql, write_pack
from hypothesis import given, settings
from hypothesis import strategies as st

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.errors import HomieMigrationsError
from homie_migrations_core.packs import naming
from homie_migrations_core.running import up_to_date
from homie_migrations_core.running.up_to_date import is_up_to_date
from homie_migrations_core.sqlite.tracking import create_sql

TWO = {"001_a.py": creates(1, "a"), "002_b.py": creates(2, "b")}


@pytest.fixture
def folder(tmp_path) -> Path:
    write_pack(tmp_path / "p", "p", TWO)
    return tmp_path / "p"


@pytest.fixture
def database(tmp_path, folder) -> Path:
    path = tmp_path / "homie_p.db"
    MigrationRunner(path, [MigrationPack("p", folder)]).apply()
    return path


def check(database: Path, folder: Path) -> bool:
    return is_up_to_date(str(database), {"p": str(folder)})


def test_true_when_every_file_is_recorded_and_nothing_else(database, folder):
    assert check(database, folder)


def test_the_files_of_the_pack_are_not_opened_and_the_database_stays_as_it_is(database, folder):
    for file in folder.iterdir():
        file.chmod(0)
        file.write_text("this is no Python")
    before = fingerprint(database.parent)
    assert check(database, folder)
    assert fingerprint(database.parent) == before


SPOILED = {
    "a file more": lambda database, folder: (folder / "003_c.sql").touch(),
    "a file less": lambda database, folder: (folder / "002_b.py").unlink(),
    "a row more": lambda database, folder: run_sql(
        database, "INSERT INTO schema_migrations (version, migration_name) VALUES (3, 'c')"
    ),
    "a row less": lambda database, folder: run_sql(database, "DELETE FROM schema_migrations WHERE version = 1"),
    "another name": lambda database, folder: (folder / "002_b.py").rename(folder / "002_other.py"),
    "a file out of rule": lambda database, folder: (folder / "helpers.py").touch(),
    "no folder": lambda database, folder: folder.rename(folder.with_name("gone")),
    "no rows": lambda database, folder: run_sql(database, "DELETE FROM schema_migrations"),
    "no table": lambda database, folder: run_sql(database, "DROP TABLE schema_migrations"),
    "no database": lambda database, folder: database.unlink(),
    "nothing in it": lambda database, folder: (database.unlink(), database.touch()),
    "no SQLite": lambda database, folder: database.write_text("hello, this is a text" * 9),
    "a folder": lambda database, folder: (database.unlink(), database.mkdir()),
    "another table": lambda database, folder: run_sql(database, "ALTER TABLE schema_migrations ADD COLUMN dirty"),
    "of another tool": lambda database, folder: run_sql(
        database, "DROP TABLE schema_migrations; CREATE TABLE schema_migrations (version varchar(128) primary key)"
    ),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_false_as_soon_as_anything_differs(database, folder, spoil):
    spoil(database, folder)
    assert not check(database, folder)


def test_a_row_without_a_checksum_counts_for_a_renamed_file(database, folder):
    run_sql(database, "UPDATE schema_migrations SET checksum = NULL")
    (folder / "002_b.py").rename(folder / "002_other.py")
    assert check(database, folder)


def test_rows_of_other_packs_do_not_count(database, folder, tmp_path):
    run_sql(database, "INSERT INTO schema_migrations (version, migration_name, pack) VALUES (1, '001_x', 'q')")
    assert check(database, folder)
    write_pack(tmp_path / "q", "q", {"001_x.sql": ""})
    assert is_up_to_date(str(database), {"p": str(folder), "q": str(tmp_path / "q")})
    (tmp_path / "q" / "002_y.sql").touch()
    assert not is_up_to_date(str(database), {"p": str(folder), "q": str(tmp_path / "q")})


ROWS = EARLIER_TABLE + "INSERT INTO schema_migrations (version, migration_name) VALUES (1, 'one'), (2, 'two');"


@pytest.mark.parametrize(
    ("file_name", "packs", "answer"),
    [
        ("homie_p.db", ["p"], True),
        ("copy.db", ["p"], True),
        ("homie_other.db", ["p"], False),
        ("copy.db", ["p", "q"], False),
        ("homie_p.db", ["p", "q"], False),
    ],
)
def test_an_earlier_table_counts_for_its_owner(tmp_path, file_name, packs, answer):
    run_sql(tmp_path / file_name, ROWS)
    for pack in packs:
        write_pack(tmp_path / pack, pack, TWO)
    assert is_up_to_date(str(tmp_path / file_name), {pack: str(tmp_path / pack) for pack in packs}) is answer


def test_false_while_another_connection_has_locked_it(database, folder):
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert not check(database, folder)
        other.execute("ROLLBACK")
        assert check(database, folder)


FILES = {1: "001_a.sql", 2: "002_b.sql", 3: "3_c.sql"}
CHANGES = ["none", "none", "without one", "one more", "renamed", "without a checksum", "of another pack", "a strange file"]


@given(
    shape=st.sampled_from(["current", "earlier"]),
    versions=st.sets(st.sampled_from(sorted(FILES)), min_size=1),
    change=st.sampled_from(CHANGES),
    at=st.integers(1, 4),
    name=st.sampled_from(["homie_p.db", "homie_q.db", "app.db"]),
)
@settings(max_examples=50, deadline=None)
def test_law_true_means_that_the_runner_plans_no_step(tmp_path_factory, shape, versions, change, at, name):
    place = tmp_path_factory.mktemp("law")
    pack = write_pack(place / "p", "p", {FILES[version]: "SELECT 1;" for version in versions})
    rows = {version: (FILES[version].removesuffix(".sql"), "p", "sum") for version in versions}
    if change == "without one":
        rows.pop(at, None)
    elif change == "one more":
        rows.setdefault(at, (f"{at}_x", "p", "sum"))
    elif at in rows:
        stem, owner, checksum = rows[at]
        rows[at] = (
            "other" if change == "renamed" else stem,
            "q" if change == "of another pack" else owner,
            None if change == "without a checksum" else checksum,
        )
    if change == "a strange file":
        (place / "p" / "helpers.py").touch()
    connection = sqlite3.connect(place / name)
    connection.executescript(create_sql("p") if shape == "current" else EARLIER_TABLE)
    for version, (stem, owner, checksum) in rows.items():
        if shape == "current":
            sql = "INSERT INTO schema_migrations (version, migration_name, pack, checksum) VALUES (?, ?, ?, ?)"
            connection.execute(sql, (version, stem, owner, checksum))
        else:
            connection.execute("INSERT INTO schema_migrations (version, migration_name) VALUES (?, ?)", (version, stem))
    connection.commit()
    connection.close()
    os.utime(place / name, (1_000_000_000, 1_000_000_000))  # reading waits until a file is a little old
    answer = is_up_to_date(str(place / name), {"p": str(place / "p")})
    runner = MigrationRunner(place / name, [pack])
    try:
        nothing_to_do = not runner.plan().steps and runner.status().packs["p"].state != "broken"
    except HomieMigrationsError:
        nothing_to_do = False
    assert nothing_to_do or not answer
    if change == "none" and (shape == "current" or name != "homie_q.db"):
        assert answer


STEMS = [
    "001_a",
    "1_a",
    "2_b_c",
    "002_b",
    "3_",
    "4",
    "_5_x",
    "6_B",
    "7_é",
    "٣_d",
    "8__",
    "9_a.b",
    "0_a",
    "10_a",
    "1 1_a",
    "+2_b",
    "1_1_a",
    "",
]
ENDINGS = [".py", ".py", ".sql", ".sql", ".rollback.sql", ".PY", ".Sql", ".txt", ".pyc", "", ".py.py", ".x.sql"]


@given(
    names=st.lists(st.tuples(st.sampled_from(STEMS), st.sampled_from(ENDINGS)).map("".join).filter(bool), unique=True, max_size=5),
    extra=st.sampled_from([[], ["__init__.py", "__pycache__", ".hidden.sql"], ["helpers.py"]]),
    change=st.sampled_from(["none", "none", "none", "a version", "a name", "no name", "one less", "one more"]),
    data=st.data(),
)
@settings(max_examples=500)
def test_law_the_names_at_once_tell_what_the_rules_tell_of_each(names, extra, change, data):
    recorded: dict[object, object] = {}
    for name in names:  # records as someone could have written them, whatever the rules say of the name
        stem = name.removesuffix(".py").removesuffix(".sql")
        digits = stem.partition("_")[0]
        recorded[int(digits) if digits.isdigit() else digits] = stem
    if recorded and change != "none":
        at = data.draw(st.sampled_from(sorted(recorded, key=str)))
        name = recorded.pop(at)
        recorded |= {"a version": {99: name}, "a name": {at: "1_other"}, "no name": {at: None}}.get(change, {})
        recorded |= {at: name, 98: "98_x"} if change == "one more" else {}
    at_once = up_to_date._are_exactly([*names, *extra], recorded)
    files, _, problems = naming.sort_files([*names, *extra])
    by_rule = not problems and files == {
        version: f"{stem}{files.get(version, '')[len(str(stem)) :]}" for version, stem in recorded.items()
    }
    assert by_rule or not at_once
    if by_rule and not any(name.endswith(".rollback.sql") for name in names):
        assert at_once


@pytest.mark.parametrize("number", [1, 20, 500])
def test_the_usual_folder_needs_no_look_at_each_name(tmp_path, monkeypatch, number):
    folder, path = tmp_path / "p", tmp_path / "homie_p.db"
    write_pack(folder, "p", {f"{each:03}_a.sql": "SELECT 1;" for each in range(1, number + 1)} | {"__init__.py": ""})
    MigrationRunner(path, [MigrationPack("p", folder)]).apply()
    monkeypatch.setattr(naming, "sort_files", lambda names: pytest.fail("each name was looked at"))
    assert check(path, folder)
