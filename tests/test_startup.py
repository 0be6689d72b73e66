"""`arun_migrations` and `wait_or_stop`: migrations beside an event loop, and what a cancelled call leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import importlib_metadata  # noqa: F401  (before `nothing_else` hides the folder it is in)
import pytest
from helpers import fingerprint, python_migration, recorded, run_sql, snapshot_folder, tables
from path_memory_helpers import long_migration, until, waits_for

from homie_migrations_core import MigrationRunner, arun_migrations, run_migrations, wait_or_stop
from homie_migrations_core.errors import MigrationFailed, PackBroken

IN_SQL = "conn.execute(LONG)"
IN_PYTHON = "while True:\n    conn.execute('INSERT INTO half_done VALUES (1)')"


def test_it_applies_what_is_pending_and_returns_how_many(make, database):
    pack = make("a", "001_one", "002_two")
    assert asyncio.run(arun_migrations(database, [pack])) == 2
    assert asyncio.run(arun_migrations(str(database), [pack])) == 0
    assert recorded(database) == ["a:001_one", "a:002_two"]


def test_without_packs_it_applies_the_installed_ones(three, database):
    assert asyncio.run(arun_migrations(database)) == 2
    assert tables(database) == {"mail", "news"}


@pytest.mark.parametrize("backup", [True, False])
def test_it_takes_a_snapshot_unless_it_is_told_not_to(make, database, backup):
    run_sql(database, "CREATE TABLE users (id)")
    asyncio.run(arun_migrations(database, [make("a", "001_one")], backup=backup))
    assert snapshot_folder(database).exists() is backup


def test_an_error_is_raised_where_the_call_is_awaited(make, database):
    failing = make("a", m001_fails=python_migration(1, "conn.execute('nonsense')"))
    with pytest.raises(MigrationFailed, match="nonsense"):
        asyncio.run(arun_migrations(database, [failing]))
    with pytest.raises(PackBroken):
        asyncio.run(arun_migrations(database, [failing, failing]))
    assert tables(database) == set()


def test_the_event_loop_is_free_and_the_log_keeps_the_callers_context(make, database, tmp_path, caplog):
    go, marker = tmp_path / "go", tmp_path / "runs"
    pack = make("a", m001_waits=long_migration(marker, waits_for(go)))
    caller, heard = contextvars.ContextVar("caller", default="nobody"), []
    caplog.set_level(logging.INFO, "homie_migrations")
    caplog.handler.addFilter(lambda record: heard.append(caller.get()) or True)

    async def main() -> int:
        caller.set("main")
        work = asyncio.create_task(arun_migrations(database, [pack]))
        await until(marker.exists, work)
        go.touch()  # only a loop that is free gets here
        return await work

    assert asyncio.run(main()) == 1
    assert heard == ["main"]


@pytest.mark.parametrize("body", [IN_SQL, IN_PYTHON], ids=["in one statement", "between statements"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_cancelled_call_ends_when_the_running_migration_is_undone(make, database, tmp_path, body, times):
    marker = tmp_path / "runs"
    first, long = make("a", "001_one"), make("b", m001_long=long_migration(marker, body))
    run_migrations(database, [first])
    before = fingerprint(database.parent)

    async def main() -> None:
        work = asyncio.create_task(arun_migrations(database, [first, long]))
        await until(marker.exists, work)
        for _ in range(times):
            work.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await work
        assert fingerprint(database.parent) == before  # at once: undone, closed, snapshot gone

    asyncio.run(main())


def test_what_was_committed_before_a_cancelled_migration_stays(make, database, tmp_path):
    marker = tmp_path / "runs"
    run_migrations(database, [make("z", "001_one")])
    packs = [make("z", "001_one"), make("a", "001_one", m002_long=long_migration(marker).replace("return 1", "return 2"))]

    async def main() -> None:
        async with asyncio.timeout(None) as limit:
            work = asyncio.create_task(until(marker.exists))
            work.add_done_callback(lambda _: limit.reschedule(asyncio.get_running_loop().time()))
            await arun_migrations(database, packs)

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert recorded(database) == ["a:001_one", "z:001_one"]
    assert "half_done" not in tables(database)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_in_a_program_undoes_the_run_before_the_program_ends(make, database, tmp_path):
    marker = tmp_path / "runs"
    pack = make("a", m001_long=long_migration(marker))
    code = (
        "import asyncio, signal, sys\nfrom homie_migrations_core import MigrationPack, arun_migrations\nfrom pathlib import Path\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "asyncio.run(arun_migrations(sys.argv[1], [MigrationPack('a', Path(sys.argv[2]), 'app.db')]))\n"
    )
    command = [sys.executable, "-c", code, str(database), str(pack.migrations)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 60
        while not marker.exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert [path.name for path in database.parent.iterdir()] == ["app.db"]  # no journal, no snapshot
    assert tables(database) == set()


# --- wait_or_stop ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def worker():
    with ThreadPoolExecutor(1) as thread:
        yield thread


def cancelled(thread: ThreadPoolExecutor, work: Callable[[], object], stop: threading.Event | None) -> None:
    """Wait for the work, cancel that when the work has begun, and assert that it ends as cancelled."""
    begun = threading.Event()

    def marked() -> object:
        begun.set()
        return work()

    async def main() -> None:
        waiting = asyncio.create_task(wait_or_stop(thread.submit(marked), stop))
        await asyncio.sleep(0)  # it waits: a task that is cancelled before its first step never runs
        await until(begun.is_set, waiting)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())


def test_a_failure_of_cancelled_work_is_logged_and_a_stop_is_not(make, database, tmp_path, caplog):
    stop, marker = threading.Event(), tmp_path / "runs"
    pack = make("a", m001_long=long_migration(marker))

    def fails() -> None:
        assert stop.wait(30)
        raise ValueError("the disk is gone")

    with worker() as thread:
        cancelled(thread, fails, stop)
        assert [record.getMessage() for record in caplog.records] == ["The work that was cancelled failed: the disk is gone"]
        stop.clear()
        caplog.clear()
        cancelled(thread, MigrationRunner(database, [pack], should_stop=stop.is_set).apply, stop)
        assert not caplog.records


def test_without_a_stop_cancelled_work_is_waited_for(tmp_path):
    done = []
    with worker() as thread:
        cancelled(thread, lambda: (time.sleep(0.05), done.append(1)), None)
        assert done == [1]


def test_work_that_has_not_begun_is_given_up_at_once():
    go, stop, ran = threading.Event(), threading.Event(), []

    async def main(thread: ThreadPoolExecutor) -> None:
        thread.submit(go.wait, 30)
        waiting = asyncio.create_task(wait_or_stop(thread.submit(ran.append, 1), stop))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        go.set()

    with worker() as thread:
        asyncio.run(main(thread))
    assert not ran


def test_a_wait_that_is_dropped_stops_the_work_all_the_same():
    """An event loop that is closed without cancelling its tasks never resumes them."""
    stop = threading.Event()
    with worker() as thread:
        work = thread.submit(stop.wait, 30)

        async def main() -> None:
            waiting = wait_or_stop(work, stop)
            waiting.send(None)
            waiting.close()

        asyncio.run(main())
        assert work.result() is True


def test_a_start_with_nothing_to_do_imports_no_asyncio(make, database):
    pack = make("a", "001_one")
    run_migrations(database, [pack])
    code = (
        "import sys\nfrom pathlib import Path\nfrom homie_migrations_core import MigrationPack, run_migrations, arun_migrations\n"
        "assert run_migrations(sys.argv[1], [MigrationPack('a', Path(sys.argv[2]), 'app.db')]) == 0\n"
        "assert not {'asyncio', 'concurrent.futures', 'homie_migrations_core.event_loop'} & set(sys.modules), 'loaded'\n"
    )
    subprocess.run([sys.executable, "-c", code, str(database), str(pack.migrations)], check=True)
