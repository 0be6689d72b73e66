"""
What SQL statements read a column as: JSON, a date or time, an e-mail address.

Found in text, because SQLite keeps no such types: `json_extract(data, '$.kind')` in a generated column, an index, a
trigger, a view or a migration says that `data` holds JSON. A guess that is wrong costs realism of sample rows only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, NamedTuple

from homie_migrations_core.sqlite.names import fold

# Each piece is taken whole, or a literal of a million characters would be tried from each of them.
_NAME = r'(?:"(?:[^"]|"")++"|`[^`]++`|\[[^\]]++\]|(?<!\w)[A-Za-z_]\w*+)'
_COLUMN = rf"(?:{_NAME}\s*\.\s*)?(?P<column>{_NAME})"
_READ_JSON = "array_length|each|error_position|extract|insert|patch|remove|replace|set|tree|type|valid"
_JSON_FUNCTION = re.compile(
    rf"\bjsonb?(?:_(?P<function>{_READ_JSON}))?\s*\(\s*{_COLUMN}\s*(?P<paths>(?:,\s*'\$[^']*'\s*)*)[,)]", re.IGNORECASE
)
_JSON_ARROW = re.compile(rf"{_COLUMN}(?P<steps>(?:\s*->>?\s*(?:'[^']*'|\d+))+)")
_ARROW_STEP = re.compile(r"->>?\s*(?:'([^']*)'|(\d+))")
_TIME_FUNCTION = re.compile(
    rf"\b(?P<function>date|time|datetime|julianday|unixepoch)\s*\(\s*{_COLUMN}\s*(?:,\s*'(?P<modifier>[^']*)'[^)]*)?\)",
    re.IGNORECASE,
)
_STRFTIME = re.compile(
    rf"\bstrftime\s*\(\s*'(?P<format>[^']*)'\s*,\s*{_COLUMN}\s*(?:,\s*'(?P<modifier>[^']*)'[^)]*)?\)", re.IGNORECASE
)
_MAIL_PATTERN = re.compile(rf"{_COLUMN}\s*\)?\s*(?:\bnot\s+)?\b(?:like|glob|regexp)\s+'[^']*@[^']*'", re.IGNORECASE)
_MAIL_SIGN = re.compile(rf"\binstr\s*\(\s*{_COLUMN}\s*,\s*'@'", re.IGNORECASE)
_WORD = re.compile(r"\w+")


@dataclass
class ColumnUse:
    """What one column is read as."""

    is_json: bool = False
    is_json_array: bool = False
    json_paths: list[str] = field(default_factory=list)
    """Paths that are read, such as `$.address.city`."""
    time_functions: set[str] = field(default_factory=set)
    time_formats: list[str] = field(default_factory=list)
    """Formats of `strftime()`."""
    is_unix_time: bool = False
    is_mail: bool = False


class _Reading(NamedTuple):
    """One place where a statement reads a column."""

    column: str
    kind: Literal["json", "json_array", "time", "unix_time", "mail"]
    function: str = ""
    details: tuple[str, ...] = ()
    """JSON paths, or a format of `strftime()`."""


class ColumnUses:
    """What the columns of a database are read as, by the statements of its schema and those of its migrations."""

    def __init__(self, statements: Iterable[str]) -> None:
        self._found = [each for statement in statements if (each := _readings(statement)).readings]

    def of(self, table: str, column: str) -> ColumnUse:
        """Return what a column is read as by statements that name its table."""
        use = ColumnUse()
        for statement in self._found:
            if fold(table) in statement.words or not fold(table).isidentifier():
                for reading in statement.readings:
                    if reading.column == fold(column):
                        _add(use, reading)
        return use


class _Statement(NamedTuple):
    readings: tuple[_Reading, ...]
    words: frozenset[str]


@lru_cache(maxsize=512)
def _readings(statement: str) -> _Statement:
    found = (*_read_as_json(statement), *_read_as_time(statement), *_read_as_mail(statement))
    return _Statement(found, frozenset(map(fold, _WORD.findall(statement))) if found else frozenset())


def _read_as_json(statement: str) -> Iterator[_Reading]:
    for found in _JSON_FUNCTION.finditer(statement):
        function, paths = (found["function"] or "").lower(), tuple(re.findall(r"'(\$[^']*)'", found["paths"]))
        is_array = function in ("each", "array_length") and not paths
        yield _Reading(_unquoted(found["column"]), "json_array" if is_array else "json", function, paths)
    for found in _JSON_ARROW.finditer(statement):
        steps = [key or f"[{number}]" for key, number in _ARROW_STEP.findall(found["steps"])]
        path = "$" + "".join(step.removeprefix("$") if step[:1] in "$[" else f".{step}" for step in steps)
        yield _Reading(_unquoted(found["column"]), "json", "extract", (path,))


def _read_as_time(statement: str) -> Iterator[_Reading]:
    for found in _TIME_FUNCTION.finditer(statement):
        kind: Literal["unix_time", "time"] = "unix_time" if found["modifier"] in ("unixepoch", "auto") else "time"
        yield _Reading(_unquoted(found["column"]), kind, found["function"].lower())
    for found in _STRFTIME.finditer(statement):
        kind = "unix_time" if found["modifier"] in ("unixepoch", "auto") else "time"
        yield _Reading(_unquoted(found["column"]), kind, "strftime", (found["format"],))


def _read_as_mail(statement: str) -> Iterator[_Reading]:
    for pattern in (_MAIL_PATTERN, _MAIL_SIGN):
        for found in pattern.finditer(statement):
            yield _Reading(_unquoted(found["column"]), "mail")


def _unquoted(name: str) -> str:
    quoted = name[0] in '"`['
    return fold(name[1:-1].replace('""', '"') if quoted else name)


def _add(use: ColumnUse, reading: _Reading) -> None:
    if reading.kind in ("json", "json_array"):
        use.is_json = True
        use.is_json_array |= reading.kind == "json_array"
        use.json_paths += [path for path in reading.details if path not in use.json_paths]
    elif reading.kind == "mail":
        use.is_mail = True
    else:
        use.is_unix_time |= reading.kind == "unix_time"
        use.time_functions.add(reading.function)
        use.time_formats += [each for each in reading.details if each not in use.time_formats]
