"""Rows that are made up: right in type, key and uniqueness, and found by trial where a CHECK asks for more."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing

import pytest

from homie_migrations_core.authoring.sample_rows import ROWS, fill_tables
from homie_migrations_core.sqlite.throwaway import ThrowawayDatabase, run_guarded
from homie_migrations_core.stopping import Stopped, StopRequest


@pytest.fixture
def connection():
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as opened:
        opened.create_function("regexp", 2, lambda pattern, value: re.search(pattern, value) is not None, deterministic=True)
        yield opened


def fill(connection: sqlite3.Connection, rows: int = ROWS, **options) -> dict[str, str]:
    return fill_tables(ThrowawayDatabase(connection), rows, **options)


def made(connection: sqlite3.Connection, script: str, **options) -> dict[str, str]:
    connection.executescript(script)
    unfilled = fill(connection, **options)
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return unfilled


def rows(connection: sqlite3.Connection, table: str, columns: str = "*") -> list[tuple]:
    return connection.execute(f"SELECT {columns} FROM {table}").fetchall()


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "stored"),
    [
        ("INTEGER", {"integer"}),
        ("BIGINT", {"integer"}),
        ("TEXT", {"text"}),
        ("VARCHAR(20)", {"text"}),
        ("REAL", {"real"}),
        ("DOUBLE PRECISION", {"real"}),
        ("BLOB", {"blob"}),
        ("NUMERIC", {"integer", "real"}),
        ("BOOLEAN", {"integer"}),
        ("TIMESTAMP", {"text"}),
        ("DATE", {"text"}),
        ("", {"integer", "text", "blob", "real"}),
    ],
)
def test_values_have_the_type_that_the_column_declares(connection, declared: str, stored: set[str]):
    assert made(connection, f"CREATE TABLE t (a {declared}, b {declared} NOT NULL)") == {}
    assert {kind for (kind,) in rows(connection, "t", "typeof(b)")} == stored
    assert {kind for (kind,) in rows(connection, "t", "typeof(a)")} == stored | {"null"}


def test_every_column_that_may_be_null_is_somewhere(connection):
    made(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b TEXT, c INT UNIQUE, d TEXT NOT NULL, e REFERENCES t (id))")
    for column in "abce":
        assert 0 < connection.execute(f"SELECT count(*) FROM t WHERE {column} IS NULL").fetchone()[0] < ROWS


def test_values_differ_from_row_to_row_and_from_column_to_column(connection):
    made(connection, "CREATE TABLE t (a TEXT NOT NULL, b INTEGER NOT NULL, c INTEGER NOT NULL)")
    assert len({b for (b,) in rows(connection, "t", "b")}) == ROWS
    assert {b for (b,) in rows(connection, "t", "b")}.isdisjoint(c for (c,) in rows(connection, "t", "c"))


def test_some_text_is_not_ascii_some_is_empty_and_some_times_are_old(connection):
    made(connection, "CREATE TABLE t (a TEXT NOT NULL, made_at TEXT NOT NULL, b TIMESTAMP NOT NULL)")
    texts = [a for (a,) in rows(connection, "t", "a")]
    assert any(not text.isascii() for text in texts)
    assert "" in texts
    assert any("'" in text for text in texts)
    assert min(b for (b,) in rows(connection, "t", "b")) == "1970-01-01 00:00:00"
    assert rows(connection, "t", "datetime(made_at)") == rows(connection, "t", "made_at")


def test_the_same_schema_always_gets_the_same_rows(connection):
    script = "CREATE TABLE p (id TEXT PRIMARY KEY, n); CREATE TABLE c (p TEXT REFERENCES p, x CHECK (x > 3), y BLOB)"
    made(connection, script)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as other:
        made(other, script)
        assert list(other.iterdump()) == list(connection.iterdump())


# --- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "table",
    [
        "(id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT UNIQUE)",
        "(id TEXT PRIMARY KEY, a INT, b INT, UNIQUE (a, b)) WITHOUT ROWID",
        "(a TEXT, b INTEGER, PRIMARY KEY (b, a)) WITHOUT ROWID",
        "(a BOOLEAN NOT NULL UNIQUE, b INT)",
        "(id INTEGER PRIMARY KEY, a TEXT, b INT, c REAL, d BLOB, e ANY) STRICT",
        "(a INT, b INT GENERATED ALWAYS AS (a * 2) STORED, c TEXT AS (a || 'x') UNIQUE)",
        "(a TEXT NOT NULL); CREATE UNIQUE INDEX lower_a ON t (lower(a)); CREATE UNIQUE INDEX some ON t (a) WHERE a > 'm'",
        '("select" INT PRIMARY KEY, "it\'s ""odd""" TEXT, [a b] INT)',
    ],
)
def test_tables_of_every_kind_are_filled(connection, table: str):
    assert made(connection, f"CREATE TABLE t {table}") == {}
    assert len(rows(connection, "t")) > 1


def test_rows_that_were_there_stay_and_more_come(connection):
    script = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE); INSERT INTO t VALUES (1, 'a 0'), (7, 'seven')"
    made(connection, script)
    assert len(rows(connection, "t")) == ROWS + 2
    assert rows(connection, "t")[:2] == [(1, "a 0"), (7, "seven")]


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE c (p INT NOT NULL REFERENCES p (id)); CREATE TABLE p (id INTEGER PRIMARY KEY)",
        "CREATE TABLE c (p INT PRIMARY KEY REFERENCES p); CREATE TABLE p (id INTEGER PRIMARY KEY)",
        "CREATE TABLE c (a, b, FOREIGN KEY (a, b) REFERENCES p (x, y)); CREATE TABLE p (x TEXT, y INT, UNIQUE (x, y))",
        "CREATE TABLE c (a NOT NULL, b NOT NULL, FOREIGN KEY (b, a) REFERENCES p); CREATE TABLE p (y INT, x TEXT, PRIMARY KEY (y, x))",
        "CREATE TABLE c (id INTEGER PRIMARY KEY, up INT NOT NULL REFERENCES c (id)); CREATE TABLE p (a)",
        "CREATE TABLE c (id TEXT PRIMARY KEY, up TEXT REFERENCES c); CREATE TABLE p (a)",
        "CREATE TABLE c (id INTEGER PRIMARY KEY, p INT REFERENCES p (id)); CREATE TABLE p (id INTEGER PRIMARY KEY, c INT REFERENCES c)",
        "CREATE TABLE c (id INTEGER PRIMARY KEY, p INT NOT NULL REFERENCES p (id)); CREATE TABLE p (id INTEGER PRIMARY KEY, c INT REFERENCES c)",
        "CREATE TABLE c (id INTEGER PRIMARY KEY, p INT NOT NULL REFERENCES p (id)); CREATE TABLE p (id INTEGER PRIMARY KEY, c INT NOT NULL REFERENCES c)",
        """CREATE TABLE u (tenant INT, id INT, PRIMARY KEY (tenant, id)); CREATE TABLE p (tenant INT, id INT, PRIMARY KEY (tenant, id));
        CREATE TABLE c (tenant INT NOT NULL, u INT NOT NULL, p INT, FOREIGN KEY (tenant, u) REFERENCES u, FOREIGN KEY (tenant, p) REFERENCES p)""",
        "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE p (id TEXT PRIMARY KEY); CREATE TABLE c (a INT REFERENCES a, p TEXT REFERENCES p, PRIMARY KEY (a, p)) WITHOUT ROWID",
        "CREATE TABLE c (p INT REFERENCES gone (id)); CREATE TABLE p (id INTEGER PRIMARY KEY)",
    ],
)
def test_children_refer_to_parents_whatever_the_keys_look_like(connection, script: str):
    connection.executescript(script)
    assert fill(connection) == {}
    if "gone" not in script:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert len(rows(connection, "c")) > 1


def test_a_key_that_may_be_null_points_somewhere_all_the_same_also_in_a_circle(connection):
    made(
        connection,
        "CREATE TABLE p (id INTEGER PRIMARY KEY, c INT REFERENCES c); CREATE TABLE c (id INTEGER PRIMARY KEY, p INT REFERENCES p)",
    )
    for table, column in (("p", "c"), ("c", "p")):
        present = connection.execute(f"SELECT count({column}) FROM {table}").fetchone()[0]
        assert 0 < present < ROWS


def test_parents_have_different_children(connection):
    made(
        connection,
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p INT NOT NULL REFERENCES p); CREATE TABLE n (id INTEGER PRIMARY KEY, up REFERENCES n)",
    )
    assert connection.execute("SELECT count(DISTINCT p) FROM c").fetchone()[0] > 3
    assert connection.execute("SELECT count(DISTINCT up) FROM n").fetchone()[0] > 3


# --- checks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "column",
    [
        "a TEXT NOT NULL CHECK (a IN ('open', 'done', 'it''s'))",
        "a TEXT CHECK (a = 'only')",
        "a INT NOT NULL CHECK (a > 0)",
        "a INT NOT NULL CHECK (a < 0)",
        "a INT CHECK (a BETWEEN 1900 AND 2100)",
        "a REAL CHECK (a >= 0.0 AND a <= 1.0)",
        "a TEXT CHECK (length(a) = 2)",
        "a TEXT CHECK (length(a) BETWEEN 1 AND 5)",
        "a BLOB CHECK (typeof(a) = 'blob' AND length(a) = 32)",
        "a TEXT NOT NULL CHECK (json_valid(a))",
        "a TEXT NOT NULL CHECK (json_type(a) = 'array')",
        "a TEXT CHECK (a LIKE '%@%')",
        "a TEXT CHECK (a GLOB '[0-9][0-9]-*')",
        "a TEXT CHECK (a = lower(a) AND a <> '')",
        "a TEXT CHECK (date(a) IS NOT NULL AND date(a) = a)",
        "a TEXT CHECK (a IS NULL OR time(a) = a)",
        "a INTEGER CHECK (a IN (0, 1)), b INTEGER CHECK (b IN (2, 4, 8))",
        "a INT, b INT, CHECK (a < b)",
        "a TEXT, b TEXT, CHECK ((a IS NULL) <> (b IS NULL))",
        "kind TEXT CHECK (kind IN ('file', 'link')), target TEXT, CHECK (kind <> 'link' OR target IS NOT NULL)",
        "a INT CHECK (a % 10 = 0)",
        "a CONSTRAINT odd CHECK (a & 1)",
        "id INTEGER PRIMARY KEY CHECK (id = 1), a TEXT",
        "a TEXT PRIMARY KEY CHECK (a IN ('light', 'dark'))",
        "a ANY CHECK (a > 5), b TEXT CHECK (a <> b)",
    ],
)
def test_checks_are_met(connection, column: str):
    assert made(connection, f"CREATE TABLE t ({column})") == {}
    assert rows(connection, "t")


def test_a_check_with_a_choice_gets_every_one_of_it(connection):
    made(connection, "CREATE TABLE t (a TEXT NOT NULL CHECK (a IN ('open', 'done', 'late')))")
    assert {a for (a,) in rows(connection, "t")} == {"open", "done", "late"}


def test_strict_tables_with_checks_are_filled(connection):
    assert made(connection, "CREATE TABLE t (a INTEGER CHECK (a BETWEEN 3 AND 9), b TEXT CHECK (length(b) = 3)) STRICT") == {}


def test_what_can_not_be_met_is_named_with_the_reason_and_what_refers_to_it_too(connection):
    script = """
    CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT NOT NULL CHECK (instr(a, char(7)) = 3));
    CREATE TABLE c (t INT NOT NULL REFERENCES t (id));
    CREATE TABLE free (t INT REFERENCES t (id));
    """
    unfilled = made(connection, script)
    assert sorted(unfilled) == ["c", "t"]
    assert "CHECK constraint failed" in unfilled["t"]
    assert unfilled["c"] == "it refers to t, which has no row"
    assert sorted(fill(connection)) == ["c", "t"]
    assert {t for (t,) in rows(connection, "free")} == {None}


def test_a_table_that_has_a_row_already_is_no_problem_however_stubborn(connection):
    script = "CREATE TABLE t (a TEXT NOT NULL CHECK (instr(a, char(7)) = 3)); INSERT INTO t VALUES ('ab' || char(7))"
    assert made(connection, script) == {}


# --- what columns are read as --------------------------------------------------------------------------------------

SETTINGS = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT NOT NULL{0}, b TEXT{1});{2}"


def schema(column: str = "", columns: str = "", more: str = "") -> str:
    """A table whose column `a` is read as something."""
    return SETTINGS.format(f" {column}" if column else "", f", {columns}" if columns else "", f" {more}" if more else "")


JSON_SCHEMAS = [
    schema("CHECK (json_valid(a))"),
    schema("CHECK (json_valid(a) AND json_type(a) = 'object')"),
    schema("CHECK (json_type(a, '$.name') = 'text')"),
    schema("CHECK (json_extract(a, '$.kind') IN ('open', 'done'))"),
    schema("CHECK (a ->> 'size' BETWEEN 10 AND 20 AND a ->> 'kind' = 'big')"),
    schema(columns="kind TEXT NOT NULL GENERATED ALWAYS AS (json_extract(a, '$.kind')) VIRTUAL"),
    schema(columns="kind TEXT NOT NULL UNIQUE AS (a ->> '$.kind') STORED"),
    schema(columns="kind TEXT AS (a ->> '$.kind') STORED CHECK (kind IN ('open', 'done') AND kind IS NOT NULL)"),
    schema(columns="city TEXT NOT NULL AS (a -> 'address' ->> 'city')"),
    schema(more="CREATE INDEX i ON t (json_extract(a, '$.name'))"),
    schema(more="CREATE UNIQUE INDEX i ON t (a ->> '$.name') WHERE a ->> '$.name' IS NOT NULL"),
    schema(more="CREATE VIEW v AS SELECT json_extract(a, '$.name') FROM t"),
    schema(more="CREATE VIEW v AS SELECT each.value FROM t, json_each(t.a) AS each"),
    schema(
        more="CREATE TABLE n (x); CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO n SELECT value FROM json_each(new.a); END"
    ),
]


@pytest.mark.parametrize("script", JSON_SCHEMAS)
def test_a_column_that_is_read_as_json_holds_json(connection, script: str):
    assert made(connection, script) == {}
    assert len(rows(connection, "t")) == ROWS
    assert connection.execute("SELECT count(*) FROM t WHERE NOT json_valid(a)").fetchone() == (0,)
    if "VIEW" in script:
        assert rows(connection, "v")


@pytest.mark.parametrize("where", ["'$.name'", "'$[1]'", "'$.a.b[2].c'", "'$.\"odd name\".x'"])
def test_json_has_a_value_at_every_path_that_is_read(connection, where: str):
    made(connection, schema(more=f"CREATE VIEW v AS SELECT json_extract(a, {where}) AS x FROM t"))
    values = [x for (x,) in rows(connection, "v")]
    assert None not in values
    assert len(set(values)) == ROWS


@pytest.mark.parametrize(
    ("script", "holds"),
    [
        (schema("CHECK (date(a) IS a)"), "date(a) = a"),
        (schema("CHECK (datetime(a) IS NOT NULL AND datetime(a) = a)"), "datetime(a) = a"),
        (schema("CHECK (a = strftime('%Y-%m-%dT%H:%M:%fZ', a))"), "a GLOB '????-??-??T??:??:??.???Z'"),
        (schema("CHECK (strftime('%Y-%m-%dT%H:%M:%S', a) = a)"), "a GLOB '????-??-??T??:??:??'"),
        (schema("CHECK (length(a) = 10 AND a GLOB '[0-9][0-9][0-9][0-9]-*' AND julianday(a) > 0)"), "date(a) = a"),
        (schema("CHECK (time(a) = a)"), "time(a) = a"),
        (schema(columns="day TEXT NOT NULL AS (date(a)) STORED"), "day IS NOT NULL"),
        (schema(columns="month TEXT NOT NULL AS (strftime('%Y-%m', a))"), "month GLOB '????-??'"),
        (schema(more="CREATE INDEX i ON t (julianday(a))"), "julianday(a) IS NOT NULL"),
        (schema(more="CREATE VIEW v AS SELECT unixepoch(a) FROM t"), "unixepoch(a) IS NOT NULL"),
        (schema(more="CREATE VIEW v AS SELECT datetime(a, 'unixepoch') FROM t"), "datetime(a, 'unixepoch') IS NOT NULL"),
        ("CREATE TABLE t (a INTEGER NOT NULL, day TEXT NOT NULL AS (date(a, 'unixepoch')))", "day >= '1970-01-01'"),
        (schema("CHECK (a LIKE '%@%')"), "a LIKE '%_@_%.__%'"),
        (schema("CHECK (a LIKE '%_@__%.__%')"), "a LIKE '%_@_%.__%'"),
        (schema("CHECK (a GLOB '*?@?*.?*' AND a NOT LIKE '% %')"), "a LIKE '%_@_%.__%'"),
        (schema("CHECK (lower(a) LIKE '%_@_%.__%' AND a = lower(a) AND length(a) BETWEEN 5 AND 254)"), "a LIKE '%_@_%.__%'"),
        (schema("CHECK (instr(a, '@') > 1 AND instr(a, ' ') = 0)"), "a LIKE '%_@_%.__%'"),
        (schema("CHECK (a REGEXP '^[^@ ]+@[^@ ]+[.][a-z]+$')"), "a LIKE '%_@_%.__%'"),
        (schema("UNIQUE COLLATE NOCASE CHECK (a LIKE '%_@_%')"), "a LIKE '%_@_%.__%'"),
        (schema(more="CREATE VIEW v AS SELECT substr(a, instr(a, '@') + 1) FROM t"), "a LIKE '%_@_%.__%'"),
    ],
)
def test_a_column_that_is_read_as_a_time_or_an_address_holds_one(connection, script: str, holds: str):
    assert made(connection, script) == {}
    assert len(rows(connection, "t")) == ROWS
    assert connection.execute(f"SELECT count(*) FROM t WHERE NOT ({holds})").fetchone() == (0,)


def test_what_a_later_statement_reads_counts_too(connection):
    script = "CREATE TABLE t (a TEXT NOT NULL, b TEXT NOT NULL, c BLOB NOT NULL, d INTEGER NOT NULL)"
    later = "UPDATE t SET x = json_extract(a, '$.size'), y = json_extract(c, '$.size'), z = json_extract(d, '$.size')"
    assert made(connection, script, statements=[later]) == {}
    assert connection.execute("SELECT count(*) FROM t WHERE json_extract(a, '$.size') IS NULL").fetchone() == (0,)
    assert set(rows(connection, "t", "typeof(b), typeof(c), typeof(d)")) == {("text", "blob", "integer")}
    assert connection.execute("SELECT count(*) FROM t WHERE json_valid(b)").fetchone() == (0,)


# --- triggers, virtual tables, what is left alone ------------------------------------------------------------------


def test_triggers_fire_as_for_the_application(connection):
    script = """
    CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT);
    CREATE VIRTUAL TABLE found USING fts5(text, content='notes', content_rowid='id');
    CREATE TABLE counted (n INT);
    CREATE TRIGGER add_note AFTER INSERT ON notes BEGIN
        INSERT INTO found (rowid, text) VALUES (new.id, new.text);
        UPDATE counted SET n = n + 1;
    END;
    INSERT INTO counted VALUES (0);
    """
    made(connection, script, leave=["counted"])
    assert rows(connection, "counted") == [(ROWS,)]
    assert connection.execute("SELECT count(*) FROM found WHERE found MATCH 'text'").fetchone()[0] > 0


def test_what_a_trigger_refuses_is_tried_in_another_way(connection):
    script = """
    CREATE TABLE t (mail TEXT);
    CREATE TRIGGER only_mail BEFORE INSERT ON t WHEN new.mail IS NULL OR new.mail NOT LIKE '%@%'
    BEGIN SELECT raise(ABORT, 'that is no address'); END;
    """
    assert made(connection, script) == {}
    assert len(rows(connection, "t")) == ROWS
    never = "CREATE TABLE n (a); CREATE TRIGGER never BEFORE INSERT ON n BEGIN SELECT raise(ABORT, 'not here'); END"
    assert made(connection, never, leave=["t"]) == {"n": "not here"}


def test_full_text_tables_are_filled_and_other_virtual_tables_left_alone(connection):
    script = "CREATE VIRTUAL TABLE f USING fts5(a, content, tokenize = 'porter'); CREATE VIRTUAL TABLE r USING rtree(id, x1, x2)"
    assert made(connection, script) == {}
    assert len(rows(connection, "f")) == ROWS
    assert rows(connection, "r") == []


def test_tables_to_leave_are_left_and_their_rows_are_parents_all_the_same(connection):
    script = "CREATE TABLE P (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (42); CREATE TABLE c (p INT NOT NULL REFERENCES p)"
    made(connection, script, leave=["p"])
    assert rows(connection, "P") == [(42,)]
    assert set(rows(connection, "c")) == {(42,)}


def test_the_record_of_migrations_and_views_are_left_alone(connection):
    made(connection, "CREATE TABLE schema_migrations (version INT); CREATE VIEW v AS SELECT 1 AS a; CREATE TABLE t (a)")
    assert rows(connection, "schema_migrations") == []


def test_what_was_violated_before_stays(connection):
    connection.executescript(
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p INT NOT NULL REFERENCES p); INSERT INTO c VALUES (-5)"
    )
    assert fill(connection) == {}
    assert connection.execute("SELECT count(*) FROM c WHERE p = -5").fetchone() == (1,)


def test_a_transaction_that_is_open_stays_open(connection):
    connection.execute("CREATE TABLE t (a)")
    connection.execute("BEGIN")
    fill(connection, rows=3)
    assert connection.in_transaction
    connection.execute("ROLLBACK")
    assert rows(connection, "t") == []


def test_it_stops_when_it_is_asked_to(connection):
    connection.execute("CREATE TABLE t (a)")
    with pytest.raises(Stopped):
        fill(connection, stop=StopRequest(lambda: True))
    assert not connection.in_transaction


# --- the author's own rows ----------------------------------------------------------------------------------------------


def test_what_an_author_gives_is_kept_and_can_not_end_the_transaction(tmp_path):
    path = tmp_path / "a.db"

    def give(conn: sqlite3.Connection) -> None:
        conn.execute("CREATE TABLE t (a)")
        conn.commit()
        conn.executescript("INSERT INTO t VALUES (1); COMMIT; INSERT INTO t VALUES (2);")

    run_guarded(str(path), __file__, give, StopRequest())
    with closing(sqlite3.connect(path)) as connection:
        assert rows(connection, "t") == [(1,), (2,)]


def test_what_fails_leaves_nothing(tmp_path):
    path = tmp_path / "a.db"

    def give(conn: sqlite3.Connection) -> None:
        conn.execute("CREATE TABLE t (a)")
        conn.commit()
        raise RuntimeError("oops")

    with pytest.raises(RuntimeError, match="oops"):
        run_guarded(str(path), __file__, give, StopRequest())
    with closing(sqlite3.connect(path)) as connection:
        assert rows(connection, "sqlite_master") == []
