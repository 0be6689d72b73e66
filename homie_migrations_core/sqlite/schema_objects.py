"""
Tables, indexes, triggers and views as values that compare, made from the text that SQLite keeps of them.

Pragmas would not do: they show neither CHECK, nor COLLATE, nor what a view or trigger says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from homie_migrations_core.sqlite.names import fold
from homie_migrations_core.sqlite.sql_tokens import (
    COLUMN_CONSTRAINTS,
    ROWIDS,
    TABLE_CONSTRAINTS,
    VALUE_WORDS,
    Tokenized,
    column_text,
    name_token,
    sql_text,
    tokenize,
    unquoted,
    with_quoted_words_resolved,
)

ObjectKind = Literal["table", "index", "trigger", "view"]


class Column(NamedTuple):
    """A column, spelt as its author did, and the rest of its definition as normalised text."""

    name: str
    words: str


class _Parsed(NamedTuple):
    """What the text of a definition says."""

    tokens: tuple[str, ...]
    columns: tuple[Column, ...] = ()
    constraints: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SchemaObject:
    """A table, index, trigger or view. Its text is taken apart only when somebody asks: two equal texts need no more."""

    kind: ObjectKind
    name: str
    table: str
    """The table that it is on; a table's or view's own name."""
    sql: str
    """Word for word as SQLite keeps it."""
    resolved: tuple[str, ...] | None = None
    """Its tokens, where the text alone does not say which "quoted" words are names."""

    @property
    def tokens(self) -> tuple[str, ...]:
        """What is compared. The order of a table's constraints and options, which means nothing, is always the same."""
        return parse(self.kind, self.sql).tokens if self.resolved is None else self.resolved

    @property
    def columns(self) -> tuple[Column, ...]:
        """Those of an ordinary table."""
        return parse(self.kind, self.sql).columns

    @property
    def constraints(self) -> tuple[str, ...]:
        """Those of the table itself, as normalised text."""
        return parse(self.kind, self.sql).constraints

    @property
    def options(self) -> tuple[str, ...]:
        """`STRICT`, `WITHOUT ROWID`."""
        return parse(self.kind, self.sql).options

    @property
    def text(self) -> str:
        """The definition as a person would write it, always in the same way."""
        if not self.columns:
            return sql_text(self.tokens)
        parts = [f"{name_token(column.name)} {column.words}".rstrip() for column in self.columns]
        return f"{sql_text(self.tokens[:3])}({', '.join([*parts, *sorted(self.constraints)])}) {', '.join(self.options)}".rstrip()


Schema = Mapping[tuple[str, str], SchemaObject]
"""Each object by its kind and its name in small letters."""


# --- from tokens to objects ---------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def parse(kind: ObjectKind, sql: str) -> _Parsed:
    """Return what a definition says."""
    tokenized = tokenize(sql)
    tokens = tokenized.tokens
    if kind != "table" or not tokenized.parts:
        return _Parsed(tokens)
    *starts, end = tokenized.parts
    parts = [tokens[begin : (after - 1 if after < end else end)] for begin, after in zip(starts, [*starts[1:], end], strict=True)]
    parts = [_in_order(part) if number < len(tokenized.names) else part for number, part in enumerate(parts)]
    return _parsed_table(tokens, parts, tokenized)


def _parsed_table(tokens: tuple[str, ...], parts: list[tuple[str, ...]], tokenized: Tokenized) -> _Parsed:
    count = len(tokenized.names)
    columns = tuple(Column(spelt, column_text(part[1:])) for spelt, part in zip(tokenized.names, parts[:count], strict=True))
    constraints = [one for part in parts[count:] for one in _constraints(part)]
    options = sorted(_split(tokens[tokenized.parts[-1] + 1 :]))
    canonical = list(tokens[: tokenized.parts[0]])
    for part in [*parts[:count], *sorted(constraints)]:
        canonical += [*part, ","]
    canonical[-1] = ")"
    for option in options:
        canonical += [*option, ","]
    if options:
        canonical.pop()
    return _Parsed(
        tuple(canonical), columns, tuple(sql_text(one) for one in constraints), tuple(sql_text(one).upper() for one in options)
    )


def _in_order(column: tuple[str, ...]) -> tuple[str, ...]:
    """Return a column's definition with its clauses, whose order means nothing, in one order, and DEFAULT (1) as DEFAULT 1."""
    clauses: list[list[str]] = [[]]
    depth = 0
    for place, piece in enumerate(column):
        before, following = column[place - 1] if place else "", column[place + 1] if place + 1 < len(column) else ""
        begins = place > 0 and depth == 0 and piece in COLUMN_CONSTRAINTS
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
    return len(tokens) == 1 + signed and (first[:1] in "'.0123456789" or first in VALUE_WORDS or first[:2] == "x'") and first != ""


def _constraints(part: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the constraints in a part: SQLite does not ask for commas between them."""
    depth, begin = 0, 0
    for place, piece in enumerate(part):
        depth += (piece == "(") - (piece == ")")
        named = part[begin] == "constraint" and place == begin + 2
        if place > begin and depth == 0 and piece in TABLE_CONSTRAINTS and not named:
            yield part[begin:place]
            begin = place
    yield part[begin:]


def _split(tokens: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the parts between commas."""
    parts: list[list[str]] = [[]]
    for piece in tokens:
        if piece == ",":
            parts.append([])
        else:
            parts[-1].append(piece)
    return [tuple(part) for part in parts if part]


def with_names_resolved(objects: Sequence[SchemaObject]) -> list[SchemaObject]:
    """Return the objects, with each "quoted" word of an index, trigger or view as the name or the text that it is there."""
    columns = {fold(each.name): {fold(column.name) for column in each.columns} | ROWIDS for each in objects if each.kind == "table"}
    everywhere = frozenset[str]().union(*columns.values())
    for each in objects:
        tokenized = tokenize(each.sql)
        if each.kind == "view":
            everywhere |= tokenized.aliases | _first_words(tokenized.tokens, "view")
        elif tokenized.tokens[1:2] == ("virtual",):
            everywhere |= _first_words(tokenized.tokens, "using")
    resolved = []
    for each in objects:
        tokenized = tokenize(each.sql)
        if each.kind == "table" or not tokenized.unclear:
            resolved.append(each)
        else:
            names = columns.get(fold(each.table), everywhere) if each.kind == "index" else everywhere | tokenized.aliases
            tokens = tuple(with_quoted_words_resolved(tokenized.tokens, tokenized.unclear, names))
            resolved.append(SchemaObject(each.kind, each.name, each.table, each.sql, tokens))
    return resolved


def _first_words(tokens: tuple[str, ...], after: str) -> frozenset[str]:
    """Return the first word of each part in the parentheses that follow one name after the word `after`."""
    begin = tokens.index(after) + 2 if after in tokens else len(tokens)
    if tokens[begin : begin + 1] != ("(",):
        return frozenset()
    words, starts = set(), True
    for piece in tokens[begin + 1 :]:
        if piece == ")":
            break
        if starts:
            words.add(unquoted(piece) if piece[0] == '"' else piece)
        starts = piece == ","
    return frozenset(words)
