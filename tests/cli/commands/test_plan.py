"""`plan`: the steps, and that nothing is changed."""

from __future__ import annotations

from cli.migration_folder import MigrationFolder


def test_plan_numbers_the_steps_and_changes_nothing(homie, tasks: MigrationFolder):
    result = homie("plan", *tasks.options)
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [f"{tasks.database}: 2 steps to apply", "  1. tasks:001_one", "  2. tasks:002_two"]
    assert not tasks.database.exists()
    assert homie("plan", *tasks.options, "--to", "tasks:1").out.splitlines()[0].endswith(": 1 step to apply")
