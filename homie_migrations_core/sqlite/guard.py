"""
The connection that a migration is given: its methods keep the meaning that authors know, and end no transaction.

What can't be part of an atomic step is refused with the reason. Safety does not depend on this module: whatever gets past its
methods meets the authorizer of `guarded_transaction`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, Literal, Self, TypeVar

from homie_migrations_core.sqlite.authorizer import NOT_TRACKING
from homie_migrations_core.sqlite.guarded_transaction import GuardedTransaction, Refused, line_in
from homie_migrations_core.sqlite.names import TRACKING_TABLE

T = TypeVar("T")

_execute = sqlite3.Cursor.execute
_BUILT_IN_COLLATIONS = frozenset({"BINARY", "NOCASE", "RTRIM"})


class GuardedConnection(GuardedTransaction):
    """
    A real `sqlite3.Connection` whose transaction only the runner can begin and end.

    Open it with `isolation_level=None` and `cached_statements=0`: SQLite does not ask again about a statement that
    it keeps prepared.
    """

    def cursor(self, factory: Any = None) -> Any:
        if factory is None or factory is sqlite3.Cursor:
            chosen: Any = GuardedCursor
        elif isinstance(factory, type) and not issubclass(factory, GuardedCursor):
            chosen = type(factory.__name__, (factory, GuardedCursor), {})
        else:
            chosen = factory
        cursor = super().cursor(chosen)
        self._left_open.add(cursor)
        return cursor

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        cursor = super().cursor(GuardedCursor)
        self._left_open.add(cursor)
        return self._call(_execute, cursor, sql, parameters)

    def executemany(self, sql: str, parameters: Any, /) -> Any:
        return self.cursor().executemany(sql, parameters)

    def executescript(self, sql_script: str, /) -> Any:
        return self.cursor().executescript(sql_script)

    def run_statement(self, statement: str) -> None:
        """
        Run one statement of a script of the author's, with all rows that it may return.

        Unlike `executescript` it commits nothing: a script can't go back to a commit, and its savepoints last.
        """
        self._call(self._through_executescript, statement)

    def _through_executescript(self, statement: str) -> None:
        # It steps through all rows and converts none. What it commits first, as far as the author can see, does not count.
        sqlite3.Cursor.executescript(super().cursor(), statement)
        self._commit_seen = False

    def commit(self) -> None:
        if not self._on:
            super().commit()
            return
        self._allow()
        self._commit_point()

    def rollback(self) -> None:
        if not self._on:
            super().rollback()
            return
        self._back_to_commit_point()
        self.rolled_back_last, self.line = True, line_in(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> Literal[False]:
        if not self._on:
            return False
        if kind is None:
            self.commit()
        elif self.ended is None:
            self._back_to_commit_point()
        return False

    def close(self) -> None:
        """Close the connection; while a migration runs, nothing: it is the runner's."""
        if not self._on:
            super().close()

    @property  # type: ignore[override]
    def isolation_level(self) -> str | None:
        """What the author set, remembered and otherwise without effect."""
        return self._isolation_level

    @isolation_level.setter
    def isolation_level(self, value: str | None) -> None:
        if not getattr(self, "_on", False):  # sqlite3 itself sets it while the connection is made
            return
        self._isolation_level = value
        if value is None:
            self.commit()

    @property  # type: ignore[override,unused-ignore]
    def autocommit(self) -> Any:
        """What the author set, remembered and otherwise without effect."""
        return self._autocommit

    @autocommit.setter
    def autocommit(self, value: Any) -> None:
        self._autocommit = value
        if value is True and self._on:
            self.commit()

    def blobopen(self, table: str, column: str, row: int, /, *, readonly: bool = False, name: str = "main") -> sqlite3.Blob:
        if not self._on:
            return super().blobopen(table, column, row, readonly=readonly, name=name)
        self._allow()  # the authorizer is not asked about it
        if readonly:
            self.touched.read_records |= table.lower() == TRACKING_TABLE
        else:
            if table.lower() == TRACKING_TABLE:
                self._deny(NOT_TRACKING)
                raise Refused(self.refusal)
            self.touched.written.add(table.lower())
            self.rolled_back_last = False
        blob = super().blobopen(table, column, row, readonly=readonly, name=name)
        self._left_open.add(blob)
        return blob

    def interrupt(self) -> None:
        self._interrupted_itself = True
        super().interrupt()

    def _refuse(self, what: str) -> None:
        if self._on:
            self._deny(f"{what} can't be part of an atomic step")
            raise Refused(self.refusal)

    def backup(self, *args: Any, **kwargs: Any) -> None:
        self._refuse("conn.backup()")
        super().backup(*args, **kwargs)

    def deserialize(self, *args: Any, **kwargs: Any) -> None:
        self._refuse("conn.deserialize()")
        super().deserialize(*args, **kwargs)

    def set_authorizer(self, *args: Any, **kwargs: Any) -> None:
        self._refuse("conn.set_authorizer()")
        super().set_authorizer(*args, **kwargs)

    def set_progress_handler(self, *args: Any, **kwargs: Any) -> None:
        self._refuse("conn.set_progress_handler()")
        super().set_progress_handler(*args, **kwargs)

    def enable_load_extension(self, enable: bool, /) -> None:
        self._refuse("conn.enable_load_extension()")
        super().enable_load_extension(enable)

    def setconfig(self, *args: Any) -> None:
        self._refuse("conn.setconfig()")
        super().setconfig(*args)  # type: ignore[misc,unused-ignore]

    def setlimit(self, category: int, limit: int, /) -> int:
        before = super().setlimit(category, limit)
        self._leftovers.limits.append((category, before))
        return before

    def set_trace_callback(self, callback: Any, /) -> None:
        super().set_trace_callback(callback and self._keeping_ctrl_c(callback))

    def create_function(self, name: str, narg: int, func: Any, **kwargs: Any) -> None:
        self._note_function(name, narg)
        super().create_function(name, narg, func and self._keeping_ctrl_c(func), **kwargs)
        self._leftovers.undo.append(lambda: self._forget_function(name, narg))

    def create_aggregate(self, name: str, n_arg: int, aggregate_class: Any) -> None:
        self._note_function(name, n_arg)
        super().create_aggregate(name, n_arg, aggregate_class)
        self._leftovers.undo.append(lambda: self._forget_function(name, n_arg))

    def create_window_function(self, name: str, num_params: int, aggregate_class: Any, /) -> None:
        self._note_function(name, num_params)
        super().create_window_function(name, num_params, aggregate_class)
        self._leftovers.undo.append(lambda: self._forget_function(name, num_params))

    def create_collation(self, name: str, callback: Any, /) -> None:
        if name.upper() in _BUILT_IN_COLLATIONS:
            self._leftovers.beyond_undo.append(f"the collation {name}, which SQLite has itself")
        super().create_collation(name, callback and self._keeping_ctrl_c(callback))
        self._leftovers.undo.append(lambda: sqlite3.Connection.create_collation(self, name, None))

    def _keeping_ctrl_c(self, callback: Callable[..., T]) -> Callable[..., T]:
        """Return `callback` with its Ctrl-C kept: sqlite3 swallows whatever its callbacks raise."""

        def called(*args: Any) -> T:
            try:
                return callback(*args)
            except Exception:
                raise
            except BaseException as error:
                self._swallowed = error
                sqlite3.Connection.interrupt(self)  # nothing else makes a collation or a trace end the statement
                raise

        return called

    def _forget_function(self, name: str, arguments: int) -> None:
        # Of the three calls that make functions only this one can take them back, of whichever kind.
        super().create_window_function(name, arguments, None)

    def _note_function(self, name: str, arguments: int) -> None:
        listed = "SELECT 1 FROM pragma_function_list WHERE builtin AND name = lower(?) AND narg IN (?, -1)"
        try:
            built_in = self.execute_unguarded(listed, (name, arguments))
        except sqlite3.OperationalError:  # before 3.30 SQLite does not say which functions it has
            return
        built_in.row_factory = None  # the author's may not like this row
        if built_in.fetchone():
            self._leftovers.beyond_undo.append(f"the function {name}(), which SQLite has itself")


class GuardedCursor(sqlite3.Cursor):
    """The cursors of a guarded connection: they look before each call, and say why afterwards."""

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        return self._guard._call(super().execute, sql, parameters)

    def executemany(self, sql: str, parameters: Any, /) -> Any:
        guard = self._guard
        if not isinstance(parameters, list | tuple):
            parameters = _until_ended(guard, parameters)
        return guard._call(super().executemany, sql, parameters)

    def executescript(self, sql_script: str, /) -> Any:
        guard = self._guard
        if guard._on:
            guard.commit()  # as sqlite3 does before the first statement
        return guard._call(super().executescript, sql_script)

    @property
    def _guard(self) -> GuardedConnection:
        connection = self.connection
        assert isinstance(connection, GuardedConnection)
        return connection


def _until_ended(guard: GuardedConnection, rows: Any) -> Iterator[Any]:
    """
    Yield `rows`, of which the author's code may make each one while the statement for them is already prepared.

    Only a bare `sqlite3.Cursor(conn)`, fed by code that ends the transaction over another bare one, gets past this.
    """
    for row in rows:
        if guard._on:
            guard._allow()
        yield row


def runner_execute(connection: sqlite3.Connection) -> Callable[..., sqlite3.Cursor]:
    """Return what executes the runner's own statements on a connection, past the guard if it has one."""
    return connection.execute_unguarded if isinstance(connection, GuardedConnection) else connection.execute
