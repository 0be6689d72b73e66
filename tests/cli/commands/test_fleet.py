"""`fleet apply | status | validate`, called in this process; worker processes are the subject of `tests/fleet`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from fleet.fleet_helpers import REFS, tenant_pack, tenants
from helpers import one_line, problems, recorded, run_sql


@pytest.fixture
def fleet(tmp_path: Path, homie):
    """Call a command of `fleet` with the folder of the pack, in threads."""
    pack = tenant_pack(tmp_path)

    def call(command: str, *arguments: object, **more):
        return homie("fleet", command, "--dir", pack.migrations, "--executor", "threads", *arguments, **more)

    return call


def sums(result) -> str:
    return result.out.splitlines()[0].partition(", in ")[0]


def test_paths_patterns_and_a_file_name_the_databases(tmp_path: Path, fleet):
    paths = tenants(tmp_path / "db", 5)
    (tmp_path / "list.txt").write_bytes(b"".join(bytes(path) + b"\r\n\n" for path in paths[3:]))
    result = fleet("apply", paths[0], tmp_path / "db" / "0000[12].db", "--from-file", tmp_path / "list.txt")
    assert (result.code, sums(result), result.err) == (0, "5 databases: 5 applied", "")
    assert all(recorded(path) == list(REFS) for path in paths)
    assert sums(fleet("apply", tmp_path / "db" / "*.db")) == "5 databases: 5 up to date"


def test_a_list_may_begin_with_the_mark_that_windows_programs_write(tmp_path: Path, fleet):
    (path,) = tenants(tmp_path / "db", 1)
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbf" + bytes(path) + b"\r\n")
    assert sums(fleet("apply", "--from-file", tmp_path / "list.txt")) == "1 database: 1 applied"


def test_a_database_named_as_the_report_is_left_as_it_is(tmp_path: Path, fleet):
    (path,) = tenants(tmp_path / "db", 1)
    before = path.read_bytes()
    result = fleet("apply", path, "--report", path)
    assert result.code == 2
    assert "is not the report of a fleet" in one_line(problems(result.err)[0])
    assert path.read_bytes() == before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_report_on_a_full_disk_ends_the_run_and_counts_what_was_done(tmp_path: Path, fleet):
    paths = tenants(tmp_path / "db", 1)
    result = fleet("apply", *paths, "--report", "/dev/full")
    assert (result.code, sums(result)) == (2, "1 of 1 databases: 1 applied")
    assert "/dev/full can't be written (No space left on device)" in one_line(problems(result.err)[-1])


def test_standard_input_names_the_databases(tmp_path: Path, fleet):
    paths = tenants(tmp_path / "db", 3)
    result = fleet("apply", "--from-file", "-", input="\n".join(map(str, paths)))
    assert sums(result) == "3 databases: 3 applied"


def test_the_first_failures_are_printed_and_the_report_has_all(tmp_path: Path, fleet):
    missing = [tmp_path / f"missing{number}.db" for number in range(8)]
    report = tmp_path / "report.jsonl"
    result = fleet("apply", *tenants(tmp_path / "db", 2), *missing, "--report", report)
    assert (result.code, sums(result)) == (2, "10 databases: 2 applied, 8 failed")
    assert result.err.count("there is no such file") == 5
    assert f"and 3 more failures (see {report})" in result.err
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert sorted(line["state"] for line in lines) == ["applied"] * 2 + ["failed"] * 8
    again = fleet("apply", "--only-failed", report, "--create", "--report", report)
    assert (again.code, sums(again)) == (0, "8 databases: 8 applied")
    assert sums(fleet("apply", "--only-failed", report)) == "0 databases"


def test_the_document_sums_up(tmp_path: Path, fleet):
    result = fleet("apply", *tenants(tmp_path / "db", 2), tmp_path / "missing.db", "--json")
    found = result.json["fleet"]
    assert (found["total"], found["states"], found["stopped_by"]) == (3, {"applied": 2, "failed": 1}, None)
    assert [each["error_code"] for each in found["first_failures"]] == ["database_not_reachable"]


def test_status_check_and_validate_end_with_their_exit_codes(tmp_path: Path, fleet):
    paths = tenants(tmp_path / "db", 2)
    assert fleet("status", *paths).code == 0
    result = fleet("status", *paths, "--check")
    assert (result.code, sums(result)) == (3, "2 databases: 2 pending")
    fleet("apply", *paths)
    assert fleet("status", *paths, "--check").code == 0
    assert sums(fleet("validate", *paths)) == "2 databases: 2 valid"
    run_sql(paths[1], "ALTER TABLE one ADD COLUMN more")
    result = fleet("validate", *paths, "-v")
    assert (result.code, sums(result)) == (4, "2 databases: 1 with findings, 1 valid")
    assert f"{paths[0]}: valid" in result.err


def test_a_canary_that_fails_and_too_many_failures_say_so(tmp_path: Path, fleet):
    paths = tenants(tmp_path / "db", 40)
    result = fleet("apply", tmp_path / "missing.db", *paths, "--canaries", "1", "--json")
    assert (result.code, result.json["fleet"]["total"], result.json["fleet"]["stopped_by"]) == (2, 1, "canary")
    missing = [tmp_path / f"missing{number}.db" for number in range(300)]
    result = fleet("apply", *missing, "--max-failures", "2", "--jobs", "1")
    assert "More databases failed than --max-failures allows" in result.err
    assert " of 300 databases" in result.out
    assert not [path for path in paths if recorded(path)]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["apply", "a.db"], "it is not known which migrations the databases get"),
        (["apply", "--pack", "file_organizer"], "no database was named"),
        (["apply", "a.db", "--pack", "nobody"], "there is no pack 'nobody'"),
        (["apply", "a.db", "--pack", "file_organizer", "--executor", "cloud"], "there is no executor 'cloud'"),
        (["status", "--pack", "file_organizer", "--from-file", "nowhere.txt"], "nowhere.txt can't be read"),
        (["status", "--pack", "file_organizer", "--only-failed", "nowhere.jsonl"], "nowhere.jsonl can't be read"),
        (["status", "a.db", "--pack", "file_organizer", "--report", "no/where.jsonl"], "can't be written"),
        (["apply", "a.db", "--pack", "file_organizer", "--no-backup", "--keep", "2"], "--no-backup and --keep were both given"),
        (["apply", "a.db", "--pack", "file_organizer", "--lock-timeout", "nan"], "--lock-timeout nan is no time to wait"),
        (["apply", "a.db", "--pack", "file_organizer", "--jobs", "0"], "'--jobs'"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else None,
)
def test_a_command_line_that_does_not_fit_ends_with_2(tmp_path: Path, monkeypatch, homie, arguments, found):
    monkeypatch.chdir(tmp_path)
    result = homie("fleet", *arguments)
    assert result.code == 2
    assert found in one_line(problems(result.err)[0])
    assert homie("fleet", *arguments, "--json").json["error"]["code"]


def test_installed_packs_are_named_with_pack(tmp_path: Path, homie):
    paths = tenants(tmp_path / "db", 2)
    result = homie("fleet", "apply", *paths, "--pack", "file_organizer", "--executor", "threads")
    assert sums(result) == "2 databases: 2 applied"
    assert recorded(paths[0]) == ["file_organizer:001_destination_memory"]
