"""All rows of a small database, and what of them is lost, changed or moved."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from homie_migrations_core.authoring.contents import Contents, Loss, find_loss, moved, read_contents
from homie_migrations_core.sqlite.throwaway import ThrowawayDatabase


@pytest.fixture
def read():
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:

        def run(script: str) -> dict[str, Contents]:
            connection.executescript(script)
            return read_contents(ThrowawayDatabase(connection))

        yield run


KEYED = "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b); INSERT INTO t VALUES (1, 'x', NULL), (2, 'y', 2), (3, 'z', 3)"
BARE = "CREATE TABLE t (a, b); INSERT INTO t VALUES ('x', NULL), ('y', 2), ('y', 2)"


@pytest.mark.parametrize(
    ("before", "change", "loss"),
    [
        (KEYED, "SELECT 1", Loss(0, {}, 0)),
        (KEYED, "INSERT INTO t VALUES (4, 'new', 4)", Loss(0, {}, 0)),
        (KEYED, "DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (4, 'y', 2)", Loss(1, {}, 0)),
        (KEYED, "UPDATE t SET b = 0 WHERE b IS NULL", Loss(0, {"b": 1}, 1)),
        (KEYED, "UPDATE t SET b = CAST(b AS REAL)", Loss(0, {"b": 2}, 2)),
        (KEYED, "UPDATE t SET b = CAST(b AS TEXT), a = CAST(a AS BLOB)", Loss(0, {"a": 3, "b": 2}, 3)),
        (KEYED, "ALTER TABLE t DROP COLUMN b", Loss(0, {"b": 2}, 2)),
        (KEYED, "ALTER TABLE t ADD COLUMN c DEFAULT 1", Loss(0, {}, 0)),
        (KEYED, "ALTER TABLE t RENAME COLUMN id TO ID", Loss(0, {}, 0)),
        (KEYED, "DROP TABLE t", Loss(3, {}, 0)),
        (
            KEYED,
            "CREATE TABLE n AS SELECT b, id, a FROM t ORDER BY id DESC; DROP TABLE t; ALTER TABLE n RENAME TO t",
            Loss(0, {}, 0),
        ),
        (BARE, "DELETE FROM t WHERE rowid = 3", Loss(1, {}, 0)),
        (BARE, "UPDATE t SET b = 0 WHERE b IS NULL", Loss(0, {"b": 1}, 1)),
        (BARE, "INSERT INTO t VALUES ('y', 2)", Loss(0, {}, 0)),
        (BARE, "UPDATE t SET rowid = -rowid", Loss(0, {}, 0)),
        (BARE, "DROP TABLE t; CREATE TABLE T (B, A); INSERT INTO t VALUES (2, 'y'), (NULL, 'x'), (2, 'y')", Loss(0, {}, 0)),
    ],
)
def test_a_loss_is_what_was_there_and_is_not_any_more(read, before: str, change: str, loss: Loss):
    was = read(before)["t"]
    assert find_loss(was, read(change).get("t")) == loss


def test_keys_that_are_not_unique_are_no_keys(read):
    found = read("CREATE TABLE t (a TEXT PRIMARY KEY, b); INSERT INTO t VALUES (NULL, 1), (NULL, 1), ('x', 2)")["t"]
    assert found.key == ()
    assert read("UPDATE t SET a = rowid WHERE a IS NULL")["t"].key == ("a",)


def test_text_that_is_none_and_tables_that_can_not_be_read_do_no_harm(read):
    found = read(
        "CREATE TABLE t (a TEXT); INSERT INTO t VALUES (CAST(x'ff41' AS TEXT)); CREATE VIRTUAL TABLE f USING fts5(a);"
        "PRAGMA writable_schema=ON; UPDATE sqlite_master SET sql = replace(sql, 'fts5', 'gone') WHERE name = 'f'; PRAGMA writable_schema=RESET"
    )
    assert found["t"].rows == (("\udcffA",),)


@pytest.mark.parametrize(
    ("change", "there"),
    [
        ("SELECT 1", False),
        ("ALTER TABLE t RENAME COLUMN b TO c", True),
        ("CREATE TABLE n AS SELECT CAST(b AS TEXT) AS b FROM t", True),
        ("CREATE TABLE n AS SELECT b * 1.0 AS b FROM t", True),
        ("CREATE TABLE n AS SELECT b + 1 AS b FROM t", False),
        ("CREATE TABLE n AS SELECT b FROM t WHERE b < 3", False),
        ("INSERT INTO t SELECT id + 10, b, b FROM t", True),
    ],
)
def test_values_have_moved_if_one_column_has_gained_all_of_them(read, change: str, there: bool):
    before = read(KEYED)
    assert moved(before["t"].values("b"), before, read(change)) is there
