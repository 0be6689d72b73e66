"""
How two schemas differ, in values and in words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from homie_migrations_core.sqlite.names import fold
from homie_migrations_core.sqlite.schema_objects import Schema, SchemaObject

Kind = Literal["table", "index", "trigger", "view", "column", "constraint", "option"]
Change = Literal["added", "removed", "changed", "reordered"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same in two schemas."""

    change: Change
    kind: Kind
    table: str
    """The table or view that it belongs to."""
    name: str
    """Its own name; for a constraint without one, which kind it is; for columns in another order, the table's."""
    before: str | None = None
    after: str | None = None

    def in_words(self) -> str:
        """Return one line that says what is different in the second schema."""
        what = f"{self.kind} {self.name}" if self.kind in ("table", "view") else f"{self.kind} {self.name} of {self.table}"
        if self.change == "reordered":
            return f"{what}: its columns are in another order, {self.after} instead of {self.before}"
        if self.change == "changed":
            return f"{what}: {self.after or 'no type'} instead of {self.before or 'no type'}"
        definition = f": {self.after or self.before or 'of no type'}" if self.kind in ("column", "constraint") else ""
        return f"{what} {self.change}{definition}"


def compare(before: Schema, after: Schema) -> list[Difference]:
    """
    Return everything that differs, always in the same order; nothing for equal schemas.

    A table is compared column by column. What was renamed is removed under the one name and added under the other.
    """
    found: list[Difference] = []
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old is None and new is not None:
            found.append(Difference("added", new.kind, new.table, new.name, None, new.text))
        elif new is None and old is not None:
            found.append(Difference("removed", old.kind, old.table, old.name, old.text, None))
        elif old is not None and new is not None and old.sql != new.sql and old.tokens != new.tokens:
            if old.columns and new.columns:
                found.extend(_compare_tables(old, new))
            else:
                found.append(Difference("changed", new.kind, new.table, new.name, old.text, new.text))
    return sorted(
        found, key=lambda each: (fold(each.table), each.kind != "table", each.kind, fold(each.name), each.change, str(each))
    )


def _compare_tables(old: SchemaObject, new: SchemaObject) -> Iterator[Difference]:
    had, has = ({fold(column.name): column for column in each.columns} for each in (old, new))
    for name, column in had.items():
        if name not in has:
            yield Difference("removed", "column", new.table, column.name, column.words, None)
        elif column.words != has[name].words:
            yield Difference("changed", "column", new.table, has[name].name, column.words, has[name].words)
    for name, column in has.items():
        if name not in had:
            yield Difference("added", "column", new.table, column.name, None, column.words)
    order, now = [name for name in had if name in has], [name for name in has if name in had]
    if order != now:
        names = (", ".join(column.name for column in each.columns) for each in (old, new))
        yield Difference("reordered", "table", new.table, new.name, *names)
    yield from _compare_constraints(new.table, old.constraints, new.constraints)
    for option in set(old.options) ^ set(new.options):
        if option in new.options:
            yield Difference("added", "option", new.table, option, None, option)
        else:
            yield Difference("removed", "option", new.table, option, option, None)


def _compare_constraints(table: str, before: Iterable[str], after: Iterable[str]) -> Iterator[Difference]:
    had, has = Counter(before), Counter(after)
    gone, come = sorted((had - has).elements()), sorted((has - had).elements())
    for old in gone:
        # Two of one kind, or of one name, are one that changed.
        new = next((each for each in come if _constraint_name(each) == _constraint_name(old)), None)
        if new is not None:
            come.remove(new)
        yield Difference("changed" if new else "removed", "constraint", table, _constraint_name(old), old, new)
    for new in come:
        yield Difference("added", "constraint", table, _constraint_name(new), None, new)


def _constraint_name(text: str) -> str:
    """Return the name of a constraint, or its kind."""
    named = re.match(r'CONSTRAINT ("(?:[^"]|"")*"|\S+)', text)
    return named[1] if named else text.partition(" (")[0]


def pair_renames(differences: Sequence[Difference], before: Schema, after: Schema) -> list[tuple[Difference, Difference | None]]:
    """
    Return each difference, a removed column together with an added one that has its place and its definition.

    Whether such a column was renamed can't be known; it is the most likely.
    """
    pairs: list[tuple[Difference, Difference | None]] = []
    came_instead: list[Difference] = []
    for went in differences:
        if went.kind != "column" or went.change != "removed":
            pairs.append((went, None))
            continue
        others = [
            each
            for each in differences
            if (each.kind, each.change, each.table, each.after) == ("column", "added", went.table, went.before)
            and _place(before, went) == _place(after, each)
        ]
        pairs.append((went, others[0] if others else None))
        came_instead += others
    return [pair for pair in pairs if pair[0] not in came_instead]


def _place(schema: Schema, column: Difference) -> int:
    return [fold(each.name) for each in schema["table", fold(column.table)].columns].index(fold(column.name))
