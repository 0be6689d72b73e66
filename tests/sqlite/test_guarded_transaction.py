"""What an author's code may do to the transaction, tried through the runner and looked at from outside.

Every migration here runs on a database that holds a table and a record, so it has a transaction of its own, and
nothing in that transaction makes SQLite compile its statements again by accident.
"""

from __future__ import annotations

import signal
import sys
import textwrap
from pathlib import Path

import pytest
from helpers import query, run_sql
from sqlite import guarded_run
from sqlite.guarded_run import (
    CLASH,
    EXECUTORS,
    INSERT,
    MODES,
    NEW,
    GuardedRun,
    execute,
    script,
)

# The fixtures of this module
tried = guarded_run.tried


# --- ways to end a transaction, all of which keep working and make nothing durable ----------------------

STATEMENTS = {
    "commit": lambda x: execute(x, "COMMIT"),
    "end": lambda x: execute(x, "END TRANSACTION"),
    "begin": lambda x: execute(x, "BEGIN"),
    "begin_exclusive": lambda x: execute(x, "BEGIN EXCLUSIVE"),
    "commit_begin": lambda x: execute(x, "COMMIT", "BEGIN IMMEDIATE"),
    "commits": lambda x: execute(x, "COMMIT", "COMMIT", "END"),
    "script": lambda x: script(x, "SELECT 1;"),
    "script_of_nothing": lambda x: script(x, ""),
    "script_with_transaction": lambda x: script(x, "BEGIN; UPDATE t SET v = v; COMMIT;"),
    "script_that_stays_open": lambda x: script(x, "COMMIT; BEGIN;"),
}
WAYS = {f"{x}-{way}": code(x) for x in EXECUTORS for way, code in STATEMENTS.items()} | {
    "conn.commit": "conn.commit()",
    "Connection.commit": "sqlite3.Connection.commit(conn)",
    "with": "with conn: conn.execute('SELECT 1')",
    "with_nested": "with conn:\n    with conn: pass",
    "Connection.__exit__": "sqlite3.Connection.__exit__(conn, None, None, None)",
    "isolation_level_none": "conn.isolation_level = None",
    "isolation_level_deferred": "conn.isolation_level = 'DEFERRED'; conn.execute('UPDATE t SET v = v'); conn.commit()",
    "Connection.isolation_level": "sqlite3.Connection.isolation_level.__set__(conn, None)",
    "Connection.isolation_level_and_back": "sqlite3.Connection.isolation_level.__set__(conn, 'DEFERRED'); sqlite3.Connection.commit(conn)",
    "autocommit_on": "conn.autocommit = True",
    "autocommit_off": "conn.autocommit = False; conn.commit()",
    "autocommit_off_and_on": "conn.autocommit = False; conn.autocommit = True",
    "close": "conn.close()",
    "closing": "import contextlib\nwith contextlib.closing(conn): pass",
    "serialize": "conn.serialize()",
    "iterdump": "list(conn.iterdump())",
    "cursor_of_cursor": "conn.cursor(type(conn.cursor())).execute('COMMIT')",
    "cursor_function": "conn.cursor(lambda c: sqlite3.Cursor(c)).execute('COMMIT')",
    "many_commits_cached": "for _ in range(200): conn.execute('COMMIT')",
    "unread_returning": "globals()['kept'] = conn.execute(\"INSERT INTO t VALUES (9, '') RETURNING id\"); conn.execute('DELETE FROM t WHERE id = 9')",
    "unread_select": "globals()['kept'] = conn.execute('SELECT * FROM t')",
    "open_blob": "globals()['kept'] = conn.blobopen('t', 'v', 2)",
}
if sys.version_info >= (3, 12):
    WAYS |= {
        "Connection.autocommit_on": "sqlite3.Connection.autocommit.__set__(conn, True)",
        "Connection.autocommit_off": "sqlite3.Connection.autocommit.__set__(conn, False); sqlite3.Connection.commit(conn)",
    }


@pytest.mark.parametrize("way", WAYS)
def test_what_would_end_the_transaction_keeps_working_and_makes_nothing_durable(tried: GuardedRun, way: str) -> None:
    body = f'conn.execute("{INSERT}")\n{WAYS[way]}'
    error = tried.run(f'{body}\nraise RuntimeError("after it")  # here')
    tried.assert_nothing_was_visible()
    tried.assert_undone()
    assert error is not None
    assert "RuntimeError: after it" in error.found
    assert tried.place in error.found

    assert tried.run(body) is None
    tried.assert_nothing_was_visible()
    tried.assert_applied()


@pytest.mark.parametrize("way", ["conn-commit", "conn-script_with_transaction", "conn.commit", "with", "autocommit_off"])
def test_a_verification_that_fails_undoes_what_was_committed_before_it(tried: GuardedRun, way: str) -> None:
    error = tried.run(f'conn.execute("{INSERT}")\n{WAYS[way]}', verify="raise ValueError('not so')  # here")
    tried.assert_undone()
    assert "ValueError: not so" in str(error)
    assert tried.place in str(error)


def test_a_verification_that_commits_and_fails_leaves_nothing(tried: GuardedRun) -> None:
    error = tried.run(f'conn.execute("{INSERT}")', verify="conn.commit()\nassert False, 'not so'  # here")
    tried.assert_undone()
    assert tried.place in str(error)


def test_a_verification_can_not_make_good_what_was_rolled_back_before_it(tried: GuardedRun) -> None:
    error = tried.run(
        f'conn.execute("{INSERT}")\nconn.rollback()  # here', verify="conn.execute('UPDATE t SET v = v')\nconn.commit()"
    )
    tried.assert_undone()
    assert "its last word was conn.rollback()" in str(error)
    assert tried.place in str(error)


# --- SQLite ends the transaction by itself --------------------------------------------------------------

SETUP = {
    "or_rollback": ("", CLASH),
    "update_or_rollback": ("", "UPDATE OR ROLLBACK t SET id = 1 WHERE id = 2"),
    "on_conflict_rollback": (
        "CREATE TABLE strict_ones (id INTEGER PRIMARY KEY ON CONFLICT ROLLBACK); INSERT INTO strict_ones VALUES (1);",
        "INSERT INTO strict_ones VALUES (1)",
    ),
    "raise_rollback": (
        "CREATE TRIGGER no AFTER INSERT ON t WHEN new.id = 99 BEGIN SELECT RAISE(ROLLBACK, 'not 99'); END;",
        "INSERT INTO t VALUES (99, '')",
    ),
}
GOES_ON = {
    "stops": "pass",
    "conn": "for i in range(10, 20): conn.execute('INSERT INTO t VALUES (?, ?)', (i, ''))",
    "cursor": "c = conn.cursor()\nfor i in range(10, 20): c.execute('INSERT INTO t VALUES (?, ?)', (i, ''))",
    "bare_cursor": "c = sqlite3.Cursor(conn)\nfor i in range(10, 20): c.execute('INSERT INTO t VALUES (?, ?)', (i, ''))",
    "executemany": "conn.executemany('INSERT INTO t VALUES (?, ?)', [(i, '') for i in range(10, 20)])",
    "script": "conn.executescript('INSERT INTO t VALUES (10, 10);')",
    "bare_script": "sqlite3.Cursor(conn).executescript('BEGIN; INSERT INTO t VALUES (10, 10); COMMIT;')",
    "begins_again": "conn.execute('BEGIN'); conn.execute(\"INSERT INTO t VALUES (10, '')\"); conn.commit()",
    "bare_begin": "sqlite3.Cursor(conn).execute('BEGIN')",
    "commit": "conn.commit()",
    "rollback": "conn.rollback()",
    "with": "with conn: conn.execute(\"INSERT INTO t VALUES (10, '')\")",
    "blob": "with conn.blobopen('t', 'v', 1) as blob: blob.write(b'bad')",
    "pragma": "conn.execute('PRAGMA user_version = 7')",
    "ddl": "conn.execute('CREATE TABLE left_behind (a)')",
}


@pytest.mark.parametrize("goes_on", GOES_ON)
@pytest.mark.parametrize("x", ["conn", "bare_cursor"])
@pytest.mark.parametrize("cause", SETUP)
def test_a_migration_in_which_sqlite_ended_the_transaction_has_failed_even_if_it_caught_the_error(
    tmp_path: Path, cause: str, x: str, goes_on: str
) -> None:
    tried = GuardedRun(tmp_path, MODES[(list(GOES_ON).index(goes_on) + len(x)) % 2])  # every cause meets both
    setup, statement = SETUP[cause]
    run_sql(tried.path, setup)
    body = f"""conn.execute("{INSERT}")
try:
    {execute(x, statement)}  # here
except sqlite3.Error:
    pass
try:
{textwrap.indent(GOES_ON[goes_on], "    ")}
except sqlite3.Error:
    pass"""
    error = tried.run(body)
    tried.assert_nothing_was_visible()
    tried.assert_undone()
    assert query(tried.path, "PRAGMA user_version") == [(0,)]
    assert query(tried.path, "SELECT 1 FROM sqlite_schema WHERE name = 'left_behind'") == []
    assert error is not None
    assert "SQLite ended the transaction by itself" in error.found
    assert (tried.place if x == "conn" else tried.file.name) in error.found  # a bare connection does not pass on its error


@pytest.mark.parametrize("cause", SETUP)
def test_an_error_that_ended_the_transaction_is_named_when_it_is_not_swallowed(tried: GuardedRun, cause: str) -> None:
    setup, statement = SETUP[cause]
    run_sql(tried.path, setup)
    error = tried.run(f'conn.execute("{INSERT}")\nconn.execute("{statement}")  # here')
    tried.assert_undone()
    assert "SQLite ended the transaction by itself" in str(error)
    assert tried.place in str(error)


def test_rows_that_follow_after_sqlite_ended_the_transaction_are_not_written(tried: GuardedRun) -> None:
    """The statement of an executemany() is compiled already, so SQLite does not call the authorizer again."""
    bare = "sqlite3.Cursor(conn)"
    for outer, inner, then in [
        ("conn", "conn", ""),
        ("conn", bare, ""),
        (bare, "conn", ""),
        (bare, bare, "conn.execute('SELECT 1')"),
    ]:
        error = tried.run(
            f"""
            def rows():
                for i in range(10, 20):
                    try:
                        {inner}.execute("{CLASH}")  # here
                    except sqlite3.Error:
                        pass
                    try:
                        {then or "pass"}
                    except sqlite3.Error:
                        pass
                    yield (i, "")
            try:
                {outer}.executemany("INSERT INTO t VALUES (?, ?)", rows())
            except sqlite3.Error:
                pass
            """
        )
        tried.assert_undone()
        assert "SQLite ended the transaction by itself" in str(error)


def test_a_write_that_is_interrupted_is_a_failure_or_undone_but_never_half_done(tried: GuardedRun) -> None:
    run_sql(
        tried.path, "CREATE TABLE many (a); INSERT INTO many SELECT 1 FROM pragma_function_list, pragma_function_list LIMIT 5000;"
    )
    error = tried.run(
        f"""
        conn.execute("{INSERT}")
        conn.create_function("give_up", 0, lambda: conn.interrupt())
        try:
            conn.execute("INSERT INTO many SELECT give_up() FROM many")  # here
        except sqlite3.OperationalError:
            pass
        """
    )
    assert query(tried.path, "SELECT count(*) FROM many") == [(5000,)]
    if error is None:
        tried.assert_applied()
    else:
        tried.assert_undone()
        assert tried.place in error.found


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit of this kind")
def test_a_file_that_can_not_grow_leaves_the_old_state(tried: GuardedRun) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        error = tried.run(
            f"""
            conn.execute("{INSERT}")
            conn.execute("PRAGMA cache_size = 10")
            conn.execute("CREATE TABLE big (a)")
            try:
                for _ in range(100):
                    conn.execute("INSERT INTO big VALUES (zeroblob(10000))")
            except sqlite3.Error:
                pass
            conn.commit()
            """
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    tried.assert_undone()
    assert error is not None


@pytest.mark.parametrize("afterwards", ["", "conn.execute('SELECT 1')", "raise RuntimeError('after it')", "conn.commit()"])
def test_a_connection_that_is_closed_behind_the_guards_back_fails_the_migration(tried: GuardedRun, afterwards: str) -> None:
    error = tried.run(f'conn.execute("{INSERT}")\nsqlite3.Connection.close(conn)\n{afterwards}')
    tried.assert_nothing_was_visible()
    tried.assert_undone()
    assert error is not None
    assert tried.file.name in error.found


# --- what conn.rollback() undoes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        ("{a}; conn.rollback(); {b}", "b"),
        ("{a}; conn.commit(); {b}; conn.rollback(); conn.commit()", "a"),
        ("{a}; conn.commit(); {b}; conn.rollback(); {c}", "ac"),
        ("{a}; conn.executescript('SELECT 1;'); {b}; conn.rollback(); {c}", "ac"),
        ("{a}; conn.execute('COMMIT'); {b}; conn.rollback(); {c}", "ac"),
        ("{a}; conn.execute('BEGIN'); {b}; conn.rollback(); {c}", "ac"),
        ("{a}; conn.isolation_level = None; {b}; conn.rollback(); {c}", "ac"),
        ("{a}; conn.autocommit = True; {b}; conn.rollback(); {c}", "ac"),
        ("{a}; conn.rollback(); conn.rollback(); {b}", "b"),
        ("conn.rollback(); {a}", "a"),
        ("{a}; conn.execute('SAVEPOINT s'); {b}; conn.rollback(); {c}", "c"),
        ("{a}; conn.execute('SAVEPOINT s'); {b}; conn.execute('ROLLBACK TO s'); {c}", "ac"),
        ("{a}; conn.execute('SAVEPOINT s'); {b}; conn.execute('RELEASE s'); {c}; conn.rollback(); {b}", "b"),
        ("conn.execute('CREATE TABLE made (a)'); conn.rollback(); {a}", "a"),
        ("conn.executescript(\"INSERT INTO t VALUES (2, 'a'); COMMIT;\"); {b}; conn.rollback(); {c}", "ac"),
    ],
)
def test_rollback_undoes_what_was_done_since_the_last_commit(tried: GuardedRun, body: str, rows: str) -> None:
    inserts = {name: f"conn.execute(\"INSERT INTO t VALUES ({number}, '{name}')\")" for number, name in enumerate("abc", start=2)}
    assert tried.run(body.format(**inserts)) is None
    tried.assert_nothing_was_visible()
    tried.assert_applied(sorted([(1, "old"), *(("abc".index(name) + 2, name) for name in rows)]))
    assert query(tried.path, "SELECT 1 FROM sqlite_schema WHERE name = 'made'") == []


def test_a_script_that_fails_keeps_what_was_done_before_it_as_sqlite3_does(tried: GuardedRun) -> None:
    error = tried.run(
        f"""
        conn.execute("{INSERT}")
        try:
            conn.executescript("INSERT INTO t VALUES (3, 'half'); INSERT INTO nowhere VALUES (1);")
        except sqlite3.OperationalError:
            conn.rollback()
        conn.execute("INSERT INTO t VALUES (4, 'instead')")
        """
    )
    assert error is None
    tried.assert_applied([*NEW, (4, "instead")])


@pytest.mark.parametrize("ending", ["conn.commit()", "conn.execute('COMMIT')", "with conn: pass"])
def test_a_loop_over_a_select_may_commit_after_each_row(tried: GuardedRun, ending: str) -> None:
    error = tried.run(
        f"""
        for (number,) in conn.execute("SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4"):
            conn.execute("INSERT INTO t VALUES (?, 'new')", (number,))
            {ending}
        """
    )
    assert error is None
    tried.assert_nothing_was_visible()
    tried.assert_applied([*NEW, (3, "new"), (4, "new")])


def test_with_conn_undoes_its_block_and_a_loop_may_continue_with_the_next_row(tried: GuardedRun) -> None:
    error = tried.run(
        """
        conn.execute("INSERT INTO t VALUES (2, 'new')")
        conn.commit()
        for number in (3, 1, 4, 1, 1):
            try:
                with conn:
                    conn.execute("INSERT INTO t VALUES (?, 'first')", (number + 10,))
                    conn.execute("INSERT INTO t VALUES (?, 'second')", (number,))
            except sqlite3.IntegrityError:
                pass
        """
    )
    assert error is None
    tried.assert_applied([*NEW, (3, "second"), (4, "second"), (13, "first"), (14, "first")])


LAST_WORDS = {
    "rollback": "conn.rollback()  # here",
    "swallowed": "try:\n    conn.execute('nonsense')\nexcept sqlite3.Error:\n    conn.rollback()  # here",
    "after_commit": "conn.commit(); conn.rollback()  # here",
    "reads_after_it": "conn.rollback()  # here\nconn.execute('SELECT * FROM t').fetchall()",
    "reads_recursively": (
        "conn.rollback()  # here\n"
        "conn.execute('WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT * FROM n').fetchall()"
    ),
    "writes_without_success": (
        "conn.rollback()  # here\ntry:\n    conn.execute(\"INSERT INTO t VALUES (1, 'clash')\")\nexcept sqlite3.Error:\n    pass"
    ),
}


@pytest.mark.parametrize("last", LAST_WORDS)
def test_a_migration_that_ends_with_a_rollback_has_failed(tried: GuardedRun, last: str) -> None:
    error = tried.run(f'conn.execute("{INSERT}")\n{LAST_WORDS[last]}')
    tried.assert_nothing_was_visible()
    tried.assert_undone()
    assert error is not None
    assert "its last word was conn.rollback()" in error.found
    assert tried.place in error.found


def test_a_rollback_that_is_raised_again_shows_the_error_that_caused_it(tried: GuardedRun) -> None:
    error = tried.run("try:\n    conn.execute('nonsense')  # here\nexcept sqlite3.Error:\n    conn.rollback()\n    raise")
    tried.assert_undone()
    assert 'near "nonsense"' in str(error)
    assert tried.place in str(error)
