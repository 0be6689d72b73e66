"""`rehearse`, and `--rehearse`: what they say, in words and as JSON, and that they change nothing."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from helpers import creates, fingerprint, problems, python_migration, query, recorded, run_sql

HEADING = "rehearsed on a copy of "


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder of two migrations, the first of which is applied to a database with rows in it."""
    (tmp_path / "tasks").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "tasks" / "001_one.py").write_text(creates(1, "one"))
    return tmp_path


@pytest.fixture
def database(place: Path) -> Path:
    return place / "data" / "homie_tasks.db"


@pytest.fixture
def options(homie, place: Path, database: Path) -> tuple[object, ...]:
    given = ("--dir", place / "tasks", "--database", database)
    assert homie("apply", *given).code == 0
    run_sql(database, "INSERT INTO one VALUES (1, 'a'), (2, 'b'), (3, NULL)")
    return given


def add(place: Path, version: int, body: str, **more: object) -> None:
    (place / "tasks" / f"{version:03}_m{version}.py").write_text(python_migration(version, body, **more))


def without_times(text: str) -> str:
    import re

    return re.sub(r"made in \d+\.\d s", "made in TIME", re.sub(r": \d+(\.\d)? (ms|s)$", ": TIME", text, flags=re.MULTILINE))


def test_it_says_what_a_run_would_do_and_changes_nothing(homie, place: Path, database: Path, options):
    add(place, 2, "conn.execute('ALTER TABLE one ADD COLUMN seen TEXT')\nconn.execute('DELETE FROM one WHERE id = ?', (1,))")
    add(place, 3, "conn.execute('CREATE TABLE more (a)')\nconn.execute('INSERT INTO more VALUES (?)', (\"it's\",))")
    before = fingerprint(place)
    result = homie("rehearse", *options)
    assert (result.code, result.err) == (0, "")
    *lines, disk = without_times(result.out).splitlines()
    size = f"{database.stat().st_size / 1000:.1f} kB"
    assert lines == [
        f"{database}: 2 steps, rehearsed on a copy of {size}, made in TIME; the database was only read",
        "  1. apply tasks:002_m2: TIME",
        "     column seen of one added: TEXT",
        "     one: 3 to 2 rows",
        "  2. apply tasks:003_m3: TIME",
        "     table more added",
        "     more: a new table with 1 row",
        "  This would be lost: 1 row of one",
        "  integrity and foreign keys: in order",
    ]
    assert disk.startswith("  disk space needed meanwhile: ")
    assert fingerprint(place) == before


def test_with_sql_each_statement_is_shown_as_it_was_executed(homie, place: Path, options):
    add(place, 2, "conn.execute('INSERT INTO one\\nVALUES (?, ?)', (4, \"it's\"))")
    (place / "tasks" / "003_m3.sql").write_text("CREATE TABLE more (a);\nINSERT INTO more VALUES (1);\n")
    out = homie("rehearse", *options, "--sql").out.splitlines()
    assert out[2:4] == ["       INSERT INTO one", "       VALUES (4, 'it''s');"]
    assert "       CREATE TABLE more (a);" in out
    assert "       INSERT INTO more VALUES (1);" in out
    assert "       " not in "\n".join(homie("rehearse", *options).out.splitlines())


def test_of_many_statements_the_rest_is_counted(homie, place: Path, options):
    add(place, 2, "conn.executemany('INSERT INTO one (text) VALUES (?)', [('x',)] * 1234)")
    out = homie("rehearse", *options, "--sql").out.splitlines()
    assert len([line for line in out if line.startswith("       INSERT")]) == 1000
    assert "       and 234 statements more" in out


def test_as_json_it_is_all_in_the_document(homie, place: Path, database: Path, options):
    add(place, 2, "conn.execute('ALTER TABLE one DROP COLUMN text')\nconn.execute('DELETE FROM one WHERE id = 1')")
    before = fingerprint(place)
    result = homie("rehearse", *options, "--json")
    assert (result.code, result.err) == (0, "")
    (found,) = result.json["databases"]
    assert (found["path"], found["exists"], found["state"]) == (str(database), True, "pending")
    assert [each["state"] for each in found["packs"][0]["migrations"]] == ["applied", "pending"]
    rehearsal = found["rehearsal"]
    assert rehearsal.pop("seconds_to_copy") > 0
    assert rehearsal.pop("disk_needed") > rehearsal["size"]
    assert rehearsal["steps"][0].pop("seconds") > 0
    column = {"change": "removed", "kind": "column", "table": "one", "name": "text", "before": "TEXT", "after": None}
    assert rehearsal == {
        "steps": [
            {
                "ref": "tasks:002_m2",
                "direction": "apply",
                "statements": ["ALTER TABLE one DROP COLUMN text", "DELETE FROM one WHERE id = 1"],
                "statements_left_out": 0,
                "rows": [{"table": "one", "before": 3, "after": 2}],
                "schema": [column],
                "warnings": [],
            }
        ],
        "would_fail": None,
        "schema": [column],
        "losses": [{"table": "one", "column": None, "count": 1}, {"table": "one", "column": "text", "count": 2}],
        "findings": [],
        "size": database.stat().st_size,
    }
    assert result.json["error"] is None
    assert fingerprint(place) == before


def test_what_would_fail_ends_with_1_and_apply_says_the_same(homie, place: Path, options):
    add(place, 2, "conn.execute('CREATE TABLE two (a)')")
    add(
        place,
        3,
        "conn.execute('CREATE TABLE strict (text TEXT NOT NULL)')\nconn.execute('INSERT INTO strict SELECT text FROM one')",
    )
    add(place, 4, "pass")
    add(place, 5, "pass")
    before = fingerprint(place)
    result = homie("rehearse", *options)
    assert result.code == 1
    assert "  1. apply tasks:002_m2: " in result.out
    assert "  2. tasks:003_m3: would fail\n  2 steps after it would not be reached\n" in result.out
    (line,) = problems(result.err)
    assert line.startswith("In a rehearsal: Applying tasks:003_m3 failed, and nothing of it is left in ")
    assert "NOT NULL constraint failed: strict.text" in line
    with_json = homie("rehearse", *options, "--json")
    assert with_json.code == 1
    assert with_json.json["error"]["code"] == "migration_failed"
    assert with_json.json["databases"][0]["error"] == with_json.json["error"]
    assert with_json.json["databases"][0]["rehearsal"]["would_fail"] == "tasks:003_m3"
    assert fingerprint(place) == before

    applied = homie("apply", *options)
    assert applied.code == 1
    assert applied.err == result.err.replace("In a rehearsal", "Error")


def test_rows_that_would_lose_their_parents_are_named_here_and_refused_there(homie, place: Path, database: Path, options):
    run_sql(database, "CREATE TABLE child (one INTEGER REFERENCES one (id)); INSERT INTO child VALUES (1), (2);")
    add(place, 2, "conn.execute('DELETE FROM one WHERE id = 1')")
    result, applied = homie("rehearse", *options, "--json"), homie("apply", *options, "--json")
    assert result.code == applied.code == 1
    assert result.json["error"]["code"] == applied.json["error"]["code"] == "foreign_keys_violated"
    assert result.json["error"]["message"] == f"In a rehearsal: {applied.json['error']['message']}"
    assert "child" in result.json["error"]["message"]


@pytest.mark.parametrize("quiet", [False, True])
def test_warnings_and_findings_are_reported(homie, place: Path, database: Path, options, quiet: bool):
    run_sql(database, "CREATE INDEX by_text ON one (text); CREATE TABLE child (one INTEGER REFERENCES one (id));")
    run_sql(database, "INSERT INTO child VALUES (99)")
    add(
        place,
        2,
        """
        conn.execute("CREATE TABLE n (id INTEGER PRIMARY KEY, text TEXT)")
        conn.execute("INSERT INTO n SELECT * FROM one")
        conn.execute("DROP TABLE one")
        conn.execute("ALTER TABLE n RENAME TO one")
        """,
    )
    result = homie("rehearse", *options, *(["-q"] if quiet else []))
    assert result.code == 0
    assert result.err.startswith("Warning: tasks:002_m2 ")
    assert "by_text" in result.err
    assert len(problems(result.err)) == 1
    assert ("found in the database, whatever the steps did: " in result.out) == (not quiet)
    assert "in order" not in result.out
    assert not quiet or result.out == ""


def test_with_nothing_to_do_no_copy_is_made(homie, database: Path, options, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tempfile.mkdtemp", lambda **_: pytest.fail("a copy was made"))
    result = homie("rehearse", *options)
    assert (result.code, result.out, result.err) == (0, f"{database}: nothing to do\n", "")
    found = homie("rehearse", *options, "--json").json["databases"][0]
    assert (found["state"], found["rehearsal"]["steps"], found["rehearsal"]["size"]) == ("up_to_date", [], 0)


def test_a_new_database_is_rehearsed_and_not_made(homie, place: Path):
    new = place / "data" / "new.db"
    result = homie("rehearse", "--dir", place / "tasks", "--database", new)
    assert result.code == 0
    assert result.out.startswith(f"{new}: 1 step, rehearsed on a new database; the database was only read\n")
    assert "     one: a new table with 0 rows\n" in result.out
    assert list((place / "data").iterdir()) == []


def test_in_a_data_folder_that_is_not_there_yet_nothing_is_made(homie, tmp_path: Path):
    result = homie("rehearse", "--data-dir", tmp_path / "nowhere", "--pack", "file_organizer")
    assert result.code == 0
    assert "apply file_organizer:001_destination_memory" in result.out
    assert list(tmp_path.iterdir()) == []


def test_a_target_all_or_nothing_and_late_ones_are_as_for_apply(homie, place: Path, options):
    add(place, 3, "pass")
    add(place, 5, "pass")
    assert "1 step," in homie("rehearse", *options, "--to", "tasks:3").out
    assert "2 steps," in homie("rehearse", *options, "--all-or-nothing").out
    assert homie("rehearse", *options, "--to", "tasks:9").code == 2
    assert homie("apply", *options).code == 0
    add(place, 2, "pass")
    refused = homie("rehearse", *options, "--json")
    assert (refused.code, refused.json["error"]["code"]) == (1, "migration_late")
    assert "apply tasks:002_m2" in homie("rehearse", *options, "--allow-late").out


def test_a_broken_pack_is_named_and_the_others_rehearsed(homie, installed, tmp_path: Path):
    installed.pack("good", {"001_a.py": creates(1, "good")}, database="shared.db")
    installed.pack("bad", {"x.py": ""}, database="shared.db")
    result = homie("rehearse", "--data-dir", tmp_path)
    assert result.code == 1
    assert "apply good:001_a" in result.out
    assert "Broken: bad" in result.err
    assert not (tmp_path / "modules").exists()


def test_several_databases_are_rehearsed_and_an_error_in_one_is_not_the_end(homie, place: Path, database: Path, options):
    add(place, 2, "pass")
    other = place / "data" / "other.db"
    other.write_bytes(b"no database at all " * 100)
    result = homie("rehearse", "--dir", place / "tasks", "--database", other, "--database", database, "--json")
    assert result.code == 2
    first, second = result.json["databases"]
    assert first["error"]["code"] == "not_a_database"
    assert [step["ref"] for step in second["rehearsal"]["steps"]] == ["tasks:002_m2"]


def test_without_room_for_a_copy_it_ends_with_1(homie, place: Path, options, monkeypatch: pytest.MonkeyPatch):
    add(place, 2, "pass")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2, 1, 1))
    result = homie("rehearse", *options, "--json")
    assert (result.code, result.json["error"]["code"]) == (1, "rehearsal_failed")
    assert len(problems(result.err)) == 1


def test_the_output_of_a_migration_is_not_in_the_document(homie, place: Path, options):
    add(place, 2, "print('hello')")
    result = homie("rehearse", *options, "--json")
    assert result.json["databases"][0]["rehearsal"]["steps"][0]["ref"] == "tasks:002_m2"
    assert result.err == "hello\n"


def test_quiet_says_nothing_where_all_is_well(homie, place: Path, options):
    add(place, 2, "pass")
    result = homie("rehearse", *options, "-q")
    assert (result.code, result.out, result.err) == (0, "", "")


def test_verbose_never_says_that_something_was_applied_to_the_real_database(homie, place: Path, database: Path, options):
    add(place, 2, "pass")
    result = homie("rehearse", *options, "-v")
    assert result.code == 0
    assert f"Applied tasks:002_m2 in {database}" not in result.err


# --- rollback --rehearse, reset --rehearse -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [("rollback", "tasks"), ("reset",)], ids=["rollback", "reset"])
def test_a_rollback_can_be_rehearsed_without_a_question(homie, place: Path, database: Path, options, command):
    before = fingerprint(place)
    result = homie(*command, *options, "--rehearse")
    assert (result.code, result.err) == (0, "")
    lines = without_times(result.out).splitlines()
    assert lines[1:-1] == [
        "  1. roll back tasks:001_one: TIME",
        "     table one removed",
        "     one: gone, with 3 rows",
        "  This would be lost: 3 rows of one",
        "  integrity and foreign keys: in order",
    ]
    found = homie(*command, *options, "--rehearse", "--json").json["databases"][0]
    assert found["rehearsal"]["losses"] == [{"table": "one", "column": None, "count": 3}]
    assert found["rehearsal"]["steps"][0]["direction"] == "rollback"
    assert found["state"] == "up_to_date"
    assert "rolled_back" not in found
    assert fingerprint(place) == before


@pytest.mark.parametrize("command", [("rollback", "tasks"), ("reset",)], ids=["rollback", "reset"])
def test_a_rollback_that_would_fail_ends_with_1(homie, place: Path, options, command):
    add(place, 2, "pass", rollback="raise RuntimeError('not this way')")
    assert homie("apply", *options).code == 0
    result = homie(*command, *options, "--rehearse")
    assert result.code == 1
    assert "1. tasks:002_m2: would fail" in result.out
    assert result.err.startswith("In a rehearsal: Rolling back tasks:002_m2 failed, ")
    assert "not this way" in result.err


def test_steps_and_targets_of_a_rehearsed_rollback_are_those_of_a_rollback(homie, place: Path, options):
    add(place, 2, "pass", rollback="pass")
    add(place, 3, "pass", rollback="pass")
    assert homie("apply", *options).code == 0
    assert "2 steps, " in homie("rollback", "tasks", *options, "--steps", "2", "--rehearse").out
    assert "2 steps, " in homie("rollback", "tasks", *options, "--to", "1", "--rehearse").out
    assert homie("rollback", "tasks", *options, "--to", "9", "--rehearse").code == 2
    assert len(recorded(options[3])) == 3


def test_one_that_can_not_be_rolled_back_is_refused(homie, place: Path, options):
    add(place, 2, "pass")
    assert homie("apply", *options).code == 0
    for command in (("rollback", "tasks"), ("reset",)):
        result = homie(*command, *options, "--rehearse", "--json")
        assert (result.code, result.json["error"]["code"]) == (1, "rollback_refused")


@pytest.mark.skipif(os.name == "nt", reason="rights of POSIX")
def test_in_a_process_of_its_own_it_leaves_nothing_behind(homie_process, place: Path, database: Path, options):
    add(place, 2, "conn.execute('CREATE TABLE two (a)')")
    before = fingerprint(place)
    result = homie_process("rehearse", *options)
    assert (result.code, result.err) == (0, "")
    assert fingerprint(place) == before
    assert query(database, "SELECT count(*) FROM one") == [(3,)]
