"""
What a table asks of its rows: columns, keys, CHECKs, triggers, and the values that each column could hold.

Reads the schema, and tries CHECKs on one column in a temporary table. Inserts nothing into the tables themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from homie_migrations_core.authoring.column_uses import ColumnUse, ColumnUses
from homie_migrations_core.authoring.sample_values import (
    ValueMaker,
    is_text_type,
    null,
    value_for_type,
    value_for_use,
    values_for_check,
)
from homie_migrations_core.sqlite.names import fold, quoted
from homie_migrations_core.sqlite.schema_objects import Schema, SchemaObject
from homie_migrations_core.sqlite.throwaway import ThrowawayDatabase

_TRIALS = 20_000
"""Rows that are tried for one table, in all."""
_MOST_MAKERS = 8


@dataclass
class ColumnLayout:
    """One column that rows have a value for; generated columns have none."""

    name: str
    type: str
    nullable: bool
    key: int
    """Its place in the primary key, from 1; 0 for none."""
    number: int
    use: ColumnUse
    numbers_rows: bool = False
    """Whether it is the INTEGER PRIMARY KEY."""
    makers: list[ValueMaker] = field(default_factory=list)
    """The plain one first, then whatever a CHECK could be looking for."""
    chosen: list[ValueMaker] = field(default_factory=list)
    """Those that pass the CHECKs on this column alone."""


@dataclass
class ForeignKey:
    """A foreign key: which columns refer to which columns of the parent."""

    parent: str
    columns: tuple[str, ...]
    targets: tuple[str, ...]


@dataclass
class CheckConstraint:
    """A CHECK, and the columns that it reads. Generated columns are replaced by their expressions."""

    sql: str
    columns: frozenset[str]


@dataclass
class TableLayout:
    """What a table asks for, and what the search for its rows has found so far."""

    name: str
    columns: list[ColumnLayout]
    keys: list[ForeignKey]
    checks: list[CheckConstraint]
    unique: frozenset[str]
    """Columns that are part of a unique index or of the primary key."""
    strict: bool
    triggers: str
    """What its triggers say."""
    why: str = ""
    """Why the last row was refused."""
    trials: int = _TRIALS
    recipe: dict[str, ValueMaker] = field(default_factory=dict)
    """What met the CHECKs over several columns, the last time."""
    later: list[ForeignKey] = field(default_factory=list)
    """Keys into tables that are filled after this one."""

    @property
    def insert(self) -> str:
        """The statement that adds a row."""
        names = ", ".join(quoted(column.name) for column in self.columns)
        return f"INSERT INTO main.{quoted(self.name)} ({names}) VALUES ({', '.join('?' * len(self.columns))})"

    def column(self, name: str) -> ColumnLayout | None:
        """Return the column of this name, if rows have a value for it."""
        return next((each for each in self.columns if fold(each.name) == fold(name)), None)

    def may_be_null(self, key: ForeignKey) -> bool:
        """Return whether a foreign key can refer to nothing."""
        return any(column.nullable for name in key.columns if (column := self.column(name)))


def read_layout(database: ThrowawayDatabase, schema: Schema, found: SchemaObject, uses: ColumnUses, rows: int) -> TableLayout:
    """Read what an ordinary table asks for, and find makers of values for its columns. `rows` is how many it shall get."""
    facts = database.rows(f"PRAGMA main.table_xinfo({quoted(found.name)})")
    columns = [
        ColumnLayout(str(row[1]), str(row[2]).upper(), not row[3] and not row[5], row[5], row[0], uses.of(found.name, str(row[1])))
        for row in facts
        if row[6] == 0
    ]
    triggers = [each for (kind, _), each in schema.items() if kind == "trigger" and fold(each.table) == fold(found.name)]
    table = TableLayout(
        found.name,
        columns,
        _foreign_keys(database, found.name, columns),
        list(_checks(found, [fold(column.name) for column in columns])),
        _unique_columns(database, found.name, columns),
        "STRICT" in found.options,
        " ".join(piece for trigger in triggers for piece in trigger.tokens),
    )
    _find_makers(database, table, rows)
    return table


def primary_key(database: ThrowawayDatabase, table: str) -> tuple[str, ...]:
    """Return the columns of a table's primary key, in its order."""
    rows = database.rows(f"PRAGMA main.table_info({quoted(table)})")
    return tuple(str(row[1]) for row in sorted(rows, key=lambda row: row[5]) if row[5])


def _unique_columns(database: ThrowawayDatabase, table: str, columns: Iterable[ColumnLayout]) -> frozenset[str]:
    unique = {fold(column.name) for column in columns if column.key}
    for index in database.rows(f"PRAGMA main.index_list({quoted(table)})"):
        if index[2]:
            members = database.rows(f"PRAGMA main.index_xinfo({quoted(index[1])})")
            unique |= {fold(str(row[2])) for row in members if row[2] is not None and row[5]}
    return frozenset(unique)


def _foreign_keys(database: ThrowawayDatabase, table: str, columns: Iterable[ColumnLayout]) -> list[ForeignKey]:
    """Return the foreign keys: those that can't be NULL first, and of these the ones over most columns."""
    keys: dict[int, ForeignKey] = {}
    for number, _, parent, column, target, *_ in database.rows(f"PRAGMA main.foreign_key_list({quoted(table)})"):
        before = keys.get(number, ForeignKey(str(parent), (), ()))
        keys[number] = ForeignKey(before.parent, (*before.columns, column), (*before.targets, *([target] if target else [])))
    for key in keys.values():
        key.targets = key.targets or primary_key(database, key.parent)
    optional = {fold(column.name) for column in columns if column.nullable}
    return sorted(keys.values(), key=lambda key: (bool(optional & set(map(fold, key.columns))), -len(key.columns)))


# --- CHECKs -----------------------------------------------------------------------------------------------------------


def _checks(found: SchemaObject, columns: Collection[str]) -> Iterator[CheckConstraint]:
    generated = dict(_generated_columns(found.tokens))
    for place, piece in enumerate(found.tokens):
        if piece == "check" and found.tokens[place + 1 : place + 2] == ("(",):
            inside = list(_with_expressions(_in_parentheses(found.tokens, place + 1), generated))
            named = {fold(_unquoted(piece)) for piece in inside}
            yield CheckConstraint(" ".join(inside), frozenset(named & set(columns)))


def _generated_columns(tokens: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
    """Return the generated columns of a table's definition and their expressions."""
    depth, name = 0, ""
    for place, piece in enumerate(tokens):
        if depth == 1 and tokens[place - 1] in ("(", ","):
            name = piece
        if depth == 1 and piece == "as" and tokens[place + 1 : place + 2] == ("(",):
            yield fold(_unquoted(name)), _in_parentheses(tokens, place + 1)
        depth += (piece == "(") - (piece == ")")


def _with_expressions(tokens: Iterable[str], generated: dict[str, Sequence[str]]) -> Iterator[str]:
    for piece in tokens:
        expression = generated.get(fold(_unquoted(piece)))
        yield from (piece,) if expression is None else ("(", *expression, ")")


def _in_parentheses(tokens: Sequence[str], begin: int) -> Sequence[str]:
    """Return what is between the parenthesis at `begin` and the one that closes it."""
    depth = 0
    for place in range(begin, len(tokens)):
        depth += (tokens[place] == "(") - (tokens[place] == ")")
        if depth == 0:
            return tokens[begin + 1 : place]
    return tokens[begin + 1 :]


def _unquoted(piece: str) -> str:
    return piece[1:-1].replace('""', '"') if piece[:1] == '"' else piece


# --- makers of values -------------------------------------------------------------------------------------------------


def _find_makers(database: ThrowawayDatabase, table: TableLayout, rows: int) -> None:
    key = [column for column in table.columns if column.key]
    if len(key) == 1 and key[0].type == "INTEGER":
        key[0].numbers_rows = True
    for column in table.columns:
        plain = _plain_maker(database, table, column)
        checks = [check for check in table.checks if fold(column.name) in check.columns]
        column.makers = column.chosen = [plain]
        if checks:
            wanted = " ".join(check.sql for check in checks)
            found = values_for_check(wanted, column.use, blobs=not is_text_type(column.type))
            column.makers = [plain, *found, *([null] if column.nullable else [])]
            if alone := [check.sql for check in checks if len(check.columns) == 1]:
                _choose(database, table, column, alone, rows)


def _plain_maker(database: ThrowawayDatabase, table: TableLayout, column: ColumnLayout) -> ValueMaker:
    if column.key and column.type == "INTEGER":
        start = 1
        if column.numbers_rows:
            highest = database.rows(f"SELECT max({quoted(column.name)}) FROM main.{quoted(table.name)}")[0][0]
            start = highest + 1 if isinstance(highest, int) else 1
        return lambda n: start + n
    unique = fold(column.name) in table.unique
    return value_for_use(column.use, column.type) or value_for_type(table.name, column.name, column.type, unique=unique)


def _choose(database: ThrowawayDatabase, table: TableLayout, column: ColumnLayout, checks: Sequence[str], rows: int) -> None:
    """Keep the makers whose values pass the CHECKs on this column alone."""
    plain = column.makers[0]
    for_all, for_one = (0, 1, 2, rows - 1), (0,)
    passing = _passing(database, table, column, checks, for_all) or _passing(database, table, column, checks, for_one)
    column.makers = passing or [plain]
    # One kind of JSON or of time is enough: what reads it may expect an object, or that form.
    one_kind = column.makers[0] == plain or column.use.is_json or column.use.is_mail or bool(column.use.time_functions)
    column.chosen = column.makers[: 1 if one_kind else _MOST_MAKERS]


def _passing(
    database: ThrowawayDatabase, table: TableLayout, column: ColumnLayout, checks: Sequence[str], numbers: Sequence[int]
) -> list[ValueMaker]:
    """Return the makers whose values pass, tried in a table that has only this column."""
    conditions = ", ".join(f"CHECK ({check})" for check in checks)
    options = " STRICT" * table.strict
    if database.refusal(f"CREATE TEMP TABLE _homie_trial ({quoted(column.name)} {column.type}, {conditions}){options}"):
        return []
    insert = "INSERT INTO temp._homie_trial VALUES (?)"
    passing = [maker for maker in column.makers if not any(database.refusal(insert, (maker(number),)) for number in numbers)]
    database.rows("DROP TABLE temp._homie_trial")
    return passing
