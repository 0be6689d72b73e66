"""The manager on real files: what it brings up to date, what it serves, and how it stops."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
import logging
import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import file_organizer_migrations
import homie_migrations_core
import pytest
from file_organizer_migrations import PathMemoryManager, path_memory, plugin, session, start_up, statements
from file_organizer_migrations.path_memory import (
    Destination,
    Drive,
    NotStarted,
    UnknownDestination,
    UnknownDrive,
    Use,
)
from helpers import creates, fingerprint, python_migration, query, recorded, run_sql, tables
from homie_migrations_core import HomieMigrationsError, MigrationPack
from homie_migrations_core.errors import DatabaseIsAhead, FolderUnusable, LockTimeout, MigrationFailed, PackBroken, UnknownPack
from homie_migrations_core.packs.discovery import collect

FILE = Path("modules", "homie_file_organizer.db")
OWN = {"drives", "destinations", "destination_usage"}
ONE = "file_organizer:001_destination_memory"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def install(installed: Any) -> Callable[..., Path]:
    """Installs a stranger's distribution with a pack for the file organizer's database; the pack's folder comes back."""

    def install(name: str, files: dict[str, str], *, pack: str = "", database: str = FILE.name) -> Path:
        return installed.pack(pack or name, files, database=database, distribution=name)

    return install


def started(data: Path, *works: Callable[[PathMemoryManager], object]) -> list:
    """What the works answer, one after the other, on a manager that is started before and shut down after."""

    async def scene() -> list:
        async with PathMemoryManager(data) as memory:
            return [await work(memory) for work in works]

    return asyncio.run(scene())


async def nothing(memory: PathMemoryManager) -> None:
    """A work that only needs the manager to have started."""


def start(data: Path) -> None:
    started(data, nothing)


def long_migration(marker: Path, body: str = "conn.execute(LONG)", **more: str) -> str:
    """Says that it runs, then takes far longer than a test may."""
    head = (
        "from pathlib import Path\n"
        "LONG = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000000000) SELECT count(*) FROM n'"
    )
    begin = f"conn.execute('CREATE TABLE half_done (id)')\nPath({str(marker)!r}).touch()\n"
    return python_migration(1, begin + body, head=head, **more)


def waits_for(go: Path) -> str:
    """Python code that SQLite can't interrupt, and that ends once the test lets it, or after half a minute."""
    return f"import time\nend = time.monotonic() + 30\nwhile not Path({str(go)!r}).exists() and time.monotonic() < end:\n    time.sleep(0.005)"


def assert_threads_end() -> None:
    """Nothing keeps a manager's thread alive: each ends by itself."""
    for thread in threading.enumerate():
        if thread.name.startswith("homie-path-memory"):
            thread.join(30)
            assert not thread.is_alive()


async def until(condition: Callable[[], object], *tasks: asyncio.Task) -> None:
    """Comes back once the condition holds; a task that ends before is asked why."""
    async with asyncio.timeout(60):
        while not condition():
            for task in tasks:
                if task.done():
                    pytest.fail(f"it ended too early: {task.result()}")
            await asyncio.sleep(0.005)


# --- starting -----------------------------------------------------------------------------------------


def test_start_makes_the_folders_and_the_database_and_brings_it_up_to_date(data: Path) -> None:
    start(data)
    assert tables(data / FILE) == OWN
    assert recorded(data / FILE) == [ONE]


@pytest.mark.parametrize("kind", [str, Path])
def test_the_data_folder_may_be_text_or_a_path_and_is_the_managers_to_make(tmp_path: Path, kind: type) -> None:
    place = tmp_path / "böse % Zeichen #1?" / "data"
    start(kind(place))
    assert recorded(place / FILE) == [ONE]


def test_without_a_data_folder_the_environment_names_it_when_start_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = PathMemoryManager()
    monkeypatch.setenv("HOMIE_DATA_DIR", str(tmp_path / "named"))

    async def scene() -> Path | None:
        async with memory:
            return memory.database

    assert asyncio.run(scene()) == tmp_path / "named" / FILE
    assert recorded(tmp_path / "named" / FILE) == [ONE]


def test_a_data_folder_that_was_given_counts_more_than_the_environment(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMIE_DATA_DIR", str(tmp_path / "named"))
    start(data)
    assert (data / FILE).exists()
    assert not (tmp_path / "named").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="XDG_DATA_HOME is how Linux moves the user data folder")
def test_without_both_the_platforms_user_data_folder_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOMIE_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))

    async def scene() -> None:
        async with PathMemoryManager():
            pass

    asyncio.run(scene())
    assert recorded(tmp_path / "homie" / FILE) == [ONE]


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderUnusable, match="modules"):
        start(tmp_path / "file")


def test_start_and_shutdown_may_be_called_again_and_again(data: Path) -> None:
    memory = PathMemoryManager(data)

    async def scene() -> list[str]:
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

    assert asyncio.run(scene()) == ["/music"]
    assert asyncio.run(scene()) == ["/music"]  # in another event loop


def test_starting_an_up_to_date_database_changes_no_byte(data: Path) -> None:
    start(data)
    before = fingerprint(data)
    start(data)
    assert fingerprint(data) == before


def test_two_managers_that_start_at_once_share_the_database(data: Path) -> None:
    async def scene() -> list[Destination]:
        one, two = PathMemoryManager(data), PathMemoryManager(data)
        await asyncio.gather(one.start(), two.start())
        await one.remember_destination("ada", "/music", "music")
        found = await two.destinations("ada")
        await asyncio.gather(one.shutdown(), two.shutdown())
        return found

    assert [each.path for each in asyncio.run(scene())] == ["/music"]
    assert recorded(data / FILE) == [ONE]


def test_starts_of_one_manager_at_once_end_with_one_connection_that_one_shutdown_closes(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    connect = sqlite3.connect
    monkeypatch.setattr(session.sqlite3, "connect", lambda *a, **k: opened.append(k.get("factory")) or connect(*a, **k))

    async def scene() -> None:
        memory = PathMemoryManager(data)
        await asyncio.gather(*(memory.start() for _ in range(5)))
        used = len(opened)
        await asyncio.gather(*(memory.start() for _ in range(5)))
        assert len(opened) == used
        await memory.remember_destination("ada", "/music", "music")
        await memory.shutdown()
        with pytest.raises(NotStarted):
            await memory.destinations("ada")

    asyncio.run(scene())
    assert recorded(data / FILE) == [ONE]
    assert_threads_end()


START_WHEN_TOLD = """
import asyncio, sys
from file_organizer_migrations import PathMemoryManager

async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    async with PathMemoryManager() as memory:
        drive = await memory.register_drive("ada", "serial-1", "/mnt", "internal")
        print(drive.id, flush=True)

asyncio.run(main())
"""


def test_processes_that_start_at_once_apply_everything_once_and_all_go_on(
    data: Path, tmp_path: Path, install: Callable[..., Path]
) -> None:
    install(
        "neighbour",
        {
            "001_counts.py": creates(1, "counted"),
            "002_adds.py": python_migration(2, "conn.execute('INSERT INTO counted VALUES (NULL, 1)')"),
        },
    )
    environment = os.environ | {"HOMIE_DATA_DIR": str(data)}
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-W", "error", "-c", START_WHEN_TOLD],
                    env=environment,
                    cwd=tmp_path,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(3)
        ]
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        answers = [process.communicate(timeout=60) for process in processes]
    assert [(process.returncode, error) for process, (_, error) in zip(processes, answers, strict=True)] == [(0, "")] * 3
    assert len({drive for drive, _ in answers}) == 1
    assert query(data / FILE, "SELECT text FROM counted") == [("1",)]
    assert recorded(data / FILE) == [ONE, "neighbour:001_counts", "neighbour:002_adds"]


def test_the_event_loop_goes_on_while_a_migration_runs(data: Path, tmp_path: Path, install: Callable[..., Path]) -> None:
    go, marker = tmp_path / "go", tmp_path / "runs"
    wait = waits_for(go)
    install("slow", {"001_waits.py": long_migration(marker, wait)})

    async def scene() -> bool:
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

    assert asyncio.run(scene()) is False
    assert "half_done" in tables(data / FILE)


# --- before and after ---------------------------------------------------------------------------------

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


def test_every_public_method_is_in_the_list_of_calls() -> None:
    public = {
        name for name, value in vars(PathMemoryManager).items() if not name.startswith("_") and asyncio.iscoroutinefunction(value)
    }
    assert public == CALLS.keys() | {"start", "shutdown"}


@pytest.mark.parametrize("call", CALLS)
def test_a_manager_that_is_not_started_says_so(data: Path, call: str) -> None:
    memory = PathMemoryManager(data)

    async def scene() -> None:
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

    asyncio.run(scene())


def test_a_manager_whose_start_failed_is_not_started_and_can_be_started_later(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    memory = PathMemoryManager(tmp_path / "data")

    async def scene() -> None:
        with pytest.raises(FolderUnusable):
            await memory.start()
        with pytest.raises(NotStarted):
            await memory.destinations("ada")
        (tmp_path / "data").unlink()
        await memory.start()
        assert await memory.destinations("ada") == []
        await memory.shutdown()

    asyncio.run(scene())
    assert_threads_end()


def test_shutdown_lets_what_was_asked_for_before_finish(data: Path) -> None:
    async def scene() -> None:
        memory = PathMemoryManager(data)
        await memory.start()
        asked = [asyncio.create_task(memory.remember_destination("ada", f"/{number}", "x")) for number in range(20)]
        await asyncio.sleep(0)  # each has been handed over, none has been waited for
        await memory.shutdown()
        assert len(await asyncio.gather(*asked)) == 20

    asyncio.run(scene())
    assert query(data / FILE, "SELECT count(*) FROM destinations") == [(20,)]


# --- packs of others, and failures --------------------------------------------------------------------


def test_every_installed_pack_of_the_database_is_applied_and_no_other(data: Path, install: Callable[..., Path]) -> None:
    install("neighbour", {"001_tags.py": creates(1, "tags")})
    install("elsewhere", {"001_other.py": creates(1, "other")}, database="homie_elsewhere.db")
    start(data)
    assert tables(data / FILE) == OWN | {"tags"}
    assert recorded(data / FILE) == [ONE, "neighbour:001_tags"]
    assert [path.name for path in (data / "modules").glob("*.db")] == ["homie_file_organizer.db"]


BROKEN = {
    "its module fails": ("raise RuntimeError('the stranger is ill')", "the stranger is ill"),
    "it registers nothing": ("", "implements no hook"),
    "a file is misnamed": ({"001_ok.py": creates(1, "ok"), "2-bad.py": ""}, "2-bad.py"),
    "a file lacks its function": ({"001_empty.py": ""}, "001_empty.py"),
    "it needs what is not there": ({"001_x.py": creates(1, "x", requires=("nobody:1",))}, "nobody"),
}


@pytest.mark.parametrize(("content", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_strangers_broken_pack_is_logged_and_harms_nobody(
    data: Path,
    install: Callable[..., Path],
    installed: Any,
    caplog: pytest.LogCaptureFixture,
    content: str | dict[str, str],
    reason: str,
) -> None:
    if isinstance(content, str):
        installed.distribution("stranger", {"stranger_plugin": content}, {"stranger": "stranger_plugin"})
    else:
        install("stranger", content)
    install("neighbour", {"001_tags.py": creates(1, "tags")})
    with caplog.at_level(logging.WARNING, "homie_migrations"):
        start(data)
    told = [record.getMessage() for record in caplog.records if record.name.startswith("homie_migrations")]
    assert len(told) == 1, told
    assert "stranger" in told[0]
    assert reason in told[0]
    assert recorded(data / FILE) == [ONE, "neighbour:001_tags"]


def test_a_failed_migration_raises_and_leaves_the_database_as_it_was(data: Path, install: Callable[..., Path]) -> None:
    started(data, lambda memory: memory.remember_destination("ada", "/music", "music"))
    before = fingerprint(data)
    install(
        "stranger",
        {
            "001_breaks.py": python_migration(
                1, "conn.execute('DELETE FROM destinations')\nconn.execute('CREATE TABLE x (y)')\nraise ValueError('no luck')"
            )
        },
    )
    with pytest.raises(MigrationFailed, match="no luck") as failed:
        start(data)
    assert failed.value.ref == "stranger:001_breaks"
    assert fingerprint(data) == before


def test_a_failed_migration_on_a_new_database_leaves_no_table(data: Path, install: Callable[..., Path]) -> None:
    install("stranger", {"001_breaks.py": python_migration(1, "conn.execute('nonsense')")})
    with pytest.raises(MigrationFailed, match="nonsense"):
        start(data)
    assert tables(data / FILE) == set()
    assert recorded(data / FILE) == []


def test_after_a_failed_migration_was_repaired_the_same_manager_starts(data: Path, install: Callable[..., Path]) -> None:
    folder = install("stranger", {"001_breaks.py": python_migration(1, "conn.execute('nonsense')")})
    memory = PathMemoryManager(data)

    async def scene() -> None:
        with pytest.raises(MigrationFailed):
            await memory.start()
        (folder / "001_breaks.py").write_text(creates(1, "repaired"))
        await memory.start()
        await memory.shutdown()

    asyncio.run(scene())
    assert tables(data / FILE) == OWN | {"repaired"}


def test_a_database_of_a_newer_release_is_refused_and_left_as_it_is(data: Path) -> None:
    start(data)
    run_sql(data / FILE, "INSERT INTO schema_migrations (version, migration_name) VALUES (2, '002_from_tomorrow')")
    before = fingerprint(data)
    with pytest.raises(DatabaseIsAhead, match="002_from_tomorrow"):
        start(data)
    assert fingerprint(data) == before


def own_pack(folder: Path, files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The installed file organizer's pack is another release, with these files."""
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_text(content)
    monkeypatch.setattr(plugin, "pack", MigrationPack(plugin.pack.name, folder, plugin.pack.database))


def test_start_raises_when_the_own_pack_has_an_unusable_file(
    data: Path, tmp_path: Path, install: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    install("neighbour", {"001_tags.py": creates(1, "tags")})
    own_pack(tmp_path / "own", {"001_fine.py": creates(1, "fine"), "2-bad.py": ""}, monkeypatch)
    with pytest.raises(PackBroken, match="2-bad.py"):
        start(data)
    assert not data.exists()


def test_start_raises_when_the_own_packs_pending_migration_cannot_be_used(
    data: Path, tmp_path: Path, install: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    install("neighbour", {"001_tags.py": creates(1, "tags")})
    own_pack(tmp_path / "own", {"001_broken.py": "def get_migration_version() -> int:\n    return 2\n"}, monkeypatch)
    with pytest.raises(PackBroken, match="001_broken.py"):
        start(data)
    assert recorded(data / FILE) == ["neighbour:001_tags"]  # others are not made to wait


def test_start_raises_when_the_own_pack_requires_one_that_is_broken(
    data: Path, tmp_path: Path, install: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    install("stranger", {"001_tags.py": "", "2-bad.py": ""})
    own_pack(tmp_path / "own", {"001_needs.py": creates(1, "needs", requires=("stranger:1",))}, monkeypatch)
    with pytest.raises(PackBroken, match="stranger"):
        start(data)
    assert not (data / FILE).exists() or tables(data / FILE) == set()


def test_start_raises_when_another_distribution_claims_the_own_packs_name(data: Path, install: Callable[..., Path]) -> None:
    install("impostor", {"001_theirs.py": creates(1, "theirs")}, pack="file_organizer")
    with pytest.raises(PackBroken, match="impostor"):
        start(data)
    assert not data.exists()


def test_start_raises_when_the_own_entry_point_cannot_be_used_and_applies_nobody_elses_pack_instead(
    data: Path, install: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    install("elsewhere", {"001_other.py": creates(1, "other")}, database="homie_elsewhere.db")
    monkeypatch.delattr(plugin, "homie_migration_packs")
    monkeypatch.setattr(start_up, "DISTRIBUTION", "another-one")  # an application may ship the pack in its own
    with pytest.raises(PackBroken, match="file_organizer"):
        start(data)
    assert not data.exists()


def test_start_raises_when_the_own_distribution_is_broken_whatever_its_entry_point_is_called(data: Path, installed: Any) -> None:
    installed.distribution(start_up.DISTRIBUTION, {"torn_plugin": "raise RuntimeError('torn')"}, {"renamed": "torn_plugin"})
    with pytest.raises(PackBroken, match="torn"):
        start(data)
    assert not data.exists()


def test_start_raises_when_the_own_pack_is_not_registered_at_all(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("homie_migrations_core.packs.discovery.GROUP", "nobody.registers.this")
    with pytest.raises(UnknownPack, match="file_organizer"):
        start(data)
    assert not data.exists()


def test_a_stranger_whose_entry_point_has_our_name_and_is_broken_does_not_stop_us(
    data: Path, installed: Any, caplog: pytest.LogCaptureFixture
) -> None:
    installed.distribution("stranger", {"stranger_plugin": "raise RuntimeError('ill')"}, {"file_organizer": "stranger_plugin"})
    start(data)
    assert "ill" in caplog.text
    assert recorded(data / FILE) == [ONE]


PLACES = """
from pathlib import Path
from homie_migrations_core import hookimpl

@hookimpl
def homie_database_path(database, data_dir):
    {answer}
"""


@pytest.mark.parametrize("name", ["homie_file_organizer.db", "organizer.sqlite"])
def test_a_plugin_may_place_the_database_elsewhere_and_call_it_otherwise(
    data: Path, tmp_path: Path, install: Callable[..., Path], installed: Any, name: str
) -> None:
    place = tmp_path / "vault" / name
    install("neighbour", {"001_tags.py": creates(1, "tags")})
    install("elsewhere", {"001_other.py": creates(1, "other")}, database="homie_elsewhere.db")
    answer = f"return Path({str(place)!r}) if database == 'homie_file_organizer.db' else None"
    installed.distribution("places", {"places_plugin": PLACES.format(answer=answer)}, {"places": "places_plugin"})

    async def where(memory: PathMemoryManager) -> Path | None:
        return memory.database

    assert started(data, where) == [place]
    assert recorded(place) == [ONE, "neighbour:001_tags"]
    assert not data.exists()


def test_a_plugin_that_fails_to_say_where_the_database_lies_stops_the_start(data: Path, installed: Any) -> None:
    installed.distribution(
        "places", {"places_plugin": PLACES.format(answer="raise RuntimeError('no idea')")}, {"places": "places_plugin"}
    )
    with pytest.raises(PackBroken, match="no idea"):
        start(data)
    assert not data.exists()


# --- stopping -----------------------------------------------------------------------------------------

IN_SQL = "conn.execute(LONG)"
IN_PYTHON = "while True:\n    conn.execute('INSERT INTO half_done VALUES (1)')"


@pytest.mark.parametrize("body", [IN_SQL, IN_PYTHON], ids=["in one statement", "between statements"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_cancelled_start_stops_the_run_and_waits_until_it_is_undone(
    data: Path, tmp_path: Path, install: Callable[..., Path], body: str, times: int
) -> None:
    started(data, lambda memory: memory.remember_destination("ada", "/music", "music"))
    before = fingerprint(data)
    marker = tmp_path / "runs"
    install("slow", {"001_takes_long.py": long_migration(marker, body)})

    async def scene() -> None:
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

    asyncio.run(scene())
    assert_threads_end()


def test_a_start_that_takes_too_long_ends_in_a_timeout_and_a_clean_database(
    data: Path, tmp_path: Path, install: Callable[..., Path]
) -> None:
    marker = tmp_path / "runs"
    folder = install("slow", {"001_takes_long.py": long_migration(marker)})

    async def scene() -> list[Drive]:
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

    assert asyncio.run(scene()) == []
    assert "quick" in tables(data / FILE)


def test_a_start_that_is_cancelled_while_it_waits_for_another_writer_ends(data: Path, install: Callable[..., Path]) -> None:
    start(data)
    install("neighbour", {"001_tags.py": creates(1, "tags")})
    writer = sqlite3.connect(data / FILE, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")

    async def scene(waiting: threading.Event) -> None:
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
        asyncio.run(scene(waiting))
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

    async def scene() -> list[Destination]:
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

    assert asyncio.run(scene()) == []
    assert recorded(data / FILE) == [ONE, "slow:001_takes_long"]


def test_a_start_that_waits_for_its_turn_is_given_up_at_once(data: Path, tmp_path: Path, install: Callable[..., Path]) -> None:
    go, marker = tmp_path / "go", tmp_path / "runs"
    wait = waits_for(go)
    install("slow", {"001_waits.py": long_migration(marker, wait)})

    async def scene() -> None:
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

    asyncio.run(scene())


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

    async def scene() -> None:
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

    asyncio.run(scene())
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
        _, error = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in error
    assert fingerprint(data) == before


# --- what it serves -----------------------------------------------------------------------------------


def test_a_drive_is_registered_with_what_is_known_of_it(data: Path) -> None:
    (drive,) = started(
        data,
        lambda memory: memory.register_drive(
            "ada", "serial-1", Path("/mnt/stick"), "usb", volume_label="STICK", cloud_provider="none"
        ),
    )
    assert drive == Drive(
        drive.id,
        "ada",
        "serial-1",
        os.fspath(Path("/mnt/stick")),
        "STICK",
        "usb",
        "none",
        True,
        drive.last_seen_at,
        drive.created_at,
    )
    assert re.fullmatch("[0-9a-f]{32}", drive.id)
    assert is_now(drive.last_seen_at)
    assert is_now(drive.created_at)
    assert query(data / FILE, "SELECT id, mount_point FROM drives") == [(drive.id, drive.mount_point)]


def is_now(text: str | None) -> bool:
    """Whether it is a time as SQLite writes it, UTC, of a moment ago."""
    age = datetime.now(UTC) - datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return timedelta(seconds=-2) < age < timedelta(minutes=5)


OLD = "2001-01-01 00:00:00"


def test_a_drive_that_comes_back_keeps_its_id_and_is_available_as_it_is_seen_now(data: Path) -> None:
    (first,) = started(
        data, lambda memory: memory.register_drive("ada", "serial-1", "/mnt/a", "usb", volume_label="OLD", cloud_provider="x")
    )
    run_sql(data / FILE, f"UPDATE drives SET is_available = 0, last_seen_at = '{OLD}', created_at = '{OLD}'")
    again, available = started(
        data,
        lambda memory: memory.register_drive("ada", "serial-1", "/mnt/b", "internal", volume_label="NEW"),
        lambda memory: memory.available_drives("ada"),
    )
    assert again == Drive(first.id, "ada", "serial-1", "/mnt/b", "NEW", "internal", None, True, again.last_seen_at, OLD)
    assert is_now(again.last_seen_at)
    assert available == [again]


def test_two_users_may_have_the_same_drive_each_their_own(data: Path) -> None:
    ada, bob, of_ada, of_nobody = started(
        data,
        lambda memory: memory.register_drive("ada", "serial-1", "/mnt", "usb"),
        lambda memory: memory.register_drive("bob", "serial-1", "/mnt", "usb"),
        lambda memory: memory.available_drives("ada"),
        lambda memory: memory.available_drives("nobody"),
    )
    assert ada.id != bob.id
    assert of_ada == [ada]
    assert of_nobody == []


def test_a_drive_that_is_marked_as_gone_is_not_listed_until_it_is_marked_as_back(data: Path) -> None:
    b, a = started(
        data,
        lambda memory: memory.register_drive("ada", "serial-1", "/mnt/b", "usb"),
        lambda memory: memory.register_drive("ada", "serial-2", "/mnt/a", "usb"),
    )
    run_sql(data / FILE, f"UPDATE drives SET last_seen_at = '{OLD}'")
    gone, without, back, both = started(
        data,
        lambda memory: memory.mark_drive(b.id, available=False),
        lambda memory: memory.available_drives("ada"),
        lambda memory: memory.mark_drive(b.id, available=True),
        lambda memory: memory.available_drives("ada"),
    )
    assert (gone.is_available, gone.last_seen_at) == (False, OLD)
    assert [each.id for each in without] == [a.id]
    assert back.is_available
    assert is_now(back.last_seen_at)
    assert [each.mount_point for each in both] == ["/mnt/a", "/mnt/b"]


def test_a_destination_is_remembered_and_listed_by_user_and_by_category(data: Path) -> None:
    drive, *_ = started(
        data,
        lambda memory: memory.register_drive("ada", "serial-1", "/mnt", "usb"),
        lambda memory: memory.remember_destination("bob", "/bobs", "music"),
    )
    music, films, everything, only_music, no_books = started(
        data,
        lambda memory: memory.remember_destination("ada", Path("/music"), "music", drive_id=drive.id),
        lambda memory: memory.remember_destination("ada", "/films", "films"),
        lambda memory: memory.destinations("ada"),
        lambda memory: memory.destinations("ada", category="music"),
        lambda memory: memory.destinations("ada", category="books"),
    )
    assert music == Destination(music.id, "ada", os.fspath(Path("/music")), "music", drive.id, music.created_at, None, 0, True)
    assert re.fullmatch("[0-9a-f]{32}", music.id)
    assert is_now(music.created_at)
    assert everything == [films, music]
    assert only_music == [music]
    assert no_books == []


def test_a_forgotten_destination_is_kept_but_not_listed_and_can_be_remembered_again(data: Path) -> None:
    drive, other = started(
        data,
        lambda memory: memory.register_drive("ada", "serial-1", "/mnt", "usb"),
        lambda memory: memory.register_drive("ada", "serial-2", "/mnt", "usb"),
    )
    (first,) = started(data, lambda memory: memory.remember_destination("ada", "/music", "music", drive_id=drive.id))
    use, forgotten, again, *lists = started(
        data,
        lambda memory: memory.record_use(first.id),
        lambda memory: memory.forget_destination(first.id),
        lambda memory: memory.forget_destination(first.id),
        lambda memory: memory.destinations("ada"),
        lambda memory: memory.destinations("ada", category="music"),
        lambda memory: memory.destinations("ada", include_forgotten=True),
        lambda memory: memory.destinations("ada", category="music", include_forgotten=True),
        lambda memory: memory.usage_history(first.id),
    )
    assert not forgotten.is_active
    assert again == forgotten
    assert lists == [[], [], [forgotten], [forgotten], [use]]
    back, moved = started(
        data,
        lambda memory: memory.remember_destination("ada", "/music", "songs"),
        lambda memory: memory.remember_destination("ada", "/music", "songs", drive_id=other.id),
    )
    assert (back.id, back.category, back.drive_id, back.usage_count, back.is_active) == (first.id, "songs", drive.id, 1, True)
    assert moved.drive_id == other.id


@pytest.mark.parametrize("category", [None, "any"])
@pytest.mark.parametrize("include_forgotten", [True, False])
def test_the_destinations_that_are_used_most_come_first(data: Path, category: str | None, include_forgotten: bool) -> None:
    b, a, c = started(
        data, *(lambda memory, path=path: memory.remember_destination("ada", path, "any") for path in ("/b", "/a", "/c"))
    )
    *_, listed = started(
        data,
        lambda memory: memory.record_use(c.id),
        lambda memory: memory.destinations("ada", category=category, include_forgotten=include_forgotten),
    )
    assert [each.id for each in listed] == [c.id, a.id, b.id]


def test_a_use_is_in_the_history_and_in_the_count(data: Path) -> None:
    (destination,) = started(data, lambda memory: memory.remember_destination("ada", "/music", "music"))
    one, two, history, newest, none, negative, listed = started(
        data,
        lambda memory: memory.record_use(destination.id),
        lambda memory: memory.record_use(destination.id, file_count=12, operation_type="move"),
        lambda memory: memory.usage_history(destination.id),
        lambda memory: memory.usage_history(destination.id, limit=1),
        lambda memory: memory.usage_history(destination.id, limit=0),
        lambda memory: memory.usage_history(destination.id, limit=-1),
        lambda memory: memory.destinations("ada"),
    )
    assert one == Use(one.id, destination.id, one.used_at, 1, None)
    assert two == Use(two.id, destination.id, two.used_at, 12, "move")
    assert is_now(two.used_at)
    assert history == [two, one]
    assert newest == [two]
    assert none == negative == []
    assert (listed[0].usage_count, listed[0].last_used_at) == (2, two.used_at)


def test_the_newest_use_comes_first_whatever_the_order_of_the_rows(data: Path) -> None:
    (destination,) = started(data, lambda memory: memory.remember_destination("ada", "/music", "music"))
    run_sql(
        data / FILE,
        "".join(
            f"INSERT INTO destination_usage (id, destination_id, used_at) VALUES ('{when}', '{destination.id}', '{when}');"
            for when in ("2024-05-01 00:00:00", "2026-01-01 00:00:00", "2025-01-01 00:00:00")
        ),
    )
    (history,) = started(data, lambda memory: memory.usage_history(destination.id))
    assert [each.used_at[:4] for each in history] == ["2026", "2025", "2024"]


def test_a_use_and_its_count_are_kept_together_or_not_at_all(data: Path) -> None:
    (destination,) = started(data, lambda memory: memory.remember_destination("ada", "/music", "music"))
    run_sql(
        data / FILE,
        "CREATE TRIGGER no_more BEFORE INSERT ON destination_usage WHEN NEW.file_count > 100 "
        "BEGIN SELECT raise(ABORT, 'too many'); END",
    )

    async def scene() -> list[Use]:
        async with PathMemoryManager(data) as memory:
            with pytest.raises(sqlite3.IntegrityError, match="too many"):
                await memory.record_use(destination.id, file_count=101)
            return [await memory.record_use(destination.id), *await memory.usage_history(destination.id)]

    use, *history = asyncio.run(scene())
    assert history == [use]
    assert query(data / FILE, "SELECT usage_count FROM destinations") == [(1,)]


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_changes_at_once_from_several_managers_are_all_made(data: Path, mode: str) -> None:
    drive, destination = started(
        data,
        lambda memory: memory.register_drive("ada", "serial-1", "/mnt", "usb"),
        lambda memory: memory.remember_destination("ada", "/music", "music"),
    )
    run_sql(data / FILE, f"PRAGMA journal_mode = {mode}")

    async def scene() -> None:
        managers = [PathMemoryManager(data) for _ in range(3)]
        async with managers[0], managers[1], managers[2]:
            await asyncio.gather(
                *(memory.record_use(destination.id) for memory in managers for _ in range(10)),
                *(
                    memory.remember_destination("ada", f"/{n}/{m}", "x", drive_id=drive.id)
                    for n, memory in enumerate(managers)
                    for m in range(10)
                ),
            )

    asyncio.run(scene())
    assert query(data / FILE, "SELECT count(*) FROM destinations WHERE drive_id = ?", drive.id) == [(30,)]
    assert query(data / FILE, "SELECT usage_count FROM destinations WHERE id = ?", destination.id) == [(30,)]
    assert query(data / FILE, "SELECT count(*) FROM destination_usage") == [(30,)]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda memory: memory.mark_drive("nothing", available=True), UnknownDrive),
        (lambda memory: memory.mark_drive("nothing", available=False), UnknownDrive),
        (lambda memory: memory.remember_destination("ada", "/music", "music", drive_id="nothing"), UnknownDrive),
        (lambda memory: memory.forget_destination("nothing"), UnknownDestination),
        (lambda memory: memory.record_use("nothing"), UnknownDestination),
    ],
    ids=["mark available", "mark unavailable", "remember", "forget", "record"],
)
def test_an_id_that_nothing_has_is_refused_by_name(data: Path, call: Callable, error: type[HomieMigrationsError]) -> None:
    with pytest.raises(error, match="'nothing'"):
        started(data, call)
    assert [query(data / FILE, f"SELECT count(*) FROM {table}") for table in sorted(OWN)] == [[(0,)]] * 3


def test_a_destination_cannot_lie_on_another_users_drive(data: Path) -> None:
    (drive,) = started(data, lambda memory: memory.register_drive("bob", "serial-1", "/mnt", "usb"))
    with pytest.raises(UnknownDrive):
        started(data, lambda memory: memory.remember_destination("ada", "/music", "music", drive_id=drive.id))


def test_results_are_values_that_cannot_be_changed(data: Path) -> None:
    drive, destination = started(
        data,
        lambda memory: memory.register_drive("ada", "serial-1", "/mnt", "usb"),
        lambda memory: memory.remember_destination("ada", "/music", "music"),
    )
    (use,) = started(data, lambda memory: memory.record_use(destination.id))
    for value in (drive, destination, use):
        with pytest.raises(FrozenInstanceError):
            value.id = "another"


def test_rows_that_earlier_releases_left_with_gaps_are_read(data: Path) -> None:
    start(data)
    run_sql(
        data / FILE,
        "INSERT INTO destinations (id, user_id, path, category, usage_count, created_at) VALUES ('x', 'ada', '/', 'any', NULL, NULL)",
    )
    found, use, counted = started(
        data,
        lambda memory: memory.destinations("ada"),
        lambda memory: memory.record_use("x"),
        lambda memory: memory.destinations("ada"),
    )
    assert (found[0].usage_count, found[0].created_at) == (0, None)
    assert (counted[0].usage_count, counted[0].last_used_at) == (1, use.used_at)


def test_its_connection_enforces_foreign_keys(data: Path) -> None:
    drive, destination = started(
        data,
        lambda memory: memory.register_drive("ada", "serial-1", "/mnt", "usb"),
        lambda memory: memory.remember_destination("ada", "/music", "music"),
    )

    async def scene() -> None:
        async with PathMemoryManager(data) as memory:
            with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
                await memory._read(lambda connection: connection.execute("UPDATE destinations SET drive_id = 'nothing'"))

    asyncio.run(scene())


def test_a_database_that_stays_locked_is_told_as_such_and_the_manager_goes_on(data: Path) -> None:
    start(data)
    writer = sqlite3.connect(data / FILE, isolation_level=None)

    async def scene() -> list[Destination]:
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
        assert len(asyncio.run(scene())) == 1
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

    assert started(data, ask) == ["ada"]


def test_a_change_whose_caller_gave_up_does_not_disturb_the_next_one(data: Path) -> None:
    start(data)
    writer = sqlite3.connect(data / FILE, isolation_level=None)

    async def scene() -> list[Destination]:
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
        assert "/2" in [each.path for each in asyncio.run(scene())]
    finally:
        writer.close()


# --- what SQLite is asked -----------------------------------------------------------------------------


def spoken(data: Path, call: Callable[[PathMemoryManager], object]) -> list[str]:
    """The statements that one call runs, as SQLite saw them."""

    async def scene() -> list[str]:
        heard: list[str] = []
        async with PathMemoryManager(data) as memory:
            await memory._read(lambda connection: connection.set_trace_callback(heard.append))
            await call(memory)
        return [sql for sql in heard if sql.strip() not in ("BEGIN IMMEDIATE", "COMMIT")]

    return asyncio.run(scene())


def plan_of(path: Path, sql: str) -> str:
    return "; ".join(str(row[3]) for row in query(path, f"EXPLAIN QUERY PLAN {sql}"))


@pytest.mark.parametrize("analysed", [False, True])
@pytest.mark.parametrize(
    ("call", "constant", "index"),
    [
        (
            lambda memory: memory.available_drives("ada"),
            "AVAILABLE_DRIVES",
            "idx_drives_user_available (user_id=? AND is_available=?)",
        ),
        (
            lambda memory: memory.destinations("ada"),
            "ACTIVE_DESTINATIONS",
            "idx_destinations_user_active (user_id=? AND is_active=?)",
        ),
        (
            lambda memory: memory.destinations("ada", category="music"),
            "ACTIVE_DESTINATIONS_OF_CATEGORY",
            "idx_destinations_user_category (user_id=? AND category=?)",
        ),
        (
            lambda memory: memory.destinations("ada", category="music", include_forgotten=True),
            "DESTINATIONS_OF_CATEGORY",
            "idx_destinations_user_category (user_id=? AND category=?)",
        ),
        (lambda memory: memory.usage_history("x"), "USAGE_HISTORY", "idx_usage_destination (destination_id=?)"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isupper() else "",
)
def test_the_queries_use_the_indexes(data: Path, call: Callable, constant: str, index: str, analysed: bool) -> None:
    start(data)
    if analysed:
        fill_unevenly(data / FILE)
    (sql,) = spoken(data, call)
    text = getattr(statements, constant)
    assert re.fullmatch(re.escape(text).replace(r"\?", "(?:'[^']*'|-?[0-9]+)"), sql), "the method runs the constant"
    assert f"USING INDEX {index}" in plan_of(data / FILE, sql)
    marks = text.count("?")
    assert f"USING INDEX {index}" in "; ".join(
        str(row[3])
        for row in query(
            data / FILE, f"EXPLAIN QUERY PLAN {text}", *["x"] * (marks - text.count("LIMIT ?")), *[1] * text.count("LIMIT ?")
        )
    )


def fill_unevenly(path: Path) -> None:
    """Few users, many rows each, nearly all active, categories of many sizes; and SQLite knows."""
    run_sql(
        path,
        """
        BEGIN;
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
        INSERT INTO destinations (id, user_id, path, category, is_active)
            SELECT 'd' || i, CASE WHEN i % 3 THEN 'ada' ELSE 'bob' END, '/' || i, 'c' || (i % 40), i % 50 > 0 FROM n;
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
        INSERT INTO destination_usage (id, destination_id) SELECT 'u' || i, 'd' || (1 + i % 300) FROM n;
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
        INSERT INTO drives (id, user_id, unique_identifier, mount_point, drive_type, is_available)
            SELECT 'v' || i, CASE WHEN i % 3 THEN 'ada' ELSE 'bob' END, i, '/' || i, 'usb', i % 5 = 0 FROM n;
        COMMIT;
        ANALYZE;
        """,
    )


@pytest.mark.parametrize("call", CALLS)
def test_no_call_reads_a_whole_table(data: Path, call: str) -> None:
    start(data)
    fill_unevenly(data / FILE)
    run_sql(data / FILE, "UPDATE drives SET id = 'x' WHERE id = 'v1'; UPDATE destinations SET id = 'x' WHERE id = 'd1000'")
    statements = spoken(data, CALLS[call])
    assert statements
    for sql in statements:
        assert "SCAN" not in plan_of(data / FILE, sql), sql


# --- names and imports --------------------------------------------------------------------------------


def test_the_names_it_looks_for_are_those_that_the_pack_registers() -> None:
    assert (plugin.pack.name, plugin.pack.database) == (start_up.PACK, start_up.DATABASE)
    (own,) = [each for each in collect().packs if each.pack.name == start_up.PACK]
    assert own.distribution == start_up.DISTRIBUTION


def test_importing_the_package_loads_neither_the_manager_nor_the_library_behind_it() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "import file_organizer_migrations, json, sys; print(json.dumps(sorted(sys.modules)))"],
        check=True,
        capture_output=True,
        text=True,
    )
    loaded = set(json.loads(told.stdout))
    assert "file_organizer_migrations" in loaded
    assert not {"asyncio", "sqlite3", "pluggy", "typer", "importlib_metadata", "file_organizer_migrations.path_memory"} & loaded


def test_the_package_gives_its_names_and_no_other() -> None:
    assert file_organizer_migrations.PathMemoryManager is path_memory.PathMemoryManager
    assert file_organizer_migrations.pack is plugin.pack
    with pytest.raises(AttributeError, match="no attribute 'other'"):
        file_organizer_migrations.other  # noqa: B018
    assert homie_migrations_core.HomieMigrationsError in NotStarted.__mro__
