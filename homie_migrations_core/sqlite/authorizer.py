"""
What a migration may ask of SQLite: what is refused, with the reason, and a note of what the step touched.

SQLite asks its authorizer (https://sqlite.org/c3ref/set_authorizer.html) about every statement while it compiles it. A new pragma
is allowed here. Knows neither connection nor transaction: `guarded_transaction` does.
"""

from __future__ import annotations

import sqlite3

from homie_migrations_core.sqlite.names import TRACKING_TABLE

OUTER_SAVEPOINT, INNER_SAVEPOINT = "_homie_step", "_homie_since_commit"
NOT_TRACKING = f"a migration can't change {TRACKING_TABLE}: the runner keeps it"

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
READS = frozenset({sqlite3.SQLITE_READ, sqlite3.SQLITE_SELECT, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
WRITES = frozenset({sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE})
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
# CREATE TABLE of that name can only find that it exists, so IF NOT EXISTS may pass.
_HARMLESS_TO_TRACKING = frozenset({sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_ANALYZE, sqlite3.SQLITE_REINDEX})


class Touched:
    """What a step did to the database, as the authorizer saw it: which checks it needs."""

    __slots__ = ("altered", "created", "dropped", "may_refer", "read_records", "written")

    def __init__(self) -> None:
        self.written: set[str] = set()
        self.created: set[tuple[str, str]] = set()
        self.dropped: set[tuple[str, str]] = set()
        self.altered = False
        self.may_refer = True
        """Whether a table that was created may have foreign keys. A script without the word REFERENCES makes none."""
        self.read_records = False
        """Whether a statement reads the tracking table."""


class StepAuthorizer:
    """Decides about every statement of one step, and notes what it touched. All names are in small letters."""

    __slots__ = ("_just_dropped", "pragmas", "savepoints", "temporary", "touched", "wrote")

    def __init__(self) -> None:
        self.touched = Touched()
        self.wrote = False
        """Whether anything was written since the last call began."""
        self.pragmas: set[str] = set()
        """The pragmas that the step set on its connection."""
        self.temporary = False
        """Whether the step made or dropped something temporary."""
        self.savepoints = False
        """Whether the step used savepoints of its own."""
        self._just_dropped = ""

    def refusal(self, action: int, a: str | None, b: str | None, database: str | None) -> str | None:
        """
        Return why the step may not do this, or None if it may.

        `action`, `a`, `b` and `database` are what SQLite hands to an authorizer. BEGIN and COMMIT must not get here.
        """
        if action in READS:
            return None
        if action in WRITES:
            return self._refusal_to_write((a or "").lower())
        if action == sqlite3.SQLITE_PRAGMA:
            return self._refusal_of_pragma((a or "").lower(), b)
        if action == sqlite3.SQLITE_TRANSACTION:
            return "SQL ROLLBACK would end the runner's transaction: raise an exception, or call conn.rollback()"
        if action == sqlite3.SQLITE_SAVEPOINT:
            if (b or "").lower() in (OUTER_SAVEPOINT, INNER_SAVEPOINT):
                return f"the savepoint {b} is the runner's own"
            self.savepoints = True
            return None
        if action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH):
            return "ATTACH and DETACH can't be part of an atomic step: read another file over a connection of its own"
        if database == "temp":  # a virtual table has no action of its own for it
            self.temporary = True
        return self._refusal_to_change_schema(action, (a or "").lower(), (b or "").lower())

    def _refusal_to_write(self, table: str) -> str | None:
        if table == TRACKING_TABLE:
            return NOT_TRACKING
        if not table.startswith("sqlite_"):
            self.wrote = True
            self.touched.written.add(table)
        return None

    def _refusal_of_pragma(self, name: str, value: str | None) -> str | None:
        if name in _CONNECTION_PRAGMAS:
            if value is not None:
                self.pragmas.add(name)
        elif name in _ROLLED_BACK_PRAGMAS:
            self.wrote = self.wrote or value is not None
        elif name == "foreign_keys" or name in _READING_PRAGMAS:
            pass  # enforcement is off in a migration, and SQLite ignores the switch inside a transaction
        elif value is not None or name in _ACTING_PRAGMAS:
            return f"PRAGMA {name} can't be part of an atomic step: it would outlive a rollback, or do nothing here"
        return None

    def _refusal_to_change_schema(self, action: int, a: str, b: str) -> str | None:
        name = b if action in (sqlite3.SQLITE_ALTER_TABLE, sqlite3.SQLITE_CREATE_INDEX) else a
        if TRACKING_TABLE in (name, b) and action not in _HARMLESS_TO_TRACKING:
            return NOT_TRACKING
        self.wrote = True
        if action in _CREATES:
            self.touched.created.add((_CREATES[action], a))
            if action == sqlite3.SQLITE_CREATE_VTABLE:
                self.touched.may_refer = True  # its module may create tables by statements of its own
            self._just_dropped = ""
        elif action in _DROPS:
            # SQLite also asks about the triggers that are dropped with their table; the migration did not name those.
            if not (action == sqlite3.SQLITE_DROP_TRIGGER and b == self._just_dropped):
                self.touched.dropped.add((_DROPS[action], a))
            if action == sqlite3.SQLITE_DROP_TABLE:
                self._just_dropped = a
        elif action in _TEMPORARY:
            self.temporary = True
        elif action == sqlite3.SQLITE_ALTER_TABLE:
            self.touched.altered = True
        return None
