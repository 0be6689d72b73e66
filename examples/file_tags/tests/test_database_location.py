"""Where the database lies, with and without a drive of its own."""

import asyncio
from pathlib import Path

import pytest

from file_organizer_migrations import PathMemoryManager
from file_tags_migrations import database_location
from homie_migrations_core import collect, database_file
from homie_migrations_core.errors import PackBroken

FILE = "homie_file_organizer.db"


@pytest.fixture
def drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A drive that is plugged in, and not set up."""
    (tmp_path / "drive").mkdir()
    monkeypatch.setenv(database_location.VARIABLE, str(tmp_path / "drive"))
    return tmp_path / "drive"


def test_without_the_variable_the_database_is_in_the_data_folder(data_dir: Path) -> None:
    assert database_file(FILE, data_dir, collect()) == (data_dir / "modules" / FILE, False)


def test_an_empty_variable_is_none(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(database_location.VARIABLE, "")
    assert database_file(FILE, data_dir, collect()) == (data_dir / "modules" / FILE, False)


def test_on_a_drive_that_was_set_up_it_is_in_its_folder(data_dir: Path, drive: Path) -> None:
    (drive / "homie").mkdir()
    assert database_file(FILE, data_dir, collect()) == (drive / "homie" / FILE, True)


def test_the_databases_of_others_stay_in_the_data_folder(data_dir: Path, drive: Path) -> None:
    (drive / "homie").mkdir()
    assert database_file("homie_notes.db", data_dir, collect()) == (data_dir / "modules" / "homie_notes.db", False)


def test_an_empty_mount_point_is_an_error_and_no_second_database_is_made(data_dir: Path, drive: Path) -> None:
    with pytest.raises(PackBroken, match=r"there is no folder .*homie: connect the drive"):
        asyncio.run(PathMemoryManager().start())
    assert list(drive.iterdir()) == []
    assert not data_dir.exists()


def test_the_application_uses_the_database_on_the_drive(data_dir: Path, drive: Path) -> None:
    (drive / "homie").mkdir()

    async def start() -> Path | None:
        async with PathMemoryManager() as memory:
            return memory.database

    assert asyncio.run(start()) == drive / "homie" / FILE
    assert (drive / "homie" / FILE).is_file()
    assert not data_dir.exists()
