"""Starting the path memory: the data folder, the packs of its database, and what keeps it from starting."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import creates, fingerprint, python_migration, query, recorded, run_sql, tables
from path_memory_helpers import (
    FILE,
    ONE,
    OWN,
    START_WHEN_TOLD,
    results_of,
    start,
)

from file_organizer_migrations import PathMemoryManager, plugin, start_up
from file_organizer_migrations.path_memory import (
    Destination,
)
from homie_migrations_core import MigrationPack
from homie_migrations_core.errors import DatabaseIsAhead, FolderUnusable, MigrationFailed, PackBroken, UnknownPack


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

    async def main() -> Path | None:
        async with memory:
            return memory.database

    assert asyncio.run(main()) == tmp_path / "named" / FILE
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

    async def main() -> None:
        async with PathMemoryManager():
            pass

    asyncio.run(main())
    assert recorded(tmp_path / "homie" / FILE) == [ONE]


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderUnusable, match="modules"):
        start(tmp_path / "file")


def test_starting_an_up_to_date_database_changes_no_byte(data: Path) -> None:
    start(data)
    before = fingerprint(data)
    start(data)
    assert fingerprint(data) == before


def test_two_managers_that_start_at_once_share_the_database(data: Path) -> None:
    async def main() -> list[Destination]:
        one, two = PathMemoryManager(data), PathMemoryManager(data)
        await asyncio.gather(one.start(), two.start())
        await one.remember_destination("ada", "/music", "music")
        found = await two.destinations("ada")
        await asyncio.gather(one.shutdown(), two.shutdown())
        return found

    assert [each.path for each in asyncio.run(main())] == ["/music"]
    assert recorded(data / FILE) == [ONE]


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
    results_of(data, lambda memory: memory.remember_destination("ada", "/music", "music"))
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

    async def main() -> None:
        with pytest.raises(MigrationFailed):
            await memory.start()
        (folder / "001_breaks.py").write_text(creates(1, "repaired"))
        await memory.start()
        await memory.shutdown()

    asyncio.run(main())
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

    assert results_of(data, where) == [place]
    assert recorded(place) == [ONE, "neighbour:001_tags"]
    assert not data.exists()


def test_a_plugin_that_fails_to_say_where_the_database_lies_stops_the_start(data: Path, installed: Any) -> None:
    installed.distribution(
        "places", {"places_plugin": PLACES.format(answer="raise RuntimeError('no idea')")}, {"places": "places_plugin"}
    )
    with pytest.raises(PackBroken, match="no idea"):
        start(data)
    assert not data.exists()
