"""What a killed run leaves, and how a migration is found out that does not survive it. The processes and their ends are real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import creates, python_migration, recorded, run_sql, tables, write_pack

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.authoring.crash_test import CrashTest, DatabaseState, PlannedKill, kill_everywhere, read_state
from homie_migrations_core.authoring.killed_process import KillPoint, StatementCounter, WatchedRunner
from homie_migrations_core.errors import MigrationFailed
from homie_migrations_core.stopping import StopRequest

NOTES = {
    "001_notes.py": creates(1, "notes"),
    "002_tags.sql": "CREATE TABLE tags (id INTEGER PRIMARY KEY, text TEXT);\nINSERT INTO tags (text) VALUES ('one');",
    "003_nothing.py": python_migration(3),
}


def noting(version: int, diary: Path, statements: str) -> str:
    """A migration that writes outside of the database when it begins, and when it is done."""
    body = f"with open({str(diary)!r}, 'a') as diary: diary.write('begun\\n')\n{statements}\n"
    return python_migration(version, body + f"with open({str(diary)!r}, 'a') as diary: diary.write('done\\n')")


def test_a_pack_that_only_changes_its_database_survives_every_kill(tmp_path):
    kills = kill_everywhere(write_pack(tmp_path, "notes", NOTES))
    assert kills.findings == ()
    assert kills.left_out == ()
    # Within a step, before its commit, after it; the third executes nothing to be killed at. And once while it makes a new file.
    assert kills.number == 3 + 3 + 2 + 1


def test_a_kill_in_the_middle_comes_between_two_statements_of_the_migration(tmp_path):
    diary = tmp_path / "diary"
    two = "conn.execute('CREATE TABLE a (x)')\nconn.execute('CREATE TABLE b (x)')"
    kills = kill_everywhere(write_pack(tmp_path / "pack", "notes", {"001_two.py": noting(1, diary, two)}))
    assert (kills.findings, kills.number) == ((), 4)
    lines = diary.read_text().splitlines()
    # Unharmed once, four times killed, and three times again: after the commit nothing is left to do.
    assert lines.count("begun") == 8
    assert lines.count("done") == 7


def test_a_migration_that_can_not_run_twice_is_found_out(tmp_path):
    once = python_migration(
        2, f"from pathlib import Path\nPath({str(tmp_path / 'once')!r}).mkdir()\nconn.execute('CREATE TABLE b (x)')"
    )
    pack = write_pack(tmp_path / "pack", "notes", {"001_a.py": creates(1, "a"), "002_b.py": once, "003_c.py": creates(3, "c")})
    (finding,) = kill_everywhere(pack).findings
    assert (finding.code, finding.pack) == ("stuck_after_a_kill", "notes")
    assert finding.message.startswith(
        "Killed after the commit of notes:001_a, the next run can't go on: notes:002_b failed, FileExists"
    )
    assert "(002_b.py, line 9: Path(" in finding.message
    assert "run again after a kill" in finding.advice


def test_a_first_migration_that_can_not_run_twice_is_not_taken_for_killed(tmp_path):
    once = python_migration(
        1, f"from pathlib import Path\nPath({str(tmp_path / 'once')!r}).mkdir()\nconn.execute('CREATE TABLE b (x)')"
    )
    (finding,) = kill_everywhere(write_pack(tmp_path / "pack", "notes", {"001_b.py": once})).findings
    assert finding.code == "not_killed"
    assert "to be killed in the middle of notes:001_b did not get that far: notes:001_b failed, FileExistsError" in finding.message


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("conn.execute(f'ALTER TABLE notes ADD COLUMN c{times} TEXT')", "column c0 of notes"),
        ("for _ in range(times): conn.execute(\"INSERT INTO notes (text) VALUES ('again')\")", "rows instead of 0"),
    ],
    ids=["schema", "rows"],
)
def test_a_migration_that_makes_something_else_the_next_time_is_found_out(tmp_path, statement, words):
    diary = tmp_path / "diary"
    times = f"from pathlib import Path\ntimes = Path({str(diary)!r}).read_text().count('begun') - 1"
    counting = noting(2, diary, f"{times}\n{statement}")
    pack = write_pack(tmp_path / "pack", "notes", {"001_notes.py": creates(1, "notes"), "002_counting.py": counting})
    findings = kill_everywhere(pack).findings
    assert {each.code for each in findings} == {"differs_after_a_kill"}
    assert words in findings[0].message


def test_a_database_that_is_half_done_after_the_kill_is_told(tmp_path):
    """No migration gets that far, so it is made by hand."""
    pack = write_pack(tmp_path / "pack", "notes", {"001_notes.py": creates(1, "notes"), "002_tags.py": creates(2, "tags")})
    path = tmp_path / pack.database
    MigrationRunner(path, [pack]).apply(to="notes:1")
    run_sql(path, "CREATE TABLE tags (half)")
    crash_test = CrashTest(tmp_path, [pack], StopRequest())
    runner = WatchedRunner(tmp_path / "left.db", [pack], StopRequest(), StatementCounter())
    runner.apply(to="notes:1")
    left = read_state(runner)
    point = KillPoint(str(path), "notes:002_tags", "in the middle of", 1)
    point.outcome.write_text("killed")
    _, finding = crash_test.examine(PlannedKill(point, left, point.ref, left), "")
    assert finding.code == "killed_off_a_boundary"
    assert "Killed in the middle of notes:002_tags, it left a half-done database: table tags added" in finding.message
    _, finding = crash_test.examine(PlannedKill(point, DatabaseState(()), point.ref, left), "")
    assert finding.message.endswith(": notes:001_notes is recorded instead of nothing.")


def test_a_process_that_never_ran_is_no_kill(tmp_path):
    pack = write_pack(tmp_path / "pack", "notes", NOTES)
    crash_test = CrashTest(tmp_path, [pack], StopRequest())
    point = KillPoint(str(tmp_path / "x.db"), "notes:001_notes", "in the middle of", 1)
    never = PlannedKill(point, DatabaseState(), None, DatabaseState())
    assert crash_test.examine(never, "ModuleNotFoundError: no")[1].message.endswith(
        "did not get that far: ModuleNotFoundError: no."
    )
    assert crash_test.examine(never, "")[1].code == "not_killed"


def test_of_a_long_pack_the_newest_migrations_are_killed_and_the_others_named(tmp_path):
    pack = write_pack(tmp_path, "notes", {f"{number:03}_t{number}.py": creates(number, f"t{number}") for number in range(1, 5)})
    kills = kill_everywhere(pack, most=2)
    assert kills.left_out == ("notes:001_t1", "notes:002_t2")
    assert (kills.findings, kills.number) == ((), 3 + 3 + 1)


def test_what_it_requires_is_applied_and_not_killed(tmp_path):
    diary = tmp_path / "diary"
    tags = write_pack(tmp_path / "tags", "tags", {"001_tags.py": noting(1, diary, "conn.execute('CREATE TABLE tags (x)')")})
    needs = python_migration(1, "conn.execute('INSERT INTO tags VALUES (1)')", requires=("tags:1",))
    kills = kill_everywhere(write_pack(tmp_path / "notes", "notes", {"001_notes.py": needs}), [tags])
    assert (kills.findings, kills.number) == ((), 4)
    lines = diary.read_text().splitlines()
    assert lines.count("begun") == lines.count("done") > 0


def test_a_pack_that_can_not_be_applied_is_an_error(tmp_path):
    with pytest.raises(MigrationFailed, match="notes:001_wrong.*no such table"):
        kill_everywhere(write_pack(tmp_path, "notes", {"001_wrong.sql": "INSERT INTO nowhere VALUES (1);"}))


@pytest.mark.parametrize(
    ("moment", "at", "left"),
    [("in the middle of", 1, {"notes"}), ("before the commit of", 0, {"notes"}), ("after the commit of", 0, {"notes", "tags"})],
)
def test_where_there_is_no_fork_the_process_itself_ends_at_the_moment(tmp_path, moment, at, left):
    pack = write_pack(tmp_path / "pack", "notes", NOTES)
    path = tmp_path / pack.database
    MigrationRunner(path, [pack]).apply(to="notes:1")
    arguments = json.dumps([[["notes", True, str(pack.migrations), pack.database]], [[str(path), "notes:002_tags", moment, at]]])
    code = "import json, os, sys\nif hasattr(os, 'fork'): del os.fork\nfrom homie_migrations_core.authoring.killed_process import run_and_kill\nrun_and_kill(*json.loads(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", code, arguments], check=False, capture_output=True, text=True)
    assert done.returncode == (-9 if os.name != "nt" else 15), done.stderr
    assert Path(f"{path}.outcome").read_text() == "killed"
    MigrationRunner(path, [pack]).apply(to="notes:1")  # undoes what is half-done
    assert tables(path) == left
    assert len(recorded(path)) == len(left)


def test_it_leaves_no_file_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    kill_everywhere(write_pack(tmp_path / "pack", "notes", {"001_notes.py": creates(1, "notes")}))
    assert list((tmp_path / "scratch").iterdir()) == []


def test_relative_imports_of_an_installed_pack_work_in_the_killed_process_too(installed):
    installed.pack(
        "notes",
        {
            "_helpers.py": "NAME = 'notes'\n",
            "001_notes.py": python_migration(1, "from ._helpers import NAME\nconn.execute(f'CREATE TABLE {NAME} (x)')"),
        },
    )
    kills = kill_everywhere(MigrationPack("notes", "notes_plugin.migrations"))
    assert (kills.findings, kills.number) == ((), 4)
