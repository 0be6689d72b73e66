"""`status`: which migrations are listed, and the totals of several databases."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.migration_folder import MigrationFolder
from helpers import creates, run_sql, write_pack


@pytest.fixture
def six(homie, tmp_path: Path):
    """Call a command on a folder of six migrations, of which four are applied."""
    write_pack(tmp_path / "tasks", "tasks", {f"{number:03}_t{number}.py": creates(number, f"t{number}") for number in range(1, 7)})
    database = tmp_path / "homie_tasks.db"

    def call(command: str, *more: object):
        return homie(command, "--dir", tmp_path / "tasks", "--database", database, *more)

    assert call("apply", "--to", "tasks:4").code == 0
    run_sql(database, "UPDATE schema_migrations SET applied_at = '2026-01-05 09:30:00'")
    return call


def listed(said) -> list[list[str]]:
    """The words of the lines below the pack's."""
    return [line.split() for line in said.out.splitlines()[2:]]


TIME = ["2026-01-05", "09:30:00", "UTC"]
PENDING = [["pending", "005_t5"], ["pending", "006_t6"]]


def test_what_is_pending_and_the_newest_applied_one_are_listed(six):
    more = "and 3 more applied (--all lists every migration)".split()
    assert listed(six("status")) == [["applied", "004_t4", *TIME], *PENDING, more]


def test_all_lists_every_migration(six):
    applied = [["applied", f"00{number}_t{number}", *TIME] for number in range(1, 5)]
    assert listed(six("status", "--all")) == [*applied, *PENDING]


def test_what_needs_attention_is_listed_wherever_it_stands(six, tmp_path: Path):
    (tmp_path / "tasks" / "002_t2.py").write_text(creates(2, "changed"))
    (tmp_path / "tasks" / "003_t3.py").unlink()
    run_sql(tmp_path / "homie_tasks.db", "DELETE FROM schema_migrations WHERE version = 1")
    assert listed(six("status")) == [
        ["late", "001_t1"],
        ["edited", "002_t2", *TIME],
        ["missing", "003_t3", *TIME],
        ["applied", "004_t4", *TIME],
        *PENDING,
    ]


def test_of_a_pack_that_is_up_to_date_the_newest_is_listed(six):
    six("apply", "--no-backup")
    said = six("status")
    assert [line[:2] for line in listed(said)] == [["applied", "006_t6"], ["and", "5"]]


def test_json_is_always_whole(six):
    for more in ((), ("--all",)):
        (database,) = six("status", "--json", *more).json["databases"]
        assert [each["version"] for each in database["packs"][0]["migrations"]] == [1, 2, 3, 4, 5, 6]
        assert database["packs"][0]["migrations"][0]["applied_at"] == "2026-01-05 09:30:00"


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("2026-01-05 09:30:00", "2026-01-05 09:30:00 UTC"),
        ("2026-01-05 09:30:00.125", "2026-01-05 09:30:00.125 UTC"),
        ("2026-01-05T09:30:00", "2026-01-05T09:30:00 UTC"),
        ("2026-01-05T09:30:00+02:00", "2026-01-05T09:30:00+02:00"),
        ("2026-01-05", "2026-01-05"),
        ("some day", "some day"),
    ],
)
def test_a_time_has_its_zone_where_it_is_sure(six, tmp_path: Path, stored: str, shown: str):
    run_sql(tmp_path / "homie_tasks.db", f"UPDATE schema_migrations SET applied_at = '{stored}'")
    assert listed(six("status"))[0] == ["applied", "004_t4", *shown.split()]


def test_several_databases_are_summed_up_in_a_last_line(six, tmp_path: Path):
    new, text = tmp_path / "new.db", tmp_path / "text.db"
    assert "databases:" not in six("status").out
    said = six("status", "--database", new)
    assert said.out.splitlines()[-1] == "2 databases: 1 new, 1 pending; 8 migrations pending"
    text.write_text("not a database " * 100)
    said = six("status", "--database", new, "--database", text)
    assert said.code == 2
    assert said.out.splitlines()[-1] == "3 databases: 1 new, 1 pending, 1 with an error; 8 migrations pending"
    assert six("status", "--database", new, "-q").out == ""


def test_status_of_what_is_not_there_yet_says_so(homie, tasks: MigrationFolder):
    said = homie("status", *tasks.options)
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        f"{tasks.database}: new (not made yet)",
        "  tasks: pending, version 0 of 2",
        "    pending  001_one",
        "    pending  002_two",
    ]


def test_status_after_half_the_way_shows_both_halves(homie, tasks: MigrationFolder):
    homie("apply", *tasks.options, "--to", "tasks:1")
    lines = homie("status", *tasks.options).out.splitlines()
    assert lines[:2] == [f"{tasks.database}: pending", "  tasks: pending, version 1 of 2"]
    assert lines[2].startswith("    applied  001_one  20")
    assert lines[3] == "    pending  002_two"


@pytest.mark.parametrize(
    ("applied", "plain", "checked"),
    [(None, 0, 3), ("tasks:1", 0, 3), ("tasks:2", 0, 0)],
    ids=["nothing", "half", "all"],
)
def test_check_ends_with_3_while_anything_is_pending(homie, tasks: MigrationFolder, applied, plain, checked):
    if applied:
        homie("apply", *tasks.options, "--to", applied)
    assert homie("status", *tasks.options).code == plain
    assert homie("status", *tasks.options, "--check").code == checked
    assert homie("status", *tasks.options, "--check", "--json").code == checked


def test_check_of_a_late_migration_ends_with_1_because_apply_would_refuse(homie, tasks: MigrationFolder):
    tasks.add({"004_four.py": creates(4, "four")})
    homie("apply", *tasks.options)
    tasks.add({"003_three.py": creates(3, "three")})
    assert homie("status", *tasks.options).code == 0
    assert homie("status", *tasks.options, "--check").code == 1
