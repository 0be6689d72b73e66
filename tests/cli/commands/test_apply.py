"""`apply`: what it does and reports."""

from __future__ import annotations

import pytest
from cli.migration_folder import MigrationFolder
from helpers import creates, fingerprint, problems, query, recorded, run_sql, snapshot_folder, tables


def test_apply_says_which_file_where_that_came_from_and_that_it_is_new(homie, tasks: MigrationFolder):
    result = homie("apply", *tasks.options)

    assert result.code == 0
    assert result.err == ""
    assert result.out.splitlines() == [
        f"{tasks.database} (from --database): a new database",
        "  applied tasks:001_one",
        "  applied tasks:002_two",
    ]
    assert tables(tasks.database) == {"one", "two"}


def test_apply_says_that_a_database_is_there_already_and_that_there_is_nothing_to_do(homie, tasks: MigrationFolder):
    homie("apply", *tasks.options)
    before = fingerprint(tasks.database.parent)

    result = homie("apply", *tasks.options)

    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [f"{tasks.database} (from --database): an existing database", "  nothing to apply"]
    assert fingerprint(tasks.database.parent) == before


def test_a_database_of_zero_bytes_is_an_empty_one(homie, tasks: MigrationFolder):
    tasks.database.touch()
    assert "tasks: pending" in homie("status", *tasks.options).out
    assert f"{tasks.database} (from --database): an empty database" in homie("apply", *tasks.options).out
    assert recorded(tasks.database) == ["tasks:001_one", "tasks:002_two"]


def test_apply_of_something_new_to_a_database_with_data_says_where_the_snapshot_is(homie, tasks: MigrationFolder):
    homie("apply", *tasks.options, "--to", "tasks:1")
    run_sql(tasks.database, "INSERT INTO one VALUES (1, 'kept')")

    result = homie("apply", *tasks.options)
    found = homie("apply", *tasks.options, "--json").json

    snapshots = list(snapshot_folder(tasks.database).iterdir())
    assert result.code == 0
    assert len(snapshots) == 1
    assert f"  snapshot of the state before: {snapshots[0]}" in result.out.splitlines()
    assert query(snapshots[0], "SELECT text FROM one") == [("kept",)]
    assert found["databases"][0]["snapshot"] is None


def test_apply_without_a_backup_takes_none(homie, tasks: MigrationFolder):
    homie("apply", *tasks.options, "--to", "tasks:1")
    result = homie("apply", *tasks.options, "--no-backup")
    assert (result.code, "snapshot" in result.out) == (0, False)
    assert not (tasks.database.parent / "backups").exists()


def test_apply_to_a_target_stops_there_and_never_goes_back(homie, tasks: MigrationFolder):
    tasks.add({"003_three.py": creates(3, "three")})
    assert homie("apply", *tasks.options, "--to", "tasks:002_two").code == 0
    assert recorded(tasks.database) == ["tasks:001_one", "tasks:002_two"]

    result = homie("apply", *tasks.options, "--to", "tasks:1")

    assert (result.code, "nothing to apply" in result.out) == (0, True)
    assert recorded(tasks.database) == ["tasks:001_one", "tasks:002_two"]


def test_a_failing_migration_is_reported_with_its_line_and_earlier_ones_stay(homie, tasks: MigrationFolder):
    tasks.add(
        {"003_three.py": creates(3, "three").replace("CREATE TABLE three", "CREATE TABEL three"), "004_four.py": creates(4, "four")}
    )
    homie("apply", *tasks.options, "--to", "tasks:1", "--no-backup")

    result = homie("apply", *tasks.options, "--no-backup")

    assert result.code == 1
    assert "  applied tasks:002_two" in result.out.splitlines()
    assert "tasks:003_three failed" in result.err
    assert "003_three.py, line " in result.err
    assert "TABEL" in result.err
    assert len(problems(result.err)) == 1
    assert "nothing to apply" not in result.out
    assert recorded(tasks.database) == ["tasks:001_one", "tasks:002_two"]


def test_all_or_nothing_leaves_nothing_of_a_run_that_fails(homie, tasks: MigrationFolder):
    tasks.add(
        {"003_three.py": "def get_migration_version():\n    return 3\ndef apply_migration(conn):\n    raise ValueError('no')\n"}
    )
    homie("apply", *tasks.options, "--to", "tasks:1", "--no-backup")

    result = homie("apply", *tasks.options, "--no-backup", "--all-or-nothing")

    assert result.code == 1
    assert "applied tasks" not in result.out
    assert recorded(tasks.database) == ["tasks:001_one"]


@pytest.mark.parametrize("options", [(), ("--all-or-nothing",)], ids=["a new database", "all or nothing"])
def test_a_failure_does_not_say_that_something_stays_where_nothing_does(homie, tasks: MigrationFolder, options):
    tasks.add({"003_three.py": "def get_migration_version(): return 3\ndef apply_migration(conn): raise ValueError('no')\n"})
    if options:
        homie("apply", *tasks.options, "--to", "tasks:1", "--no-backup")
    result = homie("apply", *tasks.options, *options, "--no-backup")
    assert result.code == 1
    assert "tasks:002_two" not in recorded(tasks.database)
    assert "what was applied before it stays" not in result.err


def test_late_migrations_need_the_option_that_allows_them(homie, tasks: MigrationFolder):
    tasks.add({"004_four.py": creates(4, "four")})
    homie("apply", *tasks.options)
    tasks.add({"003_three.py": creates(3, "three")})

    refused, planned = homie("apply", *tasks.options), homie("plan", *tasks.options)
    assert refused.code == planned.code == 1
    assert "--allow-late" in refused.err
    assert refused.out == ""
    assert "tasks:003_three" not in recorded(tasks.database)

    assert homie("plan", *tasks.options, "--allow-late").out.splitlines()[1:] == ["  1. tasks:003_three"]
    assert homie("apply", *tasks.options, "--allow-late", "--no-backup").code == 0
    assert "tasks:003_three" in recorded(tasks.database)


def test_an_edited_migration_is_a_warning_and_does_not_stop_the_run(homie, tasks: MigrationFolder):
    homie("apply", *tasks.options, "--to", "tasks:1")
    tasks.add({"001_one.py": creates(1, "uno")})

    planned, applied = homie("plan", *tasks.options), homie("apply", *tasks.options, "--no-backup")

    assert planned.code == applied.code == 0
    assert planned.err.startswith("Warning: tasks:001_one was edited after it was applied")
    assert applied.err.startswith("Warning: tasks:001_one was edited after it was applied")
    assert len(problems(applied.err)) == 1
    assert "edited" in homie("status", *tasks.options).out
