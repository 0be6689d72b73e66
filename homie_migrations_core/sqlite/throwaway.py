"""
Databases that are deleted afterwards: connections that enforce no foreign key and make nothing durable.

Knows how to open such a database and how to run somebody's function in it. What the rows mean is up to the caller.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from homie_migrations_core.forking import no_child_returns
from homie_migrations_core.sqlite.guard import GuardedConnection
from homie_migrations_core.sqlite.guarded_transaction import Refused
from homie_migrations_core.sqlite.names import quoted
from homie_migrations_core.stopping import Stopped, StopRequest

Row = tuple[Any, ...]


class ThrowawayDatabase:
    """An open throw-away database. Errors of SQLite are an answer here where a method says so."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """
        Execute a statement and return its rows.

        Raises:
            sqlite3.Error: SQLite refused it.
        """
        return self.connection.execute(sql, parameters).fetchall()

    def rows_if_any(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Execute a statement and return its rows; none if SQLite refuses it."""
        try:
            return self.rows(sql, parameters)
        except sqlite3.Error:
            return []

    def refusal(self, sql: str, parameters: Sequence[Any] = ()) -> str | None:
        """Execute a statement and return None, or why SQLite refused it."""
        try:
            self.connection.execute(sql, parameters)
        except (sqlite3.Error, OverflowError) as error:
            return str(error) or type(error).__name__
        return None

    def read_table(self, table: str) -> tuple[tuple[str, ...], list[Row]] | None:
        """
        Return the columns and all rows of a table; None if it can't be read, because its module is missing.

        Bytes of a text that are not UTF-8 become surrogates.
        """
        self.connection.text_factory = _text
        try:
            cursor = self.connection.execute(f"SELECT * FROM main.{quoted(table)}")
            return tuple(str(column[0]) for column in cursor.description), cursor.fetchall()
        except sqlite3.Error:
            return None
        finally:
            self.connection.text_factory = str

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Run the block in a transaction: the one that is open, or one of its own."""
        self.connection.execute("SAVEPOINT _homie_throwaway")
        try:
            yield
        finally:
            self.connection.execute("RELEASE _homie_throwaway")

    def know_regexp(self) -> None:
        """Define REGEXP, which SQLite leaves to the application, with Python's regular expressions."""
        self.connection.create_function("regexp", 2, _matches, deterministic=True)


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def _matches(pattern: Any, value: Any) -> bool | None:
    return None if pattern is None or value is None else re.search(str(pattern), str(value)) is not None


@contextmanager
def open_throwaway(path: str) -> Iterator[ThrowawayDatabase]:
    """Open a throw-away database, and close it afterwards."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute("PRAGMA synchronous=OFF")
        yield ThrowawayDatabase(connection)


def run_guarded(path: str, file: str, function: Callable[[sqlite3.Connection], object], stop: StopRequest) -> None:
    """
    Call `function`, which is defined in `file`, in a transaction of a throw-away database, guarded as a migration is.

    Raises:
        Stopped: `stop` asked for it.
        BaseException: Whatever `function` raises; then nothing was changed.
    """
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=0, factory=GuardedConnection)
    try:
        connection.execute_unguarded("PRAGMA foreign_keys=OFF")
        connection.execute_unguarded("PRAGMA synchronous=OFF")
        connection.execute_unguarded("BEGIN IMMEDIATE")
        connection.arm(file, stop)
        try:
            with no_child_returns():
                function(connection)
        finally:
            if stop.asked():
                raise Stopped
        connection.look_for_end()
        if connection.ended is not None:
            raise Refused(connection.ended)
        connection.disarm()
        connection.execute_unguarded("COMMIT")
    finally:
        connection.abandon()
        connection.close()


def memory_database() -> GuardedConnection:
    """Return an empty database in memory, guarded as a file would be. Foreign keys are not enforced, as in a run."""
    connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=0, factory=GuardedConnection)
    connection.execute_unguarded("PRAGMA foreign_keys=OFF")
    return connection
