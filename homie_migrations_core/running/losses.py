"""
Find the data that a rehearsed plan loses: rows of tables, and values of columns.

What counts is what the database holds now and would not hold at the end, or did not hold at some point on the way.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from homie_migrations_core.sqlite.names import fold
from homie_migrations_core.sqlite.reader import read
from homie_migrations_core.sqlite.rows import count_all_values
from homie_migrations_core.sqlite.schema_comparison import Difference, compare, pair_renames
from homie_migrations_core.sqlite.schema_objects import Schema, SchemaObject


@dataclass(frozen=True, slots=True)
class Loss:
    """Data that would be gone: rows of a table, or the values of one of its columns."""

    table: str
    column: str | None
    count: int


@dataclass(frozen=True, slots=True)
class TableState:
    """The number of rows of each table, and the schema, at one moment."""

    rows: Mapping[str, int]
    schema: Schema


@dataclass
class TableHistory:
    """The state before a plan and after each of its steps, and the tables that the steps touched, in small letters."""

    before: TableState
    after_steps: list[TableState] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)

    @property
    def last(self) -> TableState:
        """The state after the last step."""
        return self.after_steps[-1] if self.after_steps else self.before


def find_losses(path: str, copy: str, history: TableHistory, *, lock_timeout: float) -> list[Loss]:
    """Return what the database at `path` holds and its `copy`, on which the plan was carried out, does not."""
    fewest = _fewest_rows(history)
    renamed = {fold(table) for state in history.after_steps for table in _renamed_tables(history.before, state)}
    kept = {table: count for table, count in history.before.rows.items() if fold(table) not in renamed}
    lost_rows = {table: count - fewest[table] for table, count in kept.items()}
    dropped = _dropped_columns(history)
    columns = {}
    for table, lost in lost_rows.items():
        if found := _table_to_compare(history, table):
            # Where rows are gone, their values are, too; then only columns that were dropped say more.
            wanted = [each.name for each in found.columns if "GENERATED" not in each.words]
            if lost:
                wanted = [name for name in wanted if fewest[table] and (fold(table), fold(name)) in dropped]
            columns[table] = wanted
    rows = [Loss(table, None, lost) for table, lost in sorted(lost_rows.items(), key=lambda each: fold(each[0])) if lost]
    ordered = {table: columns[table] for table in sorted(columns, key=fold)}
    return rows + _lost_values(path, copy, ordered, dropped, lock_timeout)


def _fewest_rows(history: TableHistory) -> dict[str, int]:
    """Return for each table of the beginning the smallest number of rows that it ever had."""
    fewest = dict(history.before.rows)
    for state in history.after_steps:
        there = {fold(table): count for table, count in state.rows.items()}
        for table in fewest:
            fewest[table] = min(fewest[table], there.get(fold(table), 0))
    return fewest


def _renamed_tables(before: TableState, state: TableState) -> set[str]:
    """Return the tables that are there under another name, with the same columns and no fewer rows."""
    changes = compare(before.schema, state.schema)
    return {
        old
        for old in _tables(changes, "removed")
        for new in _tables(changes, "added")
        if before.schema["table", fold(old)].columns == state.schema["table", fold(new)].columns
        and state.rows.get(new, 0) >= before.rows.get(old, 0)
    }


def _tables(changes: Sequence[Difference], change: str) -> list[str]:
    return [each.name for each in changes if (each.change, each.kind) == (change, "table")]


def _dropped_columns(history: TableHistory) -> set[tuple[str, str]]:
    """Return the columns of the beginning that were missing after some step and not renamed, as folded table and column."""
    before = history.before.schema
    return {
        (fold(change.table), fold(change.name))
        for state in history.after_steps
        for change, renamed_to in pair_renames(compare(before, state.schema), before, state.schema)
        if (change.change, change.kind) == ("removed", "column") and renamed_to is None
    }


def _table_to_compare(history: TableHistory, table: str) -> SchemaObject | None:
    """Return a table of the beginning if a step touched it and it is there at the end."""
    is_there = fold(table) in {fold(each) for each in history.last.rows}
    return history.before.schema.get(("table", fold(table))) if is_there and fold(table) in history.touched else None


def _lost_values(
    path: str, copy: str, columns: Mapping[str, list[str]], dropped: set[tuple[str, str]], lock_timeout: float
) -> list[Loss]:
    """Count the values of these columns in both files. The copy has lost them; the database itself still has them."""
    if not any(columns.values()) or not os.path.exists(path):
        return []
    before = read(path, lambda connection: count_all_values(connection, columns), lock_timeout=lock_timeout)
    after = read(copy, lambda connection: count_all_values(connection, columns), lock_timeout=lock_timeout)
    losses = []
    for (table, column), count in before.items():
        left = 0 if (fold(table), fold(column)) in dropped else after.get((table, column), count)
        if left < count:
            losses.append(Loss(table, column, count - left))
    return losses
