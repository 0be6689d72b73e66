"""What the path memory stores and returns: drives, destinations and their uses."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from helpers import query, run_sql
from path_memory_helpers import (
    CALLS,
    FILE,
    OWN,
    results_of,
    start,
)

from file_organizer_migrations import PathMemoryManager
from file_organizer_migrations.path_memory import (
    Destination,
    Drive,
    UnknownDestination,
    UnknownDrive,
    Use,
)
from homie_migrations_core import HomieMigrationsError


def test_every_public_method_is_in_the_list_of_calls() -> None:
    public = {
        name for name, value in vars(PathMemoryManager).items() if not name.startswith("_") and asyncio.iscoroutinefunction(value)
    }
    assert public == CALLS.keys() | {"start", "shutdown"}


def test_a_drive_is_registered_with_what_is_known_of_it(data: Path) -> None:
    (drive,) = results_of(
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
    (first,) = results_of(
        data, lambda memory: memory.register_drive("ada", "serial-1", "/mnt/a", "usb", volume_label="OLD", cloud_provider="x")
    )
    run_sql(data / FILE, f"UPDATE drives SET is_available = 0, last_seen_at = '{OLD}', created_at = '{OLD}'")
    again, available = results_of(
        data,
        lambda memory: memory.register_drive("ada", "serial-1", "/mnt/b", "internal", volume_label="NEW"),
        lambda memory: memory.available_drives("ada"),
    )
    assert again == Drive(first.id, "ada", "serial-1", "/mnt/b", "NEW", "internal", None, True, again.last_seen_at, OLD)
    assert is_now(again.last_seen_at)
    assert available == [again]


def test_two_users_may_have_the_same_drive_each_their_own(data: Path) -> None:
    ada, bob, of_ada, of_nobody = results_of(
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
    b, a = results_of(
        data,
        lambda memory: memory.register_drive("ada", "serial-1", "/mnt/b", "usb"),
        lambda memory: memory.register_drive("ada", "serial-2", "/mnt/a", "usb"),
    )
    run_sql(data / FILE, f"UPDATE drives SET last_seen_at = '{OLD}'")
    gone, without, back, both = results_of(
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
    drive, *_ = results_of(
        data,
        lambda memory: memory.register_drive("ada", "serial-1", "/mnt", "usb"),
        lambda memory: memory.remember_destination("bob", "/bobs", "music"),
    )
    music, films, everything, only_music, no_books = results_of(
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
    drive, other = results_of(
        data,
        lambda memory: memory.register_drive("ada", "serial-1", "/mnt", "usb"),
        lambda memory: memory.register_drive("ada", "serial-2", "/mnt", "usb"),
    )
    (first,) = results_of(data, lambda memory: memory.remember_destination("ada", "/music", "music", drive_id=drive.id))
    use, forgotten, again, *lists = results_of(
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
    back, moved = results_of(
        data,
        lambda memory: memory.remember_destination("ada", "/music", "songs"),
        lambda memory: memory.remember_destination("ada", "/music", "songs", drive_id=other.id),
    )
    assert (back.id, back.category, back.drive_id, back.usage_count, back.is_active) == (first.id, "songs", drive.id, 1, True)
    assert moved.drive_id == other.id


@pytest.mark.parametrize("category", [None, "any"])
@pytest.mark.parametrize("include_forgotten", [True, False])
def test_the_destinations_that_are_used_most_come_first(data: Path, category: str | None, include_forgotten: bool) -> None:
    b, a, c = results_of(
        data, *(lambda memory, path=path: memory.remember_destination("ada", path, "any") for path in ("/b", "/a", "/c"))
    )
    *_, listed = results_of(
        data,
        lambda memory: memory.record_use(c.id),
        lambda memory: memory.destinations("ada", category=category, include_forgotten=include_forgotten),
    )
    assert [each.id for each in listed] == [c.id, a.id, b.id]


def test_a_use_is_in_the_history_and_in_the_count(data: Path) -> None:
    (destination,) = results_of(data, lambda memory: memory.remember_destination("ada", "/music", "music"))
    one, two, history, newest, none, negative, listed = results_of(
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
    (destination,) = results_of(data, lambda memory: memory.remember_destination("ada", "/music", "music"))
    run_sql(
        data / FILE,
        "".join(
            f"INSERT INTO destination_usage (id, destination_id, used_at) VALUES ('{when}', '{destination.id}', '{when}');"
            for when in ("2024-05-01 00:00:00", "2026-01-01 00:00:00", "2025-01-01 00:00:00")
        ),
    )
    (history,) = results_of(data, lambda memory: memory.usage_history(destination.id))
    assert [each.used_at[:4] for each in history] == ["2026", "2025", "2024"]


def test_a_use_and_its_count_are_kept_together_or_not_at_all(data: Path) -> None:
    (destination,) = results_of(data, lambda memory: memory.remember_destination("ada", "/music", "music"))
    run_sql(
        data / FILE,
        "CREATE TRIGGER no_more BEFORE INSERT ON destination_usage WHEN NEW.file_count > 100 "
        "BEGIN SELECT raise(ABORT, 'too many'); END",
    )

    async def main() -> list[Use]:
        async with PathMemoryManager(data) as memory:
            with pytest.raises(sqlite3.IntegrityError, match="too many"):
                await memory.record_use(destination.id, file_count=101)
            return [await memory.record_use(destination.id), *await memory.usage_history(destination.id)]

    use, *history = asyncio.run(main())
    assert history == [use]
    assert query(data / FILE, "SELECT usage_count FROM destinations") == [(1,)]


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_changes_at_once_from_several_managers_are_all_made(data: Path, mode: str) -> None:
    drive, destination = results_of(
        data,
        lambda memory: memory.register_drive("ada", "serial-1", "/mnt", "usb"),
        lambda memory: memory.remember_destination("ada", "/music", "music"),
    )
    run_sql(data / FILE, f"PRAGMA journal_mode = {mode}")

    async def main() -> None:
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

    asyncio.run(main())
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
        results_of(data, call)
    assert [query(data / FILE, f"SELECT count(*) FROM {table}") for table in sorted(OWN)] == [[(0,)]] * 3


def test_a_destination_cannot_lie_on_another_users_drive(data: Path) -> None:
    (drive,) = results_of(data, lambda memory: memory.register_drive("bob", "serial-1", "/mnt", "usb"))
    with pytest.raises(UnknownDrive):
        results_of(data, lambda memory: memory.remember_destination("ada", "/music", "music", drive_id=drive.id))


def test_results_are_values_that_cannot_be_changed(data: Path) -> None:
    drive, destination = results_of(
        data,
        lambda memory: memory.register_drive("ada", "serial-1", "/mnt", "usb"),
        lambda memory: memory.remember_destination("ada", "/music", "music"),
    )
    (use,) = results_of(data, lambda memory: memory.record_use(destination.id))
    for value in (drive, destination, use):
        with pytest.raises(FrozenInstanceError):
            value.id = "another"


def test_rows_that_earlier_releases_left_with_gaps_are_read(data: Path) -> None:
    start(data)
    run_sql(
        data / FILE,
        "INSERT INTO destinations (id, user_id, path, category, usage_count, created_at) VALUES ('x', 'ada', '/', 'any', NULL, NULL)",
    )
    found, use, counted = results_of(
        data,
        lambda memory: memory.destinations("ada"),
        lambda memory: memory.record_use("x"),
        lambda memory: memory.destinations("ada"),
    )
    assert (found[0].usage_count, found[0].created_at) == (0, None)
    assert (counted[0].usage_count, counted[0].last_used_at) == (1, use.used_at)
