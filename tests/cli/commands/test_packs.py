"""`packs`: what is installed, and what is broken."""

from __future__ import annotations

from pathlib import Path

from cli.migration_folder import TWO
from helpers import creates


def test_packs_lists_what_is_installed_and_opens_no_database(homie, installed, tmp_path: Path):
    installed.pack("tasks", TWO, version="1.4.2")
    result = homie("packs")
    assert (result.code, result.err) == (0, "")
    assert any(
        line.split() == ["tasks", "tasks-dist", "1.4.2", "homie_tasks.db", "2", "migrations", "002_two"]
        for line in result.out.splitlines()
    )
    assert any(line.startswith("file_organizer  homie-file-organizer-migrations ") for line in result.out.splitlines())

    found = next(each for each in homie("packs", "--json").json["packs"] if each["name"] == "tasks")
    assert found == {
        "name": "tasks",
        "distribution": "tasks-dist",
        "distribution_version": "1.4.2",
        "database": "homie_tasks.db",
        "migrations": 2,
        "latest_version": 2,
    }


def test_packs_names_a_broken_one_and_why(homie, installed):
    installed.pack("tasks", {"003destination.py": creates(3, "x")})
    result = homie("packs")
    assert result.code == 1
    assert result.err.startswith("Broken: tasks of tasks-dist: 003destination.py is not a valid migration file name")
    assert "file_organizer" in result.out
    assert [each["entry_point"] for each in homie("packs", "--json").json["broken"]] == ["tasks"]


def test_without_packs_reading_commands_say_so_and_changes_are_refused(homie, installed, tmp_path: Path):
    installed.nothing_else()
    data = tmp_path / "data"
    assert homie("status", "--data-dir", data).out == "No installed distribution registers migrations.\n"
    assert homie("packs").out == "No usable pack is installed.\n"
    result = homie("apply", "--data-dir", data)
    assert (result.code, result.out) == (2, "")
    assert "no installed distribution registers migrations" in result.err
    assert not data.exists()
