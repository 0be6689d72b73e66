"""The names of the distribution, and what importing it loads."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import file_organizer_migrations
import homie_migrations_core
from file_organizer_migrations import path_memory, plugin, start_up
from file_organizer_migrations.path_memory import (
    NotStarted,
)
from homie_migrations_core.packs.discovery import collect


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


def test_a_manager_whose_database_is_up_to_date_starts_without_pluggy_and_the_reader_of_metadata(tmp_path) -> None:
    code = f"""
import asyncio, json, sys
from file_organizer_migrations import PathMemoryManager

async def start():
    async with PathMemoryManager({str(tmp_path)!r}):
        return sorted(sys.modules)

print(json.dumps(asyncio.run(start())))
"""
    for _ in range(2):
        told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(json.loads(told.stdout))
    core = {
        f"homie_migrations_core.{each}"
        for each in ("model", "packs.reading", "packs.observers", "running.execution", "sqlite.guard")
    }
    assert not {"pluggy", "importlib_metadata", "importlib.metadata", "typer", "platformdirs", "uuid", *core} & loaded
    assert "homie_migrations_core.runner" in loaded


def test_the_package_gives_its_names_and_no_other() -> None:
    assert file_organizer_migrations.PathMemoryManager is path_memory.PathMemoryManager
    assert file_organizer_migrations.pack is plugin.pack
    with pytest.raises(AttributeError, match="no attribute 'other'"):
        file_organizer_migrations.other  # noqa: B018
    assert homie_migrations_core.HomieMigrationsError in NotStarted.__mro__
