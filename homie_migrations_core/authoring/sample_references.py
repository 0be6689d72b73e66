"""
Foreign keys of sample rows: rows that children can refer to, keys in a circle, and rows that refer to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from homie_migrations_core.authoring.sample_values import NULL_EVERY, Value
from homie_migrations_core.authoring.table_layouts import ColumnLayout, ForeignKey, TableLayout, primary_key
from homie_migrations_core.sqlite.names import fold, quoted
from homie_migrations_core.sqlite.throwaway import ThrowawayDatabase

_KeyValues = tuple[Value, ...]


class References:
    """What the foreign keys of new rows can refer to."""

    def __init__(self, database: ThrowawayDatabase, tables: dict[str, TableLayout]) -> None:
        self._database, self._tables = database, tables
        self._known: dict[tuple[str, tuple[str, ...]], list[_KeyValues]] = {}
        self._dangling_before = self._dangling()

    def forget(self, table: str) -> None:
        """Read the rows of a table again when they are asked for next, because one was added."""
        for known in [each for each in self._known if each[0] == fold(table)]:
            del self._known[known]

    def refer_all(self, table: TableLayout, row: dict[str, Value], number: int, attempt: int) -> bool:
        """Make every foreign key of a new row refer to a row that is there, or to none. False if neither is possible."""
        fixed: set[str] = set()
        return all(
            self._refer(table, key, row, fixed, number + attempt * place, may_be_absent=attempt == 0)
            for place, key in enumerate(table.keys, start=1)
        )

    def _refer(
        self, table: TableLayout, key: ForeignKey, row: dict[str, Value], fixed: set[str], pick: int, *, may_be_absent: bool
    ) -> bool:
        columns = [column for name in key.columns if (column := table.column(name))]
        if len(columns) < len(key.columns):
            return True  # one is generated
        nullable = next((column for column in columns if column.nullable and column.name not in fixed), None)
        found = None
        if not nullable or not (key in table.later or (may_be_absent and _is_turn_for_null(columns[0], pick))):
            given = {place: row[column.name] for place, column in enumerate(columns) if column.name in fixed}
            found = self._parent(table, key, given, pick)
        if found is None and nullable:
            row[nullable.name] = None
            return True
        found = found or self._future_parent(table, key, row, pick)
        if found is None:
            table.why = table.why or f"it refers to {key.parent}, which has no row"
            return False
        row.update({column.name: value for column, value in zip(columns, found, strict=False)})
        fixed.update(column.name for column in columns)
        return True

    def _parent(self, table: TableLayout, key: ForeignKey, given: dict[int, Value], pick: int) -> _KeyValues | None:
        """Return the key of an existing parent with these values at these places."""
        parents = [each for each in self._keys_of(key) if all(each[place] == value for place, value in given.items())]
        pick = pick // 2 if _refers_to_itself(table, key) else pick
        return parents[pick % len(parents)] if parents else None

    def _future_parent(self, table: TableLayout, key: ForeignKey, row: dict[str, Value], pick: int) -> _KeyValues | None:
        """Return the key of a parent that does not exist yet: the row itself, or a row of a table that is filled later."""
        if _refers_to_itself(table, key):
            own = [table.column(target) for target in key.targets]
            return tuple(row.get(column.name) if column else None for column in own)
        parent = self._tables.get(fold(key.parent)) if key in table.later else None
        if parent is None:
            return None
        targets = [parent.column(target) for target in key.targets]
        return tuple(column.chosen[0](pick) if column else None for column in targets)

    def _keys_of(self, key: ForeignKey) -> list[_KeyValues]:
        known = fold(key.parent), key.targets
        if known not in self._known:
            targets = [quoted(target) for target in key.targets]
            present = " AND ".join(f"{target} IS NOT NULL" for target in targets)
            sql = f"SELECT {', '.join(targets)} FROM main.{quoted(key.parent)} WHERE {present}"
            self._known[known] = self._database.rows_if_any(sql) if targets else []
        return self._known[known]

    # --- once every table is filled

    def point_later(self, table: TableLayout, key: ForeignKey) -> None:
        """Set a foreign key that had to be NULL until its parent was filled."""
        parents = self._keys_of(key)
        if not parents or not table.may_be_null(key):
            return
        own = primary_key(self._database, table.name) or ("rowid",)
        where = " AND ".join(f"{quoted(name)} IS ?" for name in own)
        assignments = ", ".join(f"{quoted(name)} = ?" for name in key.columns)
        update = f"UPDATE main.{quoted(table.name)} SET {assignments} WHERE {where}"
        rows = self._database.rows_if_any(f"SELECT {', '.join(map(quoted, own))} FROM main.{quoted(table.name)}")
        for number, row in enumerate(rows):
            if number % NULL_EVERY != NULL_EVERY - 1:
                self._database.refusal(update, (*parents[number % len(parents)], *row))  # what a trigger refuses stays NULL

    def remove_dangling(self) -> None:
        """Delete the rows that a circle of keys that can't be NULL left without a parent."""
        while new := self._dangling() - self._dangling_before:
            for table, row in new:
                self._database.rows(f"DELETE FROM main.{quoted(table)} WHERE rowid = ?", (row,))
            if new <= self._dangling():  # a trigger keeps them
                return

    def _dangling(self) -> set[tuple[str, int]]:
        """Return the rows that refer to nothing, but for tables whose keys refer to columns that are not unique."""
        found: set[tuple[str, int]] = set()
        for table in self._tables.values():
            if table.keys:
                rows = self._database.rows_if_any(f"PRAGMA main.foreign_key_check({quoted(table.name)})")
                found |= {(table.name, row[1]) for row in rows if row[1] is not None}
        return found


def parents_first(tables: dict[str, TableLayout]) -> Sequence[TableLayout]:
    """Return the tables in the order to fill them; where keys form a circle, those that may be NULL are noted in `later`."""
    left, ordered = dict(tables), []
    while left:
        waiting = {name: [key for key in each.keys if fold(key.parent) in left.keys() - {name}] for name, each in left.items()}
        name = next((name for name, keys in waiting.items() if not keys), None)
        if name is None:
            free = (name for name, keys in waiting.items() if all(map(left[name].may_be_null, keys)))
            name = next(free, None) or next(iter(left))
            left[name].later = waiting[name]
        ordered.append(left.pop(name))
    return ordered


def _refers_to_itself(table: TableLayout, key: ForeignKey) -> bool:
    return fold(key.parent) == fold(table.name)


def _is_turn_for_null(column: ColumnLayout, number: int) -> bool:
    return number % NULL_EVERY == (column.number + 1) % NULL_EVERY
