"""
What an author's code may do to the transaction, tried through the runner and looked at from outside.

Every migration here runs on a database that holds a table and a record, so it has a transaction of its own, and
nothing in that transaction makes SQLite compile its statements again by accident.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from helpers import python_migration, query, recorded, run_sql, write_pack
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homie_migrations_core import MigrationRunner
from homie_migrations_core.errors import MigrationFailed

OLD = [(1, "old")]
NEW = [(1, "old"), (2, "new")]
INSERT = "INSERT INTO t VALUES (2, 'new')"
CLASH = "INSERT OR ROLLBACK INTO t VALUES (1, 'clash')"
MODES = ("delete", "wal")


FIRST = python_migration(1)


@cache
def prepared(mode: str) -> tuple[bytes, list[str]]:
    """The file that every scene of this mode begins with, and what is recorded in it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "homie_p.db")
        run_sql(
            path,
            f"""PRAGMA journal_mode={mode};
            CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
            INSERT INTO t VALUES (1, 'old');""",
        )
        MigrationRunner(path, [write_pack(Path(folder, "pack"), "p", {"001_first.py": FIRST})], backup=False).apply()
        return path.read_bytes(), recorded(path)


class Scene:
    """A database with one table, one row and one record; and one migration that is about to run on it."""

    def __init__(self, folder: Path, mode: str) -> None:
        self.path, self._folder, self._mode = folder / "homie_p.db", folder / "pack", mode
        self.file = self._folder / "002_tried.py"
        self._seen = folder / "seen.json"
        database, record = prepared(mode)
        self.path.write_bytes(database)
        os.utime(self.path, (0, 0))  # a file that was just written is given a moment to settle before it is read
        write_pack(self._folder, "p", {"001_first.py": FIRST})
        assert recorded(self.path) == record

    def apply(self, files: dict[str, str]) -> MigrationFailed | None:
        """What applying these files, beside those that are there, ends in."""
        pack = write_pack(self._folder, "p", files)
        try:
            MigrationRunner(self.path, [pack], backup=False, lock_timeout=2.0).apply()
        except MigrationFailed as error:
            return error
        return None

    def run(self, body: str, *, head: str = "", **more: str) -> MigrationFailed | None:
        """Run `body` as a migration. At its end, however it ends, it looks at the file over a connection of its own."""
        look = f"""
        def look():
            import json
            outside = sqlite3.connect("file:{self.path.as_posix()}?mode=ro", uri=True)
            try:
                seen = [outside.execute("SELECT * FROM t ORDER BY id").fetchall(), outside.execute("SELECT version FROM schema_migrations").fetchall()]
            finally:
                outside.close()
            with open({str(self._seen)!r}, "w") as file:
                json.dump(seen, file)
        """
        inner = textwrap.indent(textwrap.dedent(body).strip(), "    ")
        body = f"try:\n{inner}\nfinally:\n    look()"
        source = python_migration(2, body, head=textwrap.dedent(head) + textwrap.dedent(look), **more)
        return self.apply({self.file.name: source})

    def seen_before_the_end(self) -> object:
        return json.loads(self._seen.read_text())

    def line(self, mark: str = "# here") -> int:
        """The line of the migration with this mark."""
        lines = self.file.read_text(encoding="utf-8").splitlines()
        return next(number for number, line in enumerate(lines, start=1) if line.endswith(mark))

    @property
    def place(self) -> str:
        return f"{self.file.name}, line {self.line()}"

    @property
    def rows(self) -> list[tuple]:
        return query(self.path, "SELECT * FROM t ORDER BY id")

    def assert_undone(self) -> None:
        assert (self.rows, recorded(self.path)) == (OLD, ["p:001_first"])
        self._assert_whole()

    def assert_applied(self, rows: list[tuple] = NEW) -> None:
        assert (self.rows, recorded(self.path)) == (rows, ["p:001_first", "p:002_tried"])
        self._assert_whole()

    def assert_nothing_was_visible(self) -> None:
        assert self.seen_before_the_end() == [[list(row) for row in OLD], [[1]]]

    def _assert_whole(self) -> None:
        assert query(self.path, "PRAGMA integrity_check") == [("ok",)]
        assert query(self.path, "PRAGMA journal_mode") == [(self._mode,)]


@pytest.fixture(params=MODES)
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Scene:
    return Scene(tmp_path, request.param)


@pytest.fixture
def one_scene(tmp_path: Path) -> Scene:
    """For what has nothing to do with the journal."""
    return Scene(tmp_path, "delete")


# --- ways to end a transaction, all of which keep working and make nothing durable ----------------------

EXECUTORS = {
    "conn": "conn.{m}({a})",
    "cursor": "conn.cursor().{m}({a})",
    "bare_cursor": "sqlite3.Cursor(conn).{m}({a})",
    "own_cursor": "conn.cursor(type('Own', (sqlite3.Cursor,), {{}})).{m}({a})",
    "conns_class": "sqlite3.Connection.{m}(conn, {a})",
    "cursors_class": "sqlite3.Cursor.{m}(conn.cursor(), {a})",
}


def execute(x: str, *statements: str) -> str:
    """These statements, each executed by way of `x`."""
    return "; ".join(EXECUTORS[x].format(m="execute", a=repr(each)) for each in statements)


def script(x: str, script: str) -> str:
    """This script, executed by way of `x`."""
    return EXECUTORS[x].format(m="executescript", a=repr(script))


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
def test_what_would_end_the_transaction_keeps_working_and_makes_nothing_durable(scene: Scene, way: str) -> None:
    body = f'conn.execute("{INSERT}")\n{WAYS[way]}'
    error = scene.run(f'{body}\nraise RuntimeError("after it")  # here')
    scene.assert_nothing_was_visible()
    scene.assert_undone()
    assert error is not None
    assert "RuntimeError: after it" in error.found
    assert scene.place in error.found

    assert scene.run(body) is None
    scene.assert_nothing_was_visible()
    scene.assert_applied()


@pytest.mark.parametrize("way", ["conn-commit", "conn-script_with_transaction", "conn.commit", "with", "autocommit_off"])
def test_a_verification_that_fails_undoes_what_was_committed_before_it(scene: Scene, way: str) -> None:
    error = scene.run(f'conn.execute("{INSERT}")\n{WAYS[way]}', verify="raise ValueError('not so')  # here")
    scene.assert_undone()
    assert "ValueError: not so" in str(error)
    assert scene.place in str(error)


def test_a_verification_that_commits_and_fails_leaves_nothing(scene: Scene) -> None:
    error = scene.run(f'conn.execute("{INSERT}")', verify="conn.commit()\nassert False, 'not so'  # here")
    scene.assert_undone()
    assert scene.place in str(error)


def test_a_verification_can_not_make_good_what_was_rolled_back_before_it(scene: Scene) -> None:
    error = scene.run(
        f'conn.execute("{INSERT}")\nconn.rollback()  # here', verify="conn.execute('UPDATE t SET v = v')\nconn.commit()"
    )
    scene.assert_undone()
    assert "its last word was conn.rollback()" in str(error)
    assert scene.place in str(error)


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
def test_a_migration_in_which_sqlite_ended_the_transaction_has_failed_whatever_it_swallowed(
    tmp_path: Path, cause: str, x: str, goes_on: str
) -> None:
    scene = Scene(tmp_path, MODES[(list(GOES_ON).index(goes_on) + len(x)) % 2])  # every cause meets both
    setup, statement = SETUP[cause]
    run_sql(scene.path, setup)
    body = f"""conn.execute("{INSERT}")
try:
    {execute(x, statement)}  # here
except sqlite3.Error:
    pass
try:
{textwrap.indent(GOES_ON[goes_on], "    ")}
except sqlite3.Error:
    pass"""
    error = scene.run(body)
    scene.assert_nothing_was_visible()
    scene.assert_undone()
    assert query(scene.path, "PRAGMA user_version") == [(0,)]
    assert query(scene.path, "SELECT 1 FROM sqlite_schema WHERE name = 'left_behind'") == []
    assert error is not None
    assert "SQLite ended the transaction by itself" in error.found
    assert (scene.place if x == "conn" else scene.file.name) in error.found  # a bare one tells nobody of its error


@pytest.mark.parametrize("cause", SETUP)
def test_an_error_that_ended_the_transaction_is_named_when_it_is_not_swallowed(scene: Scene, cause: str) -> None:
    setup, statement = SETUP[cause]
    run_sql(scene.path, setup)
    error = scene.run(f'conn.execute("{INSERT}")\nconn.execute("{statement}")  # here')
    scene.assert_undone()
    assert "SQLite ended the transaction by itself" in str(error)
    assert scene.place in str(error)


def test_rows_that_go_on_coming_after_sqlite_ended_the_transaction_are_not_written(scene: Scene) -> None:
    """The statement of an executemany() is compiled already, so SQLite asks nobody about it again."""
    bare = "sqlite3.Cursor(conn)"
    for outer, inner, then in [
        ("conn", "conn", ""),
        ("conn", bare, ""),
        (bare, "conn", ""),
        (bare, bare, "conn.execute('SELECT 1')"),
    ]:
        error = scene.run(
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
        scene.assert_undone()
        assert "SQLite ended the transaction by itself" in str(error)


def test_a_write_that_is_interrupted_is_a_failure_or_undone_but_never_half_done(scene: Scene) -> None:
    run_sql(
        scene.path, "CREATE TABLE many (a); INSERT INTO many SELECT 1 FROM pragma_function_list, pragma_function_list LIMIT 5000;"
    )
    error = scene.run(
        f"""
        conn.execute("{INSERT}")
        conn.create_function("give_up", 0, lambda: conn.interrupt())
        try:
            conn.execute("INSERT INTO many SELECT give_up() FROM many")  # here
        except sqlite3.OperationalError:
            pass
        """
    )
    assert query(scene.path, "SELECT count(*) FROM many") == [(5000,)]
    if error is None:
        scene.assert_applied()
    else:
        scene.assert_undone()
        assert scene.place in error.found


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit of this kind")
def test_a_file_that_can_not_grow_leaves_the_old_state(scene: Scene) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        error = scene.run(
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
    scene.assert_undone()
    assert error is not None


@pytest.mark.parametrize("afterwards", ["", "conn.execute('SELECT 1')", "raise RuntimeError('after it')", "conn.commit()"])
def test_a_connection_that_is_closed_behind_the_guards_back_fails_the_migration(scene: Scene, afterwards: str) -> None:
    error = scene.run(f'conn.execute("{INSERT}")\nsqlite3.Connection.close(conn)\n{afterwards}')
    scene.assert_nothing_was_visible()
    scene.assert_undone()
    assert error is not None
    assert scene.file.name in error.found


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
def test_rollback_undoes_what_was_done_since_the_last_commit(scene: Scene, body: str, rows: str) -> None:
    inserts = {name: f"conn.execute(\"INSERT INTO t VALUES ({number}, '{name}')\")" for number, name in enumerate("abc", start=2)}
    assert scene.run(body.format(**inserts)) is None
    scene.assert_nothing_was_visible()
    scene.assert_applied(sorted([(1, "old"), *(("abc".index(name) + 2, name) for name in rows)]))
    assert query(scene.path, "SELECT 1 FROM sqlite_schema WHERE name = 'made'") == []


def test_a_script_that_fails_keeps_what_was_done_before_it_as_sqlite3_does(scene: Scene) -> None:
    error = scene.run(
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
    scene.assert_applied([*NEW, (4, "instead")])


@pytest.mark.parametrize("ending", ["conn.commit()", "conn.execute('COMMIT')", "with conn: pass"])
def test_a_loop_over_a_select_may_commit_after_each_row(scene: Scene, ending: str) -> None:
    error = scene.run(
        f"""
        for (number,) in conn.execute("SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4"):
            conn.execute("INSERT INTO t VALUES (?, 'new')", (number,))
            {ending}
        """
    )
    assert error is None
    scene.assert_nothing_was_visible()
    scene.assert_applied([*NEW, (3, "new"), (4, "new")])


def test_with_conn_undoes_its_block_and_a_loop_may_go_on_with_the_next_row(scene: Scene) -> None:
    error = scene.run(
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
    scene.assert_applied([*NEW, (3, "second"), (4, "second"), (13, "first"), (14, "first")])


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
def test_a_migration_whose_last_word_was_rollback_has_failed(scene: Scene, last: str) -> None:
    error = scene.run(f'conn.execute("{INSERT}")\n{LAST_WORDS[last]}')
    scene.assert_nothing_was_visible()
    scene.assert_undone()
    assert error is not None
    assert "its last word was conn.rollback()" in error.found
    assert scene.place in error.found


def test_a_rollback_that_is_raised_again_shows_the_error_that_caused_it(scene: Scene) -> None:
    error = scene.run("try:\n    conn.execute('nonsense')  # here\nexcept sqlite3.Error:\n    conn.rollback()\n    raise")
    scene.assert_undone()
    assert 'near "nonsense"' in str(error)
    assert scene.place in str(error)


# --- what a migration returns, or ends in ---------------------------------------------------------------

RETURNS = {
    "false": ("return False", "returned False"),
    "generator": ("yield 1", "returned a generator"),
    "generator_expression": ("return (i for i in range(3))", "returned a generator"),
    "coroutine": ("async def do(): conn.execute('DELETE FROM t')\nreturn do()", "returned a coroutine"),
    "async_generator": ("async def do():\n    yield 1\nreturn do()", "returned a generator"),
    "awaitable": ("class Later:\n    def __await__(self): yield\nreturn Later()", "returned a coroutine"),
}


@pytest.mark.parametrize("function", ["apply_migration", "verify_migration"])
@pytest.mark.parametrize("kind", RETURNS)
def test_a_migration_that_returns_a_refusal_or_work_that_never_ran_has_failed(one_scene: Scene, kind: str, function: str) -> None:
    body, found = RETURNS[kind]
    if function == "verify_migration":
        source = python_migration(2, f'conn.execute("{INSERT}")', verify=body)
    else:
        source = python_migration(2, f'conn.execute("{INSERT}")\n{body}')
    error = one_scene.apply({one_scene.file.name: source})
    one_scene.assert_undone()
    assert error is not None
    assert f"{function}() {found}" in error.found
    assert one_scene.file.name in error.found


@pytest.mark.parametrize("answer", ["True", "None", "0", "[]", "conn", "conn.execute('SELECT 1')"])
def test_any_other_answer_is_no_refusal(one_scene: Scene, answer: str) -> None:
    assert one_scene.run(f'conn.execute("{INSERT}")\nreturn {answer}') is None
    one_scene.assert_applied()


@pytest.mark.parametrize(
    "ending", ["raise SystemExit(3)", "raise SystemExit(0)", "sys.exit('no')", "raise MemoryError", "def f(): f()\nf()"]
)
def test_whatever_a_migration_raises_it_failed_and_is_named(scene: Scene, ending: str) -> None:
    error = scene.run(f'import sys\nconn.execute("{INSERT}")\nconn.commit()\n{ending}')
    scene.assert_nothing_was_visible()
    scene.assert_undone()
    assert error is not None
    assert f"{scene.file.name}, line" in error.found


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit])
def test_an_exception_that_asks_the_program_to_end_is_raised_again_and_the_work_undone(
    scene: Scene, error: type[BaseException]
) -> None:
    with pytest.raises(error):
        scene.run(f'conn.execute("{INSERT}")\nconn.commit()\nraise {error.__name__}')
    scene.assert_nothing_was_visible()
    scene.assert_undone()


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """SIGINT means what it means to a program in a terminal, also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


CALLBACKS = {
    "function": "conn.create_function('f', 1, press)\nconn.execute('UPDATE t SET v = f(v)')",
    "collation": "conn.create_collation('c', lambda a, b: press(a) or 0)\nconn.execute(\"SELECT 'a' < 'b' COLLATE c\")",
    "trace": "conn.set_trace_callback(press)\nconn.execute('UPDATE t SET v = v')",
}


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("callback", CALLBACKS)
def test_a_ctrl_c_that_meets_a_callback_is_not_lost(one_scene: Scene, callback: str) -> None:
    head = "import signal\ndef press(*_):\n    signal.raise_signal(signal.SIGINT)\n"
    with pytest.raises(KeyboardInterrupt):
        one_scene.run(f"try:\n{textwrap.indent(CALLBACKS[callback], '    ')}\nexcept sqlite3.Error:\n    pass", head=head)
    one_scene.assert_undone()


@pytest.mark.usefixtures("ctrl_c")
def test_a_ctrl_c_in_a_callback_ends_the_statement_at_once(one_scene: Scene) -> None:
    run_sql(one_scene.path, "CREATE TRIGGER fires AFTER UPDATE ON t BEGIN SELECT 1; END;")
    run_sql(
        one_scene.path,
        "INSERT INTO t SELECT value, '' FROM (WITH RECURSIVE n(value) AS (SELECT 10 UNION ALL SELECT value + 1 FROM n WHERE value < 500) SELECT * FROM n);",
    )
    note = one_scene.path.with_name("calls")
    head = """
        import signal
        calls = []
        def press(_):
            calls.append(True)
            if len(calls) == 3:
                signal.raise_signal(signal.SIGINT)
    """
    body = f"""
        conn.set_trace_callback(press)
        try:
            conn.execute("UPDATE t SET v = v")
        finally:
            with open({str(note)!r}, "w") as file:
                file.write(str(len(calls)))
    """
    with pytest.raises(KeyboardInterrupt):
        one_scene.run(body, head=head)
    assert int(note.read_text()) < 10  # of about 500


def test_an_error_in_a_callback_stays_the_authors_to_handle(one_scene: Scene) -> None:
    error = one_scene.run(
        f"""
        conn.create_function("f", 0, lambda: 1 / 0)
        try:
            conn.execute("SELECT f()")
        except sqlite3.OperationalError:
            conn.execute("{INSERT}")
        """
    )
    assert error is None
    one_scene.assert_applied()


def test_what_a_migration_raises_of_this_librarys_own_is_its_failure_too(one_scene: Scene) -> None:
    error = one_scene.run("from homie_migrations_core.errors import UnknownPack\nraise UnknownPack('x', [])  # here")
    one_scene.assert_undone()
    assert error is not None
    assert "UnknownPack" in error.found
    assert one_scene.place in error.found


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


def refused(scene: Scene, call: str, reason: str) -> None:
    error = scene.run(
        f'conn.execute("{INSERT}")\ntry:\n    {call}  # here\nfinally:\n    for each in made: each.close()', head=CLOSES
    )
    scene.assert_nothing_was_visible()
    scene.assert_undone()
    assert error is not None
    assert reason in error.found
    assert scene.place in error.found


@pytest.mark.parametrize("sql", REFUSED_SQL)
def test_what_can_not_be_part_of_an_atomic_step_is_refused_with_the_reason_and_the_line(one_scene: Scene, sql: str) -> None:
    refused(one_scene, f"conn.execute({sql!r})", REFUSED_SQL[sql])


@pytest.mark.parametrize("x", EXECUTORS)
@pytest.mark.parametrize(
    "sql", ["ROLLBACK", "ATTACH ':memory:' AS other", "PRAGMA journal_mode = WAL", "DELETE FROM schema_migrations"]
)
def test_it_is_refused_whichever_cursor_or_base_class_is_used(scene: Scene, x: str, sql: str) -> None:
    refused(scene, execute(x, sql), REFUSED_SQL[sql])
    refused(scene, script(x, sql), REFUSED_SQL[sql])


@pytest.mark.parametrize("call", REFUSED_CALLS)
def test_calls_that_can_not_be_part_of_an_atomic_step_are_refused_with_the_reason_and_the_line(scene: Scene, call: str) -> None:
    refused(scene, call, REFUSED_CALLS[call])


@pytest.mark.parametrize("sql", REFUSED_SQL)
def test_a_refusal_that_is_swallowed_changes_nothing(tmp_path: Path, sql: str) -> None:
    scene = Scene(tmp_path, MODES[len(sql) % 2])
    schema = query(scene.path, "SELECT sql FROM sqlite_schema")
    error = scene.run(
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
    scene.assert_nothing_was_visible()
    scene.assert_applied()
    assert query(scene.path, "SELECT sql FROM sqlite_schema") == schema
    assert query(scene.path, "PRAGMA user_version") == [(0,)]


def test_a_trigger_of_the_authors_own_can_not_change_the_record(one_scene: Scene) -> None:
    run_sql(one_scene.path, "CREATE TRIGGER through AFTER INSERT ON t BEGIN DELETE FROM schema_migrations; END;")
    error = one_scene.run(f'conn.execute("{INSERT}")  # here')
    one_scene.assert_undone()
    assert "can't change schema_migrations" in str(error)
    assert one_scene.place in str(error)


@pytest.mark.parametrize("when", ["BEFORE INSERT", "BEFORE UPDATE"])
def test_a_trigger_that_swallows_the_record_fails_the_migration(one_scene: Scene, when: str) -> None:
    run_sql(one_scene.path, f"CREATE TRIGGER swallow {when} ON schema_migrations BEGIN SELECT RAISE(IGNORE); END;")
    error = one_scene.run(f'conn.execute("{INSERT}")')
    one_scene.assert_undone()
    assert "its row in schema_migrations vanished" in str(error)


def test_a_record_that_can_not_be_kept_fails_the_migration(one_scene: Scene) -> None:
    run_sql(one_scene.path, "CREATE TRIGGER refuse BEFORE INSERT ON schema_migrations BEGIN SELECT RAISE(ABORT, 'no more'); END;")
    error = one_scene.run(f'conn.execute("{INSERT}")')
    one_scene.assert_undone()
    assert "its record could not be kept (no more)" in str(error)


@pytest.mark.parametrize(
    "call", ["sqlite3.Connection.deserialize(conn, other)", "sqlite3.Connection.deserialize(conn, other, name='main')"]
)
def test_a_database_that_is_replaced_past_the_guard_fails_the_migration(scene: Scene, call: str) -> None:
    error = scene.run(
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
    scene.assert_undone()


def test_a_transaction_that_was_replaced_by_another_one_is_noticed(scene: Scene) -> None:
    """
    Code that takes the authorizer away past the guard can commit, and nothing in Python can prevent that.

    The transaction that is open at the end is then not the runner's, and the migration is not reported as applied.
    """
    error = scene.run(
        """
        sqlite3.Connection.set_authorizer(conn, None)
        sqlite3.Cursor(conn).execute("COMMIT")
        sqlite3.Cursor(conn).execute("BEGIN")
        conn.execute("INSERT INTO t VALUES (2, 'new')")
        """
    )
    assert error is not None
    assert scene.rows == OLD


# --- a connection of the author's own -------------------------------------------------------------------


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_second_connection_that_writes_meets_the_lock_and_the_error_names_that_cause(scene: Scene, wrapped: bool) -> None:
    body = f"""
        own = sqlite3.connect({str(scene.path)!r}, timeout=0)
        try:
            own.execute("INSERT INTO t VALUES (3, 'own')")  # here
        finally:
            own.close()
    """
    if wrapped:
        body = f"try:\n{textwrap.indent(textwrap.dedent(body), '    ')}\nexcept sqlite3.Error as error:\n    raise RuntimeError('no luck') from error"
    error = scene.run(f'conn.execute("{INSERT}")\n{textwrap.dedent(body)}')
    scene.assert_undone()
    assert error is not None
    assert "A second connection to the same file waits for the migration's own lock" in str(error)
    assert scene.file.name in str(error)
    assert wrapped or scene.place in str(error)


def test_a_second_connection_that_reads_sees_the_old_state(scene: Scene) -> None:
    assert scene.run(f'conn.execute("{INSERT}"); conn.commit()') is None  # `look` reads, and says what it saw
    scene.assert_nothing_was_visible()


# --- what is allowed, and reaches nobody else -----------------------------------------------------------

ALLOWED = {
    "savepoints": (
        "conn.execute('SAVEPOINT a'); conn.execute('SAVEPOINT b'); conn.execute('RELEASE a'); conn.execute('SAVEPOINT open')",
        "",
    ),
    "ddl": (
        "conn.executescript('CREATE TABLE a (b); ALTER TABLE a ADD COLUMN c; CREATE INDEX i ON a (b); DROP INDEX i; DROP TABLE a;')",
        "",
    ),
    "views_and_triggers": (
        "conn.executescript('CREATE VIEW v AS SELECT * FROM t; CREATE TRIGGER g INSTEAD OF INSERT ON v BEGIN INSERT INTO t VALUES (new.id, new.v); END;"
        " INSERT INTO v VALUES (7, 7); DELETE FROM t WHERE id = 7;')",
        "",
    ),
    "fts5": (
        "conn.executescript(\"CREATE VIRTUAL TABLE f USING fts5(a); INSERT INTO f VALUES ('word'); INSERT INTO f(f) VALUES ('optimize');\")\n"
        "assert conn.execute(\"SELECT count(*) FROM f WHERE f MATCH 'word'\").fetchone() == (1,)",
        "",
    ),
    "fts5_renamed_and_dropped": (
        "conn.executescript(\"CREATE VIRTUAL TABLE f USING fts5(a); ALTER TABLE f RENAME TO g; INSERT INTO g VALUES ('x'); DROP TABLE g;\")",
        "",
    ),
    "rtree": ("conn.execute('CREATE VIRTUAL TABLE r USING rtree(id, a, b)'); conn.execute('INSERT INTO r VALUES (1, 2, 3)')", ""),
    "temp_table": (
        "conn.executescript('CREATE TEMP TABLE scratch (a); CREATE INDEX temp.si ON scratch (a); INSERT INTO scratch VALUES (1);')",
        "assert conn.execute('SELECT * FROM sqlite_temp_schema').fetchall() == []",
    ),
    "temp_table_of_the_same_name": (
        "conn.execute('CREATE TEMP TABLE t AS SELECT * FROM main.t')",
        "conn.execute('SELECT * FROM t'); assert conn.execute('SELECT * FROM sqlite_temp_schema').fetchall() == []",
    ),
    "temp_view": (
        "conn.execute('CREATE TEMP VIEW tv AS SELECT 1')",
        "assert conn.execute('SELECT * FROM sqlite_temp_schema').fetchall() == []",
    ),
    "temp_trigger": (
        "conn.execute(\"CREATE TEMP TRIGGER tg AFTER INSERT ON main.t BEGIN UPDATE t SET v = 'touched' WHERE id = new.id; END\")",
        "conn.execute(\"INSERT INTO t VALUES (50, 'plain')\"); assert conn.execute('SELECT v FROM t WHERE id = 50').fetchone() == ('plain',); "
        "conn.execute('DELETE FROM t WHERE id = 50')",
    ),
    "temp_virtual_table_without_tables_of_its_own": (
        "conn.execute('CREATE VIRTUAL TABLE words USING fts5(a)'); conn.execute('CREATE VIRTUAL TABLE temp.seen USING fts5vocab(main, words, row)')",
        "assert conn.execute('SELECT * FROM sqlite_temp_master').fetchall() == []; conn.execute('DROP TABLE words')",
    ),
    "temp_fts5": (
        "conn.execute('CREATE VIRTUAL TABLE temp.tf USING fts5(a)')",
        "assert conn.execute('SELECT * FROM sqlite_temp_schema').fetchall() == []",
    ),
    "create_function": (
        "conn.create_function('mine', 1, lambda x: x, deterministic=True); conn.execute('SELECT mine(1)')",
        "raises('no such function', 'SELECT mine(1)')",
    ),
    "create_function_under_an_odd_row_factory": (
        "conn.row_factory = lambda cursor, row: {}[row]; conn.create_function('mine', 1, lambda x: x)",
        "raises('no such function', 'SELECT mine(1)')",
    ),
    "create_aggregate": (
        "class Sum:\n    def __init__(self): self.n = 0\n    def step(self, x): self.n += x\n    def finalize(self): return self.n\n"
        "conn.create_aggregate('mysum', 1, Sum); assert conn.execute('SELECT mysum(id) FROM t').fetchone()[0] > 0",
        "raises('no such function', 'SELECT mysum(1)')",
    ),
    "create_window_function": (
        "class Sum:\n    def __init__(self): self.n = 0\n    def step(self, x): self.n += x\n    def inverse(self, x): self.n -= x\n"
        "    def value(self): return self.n\n    def finalize(self): return self.n\n"
        "conn.create_window_function('wsum', 1, Sum); conn.execute('SELECT wsum(id) OVER (ORDER BY id) FROM t').fetchall()",
        "raises('no such function', 'SELECT wsum(id) OVER () FROM t')",
    ),
    "create_collation": (
        "conn.create_collation('back', lambda a, b: (a < b) - (a > b)); conn.execute('SELECT v FROM t ORDER BY v COLLATE back')",
        "raises('no such collation', 'SELECT v FROM t ORDER BY v COLLATE back')",
    ),
    "row_factory": (
        "conn.row_factory = sqlite3.Row; assert conn.execute('SELECT id FROM t').fetchone()['id']",
        "assert conn.row_factory is None",
    ),
    "row_factory_that_raises": (
        "conn.row_factory = lambda cursor, row: {}[row]",
        "assert conn.execute('SELECT 1').fetchone() == (1,)",
    ),
    "text_factory": ("conn.text_factory = bytes; conn.execute('SELECT v FROM t').fetchall()", "assert conn.text_factory is str"),
    "text_factory_that_raises": (
        "conn.text_factory = lambda text: {}[text]",
        "assert conn.execute(\"SELECT 'a'\").fetchone() == ('a',)",
    ),
    "trace": (
        "conn.set_trace_callback(traced.append)",
        "before = len(traced); conn.execute('SELECT 1'); assert len(traced) == before",
    ),
    "limit": (
        "assert conn.setlimit(sqlite3.SQLITE_LIMIT_COLUMN, 5) > 5",
        "assert conn.getlimit(sqlite3.SQLITE_LIMIT_COLUMN) > 5",
    ),
    "isolation_level": (
        "conn.isolation_level = 'EXCLUSIVE'; assert conn.isolation_level == 'EXCLUSIVE'",
        "assert conn.isolation_level == ''",
    ),
    "autocommit": ("conn.autocommit = False; assert conn.autocommit is False", "assert conn.autocommit == -1"),
    "pragma_cache_size": (
        "conn.execute('PRAGMA cache_size = 7')",
        "assert conn.execute('PRAGMA cache_size').fetchone()[0] not in (7, 0)",
    ),
    "pragma_legacy_alter_table": (
        "conn.execute('PRAGMA legacy_alter_table = ON'); assert conn.execute('PRAGMA legacy_alter_table').fetchone() == (1,)",
        "assert conn.execute('PRAGMA legacy_alter_table').fetchone() == (0,)",
    ),
    "pragma_recursive_triggers": (
        "conn.execute('PRAGMA recursive_triggers = ON')",
        "assert conn.execute('PRAGMA recursive_triggers').fetchone() == (0,)",
    ),
    "pragma_case_sensitive_like": (
        "conn.execute('PRAGMA case_sensitive_like = ON')",
        "assert conn.execute(\"SELECT 'a' LIKE 'A'\").fetchone() == (1,)",
    ),
    "pragma_defer_foreign_keys": (
        "conn.execute('PRAGMA defer_foreign_keys = ON')",
        "assert conn.execute('PRAGMA defer_foreign_keys').fetchone() == (0,)",
    ),
    "pragma_busy_timeout": (
        "conn.execute('PRAGMA busy_timeout = 60000')",
        "assert conn.execute('PRAGMA busy_timeout').fetchone()[0] < 1000",
    ),
    "pragma_foreign_keys": (
        "conn.execute('PRAGMA foreign_keys = ON')",
        "assert conn.execute('PRAGMA foreign_keys').fetchone() == (0,)",
    ),
    "pragmas_that_only_read": (
        "for name in ('table_info(t)', 'index_list(t)', 'foreign_key_check', 'integrity_check', 'journal_mode', 'page_size', 'encoding', 'synchronous'):\n"
        "    conn.execute(f'PRAGMA {name}').fetchall()",
        "",
    ),
    "create_if_not_exists": (
        "conn.execute('CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY)'); conn.execute('SELECT * FROM schema_migrations').fetchall()",
        "",
    ),
    "analyze": ("conn.execute('ANALYZE'); conn.execute('REINDEX'); conn.execute('PRAGMA optimize')", ""),
    "recursive_query": (
        "conn.execute('WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT * FROM n').fetchall()",
        "",
    ),
}
HEAD = """
traced = []
def raises(text, sql):
    global conn
    try:
        conn.execute(sql).fetchall()
    except sqlite3.OperationalError as error:
        assert text in str(error), error
    else:
        raise AssertionError(sql)
"""


@pytest.mark.parametrize("new", [False, True], ids=["step_by_step", "in_one_transaction"])
@pytest.mark.parametrize("what", ALLOWED)
def test_what_is_allowed_works_and_does_not_reach_the_next_step(tmp_path: Path, what: str, new: bool) -> None:
    does, next_finds = ALLOWED[what]
    path = tmp_path / "homie_p.db"
    if not new:
        run_sql(path, "PRAGMA journal_mode=wal; CREATE TABLE existed (a);")
    files = {
        "001_table.sql": "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);\nINSERT INTO t VALUES (1, 'old');\n",
        "002_does.py": python_migration(2, f'conn.execute("{INSERT}")\n{does}', head=HEAD),
        "003_finds.py": python_migration(
            3,
            f"globals()['conn'] = conn\n{next_finds or 'pass'}",
            head=HEAD.replace(
                "traced = []", "from sys import modules; traced = modules['__main__'].__dict__.setdefault('traced', [])"
            ),
        ),
        "004_again.py": python_migration(
            4, f'conn.execute("DELETE FROM t WHERE id = 2")\nconn.execute("{INSERT}")\n{does if next_finds else "pass"}', head=HEAD
        ),
    }
    pack = write_pack(tmp_path / "pack", "p", files)
    applied = MigrationRunner(path, [pack], backup=False).apply()
    assert [migration.version for migration in applied] == [1, 2, 3, 4]
    assert query(path, "SELECT * FROM t ORDER BY id") == NEW
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


def test_an_odd_row_factory_is_no_hindrance_to_a_function_of_a_name_that_sqlite_has(one_scene: Scene) -> None:
    body = "conn.row_factory = lambda cursor, row: {}[row]\nconn.create_function('upper', 1, lambda x: 'mine')\nconn.execute('UPDATE t SET v = upper(v)')"
    assert one_scene.run(body) is None
    one_scene.assert_applied([(1, "mine")])


def test_a_function_of_sqlites_own_that_is_replaced_does_not_reach_the_next_step(tmp_path: Path) -> None:
    """SQLite can't give it back, so a new database is not built that way; with a step a connection it is no matter."""
    files = {
        "001_replaces.py": python_migration(
            1, "conn.create_function('lower', 1, lambda x: 'mine')\nconn.execute('CREATE TABLE t (a)')"
        ),
        "002_uses.py": python_migration(2, "assert conn.execute(\"SELECT lower('A')\").fetchone() == ('a',)"),
    }
    pack = write_pack(tmp_path / "pack", "p", files)
    with pytest.raises(MigrationFailed, match=r"it replaces the function lower\(\)"):
        MigrationRunner(tmp_path / "new.db", [pack], backup=False).apply()
    run_sql(tmp_path / "old.db", "CREATE TABLE existed (a);")
    assert len(MigrationRunner(tmp_path / "old.db", [pack], backup=False).apply()) == 2


# --- .sql migrations ------------------------------------------------------------------------------------

SCRIPT = """
-- a comment; with a semicolon, and a 'quote
BEGIN TRANSACTION;
CREATE TABLE log (what TEXT DEFAULT ';', [odd;name] TEXT, "b;" TEXT, `c;` TEXT);
CREATE TRIGGER note AFTER INSERT ON t
BEGIN
    INSERT INTO log (what) VALUES ('inserted; END;');
    UPDATE log SET [odd;name] = CASE new.id WHEN 2 THEN 'two' ELSE 'other' END;
END;
/* INSERT INTO t VALUES (5, 'no'); */
INSERT INTO t VALUES (2, 'new'); COMMIT;
CREATE TEMP /* ; */ TRIGGER passing AFTER DELETE ON t BEGIN SELECT 1; END ; SELECT 1;
;;
END;
INSERT INTO log (what) VALUES ('last -- without a semicolon')"""


def test_a_script_with_transactions_and_triggers_runs_as_it_is(scene: Scene) -> None:
    assert scene.apply({"002_tried.sql": SCRIPT}) is None
    scene.assert_applied()
    assert query(scene.path, "SELECT what, [odd;name] FROM log") == [
        ("inserted; END;", "two"),
        ("last -- without a semicolon", None),
    ]


@pytest.mark.parametrize("ending", ["", ";", "\n", ";\n\n-- the end", "; /* never closed"])
def test_a_script_may_end_as_it_likes(one_scene: Scene, ending: str) -> None:
    assert one_scene.apply({"002_tried.sql": f"\ufeff{INSERT}{ending}"}) is None
    one_scene.assert_applied()


@pytest.mark.parametrize("nothing", ["", ";", "\n\n", "-- only a comment", "/* never closed"])
def test_a_script_of_nothing_is_a_migration_too(one_scene: Scene, nothing: str) -> None:
    assert one_scene.apply({"002_tried.sql": nothing}) is None
    one_scene.assert_applied(OLD)


FAILING = {
    "clash": "INSERT INTO t VALUES (1, 'clash');",
    "syntax": "INSERT INTO;",
    "no_such_table": "SELECT *\n    FROM nowhere;",
    "run_time": "SELECT json('{');",
    "rollback": "ROLLBACK;",
    "attach": "ATTACH ':memory:' AS other;",
    "vacuum": "VACUUM;",
    "journal_mode": "PRAGMA journal_mode = WAL;",
    "record": "DELETE FROM schema_migrations;",
    "or_rollback": f"{CLASH};",
    "unclosed": "SELECT 'unclosed",
    "in_trigger": "CREATE TRIGGER bad AFTER INSERT ON t BEGIN SELECT RAISE(ABORT, 'no'); END;\n/* it\nfires */ INSERT INTO t VALUES (3, '');",
}


@pytest.mark.parametrize("following", ["", "\nSELECT 1;\n"])
@pytest.mark.parametrize(
    "before", ["", "BEGIN;\nINSERT INTO t VALUES (2, 'new');\nINSERT INTO t VALUES (9, 'é€;');\n\n-- and ; now\n\n"]
)
@pytest.mark.parametrize("failing", FAILING)
def test_the_statement_of_a_script_that_fails_is_named_by_its_line(scene: Scene, failing: str, before: str, following: str) -> None:
    script = f"{before}{FAILING[failing]}{following}"
    error = scene.apply({"002_tried.sql": script})
    scene.assert_undone()
    line = before.count("\n") + (3 if failing == "in_trigger" else 1)
    assert f"(002_tried.sql, line {line})" in str(error)


def test_the_same_statement_again_is_told_apart(one_scene: Scene) -> None:
    run_sql(one_scene.path, "CREATE TRIGGER fires AFTER INSERT ON t BEGIN UPDATE t SET v = v; END;")
    error = one_scene.apply({"002_tried.sql": "\nINSERT INTO t VALUES (2, 'a');" * 3})
    assert "(002_tried.sql, line 3)" in str(error)


def test_a_rollback_script_that_fails_is_named_by_its_own_file(one_scene: Scene) -> None:
    files = {"002_tried.sql": "SELECT 1;", "002_tried.rollback.sql": "SELECT 1;\nSELECT nothing;"}
    assert one_scene.apply(files) is None
    with pytest.raises(MigrationFailed, match=r"\(002_tried\.rollback\.sql, line 2\)"):
        MigrationRunner(one_scene.path, [write_pack(one_scene.file.parent, "p", {})], backup=False).rollback("p")
    one_scene.assert_applied(OLD)


def test_a_large_statement_that_fires_a_trigger_for_every_row_is_not_read_once_a_row(one_scene: Scene) -> None:
    """Half a gigabyte would be: the test is over in a moment, or not before the run's patience ends."""
    run_sql(one_scene.path, "CREATE TRIGGER fires AFTER INSERT ON t BEGIN UPDATE t SET v = '' WHERE id = new.id; END;")
    rows = ",".join(f"({number}, '{'x' * 90}')" for number in range(10, 20_010))
    assert one_scene.apply({"002_tried.sql": f"INSERT INTO t VALUES {rows};"}) is None
    assert len(one_scene.rows) == 20_001


# --- random authors -------------------------------------------------------------------------------------

names = st.sampled_from(["a", "b"])
executors = st.sampled_from(["conn", "cursor"])
actions = st.one_of(
    st.tuples(st.just("insert"), executors),
    st.tuples(st.just("insert_many"), executors),
    st.tuples(st.just("clash"), executors),
    st.tuples(st.sampled_from(["commit", "rollback", "with_ok", "with_fail", "isolation_level", "sql_rollback", "read"])),
    st.tuples(st.just("sql"), st.sampled_from(["BEGIN", "COMMIT", "END", "BEGIN IMMEDIATE"]), executors),
    st.tuples(st.sampled_from(["savepoint", "release", "rollback_to"]), names),
    st.tuples(st.sampled_from(["script", "script_with_commit", "script_fails"]), executors),
    st.tuples(st.just("or_rollback"), executors),
)
AUTHOR = """
class Given(Exception):
    pass

def swallowing(do):
    try:
        do()
    except (sqlite3.Error, Given):
        pass

def act(conn, number, kind, *arguments):
    x = conn if "conn" in arguments else conn.cursor()
    insert = f"INSERT INTO t VALUES ({number}, 'x')"
    if kind == "insert": x.execute(insert)
    elif kind == "insert_many": x.executemany("INSERT INTO t VALUES (?, 'x')", ((n,) for n in (number, number + 1)))
    elif kind == "clash": x.execute("INSERT INTO t VALUES (1, 'clash')")
    elif kind == "commit": conn.commit()
    elif kind == "rollback": conn.rollback()
    elif kind == "with_ok":
        with conn: conn.execute(insert)
    elif kind == "with_fail":
        with conn:
            conn.execute(insert)
            raise Given
    elif kind == "isolation_level": conn.isolation_level = None
    elif kind == "sql_rollback": conn.execute("ROLLBACK")
    elif kind == "read": conn.execute("SELECT * FROM t").fetchall()
    elif kind == "sql": x.execute(arguments[0])
    elif kind == "savepoint": conn.execute(f"SAVEPOINT {arguments[0]}")
    elif kind == "release": conn.execute(f"RELEASE {arguments[0]}")
    elif kind == "rollback_to": conn.execute(f"ROLLBACK TO {arguments[0]}")
    elif kind == "script": x.executescript(insert + "; SELECT 1;")
    elif kind == "script_with_commit": x.executescript(f"BEGIN; {insert}; COMMIT;")
    elif kind == "script_fails": x.executescript(insert + "; nonsense;")
    elif kind == "or_rollback": x.execute("INSERT OR ROLLBACK INTO t VALUES (1, 'clash')")
    else: raise AssertionError(kind)
"""


class Model:
    """What should be in the table, as far as the author can see."""

    def __init__(self) -> None:
        self.rows, self.committed = {1}, {1}
        self.savepoints: list[tuple[str, set[int]]] = []
        self.rolled_back_last = self.dead = False

    def act(self, number: int, kind: str, *arguments: str) -> None:
        if self.dead:
            return
        if kind in ("insert", "with_ok", "with_fail", "script", "script_with_commit", "insert_many"):
            if kind.startswith("script"):
                self._commit()
            self.rows = self.rows | {number} | ({number + 1} if kind == "insert_many" else set())
            self.rolled_back_last = False
        if kind in ("commit", "with_ok", "isolation_level", "sql", "script", "script_with_commit"):
            self._commit()
        elif kind == "script_fails":
            self._commit()
            self.rows = self.rows | {number}
        elif kind in ("rollback", "with_fail"):
            self.rows, self.savepoints = self.committed, []
            self.rolled_back_last = kind == "rollback"
        elif kind == "savepoint":
            self.savepoints.append((arguments[0], self.rows))
        elif kind in ("release", "rollback_to"):
            found = [index for index, (name, _) in enumerate(self.savepoints) if name == arguments[0]]
            if found and kind == "release":
                del self.savepoints[found[-1] :]
            elif found:
                self.rows = self.savepoints[found[-1]][1]
                del self.savepoints[found[-1] + 1 :]
        elif kind == "or_rollback":
            self.dead = True

    def _commit(self) -> None:
        self.committed, self.savepoints, self.rolled_back_last = self.rows, [], False


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    done=st.lists(actions, max_size=12),
    ending=st.sampled_from(["pass", "pass", "pass", "raise RuntimeError", "return False"]),
    mode=st.sampled_from(MODES),
)
def test_any_sequence_of_actions_ends_as_the_author_sees_it_or_leaves_nothing(
    tmp_path_factory: pytest.TempPathFactory, done: list[tuple[str, ...]], ending: str, mode: str
) -> None:
    scene, model = Scene(tmp_path_factory.mktemp("author"), mode), Model()
    for number, action in enumerate(done):
        model.act(10 * number + 10, *action)
    body = f"for number, action in enumerate({done!r}):\n    swallowing(lambda: act(conn, 10 * number + 10, *action))\n{ending}"
    error = scene.run(body, head=AUTHOR)
    scene.assert_nothing_was_visible()
    if ending != "pass" or model.dead or model.rolled_back_last:
        assert error is not None
        scene.assert_undone()
    else:
        assert error is None, error
        scene.assert_applied([(number, "old" if number == 1 else "x") for number in sorted(model.rows)])
