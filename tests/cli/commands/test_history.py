"""`history`: what was applied."""

from __future__ import annotations

from pathlib import Path

from cli.migration_folder import TWO, MigrationFolder


def test_history_lists_what_was_applied_in_that_order(homie, tasks: MigrationFolder):
    assert homie("history", *tasks.options).out == f"{tasks.database}: 0 migrations applied\n"
    homie("apply", *tasks.options)
    result = homie("history", *tasks.options)
    lines = result.out.splitlines()
    assert result.code == 0
    assert lines[0] == f"{tasks.database}: 2 migrations applied"
    assert [line.split()[3] for line in lines[1:]] == ["tasks:001_one", "tasks:002_two"]
    assert all(line.split()[-1] == "ms" for line in lines[1:])


def test_history_of_an_installed_pack_says_which_release_applied_it(homie, installed, tmp_path: Path):
    installed.pack("tasks", TWO, version="1.4.2")
    homie("apply", "--pack", "tasks", "--data-dir", tmp_path)
    assert "by 1.4.2" in homie("history", "--pack", "tasks", "--data-dir", tmp_path).out
