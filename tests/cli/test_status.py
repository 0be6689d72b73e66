"""`status`: which migrations are listed, and the totals of several databases."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import creates, run_sql, write_pack


@pytest.fixture
def tasks(homie, tmp_path: Path):
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


def test_what_is_pending_and_the_newest_applied_one_are_listed(tasks):
    more = "and 3 more applied (--all lists every migration)".split()
    assert listed(tasks("status")) == [["applied", "004_t4", *TIME], *PENDING, more]


def test_all_lists_every_migration(tasks):
    applied = [["applied", f"00{number}_t{number}", *TIME] for number in range(1, 5)]
    assert listed(tasks("status", "--all")) == [*applied, *PENDING]


def test_what_needs_attention_is_listed_wherever_it_stands(tasks, tmp_path: Path):
    (tmp_path / "tasks" / "002_t2.py").write_text(creates(2, "changed"))
    (tmp_path / "tasks" / "003_t3.py").unlink()
    run_sql(tmp_path / "homie_tasks.db", "DELETE FROM schema_migrations WHERE version = 1")
    assert listed(tasks("status")) == [
        ["late", "001_t1"],
        ["edited", "002_t2", *TIME],
        ["missing", "003_t3", *TIME],
        ["applied", "004_t4", *TIME],
        *PENDING,
    ]


def test_of_a_pack_that_is_up_to_date_the_newest_is_listed(tasks):
    tasks("apply", "--no-backup")
    said = tasks("status")
    assert [line[:2] for line in listed(said)] == [["applied", "006_t6"], ["and", "5"]]


def test_json_is_always_whole(tasks):
    for more in ((), ("--all",)):
        (database,) = tasks("status", "--json", *more).json["databases"]
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
def test_a_time_has_its_zone_where_it_is_sure(tasks, tmp_path: Path, stored: str, shown: str):
    run_sql(tmp_path / "homie_tasks.db", f"UPDATE schema_migrations SET applied_at = '{stored}'")
    assert listed(tasks("status"))[0] == ["applied", "004_t4", *shown.split()]


def test_several_databases_are_summed_up_in_a_last_line(tasks, tmp_path: Path):
    new, text = tmp_path / "new.db", tmp_path / "text.db"
    assert "databases:" not in tasks("status").out
    said = tasks("status", "--database", new)
    assert said.out.splitlines()[-1] == "2 databases: 1 new, 1 pending; 8 migrations pending"
    text.write_text("not a database " * 100)
    said = tasks("status", "--database", new, "--database", text)
    assert said.code == 2
    assert said.out.splitlines()[-1] == "3 databases: 1 new, 1 pending, 1 with an error; 8 migrations pending"
    assert tasks("status", "--database", new, "-q").out == ""
