"""`rollback` and `redo`: what they do and report."""

from __future__ import annotations

import pytest
from cli.migration_folder import MigrationFolder
from helpers import creates, fingerprint, query, recorded, run_sql, tables


def test_rollback_takes_one_step_back_and_says_it(homie, tasks: MigrationFolder):
    homie("apply", *tasks.options)
    result = homie("rollback", "tasks", *tasks.options, "--yes", "--no-backup")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [f"{tasks.database} (from --database): an existing database", "  rolled back tasks:002_two"]
    assert tables(tasks.database) == {"one"}
    assert recorded(tasks.database) == ["tasks:001_one"]


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (("--steps", "2"), ["tasks:001_one"]),
        (("--steps", "99"), []),
        (("--to", "2"), ["tasks:001_one", "tasks:002_two"]),
        (("--to", "0"), []),
        (("--to", "3"), ["tasks:001_one", "tasks:002_two", "tasks:003_three"]),
    ],
)
def test_rollback_stops_at_the_given_version(homie, tasks: MigrationFolder, options, left):
    tasks.add({"003_three.py": creates(3, "three")})
    homie("apply", *tasks.options)
    assert homie("rollback", "tasks", *tasks.options, *options, "--yes", "--no-backup").code == 0
    assert recorded(tasks.database) == left


def test_a_rollback_of_nothing_says_that_there_is_nothing(homie, tasks: MigrationFolder):
    result = homie("rollback", "tasks", *tasks.options)
    assert result.code == 0
    assert result.out.splitlines() == [f"{tasks.database} (from --database): there is no database yet", "  nothing to roll back"]
    assert not tasks.database.exists()
    assert homie("redo", "tasks", *tasks.options).out.splitlines()[1:] == ["  nothing to redo"]


def test_a_rollback_without_a_way_back_is_refused_before_anything_runs(homie, tasks: MigrationFolder):
    tasks.add(
        {"003_three.py": "def get_migration_version(): return 3\ndef apply_migration(conn): conn.execute('CREATE TABLE x (y)')\n"}
    )
    homie("apply", *tasks.options)
    before = fingerprint(tasks.database.parent)
    result = homie("rollback", "tasks", *tasks.options, "--to", "0", "--yes")
    assert (result.code, result.out) == (1, "")
    assert "tasks:003_three has no rollback_migration" in result.err
    assert fingerprint(tasks.database.parent) == before


def test_redo_rolls_back_and_applies_again(homie, tasks: MigrationFolder):
    homie("apply", *tasks.options)
    run_sql(tasks.database, "INSERT INTO two VALUES (1, 'gone after a redo')")
    result = homie("redo", "tasks", *tasks.options, "--yes", "--no-backup")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[1:] == ["  rolled back tasks:002_two", "  applied tasks:002_two"]
    assert query(tasks.database, "SELECT * FROM two") == []
    assert recorded(tasks.database) == ["tasks:001_one", "tasks:002_two"]


def test_a_failing_redo_leaves_the_migration_applied(homie, tasks: MigrationFolder):
    homie("apply", *tasks.options)
    run_sql(tasks.database, "INSERT INTO two VALUES (1, 'kept')")
    tasks.add({"002_two.py": creates(2, "two").replace("CREATE TABLE two", "CREATE TABEL two")})
    assert homie("redo", "tasks", *tasks.options, "--yes", "--no-backup").code == 1
    assert query(tasks.database, "SELECT text FROM two") == [("kept",)]
    assert recorded(tasks.database) == ["tasks:001_one", "tasks:002_two"]
