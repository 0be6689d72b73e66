"""
Fills empty tables with rows that are made up, but such as an application could have left there.

Rows respect types, keys and uniqueness; what a CHECK or a trigger asks for is found by trial, among the values that the
table's own definition mentions. Triggers fire, because they would for the application, and what they keep (a search
index, a counter) is data like any other. The same schema always gets the same rows. For throw-away databases only.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence

from homie_migrations_core.authoring.column_uses import ColumnUse, ColumnUses
from homie_migrations_core.authoring.sample_references import References, parents_first
from homie_migrations_core.authoring.sample_values import NULL_EVERY, Value, ValueMaker, values_for_check, words
from homie_migrations_core.authoring.table_layouts import ColumnLayout, TableLayout, read_layout
from homie_migrations_core.sqlite.names import fold, quoted
from homie_migrations_core.sqlite.rows import count_rows, tables_of
from homie_migrations_core.sqlite.schema import read_schema
from homie_migrations_core.sqlite.schema_objects import SchemaObject
from homie_migrations_core.sqlite.throwaway import ThrowawayDatabase
from homie_migrations_core.stopping import Stopped, StopRequest

ROWS = 24
"""Enough to tell one statement for each row from one statement for all of them."""
_ATTEMPTS = 6


def fill_tables(
    database: ThrowawayDatabase,
    rows: int = ROWS,
    *,
    leave: Collection[str] = (),
    statements: Iterable[str] = (),
    stop: StopRequest | None = None,
) -> dict[str, str]:
    """
    Add about `rows` rows to every table but those in `leave`; return the tables that hold no row, each with the reason.

    `statements` are texts, beside the schema's own, that show what columns are read as. Virtual tables other than FTS
    are left as they are. A transaction that is open stays open.

    Raises:
        Stopped: `stop` asked for it.
    """
    filler = _Filler(database, rows, {fold(name) for name in leave}, statements, stop or StopRequest())
    with database.savepoint():
        filler.fill()
    return filler.unfilled()


class _Filler:
    """One filling of one database."""

    def __init__(
        self, database: ThrowawayDatabase, rows: int, leave: set[str], statements: Iterable[str], stop: StopRequest
    ) -> None:
        self._database, self._rows, self._stop = database, rows, stop
        database.know_regexp()
        schema = read_schema(database.connection)
        uses = ColumnUses([*(" ".join(each.tokens) for each in schema.values()), *statements])
        self._tables: dict[str, TableLayout] = {}
        self._searchable: list[str] = []
        for name in tables_of(database.connection):
            found = schema.get(("table", fold(name)))
            if found is None or fold(name) in leave:
                continue
            if found.tokens[1:2] == ("virtual",):
                if _is_searchable(found):
                    self._searchable.append(name)
            else:
                self._tables[fold(name)] = read_layout(database, schema, found, uses, rows)
        self._references = References(database, self._tables)

    def fill(self) -> None:
        """Fill every table, parents first."""
        for table in parents_first(self._tables):
            self._fill_table(table)
        for table in self._tables.values():
            for key in table.later:
                self._references.point_later(table, key)
        self._references.remove_dangling()
        for name in self._searchable:
            self._fill_searchable(name)

    def unfilled(self) -> dict[str, str]:
        """Return the tables without a row, and why."""
        counts = count_rows(self._database.connection, [table.name for table in self._tables.values()])
        return {
            table.name: table.why or "its rows would refer to none" for table in self._tables.values() if not counts.get(table.name)
        }

    def _fill_table(self, table: TableLayout) -> None:
        failures = 0
        for number in range(self._rows):
            if self._stop.asked():
                raise Stopped
            failures = 0 if self._add_row(table, number) else failures + 1
            if failures > 1:  # no more, or none at all, can be found
                return

    def _add_row(self, table: TableLayout, number: int) -> bool:
        for attempt in range(_ATTEMPTS):
            row = self._proposed(table, number, attempt)
            if row is None:
                return False
            if self._insert(table, row):
                return True
        row = self._proposed(table, number, 1)
        return row is not None and self._search(table, row, number)

    def _proposed(self, table: TableLayout, number: int, attempt: int) -> dict[str, Value] | None:
        """Return a row, or None if there can't be one, because a parent has no row."""
        apart = number + attempt * self._rows
        row: dict[str, Value] = {}
        for column in table.columns:
            maker = table.recipe.get(column.name) or column.chosen[apart % len(column.chosen)]
            absent = column.nullable and attempt == 0 and number % NULL_EVERY == (column.number + 1) % NULL_EVERY
            # Other rows may have referred to this row's number before it was there.
            row[column.name] = None if absent else maker(number if column.numbers_rows else apart)
        return row if self._references.refer_all(table, row, number, attempt) else None

    def _insert(self, table: TableLayout, row: Mapping[str, Value]) -> bool:
        refusal = self._database.refusal(table.insert, [row[column.name] for column in table.columns])
        if refusal is not None:
            table.why = refusal
            return False
        self._references.forget(table.name)
        return True

    # --- searching for values that a CHECK or a trigger takes

    def _search(self, table: TableLayout, row: dict[str, Value], number: int) -> bool:
        """Change one column of a row that was refused, then two, then three, until it is taken."""
        why = table.why
        if why.startswith("UNIQUE"):
            return False
        columns, makers_of = _what_to_vary(table)
        for size in (1, 2, 3):
            for chosen in itertools.combinations(columns, size):
                for makers in itertools.product(*(makers_of[column.name] for column in chosen)):
                    table.trials -= 1
                    if table.trials < 0:
                        table.why = why
                        return False
                    if self._try_changed(table, row, number, chosen, makers):
                        return True
        table.why = why
        return False

    def _try_changed(
        self,
        table: TableLayout,
        row: dict[str, Value],
        number: int,
        columns: Sequence[ColumnLayout],
        makers: Sequence[ValueMaker],
    ) -> bool:
        recipe = {column.name: maker for column, maker in zip(columns, makers, strict=True)}
        if not self._insert(table, row | {name: maker(number) for name, maker in recipe.items()}):
            return False
        table.recipe.update(recipe)
        return True

    def _fill_searchable(self, name: str) -> None:
        if self._database.rows_if_any(f"SELECT 1 FROM main.{quoted(name)} LIMIT 1"):
            return  # a trigger has filled it
        facts = self._database.rows_if_any(f"PRAGMA main.table_xinfo({quoted(name)})")
        columns = [str(row[1]) for row in facts if row[6] == 0]
        names = ", ".join(map(quoted, columns))
        insert = f"INSERT INTO main.{quoted(name)} ({names}) VALUES ({', '.join('?' * len(columns))})"
        for number in range(self._rows):
            if self._database.refusal(insert, [words(column, number) for column in columns]):
                return  # its module or its tokenizer is the application's


def _what_to_vary(table: TableLayout) -> tuple[list[ColumnLayout], dict[str, list[ValueMaker]]]:
    """Return the columns whose values may be why a row was refused, and what could be in them."""
    referring = {fold(name) for key in table.keys for name in key.columns}
    columns = [column for column in table.columns if fold(column.name) not in referring]
    makers_of = {column.name: column.makers for column in columns}
    if table.why.startswith("CHECK"):
        checked = frozenset[str]().union(*(check.columns for check in table.checks if len(check.columns) > 1))
        columns = [column for column in columns if fold(column.name) in checked]
    elif table.triggers:
        wanted = list(values_for_check(table.triggers, ColumnUse(), blobs=False))
        makers_of = {name: [*makers, *wanted] for name, makers in makers_of.items()}
    return columns, makers_of


def _is_searchable(found: SchemaObject) -> bool:
    """Whether it is a full-text index that keeps its own rows."""
    tokens = found.tokens
    module = tokens[tokens.index("using") + 1] if "using" in tokens else ""
    return module in ("fts3", "fts4", "fts5") and ("content", "=") not in itertools.pairwise(tokens)
