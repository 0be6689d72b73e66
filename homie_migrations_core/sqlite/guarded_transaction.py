"""
The half of the guarded connection that the runner talks to: a step's transaction, which its author can't end.

The authorizer is the net (https://sqlite.org/c3ref/set_authorizer.html): SQLite asks it about every statement,
whichever class or cursor prepared it, and answering IGNORE turns exactly COMMIT and BEGIN into nothing. Two savepoints
do the rest: the outer one proves at the end that the transaction is still the one that was opened, the inner
one, made by the first `conn.commit()`, is where `conn.rollback()` goes back to. What an author may ask for is decided in
`authorizer`; what the methods of the connection mean to an author is in `guard`.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

from homie_migrations_core.sqlite.authorizer import INNER_SAVEPOINT, OUTER_SAVEPOINT, READS, WRITES, StepAuthorizer
from homie_migrations_core.sqlite.leftovers import Leftovers, OpenHandles
from homie_migrations_core.sqlite.names import TRACKING_TABLE
from homie_migrations_core.stopping import Stopped, StopRequest

T = TypeVar("T")

_OPEN_OUTER, _RELEASE_OUTER, _BACK_TO_OUTER = (f"{what} {OUTER_SAVEPOINT}" for what in ("SAVEPOINT", "RELEASE", "ROLLBACK TO"))
_OPEN_INNER, _RELEASE_INNER, _BACK_TO_INNER = (f"{what} {INNER_SAVEPOINT}" for what in ("SAVEPOINT", "RELEASE", "ROLLBACK TO"))
_execute = sqlite3.Connection.execute
_ENDED = "SQLite ended the transaction by itself"
_FORKED = "a forked child process can't use the connection of its parent: open another one there"
_CLOSED = "the migration closed the connection"
_OPS_BETWEEN_LOOKS = 5_000  # virtual machine steps; from 1,000 on it costs nothing that can be measured


class Refused(sqlite3.OperationalError):
    """What a migration asked for can't be part of an atomic step."""


_armed: set[GuardedTransaction] = set()


def _refuse_in_child() -> None:
    """Keep a forked child process from its parent's connections (https://sqlite.org/howtocorrupt.html, section 2.6)."""
    for connection in _armed:
        connection._end(_FORKED)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_refuse_in_child)


class GuardedTransaction(sqlite3.Connection):
    """
    A connection whose transaction only the runner can begin and end.

    Open it with `isolation_level=None` and `cached_statements=0`: SQLite does not ask again about a statement that
    it keeps prepared.
    """

    _open_transaction = sqlite3.Connection.in_transaction  # the same attribute, at the price sqlite3 asks for it

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._on = self._is_runner = self._outer_is_open = self._inner_is_open = False
        self._calls = 0
        self._timeout_ms = round(1_000 * (args[1] if len(args) > 1 else kwargs.get("timeout", 5.0)))
        self._stop = StopRequest()
        self._file = ""
        self._left_open = OpenHandles()
        self._forget_step()

    def _forget_step(self) -> None:
        self.ended: str | None = None
        """Why SQLite ended the transaction by itself; then nothing more is let through."""
        self.refusal: str | None = None
        """Why the last thing that was refused was refused."""
        self.line: int | None = None
        """Where in the author's file either happened."""
        self.rolled_back_last = False
        """Whether `conn.rollback()` was the last thing that the author did."""
        self._commit_seen = self._interrupted_itself = self._inner_is_open = False
        self._swallowed: BaseException | None = None
        self._isolation_level: str | None = ""
        self._autocommit: Any = -1  # sqlite3.LEGACY_TRANSACTION_CONTROL, which 3.11 has no name for
        self._authorizer = StepAuthorizer()
        self.touched = self._authorizer.touched
        """What the step did to the database."""
        self._leftovers = Leftovers()

    # --- the author's turn --------------------------------------------------------------------------

    def arm(self, file: str, stop: StopRequest, heard: Callable[[str], object] | None = None) -> None:
        """
        Begin the author's turn, in the transaction that is open.

        `file` is the author's, for the line where something went wrong; `heard` is called with each statement.
        """
        self._forget_step()
        self._file, self._stop = file, stop
        self.execute_unguarded(_OPEN_OUTER)
        self._outer_is_open = True
        hear = None if heard is None else _without_repeats(self, heard)  # asks the database, so before the authorizer is there
        _armed.add(self)
        super().set_progress_handler(self._look_up, _OPS_BETWEEN_LOOKS)
        super().set_authorizer(self._authorize)
        if hear is not None:
            super().set_trace_callback(hear)
        self._on = stop.raising = True

    def disarm(self) -> None:
        """
        End the author's turn. The transaction is the one in which `arm` was called, or this raises.

        Raises:
            sqlite3.Error: It is another one, or there is none.
        """
        self._silence()
        self.execute_unguarded(_RELEASE_OUTER)
        self._outer_is_open = False

    def abandon(self) -> None:
        """End the author's turn after a failure; the transaction is left for the runner to roll back."""
        if self._on:
            self._silence()

    def _silence(self) -> None:
        self._stop.raising = self._on = False
        _armed.discard(self)
        try:
            super().set_authorizer(None)  # this also expires what the author left prepared
        except sqlite3.ProgrammingError:  # the author has closed the connection
            return
        super().set_progress_handler(None, 0)
        super().set_trace_callback(None)
        self._left_open.close()
        self.row_factory, self.text_factory = None, str
        for category, before in reversed(self._leftovers.limits):
            super().setlimit(category, before)
        if "busy_timeout" in self._authorizer.pragmas:  # the runner waits in slices of its own
            self.execute_unguarded(f"PRAGMA busy_timeout={self._timeout_ms}")

    # --- for the runner -----------------------------------------------------------------------------

    def execute_unguarded(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        """Execute a statement of the runner's own, past the guard."""
        if not self._on:  # nobody asks then who it is
            return _execute(self, sql, parameters)
        before, self._is_runner = self._is_runner, True
        try:
            return _execute(self, sql, parameters)
        finally:
            self._is_runner = before

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open: not on a connection that was closed behind the guard's back."""
        try:
            return self._open_transaction
        except sqlite3.ProgrammingError:
            return False

    def _is_closed(self) -> bool:
        try:
            return super().total_changes < 0
        except sqlite3.ProgrammingError:
            return True

    def look_for_end(self) -> None:
        """Set `ended` if the transaction is gone, also by a call that did not pass through the guard."""
        if not self.in_transaction:
            self._end(_CLOSED if self._is_closed() else _ENDED)

    def holds_transaction(self) -> bool:
        """
        Return whether the transaction in which `arm` was called is still open; what happened in it since may be undone by that.

        False means that it was ended by SQLite or by the author's code, which may have begun another one.
        """
        if not self.in_transaction:
            return False
        if self._outer_is_open:
            try:
                self.execute_unguarded(_BACK_TO_OUTER)
            except sqlite3.Error:
                return False
        return True

    def pristine(self) -> bool:
        """Return whether the step left nothing on the connection that could reach the next one."""
        return not (self._authorizer.pragmas or self._leftovers or self._authorizer.temporary)

    def clean(self) -> list[str]:
        """
        Take from the connection what the step left on it, and name what could not be taken.

        For runs of one transaction, which can't change their connection between two steps.
        """
        pragmas = self._authorizer.pragmas - {"busy_timeout"}
        return [] if self.pristine() else self._leftovers.take_away(self.execute_unguarded, pragmas)

    # --- what SQLite asks -----------------------------------------------------------------------------

    def _authorize(self, action: int, a: str | None, b: str | None, database: str | None, _trigger: str | None) -> int:
        if self._is_runner:
            return sqlite3.SQLITE_OK
        if not self._open_transaction:
            self._end(_ENDED)
        if self.ended is not None or self._stop.asked():
            return sqlite3.SQLITE_DENY
        # Most of what SQLite asks about: what it reads, and what a statement like CREATE writes to the schema itself.
        if action in READS or (a == "sqlite_master" and action in WRITES):
            if a == TRACKING_TABLE:
                self.touched.read_records = True
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_TRANSACTION and a != "ROLLBACK":
            self._commit_seen = True
            return sqlite3.SQLITE_IGNORE
        reason = self._authorizer.refusal(action, a, b, database)
        return sqlite3.SQLITE_OK if reason is None else self._deny(reason)

    def _deny(self, reason: str) -> int:
        self.refusal, self.line = reason, line_in(self._file)
        return sqlite3.SQLITE_DENY

    def _end(self, what: str) -> None:
        if self.ended is None:
            self.ended, self.line = what, line_in(self._file)

    def _look_up(self) -> int:
        # Python delivers a signal while this runs, and sqlite3 swallows what it raises: `_call` concludes the rest.
        return 1 if self._stop.asked() else 0

    # --- around each call of the author's --------------------------------------------------------------

    def _call(self, function: Callable[..., T], *args: Any) -> T:
        self._calls += 1
        if not self._on or self._is_runner:
            return function(*args)
        self._allow()
        self.refusal, self._authorizer.wrote, self._commit_seen = None, False, False
        self._stop.raising = False
        try:
            result = function(*args)
        except BaseException as error:
            self._judge(error)
            raise
        finally:
            self._stop.raising = self._on
        if not self._open_transaction:
            self._allow()
        self._raise_swallowed(None)
        if self._commit_seen:
            self._commit_point()
        if self._authorizer.wrote:
            self.rolled_back_last = False
        return result

    def _allow(self) -> None:
        if self._stop.asked():
            raise Stopped
        if not self._open_transaction:
            self._conclude(_ENDED)
        if self.ended is not None:
            raise Refused(self.ended)

    def _conclude(self, why: str) -> None:
        self._end(why)
        # What is prepared, and may be half-way through its rows, would not be asked about again but for this.
        super().set_authorizer(self._authorize)

    def _judge(self, error: BaseException) -> None:
        code = getattr(error, "sqlite_errorcode", None)
        if self._is_closed():
            self._end(_CLOSED)
        elif not self._open_transaction:
            self._conclude(f"{_ENDED}: {error}")
        if self._stop.asked():
            raise Stopped from error
        self._raise_swallowed(error)
        lost_in_callback = code == sqlite3.SQLITE_INTERRUPT and not self._interrupted_itself
        if lost_in_callback or (code == sqlite3.SQLITE_AUTH and self.refusal is None and self.ended is None):
            # Only Ctrl-C makes a callback of ours fail; sqlite3 has swallowed it, so it is raised again here.
            raise KeyboardInterrupt from error
        if code == sqlite3.SQLITE_AUTH and self.refusal is not None:
            raise Refused(self.refusal) from error

    def _raise_swallowed(self, error: BaseException | None) -> None:
        swallowed, self._swallowed = self._swallowed, None
        if swallowed is not None:
            raise swallowed from error

    def _commit_point(self) -> None:
        if self._inner_is_open:
            self.execute_unguarded(_RELEASE_INNER)
        elif self._authorizer.savepoints:  # as a COMMIT would, this ends the author's own
            self.execute_unguarded(_RELEASE_OUTER)
            self.execute_unguarded(_OPEN_OUTER)
        self.execute_unguarded(_OPEN_INNER)
        self._inner_is_open = True
        self.rolled_back_last = False

    def _back_to_commit_point(self) -> None:
        self._allow()
        self.execute_unguarded(_BACK_TO_INNER if self._inner_is_open else _BACK_TO_OUTER)


def _without_repeats(connection: GuardedTransaction, heard: Callable[[str], object]) -> Callable[[str], None]:
    """Return what hears each of the author's statements once: SQLite tells of it again for each trigger that it fires."""
    triggers = connection.execute_unguarded("SELECT 1 FROM main.sqlite_master WHERE type = 'trigger'").fetchone() is not None
    last: tuple[int, str] | None = None

    def hear(sql: str) -> None:
        nonlocal last
        fires = triggers or any(kind == "trigger" for kind, _ in connection.touched.created)
        if not connection._is_runner and not (fires and (connection._calls, sql) == last):
            last = connection._calls, sql
            heard(sql)

    return hear


def line_in(file: str) -> int | None:
    """Return the line of `file` that is being executed, if any is."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_filename != file:
        frame = frame.f_back
    return frame.f_lineno if frame else None
