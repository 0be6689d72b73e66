"""
A schema as a value, and how two of them differ.

What is compared is the text that SQLite keeps, as tokens: comments, white space, letter case and the four ways to quote
a name don't count, because SQLite itself changes them (RENAME quotes names, RENAME COLUMN makes "text" into 'text', ADD
and DROP COLUMN leave the author's spacing). Pragmas would not do: they show neither CHECK, nor COLLATE, nor what a
view or trigger says. There is no grammar here: a table is split at its top-level commas, and everything else is tokens.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, cast

from homie_migrations_core.sqlite.guard import GuardedConnection, runner_execute
from homie_migrations_core.sqlite.names import TRACKING_TABLE
from homie_migrations_core.sqlite.tracking import Tracking, read_tracking

ObjectKind = Literal["table", "index", "trigger", "view"]
Kind = Literal["table", "index", "trigger", "view", "column", "constraint", "option"]
Change = Literal["added", "removed", "changed", "reordered"]

_IGNORED = ("sqlite_", "_litestream_", TRACKING_TABLE)
_SHADOWS = {
    "fts3": ("content", "segments", "segdir", "docsize", "stat"),
    "fts4": ("content", "segments", "segdir", "docsize", "stat"),
    "fts5": ("data", "idx", "content", "docsize", "config"),
    "rtree": ("node", "parent", "rowid"),
    "rtree_i32": ("node", "parent", "rowid"),
    "geopoly": ("node", "parent", "rowid"),
}
"""The shadow tables of SQLite's own modules, for where `PRAGMA table_list` can't tell: before 3.37, or without the module."""

# Comments and white space come before a token (https://sqlite.org/lang_comment.html); only ASCII letters have a case.
_TOKEN = re.compile(
    r"""(?:[ \t\n\f\r\ufeff]++|--[^\n]*+|/\*(?s:.*?)(?:\*/|\Z))*+
    ( [xX]'[^']*'
    | '(?:[^']|'')*+'?
    | "(?:[^"]|"")*+"?
    | `(?:[^`]|``)*+`?
    | \[[^\]]*+\]?
    | [A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*+
    | 0[xX][0-9a-fA-F]++ | (?:[0-9][0-9_]*+(?:\.[0-9_]*+)?|\.[0-9][0-9_]*+)(?:[eE][+-]?[0-9]++)?
    | ->> | -> | \|\| | << | >> | <= | >= | <> | == | !=
    | . | \Z
    )""",
    re.VERBOSE,
)
_PLAIN_NAME = re.compile(r"[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*+")
_UPPER, _LOWER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
_FOLD = str.maketrans(_UPPER, _LOWER)

# Words that mean something else without quotes: SQLite takes none of them for a name, or takes some for a value first.
_VALUES = frozenset("null true false current_date current_time current_timestamp".split())
_RESERVED = _VALUES | frozenset(
    "add all alter and as autoincrement between case check collate commit constraint create default deferrable delete "
    "distinct drop else escape except exists foreign from group having in index insert intersect into is isnull join "
    "limit not nothing notnull on or order primary references returning select set table then to transaction union unique "
    "update using values when where".split()
)
_KEYWORDS = _RESERVED | frozenset(
    "abort action after always asc before begin by cascade cast conflict cross deferred desc each end fail for full generated "
    "glob if ignore immediate initially inner instead key left like match materialized natural no of offset outer over "
    "partition raise recursive regexp replace restrict right rollback row rowid stored strict temp trigger view virtual "
    "window with without".split()
)
_FUNCTIONS = frozenset("cast glob like raise replace".split())
_TABLE_CONSTRAINTS = frozenset("constraint primary unique check foreign".split())
_COLUMN_CONSTRAINTS = frozenset(
    "constraint primary not null unique check default collate references generated as deferrable".split()
)
_BEFORE_A_NAME = frozenset("table view trigger index references constraint collate as into update join with recursive .".split())
_AFTER_OR = frozenset("rollback abort replace fail ignore".split())
_CLAUSES = frozenset("where on set group order having limit select values union except intersect".split())
_NOTED = _COLUMN_CONSTRAINTS | _CLAUSES | frozenset("main default from join as on".split())
"""What changes how the things around it are read."""
_FIRST_LETTERS = frozenset(f"{_LOWER}{_UPPER}_")
_ROWIDS = frozenset({"rowid", "oid", "_rowid_"})


class Column(NamedTuple):
    """A column, spelt as its author did, and the rest of its definition as normalised text."""

    name: str
    words: str


@dataclass(frozen=True, slots=True)
class SchemaObject:
    """A table, index, trigger or view."""

    kind: ObjectKind
    name: str
    table: str
    """The table that it is on; a table's or view's own name."""
    sql: str
    """Word for word as SQLite keeps it."""
    tokens: tuple[str, ...]
    """What is compared. The order of a table's constraints and options, which means nothing, is always the same."""
    columns: tuple[Column, ...] = ()
    """Of an ordinary table."""
    constraints: tuple[str, ...] = ()
    """Those of the table itself, as normalised text."""
    options: tuple[str, ...] = ()
    """`STRICT`, `WITHOUT ROWID`."""

    @property
    def text(self) -> str:
        """The definition, normalised."""
        if not self.columns:
            return _text(self.tokens)
        parts = [f"{_name(column.name)} {column.words}".rstrip() for column in self.columns]
        return f"{_text(self.tokens[:3])}({', '.join([*parts, *sorted(self.constraints)])}) {', '.join(self.options)}".rstrip()


Schema = Mapping[tuple[str, str], SchemaObject]
"""Each object by its kind and its name in small letters."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same in two schemas."""

    change: Change
    kind: Kind
    table: str
    """The table or view that it belongs to."""
    name: str
    """Its own name; for a constraint without one, which kind it is; for columns in another order, the table's."""
    before: str | None = None
    after: str | None = None

    def in_words(self) -> str:
        """One line for a person who looks from the one schema to the other."""
        what = f"{self.kind} {self.name}" if self.kind in ("table", "view") else f"{self.kind} {self.name} of {self.table}"
        if self.change == "reordered":
            return f"{what}: its columns are in another order, {self.after} instead of {self.before}"
        if self.change == "changed":
            return f"{what}: {self.after or 'no type'} instead of {self.before or 'no type'}"
        definition = f": {self.after or self.before or 'of no type'}" if self.kind in ("column", "constraint") else ""
        return f"{what} {self.change}{definition}"


# --- reading ----------------------------------------------------------------------------------------------------


def read_schema(connection: sqlite3.Connection) -> dict[tuple[str, str], SchemaObject]:
    """
    Everything that somebody made in the main database.

    Left out is what SQLite, this library and virtual tables make for themselves.
    """
    rows = _rows(connection, "SELECT type, name, tbl_name, sql FROM main.sqlite_master WHERE sql IS NOT NULL ORDER BY type, name")
    written = [row for row in rows if not (fold(row[1]).startswith(_IGNORED[:2]) or fold(row[2]).startswith(_IGNORED[:2]))]
    written = [row for row in written if TRACKING_TABLE not in (fold(row[1]), fold(row[2]))]
    modules = {fold(name): module for kind, name, _, sql in written if kind == "table" and (module := _module_of(sql))}
    if modules:
        shadows = _shadow_tables(connection, modules)
        written = [row for row in written if fold(row[2]) not in shadows]
    objects = [_object(cast("ObjectKind", kind), name, table, sql) for kind, name, table, sql in written]
    if any(_lexed(each.sql).unclear for each in objects if each.kind != "table"):
        objects = _with_names_resolved(objects)
    return {(each.kind, fold(each.name)): each for each in objects}


def read_records_and_schema(connection: sqlite3.Connection) -> tuple[Tracking, dict[tuple[str, str], SchemaObject]]:
    """Both as they are at one moment."""
    connection.execute("BEGIN")
    try:
        return read_tracking(connection), read_schema(connection)
    finally:
        connection.execute("ROLLBACK")


def fold(name: str) -> str:
    """A name as SQLite compares it: only ASCII letters have a case."""
    return name.lower() if name.isascii() else name.translate(_FOLD)


def _rows(connection: sqlite3.Connection, sql: str) -> list[tuple[str, str, str, str]]:
    speak = runner_execute(connection)
    cursor = speak(sql)
    cursor.row_factory = None
    return cursor.fetchall()


def _module_of(sql: str) -> str | None:
    if sql[:14].upper() != "CREATE VIRTUAL":  # SQLite writes that itself
        return None
    tokens = _lexed(sql).tokens
    return tokens[tokens.index("using") + 1] if tokens[1:2] == ("virtual",) and "using" in tokens else None


def _shadow_tables(connection: sqlite3.Connection, modules: Mapping[str, str]) -> set[str]:
    known = {f"{name}_{suffix}" for name, module in modules.items() for suffix in _SHADOWS.get(module, ())}
    try:
        listed = {fold(row[1]) for row in _rows(connection, "PRAGMA main.table_list") if row[2] == "shadow"}
    except sqlite3.Error:
        return known
    return known | {table for table in listed if any(table.startswith(f"{name}_") for name in modules)}


# --- from text to tokens ------------------------------------------------------------------------------------------


class _Lexed(NamedTuple):
    tokens: tuple[str, ...]
    unclear: tuple[int, ...]
    """Where a "quoted" word stands that is a column, if there is one of that name, and otherwise text."""
    parts: tuple[int, ...]
    """Where the columns and constraints of a table begin, and where the last of them ends."""
    names: tuple[str, ...]
    """The columns of a table as spelt."""
    aliases: frozenset[str]


@lru_cache(maxsize=4096)
def _lexed(sql: str) -> _Lexed:
    return _Lexer(sql).lexed()


class _Lexer:
    """
    One pass over one definition.

    Words are folded on sight. Whether a quoted thing is a name follows from what stands around it: `_inside` says for
    each open parenthesis whether it holds columns, other names, the tables of a FROM, or anything.
    """

    def __init__(self, sql: str) -> None:
        self._raw: list[str] = _TOKEN.findall(sql)
        self._tokens: list[str] = []
        self._unclear: list[int] = []
        self._parts: list[int] = []
        self._names: list[str] = []
        self._aliases: set[str] = set()
        self._inside = [""]
        self._starts = self._typing = False
        head = [fold(word) for word in self._raw[:3]]
        self._virtual = "virtual" in head[1:2]
        self._kind = next((word for word in head if word in ("table", "index", "trigger", "view")), "")

    def lexed(self) -> _Lexed:
        tokens, before = self._tokens, ""
        for number, piece in enumerate(self._raw):
            if not piece:  # the end, or the full stop after `main`
                continue
            first = piece[0]
            if first in _FIRST_LETTERS:
                word = piece.lower() if piece.isascii() else fold(piece)
                if word in _NOTED or before in _NOTED or self._starts:
                    self._word(piece, word, before, number)
                else:
                    tokens.append(word)
            elif first in "\"'`[":
                following = self._raw[number + 1] if number + 1 < len(self._raw) else ""
                self._quoted(piece, following, fold(self._raw[number + 2]) if number + 2 < len(self._raw) else "")
            elif first > "\x7f":
                self._word(piece, fold(piece), before, number)
            elif first in "(),":
                self._sign(piece)
            else:
                tokens.append(piece.lower())  # a number may hold letters
            before = tokens[-1] if tokens else ""
        unclear = self._unclear
        if self._kind == "table":
            own = {fold(name) for name in self._names} | _ROWIDS
            self._tokens = _resolved(self._tokens, unclear, own)
            unclear = []
        return _Lexed(tuple(self._tokens), tuple(unclear), tuple(self._parts), tuple(self._names), frozenset(self._aliases))

    def _before(self, back: int = 1) -> str:
        return self._tokens[-back] if len(self._tokens) >= back else ""

    def _word(self, piece: str, word: str, before: str, number: int) -> None:
        inside = self._inside
        if inside[-1] == "columns":
            if self._starts:
                self._begin_part(piece, is_column=word not in _TABLE_CONSTRAINTS)
            elif self._typing and word in _COLUMN_CONSTRAINTS:
                self._typing = False
        elif word == "main" and self._raw[number + 1 : number + 2] == ["."] and self._is_name():
            self._raw[number + 1] = ""  # the one database there can be
            return
        if before == "default" and inside[-1] == "columns" and not (word in _VALUES or piece[-1] == "'"):
            self._tokens.append(_literal(piece))  # SQLite takes a bare word there for text
            return
        if word in ("from", "join"):
            if before != "distinct" and inside[-1] == "":
                inside[-1] = "from"
        elif inside[-1] == "from" and word in _CLAUSES:
            inside[-1] = ""
        if before == "as":
            self._aliases.add(word)
        self._tokens.append(word)

    def _begin_part(self, name: str, *, is_column: bool) -> None:
        self._parts.append(len(self._tokens))
        self._starts, self._typing = False, is_column
        if is_column:
            self._names.append(name)

    def _sign(self, piece: str) -> None:
        inside = self._inside
        if piece == "(":
            inside.append(self._opened())
            self._starts = inside[-1] == "columns"
        elif piece == ")":
            if inside[-1] == "columns":
                self._parts.append(len(self._tokens))
            if len(inside) > 1:
                inside.pop()
        elif piece == "," and inside[-1] == "columns":
            self._starts, self._typing = True, False
        self._tokens.append(piece)

    def _opened(self) -> str:
        """What the parenthesis that opens now holds."""
        before, second = self._before(), self._before(2)
        if self._kind == "table":
            if len(self._inside) == 1:
                return "arguments" if self._virtual else "columns"
            return "names" if before in ("key", "unique") or second == "references" else ""
        if self._kind == "index" and len(self._inside) == 1 and second == "on":
            return "list"
        return "names" if second in ("into", "view") else ""

    def _quoted(self, piece: str, following: str, second: str) -> None:
        quote, content = piece[0], _content(piece)
        before, inside = self._before(), self._inside[-1]
        begins = inside == "columns" and self._starts
        if begins:
            self._begin_part(content, is_column=True)
        if before == "default" and inside == "columns":
            self._tokens.append(_literal(content))
        elif inside == "arguments":
            name = quote != "'" and before != "="  # what a module takes for a value may tell letters apart
            self._tokens.append(_name(content) if name else _literal(content))
        elif begins or quote in "`[" or self._is_name(following, second):
            if before == "as":
                self._aliases.add(fold(content))
            self._tokens.append(_name(content))
        elif quote == "'":
            self._tokens.append(piece)
        else:
            self._unclear.append(len(self._tokens))
            self._tokens.append(piece)

    def _is_name(self, following: str = "", second: str = "") -> bool:
        """Whether a name must stand here, however it is quoted."""
        before, inside = self._before(), self._inside[-1]
        if before in _BEFORE_A_NAME or following == "." or inside in ("from", "names"):
            return True
        if inside == "columns":
            return self._typing
        if inside == "list":
            return before in ("(", ",") and (following in (",", ")") or fold(following) in ("collate", "asc", "desc"))
        return (
            (before == "on" and self._kind in ("index", "trigger") and self._tokens.count("on") == 1)
            or (before in _AFTER_OR and self._before(2) == "or")
            or (fold(following) == "as" and second == "(")
        )


def _content(piece: str) -> str:
    quote = piece[0]
    if quote == "[":
        return piece[1:-1]
    inner = piece[1:-1]
    return inner.replace(quote * 2, quote) if quote in inner else inner


def _name(content: str) -> str:
    """A name as a token: without quotes where it can do without."""
    name = fold(content)
    if name in _RESERVED or not _PLAIN_NAME.fullmatch(name):
        return '"' + name.replace('"', '""') + '"'
    return name


def _literal(content: str) -> str:
    return "'" + content.replace("'", "''") + "'"


def _resolved(tokens: Sequence[str], unclear: Iterable[int], names: Iterable[str]) -> list[str]:
    known, resolved = frozenset(names), list(tokens)
    for place in unclear:
        content = _content(tokens[place])
        resolved[place] = _name(content) if fold(content) in known else _literal(content)
    return resolved


# --- from tokens to objects ---------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _object(kind: ObjectKind, name: str, table: str, sql: str) -> SchemaObject:
    lexed = _lexed(sql)
    tokens = lexed.tokens
    if kind != "table" or not lexed.parts:
        return SchemaObject(kind, name, table, sql, tokens)
    *starts, end = lexed.parts
    parts = [tokens[begin : (after - 1 if after < end else end)] for begin, after in zip(starts, [*starts[1:], end], strict=True)]
    parts = [_in_order(part) if number < len(lexed.names) else part for number, part in enumerate(parts)]
    return _table(name, sql, tokens, parts, lexed)


def _table(name: str, sql: str, tokens: tuple[str, ...], parts: list[tuple[str, ...]], lexed: _Lexed) -> SchemaObject:
    count = len(lexed.names)
    columns = tuple(Column(spelt, _column_text(part[1:])) for spelt, part in zip(lexed.names, parts[:count], strict=True))
    constraints = [one for part in parts[count:] for one in _constraints(part)]
    options = sorted(_split(tokens[lexed.parts[-1] + 1 :]))
    canonical = list(tokens[: lexed.parts[0]])
    for part in [*parts[:count], *sorted(constraints)]:
        canonical += [*part, ","]
    canonical[-1] = ")"
    for option in options:
        canonical += [*option, ","]
    if options:
        canonical.pop()
    return SchemaObject(
        "table",
        name,
        name,
        sql,
        tuple(canonical),
        columns,
        tuple(_text(one) for one in constraints),
        tuple(_text(one).upper() for one in options),
    )


def _in_order(column: tuple[str, ...]) -> tuple[str, ...]:
    """A column's definition with its clauses in one order, which means nothing, and DEFAULT (1) as DEFAULT 1."""
    clauses: list[list[str]] = [[]]
    depth = 0
    for place, piece in enumerate(column):
        before, following = column[place - 1] if place else "", column[place + 1] if place + 1 < len(column) else ""
        begins = place > 0 and depth == 0 and piece in _COLUMN_CONSTRAINTS
        goes_on = (
            before in ("set", "default", "not", "always")
            or piece == "deferrable"
            or (piece == "not" and following == "deferrable")
            or (len(clauses[-1]) == 2 and clauses[-1][0] == "constraint")
        )
        depth += (piece == "(") - (piece == ")")
        if begins and not goes_on:
            clauses.append([])
        clauses[-1].append(piece)
    first, *others = clauses
    for clause in others:
        if clause[:2] == ["default", "("] and clause[-1] == ")" and _is_literal(clause[2:-1]):
            clause[1:] = clause[2:-1]
    return (*first, *(piece for clause in sorted(others) for piece in clause))


def _is_literal(tokens: Sequence[str]) -> bool:
    signed = len(tokens) > 1 and tokens[0] in "+-"
    first = tokens[1 if signed else 0] if tokens else ""
    return len(tokens) == 1 + signed and (first[:1] in "'.0123456789" or first in _VALUES or first[:2] == "x'") and first != ""


def _constraints(part: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The constraints in a part: SQLite does not ask for commas between them."""
    depth, begin = 0, 0
    for place, piece in enumerate(part):
        depth += (piece == "(") - (piece == ")")
        named = part[begin] == "constraint" and place == begin + 2
        if place > begin and depth == 0 and piece in _TABLE_CONSTRAINTS and not named:
            yield part[begin:place]
            begin = place
    yield part[begin:]


def _split(tokens: Sequence[str]) -> list[tuple[str, ...]]:
    """The parts between commas."""
    parts: list[list[str]] = [[]]
    for piece in tokens:
        if piece == ",":
            parts.append([])
        else:
            parts[-1].append(piece)
    return [tuple(part) for part in parts if part]


def _with_names_resolved(objects: Sequence[SchemaObject]) -> list[SchemaObject]:
    """The objects, with each "quoted" word of an index, trigger or view as the name or the text that it is there."""
    columns = {
        fold(each.name): {fold(column.name) for column in each.columns} | _ROWIDS for each in objects if each.kind == "table"
    }
    everywhere = frozenset[str]().union(*columns.values())
    for each in objects:
        lexed = _lexed(each.sql)
        if each.kind == "view":
            everywhere |= lexed.aliases | _first_words(lexed.tokens, "view")
        elif lexed.tokens[1:2] == ("virtual",):
            everywhere |= _first_words(lexed.tokens, "using")
    resolved = []
    for each in objects:
        lexed = _lexed(each.sql)
        if each.kind == "table" or not lexed.unclear:
            resolved.append(each)
        else:
            names = columns.get(fold(each.table), everywhere) if each.kind == "index" else everywhere | lexed.aliases
            tokens = tuple(_resolved(lexed.tokens, lexed.unclear, names))
            resolved.append(SchemaObject(each.kind, each.name, each.table, each.sql, tokens))
    return resolved


def _first_words(tokens: tuple[str, ...], after: str) -> frozenset[str]:
    """The first word of each part in the parentheses that follow one name after the word `after`."""
    begin = tokens.index(after) + 2 if after in tokens else len(tokens)
    if tokens[begin : begin + 1] != ("(",):
        return frozenset()
    words, starts = set(), True
    for piece in tokens[begin + 1 :]:
        if piece == ")":
            break
        if starts:
            words.add(_content(piece) if piece[0] == '"' else piece)
        starts = piece == ","
    return frozenset(words)


# --- from tokens to text ------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _column_text(tokens: tuple[str, ...]) -> str:
    end = next((place for place, piece in enumerate(tokens) if piece in _COLUMN_CONSTRAINTS), len(tokens))
    return _text([piece.upper() if piece.isascii() and piece[0] != '"' else piece for piece in tokens[:end]] + list(tokens[end:]))


def _text(tokens: Iterable[str]) -> str:
    """Tokens as a person would write them; other tokens always make another text."""
    text, before = [], ""
    for piece in tokens:
        shown = piece.upper() if piece in _KEYWORDS else piece
        tight = before in ("", "(", ".") or piece in (",", ")", ".", ";") or (piece == "(" and _takes_arguments(before))
        text.append(shown if tight else f" {shown}")
        before = piece
    return "".join(text)


def _takes_arguments(before: str) -> bool:
    if before in _KEYWORDS:
        return before in _FUNCTIONS
    return before[0] in '"_' or before[0].isalpha() or before[0] > "\x7f"


# --- comparing ----------------------------------------------------------------------------------------------------


def compare(before: Schema, after: Schema) -> list[Difference]:
    """
    Everything that differs, always in the same order; nothing for equal schemas.

    A table is told column by column. What was renamed is removed under the one name and added under the other.
    """
    found: list[Difference] = []
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old is None and new is not None:
            found.append(Difference("added", new.kind, new.table, new.name, None, new.text))
        elif new is None and old is not None:
            found.append(Difference("removed", old.kind, old.table, old.name, old.text, None))
        elif old is not None and new is not None and old.sql != new.sql and old.tokens != new.tokens:
            if old.columns and new.columns:
                found.extend(_compare_tables(old, new))
            else:
                found.append(Difference("changed", new.kind, new.table, new.name, old.text, new.text))
    return sorted(
        found, key=lambda each: (fold(each.table), each.kind != "table", each.kind, fold(each.name), each.change, str(each))
    )


def _compare_tables(old: SchemaObject, new: SchemaObject) -> Iterator[Difference]:
    had, has = ({fold(column.name): column for column in each.columns} for each in (old, new))
    for name, column in had.items():
        if name not in has:
            yield Difference("removed", "column", new.table, column.name, column.words, None)
        elif column.words != has[name].words:
            yield Difference("changed", "column", new.table, has[name].name, column.words, has[name].words)
    for name, column in has.items():
        if name not in had:
            yield Difference("added", "column", new.table, column.name, None, column.words)
    order, now = [name for name in had if name in has], [name for name in has if name in had]
    if order != now:
        names = (", ".join(column.name for column in each.columns) for each in (old, new))
        yield Difference("reordered", "table", new.table, new.name, *names)
    yield from _compare_constraints(new.table, old.constraints, new.constraints)
    for option in set(old.options) ^ set(new.options):
        if option in new.options:
            yield Difference("added", "option", new.table, option, None, option)
        else:
            yield Difference("removed", "option", new.table, option, option, None)


def _compare_constraints(table: str, before: Iterable[str], after: Iterable[str]) -> Iterator[Difference]:
    had, has = Counter(before), Counter(after)
    gone, come = sorted((had - has).elements()), sorted((has - had).elements())
    for old in gone:
        # Two of one kind, or of one name, are one that changed.
        new = next((each for each in come if _constraint_name(each) == _constraint_name(old)), None)
        if new is not None:
            come.remove(new)
        yield Difference("changed" if new else "removed", "constraint", table, _constraint_name(old), old, new)
    for new in come:
        yield Difference("added", "constraint", table, _constraint_name(new), None, new)


def _constraint_name(text: str) -> str:
    """The name of a constraint, or its kind."""
    named = re.match(r'CONSTRAINT ("(?:[^"]|"")*"|\S+)', text)
    return named[1] if named else text.partition(" (")[0]


# --- a database to build one in ---------------------------------------------------------------------------------------


def memory_database() -> GuardedConnection:
    """An empty database in memory, guarded as a file would be. Foreign keys are not enforced, as in a run."""
    connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=0, factory=GuardedConnection)
    connection.speak("PRAGMA foreign_keys=OFF")
    return connection


# --- columns that were renamed -------------------------------------------------------------------------------------------


def pair_renames(differences: Sequence[Difference], before: Schema, after: Schema) -> list[tuple[Difference, Difference | None]]:
    """
    Each difference; a column that went and the one that came in its place, defined alike, together.

    That it was renamed can't be known, but it is the best way to tell it.
    """
    pairs: list[tuple[Difference, Difference | None]] = []
    came_instead: list[Difference] = []
    for went in differences:
        if went.kind != "column" or went.change != "removed":
            pairs.append((went, None))
            continue
        others = [
            each
            for each in differences
            if (each.kind, each.change, each.table, each.after) == ("column", "added", went.table, went.before)
            and _place(before, went) == _place(after, each)
        ]
        pairs.append((went, others[0] if others else None))
        came_instead += others
    return [pair for pair in pairs if pair[0] not in came_instead]


def _place(schema: Schema, column: Difference) -> int:
    return [fold(each.name) for each in schema["table", fold(column.table)].columns].index(fold(column.name))
