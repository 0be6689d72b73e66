"""The schema that migrations produce is found by running them on a database in memory, and nowhere else."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from helpers import creates, fingerprint, python_migration, query, write_pack

from file_organizer_migrations.plugin import homie_migration_packs
from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.inspection.replay import Replayed, Replayer, replay
from homie_migrations_core.model import Pack
from homie_migrations_core.packs.reading import read_pack
from homie_migrations_core.sqlite.schema import read_schema
from homie_migrations_core.sqlite.schema_comparison import compare
from homie_migrations_core.stopping import Stopped, StopRequest


def pack_of(folder: Path, *bodies: str, name: str = "p") -> Pack:
    """A pack whose migrations have these bodies: Python if they mention `conn` or `raise`, else SQL."""
    files = {}
    for version, body in enumerate(bodies, start=1):
        if "conn" in body or "raise" in body or "return" in body or "yield" in body:
            files[f"{version:03}_step.py"] = python_migration(version, body)
        else:
            files[f"{version:03}_step.sql"] = body
    return read_pack(write_pack(folder / name, name, files))


def replayed(*packs: Pack) -> Replayed:
    return replay(packs, [migration for pack in packs for migration in pack.migrations])


def names(result: Replayed) -> list[str]:
    return sorted(name for _, name in result.schema)


# --- what comes of it -------------------------------------------------------------------------------------------------

HISTORIES = {
    "tables, indexes, views, triggers": [
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT DEFAULT 'x'); CREATE INDEX i ON t (b) WHERE b > 'a'",
        "conn.executescript('CREATE VIEW v AS SELECT * FROM t; CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t; END')",
        "conn.execute('ALTER TABLE t ADD COLUMN c')\nconn.commit()\nconn.execute('ALTER TABLE t RENAME COLUMN b TO d')",
    ],
    "a rebuild with rows": [
        "CREATE TABLE t (a PRIMARY KEY); INSERT INTO t VALUES (1), (2); CREATE TABLE c (t REFERENCES t ON DELETE CASCADE)",
        "with conn:\n    conn.execute('CREATE TABLE n (a PRIMARY KEY, b)')\n    conn.execute('INSERT INTO n SELECT a, 1 FROM t')",
        "DROP TABLE t; ALTER TABLE n RENAME TO t; CREATE UNIQUE INDEX i ON t (b, a)",
    ],
    "full-text search": [
        "CREATE VIRTUAL TABLE docs USING fts5 (title, body)",
        "conn.execute('INSERT INTO docs VALUES (?, ?)', ('a', 'b'))\nconn.execute('ALTER TABLE docs RENAME TO papers')",
    ],
}


@pytest.mark.parametrize("bodies", HISTORIES.values(), ids=HISTORIES)
def test_a_replay_has_the_schema_of_a_real_run(tmp_path, bodies):
    pack, path = pack_of(tmp_path, *bodies), tmp_path / "homie_p.db"
    MigrationRunner(path, [MigrationPack("p", tmp_path / "p")]).apply()
    connection = sqlite3.connect(path)
    try:
        real = read_schema(connection)
    finally:
        connection.close()
    result = replayed(pack)
    assert result.failed is None
    assert result.schema
    assert compare(real, result.schema) == []


def test_an_installed_pack_is_replayed():
    pack = read_pack(homie_migration_packs())
    result = replayed(pack)
    assert result.failed is None
    assert {"drives", "destinations", "destination_usage"} <= {name for kind, name in result.schema if kind == "table"}
    assert set(result.owners.values()) == {"file_organizer"}
    assert result.owners.keys() == result.schema.keys()


def test_two_orders_that_come_out_the_same_and_two_that_do_not(tmp_path):
    pack = pack_of(
        tmp_path, "CREATE TABLE t (a)", "ALTER TABLE t ADD COLUMN b", "CREATE TABLE u (a)", "ALTER TABLE t ADD COLUMN c TEXT"
    )
    one, two, three, four = pack.migrations
    in_order = replay([pack], [one, two, three, four])
    assert compare(in_order.schema, replay([pack], [one, two, four, three]).schema) == []
    assert [(each.change, each.name) for each in compare(in_order.schema, replay([pack], [one, four, three, two]).schema)] == [
        ("reordered", "t")
    ]


def test_a_migration_sees_the_records_of_those_before_it_and_its_own(tmp_path):
    look = "seen = conn.execute('SELECT pack, version, migration_name FROM schema_migrations ORDER BY version').fetchall()\n"
    pack = pack_of(
        tmp_path,
        "CREATE TABLE t (a)",
        look + "assert seen == [('p', 1, '001_step'), ('p', 2, '002_step')], seen\nconn.execute('CREATE TABLE u (a)')",
    )
    result = replayed(pack)
    assert result.failed is None
    assert names(result) == ["t", "u"]


def test_a_verification_is_not_asked_because_there_are_no_rows(tmp_path):
    source = python_migration(1, "conn.execute('CREATE TABLE t (a)')", verify="raise ValueError('no rows')")
    assert replayed(read_pack(write_pack(tmp_path / "p", "p", {"001_step.py": source}))).failed is None


def test_relative_imports_work(tmp_path, monkeypatch):
    write_pack(
        tmp_path / "shipping" / "steps",
        "p",
        {"001_step.py": python_migration(1, "create(conn)", head="from .._tools import create")},
    )
    (tmp_path / "shipping" / "__init__.py").touch()
    (tmp_path / "shipping" / "steps" / "__init__.py").touch()
    (tmp_path / "shipping" / "_tools.py").write_text("def create(conn):\n    conn.execute('CREATE TABLE t (a)')\n")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        result = replayed(read_pack(MigrationPack("p", "shipping.steps")))
    finally:
        for module in [each for each in sys.modules if each.partition(".")[0] == "shipping"]:
            del sys.modules[module]
    assert result.failed is None
    assert names(result) == ["t"]


def test_nothing_is_written_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pack = pack_of(tmp_path, "CREATE TABLE t (a); INSERT INTO t VALUES (1)", "conn.execute('CREATE INDEX i ON t (a)')")
    before = fingerprint(tmp_path)
    replayed(pack)
    assert fingerprint(tmp_path) == before


LEAVINGS = {
    "a temporary table": ("conn.execute('CREATE TEMP TABLE x (a)')", "CREATE TABLE x (b)"),
    "a function": ("conn.create_function('f', 0, lambda: 1)", "conn.execute('SELECT f()')"),
    "a function of SQLite's own": (
        "conn.create_function('lower', 1, lambda text: 'x')",
        "assert conn.execute(\"SELECT lower('A')\").fetchone() == ('a',)",
    ),
    "a pragma": (
        "conn.execute('PRAGMA case_sensitive_like = ON')",
        "assert conn.execute(\"SELECT 'a' LIKE 'A'\").fetchone() == (1,)",
    ),
    "a row factory": ("conn.row_factory = lambda *_: None", "assert conn.execute('SELECT 1').fetchone() == (1,)"),
}


@pytest.mark.parametrize(("first", "second"), LEAVINGS.values(), ids=LEAVINGS)
def test_what_a_step_leaves_on_the_connection_does_not_reach_the_next(tmp_path, first, second):
    pack = pack_of(tmp_path, f"{first}\nconn.execute('CREATE TABLE kept (a)')\nconn.execute('INSERT INTO kept VALUES (1)')", second,
                   "assert conn.execute('SELECT a FROM kept').fetchall() == [(1,)]")  # fmt: skip
    result = replayed(pack)
    if "f()" in second:
        assert result.failed is not None
        assert "no such function: f" in result.failed[1]
    else:
        assert result.failed is None
    assert "kept" in names(result)
    assert result.schema.keys() == result.owners.keys()


# --- whose it is ------------------------------------------------------------------------------------------------------


def owned(tmp_path: Path, *steps: tuple[str, str]) -> dict[str, str]:
    """Which pack owns which object, after the steps (pack, SQL) in this order."""
    bodies: dict[str, list[str]] = {}
    for pack, body in steps:
        bodies.setdefault(pack, []).append(body)
    packs = {name: pack_of(tmp_path, *each, name=name) for name, each in bodies.items()}
    waiting = {name: iter(pack.migrations) for name, pack in packs.items()}
    result = replay(list(packs.values()), [next(waiting[name]) for name, _ in steps])
    assert result.failed is None
    assert result.owners.keys() == result.schema.keys()
    return {name: owner for (_, name), owner in sorted(result.owners.items())}


def test_what_a_pack_creates_is_its_own(tmp_path):
    one, other = "CREATE TABLE T (a); CREATE INDEX I ON T (a)", "CREATE TABLE u (a); CREATE VIEW v AS SELECT * FROM t"
    assert owned(tmp_path, ("a", one), ("b", other)) == {"t": "a", "i": "a", "u": "b", "v": "b"}


def test_a_table_belongs_to_the_pack_that_changed_it_last(tmp_path):
    create = "CREATE TABLE t (a); CREATE TABLE u (a)"
    assert owned(tmp_path, ("a", create), ("b", "ALTER TABLE t ADD COLUMN b")) == {"t": "b", "u": "a"}
    assert owned(tmp_path / "2", ("a", create), ("b", "DROP TABLE t; CREATE TABLE t (x)")) == {"t": "b", "u": "a"}
    assert owned(tmp_path / "4", ("a", create), ("b", "DROP TABLE u; CREATE TABLE u (x)")) == {"t": "a", "u": "b"}
    assert owned(tmp_path / "3", ("a", create), ("b", "CREATE TABLE n (a, b); DROP TABLE t; ALTER TABLE n RENAME TO t")) == {
        "t": "b",
        "u": "a",
    }


def test_an_index_on_the_table_of_another_pack_belongs_to_who_made_it(tmp_path):
    assert owned(tmp_path, ("a", "CREATE TABLE t (a)"), ("b", "CREATE INDEX i ON t (a)")) == {"t": "a", "i": "b"}


def test_creating_what_is_there_or_writing_rows_changes_no_owner(tmp_path):
    steps = [
        ("a", "CREATE TABLE t (a)"),
        ("b", "CREATE TABLE IF NOT EXISTS t (a, b)"),
        ("b", "INSERT INTO t VALUES (1)"),
        ("b", "DROP TABLE IF EXISTS u; CREATE TABLE IF NOT EXISTS t (c)"),
    ]
    assert owned(tmp_path, *steps) == {"t": "a"}


def test_what_was_dropped_has_no_owner_and_may_come_back_as_another_packs(tmp_path):
    steps = [
        ("a", "CREATE TABLE t (a); CREATE TABLE u (a)"),
        ("a", "DROP TABLE u"),
        ("b", "CREATE TABLE w (a)"),
        ("b", "CREATE TABLE u (a)"),
        ("a", "ALTER TABLE w RENAME TO x"),
    ]
    assert owned(tmp_path, *steps) == {"t": "a", "u": "b", "x": "a"}


# --- where it can't go on -----------------------------------------------------------------------------------------------

FAILURES = {
    "an error": ("raise ValueError('no such luck')", "ValueError: no such luck (002_step.py, line 8)"),
    "an error in SQL": (
        "CREATE TABLE x (a);\n\nCREATE TABLE t (a)",
        "OperationalError: table t already exists (002_step.sql, line 3)",
    ),
    "a row that is missing": (
        "conn.execute('SELECT a FROM t').fetchone()[0]",
        "TypeError: 'NoneType' object is not subscriptable (002_step.py, line 8)",
    ),
    "False": ("conn.execute('CREATE TABLE x (a)')\nreturn False", "apply_migration() returned False"),
    "a generator": ("yield conn", "apply_migration() returned a generator, so none of its code ran"),
    "a rollback as its last word": ("conn.execute('CREATE TABLE x (a)')\nconn.rollback()", "its last word was conn.rollback()"),
    "an exit": ("raise SystemExit(3)", "SystemExit: 3 (002_step.py, line 8)"),
    "ATTACH": ("ATTACH ':memory:' AS other", "ATTACH and DETACH can't be part of an atomic step"),
    "a file that can't be used": ("conn.execute(", "002_step.py, line 8"),
    "SQLite ended the transaction": (
        "conn.execute('CREATE TABLE x (a UNIQUE)')\n"
        "try:\n    conn.execute('INSERT OR ROLLBACK INTO x VALUES (1), (1)')\nexcept Exception:\n    pass",
        "SQLite ended the transaction by itself: UNIQUE constraint failed: x.a",
    ),
    "a connection that was closed": ("sqlite3.Connection.close(conn)", "the migration closed the connection"),
}


@pytest.mark.parametrize(("body", "why"), FAILURES.values(), ids=FAILURES)
def test_a_replay_ends_at_the_first_migration_that_fails_and_says_why(tmp_path, body, why):
    pack = pack_of(tmp_path, "CREATE TABLE t (a)", body, "CREATE TABLE never (a)")
    result = replayed(pack)
    assert result.failed is not None
    assert result.failed[0] == "p:002_step"
    assert why in result.failed[1]
    assert names(result) == ["t"]
    assert result.owners == {("table", "t"): "p"}


@pytest.mark.filterwarnings("error")
def test_a_coroutine_is_a_failure_and_no_complaint(tmp_path):
    source = python_migration(1, "pass").replace("    pass", "    return work(conn)") + "async def work(conn):\n    pass\n"
    result = replayed(read_pack(write_pack(tmp_path / "p", "p", {"001_step.py": source})))
    assert result.failed is not None
    assert result.failed[1] == "apply_migration() returned a coroutine, so none of its code ran"


def test_ctrl_c_passes(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        replayed(pack_of(tmp_path, "raise KeyboardInterrupt"))


@pytest.mark.parametrize(
    "body", ["conn.execute('CREATE TABLE t (a)')", "try:\n    conn.execute('CREATE TABLE t (a)')\nexcept BaseException:\n    pass"]
)
def test_a_stop_ends_it_whatever_the_migration_makes_of_it(tmp_path, body):
    pack = pack_of(tmp_path, body)
    with pytest.raises(Stopped):
        replay([pack], pack.migrations, StopRequest(lambda: True))


# --- remembering --------------------------------------------------------------------------------------------------------


@pytest.fixture
def runs(tmp_path):
    """A pack of three, and how often its first migration ran."""
    log = tmp_path / "log.db"
    note = f"other = sqlite3.connect({str(log)!r})\nother.execute('CREATE TABLE IF NOT EXISTS ran (x)')\n"
    note += "other.execute('INSERT INTO ran VALUES (1)')\nother.commit()\nother.close()\n"
    pack = pack_of(tmp_path, note + "conn.execute('CREATE TABLE t (a)')", "CREATE TABLE u (a)", "CREATE TABLE v (a)")
    return pack, lambda: len(query(log, "SELECT * FROM ran"))


def test_what_was_replayed_before_is_not_run_again(runs):
    pack, count = runs
    replayer = Replayer()
    first = replayer.replay([pack], pack.migrations)
    assert count() == 1
    assert replayer.replay([pack], list(pack.migrations)) is first
    assert count() == 1
    assert first == replay([pack], pack.migrations)
    assert count() == 2


def test_another_order_or_other_code_is_another_replay(runs, tmp_path):
    pack, count = runs
    replayer = Replayer()
    one, two, three = pack.migrations
    replayer.replay([pack], [one, two, three])
    replayer.replay([pack], [one, three, two])
    assert names(replayer.replay([pack], [one, two])) == ["t", "u"]
    assert count() == 3
    (tmp_path / "p" / "002_step.sql").write_text("CREATE TABLE edited (a)")
    edited = read_pack(MigrationPack("p", tmp_path / "p"))
    assert names(replayer.replay([edited], edited.migrations)) == ["edited", "t", "v"]
    assert count() == 4


def test_only_the_last_few_are_remembered(runs):
    pack, count = runs
    replayer = Replayer()
    orders: list[Sequence[int]] = [(0,), (0, 1), (0, 2), (0, 1, 2), (0, 2, 1), (1, 0), (2, 0), (1, 2, 0), (2, 1, 0)]
    for order in orders:
        replayer.replay([pack], [pack.migrations[each] for each in order])
    assert count() == 9
    replayer.replay([pack], [pack.migrations[2], pack.migrations[1], pack.migrations[0]])
    assert count() == 9
    replayer.replay([pack], [pack.migrations[0]])
    assert count() == 10


def test_a_file_that_cannot_be_read_fails_with_its_own_problem(tmp_path):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "001_step.sql").write_bytes(b"\xff")
    result = replayed(read_pack(MigrationPack("p", tmp_path / "p")))
    assert result.failed is not None
    assert "is not UTF-8" in result.failed[1]
    assert result.schema == {}


def test_many_packs_in_one_database_are_replayed_together(tmp_path):
    one = read_pack(write_pack(tmp_path / "a", "a", {"001_step.py": creates(1, "one")}, database="homie_home.db"))
    two = read_pack(
        write_pack(tmp_path / "b", "b", {"001_step.py": creates(1, "two", requires=("a:1",))}, database="homie_home.db")
    )
    result = replayed(one, two)
    assert {name: owner for (_, name), owner in result.owners.items()} == {"one": "a", "two": "b"}
