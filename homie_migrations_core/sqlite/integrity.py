"""
What a step broke: foreign keys, references, views and triggers, and which indexes and triggers it lost. Changes nothing.

Only what a step touched is checked, and the state before it is only needed once something was found.
Whether a problem stops a run, or was accepted by the author, is decided by others.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Literal, NamedTuple

from homie_migrations_core.sqlite.authorizer import Touched
from homie_migrations_core.sqlite.guard import GuardedConnection, runner_execute
from homie_migrations_core.sqlite.names import quoted, text_literal

_ONLY_THE_APPLICATION_KNOWS = ("no such function", "no such collation", "no such module", "wrong number of arguments to function")
_KEYS = """
    SELECT m.name, f.id, f."table", f."from", f."to"
    FROM main.sqlite_master AS m, pragma_foreign_key_list(m.name, 'main') AS f
    WHERE m.type = 'table' AND m.sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY m.name, f.id, f.seq"""

Query = Callable[[str], list[tuple[object, ...]]]
ProblemCode = Literal["foreign_keys_violated", "dangling_reference", "broken_view"]

ACCEPTABLE_CODES = frozenset({"dangling_reference", "broken_view"})
"""The problems that the author of a migration may accept; rows without a parent are never accepted."""
CAUSE_OF_DANGLING = (
    "Since SQLite 3.26, ALTER TABLE ... RENAME rewrites the references of other tables, too: to rebuild a table, make the new "
    "table, copy the rows, drop the old table, and rename the new one into its place"
)
"""What usually leaves a reference dangling, as a sentence without its full stop."""


class Problem(NamedTuple):
    """One thing in a database that does not hold."""

    code: ProblemCode
    """`foreign_keys_violated`: rows without a parent, or a key that SQLite can't check. `dangling_reference`: a foreign key whose
    table or column does not exist. `broken_view`: a view or a trigger that no longer compiles."""
    name: str
    """Of the table that holds the key, of the view, or of the trigger or triggers."""
    sentence: str
    """What was found, without a full stop."""

    @property
    def acceptable(self) -> bool:
        """Whether the author of a migration may accept it."""
        return self.code in ACCEPTABLE_CODES


class Problems:
    """Everything found, each with an identity that stays the same through a rebuild, so that before and after compare."""

    def __init__(self) -> None:
        self._keys: Counter[tuple[str, str | None]] = Counter()
        """By identity, and the value that has no parent, the number of its rows; None for the key itself."""
        self._of_keys: dict[str, Problem] = {}
        self._schema: dict[str, Problem] = {}

    def add_key(self, identity: str, problem: Problem, rows: Mapping[str, int] | None = None) -> None:
        """Add a problem of a key; of its `rows`, the number for each value."""
        self._of_keys[identity] = problem
        if rows is None:
            self._keys[identity, None] = 1
        else:
            self._keys.update({(identity, value): count for value, count in rows.items()})

    def add_view(self, identity: str, problem: Problem) -> None:
        """Add a problem of a view, or of the triggers of a table."""
        self._schema[identity] = problem

    def beyond(self, before: Problems) -> Problems:
        """Return what is there now and was not before."""
        new = Problems()
        new._keys, new._of_keys = self._keys - before._keys, self._of_keys
        new._schema = {identity: problem for identity, problem in self._schema.items() if identity not in before._schema}
        return new

    def including(self, more: Problems) -> Problems:
        """Return these problems and `more`; one that is in both counts once."""
        both = Problems()
        both._keys, both._of_keys = self._keys | more._keys, {**self._of_keys, **more._of_keys}
        both._schema = {**self._schema, **more._schema}
        return both

    def listed(self) -> list[Problem]:
        """Return each problem once, those of keys first, with the number of rows in its sentence."""
        rows: dict[Problem, int] = {}
        for (identity, value), count in self._keys.items():
            problem = self._of_keys[identity]
            rows[problem] = rows.get(problem, 0) + (count if value is not None else 0)
        keys = [
            problem._replace(sentence=f"{problem.sentence} ({count} {'row' if count == 1 else 'rows'})") if count else problem
            for problem, count in sorted(rows.items(), key=lambda each: each[0].sentence)
        ]
        return [*keys, *sorted(self._schema.values(), key=lambda each: each.sentence)]

    def __bool__(self) -> bool:
        return bool(self._keys or self._schema)


class _Key(NamedTuple):
    """A foreign key of the table `child`."""

    child: str
    number: object
    parent: str
    columns: tuple[str, ...]
    targets: tuple[str, ...]
    """The columns of the parent that it names; none for the parent's primary key."""

    def __str__(self) -> str:
        return f"{self.child}({', '.join(self.columns)})"


def find_problems(connection: sqlite3.Connection, touched: Touched | None = None) -> Problems:
    """Find everything that does not hold; with `touched`, only what a step could have broken."""
    execute = runner_execute(connection)

    def query(sql: str) -> list[tuple[object, ...]]:
        return execute(sql).fetchall()

    found = Problems()
    everything = touched is None or bool(touched.dropped) or touched.altered
    created = touched.created if touched else set()
    fresh = {name for kind, name in created if kind == "table"}
    if everything or (touched is not None and touched.written - fresh):
        _find_in_keys(query, None if everything or touched is None else touched.written | fresh, found)
    elif touched is not None and touched.may_refer:
        for table in fresh:
            if query(f"PRAGMA main.foreign_key_list({quoted(table)})"):
                _find_in_keys(query, fresh, found)
                break
    if everything:
        _find_in_views_and_triggers(query, None, found)
    elif named := {name for kind, name in created if kind in ("view", "trigger")}:
        _find_in_views_and_triggers(query, named, found)
    return found


# --- keys -----------------------------------------------------------------------------------------------


def _find_in_keys(query: Query, changed: set[str] | None, found: Problems) -> None:
    """Check the tables that changed and those that refer to one; all tables for None."""
    tables = {str(name).lower() for (name,) in query("SELECT name FROM main.sqlite_master WHERE type = 'table'")}
    of_child: dict[str, list[_Key]] = {}
    for key in _keys(query):
        of_child.setdefault(key.child, []).append(key)
    for child, keys in sorted(of_child.items()):
        if not (changed is None or child.lower() in changed or any(key.parent.lower() in changed for key in keys)):
            continue
        dangling = {key.number: _dangling(key, key.parent) for key in keys if key.parent.lower() not in tables}
        for problem in dangling.values():
            found.add_key(problem.sentence, problem)
        try:
            rows = query(f"PRAGMA main.foreign_key_check({quoted(child)})")
        except sqlite3.Error as error:  # the parent's column is missing or not unique
            if not _is_about_the_schema(error):
                raise
            if not only_the_application_knows(error):
                _find_in_mismatched(query, [key for key in keys if key.number not in dangling], str(error), found)
            continue
        for key in keys:
            if orphans := sum(1 for row in rows if row[3] == key.number):
                # Their identity is the same, whether the parent's table is missing or only its row.
                problem = _orphaned(key)
                found.add_key(problem.sentence, dangling.get(key.number, problem), _by_value(query, key, orphans))


def _keys(query: Query) -> list[_Key]:
    rows: dict[tuple[str, object, str], list[tuple[str, object]]] = {}
    for child, number, parent, column, target in query(_KEYS):
        rows.setdefault((str(child), number, str(parent)), []).append((str(column), target))
    return [
        _Key(child, number, parent, tuple(column for column, _ in pairs), tuple(str(to) for _, to in pairs if to is not None))
        for (child, number, parent), pairs in rows.items()
    ]


def _dangling(key: _Key, what: str) -> Problem:
    return Problem("dangling_reference", key.child, f"{key} refers to {what}, which does not exist")


def _orphaned(key: _Key) -> Problem:
    return Problem("foreign_keys_violated", key.child, f"{key} has rows without their parent in {key.parent}")


def _find_in_mismatched(query: Query, keys: list[_Key], error: str, found: Problems) -> None:
    """
    Check the keys of a table one by one, because SQLite refuses to: one of them names columns that no parent can have.

    A column that does not exist is a dangling reference, one that is not unique is none.
    """
    explained = False
    for key in keys:
        columns = query(f"PRAGMA main.table_xinfo({quoted(key.parent)})")
        primary = tuple(str(row[1]) for row in columns if row[5])
        targets = key.targets or primary
        if missing := [target for target in targets if target.lower() not in {str(row[1]).lower() for row in columns}]:
            problem = _dangling(key, f"the column {missing[0]} of {key.parent}")
            found.add_key(problem.sentence, problem)
            explained = True
        elif len(targets) != len(key.columns) or not _is_unique(query, key.parent, targets, primary):
            problem = Problem("foreign_keys_violated", key.child, f"{key.child}: {_mismatch(key)}")
            found.add_key(problem.sentence, problem)
            explained = True
        else:
            problem = _orphaned(key)
            found.add_key(problem.sentence, problem, _orphans_of(query, key, targets))
    if keys and not explained:
        problem = Problem("foreign_keys_violated", keys[0].child, f"{keys[0].child}: {error}")
        found.add_key(problem.sentence, problem)


def _mismatch(key: _Key) -> str:
    return f'foreign key mismatch - "{key.child}" referencing "{key.parent}"'  # SQLite's own words


def _is_unique(query: Query, table: str, columns: tuple[str, ...], primary: tuple[str, ...]) -> bool:
    wanted = {column.lower() for column in columns}
    if wanted == {column.lower() for column in primary}:
        return True
    for _, index, unique, _, partial in query(f"PRAGMA main.index_list({quoted(table)})"):
        indexed = {str(row[2]).lower() for row in query(f"PRAGMA main.index_info({quoted(str(index))})")}
        if unique and not partial and indexed == wanted:
            return True
    return False


def _orphans_of(query: Query, key: _Key, targets: tuple[str, ...]) -> dict[str, int]:
    """Count the rows without a parent by their value, where `foreign_key_check` is of no help."""
    pairs = [(f"c.{quoted(column)}", f"p.{quoted(target)}") for column, target in zip(key.columns, targets, strict=True)]
    present = " AND ".join(f"{column} IS NOT NULL" for column, _ in pairs)
    same = " AND ".join(f"{target} = {column}" for column, target in pairs)
    rows = query(
        f"SELECT {_value_of(key)}, count(*) FROM main.{quoted(key.child)} AS c WHERE {present} "
        f"AND NOT EXISTS (SELECT 1 FROM main.{quoted(key.parent)} AS p WHERE {same}) GROUP BY 1"
    )
    return {str(text): int(str(count)) for text, count in rows}


def _value_of(key: _Key) -> str:
    return " || ',' || ".join(f"typeof(c.{quoted(column)}) || hex(c.{quoted(column)})" for column in key.columns)


def _by_value(query: Query, key: _Key, orphans: int) -> dict[str, int]:
    """Count how many of the `orphans` have which key: a rebuild gives rows other rowids, but not other values."""
    check = f"pragma_foreign_key_check({text_literal(key.child)}, 'main') WHERE fkid = {key.number}"
    try:
        table = f"main.{quoted(key.child)} AS c"
        rows = query(f"SELECT {_value_of(key)}, count(*) FROM {table} WHERE c.rowid IN (SELECT rowid FROM {check}) GROUP BY 1")
    except sqlite3.Error as error:  # a table without rowids
        if not _is_about_the_schema(error):
            raise
        rows = []
    counts = {str(text): int(str(count)) for text, count in rows}
    return counts if sum(counts.values()) == orphans else {"": orphans}


# --- views and triggers -----------------------------------------------------------------------------------


def _find_in_views_and_triggers(query: Query, named: set[str] | None, found: Problems) -> None:
    with_triggers: dict[str, list[str]] = {}
    for kind, name, table in query(
        "SELECT type, name, tbl_name FROM main.sqlite_master WHERE type IN ('view', 'trigger') ORDER BY name"
    ):
        if named is not None and str(name).lower() not in named:
            continue
        if kind == "trigger":
            with_triggers.setdefault(str(table), []).append(str(name))
        elif why := _why_not(query, f"SELECT * FROM main.{quoted(str(name))}"):
            sentence = f"the view {name} no longer works: {why}"
            found.add_view(f"view {name}".lower(), Problem("broken_view", str(name), sentence))
    for table, names in with_triggers.items():
        for event, statement in _ways_to_fire(query, table):
            why = _why_not(query, statement)
            if why and "cannot modify" not in why:  # a view that can't be written to by that event
                # One statement compiles every trigger of its event, so it is not known which of several is broken.
                triggers = f"the trigger {names[0]}" if len(names) == 1 else f"one of the triggers {', '.join(names)}"
                problem = Problem("broken_view", ", ".join(names), f"{triggers} no longer works: {why}")
                found.add_view(f"{event} {table}".lower(), problem)


def _why_not(query: Query, statement: str) -> str | None:
    """Return why a statement does not compile, if so; it is never run."""
    try:
        query(f"EXPLAIN {statement}")
    except sqlite3.Error as error:
        if not _is_about_the_schema(error):
            raise
        return None if only_the_application_knows(error) else str(error)
    return None


def _ways_to_fire(query: Query, table: str) -> Iterable[tuple[str, str]]:
    """Yield each event that a trigger on `table` can react to, and a statement that causes it."""
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


def _is_about_the_schema(error: sqlite3.Error) -> bool:
    """Return whether the error is about a statement and the schema; a disk that fails is not a finding."""
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF == sqlite3.SQLITE_ERROR


def only_the_application_knows(error: sqlite3.Error) -> bool:
    """Return whether the error says no more than that a function, collation or module does not exist."""
    return any(text in str(error) for text in _ONLY_THE_APPLICATION_KNOWS)


def is_in_file(connection: GuardedConnection) -> bool:
    """Return whether the database is in a file. False if it was replaced by one in memory, behind the guard's back."""
    connection.text_factory = bytes  # the name need not be text
    try:
        listed = connection.execute_unguarded("PRAGMA database_list").fetchall()
        return any(name == b"main" and file for _, name, file in listed)
    finally:
        connection.text_factory = str


def helpers_of_tables(connection: GuardedConnection, named: Collection[str] = ()) -> set[tuple[str, str, str]]:
    """
    Return kind, name and table of every index and trigger that has a definition of its own.

    If some are `named`, in small letters, the others may be left out: a run that makes many indexes lists none of them twice.
    """
    sql = "SELECT type, name, tbl_name FROM main.sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
    if named and all(name.isascii() for name in named):  # SQLite knows the small letters of no others
        sql += f" AND lower(name) IN ({', '.join(map(text_literal, named))})"
    rows = connection.execute_unguarded(sql)
    return {(str(kind), str(name), str(table)) for kind, name, table in rows.fetchall()}


def lost_helpers(connection: GuardedConnection, before: set[tuple[str, str, str]], touched: Touched) -> list[str]:
    """Return the indexes and triggers that were lost with a dropped table that was created again."""
    if not any(kind == "table" for kind, _ in touched.dropped):
        return []
    after = {(kind, name) for kind, name, _ in helpers_of_tables(connection)}
    tables = {
        str(name).lower() for (name,) in connection.execute_unguarded("SELECT name FROM main.sqlite_master WHERE type = 'table'")
    }
    return [
        f"the {kind} {name} on {table}"
        for kind, name, table in sorted(before)
        if (kind, name) not in after and table.lower() in tables and (kind, name.lower()) not in touched.dropped
    ]
