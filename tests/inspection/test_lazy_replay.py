"""A replay leaves out what nearly no migration can tell: its result is the one of a replay that leaves out nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from helpers import python_migration, write_pack
from hypothesis import given, settings
from hypothesis import strategies as st
from inspection.test_replay import pack_of

from homie_migrations_core.inspection import replay as replaying
from homie_migrations_core.inspection.replay import replay
from homie_migrations_core.model import Migration, Pack
from homie_migrations_core.packs.reading import read_pack
from homie_migrations_core.sqlite.guard import GuardedConnection

NO_WORD = "conn.execute('DR' 'OP TABLE a')"  # as if it came from another module
RECORDS = "seen = {}\nassert [row[0] for row in seen] == [1, 2], 'no records'"

HISTORIES = {
    "only made": ["CREATE TABLE a (x)", "CREATE INDEX i ON a (x)", "CREATE VIEW v AS SELECT x FROM a"],
    "dropped": ["CREATE TABLE a (x)", "CREATE TABLE b (x)", "DROP TABLE a"],
    "dropped by code that does not say so": ["CREATE TABLE a (x)", NO_WORD],
    "dropped and made again": ["CREATE TABLE a (x)", "DROP TABLE a; CREATE TABLE a (y)", "CREATE TABLE b (x)"],
    "renamed": ["CREATE TABLE a (x)", "CREATE VIEW v AS SELECT x FROM a", "ALTER TABLE a RENAME TO b"],
    "renamed in Python": ["CREATE TABLE a (x)", "conn.execute('alter table a rename to b')", "CREATE TABLE a (z)"],
    "made and undone": [
        "CREATE TABLE a (x)",
        "conn.execute('CREATE TABLE b (x)')\nconn.rollback()\nconn.execute('CREATE TABLE c (x)')",
    ],
    "left on the connection": ["CREATE TABLE a (x)", "CREATE TEMP TABLE b (x)", "CREATE TABLE c (x)"],
    "failed": ["CREATE TABLE a (x)", "conn.execute('CREATE TABLE b (x)')\nraise ValueError('no')", "CREATE TABLE c (x)"],
    "failed and ended": [
        "CREATE TABLE a (x UNIQUE)",
        "CREATE TABLE b (x)",
        "INSERT INTO a VALUES (1); INSERT OR ROLLBACK INTO a VALUES (1)",
    ],
    "failed and closed": ["CREATE TABLE a (x)", "import sqlite3\nsqlite3.Connection.close(conn)"],
    "reads the records": [
        "CREATE TABLE a (x)",
        RECORDS.format("conn.execute('SELECT version FROM schema_migrations ORDER BY version')"),
    ],
    "counts the records": [
        "CREATE TABLE a (x)",
        "assert conn.execute('SELECT count(*) FROM schema_migrations').fetchone() == (2,)",
    ],
    "reads the records over a view": [
        "CREATE VIEW v AS SELECT version FROM schema_migrations",
        RECORDS.format("conn.execute('SELECT version FROM v ORDER BY version')"),
    ],
    "reads the records over a trigger": [
        "CREATE TABLE a (x); CREATE TRIGGER g AFTER INSERT ON a BEGIN UPDATE a SET x = (SELECT max(version) FROM schema_migrations); END",
        "conn.execute('INSERT INTO a VALUES (0)')\nassert conn.execute('SELECT x FROM a').fetchone() == (2,)",
    ],
    "reads a record as a blob": [
        "CREATE TABLE a (x)",
        "with conn.blobopen('schema_migrations', 'migration_name', 2, readonly=True) as blob:\n    assert blob.read() == b'002_step'",
    ],
    "tables named after the records": [
        "CREATE TABLE a (x)",
        "for row in conn.execute('SELECT migration_name FROM schema_migrations').fetchall():\n    conn.execute(f'CREATE TABLE made_{row[0]} (x)')",
    ],
}


def same_either_way(packs: Sequence[Pack], steps: Sequence[Migration]) -> None:
    assert replay(packs, steps) == replaying._replay(packs, steps, None, eager=True)


@pytest.mark.parametrize("history", HISTORIES)
def test_the_result_is_the_one_of_a_replay_that_leaves_out_nothing(tmp_path: Path, history: str):
    pack = pack_of(tmp_path, *HISTORIES[history])
    same_either_way([pack], pack.migrations)
    assert (replay([pack], pack.migrations).failed is not None) == history.startswith("failed")


STATEMENTS = [
    f"{what} {name}"
    for name in ("a", "b")
    for what in (f"CREATE TABLE IF NOT EXISTS {name} (x); --", "DROP TABLE IF EXISTS", f"CREATE VIEW v_{name} AS SELECT x FROM")
] + ["CREATE INDEX IF NOT EXISTS i ON a (x)", "ALTER TABLE a RENAME TO b", "DROP VIEW IF EXISTS v_a"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["p", "q"]), st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=2)), max_size=7))
def test_law_packs_that_take_turns_own_the_same_either_way(tmp_path_factory: pytest.TempPathFactory, history):
    folder = tmp_path_factory.mktemp("packs")
    packs = {
        name: pack_of(folder, *[";\n".join(statements) for pack, statements in history if pack == name], name=name)
        for name in dict.fromkeys(pack for pack, _ in history)
    }
    waiting = {name: iter(pack.migrations) for name, pack in packs.items()}
    same_either_way(list(packs.values()), [next(waiting[name]) for name, _ in history])


def test_a_step_costs_one_transaction_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    executed: list[str] = []
    execute = GuardedConnection.execute_unguarded

    def heard(self: GuardedConnection, sql: str, parameters: object = ()) -> sqlite3.Cursor:
        executed.append(sql)
        return execute(self, sql, parameters)

    monkeypatch.setattr(GuardedConnection, "execute_unguarded", heard)
    counts = []
    for number in (10, 30):
        files = {
            f"{each:03}_step.py": python_migration(
                each, f"conn.execute('CREATE TABLE t{each} (x)')", rollback=f"conn.execute('DROP TABLE t{each}')"
            )
            for each in range(1, number + 1)
        }
        pack = read_pack(write_pack(tmp_path / str(number) / "p", "p", files))
        executed.clear()
        assert len(replay([pack], pack.migrations).schema) == number
        counts.append(len(executed))
    assert counts[1] - counts[0] == 20 * 2, "one savepoint, made and released"
