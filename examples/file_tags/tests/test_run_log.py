"""The lines that the observer logs."""

import logging
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from file_tags_migrations import run_log
from homie_migrations_core import MigrationRunner
from homie_migrations_core.errors import MigrationFailed

FILE = "homie_file_organizer.db"


@pytest.fixture
def runner(tmp_path: Path) -> MigrationRunner:
    """A runner for a new database and every installed pack of it, whose observers come from their entry points."""
    return MigrationRunner(tmp_path / FILE, backup=False)


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Return level and text of what the observer has logged."""
    return [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "file_tags_migrations"]


def test_each_step_of_every_pack_is_one_line(runner: MigrationRunner, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    runner.apply()
    runner.rollback("file_tags", to=1)
    assert lines(caplog) == [
        ("INFO", f"{FILE}, step 1 of 3: file_organizer:001_destination_memory applied"),
        ("INFO", f"{FILE}, step 2 of 3: file_tags:001_destination_tags applied"),
        ("INFO", f"{FILE}, step 3 of 3: file_tags:002_tags_from_paths applied"),
        ("INFO", f"{FILE}, step 1 of 1: file_tags:002_tags_from_paths rolled back"),
    ]


def test_a_step_that_fails_is_one_line_with_the_whole_error(runner: MigrationRunner, caplog: pytest.LogCaptureFixture) -> None:
    runner.apply(to="file_organizer:1")
    with closing(sqlite3.connect(runner.path)) as connection:
        connection.execute("CREATE TABLE destination_tags (tag TEXT)")
    with pytest.raises(MigrationFailed):
        runner.apply()
    [(level, line)] = lines(caplog)
    assert level == "ERROR"
    assert line.startswith(f"{FILE}, step 1 of 2: file_tags:001_destination_tags failed and was undone: ")
    assert "table destination_tags already exists" in line
    assert "\n" not in line


def test_progress_is_logged_for_those_who_ask_for_it(runner: MigrationRunner, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    runner.apply()
    assert ("DEBUG", "file_tags:002_tags_from_paths: 0 of 0") in lines(caplog)


def test_the_variable_names_a_file_to_which_each_run_appends(
    runner: MigrationRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "runs.log"
    monkeypatch.setenv(run_log.VARIABLE, str(file))
    runner.apply(to="file_organizer:1")
    runner.apply()
    written = file.read_text(encoding="utf-8").splitlines()
    assert [line.partition("INFO ")[2].rpartition(":")[2] for line in written] == [
        "001_destination_memory applied",
        "001_destination_tags applied",
        "002_tags_from_paths applied",
    ]
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC INFO ", line) for line in written)


def test_a_log_that_cannot_be_written_does_not_stop_a_run(
    runner: MigrationRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(run_log.VARIABLE, str(tmp_path / "no such folder" / "runs.log"))
    assert len(runner.apply()) == 3
    assert "An observer failed in homie_run_started" in caplog.text
