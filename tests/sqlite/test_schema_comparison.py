"""Comparing schemas: which are equal, and how the differences of two others are described."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlite.schema_helpers import LIBRARIES, built

from homie_migrations_core.sqlite.schema_comparison import Difference, compare
from homie_migrations_core.sqlite.sql_tokens import RESERVED_WORDS
from homie_migrations_core.sqlite.tracking import create_sql

# --- equal ----------------------------------------------------------------------------------------------------------

EQUAL = {
    "nothing at all": ("", ""),
    "letter case": (
        "CREATE TABLE Things (Id INTEGER PRIMARY KEY, Name TEXT NOT NULL COLLATE NoCase)",
        "create table things (id integer primary key, name text not null collate NOCASE)",
    ),
    "white space": ("CREATE TABLE t(a,b TEXT)", "CREATE TABLE  t\n(\n\ta ,\r\n    b\fTEXT\n)"),
    "comments": (
        "CREATE TABLE t (a, b CHECK (b > 0))",
        "CREATE TABLE t /* a, table */ (a, -- the ) first\n b CHECK (b /* , */ > 0) -- last\n)",
    ),
    "four ways to quote": (
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT REFERENCES p (x), UNIQUE (a, b)); CREATE INDEX i ON t (a, b)",
        """CREATE TABLE "t" ([a] INTEGER PRIMARY KEY, `b` TEXT REFERENCES "p" ('x'), UNIQUE ("a", 'b'));
        CREATE INDEX 'i' ON [t] ("a", 'b')""",
    ),
    "quoted names that need it": ('CREATE TABLE "a b" ("select", "x""y")', 'CREATE TABLE [a b] (`select`, [x"y])'),
    "a quoted type": ("CREATE TABLE t (a VARCHAR(10), b text)", """CREATE TABLE t (a "varchar"(10), b 'TEXT')"""),
    "other ways to say the same": (
        "CREATE TABLE t (a); CREATE INDEX i ON t (a); CREATE VIEW v AS SELECT a FROM t; "
        "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END",
        "CREATE TABLE IF NOT EXISTS main.t (a); CREATE INDEX IF NOT EXISTS main.i ON t (a); "
        "CREATE VIEW IF NOT EXISTS main.v AS SELECT a FROM main.t; "
        "CREATE TRIGGER IF NOT EXISTS main.g AFTER INSERT ON main.t BEGIN SELECT 1; END",
    ),
    "another order of objects": (
        "CREATE TABLE a (x); CREATE TABLE b (x); CREATE INDEX ia ON a (x); CREATE INDEX ib ON b (x)",
        "CREATE TABLE b (x); CREATE INDEX ib ON b (x); CREATE TABLE a (x); CREATE INDEX ia ON a (x)",
    ),
    "another order of constraints and options": (
        "CREATE TABLE t (a INT, b INT, PRIMARY KEY (a), UNIQUE (b), CHECK (a > b)) STRICT, WITHOUT ROWID",
        "CREATE TABLE t (a INT, b INT, CHECK (a > b), UNIQUE (b), PRIMARY KEY (a)) WITHOUT ROWID, STRICT",
    ),
    "constraints without commas": (
        "CREATE TABLE t (a, b, CONSTRAINT one UNIQUE (a), CHECK (b > 0), CONSTRAINT two CHECK (a > 0))",
        "CREATE TABLE t (a, b, CONSTRAINT one UNIQUE (a) CHECK (b > 0) CONSTRAINT two CHECK (a > 0))",
    ),
    "ADD COLUMN": (
        "CREATE TABLE t (a, b TEXT NOT NULL DEFAULT 'x', c REFERENCES p (id))",
        "CREATE TABLE t (a); ALTER TABLE t ADD b text NOT NULL DEFAULT 'x'; ALTER TABLE t ADD COLUMN c REFERENCES p(id)",
    ),
    "ADD COLUMN behind a comment and before constraints": (
        "CREATE TABLE t (a, b, UNIQUE (a))",
        "CREATE TABLE t (\n  a, -- the first\n  UNIQUE (a) -- alone\n); ALTER TABLE t ADD COLUMN   b  ",
    ),
    "DROP COLUMN in the middle and at the end": (
        "CREATE TABLE t (a, c)",
        "CREATE TABLE t (a, -- first\n  b, -- second\n  c, d); ALTER TABLE t DROP COLUMN b; ALTER TABLE t DROP COLUMN d",
    ),
    "RENAME TABLE with everything that names it": (
        """CREATE TABLE t (a PRIMARY KEY, CHECK (a > 0)); CREATE INDEX i ON t (a) WHERE a > 1;
        CREATE TABLE child (t REFERENCES t (a), FOREIGN KEY (t) REFERENCES t);
        CREATE VIEW v AS SELECT t.a, x.a AS b FROM child, t JOIN t AS x ON x.a = t.a WHERE t.a IN (SELECT a FROM t);
        CREATE TRIGGER g AFTER UPDATE OF a ON t BEGIN UPDATE t SET a = 1; INSERT INTO t (a) VALUES (2); DELETE FROM t; END""",
        """CREATE TABLE old (a PRIMARY KEY, CHECK (a > 0)); CREATE INDEX i ON old (a) WHERE a > 1;
        CREATE TABLE child (t REFERENCES old (a), FOREIGN KEY (t) REFERENCES old);
        CREATE VIEW v AS SELECT old.a, x.a AS b FROM child, old JOIN old AS x ON x.a = old.a WHERE old.a IN (SELECT a FROM old);
        CREATE TRIGGER g AFTER UPDATE OF a ON old BEGIN UPDATE old SET a = 1; INSERT INTO old (a) VALUES (2); DELETE FROM old; END;
        ALTER TABLE old RENAME TO t""",
    ),
    "RENAME TABLE to a keyword that is allowed": ("CREATE TABLE key (a)", "CREATE TABLE t (a); ALTER TABLE t RENAME TO key"),
    "RENAME COLUMN": (
        "CREATE TABLE t (a, b CHECK (b <> a)); CREATE INDEX i ON t (a); CREATE VIEW v AS SELECT a FROM t",
        'CREATE TABLE t ([x], b CHECK (b <> "x")); CREATE INDEX i ON t (x); CREATE VIEW v AS SELECT x AS a FROM t; '
        "DROP VIEW v; ALTER TABLE t RENAME x TO a; CREATE VIEW v AS SELECT a FROM t",
    ),
    "RENAME COLUMN that makes quoted text into text": (
        """CREATE TABLE t (a, b CHECK (b <> 'It"s' AND b <> 'None')); CREATE VIEW v AS SELECT 'Text' AS c, a FROM t WHERE b = 'b c';
        CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT RAISE(ABORT, 'No') WHERE new.b = 'new'; END""",
        """CREATE TABLE t (x, b CHECK (b <> "It""s" AND b <> "None"));
        CREATE VIEW v AS SELECT "Text" AS c, x FROM t WHERE b = "b c";
        CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT RAISE(ABORT, "No") WHERE new.b = "new"; END;
        ALTER TABLE t RENAME COLUMN x TO a""",
    ),
    "quoted text and text": (
        "CREATE TABLE t (a DEFAULT 'Foo', b CHECK (b <> 'Bar'), c CHECK (c <> lower('X'))); CREATE INDEX i ON t (a) WHERE b = 'b'",
        'CREATE TABLE t (a DEFAULT "Foo", b CHECK ("b" <> "Bar"), c CHECK (c <> lower("X"))); '
        "CREATE INDEX i ON t (a) WHERE \"b\" = 'b'",
    ),
    "a bare default is text": ("CREATE TABLE t (a DEFAULT 'Foo')", "CREATE TABLE t (a DEFAULT Foo)"),
    "a rebuild": (
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT NOT NULL); CREATE INDEX i ON t (b)",
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT); CREATE TABLE new_t (a INTEGER PRIMARY KEY, b TEXT NOT NULL); "
        "INSERT INTO new_t SELECT * FROM t; DROP TABLE t; ALTER TABLE new_t RENAME TO t; CREATE INDEX i ON t (b)",
    ),
    "VACUUM": (
        "CREATE TABLE b (x); CREATE TABLE a (x)",
        "CREATE TABLE b (x); CREATE TABLE a (x); DROP TABLE b; CREATE TABLE b(x); VACUUM",
    ),
    "CREATE TABLE AS": (
        "CREATE TABLE t (a TEXT, b)",
        "CREATE TABLE s (a TEXT); CREATE TABLE t AS SELECT a, 1 AS b FROM s; DROP TABLE s",
    ),
    "views with aliases and common tables in quotes": (
        "CREATE TABLE t (a); CREATE VIEW v AS WITH c AS (SELECT a AS total FROM t) SELECT x.total FROM c AS x ORDER BY total",
        'CREATE TABLE t (a); CREATE VIEW "v" AS WITH "c" AS (SELECT "a" AS "total" FROM "t") '
        'SELECT "x"."total" FROM "c" AS "x" ORDER BY "total"',
    ),
    "an alias that is quoted in one place only": (
        "CREATE TABLE t (a); CREATE VIEW v AS SELECT a AS total FROM t ORDER BY total",
        'CREATE TABLE t (a); CREATE VIEW v AS SELECT a AS total FROM t ORDER BY "total"',
    ),
    "two common tables in quotes": (
        "CREATE TABLE t (a); CREATE VIEW v AS WITH c AS (SELECT 1), d AS (SELECT 2) SELECT * FROM c, d",
        'CREATE TABLE t (a); CREATE VIEW v AS WITH "c" AS (SELECT 1), "d" AS (SELECT 2) SELECT * FROM "c", "d"',
    ),
    "the row's number in quotes": (
        "CREATE TABLE t (a, CHECK (rowid > 0)); CREATE VIEW v AS SELECT rowid FROM t; CREATE VIEW w AS SELECT oid FROM t",
        'CREATE TABLE t (a, CHECK ("rowid" > 0)); CREATE VIEW v AS SELECT "rowid" FROM t; CREATE VIEW w AS SELECT "oid" FROM t',
    ),
    "columns of a virtual table in quotes": (
        "CREATE VIRTUAL TABLE docs USING fts5 (title, tokenize = 'porter'); "
        "CREATE VIEW v AS SELECT title FROM docs WHERE title > 'x'",
        'CREATE VIRTUAL TABLE docs USING fts5 (title, tokenize = "porter"); '
        'CREATE VIEW v AS SELECT "title" FROM docs WHERE "title" > "x"',
    ),
    "quoted text that only another table's column is called": (
        "CREATE TABLE t (a, b); CREATE TABLE u (x); CREATE INDEX i ON t (a) WHERE b = 'x'",
        'CREATE TABLE t (a, b); CREATE TABLE u (x); CREATE INDEX i ON t (a) WHERE b = "x"',
    ),
    "a view with named columns": (
        "CREATE TABLE t (a); CREATE VIEW v (one) AS SELECT a FROM t; CREATE VIEW w AS SELECT one FROM v WHERE one > 1",
        'CREATE TABLE t (a); CREATE VIEW v ("one") AS SELECT a FROM t; CREATE VIEW w AS SELECT "one" FROM v WHERE "one" > 1',
    ),
    "a view with named columns, as if they were text": (
        "CREATE TABLE t (a); CREATE VIEW v (one) AS SELECT a FROM t",
        "CREATE TABLE t (a); CREATE VIEW v ('one') AS SELECT a FROM t",
    ),
    "a trigger in quotes": (
        """CREATE TABLE t (a, b); CREATE TABLE log (what, at);
        CREATE TRIGGER g AFTER UPDATE OF a, b ON t WHEN new.a IS NOT old.a BEGIN
            INSERT OR REPLACE INTO log (what, at) VALUES ('A', 1);
            UPDATE OR IGNORE t SET b = new.a WHERE a IS NOT DISTINCT FROM 'x';
        END""",
        """CREATE TABLE t (a, b); CREATE TABLE log (what, at);
        CREATE TRIGGER "g" AFTER UPDATE OF "a", [b] ON "t" WHEN "new"."a" IS NOT "old".a BEGIN
            INSERT OR REPLACE INTO "log" ("what", 'at') VALUES ('A', 1);
            UPDATE OR IGNORE "t" SET "b" = new."a" WHERE a IS NOT DISTINCT FROM 'x';
        END""",
    ),
    "a virtual table that was renamed, and what it made for itself": (
        "CREATE VIRTUAL TABLE docs USING fts5 (title, body, tokenize = 'porter')",
        "CREATE VIRTUAL TABLE x USING FTS5(\"Title\", [body], tokenize='porter'); ALTER TABLE x RENAME TO docs",
    ),
    "what others keep in the database": (
        "CREATE TABLE t (a)",
        f"""CREATE TABLE t (a); {create_sql("p")}; CREATE INDEX mine ON schema_migrations (checksum);
        CREATE TRIGGER on_record AFTER INSERT ON schema_migrations BEGIN SELECT 1; END;
        CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER); CREATE TABLE _litestream_lock (id INTEGER);
        CREATE TRIGGER on_sequence AFTER INSERT ON _litestream_seq BEGIN SELECT 1; END;
        CREATE TABLE x (id INTEGER PRIMARY KEY AUTOINCREMENT, u UNIQUE); INSERT INTO x DEFAULT VALUES; DROP TABLE x; ANALYZE""",
    ),
    "numbers and blobs": (
        "CREATE TABLE t (a DEFAULT 0X1F, b DEFAULT 1E3, c DEFAULT X'AB')",
        "CREATE TABLE t (a DEFAULT 0x1f, b DEFAULT 1e3, c DEFAULT x'ab')",
    ),
}


@LIBRARIES
@pytest.mark.parametrize(("one", "other"), EQUAL.values(), ids=EQUAL)
def test_equivalent_definitions_are_equal(library, one, other):
    assert compare(built(library, one), built(library, other)) == []
    assert compare(built(library, other), built(library, one)) == []


@LIBRARIES
@pytest.mark.parametrize(("one", "other"), EQUAL.values(), ids=EQUAL)
def test_equal_definitions_have_equal_tokens_and_texts(library, one, other):
    first, second = built(library, one), built(library, other)
    assert {key: each.tokens for key, each in first.items()} == {key: each.tokens for key, each in second.items()}
    assert {key: each.text for key, each in first.items()} == {key: each.text for key, each in second.items()}


@pytest.mark.parametrize(("one", "other"), EQUAL.values(), ids=EQUAL)
def test_what_two_versions_of_sqlite_built_is_equal(one, other):
    another = pytest.importorskip("pysqlite3", reason="pysqlite3 is not installed")
    assert compare(built(sqlite3, one), built(another, other)) == []
    assert compare(built(another, one), built(sqlite3, other)) == []


# --- different ------------------------------------------------------------------------------------------------------

T = "CREATE TABLE t (a INTEGER PRIMARY KEY, b {})"


def column(before: str, after: str) -> tuple[str, str, Difference]:
    """The column b of the table t, which changed."""
    return T.format(before), T.format(after), Difference("changed", "column", "t", "b", before, after)


def constraint(before: str, after: str, name: str) -> tuple[str, str, Difference]:
    change = "changed" if before and after else "removed" if before else "added"
    one, other = ("CREATE TABLE t (a, b{})".format(f", {each}" if each else "") for each in (before, after))
    return one, other, Difference(change, "constraint", "t", name, before or None, after or None)


def option(before: str, after: str) -> tuple[str, str, Difference]:
    one, other = (f"CREATE TABLE t (a INTEGER PRIMARY KEY) {each}" for each in (before, after))
    return one, other, Difference("added" if after else "removed", "option", "t", before or after, before or None, after or None)


def on_table(kind: str, name: str, before: str, after: str) -> tuple[str, str, Difference]:
    """Something on the table t (or beside it) that changed, or is on one side only."""
    table = "CREATE TABLE t (a, b, c); "
    change = "changed" if before and after else "removed" if before else "added"
    return (
        table + before,
        table + after,
        Difference(change, kind, "t" if kind != "view" else name, name, before or None, after or None),  # type: ignore[arg-type]
    )


def trigger(before: str, after: str) -> tuple[str, str, Difference]:
    return on_table("trigger", "g", f"CREATE TRIGGER g {before}", f"CREATE TRIGGER g {after}")


DIFFERENT = {
    "a table more": ("", "CREATE TABLE T (A TEXT)", Difference("added", "table", "T", "T", None, "CREATE TABLE t(a TEXT)")),
    "a table less": ("CREATE TABLE T (A)", "", Difference("removed", "table", "T", "T", "CREATE TABLE t(a)", None)),
    "a column more": (
        "CREATE TABLE t (a)",
        "CREATE TABLE t (a, B TEXT NOT NULL)",
        Difference("added", "column", "t", "B", None, "TEXT NOT NULL"),
    ),
    "a column more in the middle": (
        "CREATE TABLE t (a, c)",
        "CREATE TABLE t (a, b, c)",
        Difference("added", "column", "t", "b", None, ""),
    ),
    "a column less": ("CREATE TABLE t (a, B)", "CREATE TABLE t (a)", Difference("removed", "column", "t", "B", "", None)),
    "another order": (
        "CREATE TABLE t (a, b, c)",
        "CREATE TABLE t (a, c, b)",
        Difference("reordered", "table", "t", "t", "a, b, c", "a, c, b"),
    ),
    "type": column("TEXT", "INTEGER"),
    "length": column("VARCHAR(10)", "VARCHAR(20)"),
    "no type": column("TEXT", ""),
    "default": column("TEXT DEFAULT 'x'", "TEXT DEFAULT 'y'"),
    "default, in one letter's case": column("TEXT DEFAULT 'a'", "TEXT DEFAULT 'A'"),
    "default, in a blank": column("TEXT DEFAULT 'a b'", "TEXT DEFAULT 'a  b'"),
    "default, in a word that is a value": column("TEXT DEFAULT NULL", "TEXT DEFAULT 'null'"),
    "default, a time or a text": column("TEXT DEFAULT CURRENT_TIMESTAMP", "TEXT DEFAULT 'current_timestamp'"),
    "default, a number or a text": column("DEFAULT 1", "DEFAULT '1'"),
    "not null": column("TEXT NOT NULL", "TEXT"),
    "collation": column("TEXT COLLATE nocase", "TEXT COLLATE rtrim"),
    "unique": column("TEXT UNIQUE", "TEXT"),
    "conflict clause": column("TEXT UNIQUE ON CONFLICT IGNORE", "TEXT UNIQUE ON CONFLICT REPLACE"),
    "check": column("CHECK (b > 0)", "CHECK (b >= 0)"),
    "check of a text": column("CHECK (b <> 'a')", "CHECK (b <> 'A')"),
    "check of a column or a text": column("CHECK (a <> 'x')", "CHECK ('a' <> 'x')"),
    "generated expression": column("AS (a + 1) STORED", "AS (a + 2) STORED"),
    "generated, stored or not": column("AS (a + 1) STORED", "AS (a + 1) VIRTUAL"),
    "reference to another table": column("REFERENCES p(id)", "REFERENCES q(id)"),
    "reference action": column("REFERENCES p(id) ON DELETE CASCADE", "REFERENCES p(id) ON DELETE SET NULL"),
    "reference deferrable": column("REFERENCES p(id)", "REFERENCES p(id) DEFERRABLE INITIALLY DEFERRED"),
    "autoincrement": (
        "CREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT)",
        "CREATE TABLE t (a INTEGER PRIMARY KEY)",
        Difference("changed", "column", "t", "a", "INTEGER PRIMARY KEY AUTOINCREMENT", "INTEGER PRIMARY KEY"),
    ),
    "a constraint more": constraint("", "UNIQUE (a, b)", "UNIQUE"),
    "a constraint less": constraint("CONSTRAINT sane CHECK (a > b)", "", "sane"),
    "constraint changed": constraint("CHECK (a > b)", "CHECK (a > b + 1)", "CHECK"),
    "named constraint changed": constraint("CONSTRAINT sane CHECK (a > b)", "CONSTRAINT sane UNIQUE (a)", "sane"),
    "primary key changed": constraint("PRIMARY KEY (a)", "PRIMARY KEY (a, b)", "PRIMARY KEY"),
    "foreign key action": constraint(
        "FOREIGN KEY (a) REFERENCES p", "FOREIGN KEY (a) REFERENCES p ON DELETE CASCADE", "FOREIGN KEY"
    ),
    "strict": option("", "STRICT"),
    "no longer strict": option("STRICT", ""),
    "without rowid": option("", "WITHOUT ROWID"),
    "index less": on_table("index", "i", "CREATE INDEX i ON t(a)", ""),
    "index more": on_table("index", "i", "", "CREATE INDEX i ON t(a)"),
    "index unique": on_table("index", "i", "CREATE INDEX i ON t(a)", "CREATE UNIQUE INDEX i ON t(a)"),
    "index where": on_table("index", "i", "CREATE INDEX i ON t(a) WHERE b > 0", "CREATE INDEX i ON t(a) WHERE b > 1"),
    "index where gone": on_table("index", "i", "CREATE INDEX i ON t(a) WHERE b = 'x'", "CREATE INDEX i ON t(a)"),
    "index descending": on_table("index", "i", "CREATE INDEX i ON t(a)", "CREATE INDEX i ON t(a DESC)"),
    "index columns": on_table("index", "i", "CREATE INDEX i ON t(a, b)", "CREATE INDEX i ON t(b, a)"),
    "index collation": on_table("index", "i", "CREATE INDEX i ON t(a COLLATE nocase)", "CREATE INDEX i ON t(a)"),
    "index expression": on_table("index", "i", "CREATE INDEX i ON t(lower(a))", "CREATE INDEX i ON t(upper(a))"),
    "trigger body": trigger("AFTER INSERT ON t BEGIN DELETE FROM t; END", "AFTER INSERT ON t BEGIN DELETE FROM t WHERE a = 1; END"),
    "trigger time": trigger("AFTER INSERT ON t BEGIN SELECT 1; END", "BEFORE INSERT ON t BEGIN SELECT 1; END"),
    "trigger event": trigger("AFTER INSERT ON t BEGIN SELECT 1; END", "AFTER DELETE ON t BEGIN SELECT 1; END"),
    "trigger columns": trigger("AFTER UPDATE OF a ON t BEGIN SELECT 1; END", "AFTER UPDATE OF b ON t BEGIN SELECT 1; END"),
    "trigger condition": trigger(
        "AFTER INSERT ON t WHEN new.a > 1 BEGIN SELECT 1; END", "AFTER INSERT ON t WHEN new.a > 2 BEGIN SELECT 1; END"
    ),
    "trigger text": trigger(
        "AFTER INSERT ON t BEGIN SELECT RAISE(ABORT, 'no'); END", "AFTER INSERT ON t BEGIN SELECT RAISE(ABORT, 'No'); END"
    ),
    "trigger text behind another ON": trigger(
        "AFTER INSERT ON t BEGIN SELECT 1 FROM t AS x JOIN t AS y ON 'a' = y.b; END",
        "AFTER INSERT ON t BEGIN SELECT 1 FROM t AS x JOIN t AS y ON 'A' = y.b; END",
    ),
    "trigger text behind a FROM that is none": trigger(
        "AFTER INSERT ON t WHEN new.a IS NOT DISTINCT FROM 'a' BEGIN SELECT 1; END",
        "AFTER INSERT ON t WHEN new.a IS NOT DISTINCT FROM 'A' BEGIN SELECT 1; END",
    ),
    "view body": on_table("view", "v", "CREATE VIEW v AS SELECT a FROM t", "CREATE VIEW v AS SELECT b FROM t"),
    "view less": on_table("view", "v", "CREATE VIEW v AS SELECT a FROM t WHERE b = 'x'", ""),
    "view of a column or a text": on_table("view", "v", "CREATE VIEW v AS SELECT a FROM t", "CREATE VIEW v AS SELECT 'a' FROM t"),
    "virtual table arguments": (
        "CREATE VIRTUAL TABLE d USING fts5 (a, b, tokenize = 'porter')",
        "CREATE VIRTUAL TABLE d USING fts5 (a, b, tokenize = 'ascii')",
        Difference(
            "changed",
            "table",
            "d",
            "d",
            "CREATE VIRTUAL TABLE d USING fts5(a, b, tokenize = 'porter')",
            "CREATE VIRTUAL TABLE d USING fts5(a, b, tokenize = 'ascii')",
        ),
    ),
    "a letter that is not ASCII": (
        "CREATE TABLE t (é)",
        "CREATE TABLE t (é, É)",
        Difference("added", "column", "t", "É", None, ""),
    ),
}


@LIBRARIES
@pytest.mark.parametrize(("before", "after", "difference"), DIFFERENT.values(), ids=DIFFERENT)
def test_a_difference_is_found_and_nothing_else(library, before, after, difference):
    one, other = built(library, before), built(library, after)
    assert compare(one, other) == [difference]
    opposite = {"added": "removed", "removed": "added"}.get(difference.change, difference.change)
    name = "T" if difference.name == "T" else difference.name
    assert compare(other, one) == [
        Difference(opposite, difference.kind, difference.table, name, difference.after, difference.before)  # type: ignore[arg-type]
    ]


@LIBRARIES
@pytest.mark.parametrize(("before", "after", "difference"), DIFFERENT.values(), ids=DIFFERENT)
def test_different_definitions_have_different_tokens(library, before, after, difference):
    one, other = built(library, before), built(library, after)
    assert {key: each.tokens for key, each in one.items()} != {key: each.tokens for key, each in other.items()}


@LIBRARIES
def test_a_renamed_object_is_removed_under_one_name_and_added_under_the_other(library):
    one = built(library, "CREATE TABLE t (a, b TEXT)")
    other = built(library, "CREATE TABLE t (a, b TEXT); ALTER TABLE t RENAME b TO c")
    assert compare(one, other) == [
        Difference("removed", "column", "t", "b", "TEXT", None),
        Difference("added", "column", "t", "c", None, "TEXT"),
    ]


@LIBRARIES
def test_many_differences_come_in_one_order(library):
    one = built(library, "CREATE TABLE a (x, y); CREATE TABLE b (x); CREATE INDEX i ON b (x); CREATE VIEW v AS SELECT 1")
    other = built(library, "CREATE TABLE c (x); CREATE TABLE a (y, x TEXT, z, UNIQUE (y)); CREATE TABLE b (x)")
    found = compare(one, other)
    assert [(each.change, each.kind, each.table, each.name) for each in found] == [
        ("reordered", "table", "a", "a"),
        ("changed", "column", "a", "x"),
        ("added", "column", "a", "z"),
        ("added", "constraint", "a", "UNIQUE"),
        ("removed", "index", "b", "i"),
        ("added", "table", "c", "c"),
        ("removed", "view", "v", "v"),
    ]
    assert compare(dict(reversed(one.items())), dict(reversed(other.items()))) == found


# --- laws -------------------------------------------------------------------------------------------------------------

names = st.sampled_from(
    ["a", "Bc", "key", "check", "Order", "x y", 'q"r', "it's", "[z", "é", "ÄÖ", "_u", "d$", "1st", "select", "new"]
)
texts = st.text(st.sampled_from("aAbB'\" -/*;,()é\n"), max_size=6)
Word = tuple[str, str]  # how it may be spelt, and what it says


def words(text: str) -> list[Word]:
    return [("word", each) for each in text.split()]


@st.composite
def definitions(draw: st.DrawFn) -> list[Word]:
    """A table as words: (kind, content)."""
    columns = draw(st.lists(names, min_size=1, max_size=5, unique_by=str.lower))
    strict = draw(st.booleans())
    says: list[Word] = [*words("CREATE TABLE"), ("name", draw(names)), ("sign", "(")]
    for number, name in enumerate(columns):
        if number:
            says.append(("sign", ","))
        says += [("name", name), ("type", draw(st.sampled_from(["TEXT", "INTEGER", "BLOB"])))]
        for part in draw(st.lists(st.sampled_from(["null", "text", "number", "check", "collate", "references"]), unique=True)):
            if part == "null":
                says += words("NOT NULL")
            elif part == "text":
                says += [*words("DEFAULT"), ("text", draw(texts))]
            elif part == "number":
                says += [*words("CHECK ("), ("name", name), *words("<"), ("number", str(draw(st.integers(0, 99)))), *words(")")]
            elif part == "check":
                says += [*words("CHECK ("), ("name", name), *words("<>"), ("text", draw(texts)), *words(")")]
            elif part == "collate":
                says += [*words("COLLATE"), ("name", draw(st.sampled_from(["nocase", "rtrim"])))]
            else:
                says += [
                    *words("REFERENCES"),
                    ("name", draw(names)),
                    *words("( "),
                    ("name", draw(names)),
                    *words(") ON DELETE CASCADE"),
                ]
    if draw(st.booleans()):
        says += [*words(", CONSTRAINT"), ("name", draw(names)), *words("UNIQUE ("), ("name", columns[0]), *words(")")]
    return [*says, ("sign", ")"), *(words("STRICT") if strict else [])]


@st.composite
def spelt(draw: st.DrawFn, says: list[Word]) -> str:
    """The same words in one of the many ways to write them."""
    text = []
    for kind, content in says:
        if kind == "name":
            ways = [f'"{content.replace(chr(34), chr(34) * 2)}"', f"`{content}`", f"[{content}]"]
            if content.replace("_", "a").isidentifier() and content.lower() not in RESERVED_WORDS:
                ways += [content, content.upper() if content.isascii() else content]
            shown = draw(st.sampled_from(ways))
        elif kind == "text":
            shown = "'" + content.replace("'", "''") + "'"
        else:
            shown = draw(st.sampled_from([content, content.lower()]))
        text.append(shown + draw(st.sampled_from([" ", "\n", "  ", " /* , ( */ ", " -- ) '\n", "\t"])))
    return "".join(text)


@given(st.data())
def test_one_definition_written_in_two_ways_is_equal(data):
    says = data.draw(definitions())
    one, other = (built(sqlite3, data.draw(spelt(says))) for _ in range(2))
    assert len(one) == 1
    assert compare(one, other) == []


@given(st.data())
def test_one_word_changed_makes_a_difference(data):
    says = data.draw(definitions())
    place = data.draw(st.sampled_from([number for number, (kind, _) in enumerate(says) if kind in ("type", "text", "number")]))
    kind, content = says[place]
    other = {
        "type": lambda: "BLOB" if content != "BLOB" else "TEXT",
        "text": lambda: content.swapcase() if content.swapcase() != content else content + " ",
        "number": lambda: content + "0" if content != "0" else "1",
    }[kind]()
    changed = [*says[:place], (kind, other), *says[place + 1 :]]
    one, two = built(sqlite3, data.draw(spelt(says))), built(sqlite3, data.draw(spelt(changed)))
    assert [(each.change, each.kind) for each in compare(one, two)] == [("changed", "column")]
