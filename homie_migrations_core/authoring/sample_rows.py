"""
Tables that were empty hold rows: made up, but such as an application could have left there.

Rows respect types, keys and uniqueness; what a CHECK or a trigger asks for is found by trial, among the values that the
table's own definition mentions. Triggers fire, because they would for the application, and what they keep (a search
index, a counter) is data like any other. The same schema always gets the same rows. For throw-away databases only.
"""

from __future__ import annotations

import itertools
import re
import sqlite3
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from homie_migrations_core.sqlite.guard import GuardedConnection, Refused, quoted
from homie_migrations_core.sqlite.rows import count_rows, tables_of
from homie_migrations_core.sqlite.schema import SchemaObject, fold, read_schema
from homie_migrations_core.stopping import Stopped, StopRequest

ROWS = 24
"""Enough to tell one statement for each row from one statement for all of them."""
_ATTEMPTS = 6
_TRIALS = 20_000
"""Rows that are tried for one table, in all."""
_NULL_EVERY = 6
_KEPT_MAKERS = 8
_LONGEST = 4_096
_FIRST_DAY = datetime(1970, 1, 1)

Value = None | int | float | str | bytes
Maker = Callable[[int], Value]
"""The value for row number n; most makers give each row its own."""


def fill(
    connection: sqlite3.Connection, rows: int = ROWS, *, leave: Collection[str] = (), stop: StopRequest | None = None
) -> list[str]:
    """
    Every table but those in `leave` got about `rows` rows more; the tables that hold none at all come back.

    Virtual tables other than FTS are left as they are. The connection keeps the transaction it is in, if there is one.

    Raises:
        Stopped: `stop` asked for it.
    """
    return list(fill_telling(connection, rows, leave=leave, stop=stop))


def fill_telling(
    connection: sqlite3.Connection, rows: int = ROWS, *, leave: Collection[str] = (), stop: StopRequest | None = None
) -> dict[str, str]:
    """The same; each table that holds no row comes with the reason."""
    filler = _Filler(connection, rows, {fold(name) for name in leave}, stop or StopRequest())
    connection.execute("SAVEPOINT _homie_filling")
    try:
        filler.fill()
    finally:
        connection.execute("RELEASE _homie_filling")
    return filler.unfilled()


@contextmanager
def opened(path: str) -> Iterator[sqlite3.Connection]:
    """A connection to a throw-away database. Foreign keys are not enforced, and nothing is durable."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute("PRAGMA synchronous=OFF")
        yield connection


def run_guarded(path: str, file: str, function: Callable[[sqlite3.Connection], object], stop: StopRequest) -> None:
    """
    `function`, which is in `file`, has put rows into a throw-away database, guarded as a migration would be.

    Raises:
        Stopped: `stop` asked for it.
        BaseException: Whatever `function` raises; then nothing of it is there.
    """
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=0, factory=GuardedConnection)
    try:
        connection.speak("PRAGMA foreign_keys=OFF")
        connection.speak("PRAGMA synchronous=OFF")
        connection.speak("BEGIN IMMEDIATE")
        connection.arm(file, stop)
        try:
            function(connection)
        finally:
            if stop.asked():
                raise Stopped
        connection.look_for_end()
        if connection.ended is not None:
            raise Refused(connection.ended)
        connection.disarm()
        connection.speak("COMMIT")
    finally:
        connection.abandon()
        connection.close()


# --- what is to be filled -------------------------------------------------------------------------------------------


@dataclass
class _Column:
    name: str
    type: str
    nullable: bool
    key: int
    """Its place in the primary key, from 1; 0 for none."""
    number: int
    numbers_rows: bool = False
    """Whether it is the INTEGER PRIMARY KEY."""
    makers: list[Maker] = field(default_factory=list)
    """The plain one first, then whatever a CHECK could be looking for."""
    chosen: list[Maker] = field(default_factory=list)
    """Those that pass the CHECKs on this column alone."""


@dataclass
class _Key:
    """A foreign key."""

    parent: str
    columns: tuple[str, ...]
    targets: tuple[str, ...]


@dataclass
class _Check:
    sql: str
    columns: frozenset[str]


@dataclass
class _Table:
    name: str
    columns: list[_Column]
    keys: list[_Key]
    checks: list[_Check]
    unique: frozenset[str]
    """Columns that stand in a unique index or the primary key."""
    strict: bool
    insert: str
    triggers: str = ""
    """What its triggers say."""
    why: str = ""
    trials: int = _TRIALS
    recipe: dict[str, Maker] = field(default_factory=dict)
    """What met the CHECKs over several columns, the last time."""
    later: list[_Key] = field(default_factory=list)
    """Keys into tables that are filled after this one."""

    def column(self, name: str) -> _Column | None:
        return next((each for each in self.columns if fold(each.name) == fold(name)), None)


class _Filler:
    def __init__(self, connection: sqlite3.Connection, rows: int, leave: set[str], stop: StopRequest) -> None:
        self._connection, self._rows, self._leave, self._stop = connection, rows, leave, stop
        self._schema = read_schema(connection)
        self._tables: dict[str, _Table] = {}
        self._searchable: list[str] = []
        self._known_keys: dict[tuple[str, tuple[str, ...]], list[tuple[Value, ...]]] = {}
        for name in tables_of(connection):
            found = self._schema.get(("table", fold(name)))
            if found is None or fold(name) in leave:
                continue
            if found.tokens[1:2] == ("virtual",):
                if _is_searchable(found):
                    self._searchable.append(name)
            else:
                self._tables[fold(name)] = self._described(found)
        self._orphans = self._rows_without_parents()

    def fill(self) -> None:
        for table in self._in_order():
            self._fill_table(table)
        for table in self._tables.values():
            for key in table.later:
                self._point(table, key)
        self._remove_orphans()
        for name in self._searchable:
            self._fill_searchable(name)

    def unfilled(self) -> dict[str, str]:
        """The tables without a row, and why."""
        counts = count_rows(self._connection, [table.name for table in self._tables.values()])
        return {
            table.name: table.why or "its rows would refer to none" for table in self._tables.values() if not counts.get(table.name)
        }

    # --- reading what a table asks for

    def _described(self, found: SchemaObject) -> _Table:
        name, execute = found.name, self._connection.execute
        columns = [
            _Column(str(row[1]), str(row[2]).upper(), not row[3] and not row[5], row[5], row[0])
            for row in execute(f"PRAGMA main.table_xinfo({quoted(name)})")
            if row[6] == 0
        ]
        unique = {fold(column.name) for column in columns if column.key}
        for index in execute(f"PRAGMA main.index_list({quoted(name)})").fetchall():
            if index[2]:
                members = execute(f"PRAGMA main.index_xinfo({quoted(index[1])})").fetchall()
                unique |= {fold(str(row[2])) for row in members if row[2] is not None and row[5]}
        keys: dict[int, _Key] = {}
        for number, _, parent, column, target, *_ in execute(f"PRAGMA main.foreign_key_list({quoted(name)})").fetchall():
            before = keys.get(number, _Key(str(parent), (), ()))
            keys[number] = _Key(before.parent, (*before.columns, column), (*before.targets, *([target] if target else [])))
        for key in keys.values():
            key.targets = key.targets or self._primary_key(key.parent)
        checks = list(_checks(found, [fold(column.name) for column in columns]))
        names = ", ".join(quoted(column.name) for column in columns)
        insert = f"INSERT INTO main.{quoted(name)} ({names}) VALUES ({', '.join('?' * len(columns))})"
        optional = {fold(column.name) for column in columns if column.nullable}
        in_order = sorted(keys.values(), key=lambda key: (bool(optional & set(map(fold, key.columns))), -len(key.columns)))
        triggers = [each for (kind, _), each in self._schema.items() if kind == "trigger" and fold(each.table) == fold(name)]
        table = _Table(name, columns, in_order, checks, frozenset(unique), "STRICT" in found.options, insert)
        table.triggers = " ".join(piece for trigger in triggers for piece in trigger.tokens)
        self._find_makers(table)
        return table

    def _primary_key(self, table: str) -> tuple[str, ...]:
        rows = self._connection.execute(f"PRAGMA main.table_info({quoted(table)})").fetchall()
        return tuple(str(row[1]) for row in sorted(rows, key=lambda row: row[5]) if row[5])

    def _find_makers(self, table: _Table) -> None:
        start = 1
        key = [column for column in table.columns if column.key]
        if len(key) == 1 and key[0].type == "INTEGER":
            highest = self._connection.execute(f"SELECT max({quoted(key[0].name)}) FROM main.{quoted(table.name)}").fetchone()[0]
            start = highest + 1 if isinstance(highest, int) else 1
            key[0].numbers_rows = True
        for column in table.columns:
            plain = _plain(table, column, start)
            checks = [check for check in table.checks if fold(column.name) in check.columns]
            column.makers = column.chosen = [plain]
            if not checks:
                continue
            wanted = " ".join(check.sql for check in checks)
            found = _makers(wanted, blobs=not any(word in column.type for word in ("CHAR", "CLOB", "TEXT")))
            column.makers = [plain, *found, *([_null] if column.nullable else [])]
            if alone := [check.sql for check in checks if len(check.columns) == 1]:
                for_all, for_one = (0, 1, 2, self._rows - 1), (0,)
                passing = self._passing(table, column, alone, for_all) or self._passing(table, column, alone, for_one)
                column.makers = passing or [plain]
                # One kind of JSON is enough: what reads it may expect an object.
                kept = 1 if column.makers[0] == plain or "json" in wanted else _KEPT_MAKERS
                column.chosen = column.makers[:kept]

    def _passing(self, table: _Table, column: _Column, checks: Sequence[str], numbers: Sequence[int]) -> list[Maker]:
        """The makers whose values pass, tried in a table that has nothing but this column."""
        execute = self._connection.execute
        conditions = ", ".join(f"CHECK ({check})" for check in checks)
        try:
            execute(f"CREATE TEMP TABLE _homie_trial ({quoted(column.name)} {column.type}, {conditions}){' STRICT' * table.strict}")
        except sqlite3.Error:
            return []
        passing = []
        for maker in column.makers:
            with suppress(sqlite3.Error, OverflowError):
                for number in numbers:
                    execute("INSERT INTO temp._homie_trial VALUES (?)", (maker(number),))
                passing.append(maker)
        execute("DROP TABLE temp._homie_trial")
        return passing

    # --- the order

    def _in_order(self) -> Iterator[_Table]:
        """Parents before children; where there is a circle, a key that may be NULL is set later."""
        left = dict(self._tables)
        while left:
            waiting = {name: [key for key in each.keys if fold(key.parent) in left.keys() - {name}] for name, each in left.items()}
            name = next((name for name, keys in waiting.items() if not keys), None)
            if name is None:
                free = (name for name, keys in waiting.items() if all(self._may_be_null(left[name], key) for key in keys))
                name = next(free, None) or next(iter(left))
                left[name].later = waiting[name]
            yield left.pop(name)

    def _may_be_null(self, table: _Table, key: _Key) -> bool:
        return any(column.nullable for name in key.columns if (column := table.column(name)))

    # --- rows

    def _fill_table(self, table: _Table) -> None:
        failures = 0
        for number in range(self._rows):
            if self._stop.asked():
                raise Stopped
            failures = 0 if self._add_row(table, number) else failures + 1
            if failures > 1:  # no more, or none at all, can be found
                return

    def _add_row(self, table: _Table, number: int) -> bool:
        for attempt in range(_ATTEMPTS):
            row = self._proposed(table, number, attempt)
            if row is None:
                return False
            if self._insert(table, row):
                return True
        row = self._proposed(table, number, 1)
        return row is not None and self._search(table, row, number)

    def _proposed(self, table: _Table, number: int, attempt: int) -> dict[str, Value] | None:
        """A row; None if there can't be one, because a parent has no row."""
        apart = number + attempt * self._rows
        row: dict[str, Value] = {}
        for column in table.columns:
            maker = table.recipe.get(column.name) or column.chosen[apart % len(column.chosen)]
            absent = column.nullable and attempt == 0 and number % _NULL_EVERY == (column.number + 1) % _NULL_EVERY
            # Others may have been told of this row's number before it was there.
            row[column.name] = None if absent else maker(number if column.numbers_rows else apart)
        fixed: set[str] = set()
        for place, key in enumerate(table.keys, start=1):
            if not self._refer(table, key, row, fixed, number + attempt * place, absent_now=attempt == 0):
                return None
        return row

    def _refer(self, table: _Table, key: _Key, row: dict[str, Value], fixed: set[str], pick: int, *, absent_now: bool) -> bool:
        """The columns of a foreign key point to a row that is there, or to none."""
        columns = [column for name in key.columns if (column := table.column(name))]
        nullable = [column for column in columns if column.nullable and column.name not in fixed]
        own = fold(key.parent) == fold(table.name)
        if len(columns) < len(key.columns) or (own and not all(map(table.column, key.targets))):
            return True  # one is generated, or not there
        if nullable and (key in table.later or (absent_now and pick % _NULL_EVERY == (columns[0].number + 1) % _NULL_EVERY)):
            row[nullable[0].name] = None
            return True
        given = [(place, row[column.name]) for place, column in enumerate(columns) if column.name in fixed]
        parents = [each for each in self._keys_of(key) if all(each[place] == value for place, value in given)]
        if parents:
            found = parents[(pick // 2 if own else pick) % len(parents)]
        elif nullable:
            row[nullable[0].name] = None
            return True
        elif own:
            found = tuple(row.get(self._spelt(table, target)) for target in key.targets)
        elif key in table.later and (parent := self._tables.get(fold(key.parent))):
            makers = [parent.column(target) for target in key.targets]
            found = tuple(column.chosen[0](pick) if column else None for column in makers)
        else:
            table.why = table.why or f"it refers to {key.parent}, which has no row"
            return False
        for column, value in zip(columns, found, strict=False):
            row[column.name] = value
            fixed.add(column.name)
        return True

    def _spelt(self, table: _Table, name: str) -> str:
        column = table.column(name)
        return column.name if column else name

    def _keys_of(self, key: _Key) -> list[tuple[Value, ...]]:
        """What its parent's rows can be called by."""
        known = fold(key.parent), key.targets
        if known not in self._known_keys:
            self._known_keys[known] = self._read_keys(key)
        return self._known_keys[known]

    def _read_keys(self, key: _Key) -> list[tuple[Value, ...]]:
        targets = [quoted(target) for target in key.targets]
        if not targets:
            return []
        present = " AND ".join(f"{target} IS NOT NULL" for target in targets)
        try:
            sql = f"SELECT {', '.join(targets)} FROM main.{quoted(key.parent)} WHERE {present}"
            return self._connection.execute(sql).fetchall()
        except sqlite3.Error:  # the parent is not there, or not like that
            return []

    def _insert(self, table: _Table, row: Mapping[str, Value]) -> bool:
        try:
            self._connection.execute(table.insert, tuple(row[column.name] for column in table.columns))
        except (sqlite3.Error, OverflowError) as error:
            table.why = str(error)
            return False
        for known in [each for each in self._known_keys if each[0] == fold(table.name)]:
            del self._known_keys[known]
        return True

    def _search(self, table: _Table, row: dict[str, Value], number: int) -> bool:
        """Values were found with which a row goes in: one column is changed, then two, then three."""
        why = table.why
        if self._find_values(table, row, number):
            return True
        table.why = why
        return False

    def _find_values(self, table: _Table, row: dict[str, Value], number: int) -> bool:
        if table.why.startswith("UNIQUE"):
            return False
        checked = frozenset[str]().union(*(check.columns for check in table.checks if len(check.columns) > 1))
        referring = {fold(name) for key in table.keys for name in key.columns}
        varied = [column for column in table.columns if fold(column.name) not in referring]
        makers_of = {column.name: column.makers for column in varied}
        if table.why.startswith("CHECK"):
            varied = [column for column in varied if fold(column.name) in checked]
        elif table.triggers:
            wanted = list(_makers(table.triggers, blobs=False))
            makers_of = {name: [*makers, *wanted] for name, makers in makers_of.items()}
        for size in (1, 2, 3):
            for columns in itertools.combinations(varied, size):
                for makers in itertools.product(*(makers_of[column.name] for column in columns)):
                    table.trials -= 1
                    if table.trials < 0:
                        return False
                    changed = {column.name: maker(number) for column, maker in zip(columns, makers, strict=True)}
                    if self._insert(table, row | changed):
                        table.recipe.update({column.name: maker for column, maker in zip(columns, makers, strict=True)})
                        return True
        return False

    # --- keys in a circle, and keys that lead nowhere

    def _point(self, table: _Table, key: _Key) -> None:
        parents = self._keys_of(key)
        if not parents or not self._may_be_null(table, key):
            return
        own = self._primary_key(table.name) or ("rowid",)
        where = " AND ".join(f"{quoted(name)} IS ?" for name in own)
        assignments = ", ".join(f"{quoted(name)} = ?" for name in key.columns)
        names = ", ".join(map(quoted, own))
        with suppress(sqlite3.Error):
            for number, row in enumerate(self._connection.execute(f"SELECT {names} FROM main.{quoted(table.name)}").fetchall()):
                if number % _NULL_EVERY != _NULL_EVERY - 1:
                    sql = f"UPDATE main.{quoted(table.name)} SET {assignments} WHERE {where}"
                    with suppress(sqlite3.Error):
                        self._connection.execute(sql, (*parents[number % len(parents)], *row))

    def _rows_without_parents(self) -> set[tuple[str, int]]:
        found: set[tuple[str, int]] = set()
        for table in self._tables.values():
            if table.keys:
                with suppress(sqlite3.Error):  # a key that points to nothing unique can't be checked
                    rows = self._connection.execute(f"PRAGMA main.foreign_key_check({quoted(table.name)})").fetchall()
                    found |= {(table.name, row[1]) for row in rows if row[1] is not None}
        return found

    def _remove_orphans(self) -> None:
        """What a circle of keys that can't be NULL left without a parent is taken back."""
        while new := self._rows_without_parents() - self._orphans:
            for table, row in new:
                self._connection.execute(f"DELETE FROM main.{quoted(table)} WHERE rowid = ?", (row,))
            if new <= self._rows_without_parents():  # a trigger keeps them
                return

    def _fill_searchable(self, name: str) -> None:
        with suppress(sqlite3.Error):
            if self._connection.execute(f"SELECT 1 FROM main.{quoted(name)} LIMIT 1").fetchone():
                return  # a trigger has filled it
            columns = [str(row[1]) for row in self._connection.execute(f"PRAGMA main.table_xinfo({quoted(name)})") if row[6] == 0]
            names = ", ".join(map(quoted, columns))
            sql = f"INSERT INTO main.{quoted(name)} ({names}) VALUES ({', '.join('?' * len(columns))})"
            for number in range(self._rows):
                self._connection.execute(sql, tuple(_words(column, number) for column in columns))


def _is_searchable(found: SchemaObject) -> bool:
    """Whether it is a full-text index that keeps its own rows."""
    tokens = found.tokens
    module = tokens[tokens.index("using") + 1] if "using" in tokens else ""
    return module in ("fts3", "fts4", "fts5") and ("content", "=") not in itertools.pairwise(tokens)


def _checks(found: SchemaObject, columns: Collection[str]) -> Iterator[_Check]:
    tokens = found.tokens
    for place, piece in enumerate(tokens):
        if piece == "check" and tokens[place + 1 : place + 2] == ("(",):
            depth, end = 0, place + 1
            while end < len(tokens):
                depth += (tokens[end] == "(") - (tokens[end] == ")")
                if depth == 0:
                    break
                end += 1
            inside = tokens[place + 2 : end]
            named = {fold(_unquoted(piece)) for piece in inside}
            yield _Check(" ".join(inside), frozenset(named & set(columns)))


def _unquoted(piece: str) -> str:
    return piece[1:-1].replace('""', '"') if piece[:1] == '"' else piece


# --- values ---------------------------------------------------------------------------------------------------------


def _plain(table: _Table, column: _Column, start: int) -> Maker:
    """A value of the column's type for each row, unlike those of other columns."""
    kind, name, unique = column.type, column.name, fold(column.name) in table.unique
    salt = 100 + 100 * (zlib.crc32(f"{fold(table.name)}.{fold(name)}".encode()) % 900)
    if "BOOL" in kind:
        return lambda n: n % 2
    if "DATETIME" in kind or "TIMESTAMP" in kind:
        return _moment
    if kind == "DATE":
        return _day
    if kind == "TIME":
        return lambda n: _moment(n)[11:]
    if "INT" in kind:
        if column.key and kind == "INTEGER":
            return lambda n: start + n
        if name.lower().startswith(("is_", "has_")) and not unique:
            return lambda n: n % 2
        return lambda n: salt + n
    if kind == "JSON":
        return lambda n: f'{{"{name}": {salt + n}}}'
    if any(word in kind for word in ("CHAR", "CLOB", "TEXT")):
        if re.search(r"(_at|_on|_time|timestamp|date)$", name.lower()):
            return _moment
        return lambda n: "" if n == _NULL_EVERY + 2 and not unique else _words(name, n)
    if any(word in kind for word in ("REAL", "FLOA", "DOUB")):
        return lambda n: salt + n + 0.5
    if kind == "BLOB":
        return lambda n: b"\x00\xff" + f"{name} {n}".encode()
    if kind in ("", "ANY"):
        return lambda n: (salt + n, f"{name} {n}", b"\xfe" + bytes([n % 256, n // 256 % 256]), salt + n + 0.5)[n % 4]
    return lambda n: salt + n + (0.5 if n % 3 == 1 else 0)


def _words(name: str, n: int) -> str:
    return (f"{name} {n}", f"Größe {name} {n}", f"名前 {name} {n}", f'it\'s "{name}" {n}')[n % 4]


def _moment(n: int) -> str:
    return f"{_FIRST_DAY + timedelta(days=397 * n, seconds=n):%Y-%m-%d %H:%M:%S}"


def _day(n: int) -> str:
    return _moment(n)[:10]


def _null(_: int) -> Value:
    return None


def _always(value: Value) -> Maker:
    return lambda _: value


_TEXT = re.compile(r"'((?:[^']|'')*)'")
_NUMBER = re.compile(r"(?<![\w.'])-?\s?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w'])")


def _makers(check: str, *, blobs: bool) -> Iterator[Maker]:
    """What the CHECK could be looking for, the most telling first."""
    texts = [text.replace("''", "'") for text in _TEXT.findall(check)]
    numbers = [_number(found) for found in _NUMBER.findall(_TEXT.sub(" ", check))]
    patterns = [text for text in dict.fromkeys(texts) if re.search(r"[%_*?\[]", text)]
    yield from map(_matching, patterns)
    yield from (_always(text) for text in dict.fromkeys(texts) if text not in patterns)
    yield from _of_a_kind()
    whole = [number for number in dict.fromkeys(numbers) if isinstance(number, int)]
    yield from itertools.starmap(_between, itertools.pairwise(sorted(whole)))
    for length in whole:
        if 0 < length <= _LONGEST:
            yield from _as_long_as(length, blobs=blobs)
    for number in dict.fromkeys(numbers):
        yield from _around(number)
    yield from map(_always, patterns)


def _between(low: int, high: int) -> Maker:
    return lambda n: low + n % (high - low + 1)


def _as_long_as(length: int, *, blobs: bool) -> Iterator[Maker]:
    yield lambda n: _of_length(n, length)
    yield lambda n: f"{n:0{length}d}"[-length:]
    if blobs:
        yield lambda n: n.to_bytes(8, "big").rjust(length, b"\x07")[-length:]


def _around(number: float) -> Iterator[Maker]:
    yield lambda n: number + 1 + n
    yield lambda n: number - 1 - n
    yield _always(number)
    yield _always(float(number))
    yield lambda n: number * (n + 1)


def _of_a_kind() -> Iterator[Maker]:
    """Values that applications keep, by kind."""
    yield lambda n: f'{{"n": {n}}}'
    yield lambda n: f"[{n}]"
    yield _moment
    yield _day
    yield lambda n: _moment(n)[11:]
    yield lambda n: _moment(n).replace(" ", "T") + "Z"
    yield lambda n: f"someone{n}@example.org"
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
    yield lambda n: n % 2
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


def _matching(pattern: str) -> Maker:
    """What a pattern of LIKE or GLOB matches."""

    def made(n: int) -> str:
        text = re.sub(r"\[\^?(.)[^\]]*\]", r"\1", pattern)
        return re.sub(r"[%*]", f"x{n}", re.sub(r"[_?]", lambda _: chr(ord("a") + n % 26), text))

    return made
