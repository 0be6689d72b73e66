"""What the tests of the file organizer's path memory share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import python_migration

from file_organizer_migrations import PathMemoryManager

FILE = Path("modules", "homie_file_organizer.db")
OWN = {"drives", "destinations", "destination_usage"}
ONE = "file_organizer:001_destination_memory"


def results_of(data: Path, *calls: Callable[[PathMemoryManager], object]) -> list:
    """Make the calls, one after the other, on a manager that is started before and shut down after; return their results."""

    async def main() -> list:
        async with PathMemoryManager(data) as memory:
            return [await call(memory) for call in calls]

    return asyncio.run(main())


async def do_nothing(memory: PathMemoryManager) -> None:
    """A call that only needs the manager to have started."""


def start(data: Path) -> None:
    results_of(data, do_nothing)


def long_migration(marker: Path, body: str = "conn.execute(LONG)", **more: str) -> str:
    """Return a migration that shows that it runs, and then takes far longer than a test may."""
    head = (
        "from pathlib import Path\n"
        "LONG = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000000000) SELECT count(*) FROM n'"
    )
    begin = f"conn.execute('CREATE TABLE half_done (id)')\nPath({str(marker)!r}).touch()\n"
    return python_migration(1, begin + body, head=head, **more)


def waits_for(go: Path) -> str:
    """Return Python code that SQLite cannot interrupt, and that ends once `go` exists, or after half a minute."""
    return f"import time\nend = time.monotonic() + 30\nwhile not Path({str(go)!r}).exists() and time.monotonic() < end:\n    time.sleep(0.005)"


def assert_threads_end() -> None:
    """Assert that the threads of all managers end by themselves."""
    for thread in threading.enumerate():
        if thread.name.startswith("homie-path-memory"):
            thread.join(30)
            assert not thread.is_alive()


async def until(condition: Callable[[], object], *tasks: asyncio.Task) -> None:
    """Return once the condition holds; fail if one of the tasks ends before."""
    async with asyncio.timeout(60):
        while not condition():
            for task in tasks:
                if task.done():
                    pytest.fail(f"it ended too early: {task.result()}")
            await asyncio.sleep(0.005)


START_WHEN_TOLD = """
import asyncio, signal, sys
from file_organizer_migrations import PathMemoryManager

signal.signal(signal.SIGINT, signal.default_int_handler)  # where the tests run in the background, it is ignored

async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    async with PathMemoryManager() as memory:
        drive = await memory.register_drive("ada", "serial-1", "/mnt", "internal")
        print(drive.id, flush=True)

asyncio.run(main())
"""


CALLS = {
    "register_drive": lambda memory: memory.register_drive("ada", "serial-1", "/mnt", "internal"),
    "available_drives": lambda memory: memory.available_drives("ada"),
    "mark_drive": lambda memory: memory.mark_drive("x", available=True),
    "remember_destination": lambda memory: memory.remember_destination("ada", "/music", "music"),
    "destinations": lambda memory: memory.destinations("ada"),
    "forget_destination": lambda memory: memory.forget_destination("x"),
    "record_use": lambda memory: memory.record_use("x"),
    "usage_history": lambda memory: memory.usage_history("x"),
}
