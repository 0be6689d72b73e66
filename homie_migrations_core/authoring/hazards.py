"""
Hazards: what works and does harm. Found by watching what a migration executes, not by reading its text.
"""

from __future__ import annotations

import builtins
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from homie_migrations_core.authoring.contents import Contents, moved
from homie_migrations_core.model import Step
from homie_migrations_core.sqlite.names import fold
from homie_migrations_core.sqlite.schema import read_schema
from homie_migrations_core.sqlite.schema_comparison import compare
from homie_migrations_core.sqlite.schema_objects import Schema, SchemaObject
from homie_migrations_core.sqlite.sqlite_errors import is_database_error
from homie_migrations_core.sqlite.throwaway import memory_database

if TYPE_CHECKING:
    from homie_migrations_core.sqlite.guard import GuardedConnection

MANY = 20
"""How often a statement that scans a whole table may be executed, less one."""
_LONGEST = 100_000
_COMMENTS = re.compile(r"(?:\s+|--[^\n]*(?:\n|\Z)|/\*(?s:.*?)(?:\*/|\Z))*+")
_CHANGES_ROWS = re.compile(r"(?:UPDATE|DELETE|WITH)\b", re.IGNORECASE)
_CREATES = re.compile(r"CREATE\b(?:[^(;]*?)\bIF\s+NOT\s+EXISTS\b", re.IGNORECASE)
_LITERAL = re.compile(r"[xX]?'(?:[^']|'')*'|\b\d+(?:\.\d*)?(?:[eE][+-]?\d+)?\b|\bNULL\b", re.IGNORECASE)
_Key = tuple[str, str]


@dataclass
class Watch:
    """Watches one step: which statements it executes, and how SQLite finds their rows."""

    warnings: list[str] = field(default_factory=list)
    accepted_problems: list[tuple[str, str]] = field(default_factory=list)
    """Codes and descriptions of the problems that its file accepts at the commit."""
    slow: list[str] = field(default_factory=list)
    """Descriptions of statements that scan whole tables again and again."""
    conditional: list[str] = field(default_factory=list)
    """The statements with IF NOT EXISTS."""
    written: set[str] = field(default_factory=set)
    """The tables whose rows it changes."""
    _statements: dict[str, tuple[str, int]] = field(default_factory=dict)

    def before(self, connection: GuardedConnection, step: Step) -> None:
        """Start over: the step may be a second attempt."""
        self.warnings, self.accepted_problems, self.slow, self.conditional = [], [], [], []
        self._statements = {}

    def heard(self, statement: str) -> None:
        """Remember a statement that may be a hazard."""
        begin = _COMMENTS.match(statement)
        bare = statement[begin.end() if begin else 0 :]
        if not bare or len(bare) > _LONGEST:
            return
        if _CHANGES_ROWS.match(bare):
            pattern = _LITERAL.sub("?", bare)
            first, count = self._statements.get(pattern, (bare, 0))
            self._statements[pattern] = first, count + 1
        elif _CREATES.match(bare):
            self.conditional.append(bare)

    def warned(self, sentence: str) -> None:
        """Remember a warning."""
        self.warnings.append(sentence)

    def accepted(self, step: Step, code: str, sentence: str, reason: str) -> None:
        """Remember a problem that the migration's file accepts."""
        self.accepted_problems.append((code, sentence))

    def after(self, connection: GuardedConnection, step: Step, seconds: float) -> None:
        """Ask SQLite how it finds the rows, while the tables are still there."""
        self.written = set(connection.touched.written)
        for statement, count in self._statements.values():
            try:
                plan = connection.execute_unguarded(f"EXPLAIN QUERY PLAN {statement}").fetchall()
            except Exception as error:
                if not is_database_error(error):
                    raise
                continue  # a table that it names is gone by now
            if why := _why_slow(statement, count, [(row[0], row[1], str(row[3])) for row in plan]):
                self.slow.append(why)


def _why_slow(statement: str, count: int, plan: Sequence[tuple[int, int, str]]) -> str | None:
    parents = {number: (parent, detail) for number, parent, detail in plan}
    shown = " ".join(statement.split())
    shown = shown if len(shown) <= 120 else f"{shown[:117]}..."
    for _, above, detail in plan:
        table = _scanned(detail)
        if table is None:
            continue
        outer = above
        while outer in parents:
            outer, around = parents[outer]
            if around.startswith("CORRELATED"):
                return f"scans all of {table} for each row: {shown}"
        if count >= MANY and re.search(r"\bWHERE\b", _LITERAL.sub("?", statement), re.IGNORECASE):
            return f"scans all of {table} each of the {count} times: {shown}"
    return None


def _scanned(detail: str) -> str | None:
    """Return the table, or its alias, that a line of a query plan scans."""
    words = detail.removeprefix("SCAN ").removeprefix("TABLE ")
    if not detail.startswith("SCAN ") or words.startswith(("CONSTANT", "SUBQUERY", "(")) or "VIRTUAL TABLE" in words:
        return None
    return words.partition(" ")[0]


# --- what it left of the schema ---------------------------------------------------------------------------------------


def find_hidden(watch: Watch, before: Schema, after: Schema) -> Iterator[str]:
    """Yield the objects that existed with another definition, so that a statement with IF NOT EXISTS did nothing."""
    for statement in watch.conditional:
        meant = _meant(statement, before)
        if meant is None:
            continue
        there = _of_that_name(before, meant)
        now = _of_that_name(after, meant)
        if there is not None and there.tokens != meant.tokens and (now is None or now.tokens != meant.tokens):
            words = _first_difference(there, meant)
            yield f"the {meant.kind} {meant.name} existed already, with another definition ({words})"


def _of_that_name(found: Schema, meant: SchemaObject) -> SchemaObject | None:
    kinds = ("table", "view") if meant.kind in ("table", "view") else (meant.kind,)
    return next((found[kind, fold(meant.name)] for kind in kinds if (kind, fold(meant.name)) in found), None)


def _meant(statement: str, before: Schema) -> SchemaObject | None:
    """Return what the statement would have made, found by executing it in an empty database."""
    connection = memory_database()
    try:
        for _ in range(2):
            try:
                known = read_schema(connection)
                connection.execute_unguarded(statement)
            except Exception as error:
                if not is_database_error(error):
                    raise
                missing = re.search(r"no such table: (?:main\.)?(.+)", str(error))
                table = before.get(("table", fold(missing[1]))) if missing else None
                if table is None:
                    return None
                connection.execute_unguarded(table.sql)
                continue
            made = read_schema(connection)
            return next((each for key, each in made.items() if key not in known), None)
    finally:
        connection.close()
    return None


def _first_difference(there: SchemaObject, meant: SchemaObject) -> str:
    if there.kind != meant.kind:
        return f"it is a {there.kind}"
    key = (meant.kind, fold(meant.name))
    changes = compare({key: there}, {key: meant})
    return changes[0].in_words() if changes else "its definition differs"


def find_foreign(pack: str, before: Schema, after: Schema, owners: Mapping[_Key, str]) -> Iterator[str]:
    """Yield what a step of `pack` changed of other packs' objects. `owners` are those before the step."""
    told: set[_Key] = set()
    for change in compare(before, after):
        of_table = change.kind in ("table", "column", "constraint", "option")
        key = ("table", fold(change.table)) if of_table else (change.kind, fold(change.name))
        if not of_table and change.change == "added":
            key = ("table", fold(change.table))
        owner = owners.get(key)
        if owner is not None and owner != pack and key not in told:
            told.add(key)
            yield f"changes what the pack {owner} made: {change.in_words()}"


def find_dropped(
    before: Schema, after: Schema, rows_before: Mapping[str, Contents], rows_after: Mapping[str, Contents]
) -> Iterator[tuple[str, str | None, int]]:
    """
    Yield each table and column that is gone although it held data which is nowhere else: table, column, number.

    For a whole table the column is None and the number is of rows, otherwise of values.
    """
    for change in compare(before, after):
        contents = rows_before.get(fold(change.table))
        if change.change != "removed" or contents is None:
            continue
        if change.kind == "column":
            values = contents.values(change.name)
            if values and not moved(values, rows_before, rows_after):
                yield contents.table, change.name, len(values)
        elif change.kind == "table" and contents.rows and not _shows_another(before["table", fold(change.table)]):
            held = [values for column in contents.columns if (values := contents.values(column))]
            if not all(moved(values, rows_before, rows_after) for values in held):
                yield contents.table, None, len(contents.rows)


def _shows_another(table: SchemaObject) -> bool:
    """Whether it is a virtual table over the rows of another one."""
    return table.tokens[1:2] == ("virtual",) and ("content", "=") in pairwise(table.tokens)


# --- imports ------------------------------------------------------------------------------------------------------------


@contextmanager
def imports_of(file: Path) -> Iterator[list[str]]:
    """
    Collect the modules that code in `file` imports inside the block and that may change with the application.

    The standard library, this library and files beside `file` don't count.
    """
    found: list[str] = []
    real, text = builtins.__import__, os.fspath(file)

    def noting(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> ModuleType:  # noqa: A002
        module = real(name, globals, locals, fromlist, level)
        if globals is not None and globals.get("__file__") == text:
            found.extend(each for each in _imported(name, globals, fromlist, level) if each not in found)
        return module

    builtins.__import__ = noting
    try:
        yield found
    finally:
        builtins.__import__ = real

    found[:] = [name for name in found if not _stays(name, file.parent)]


def _imported(name: str, globals: Mapping[str, Any], fromlist: Any, level: int) -> list[str]:  # noqa: A002
    package = str(globals.get("__package__") or "")
    if level:
        base = package.rsplit(".", level - 1)[0] if level > 1 else package
        name = f"{base}.{name}" if name else base
    inner = [f"{name}.{each}" for each in fromlist or () if f"{name}.{each}" in sys.modules]
    return inner if inner and name == package else [name]


def _stays(name: str, folder: Path) -> bool:
    if name.partition(".")[0] in (*sys.stdlib_module_names, "homie_migrations_core"):
        return True
    file = getattr(sys.modules.get(name), "__file__", None)
    return file is not None and Path(file).resolve().parent == folder.resolve()
