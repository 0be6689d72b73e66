"""
Make the N-th call of a run fail, or end the process at it.

For a process of its own, because the functions that are replaced here stay replaced.
"""

from __future__ import annotations

import errno
import itertools
import os
import sqlite3
from collections.abc import Callable
from typing import Any

CALLS = ("replace", "fsync", "open", "unlink", "chmod", "mkdir", "rmdir")
"""The system calls that make a snapshot, besides SQLite's own."""


class FaultInjection:
    """
    Counts the calls of a run whose description contains `only`, and fails one of them: before or `after` it takes effect.

    A call is a statement of the runner, a connection, one step of a copy, or one of `CALLS`. The commit points of an
    author are not counted: there may be hundreds, all alike.
    """

    def __init__(self, *, at: int, exits: bool, after: bool, only: str = "") -> None:
        self._at, self._exits, self._after, self._only = at, exits, after, only
        self._numbers = itertools.count(1)
        self.failed_call: str | None = None

    def begin(self) -> None:
        from homie_migrations_core.sqlite import copying
        from homie_migrations_core.sqlite.guard import GuardedConnection

        copying.PAGES_A_STEP = 10
        call = self._call
        execute, connect = GuardedConnection.execute_unguarded, sqlite3.connect

        def counted_execute(connection: GuardedConnection, sql: str, parameters: Any = ()) -> Any:
            if "_homie_since_commit" in sql:
                return execute(connection, sql, parameters)
            return call(sql, _disk_error, lambda: execute(connection, sql, parameters))

        class Counted(sqlite3.Connection):
            def execute(self, sql: str, *arguments: Any) -> Any:
                return call(f"beside it: {sql}", _disk_error, lambda: super(Counted, self).execute(sql, *arguments))

            def backup(self, target: sqlite3.Connection, *, pages: int, progress: Any, sleep: float) -> None:
                def counted_progress(*state: int) -> None:
                    call("a step of the copy", _disk_error, lambda: progress(*state))

                super().backup(target, pages=pages, progress=counted_progress, sleep=sleep)

        def counted_connect(*arguments: Any, factory: Any = Counted, **options: Any) -> Any:
            return call("connect", _open_error, lambda: connect(*arguments, factory=factory, **options))

        GuardedConnection.execute_unguarded = counted_execute  # type: ignore[assignment,method-assign]
        sqlite3.connect = counted_connect
        for name in CALLS:
            setattr(os, name, self._counted_call(name, getattr(os, name)))

    def _counted_call(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            return self._call(f"os.{name}", _file_error, lambda: call(*arguments, **options))

        return counted

    def _call(self, what: str, failure: Callable[[], Exception], do: Callable[[], Any]) -> Any:
        if self._only not in what or next(self._numbers) != self._at:
            return do()
        self.failed_call = what
        if self._after:
            try:
                done = do()
            except Exception:
                if not self._exits:
                    raise
                os._exit(9)
            if isinstance(done, sqlite3.Connection):  # the caller hears of a failure and can close nothing
                done.close()
            elif what == "os.open":
                os.close(done)
        if self._exits:
            os._exit(9)
        raise failure()


def _disk_error() -> Exception:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR_WRITE, "SQLITE_IOERR_WRITE"
    return error


def _open_error() -> Exception:
    error = sqlite3.OperationalError("unable to open database file")
    error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_CANTOPEN, "SQLITE_CANTOPEN"
    return error


def _file_error() -> Exception:
    return OSError(errno.EIO, os.strerror(errno.EIO))
