"""
The connection a migration is given: it cannot end the transaction.

The authorizer is the net (https://sqlite.org/c3ref/set_authorizer.html): SQLite asks it about every statement,
whichever class or cursor prepared it, and answering IGNORE turns exactly COMMIT and BEGIN into nothing. The
classes on top give authors the meaning they expect and a reason where something is refused. Two savepoints
hold the rest: the outer one proves at the end that the transaction is still the one that was opened, the inner
one is what `conn.commit()` and `conn.rollback()` move.
"""

from __future__ import annotations

import sqlite3
import sys
import weakref
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Literal, Self, TypeVar

from homie_migrations_core.stopping import Stopped, StopRequest

T = TypeVar("T")

TRACKING_TABLE = "schema_migrations"
_OUTER, _INNER = "_homie_step", "_homie_since_commit"
_ENDED = "SQLite ended the transaction by itself"
_CLOSED = "the migration closed the connection"
_NOT_TRACKING = f"a migration can't change {TRACKING_TABLE}: the runner keeps it"
_OPS_BETWEEN_LOOKS = 5_000  # virtual machine steps; from 1,000 on it costs nothing that can be measured

_ENOUGH_TO_SORT_OUT = 1_000  # references to cursors, before those that are gone are dropped

_READING_PRAGMAS = frozenset(
    "collation_list compile_options data_version database_list foreign_key_check foreign_key_list freelist_count "
    "function_list index_info index_list index_xinfo integrity_check module_list page_count pragma_list quick_check "
    "stats table_info table_list table_xinfo".split()
)
_ROLLED_BACK_PRAGMAS = frozenset("application_id incremental_vacuum optimize user_version".split())
# These outlive a rollback but not their connection, and are put back before the next step.
_CONNECTION_PRAGMAS = frozenset(
    "analysis_limit automatic_index busy_timeout cache_size cache_spill case_sensitive_like cell_size_check "
    "defer_foreign_keys legacy_alter_table recursive_triggers reverse_unordered_selects shrink_memory threads".split()
)
_ACTING_PRAGMAS = frozenset({"wal_checkpoint", "incremental_vacuum", "optimize", "shrink_memory"})
_BUILT_IN_COLLATIONS = frozenset({"BINARY", "NOCASE", "RTRIM"})

_CREATES = {
    sqlite3.SQLITE_CREATE_TABLE: "table",
    sqlite3.SQLITE_CREATE_VTABLE: "table",
    sqlite3.SQLITE_CREATE_VIEW: "view",
    sqlite3.SQLITE_CREATE_TRIGGER: "trigger",
    sqlite3.SQLITE_CREATE_INDEX: "index",
}
_DROPS = {
    sqlite3.SQLITE_DROP_TABLE: "table",
    sqlite3.SQLITE_DROP_VTABLE: "table",
    sqlite3.SQLITE_DROP_VIEW: "view",
    sqlite3.SQLITE_DROP_TRIGGER: "trigger",
    sqlite3.SQLITE_DROP_INDEX: "index",
}
_READS = frozenset({sqlite3.SQLITE_READ, sqlite3.SQLITE_SELECT, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
_WRITES = frozenset({sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE})
_TEMPORARY = frozenset(
    {
        sqlite3.SQLITE_CREATE_TEMP_TABLE,
        sqlite3.SQLITE_CREATE_TEMP_VIEW,
        sqlite3.SQLITE_CREATE_TEMP_INDEX,
        sqlite3.SQLITE_CREATE_TEMP_TRIGGER,
        sqlite3.SQLITE_DROP_TEMP_TABLE,
        sqlite3.SQLITE_DROP_TEMP_VIEW,
        sqlite3.SQLITE_DROP_TEMP_INDEX,
        sqlite3.SQLITE_DROP_TEMP_TRIGGER,
    }
)


class Refused(sqlite3.OperationalError):
    """What a migration asked for can't be part of an atomic step."""


class Touched:
    """What a step did to the database, as the authorizer saw it: which checks it needs."""

    def __init__(self) -> None:
        self.written: set[str] = set()
        self.created: set[tuple[str, str]] = set()
        self.dropped: set[tuple[str, str]] = set()
        self.altered = False


class GuardedConnection(sqlite3.Connection):
    """
    A real `sqlite3.Connection` whose transaction only the runner can begin and end.

    Open it with `isolation_level=None` and `cached_statements=0`: a statement that SQLite keeps prepared is not
    asked about again.
    """

    _open_transaction = sqlite3.Connection.in_transaction  # the same attribute, at the price sqlite3 asks for it

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._on = self._speaking = False
        self._calls = 0
        self._timeout_ms = round(1_000 * (args[1] if len(args) > 1 else kwargs.get("timeout", 5.0)))
        self._stop = StopRequest()
        self._file = ""
        # Plain references: a WeakSet runs Python code whenever a cursor goes, where a stop that is raised would be lost.
        self._left_open: list[weakref.ref[sqlite3.Cursor | sqlite3.Blob]] = []
        self._enough = _ENOUGH_TO_SORT_OUT
        self._forget_step()

    def _forget_step(self) -> None:
        self.touched = Touched()
        self.ended: str | None = None
        """Why SQLite ended the transaction by itself; then nothing more is let through."""
        self.refusal: str | None = None
        """Why the last thing that was refused was refused."""
        self.line: int | None = None
        """Where in the author's file either happened."""
        self.rolled_back_last = False
        self._wrote = self._commit_seen = self._interrupted_itself = False
        self._swallowed: BaseException | None = None
        self._isolation_level: str | None = ""
        self._autocommit: Any = -1  # sqlite3.LEGACY_TRANSACTION_CONTROL, which 3.11 has no name for
        self._pragmas: set[str] = set()
        self._limits: list[tuple[int, int]] = []
        self._undo: list[Callable[[], object]] = []
        self._beyond_undo: list[str] = []
        self._temporary = False
        self._just_dropped = ""

    # --- for the runner -----------------------------------------------------------------------------

    def arm(self, file: str, stop: StopRequest, heard: Callable[[str], object] | None = None) -> None:
        """From here on the author speaks, and `heard` hears each statement. A transaction must be open."""
        self._forget_step()
        self._file, self._stop = file, stop
        self.speak(f"SAVEPOINT {_OUTER}")
        self.speak(f"SAVEPOINT {_INNER}")
        self.set_progress_handler(self._look_up, _OPS_BETWEEN_LOOKS)
        super().set_authorizer(self._authorize)
        if heard is not None:
            super().set_trace_callback(self._once(heard))
        self._on = stop.raising = True

    def _once(self, heard: Callable[[str], object]) -> Callable[[str], None]:
        """SQLite tells of the same statement again for each trigger that it fires."""
        triggers = self.speak("SELECT 1 FROM main.sqlite_master WHERE type = 'trigger'").fetchone() is not None
        last: tuple[int, str] | None = None

        def hear(sql: str) -> None:
            nonlocal last
            fires = triggers or any(kind == "trigger" for kind, _ in self.touched.created)
            if not self._speaking and not (fires and (self._calls, sql) == last):
                last = self._calls, sql
                heard(sql)

        return hear

    def disarm(self) -> None:
        """
        From here on the runner speaks. The transaction is the one in which `arm` was called, or this raises.

        Raises:
            sqlite3.Error: It is not.
        """
        self._silence()
        self.speak(f"RELEASE {_OUTER}")

    def _silence(self) -> None:
        self._stop.raising = self._on = False
        if self._is_closed():
            return
        super().set_authorizer(None)  # this also expires what the author left prepared
        super().set_progress_handler(None, 0)
        super().set_trace_callback(None)
        for each in [each for reference in self._left_open if (each := reference()) is not None]:
            # An unread RETURNING keeps COMMIT from working, an unread SELECT keeps its read lock.
            sqlite3.Cursor.close(each) if isinstance(each, sqlite3.Cursor) else each.close()
        self._left_open.clear()
        self.row_factory, self.text_factory = None, str
        for category, before in reversed(self._limits):
            super().setlimit(category, before)
        if "busy_timeout" in self._pragmas:  # the runner waits in slices of its own
            self.speak(f"PRAGMA busy_timeout={self._timeout_ms}")

    def _note_open(self, each: sqlite3.Cursor | sqlite3.Blob) -> None:
        self._left_open.append(weakref.ref(each))
        if len(self._left_open) >= self._enough:
            self._left_open = [reference for reference in self._left_open if reference() is not None]
            self._enough = max(_ENOUGH_TO_SORT_OUT, 2 * len(self._left_open))

    def _is_closed(self) -> bool:
        try:
            return super().total_changes < 0
        except sqlite3.ProgrammingError:
            return True

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open: not on a connection that was closed behind the guard's back."""
        return not self._is_closed() and self._open_transaction

    def look_for_end(self) -> None:
        """`ended` is set if the transaction is gone, also by a call that did not pass through here."""
        if not self.in_transaction:
            self._end(_CLOSED if self._is_closed() else _ENDED)

    def abandon(self) -> None:
        """The author's turn is over after a failure; the transaction is left for the runner to roll back."""
        if self._on:
            self._silence()

    def speak(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        """Execute the runner's own statement, past the guard."""
        before, self._speaking = self._speaking, True
        try:
            return sqlite3.Connection.execute(self, sql, parameters)
        finally:
            self._speaking = before

    def pristine(self) -> bool:
        """Whether the step left nothing on the connection that could reach the next one."""
        return not (self._pragmas or self._undo or self._beyond_undo or self._temporary)

    def clean(self) -> list[str]:
        """
        Take from the connection what the step left on it, and name what could not be taken.

        For runs of one transaction, which cannot change their connection between two steps.
        """
        if self.pristine():
            return []
        for undo in reversed(self._undo):
            undo()
        if self._pragmas:
            fresh = sqlite3.connect(":memory:")
            try:
                for name in self._pragmas - {"busy_timeout"}:
                    default = fresh.execute(f"PRAGMA {name}").fetchone() if name != "case_sensitive_like" else None
                    self.speak(f"PRAGMA {name}={default[0] if default else 0}")
            finally:
                fresh.close()
        for kind, name in self.speak("SELECT type, name FROM sqlite_temp_master WHERE type IN ('table', 'view')").fetchall():
            if not name.lower().startswith("sqlite_"):
                self.speak(f"DROP {kind} IF EXISTS temp.{quoted(name)}")
        for (name,) in self.speak("SELECT name FROM sqlite_temp_master WHERE type = 'trigger'").fetchall():
            self.speak(f"DROP TRIGGER IF EXISTS temp.{quoted(name)}")
        return self._beyond_undo

    # --- what SQLite asks -----------------------------------------------------------------------------

    def _authorize(self, action: int, a: str | None, b: str | None, database: str | None, trigger: str | None) -> int:
        if self._speaking:
            return sqlite3.SQLITE_OK
        if not self._open_transaction:
            self._end(_ENDED)
            return sqlite3.SQLITE_DENY
        if self.ended is not None or self._stop.asked():
            return sqlite3.SQLITE_DENY
        if action in _READS:
            return sqlite3.SQLITE_OK
        if action in _WRITES:
            table = (a or "").lower()
            if table == TRACKING_TABLE:
                return self._deny(_NOT_TRACKING)
            if not table.startswith("sqlite_"):
                self._wrote = True
                self.touched.written.add(table)
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_TRANSACTION:
            if a == "ROLLBACK":
                return self._deny("SQL ROLLBACK would end the runner's transaction: raise an exception, or call conn.rollback()")
            self._commit_seen = True
            return sqlite3.SQLITE_IGNORE
        if action == sqlite3.SQLITE_SAVEPOINT:
            if (b or "").lower() in (_OUTER, _INNER):
                return self._deny(f"the savepoint {b} is the runner's own")
            return sqlite3.SQLITE_OK
        if action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH):
            return self._deny("ATTACH and DETACH can't be part of an atomic step: read another file over a connection of its own")
        if action == sqlite3.SQLITE_PRAGMA:
            return self._authorize_pragma((a or "").lower(), b)
        if database == "temp":  # a virtual table has no action of its own for it
            self._temporary = True
        return self._authorize_schema_change(action, a or "", b or "")

    def _authorize_pragma(self, name: str, value: str | None) -> int:
        if name in _CONNECTION_PRAGMAS:
            if value is not None:
                self._pragmas.add(name)
        elif name in _ROLLED_BACK_PRAGMAS:
            self._wrote = self._wrote or value is not None
        elif name == "foreign_keys" or name in _READING_PRAGMAS:
            pass  # enforcement is off in a migration, and SQLite ignores the switch inside a transaction
        elif value is not None or name in _ACTING_PRAGMAS:
            return self._deny(f"PRAGMA {name} can't be part of an atomic step: it would outlive a rollback, or do nothing here")
        return sqlite3.SQLITE_OK

    def _authorize_schema_change(self, action: int, a: str, b: str) -> int:
        tracking = TRACKING_TABLE in (
            (b if action in (sqlite3.SQLITE_ALTER_TABLE, sqlite3.SQLITE_CREATE_INDEX) else a).lower(),
            b.lower(),
        )
        # CREATE TABLE of that name can only find that it exists, so IF NOT EXISTS may pass.
        if tracking and action not in (sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_ANALYZE, sqlite3.SQLITE_REINDEX):
            return self._deny(_NOT_TRACKING)
        self._wrote = True
        if action in _CREATES:
            self.touched.created.add((_CREATES[action], a.lower()))
            self._just_dropped = ""
        elif action in _DROPS:
            # SQLite also asks about the triggers that go with a dropped table; those nobody dropped by name.
            if not (action == sqlite3.SQLITE_DROP_TRIGGER and b.lower() == self._just_dropped):
                self.touched.dropped.add((_DROPS[action], a.lower()))
            if action == sqlite3.SQLITE_DROP_TABLE:
                self._just_dropped = a.lower()
        elif action in _TEMPORARY:
            self._temporary = True
        elif action == sqlite3.SQLITE_ALTER_TABLE:
            self.touched.altered = True
        return sqlite3.SQLITE_OK

    def _deny(self, reason: str) -> int:
        self.refusal, self.line = reason, self._authors_line()
        return sqlite3.SQLITE_DENY

    def _end(self, what: str) -> None:
        if self.ended is None:
            self.ended, self.line = what, self._authors_line()

    def _authors_line(self) -> int | None:
        frame: FrameType | None = sys._getframe()
        while frame is not None and frame.f_code.co_filename != self._file:
            frame = frame.f_back
        return frame.f_lineno if frame else None

    def _look_up(self) -> int:
        # Python delivers a signal while this runs, and sqlite3 swallows what it raises: `_call` concludes the rest.
        return 1 if self._stop.asked() else 0

    # --- what the author calls --------------------------------------------------------------------------

    def _call(self, function: Callable[..., T], *args: Any) -> T:
        self._calls += 1
        if not self._on or self._speaking:
            return function(*args)
        self._allow()
        self.refusal, self._wrote, self._commit_seen = None, False, False
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
        if self._wrote:
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

    def _heard(self, callback: Callable[..., T]) -> Callable[..., T]:
        """`callback`, whose Ctrl-C is kept: sqlite3 swallows whatever its callbacks raise."""

        def called(*args: Any) -> T:
            try:
                return callback(*args)
            except Exception:
                raise
            except BaseException as error:
                self._swallowed = error
                super(GuardedConnection, self).interrupt()  # nothing else makes a collation or a trace end the statement
                raise

        return called

    def _until_ended(self, rows: Any) -> Iterator[Any]:
        """
        `rows`, of which the author's code may make each one while the statement for them is already prepared.

        Only a bare `sqlite3.Cursor(conn)`, fed by code that ends the transaction over another bare one, gets past this.
        """
        for row in rows:
            if self._on:
                self._allow()
            yield row

    def _commit_point(self) -> None:
        self.speak(f"RELEASE {_INNER}")
        self.speak(f"SAVEPOINT {_INNER}")
        self.rolled_back_last = False

    def _back_to_commit_point(self) -> None:
        self._allow()
        self.speak(f"ROLLBACK TO {_INNER}")

    def cursor(self, factory: Any = None) -> Any:
        if factory is None or factory is sqlite3.Cursor:
            chosen: Any = GuardedCursor
        elif isinstance(factory, type) and not issubclass(factory, GuardedCursor):
            chosen = type(factory.__name__, (factory, GuardedCursor), {})
        else:
            chosen = factory
        cursor = super().cursor(chosen)
        self._note_open(cursor)
        return cursor

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any, /) -> Any:
        return self.cursor().executemany(sql, parameters)

    def executescript(self, sql_script: str, /) -> Any:
        return self.cursor().executescript(sql_script)

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
        self.rolled_back_last, self.line = True, self._authors_line()

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
        if not readonly:
            if table.lower() == TRACKING_TABLE:
                self._deny(_NOT_TRACKING)
                raise Refused(self.refusal)
            self.touched.written.add(table.lower())
            self.rolled_back_last = False
        blob = super().blobopen(table, column, row, readonly=readonly, name=name)
        self._note_open(blob)
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
        self._limits.append((category, before))
        return before

    def set_trace_callback(self, callback: Any, /) -> None:
        super().set_trace_callback(callback and self._heard(callback))

    def create_function(self, name: str, narg: int, func: Any, **kwargs: Any) -> None:
        self._note_function(name, narg)
        super().create_function(name, narg, func and self._heard(func), **kwargs)
        self._undo.append(lambda: self._forget_function(name, narg))

    def create_aggregate(self, name: str, n_arg: int, aggregate_class: Any) -> None:
        self._note_function(name, n_arg)
        super().create_aggregate(name, n_arg, aggregate_class)
        self._undo.append(lambda: self._forget_function(name, n_arg))

    def create_window_function(self, name: str, num_params: int, aggregate_class: Any, /) -> None:
        self._note_function(name, num_params)
        super().create_window_function(name, num_params, aggregate_class)
        self._undo.append(lambda: self._forget_function(name, num_params))

    def create_collation(self, name: str, callback: Any, /) -> None:
        if name.upper() in _BUILT_IN_COLLATIONS:
            self._beyond_undo.append(f"the collation {name}, which SQLite has itself")
        super().create_collation(name, callback and self._heard(callback))
        self._undo.append(lambda: sqlite3.Connection.create_collation(self, name, None))

    def _forget_function(self, name: str, arguments: int) -> None:
        # Of the three calls that make functions only this one can take them back, of whichever kind.
        super().create_window_function(name, arguments, None)

    def _note_function(self, name: str, arguments: int) -> None:
        listed = "SELECT 1 FROM pragma_function_list WHERE builtin AND name = lower(?) AND narg IN (?, -1)"
        try:
            built_in = self.speak(listed, (name, arguments))
        except sqlite3.OperationalError:  # before 3.30 SQLite does not say which functions it has
            return
        built_in.row_factory = None  # the author's may not like this row
        if built_in.fetchone():
            self._beyond_undo.append(f"the function {name}(), which SQLite has itself")


class GuardedCursor(sqlite3.Cursor):
    """The cursors of a guarded connection: they look before each call, and say why afterwards."""

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        return self._guard._call(super().execute, sql, parameters)

    def executemany(self, sql: str, parameters: Any, /) -> Any:
        guard = self._guard
        if not isinstance(parameters, list | tuple):
            parameters = guard._until_ended(parameters)
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


def quoted(name: str) -> str:
    """An identifier as SQL, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'
