"""The thread and the connection of a path memory: starting and stopping at once, cancelling, waiting for locks."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import creates, fingerprint, query, recorded, tables
from path_memory_helpers import (
    CALLS,
    FILE,
    ONE,
    START_WHEN_TOLD,
    assert_threads_end,
    long_migration,
    results_of,
    start,
    until,
    waits_for,
)

from file_organizer_migrations import PathMemoryManager, session, start_up
from file_organizer_migrations.path_memory import (
    Destination,
    Drive,
    NotStarted,
)
from homie_migrations_core.errors import FolderUnusable, LockTimeout


def test_start_and_shutdown_may_be_called_again_and_again(data: Path) -> None:
    memory = PathMemoryManager(data)

    async def main() -> list[str]:
        await memory.shutdown()
        await memory.start()
        await memory.start()
        await memory.remember_destination("ada", "/music", "music")
        await memory.shutdown()
        await memory.shutdown()
        await memory.start()
        found = await memory.destinations("ada")
        await memory.shutdown()
        return [each.path for each in found]

    assert asyncio.run(main()) == ["/music"]
    assert asyncio.run(main()) == ["/music"]  # in another event loop


def test_starts_of_one_manager_at_once_end_with_one_connection_that_one_shutdown_closes(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    connect = sqlite3.connect
    monkeypatch.setattr(session.sqlite3, "connect", lambda *a, **k: opened.append(k.get("factory")) or connect(*a, **k))

    async def main() -> None:
        memory = PathMemoryManager(data)
        await asyncio.gather(*(memory.start() for _ in range(5)))
        used = len(opened)
        await asyncio.gather(*(memory.start() for _ in range(5)))
        assert len(opened) == used
        await memory.remember_destination("ada", "/music", "music")
        await memory.shutdown()
        with pytest.raises(NotStarted):
            await memory.destinations("ada")

    asyncio.run(main())
    assert recorded(data / FILE) == [ONE]
    assert_threads_end()


def test_the_event_loop_goes_on_while_a_migration_runs(data: Path, tmp_path: Path, install: Callable[..., Path]) -> None:
    go, marker = tmp_path / "go", tmp_path / "runs"
    wait = waits_for(go)
    install("slow", {"001_waits.py": long_migration(marker, wait)})

    async def main() -> bool:
        memory = PathMemoryManager(data)
        starting = asyncio.create_task(memory.start())
        await until(marker.exists, starting)
        undone_yet = starting.done()
        with pytest.raises(NotStarted):
            await memory.destinations("ada")
        go.touch()  # only a loop that is free gets here
        await starting
        await memory.shutdown()
        return undone_yet

    assert asyncio.run(main()) is False
    assert "half_done" in tables(data / FILE)


@pytest.mark.parametrize("call", CALLS)
def test_a_manager_that_is_not_started_says_so(data: Path, call: str) -> None:
    memory = PathMemoryManager(data)

    async def main() -> None:
        with pytest.raises(NotStarted, match=r"start\(\)"):
            await CALLS[call](memory)
        assert memory.database is None
        assert not data.exists()
        await memory.start()
        assert memory.database == data / FILE
        await memory.shutdown()
        with pytest.raises(NotStarted, match=r"start\(\)"):
            await CALLS[call](memory)
        assert memory.database is None

    asyncio.run(main())


def test_a_manager_whose_start_failed_is_not_started_and_can_be_started_later(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    memory = PathMemoryManager(tmp_path / "data")

    async def main() -> None:
        with pytest.raises(FolderUnusable):
            await memory.start()
        with pytest.raises(NotStarted):
            await memory.destinations("ada")
        (tmp_path / "data").unlink()
        await memory.start()
        assert await memory.destinations("ada") == []
        await memory.shutdown()

    asyncio.run(main())
    assert_threads_end()


def test_shutdown_lets_what_was_asked_for_before_finish(data: Path) -> None:
    async def main() -> None:
        memory = PathMemoryManager(data)
        await memory.start()
        asked = [asyncio.create_task(memory.remember_destination("ada", f"/{number}", "x")) for number in range(20)]
        await asyncio.sleep(0)  # each has been handed over, none has been waited for
        await memory.shutdown()
        assert len(await asyncio.gather(*asked)) == 20

    asyncio.run(main())
    assert query(data / FILE, "SELECT count(*) FROM destinations") == [(20,)]


IN_SQL = "conn.execute(LONG)"


IN_PYTHON = "while True:\n    conn.execute('INSERT INTO half_done VALUES (1)')"


@pytest.mark.parametrize("body", [IN_SQL, IN_PYTHON], ids=["in one statement", "between statements"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_cancelled_start_stops_the_run_and_waits_until_it_is_undone(
    data: Path, tmp_path: Path, install: Callable[..., Path], body: str, times: int
) -> None:
    results_of(data, lambda memory: memory.remember_destination("ada", "/music", "music"))
    before = fingerprint(data)
    marker = tmp_path / "runs"
    install("slow", {"001_takes_long.py": long_migration(marker, body)})

    async def main() -> None:
        memory = PathMemoryManager(data)
        starting = asyncio.create_task(memory.start())
        await until(marker.exists, starting)
        for _ in range(times):
            starting.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert fingerprint(data) == before  # at once: undone, closed, snapshot gone
        with pytest.raises(NotStarted):
            await memory.destinations("ada")

    asyncio.run(main())
    assert_threads_end()


def test_a_start_that_takes_too_long_ends_in_a_timeout_and_a_clean_database(
    data: Path, tmp_path: Path, install: Callable[..., Path]
) -> None:
    marker = tmp_path / "runs"
    folder = install("slow", {"001_takes_long.py": long_migration(marker)})

    async def main() -> list[Drive]:
        memory = PathMemoryManager(data)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(None) as limit:
                running = asyncio.create_task(until(marker.exists))
                running.add_done_callback(lambda _: limit.reschedule(asyncio.get_running_loop().time()))
                await memory.start()
        assert tables(data / FILE) == set()
        (folder / "001_takes_long.py").write_text(creates(1, "quick"))
        async with memory:
            return await memory.available_drives("ada")

    assert asyncio.run(main()) == []
    assert "quick" in tables(data / FILE)


def test_a_start_that_is_cancelled_while_it_waits_for_another_writer_ends(data: Path, install: Callable[..., Path]) -> None:
    start(data)
    install("neighbour", {"001_tags.py": creates(1, "tags")})
    writer = sqlite3.connect(data / FILE, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")

    async def main(waiting: threading.Event) -> None:
        starting = asyncio.create_task(PathMemoryManager(data).start())
        await until(waiting.is_set, starting)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting

    waiting = threading.Event()
    told = logging.Handler()
    told.emit = lambda record: waiting.set() if "Waiting" in record.getMessage() else None
    logger = logging.getLogger("homie_migrations")
    level = logger.level
    logger.addHandler(told)
    logger.setLevel(logging.INFO)
    try:
        asyncio.run(main(waiting))
    finally:
        logger.removeHandler(told)
        logger.setLevel(level)
        writer.close()
    assert recorded(data / FILE) == [ONE]


def test_cancelling_one_of_two_starts_does_not_stop_the_other(data: Path, tmp_path: Path, install: Callable[..., Path]) -> None:
    marker, second = tmp_path / "runs", tmp_path / "second"
    # The first run is stopped; the second one, which waited for its turn, finds the marker and is quick.
    body = f"if Path({str(second)!r}).exists():\n    return\nPath({str(second)!r}).touch()\nconn.execute(LONG)"
    install("slow", {"001_takes_long.py": long_migration(marker, body)})

    async def main() -> list[Destination]:
        memory = PathMemoryManager(data)
        one, two = asyncio.create_task(memory.start()), asyncio.create_task(memory.start())
        await until(second.exists, one, two)
        one.cancel()
        with pytest.raises(asyncio.CancelledError):
            await one
        await two
        found = await memory.destinations("ada")
        await memory.shutdown()
        return found

    assert asyncio.run(main()) == []
    assert recorded(data / FILE) == [ONE, "slow:001_takes_long"]


def test_a_start_that_waits_for_its_turn_is_given_up_at_once(data: Path, tmp_path: Path, install: Callable[..., Path]) -> None:
    go, marker = tmp_path / "go", tmp_path / "runs"
    wait = waits_for(go)
    install("slow", {"001_waits.py": long_migration(marker, wait)})

    async def main() -> None:
        memory = PathMemoryManager(data)
        one, two = asyncio.create_task(memory.start()), asyncio.create_task(memory.start())
        await until(marker.exists, one)
        two.cancel()
        with pytest.raises(asyncio.CancelledError):
            await two
        assert not one.done()
        go.touch()
        await one
        assert await memory.destinations("ada") == []
        await memory.shutdown()

    asyncio.run(main())


def test_a_cancel_that_comes_too_late_leaves_nothing_open(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is committed when the cancel arrives: it still ends in CancelledError, and nobody has to shut down."""
    bring_up = start_up.bring_up_to_date
    committed, told = threading.Event(), threading.Event()

    def slow_to_return(*arguments: object) -> Path:
        path = bring_up(*arguments)
        committed.set()
        assert told.wait(30)
        return path

    monkeypatch.setattr(start_up, "bring_up_to_date", slow_to_return)

    async def main() -> None:
        memory = PathMemoryManager(data)
        starting = asyncio.create_task(memory.start())
        await until(committed.is_set, starting)
        starting.cancel()
        await asyncio.sleep(0)
        told.set()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert memory.database is None
        assert_threads_end()

    asyncio.run(main())
    assert recorded(data / FILE) == [ONE]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_while_a_program_starts_undoes_the_run_before_the_program_ends(
    data: Path, tmp_path: Path, install: Callable[..., Path]
) -> None:
    import signal
    import time

    start(data)
    before = fingerprint(data)
    marker = tmp_path / "runs"
    install("slow", {"001_takes_long.py": long_migration(marker)})
    process = subprocess.Popen(
        [sys.executable, "-c", START_WHEN_TOLD],
        env=os.environ | {"HOMIE_DATA_DIR": str(data)},
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        process.stdin.write("\n")
        process.stdin.flush()
        deadline = time.monotonic() + 30
        while not marker.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        try:
            _, error = process.communicate(timeout=60)
        finally:
            process.kill()  # or a failure would wait for it for ever
    assert "KeyboardInterrupt" in error
    assert fingerprint(data) == before


def test_its_connection_enforces_foreign_keys(data: Path) -> None:
    _drive, _destination = results_of(
        data,
        lambda memory: memory.register_drive("ada", "serial-1", "/mnt", "usb"),
        lambda memory: memory.remember_destination("ada", "/music", "music"),
    )

    async def main() -> None:
        async with PathMemoryManager(data) as memory:
            with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
                await memory._read(lambda connection: connection.execute("UPDATE destinations SET drive_id = 'nothing'"))

    asyncio.run(main())


def test_a_database_that_stays_locked_is_told_as_such_and_the_manager_goes_on(data: Path) -> None:
    start(data)
    writer = sqlite3.connect(data / FILE, isolation_level=None)

    async def main() -> list[Destination]:
        async with PathMemoryManager(data, lock_timeout=0.05) as memory:
            assert await memory._read(lambda connection: connection.execute("PRAGMA busy_timeout").fetchone()) == (50,)
            writer.execute("BEGIN EXCLUSIVE")
            for call in (memory.remember_destination("ada", "/music", "music"), memory.destinations("ada")):
                with pytest.raises(LockTimeout, match=r"0\.05 s") as refused:
                    await call
                assert refused.value.path == str(data / FILE)
            writer.execute("ROLLBACK")
            await memory.remember_destination("ada", "/music", "music")
            return await memory.destinations("ada")

    try:
        assert len(asyncio.run(main())) == 1
    finally:
        writer.close()


def test_a_start_that_finds_the_database_locked_for_too_long_says_so(data: Path, install: Callable[..., Path]) -> None:
    start(data)
    install("neighbour", {"001_tags.py": creates(1, "tags")})
    writer = sqlite3.connect(data / FILE, isolation_level=None)
    try:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(LockTimeout) as refused:
            asyncio.run(PathMemoryManager(data, lock_timeout=0.05).start())
    finally:
        writer.close()
    assert refused.value.seconds == 0.05
    assert recorded(data / FILE) == [ONE]


def test_what_a_caller_keeps_in_context_variables_is_seen_by_the_work_it_asks_for(data: Path) -> None:
    who = contextvars.ContextVar("who", default="nobody")

    async def ask(memory: PathMemoryManager) -> str:
        who.set("ada")
        return await memory._read(lambda _: who.get())

    assert results_of(data, ask) == ["ada"]


def test_a_change_whose_caller_gave_up_does_not_disturb_the_next_one(data: Path) -> None:
    start(data)
    writer = sqlite3.connect(data / FILE, isolation_level=None)

    async def main() -> list[Destination]:
        async with PathMemoryManager(data) as memory:
            writer.execute("BEGIN IMMEDIATE")
            waiting = asyncio.create_task(memory.remember_destination("ada", "/1", "x"))
            await asyncio.sleep(0)
            waiting.cancel()
            after = asyncio.create_task(memory.remember_destination("ada", "/2", "x"))
            await asyncio.sleep(0)
            writer.execute("ROLLBACK")
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await after
            return await memory.destinations("ada")

    try:
        assert "/2" in [each.path for each in asyncio.run(main())]
    finally:
        writer.close()
