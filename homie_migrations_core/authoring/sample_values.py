"""
Values for sample rows: by a column's type, by what statements read it as, and by what its CHECKs could be looking for.

Opens no database. Which of the values a table accepts is found out when they are inserted.
"""

from __future__ import annotations

import itertools
import json
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from homie_migrations_core.authoring.column_uses import ColumnUse
from homie_migrations_core.sqlite.names import fold

Value = None | int | float | str | bytes
ValueMaker = Callable[[int], Value]
"""The value for row number n; most makers give each row its own."""

NULL_EVERY = 6
"""Of so many rows, one has NULL in a column that may be NULL."""
_LONGEST = 4_096
_MOST_JSON_OBJECTS = 200
_FIRST_DAY = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT_TYPES = ("CHAR", "CLOB", "TEXT")
_REAL_TYPES = ("REAL", "FLOA", "DOUB")


def is_text_type(declared: str) -> bool:
    """Return whether a declared type has text affinity (https://sqlite.org/datatype3.html, section 3.1)."""
    return any(word in declared for word in _TEXT_TYPES)


# --- by use -----------------------------------------------------------------------------------------------------------


def value_for_use(use: ColumnUse, declared: str) -> ValueMaker | None:
    """Return a maker of what statements expect in a column; None if they say nothing about it, or its type can't hold it."""
    if use.is_unix_time:
        return _unix_time
    if not is_text_type(declared) and any(word in declared for word in ("INT", "BLOB", *_REAL_TYPES)):
        return None
    if use.is_json:
        return _json_for(use)
    if use.is_mail:
        return _mail
    if use.time_functions:
        if use.time_functions <= {"date"}:
            return _day
        return _time_of_day if use.time_functions <= {"time"} else moment
    return None


def _json_for(use: ColumnUse) -> ValueMaker:
    if use.json_paths:
        return lambda n: _json_with({path: f"{_last_step(path)} {n}" for path in use.json_paths})
    return _json_array if use.is_json_array else _json_object


def _json_object(n: int) -> str:
    return f'{{"n": {n}}}'


def _json_array(n: int) -> str:
    return f"[{n}, {n + 1}]"


def _last_step(path: str) -> str:
    return next(reversed(re.findall(r"\w+", path)), "item")


def _json_with(values: dict[str, Any]) -> str:
    """Return a JSON document that has these values at these paths, as far as the paths are compatible."""
    document: Any = None
    for path, value in values.items():
        document = _with_value_at(document, _steps_of(path), value)
    return json.dumps({} if document is None else document, ensure_ascii=False)


def _steps_of(path: str) -> list[str | int]:
    found = re.findall(r'\.(?:"([^"]*)"|([^.\[]+))|\[(?:#-)?(\d*)#?\]', path)
    return [int(number or 0) if not (quoted or key) else quoted or key for quoted, key, number in found]


def _with_value_at(document: Any, steps: Sequence[str | int], value: Any) -> Any:
    if not steps:
        return document if isinstance(document, dict | list) else value
    step, rest = steps[0], steps[1:]
    if isinstance(step, int):
        items = document if isinstance(document, list) else []
        items += [None] * (min(step, 99) + 1 - len(items))
        items[min(step, 99)] = _with_value_at(items[min(step, 99)], rest, value)
        return items
    members = document if isinstance(document, dict) else {}
    members[step] = _with_value_at(members.get(step), rest, value)
    return members


# --- by type ----------------------------------------------------------------------------------------------------------


def value_for_type(table: str, column: str, declared: str, *, unique: bool) -> ValueMaker:
    """Return a maker of values of the declared type, unlike those of other columns."""
    salt = 100 + 100 * (zlib.crc32(f"{fold(table)}.{fold(column)}".encode()) % 900)
    if "BOOL" in declared:
        return _flag
    if declared in ("JSON", "JSONB"):
        return lambda n: f'{{"{column}": {salt + n}}}'
    return _time_for_type(declared) or _text_or_number(column, declared, salt, unique=unique)


def _time_for_type(declared: str) -> ValueMaker | None:
    if "DATETIME" in declared or "TIMESTAMP" in declared:
        return moment
    return {"DATE": _day, "TIME": _time_of_day}.get(declared)


def _text_or_number(column: str, declared: str, salt: int, *, unique: bool) -> ValueMaker:
    if "INT" in declared:
        return _flag if column.lower().startswith(("is_", "has_")) and not unique else lambda n: salt + n
    if is_text_type(declared):
        if re.search(r"(_at|_on|_time|timestamp|date)$", column.lower()):
            return moment
        return lambda n: "" if n == NULL_EVERY + 2 and not unique else words(column, n)
    if any(word in declared for word in _REAL_TYPES):
        return lambda n: salt + n + 0.5
    if declared == "BLOB":
        return lambda n: b"\x00\xff" + f"{column} {n}".encode()
    if declared in ("", "ANY"):
        return lambda n: (salt + n, f"{column} {n}", b"\xfe" + bytes([n % 256, n // 256 % 256]), salt + n + 0.5)[n % 4]
    return lambda n: salt + n + (0.5 if n % 3 == 1 else 0)


def words(name: str, n: int) -> str:
    """Return a text as people write them: quotes and other alphabets included."""
    return (f"{name} {n}", f"Größe {name} {n}", f"名前 {name} {n}", f'it\'s "{name}" {n}')[n % 4]


def _instant(n: int) -> datetime:
    return _FIRST_DAY + timedelta(days=397 * n, seconds=n)


def moment(n: int) -> str:
    """Return a date and time in the form of SQLite's `datetime()`."""
    return f"{_instant(n):%Y-%m-%d %H:%M:%S}"


def _day(n: int) -> str:
    return moment(n)[:10]


def _time_of_day(n: int) -> str:
    return moment(n)[11:]


def _unix_time(n: int) -> int:
    return int(_instant(n).timestamp())


def _mail(n: int) -> str:
    return f"someone{n}@example.org"


def _flag(n: int) -> int:
    return n % 2


def null(_: int) -> Value:
    """Return NULL for any row."""
    return None


def _always(value: Value) -> ValueMaker:
    return lambda _: value


# --- by what a CHECK or a trigger mentions ----------------------------------------------------------------------------

_TEXT = re.compile(r"'((?:[^']|'')*)'")
_NUMBER = re.compile(r"(?<![\w.'])-?\s?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w'])")
_STRFTIME_SIGN = re.compile(r"%([dfHjmMsSwY%])")


def values_for_check(check: str, use: ColumnUse, *, blobs: bool) -> Iterator[ValueMaker]:
    """Yield makers of what a CHECK or a trigger could be looking for, the most telling first."""
    texts = list(dict.fromkeys(text.replace("''", "'") for text in _TEXT.findall(check)))
    numbers = list(dict.fromkeys(_number(found) for found in _NUMBER.findall(_TEXT.sub(" ", check))))
    if use.is_json and use.json_paths:
        yield from _json_objects(use.json_paths, [text for text in texts if not text.startswith("$")], numbers)
    yield from map(_formatted, use.time_formats)
    patterns = [text for text in texts if re.search(r"[%_*?\[]", text)]
    yield from map(_matching, patterns)
    yield from (_always(text) for text in texts if text not in patterns)
    yield from _of_every_kind()
    whole = [number for number in numbers if isinstance(number, int)]
    yield from itertools.starmap(_between, itertools.pairwise(sorted(whole)))
    for length in whole:
        if 0 < length <= _LONGEST:
            yield from _as_long_as(length, blobs=blobs)
    for number in numbers:
        yield from _around(number)
    yield from map(_always, patterns)


def _json_objects(paths: Sequence[str], texts: Sequence[str], numbers: Sequence[float]) -> Iterator[ValueMaker]:
    """JSON with every combination of what could be at each path."""
    plain: list[ValueMaker] = [lambda n: f"text {n}", lambda n: n + 1, lambda n: n + 0.5]
    choices = [*plain, *map(_always, texts), *map(_always, numbers), *(maker for number in numbers for maker in _around(number))]
    for makers in itertools.islice(itertools.product(choices, repeat=len(paths)), _MOST_JSON_OBJECTS):
        yield _json_of(dict(zip(paths, makers, strict=True)))


def _json_of(makers: dict[str, ValueMaker]) -> ValueMaker:
    return lambda n: _json_with({path: maker(n) for path, maker in makers.items()})


def _formatted(pattern: str) -> ValueMaker:
    """Return a maker of moments in a format of SQLite's `strftime()`."""

    def made(n: int) -> str:
        instant = _instant(n)
        signs = {"f": f"{instant:%S}.000", "s": str(int(instant.timestamp())), "%": "%"}
        return _STRFTIME_SIGN.sub(lambda found: signs.get(found[1]) or instant.strftime(found[0]), pattern)

    return made


def _between(low: int, high: int) -> ValueMaker:
    return lambda n: low + n % (high - low + 1)


def _as_long_as(length: int, *, blobs: bool) -> Iterator[ValueMaker]:
    yield lambda n: _of_length(n, length)
    yield lambda n: f"{n:0{length}d}"[-length:]
    if blobs:
        yield lambda n: n.to_bytes(8, "big").rjust(length, b"\x07")[-length:]


def _around(number: float) -> Iterator[ValueMaker]:
    yield lambda n: number + 1 + n
    yield lambda n: number - 1 - n
    yield _always(number)
    yield _always(float(number))
    yield lambda n: number * (n + 1)


def _of_every_kind() -> Iterator[ValueMaker]:
    """Values that applications keep, by kind."""
    yield _json_object
    yield _json_array
    yield moment
    yield _day
    yield _time_of_day
    yield lambda n: moment(n).replace(" ", "T") + "Z"
    yield lambda n: moment(n).replace(" ", "T") + ".000Z"
    yield lambda n: moment(n).replace(" ", "T")
    yield _mail
    yield lambda n: f"https://example.org/{n}"
    yield lambda n: f"{n + 1:08x}-0000-4000-8000-{n + 1:012x}"
    yield lambda n: f"/some/where/{n}"
    yield lambda n: _of_length(n, 8)
    yield lambda n: _of_length(n, 8).upper()
    yield lambda n: str(n + 1)
    yield lambda n: n + 1
    yield lambda n: -n - 1
    yield lambda n: n + 0.5
    yield lambda n: 1 / (n + 2)
    yield _flag
    yield _unix_time
    yield _always(0)
    yield _always("")


def _number(text: str) -> int | float:
    text = text.replace(" ", "")
    return int(text) if re.fullmatch(r"-?\d{1,15}", text) else float(text)


def _of_length(n: int, length: int) -> str:
    """Small letters, others for each row as far as they reach."""
    letters = ""
    for _ in range(min(length, 8)):
        n, letter = divmod(n, 26)
        letters = chr(ord("a") + letter) + letters
    return letters.rjust(length, "a")


def _matching(pattern: str) -> ValueMaker:
    """Return a maker of texts that a pattern of LIKE or GLOB matches."""

    def made(n: int) -> str:
        text = re.sub(r"\[\^?(.)[^\]]*\]", r"\1", pattern)
        return re.sub(r"[%*]", f"x{n}", re.sub(r"[_?]", lambda _: chr(ord("a") + n % 26), text))

    return made
