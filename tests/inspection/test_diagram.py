"""A diagram says what the schema says, and Mermaid can read it whatever things are called."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from homie_migrations_core.inspection.diagram import diagram
from homie_migrations_core.sqlite.schema import read_schema
from homie_migrations_core.sqlite.schema_objects import Schema

# What Mermaid's lexer for these diagrams lets pass, told more strictly than it is.
WORD = r"(?!(?:pk|fk|uk)\b)[A-Za-z_][A-Za-z0-9_\-()\[\]]*"
QUOTED = r'"[^"%\\\x00-\x1f]+"'
LABEL = r'"[^"\n\r]*"'
KEYWORDS = r"one|many|to|only|zero|optionally|end|style|class|classdef|subgraph|acctitle|accdescr|erdiagram|title|u|o"
ENTITY = rf"(?:{QUOTED}|(?!(?:{KEYWORDS})\b)[a-z_][a-z0-9_\-]*)"
TABLE = re.compile(rf"    (?P<table>{ENTITY}) \{{", re.IGNORECASE)
COLUMN = re.compile(rf"        (?P<type>{WORD}) (?P<name>{WORD})(?P<marks>(?: (?:PK|FK)(?:, FK)?)?)", re.IGNORECASE)
REFERENCE = re.compile(rf"    (?P<child>{ENTITY}) \}}o--(?P<one>o\||\|\|) (?P<parent>{ENTITY}) : (?P<label>{LABEL})", re.IGNORECASE)


@dataclass
class Read:
    """A diagram, as its reader understands it."""

    tables: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)
    references: list[tuple[str, str, str, str]] = field(default_factory=list)


def read(text: str) -> Read:
    """Understand every line, or fail."""
    first, *lines = text.split("\n")
    assert first == "erDiagram"
    found, inside = Read(), ""
    for line in lines:
        if inside and line == "    }":
            inside = ""
        elif inside:
            column = COLUMN.fullmatch(line)
            assert column, f"no column: {line!r}"
            found.tables[inside].append((column["type"], column["name"], *re.findall("PK|FK", column["marks"])))
        elif table := TABLE.fullmatch(line):
            inside = table["table"].strip('"')
            found.tables.setdefault(inside, [])
        else:
            one = REFERENCE.fullmatch(line)
            assert one, f"neither a table nor a reference: {line!r}"
            found.references.append((one["child"].strip('"'), one["label"].strip('"'), one["one"], one["parent"].strip('"')))
    assert not inside
    return found


def schema_of(sql: str) -> Schema:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(sql)
        return read_schema(connection)


def shown(sql: str) -> Read:
    return read(diagram(schema_of(sql)))


def test_tables_columns_and_keys_are_shown():
    found = shown(
        """CREATE TABLE drives (id TEXT PRIMARY KEY, label TEXT, size DECIMAL(10, 2) DEFAULT 0, note);
        CREATE TABLE destinations (id INTEGER PRIMARY KEY, drive TEXT NOT NULL REFERENCES drives (id) ON DELETE CASCADE,
            old TEXT REFERENCES drives);
        CREATE INDEX i ON drives (label); CREATE VIEW v AS SELECT * FROM drives;"""
    )
    assert found.tables == {
        "destinations": [("INTEGER", "id", "PK"), ("TEXT", "drive", "FK"), ("TEXT", "old", "FK")],
        "drives": [("TEXT", "id", "PK"), ("TEXT", "label"), ("DECIMAL(10_2)", "size"), ("ANY", "note")],
    }
    assert found.references == [("destinations", "drive", "||", "drives"), ("destinations", "old", "o|", "drives")]


def test_keys_of_several_columns_are_one_line_and_may_be_named_sorted_and_collated():
    found = shown(
        """CREATE TABLE p (a, b, CONSTRAINT k PRIMARY KEY (a COLLATE NOCASE, "b" DESC) ON CONFLICT REPLACE);
        CREATE TABLE c (x NOT NULL, y NOT NULL, z, CONSTRAINT f FOREIGN KEY (x, "y") REFERENCES "P" (a, b) ON UPDATE CASCADE);"""
    )
    assert found.tables["p"] == [("ANY", "a", "PK"), ("ANY", "b", "PK")]
    assert found.tables["c"] == [("ANY", "x", "FK"), ("ANY", "y", "FK"), ("ANY", "z")]
    assert found.references == [("c", "x, y", "||", "p")]


def test_a_column_can_be_of_both_keys_and_a_table_can_refer_to_itself():
    found = shown("CREATE TABLE t (a INTEGER PRIMARY KEY REFERENCES t (a), up REFERENCES T)")
    assert found.tables["t"] == [("INTEGER", "a", "PK", "FK"), ("ANY", "up", "FK")]
    assert {reference[3] for reference in found.references} == {"t"}


def test_words_in_a_text_are_no_keys():
    found = shown(
        """CREATE TABLE t (a TEXT DEFAULT 'PRIMARY KEY', b TEXT DEFAULT 'REFERENCES x', c TEXT CHECK (c <> 'NOT NULL') REFERENCES t,
        CHECK (b <> 'FOREIGN KEY (a) REFERENCES x'))"""
    )
    assert found.tables["t"] == [("TEXT", "a"), ("TEXT", "b"), ("TEXT", "c", "FK")]
    assert found.references == [("t", "c", "o|", "t")]


def test_generated_columns_and_virtual_tables_are_shown_as_far_as_they_are_known():
    found = shown("CREATE TABLE t (a INT, b INT GENERATED ALWAYS AS (a + 1), c AS (a)); CREATE VIRTUAL TABLE d USING fts5 (x)")
    assert found.tables == {"d": [], "t": [("INT", "a"), ("INT", "b"), ("ANY", "c")]}


def test_nothing_is_an_empty_diagram():
    assert diagram({}) == "erDiagram"


def test_it_comes_out_the_same_whatever_the_order_in_which_tables_were_made():
    one, other = "CREATE TABLE a (x REFERENCES b)", "CREATE TABLE b (x REFERENCES a)"
    assert diagram(schema_of(f"{one}; {other}")) == diagram(schema_of(f"{other}; {one}"))


NAMES = ["a b", 'x"y', "100%", "back\\slash", "two\nlines", "1st", "pk", "FK", "(x)", "-", "größe", "名前", "to", "one", "end", "class", "[x]", "~a~", "{", "}", "``"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_table_may_have_any_name(name):
    quoted = '"' + name.replace('"', '""') + '"'
    found = shown(f"CREATE TABLE {quoted} (a); CREATE TABLE zz (b REFERENCES {quoted})")
    assert len(found.tables) == 2
    ((child, _, _, parent),) = found.references
    assert {child, parent} == set(found.tables), "the reference goes to another table than the one that is shown"


@pytest.mark.parametrize("name", NAMES)
def test_a_column_may_have_any_name(name):
    quoted = '"' + name.replace('"', '""') + '"'
    found = shown(f"CREATE TABLE t (zz, {quoted} INTEGER REFERENCES t, PRIMARY KEY (zz, {quoted}))")
    (_, column) = found.tables["t"]
    assert (column[0], column[2:]) == ("INTEGER", ("PK", "FK"))
    assert len(found.references) == 1


@pytest.mark.parametrize("written", ["2D", "my type", "VARCHAR(10)", "größe", "DOUBLE PRECISION", "pk"])
def test_a_column_may_have_any_type(written):
    found = shown(f'CREATE TABLE t (a "{written}", b {"INTEGER" if written == "2D" else "REAL"})')
    assert len(found.tables["t"]) == 2


@given(st.lists(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1), min_size=2, max_size=4))
@example(["%", "'"])
def test_whatever_things_are_called_it_can_be_read(names):
    table, parent, *columns = (f'"{name.replace(chr(34), chr(34) * 2)}"' for name in names)
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        for each in (table, parent):
            with contextlib.suppress(sqlite3.OperationalError):  # the name is SQLite's own, or there already
                connection.execute(
                    f"CREATE TABLE {each} (zz REFERENCES {parent}{''.join(f', {column} {table}' for column in columns)})"
                )
        read(diagram(read_schema(connection)))
