"""
The text of a definition as tokens, in which comments, white space, letter case and the four ways to quote a name don't count.

SQLite itself changes them: RENAME quotes names, RENAME COLUMN makes "text" into 'text', ADD and DROP COLUMN leave the author's
spacing. There is no grammar here: a table is split at its top-level commas, and everything else is tokens.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from homie_migrations_core.sqlite.names import fold, quoted, text_literal

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

# Words that mean something else without quotes: SQLite takes none of them for a name, or takes some for a value first.
VALUE_WORDS = frozenset("null true false current_date current_time current_timestamp".split())
RESERVED_WORDS = VALUE_WORDS | frozenset(
    "add all alter and as autoincrement between case check collate commit constraint create default deferrable delete "
    "distinct drop else escape except exists foreign from group having in index insert intersect into is isnull join "
    "limit not nothing notnull on or order primary references returning select set table then to transaction union unique "
    "update using values when where".split()
)
KEYWORDS = RESERVED_WORDS | frozenset(
    "abort action after always asc before begin by cascade cast conflict cross deferred desc each end fail for full generated "
    "glob if ignore immediate initially inner instead key left like match materialized natural no of offset outer over "
    "partition raise recursive regexp replace restrict right rollback row rowid stored strict temp trigger view virtual "
    "window with without".split()
)
TABLE_CONSTRAINTS = frozenset("constraint primary unique check foreign".split())
COLUMN_CONSTRAINTS = frozenset(
    "constraint primary not null unique check default collate references generated as deferrable".split()
)
_BEFORE_A_NAME = frozenset("table view trigger index references constraint collate as into update join with recursive .".split())
_AFTER_OR = frozenset("rollback abort replace fail ignore".split())
_CLAUSES = frozenset("where on set group order having limit select values union except intersect".split())
_NOTED = COLUMN_CONSTRAINTS | _CLAUSES | frozenset("main default from join as on".split())
"""What changes how the things around it are read."""
_FIRST_LETTERS = frozenset(f"{string.ascii_letters}_")
ROWIDS = frozenset({"rowid", "oid", "_rowid_"})
_FUNCTIONS = frozenset("cast glob like raise replace".split())


class Tokenized(NamedTuple):
    """One definition as tokens, and what was found out on the way."""

    tokens: tuple[str, ...]
    unclear: tuple[int, ...]
    """A place where a "quoted" word is a column, if there is one of that name, and otherwise text."""
    parts: tuple[int, ...]
    """Where the columns and constraints of a table begin, and where the last of them ends."""
    names: tuple[str, ...]
    """The columns of a table as spelt."""
    aliases: frozenset[str]


@lru_cache(maxsize=4096)
def tokenize(sql: str) -> Tokenized:
    """Split a definition into tokens, each as it compares."""
    return _Tokenizer(sql).tokenized()


class _Tokenizer:
    """
    One pass over one definition.

    Words are folded on sight. Whether a quoted thing is a name follows from the tokens around it: `_inside` says for
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

    def tokenized(self) -> Tokenized:
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
            own = {fold(name) for name in self._names} | ROWIDS
            self._tokens = with_quoted_words_resolved(self._tokens, unclear, own)
            unclear = []
        return Tokenized(tuple(self._tokens), tuple(unclear), tuple(self._parts), tuple(self._names), frozenset(self._aliases))

    def _before(self, back: int = 1) -> str:
        return self._tokens[-back] if len(self._tokens) >= back else ""

    def _word(self, piece: str, word: str, before: str, number: int) -> None:
        inside = self._inside
        if inside[-1] == "columns":
            if self._starts:
                self._begin_part(piece, is_column=word not in TABLE_CONSTRAINTS)
            elif self._typing and word in COLUMN_CONSTRAINTS:
                self._typing = False
        elif word == "main" and self._raw[number + 1 : number + 2] == ["."] and self._is_name():
            self._raw[number + 1] = ""  # the one database there can be
            return
        if before == "default" and inside[-1] == "columns" and not (word in VALUE_WORDS or piece[-1] == "'"):
            self._tokens.append(literal_token(piece))  # SQLite takes a bare word there for text
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
        """Return what the parenthesis that opens now holds."""
        before, second = self._before(), self._before(2)
        if self._kind == "table":
            if len(self._inside) == 1:
                return "arguments" if self._virtual else "columns"
            return "names" if before in ("key", "unique") or second == "references" else ""
        if self._kind == "index" and len(self._inside) == 1 and second == "on":
            return "list"
        return "names" if second in ("into", "view") else ""

    def _quoted(self, piece: str, following: str, second: str) -> None:
        quote, content = piece[0], unquoted(piece)
        before, inside = self._before(), self._inside[-1]
        begins = inside == "columns" and self._starts
        if begins:
            self._begin_part(content, is_column=True)
        if before == "default" and inside == "columns":
            self._tokens.append(literal_token(content))
        elif inside == "arguments":
            name = quote != "'" and before != "="  # what a module takes for a value may tell letters apart
            self._tokens.append(name_token(content) if name else literal_token(content))
        elif begins or quote in "`[" or self._is_name(following, second):
            if before == "as":
                self._aliases.add(fold(content))
            self._tokens.append(name_token(content))
        elif quote == "'":
            self._tokens.append(piece)
        else:
            self._unclear.append(len(self._tokens))
            self._tokens.append(piece)

    def _is_name(self, following: str = "", second: str = "") -> bool:
        """Return whether only a name can be here, however it is quoted."""
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


def unquoted(piece: str) -> str:
    """Return the text between the quotes of a piece, whichever quotes they are."""
    quote = piece[0]
    if quote == "[":
        return piece[1:-1]
    inner = piece[1:-1]
    return inner.replace(quote * 2, quote) if quote in inner else inner


def name_token(content: str) -> str:
    """Return a name as a token: without quotes where none are needed."""
    name = fold(content)
    if name in RESERVED_WORDS or not _PLAIN_NAME.fullmatch(name):
        return quoted(name)
    return name


def literal_token(content: str) -> str:
    """Return a text as a token."""
    return text_literal(content)


def with_quoted_words_resolved(tokens: Sequence[str], unclear: Iterable[int], names: Iterable[str]) -> list[str]:
    """Return the tokens, of which each at an `unclear` place is a name if it is one of `names`, and a text otherwise."""
    known, resolved = frozenset(names), list(tokens)
    for place in unclear:
        content = unquoted(tokens[place])
        resolved[place] = name_token(content) if fold(content) in known else literal_token(content)
    return resolved


# --- from tokens to text ----------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def column_text(tokens: tuple[str, ...]) -> str:
    """Return the definition of a column, without its name, as a person would write it: the type in capitals."""
    end = next((place for place, piece in enumerate(tokens) if piece in COLUMN_CONSTRAINTS), len(tokens))
    return sql_text(
        [piece.upper() if piece.isascii() and piece[0] != '"' else piece for piece in tokens[:end]] + list(tokens[end:])
    )


def sql_text(tokens: Iterable[str]) -> str:
    """Return tokens as a person would write them; other tokens always make another text."""
    text, before = [], ""
    for piece in tokens:
        shown = piece.upper() if piece in KEYWORDS else piece
        tight = before in ("", "(", ".") or piece in (",", ")", ".", ";") or (piece == "(" and _takes_arguments(before))
        text.append(shown if tight else f" {shown}")
        before = piece
    return "".join(text)


def _takes_arguments(before: str) -> bool:
    if before in KEYWORDS:
        return before in _FUNCTIONS
    return before[0] in '"_' or before[0].isalpha() or before[0] > "\x7f"
