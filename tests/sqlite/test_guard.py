"""What a migration returns, raises or is interrupted by; and random sequences of what an author may do."""

from __future__ import annotations

import signal
import textwrap
from collections.abc import Iterator

import pytest
from helpers import python_migration, run_sql
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlite import guarded_run
from sqlite.guarded_run import INSERT, MODES, GuardedRun

# The fixtures of this module
one_run, tried = guarded_run.one_run, guarded_run.tried


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
def test_a_migration_that_returns_a_refusal_or_work_that_never_ran_has_failed(
    one_run: GuardedRun, kind: str, function: str
) -> None:
    body, found = RETURNS[kind]
    if function == "verify_migration":
        source = python_migration(2, f'conn.execute("{INSERT}")', verify=body)
    else:
        source = python_migration(2, f'conn.execute("{INSERT}")\n{body}')
    error = one_run.apply({one_run.file.name: source})
    one_run.assert_undone()
    assert error is not None
    assert f"{function}() {found}" in error.found
    assert one_run.file.name in error.found


@pytest.mark.parametrize("answer", ["True", "None", "0", "[]", "conn", "conn.execute('SELECT 1')"])
def test_any_other_answer_is_not_a_refusal(one_run: GuardedRun, answer: str) -> None:
    assert one_run.run(f'conn.execute("{INSERT}")\nreturn {answer}') is None
    one_run.assert_applied()


@pytest.mark.parametrize(
    "ending",
    [
        "raise SystemExit(3)",
        "raise SystemExit(0)",
        "sys.exit('no')",
        "raise MemoryError",
        "raise GeneratorExit",
        "raise type('OfItsOwn', (BaseException,), {})",
        "def f(): f()\nf()",
    ],
)
def test_a_migration_that_raises_anything_has_failed_and_is_named(tried: GuardedRun, ending: str) -> None:
    error = tried.run(f'import sys\nconn.execute("{INSERT}")\nconn.commit()\n{ending}')
    tried.assert_nothing_was_visible()
    tried.assert_undone()
    assert error is not None
    assert f"{tried.file.name}, line" in error.found


def test_a_keyboard_interrupt_is_raised_again_and_the_work_undone(tried: GuardedRun) -> None:
    with pytest.raises(KeyboardInterrupt):
        tried.run(f'conn.execute("{INSERT}")\nconn.commit()\nraise KeyboardInterrupt')
    tried.assert_nothing_was_visible()
    tried.assert_undone()


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
def test_ctrl_c_during_a_callback_is_not_lost(one_run: GuardedRun, callback: str) -> None:
    head = "import signal\ndef press(*_):\n    signal.raise_signal(signal.SIGINT)\n"
    with pytest.raises(KeyboardInterrupt):
        one_run.run(f"try:\n{textwrap.indent(CALLBACKS[callback], '    ')}\nexcept sqlite3.Error:\n    pass", head=head)
    one_run.assert_undone()


@pytest.mark.usefixtures("ctrl_c")
def test_a_ctrl_c_in_a_callback_ends_the_statement_at_once(one_run: GuardedRun) -> None:
    run_sql(one_run.path, "CREATE TRIGGER fires AFTER UPDATE ON t BEGIN SELECT 1; END;")
    run_sql(
        one_run.path,
        "INSERT INTO t SELECT value, '' FROM (WITH RECURSIVE n(value) AS (SELECT 10 UNION ALL SELECT value + 1 FROM n WHERE value < 500) SELECT * FROM n);",
    )
    note = one_run.path.with_name("calls")
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
        one_run.run(body, head=head)
    assert int(note.read_text()) < 10  # of about 500


def test_an_error_in_a_callback_stays_the_authors_to_handle(one_run: GuardedRun) -> None:
    error = one_run.run(
        f"""
        conn.create_function("f", 0, lambda: 1 / 0)
        try:
            conn.execute("SELECT f()")
        except sqlite3.OperationalError:
            conn.execute("{INSERT}")
        """
    )
    assert error is None
    one_run.assert_applied()


def test_what_a_migration_raises_of_this_librarys_own_is_its_failure_too(one_run: GuardedRun) -> None:
    error = one_run.run("from homie_migrations_core.errors import UnknownPack\nraise UnknownPack('x', [])  # here")
    one_run.assert_undone()
    assert error is not None
    assert "UnknownPack" in error.found
    assert one_run.place in error.found


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
    tried, model = GuardedRun(tmp_path_factory.mktemp("author"), mode), Model()
    for number, action in enumerate(done):
        model.act(10 * number + 10, *action)
    body = f"for number, action in enumerate({done!r}):\n    swallowing(lambda: act(conn, 10 * number + 10, *action))\n{ending}"
    error = tried.run(body, head=AUTHOR)
    tried.assert_nothing_was_visible()
    if ending != "pass" or model.dead or model.rolled_back_last:
        assert error is not None
        tried.assert_undone()
    else:
        assert error is None, error
        tried.assert_applied([(number, "old" if number == 1 else "x") for number in sorted(model.rows)])
