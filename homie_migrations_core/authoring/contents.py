"""
The rows of a small database, and what is lost, changed or moved between two states of it.

For throw-away databases only: all rows are in memory at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from homie_migrations_core.sqlite.names import fold, quoted
from homie_migrations_core.sqlite.rows import tables_of
from homie_migrations_core.sqlite.throwaway import ThrowawayDatabase

Row = tuple[object, ...]


class Contents(NamedTuple):
    """The rows of one table. A real number is marked as one, because 1.0 is not 1 in a database."""

    table: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    """Its primary key, if no two rows share one."""
    rows: tuple[Row, ...]

    def values(self, column: str) -> list[object]:
        """Return the values of a column that are not NULL."""
        place = [fold(name) for name in self.columns].index(fold(column))
        return [row[place] for row in self.rows if row[place] is not None]


class Loss(NamedTuple):
    """What is no longer there of a table's rows."""

    rows: int
    """Rows that are gone."""
    values: Mapping[str, int]
    """For each column, in how many of the other rows it holds something else; 0 where that can't be counted."""
    changed: int
    """Rows that are there, but hold something else."""


def read_contents(database: ThrowawayDatabase) -> dict[str, Contents]:
    """Return all rows, by the table's name in small letters; without tables that can't be read (their module is missing)."""
    found = {}
    for table in tables_of(database.connection):
        read = database.read_table(table)
        if read is None:
            continue
        columns, rows = read[0], tuple(tuple(map(_typed, row)) for row in read[1])
        facts = database.rows(f"PRAGMA main.table_info({quoted(table)})")
        key = tuple(str(fact[1]) for fact in sorted(facts, key=lambda fact: fact[5]) if fact[5])
        places = [columns.index(name) for name in key]
        unique = key and len({tuple(row[place] for place in places) for row in rows}) == len(rows)
        found[fold(table)] = Contents(table, columns, key if unique else (), rows)
    return found


def _typed(value: object) -> object:
    return ("real", value) if isinstance(value, float) else value


def find_loss(before: Contents, after: Contents | None) -> Loss:
    """Return what was there before and is not there as it was. Rows that came in addition don't count."""
    if after is None:
        return Loss(len(before.rows), {}, 0)
    if after == before:
        return Loss(0, {}, 0)
    names = {fold(name): place for place, name in enumerate(after.columns)}
    common = [(place, names[fold(name)]) for place, name in enumerate(before.columns) if fold(name) in names]
    gone = {name: count for name in before.columns if fold(name) not in names and (count := len(before.values(name)))}
    old = [tuple(row[place] for place, _ in common) for row in before.rows]
    new = [tuple(row[place] for _, place in common) for row in after.rows]
    shown = [before.columns[place] for place, _ in common]
    if _have_the_same_key(before, after):
        rows, values, changed = _by_key([shown.index(name) for name in before.key], old, new, shown)
    else:
        rows, values, changed = _by_count(old, new, shown)
    return Loss(rows, {**values, **gone}, max(changed, *gone.values(), 0))


def _have_the_same_key(before: Contents, after: Contents) -> bool:
    """Whether the same primary key identifies the rows of both."""
    return bool(before.key) and {fold(name) for name in before.key} == {fold(name) for name in after.key}


def _by_key(key: list[int], old: list[Row], new: list[Row], columns: list[str]) -> tuple[int, dict[str, int], int]:
    there = {tuple(row[place] for place in key): row for row in new}
    rows = changed = 0
    values: Counter[str] = Counter()
    for row in old:
        found = there.get(tuple(row[place] for place in key))
        if found is None:
            rows += 1
        elif found != row:
            changed += 1
            values.update(name for name, one, other in zip(columns, row, found, strict=True) if one != other)
    return rows, dict(values), changed


def _by_count(old: list[Row], new: list[Row], columns: list[str]) -> tuple[int, dict[str, int], int]:
    missing, more = Counter(old) - Counter(new), Counter(new) - Counter(old)
    count, come = missing.total(), more.total()
    if not count:
        return 0, {}, 0
    changed = min(count, come)
    values: dict[str, int] = {}
    if changed:
        for place, name in enumerate(columns):
            were, are = (Counter(row[place] for row in rows.elements()) for rows in (missing, more))
            if were - are:
                values[name] = 0 if count > come else (were - are).total()
    return count - changed, values, changed


def moved(values: Iterable[object], before: Mapping[str, Contents], after: Mapping[str, Contents]) -> bool:
    """Return whether one column of some table has gained all these values."""
    wanted = Counter(map(_loosely, values))
    for name, contents in after.items():
        known = before.get(name)
        for column in contents.columns:
            gained = Counter(map(_loosely, contents.values(column)))
            if known is not None and fold(column) in map(fold, known.columns):
                gained -= Counter(map(_loosely, known.values(column)))
            if not wanted - gained:
                return True
    return False


def _loosely(value: object) -> str:
    """Return a value as text, whatever its type: the column may have another type now."""
    if isinstance(value, tuple):
        number = float(value[1])
        return str(int(number)) if number.is_integer() else str(number)
    return value.hex() if isinstance(value, bytes) else str(value)
