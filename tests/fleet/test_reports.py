"""The report of a fleet: whole lines, whatever ends the run, and the last line counts."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from homie_migrations_core.errors import FolderUnusable, ReportUnusable
from homie_migrations_core.fleet import FleetStatus, Outcome, PackVersions
from homie_migrations_core.fleet.reports import ReportFile, failed_paths


def line(path: str, state: str) -> str:
    return json.dumps({"path": path, "state": state}) + "\n"


def test_each_result_is_a_line_that_is_there_at_once(tmp_path: Path):
    report = tmp_path / "report.jsonl"
    with ReportFile(report) as file:
        file.append(Outcome("/a.db", "applied", ("p:001_x",), seconds=0.5))
        assert json.loads(report.read_text()) == {
            "path": "/a.db",
            "state": "applied",
            "applied": ["p:001_x"],
            "error_code": None,
            "message": None,
            "seconds": 0.5,
        }
        file.append(FleetStatus("/b.db", "pending", (PackVersions("p", "pending", 1, 2),)))
    last = json.loads(report.read_text().splitlines()[1])
    assert last["packs"] == [{"name": "p", "state": "pending", "current": 1, "latest": 2}]


def test_a_later_run_appends_and_ends_a_line_that_was_cut_off(tmp_path: Path):
    report = tmp_path / "report.jsonl"
    report.write_text(line("/a.db", "failed") + '{"path": "/b.db", "sta')
    with ReportFile(report) as file:
        file.append(Outcome("/c.db", "failed"))
    assert failed_paths(report) == ["/a.db", "/c.db"]


def test_the_last_line_about_a_database_counts(tmp_path: Path):
    report = tmp_path / "report.jsonl"
    report.write_text(line("/a.db", "failed") + line("/b.db", "failed") + line("/a.db", "applied") + line("/c.db", "applied"))
    assert failed_paths(report) == ["/b.db"]


def test_a_path_that_is_no_text_comes_back_as_it_was(tmp_path: Path):
    report = tmp_path / "report.jsonl"
    with ReportFile(report) as file:
        file.append(Outcome("/\udcff\n\u202e.db", "failed"))
    assert failed_paths(report) == ["/\udcff\n\u202e.db"]


@pytest.mark.parametrize("content", ["not a report\n", "[1, 2]\n", '{"path": 1, "state": "failed"}\n', '"text"\n'])
def test_a_file_that_is_no_report_is_an_error(tmp_path: Path, content: str):
    report = tmp_path / "report.jsonl"
    report.write_text(content)
    with pytest.raises(ReportUnusable):
        failed_paths(report)


def test_nothing_is_appended_to_a_file_that_is_no_report(tmp_path: Path):
    database = tmp_path / "tenant.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE notes (text TEXT)")
    before = database.read_bytes()
    with pytest.raises(ReportUnusable, match="is not the report of a fleet"):
        ReportFile(database)
    assert database.read_bytes() == before


def test_an_empty_report_names_no_database(tmp_path: Path):
    report = tmp_path / "report.jsonl"
    report.touch()
    assert failed_paths(report) == []


def test_a_report_that_cannot_be_opened_is_an_error(tmp_path: Path):
    with pytest.raises(FolderUnusable, match="can't be read"):
        failed_paths(tmp_path / "missing.jsonl")
    with pytest.raises(FolderUnusable, match="can't be written"):
        ReportFile(tmp_path)
