"""What a migration may not ask of SQLite, and what happens to one that gets past the guard."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest
from helpers import query, run_sql
from sqlite import guarded_run
from sqlite.guarded_run import (
    EXECUTORS,
    INSERT,
    MODES,
    OLD,
    GuardedRun,
    execute,
    script,
)

# The fixtures of this module
one_run, tried = guarded_run.one_run, guarded_run.tried


# --- what is refused ------------------------------------------------------------------------------------

REFUSED_SQL = {
    "ROLLBACK": "SQL ROLLBACK",
    "ROLLBACK TRANSACTION": "SQL ROLLBACK",
    "ATTACH ':memory:' AS other": "ATTACH and DETACH",
    "ATTACH 'beside.db' AS other": "ATTACH and DETACH",
    "DETACH main": "ATTACH and DETACH",
    "VACUUM": "VACUUM",
    "VACUUM INTO 'copy.db'": "VACUUM",
    "PRAGMA journal_mode = WAL": "PRAGMA journal_mode",
    "PRAGMA journal_mode = OFF": "PRAGMA journal_mode",
    "PRAGMA main.journal_mode(memory)": "PRAGMA journal_mode",
    "PRAGMA locking_mode = EXCLUSIVE": "PRAGMA locking_mode",
    "PRAGMA synchronous = OFF": "PRAGMA synchronous",
    "PRAGMA writable_schema = ON": "PRAGMA writable_schema",
    "PRAGMA query_only = ON": "PRAGMA query_only",
    "PRAGMA ignore_check_constraints = ON": "PRAGMA ignore_check_constraints",
    "PRAGMA max_page_count = 3": "PRAGMA max_page_count",
    "PRAGMA page_size = 8192": "PRAGMA page_size",
    "PRAGMA auto_vacuum = FULL": "PRAGMA auto_vacuum",
    "PRAGMA encoding = 'UTF-16'": "PRAGMA encoding",
    "PRAGMA schema_version = 99": "PRAGMA schema_version",
    "PRAGMA wal_checkpoint": "PRAGMA wal_checkpoint",
    "PRAGMA wal_checkpoint(TRUNCATE)": "PRAGMA wal_checkpoint",
    "PRAGMA wal_autocheckpoint = 1": "PRAGMA wal_autocheckpoint",
    "PRAGMA temp_store_directory = '/'": "PRAGMA temp_store_directory",
    "INSERT INTO schema_migrations (version, migration_name, pack) VALUES (9, '009_x', 'p')": "can't change schema_migrations",
    "REPLACE INTO Schema_Migrations (version, migration_name, pack) VALUES (9, '009_x', 'p')": "can't change schema_migrations",
    "UPDATE schema_migrations SET checksum = 'x'": "can't change schema_migrations",
    "DELETE FROM schema_migrations": "can't change schema_migrations",
    "DELETE FROM main.[SCHEMA_MIGRATIONS]": "can't change schema_migrations",
    "DROP TABLE schema_migrations": "can't change schema_migrations",
    "ALTER TABLE schema_migrations RENAME TO mine": "can't change schema_migrations",
    "ALTER TABLE schema_migrations ADD COLUMN more": "can't change schema_migrations",
    "ALTER TABLE schema_migrations DROP COLUMN checksum": "can't change schema_migrations",
    "ALTER TABLE schema_migrations RENAME COLUMN checksum TO sum": "can't change schema_migrations",
    "CREATE TRIGGER spy AFTER INSERT ON schema_migrations BEGIN SELECT 1; END": "can't change schema_migrations",
    "CREATE TEMP TRIGGER spy AFTER INSERT ON main.schema_migrations BEGIN SELECT 1; END": "can't change schema_migrations",
    "CREATE INDEX faster ON schema_migrations (migration_name)": "can't change schema_migrations",
    "CREATE UNIQUE INDEX once ON schema_migrations (duration_ms)": "can't change schema_migrations",
    "CREATE TEMP TABLE schema_migrations (version)": "can't change schema_migrations",
    "RELEASE _homie_step": "the runner's own",
    "ROLLBACK TO _HOMIE_SINCE_COMMIT": "the runner's own",
    'SAVEPOINT "_homie_step"': "the runner's own",
}
REFUSED_CALLS = {
    "conn.backup(sqlite3.connect(':memory:'))": "conn.backup()",
    "conn.deserialize(b'')": "conn.deserialize()",
    "conn.set_authorizer(None)": "conn.set_authorizer()",
    "conn.set_progress_handler(None, 0)": "conn.set_progress_handler()",
    "conn.enable_load_extension(True)": "conn.enable_load_extension()",
    "conn.rollback.__self__.blobopen('schema_migrations', 'checksum', 1)": "can't change schema_migrations",
    "sqlite3.Connection.rollback(conn)": "SQL ROLLBACK",
    "sqlite3.Connection.__exit__(conn, ValueError, ValueError(), None)": "SQL ROLLBACK",
    "sqlite3.connect(':memory:').backup(conn)": "in use",
}
if sys.version_info >= (3, 12):
    REFUSED_CALLS |= {
        "conn.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, False)": "conn.setconfig()",
        "sqlite3.Connection.autocommit.__set__(conn, False); sqlite3.Connection.rollback(conn)": "SQL ROLLBACK",
    }
CLOSES = """
_connect = sqlite3.connect
def _closing(*arguments, **options):
    made.append(_connect(*arguments, **options))
    return made[-1]
made = []
class sqlite3(type("same", (), {name: getattr(sqlite3, name) for name in dir(sqlite3) if not name.startswith("__")})):
    connect = staticmethod(_closing)
"""


def refused(tried: GuardedRun, call: str, reason: str) -> None:
    error = tried.run(
        f'conn.execute("{INSERT}")\ntry:\n    {call}  # here\nfinally:\n    for each in made: each.close()', head=CLOSES
    )
    tried.assert_nothing_was_visible()
    tried.assert_undone()
    assert error is not None
    assert reason in error.found
    assert tried.place in error.found


@pytest.mark.parametrize("sql", REFUSED_SQL)
def test_what_can_not_be_part_of_an_atomic_step_is_refused_with_the_reason_and_the_line(one_run: GuardedRun, sql: str) -> None:
    refused(one_run, f"conn.execute({sql!r})", REFUSED_SQL[sql])


@pytest.mark.parametrize("x", EXECUTORS)
@pytest.mark.parametrize(
    "sql", ["ROLLBACK", "ATTACH ':memory:' AS other", "PRAGMA journal_mode = WAL", "DELETE FROM schema_migrations"]
)
def test_it_is_refused_whichever_cursor_or_base_class_is_used(tried: GuardedRun, x: str, sql: str) -> None:
    refused(tried, execute(x, sql), REFUSED_SQL[sql])
    refused(tried, script(x, sql), REFUSED_SQL[sql])


@pytest.mark.parametrize("call", REFUSED_CALLS)
def test_calls_that_can_not_be_part_of_an_atomic_step_are_refused_with_the_reason_and_the_line(
    tried: GuardedRun, call: str
) -> None:
    refused(tried, call, REFUSED_CALLS[call])


@pytest.mark.parametrize("sql", REFUSED_SQL)
def test_a_refusal_that_is_swallowed_changes_nothing(tmp_path: Path, sql: str) -> None:
    tried = GuardedRun(tmp_path, MODES[len(sql) % 2])
    schema = query(tried.path, "SELECT sql FROM sqlite_schema")
    error = tried.run(
        f"""
        conn.execute("{INSERT}")
        try:
            conn.execute({sql!r})
        except sqlite3.OperationalError as error:
            assert {REFUSED_SQL[sql]!r} in str(error), error
        else:
            raise AssertionError("it was not refused")
        """
    )
    assert error is None
    tried.assert_nothing_was_visible()
    tried.assert_applied()
    assert query(tried.path, "SELECT sql FROM sqlite_schema") == schema
    assert query(tried.path, "PRAGMA user_version") == [(0,)]


def test_a_trigger_of_the_authors_own_can_not_change_the_record(one_run: GuardedRun) -> None:
    run_sql(one_run.path, "CREATE TRIGGER through AFTER INSERT ON t BEGIN DELETE FROM schema_migrations; END;")
    error = one_run.run(f'conn.execute("{INSERT}")  # here')
    one_run.assert_undone()
    assert "can't change schema_migrations" in str(error)
    assert one_run.place in str(error)


@pytest.mark.parametrize("when", ["BEFORE INSERT", "BEFORE UPDATE"])
def test_a_trigger_that_swallows_the_record_fails_the_migration(one_run: GuardedRun, when: str) -> None:
    run_sql(one_run.path, f"CREATE TRIGGER swallow {when} ON schema_migrations BEGIN SELECT RAISE(IGNORE); END;")
    error = one_run.run(f'conn.execute("{INSERT}")')
    one_run.assert_undone()
    assert "its row in schema_migrations vanished" in str(error)


def test_a_record_that_can_not_be_kept_fails_the_migration(one_run: GuardedRun) -> None:
    run_sql(one_run.path, "CREATE TRIGGER refuse BEFORE INSERT ON schema_migrations BEGIN SELECT RAISE(ABORT, 'no more'); END;")
    error = one_run.run(f'conn.execute("{INSERT}")')
    one_run.assert_undone()
    assert "its record could not be kept (no more)" in str(error)


@pytest.mark.parametrize(
    "call", ["sqlite3.Connection.deserialize(conn, other)", "sqlite3.Connection.deserialize(conn, other, name='main')"]
)
def test_a_database_that_is_replaced_past_the_guard_fails_the_migration(tried: GuardedRun, call: str) -> None:
    error = tried.run(
        f"""
        conn.execute("{INSERT}")
        donor = sqlite3.connect(":memory:")
        donor.execute("CREATE TABLE t (id, v)")
        other = donor.serialize()
        donor.close()
        try:
            {call}
        except sqlite3.Error:
            pass
        else:
            conn.execute("INSERT INTO t VALUES (5, 'memory')")
        raise RuntimeError("either way")
        """
    )
    assert error is not None
    tried.assert_undone()


def test_a_transaction_that_was_replaced_by_another_one_is_noticed(tried: GuardedRun) -> None:
    """
    Code that takes the authorizer away past the guard can commit, and nothing in Python can prevent that.

    The transaction that is open at the end is then not the runner's, and the migration is not reported as applied.
    """
    error = tried.run(
        """
        sqlite3.Connection.set_authorizer(conn, None)
        sqlite3.Cursor(conn).execute("COMMIT")
        sqlite3.Cursor(conn).execute("BEGIN")
        conn.execute("INSERT INTO t VALUES (2, 'new')")
        """
    )
    assert error is not None
    assert tried.rows == OLD


# --- a connection of the author's own -------------------------------------------------------------------


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_second_connection_that_writes_is_locked_out_and_the_error_names_the_cause(tried: GuardedRun, wrapped: bool) -> None:
    body = f"""
        own = sqlite3.connect({str(tried.path)!r}, timeout=0)
        try:
            own.execute("INSERT INTO t VALUES (3, 'own')")  # here
        finally:
            own.close()
    """
    if wrapped:
        body = f"try:\n{textwrap.indent(textwrap.dedent(body), '    ')}\nexcept sqlite3.Error as error:\n    raise RuntimeError('no luck') from error"
    error = tried.run(f'conn.execute("{INSERT}")\n{textwrap.dedent(body)}')
    tried.assert_undone()
    assert error is not None
    assert "A second connection to the same file waits for the migration's own lock" in str(error)
    assert tried.file.name in str(error)
    assert wrapped or tried.place in str(error)


def test_a_second_connection_that_reads_sees_the_old_state(tried: GuardedRun) -> None:
    assert tried.run(f'conn.execute("{INSERT}"); conn.commit()') is None  # `look` reads, and says what it saw
    tried.assert_nothing_was_visible()
