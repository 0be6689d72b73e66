"""What is read of a schema, and what is left out."""

from __future__ import annotations

import sqlite3

import pytest
from sqlite.schema_helpers import LIBRARIES, built

from homie_migrations_core.sqlite.guard import GuardedConnection
from homie_migrations_core.sqlite.schema import read_schema
from homie_migrations_core.sqlite.schema_comparison import compare
from homie_migrations_core.sqlite.sql_tokens import RESERVED_WORDS
from homie_migrations_core.sqlite.throwaway import memory_database


@LIBRARIES
def test_a_table_is_described_by_columns_constraints_and_options(library):
    table = built(
        library,
        """CREATE TABLE "Things" ([Id] integer, "check" varchar(10) DEFAULT 'X' collate "nocase", -- a, note
        constraint "K" check (id > (1 + 2)), UNIQUE ('id', "check"), primary key (id)) strict, without rowid""".replace(
            "varchar(10)", "text"
        ),
    )["table", "things"]
    assert (table.kind, table.name, table.table) == ("table", "Things", "Things")
    assert table.columns == (("Id", "INTEGER"), ("check", "TEXT COLLATE nocase DEFAULT 'X'"))
    assert table.constraints == ("CONSTRAINT k CHECK (id > (1 + 2))", 'UNIQUE (id, "check")', "PRIMARY KEY (id)")
    assert table.options == ("STRICT", "WITHOUT ROWID")
    assert table.sql.startswith('CREATE TABLE "Things" ([Id] integer,')


@LIBRARIES
def test_a_column_with_the_name_of_a_constraint_is_a_column(library):
    table = built(library, 'CREATE TABLE t ("check" TEXT, [unique], `primary` INT, \'foreign\', "constraint")')["table", "t"]
    assert [column.name for column in table.columns] == ["check", "unique", "primary", "foreign", "constraint"]
    assert table.constraints == ()


@LIBRARIES
def test_a_quoted_word_is_a_name_where_a_column_has_it_and_text_elsewhere(library):
    schema = built(
        library, 'CREATE TABLE t (a, b); CREATE VIEW v AS SELECT "A" FROM t WHERE b = "C"; CREATE INDEX i ON t (a) WHERE "b" > 0'
    )
    assert schema["view", "v"].text == "CREATE VIEW v AS SELECT a FROM t WHERE b = 'C'"
    assert schema["index", "i"].text == "CREATE INDEX i ON t(a) WHERE b > 0"


@LIBRARIES
def test_a_column_elsewhere_does_not_change_an_untouched_view(library):
    view = 'CREATE TABLE t (a); CREATE VIEW v AS SELECT a FROM t WHERE a = "x";'
    assert [each.name for each in compare(built(library, view), built(library, view + "CREATE TABLE u (x)"))] == ["u"]


@LIBRARIES
def test_tables_that_only_look_like_a_virtual_tables_own_count(library):
    schema = built(library, "CREATE TABLE docs_content (a); CREATE TABLE docs (a); CREATE TABLE docs_data (a)")
    assert sorted(name for _, name in schema) == ["docs", "docs_content", "docs_data"]


def test_a_virtual_table_whose_module_is_missing_is_read_without_its_shadow_tables():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        connection.executescript("CREATE TABLE t (a); CREATE VIRTUAL TABLE docs USING fts5 (a); PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = 'CREATE VIRTUAL TABLE other USING nowhere(a)', name = 'other', "
                           "tbl_name = 'other', rootpage = 0 WHERE name = 'docs_config'")  # fmt: skip
        connection.execute("PRAGMA writable_schema = RESET")
        assert sorted(name for _, name in read_schema(connection)) == ["docs", "other", "t"]
        with pytest.raises(sqlite3.OperationalError, match="no such module: nowhere"):
            connection.execute("SELECT * FROM other")
    finally:
        connection.close()


@pytest.mark.parametrize("answer", [sqlite3.SQLITE_DENY, sqlite3.SQLITE_IGNORE], ids=["refused", "unknown to SQLite"])
def test_what_sqlites_own_modules_make_for_themselves_is_known_without_its_help(answer):
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        connection.executescript("CREATE VIRTUAL TABLE docs USING fts5 (a); CREATE TABLE docs_more (a)")
        connection.set_authorizer(lambda action, name, *_: answer if name == "table_list" else sqlite3.SQLITE_OK)
        assert sorted(name for _, name in read_schema(connection)) == ["docs", "docs_more"]
    finally:
        connection.close()


def test_reading_is_not_disturbed_by_a_row_factory():
    connection = sqlite3.connect(":memory:")
    try:
        connection.row_factory = lambda cursor, row: {"nothing": row}
        connection.execute("CREATE TABLE t (a)")
        assert list(read_schema(connection)) == [("table", "t")]
    finally:
        connection.close()


def test_temporary_things_are_not_part_of_it():
    connection = memory_database()
    try:
        connection.execute_unguarded("CREATE TEMP TABLE passing (a)")
        connection.execute_unguarded("CREATE TABLE lasting (a)")
        assert isinstance(connection, GuardedConnection)
        assert list(read_schema(connection)) == [("table", "lasting")]
    finally:
        connection.close()


@LIBRARIES
@pytest.mark.parametrize("word", sorted(RESERVED_WORDS - {"true", "false", "current_date", "current_time", "current_timestamp"}))
def test_what_can_not_be_a_name_without_quotes_is_what_sqlite_refuses(library, word):
    connection = library.connect(":memory:")
    try:
        with pytest.raises(library.OperationalError, match="syntax error"):
            connection.execute(f"SELECT 1 AS {word} FROM sqlite_master AS {word}")
    finally:
        connection.close()
