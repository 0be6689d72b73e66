"""
What a step broke: keys, references, views, triggers. Compares with the state before it; changes nothing.

Only what a step touched is looked at, and the state before is only asked for once something was found.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from homie_migrations_core.sqlite.guard import GuardedConnection, Touched, quoted

_ONLY_THE_APPLICATION_KNOWS = ("no such function", "no such collation", "no such module", "wrong number of arguments to function")
_KEYS = """
    SELECT m.name, f.id, f."table", f."from" FROM main.sqlite_master AS m, pragma_foreign_key_list(m.name, 'main') AS f
    WHERE m.type = 'table' AND m.sql NOT LIKE 'CREATE VIRTUAL%'"""

Query = Callable[[str], list[tuple[object, ...]]]


class Broken(NamedTuple):
    """What does not hold: each thing with what it is known by, whether it is worded the same before and after a step or not."""

    keys: Counter[tuple[str, str | None]]
    """A sentence, and the value that has no parent, with the number of its rows; None for a key that points nowhere."""
    schema: dict[str, str]
    """A view, or an event on a table that has triggers; and a sentence."""

    def beyond(self, before: Broken) -> Broken:
        """What is there now and was not before."""
        return Broken(self.keys - before.keys, {what: why for what, why in self.schema.items() if what not in before.schema})

    def in_words(self) -> tuple[list[str], list[str]]:
        """The sentences about keys, and those about views and triggers."""
        rows: dict[str, int] = {}
        for (sentence, value), count in self.keys.items():
            rows[sentence] = rows.get(sentence, 0) + (count if value is not None else 0)
        keys = [f"{sentence} ({count})" if count else sentence for sentence, count in sorted(rows.items())]
        return keys, sorted(self.schema.values())

    @classmethod
    def none(cls) -> Broken:
        """Nothing is."""
        return cls(Counter(), {})

    def __bool__(self) -> bool:
        return bool(self.keys or self.schema)


def find_broken(connection: sqlite3.Connection, touched: Touched | None = None) -> Broken:
    """Everything that is broken; with `touched`, only what a step could have broken."""
    speak = connection.speak if isinstance(connection, GuardedConnection) else connection.execute

    def query(sql: str) -> list[tuple[object, ...]]:
        return list(speak(sql).fetchall())

    keys: Counter[tuple[str, str | None]] = Counter()
    schema: dict[str, str] = {}
    everything = touched is None or bool(touched.dropped) or touched.altered
    created = touched.created if touched else set()
    fresh = {name for kind, name in created if kind == "table"}
    if everything or (touched is not None and touched.written - fresh):
        _find_in_keys(query, None if everything or touched is None else touched.written | fresh, keys)
    else:
        for table in fresh:
            if query(f"PRAGMA main.foreign_key_list({quoted(table)})"):
                _find_in_keys(query, fresh, keys)
                break
    if everything:
        _find_in_views_and_triggers(query, None, schema)
    elif named := {name for kind, name in created if kind in ("view", "trigger")}:
        _find_in_views_and_triggers(query, named, schema)
    return Broken(keys, schema)


def _find_in_keys(query: Query, changed: set[str] | None, keys: Counter[tuple[str, str | None]]) -> None:
    """Check the tables that changed and those that refer to one; all tables for None."""
    tables = {str(name).lower() for (name,) in query("SELECT name FROM main.sqlite_master WHERE type = 'table'")}
    columns: dict[tuple[str, object], list[str]] = {}
    parents: dict[tuple[str, object], str] = {}
    for child, number, parent, column in query(_KEYS):
        columns.setdefault((str(child), number), []).append(str(column))
        parents[str(child), number] = str(parent)
    children = {
        child
        for (child, number), parent in parents.items()
        if changed is None or child.lower() in changed or parent.lower() in changed
    }
    for child in sorted(children):
        for (table, number), parent in parents.items():
            if table == child and parent.lower() not in tables:
                keys[f"{child}({', '.join(columns[table, number])}) refers to {parent}, which does not exist", None] = 1
        try:
            rows = query(f"PRAGMA main.foreign_key_check({quoted(child)})")
        except sqlite3.Error as error:  # the parent's column is missing or not unique
            if not _is_about_the_schema(error):
                raise
            if not only_the_application_knows(error):
                keys[f"{child}: {error}", None] = 1
            continue
        for target, number in {(str(row[2]), row[3]) for row in rows}:
            sentence = f"{child}({', '.join(columns[child, number])}) has rows without their parent in {target}"
            orphans = sum(1 for row in rows if row[3] == number)
            for value, count in _by_value(query, child, number, columns[child, number], orphans).items():
                keys[sentence, value] += count


def _by_value(query: Query, child: str, number: object, columns: list[str], orphans: int) -> dict[str, int]:
    """How many of the `orphans` have which key: a rebuild gives rows other rowids, but not other values."""
    value = " || ',' || ".join(f"typeof(c.{quoted(column)}) || hex(c.{quoted(column)})" for column in columns)
    check = f"pragma_foreign_key_check({_text(child)}, 'main') WHERE fkid = {number}"
    try:
        table = f"main.{quoted(child)} AS c"
        rows = query(f"SELECT {value}, count(*) FROM {table} WHERE c.rowid IN (SELECT rowid FROM {check}) GROUP BY 1")
    except sqlite3.Error as error:  # a table without rowids
        if not _is_about_the_schema(error):
            raise
        rows = []
    counts = {str(text): int(str(count)) for text, count in rows}
    return counts if sum(counts.values()) == orphans else {"": orphans}


def _find_in_views_and_triggers(query: Query, named: set[str] | None, schema: dict[str, str]) -> None:
    with_triggers: dict[str, list[str]] = {}
    for kind, name, table in query(
        "SELECT type, name, tbl_name FROM main.sqlite_master WHERE type IN ('view', 'trigger') ORDER BY name"
    ):
        if named is not None and str(name).lower() not in named:
            continue
        if kind == "trigger":
            with_triggers.setdefault(str(table), []).append(str(name))
        elif why := _why_not(query, f"SELECT * FROM main.{quoted(str(name))}"):
            schema[f"view {name}".lower()] = f"the view {name} no longer works: {why}"
    for table, names in with_triggers.items():
        for event, statement in _ways_to_fire(query, table):
            why = _why_not(query, statement)
            if why and "cannot modify" not in why:  # a view, by that event
                # One statement compiles every trigger of its event, so which of several is broken can't be told.
                triggers = f"the trigger {names[0]}" if len(names) == 1 else f"one of the triggers {', '.join(names)}"
                schema[f"{event} {table}".lower()] = f"{triggers} no longer works: {why}"


def _why_not(query: Query, statement: str) -> str | None:
    """Why it doesn't compile, if so; it is never run."""
    try:
        query(f"EXPLAIN {statement}")
    except sqlite3.Error as error:
        if not _is_about_the_schema(error):
            raise
        return None if only_the_application_knows(error) else str(error)
    return None


def _ways_to_fire(query: Query, table: str) -> Iterable[tuple[str, str]]:
    """Each event a trigger on `table` can wait for, and a statement for it."""
    where = f"main.{quoted(table)}"
    yield "delete", f"DELETE FROM {where}"
    try:
        columns = [quoted(str(row[1])) for row in query(f"PRAGMA main.table_info({quoted(table)})")]
    except sqlite3.Error as error:
        if not _is_about_the_schema(error):
            raise
        return
    if columns:
        yield "insert", f"INSERT INTO {where} ({columns[0]}) VALUES (NULL)"
        yield "update", f"UPDATE {where} SET {', '.join(f'{column} = {column}' for column in columns)}"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _is_about_the_schema(error: sqlite3.Error) -> bool:
    """Whether a statement does not compile, or not fit; a disk that fails is no finding."""
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF == sqlite3.SQLITE_ERROR


def only_the_application_knows(error: sqlite3.Error) -> bool:
    """Whether it says no more than that a function, collation or module is not there."""
    return any(text in str(error) for text in _ONLY_THE_APPLICATION_KNOWS)


def helpers_of_tables(connection: GuardedConnection) -> set[tuple[str, str, str]]:
    """Every index and trigger that somebody wrote: kind, name, table."""
    rows = connection.speak(
        "SELECT type, name, tbl_name FROM main.sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
    )
    return {(str(kind), str(name), str(table)) for kind, name, table in rows.fetchall()}


def lost_helpers(connection: GuardedConnection, before: set[tuple[str, str, str]], touched: Touched) -> list[str]:
    """Indexes and triggers that vanished with a dropped table whose name is there again."""
    if not any(kind == "table" for kind, _ in touched.dropped):
        return []
    after = {(kind, name) for kind, name, _ in helpers_of_tables(connection)}
    tables = {str(name).lower() for (name,) in connection.speak("SELECT name FROM main.sqlite_master WHERE type = 'table'")}
    return [
        f"the {kind} {name} on {table}"
        for kind, name, table in sorted(before)
        if (kind, name) not in after and table.lower() in tables and (kind, name.lower()) not in touched.dropped
    ]
