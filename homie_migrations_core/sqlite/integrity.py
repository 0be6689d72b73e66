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
    SELECT m.name, f.id, f."table", f."from" FROM main.sqlite_schema AS m, pragma_foreign_key_list(m.name) AS f
    WHERE m.type = 'table' AND m.sql NOT LIKE 'CREATE VIRTUAL%'"""

Query = Callable[[str], list[tuple[object, ...]]]


class Broken(NamedTuple):
    """Findings, each with how often it occurs: rows without a parent, and things that don't compile."""

    keys: Counter[str]
    schema: Counter[str]

    def beyond(self, before: Broken) -> Broken:
        """What is there now and was not before."""
        return Broken(self.keys - before.keys, self.schema - before.schema)

    def __bool__(self) -> bool:
        return bool(self.keys or self.schema)


def find_broken(connection: sqlite3.Connection, touched: Touched | None = None) -> Broken:
    """Everything that is broken; with `touched`, only what a step could have broken."""
    speak = connection.speak if isinstance(connection, GuardedConnection) else connection.execute

    def query(sql: str) -> list[tuple[object, ...]]:
        return list(speak(sql).fetchall())

    keys: Counter[str] = Counter()
    schema: Counter[str] = Counter()
    everything = touched is None or bool(touched.dropped) or touched.altered
    created = touched.created if touched else set()
    fresh = {name for kind, name in created if kind == "table"}
    if everything or (touched is not None and touched.written - fresh):
        _find_in_keys(query, None if everything or touched is None else touched.written | fresh, keys, schema)
    else:
        for table in fresh:
            if query(f"PRAGMA main.foreign_key_list({quoted(table)})"):
                _find_in_keys(query, fresh, keys, schema)
                break
    if everything:
        _find_in_views_and_triggers(query, None, schema)
    elif named := {name for kind, name in created if kind in ("view", "trigger")}:
        _find_in_views_and_triggers(query, named, schema)
    return Broken(keys, schema)


def _find_in_keys(query: Query, changed: set[str] | None, keys: Counter[str], schema: Counter[str]) -> None:
    """Check the tables that changed and those that refer to one; all tables for None."""
    tables = {str(name).lower() for (name,) in query("SELECT name FROM main.sqlite_schema WHERE type = 'table'")}
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
                schema[f"{child}({', '.join(columns[table, number])}) refers to {parent}, which does not exist"] += 1
        try:
            rows = query(f"PRAGMA main.foreign_key_check({quoted(child)})")
        except sqlite3.OperationalError as error:  # the parent's column is missing or not unique
            if not _is_known_to_application(error):
                schema[f"{child}: {error}"] += 1
            continue
        for owner, _, target, number in rows:
            if str(target).lower() in tables:
                key = ", ".join(columns.get((str(owner), number), ["?"]))
                keys[f"{owner}({key}) has rows without their parent in {target}"] += 1


def _find_in_views_and_triggers(query: Query, named: set[str] | None, schema: Counter[str]) -> None:
    for kind, name, table, sql in query(
        "SELECT type, name, tbl_name, sql FROM main.sqlite_schema WHERE type IN ('view', 'trigger') ORDER BY name"
    ):
        if named is not None and str(name).lower() not in named:
            continue
        statements = [f"SELECT * FROM main.{quoted(str(name))}"] if kind == "view" else _ways_to_fire(query, str(table))
        for statement in statements:
            try:
                query(f"EXPLAIN {statement}")
            except sqlite3.Error as error:
                if not _is_known_to_application(error) and "cannot modify" not in str(error):  # a view, by that event
                    schema[f"the {kind} {name} no longer works: {error}"] = 1


def _ways_to_fire(query: Query, table: str) -> Iterable[str]:
    """One statement for each event a trigger on `table` can wait for; they are compiled, never run."""
    where = f"main.{quoted(table)}"
    yield f"DELETE FROM {where}"
    try:
        columns = [quoted(str(row[1])) for row in query(f"PRAGMA main.table_info({quoted(table)})")]
    except sqlite3.Error:
        return
    if columns:
        yield f"INSERT INTO {where} ({columns[0]}) VALUES (NULL)"
        yield f"UPDATE {where} SET {', '.join(f'{column} = {column}' for column in columns)}"


def _is_known_to_application(error: sqlite3.Error) -> bool:
    return any(text in str(error) for text in _ONLY_THE_APPLICATION_KNOWS)


def helpers_of_tables(connection: GuardedConnection) -> set[tuple[str, str, str]]:
    """Every index and trigger that somebody wrote: kind, name, table."""
    rows = connection.speak(
        "SELECT type, name, tbl_name FROM main.sqlite_schema WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
    )
    return {(str(kind), str(name), str(table)) for kind, name, table in rows.fetchall()}


def lost_helpers(connection: GuardedConnection, before: set[tuple[str, str, str]], touched: Touched) -> list[str]:
    """Indexes and triggers that vanished with a dropped table whose name is there again."""
    if not any(kind == "table" for kind, _ in touched.dropped):
        return []
    after = {(kind, name) for kind, name, _ in helpers_of_tables(connection)}
    tables = {str(name).lower() for (name,) in connection.speak("SELECT name FROM main.sqlite_schema WHERE type = 'table'")}
    return [
        f"the {kind} {name} on {table}"
        for kind, name, table in sorted(before)
        if (kind, name) not in after and table.lower() in tables and (kind, name.lower()) not in touched.dropped
    ]
