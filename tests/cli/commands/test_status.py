"""`status`: which migrations are listed, and the totals of several databases."""

from __future__ import annotations

import os
import re
import sys
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


def listed(result) -> list[list[str]]:
    """The words of the lines below the pack's."""
    return [line.split() for line in result.out.splitlines()[2:]]


TIME = ["2026-01-05", "09:30:00", "UTC"]
PENDING = [["pending", "005_t5"], ["pending", "006_t6"]]


def test_what_is_pending_and_the_newest_applied_one_are_listed(six):
    more = "and 3 more applied (--all lists every migration)".split()
    assert listed(six("status")) == [["applied", "004_t4", *TIME], *PENDING, more]


def test_all_lists_every_migration(six):
    applied = [["applied", f"00{number}_t{number}", *TIME] for number in range(1, 5)]
    assert listed(six("status", "--all")) == [*applied, *PENDING]


def test_every_pack_that_needs_attention_is_listed(six, tmp_path: Path):
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
    result = six("status")
    assert [line[:2] for line in listed(result)] == [["applied", "006_t6"], ["and", "5"]]


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
    result = six("status", "--database", new)
    assert result.out.splitlines()[-1] == "2 databases: 1 new, 1 pending; 8 migrations pending"
    text.write_text("not a database " * 100)
    result = six("status", "--database", new, "--database", text)
    assert result.code == 2
    assert result.out.splitlines()[-1] == "3 databases: 1 new, 1 pending, 1 with an error; 8 migrations pending"
    assert six("status", "--database", new, "-q").out == ""


def test_status_of_what_is_not_there_yet_says_so(homie, tasks: MigrationFolder):
    result = homie("status", *tasks.options)
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
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


# --- many packs and databases ---------------------------------------------------------------------------------


def test_of_several_packs_those_in_order_take_one_line_each(homie, installed, tmp_path: Path):
    for name in ("alpha", "beta"):
        installed.pack(name, {"001_a.py": creates(1, f"{name}_a"), "002_b.py": creates(2, f"{name}_b")}, database="homie_alpha.db")
    database = tmp_path / "homie_alpha.db"
    for target in ("alpha:1", "beta:2"):
        assert homie("apply", "--database", database, "--to", target).code == 0
    run_sql(database, "UPDATE schema_migrations SET applied_at = '2026-01-05 09:30:00'")
    assert homie("status", "--database", database).out.splitlines() == [
        f"{database}: pending",
        "  alpha: pending, version 1 of 2",
        "    applied  001_a  2026-01-05 09:30:00 UTC",
        "    pending  002_b",
        "  beta: up to date, version 2",
    ]
    assert len(homie("status", "--database", database, "--all").out.splitlines()) == 7
    assert homie("status", "--database", database, "--pack", "beta").out.splitlines()[2:] == [
        "    applied  002_b  2026-01-05 09:30:00 UTC",
        "    and 1 more applied (--all lists every migration)",
    ]


def test_of_several_databases_those_in_order_come_first_a_line_each_by_their_folders(homie, tasks: MigrationFolder, tmp_path: Path):
    folders = {name: tmp_path / name for name in ("a", "b")}
    for folder in folders.values():
        folder.mkdir()
    done = [folders["a"] / "one.db", folders["b"] / "two.db", folders["a"] / "a_longer_name.db"]
    options = tuple(word for each in (*done, tasks.database) for word in ("--database", each))
    for each in done:
        assert homie("apply", "--dir", tasks.folder, "--database", each).code == 0
    result = homie("status", "--dir", tasks.folder, *options)
    assert result.out.splitlines() == [
        f"up to date in {folders['a']}:",
        "  one.db            tasks 2",
        "  a_longer_name.db  tasks 2",
        f"up to date in {folders['b']}:",
        "  two.db  tasks 2",
        f"{tasks.database}: new (not made yet)",
        "  tasks: pending, version 0 of 2",
        "    pending  001_one",
        "    pending  002_two",
        "4 databases: 1 new, 3 up to date; 2 migrations pending",
    ]
    assert homie("status", "--dir", tasks.folder, *options, "--all").out.count("applied  ") == 6
    assert len(homie("status", "--dir", tasks.folder, *options, "--json").json["databases"]) == 4


def test_a_database_that_holds_an_orphaned_record_is_not_summed_up(homie, tasks: MigrationFolder, tmp_path: Path):
    other = tmp_path / "other.db"
    for each in (tasks.database, other):
        assert homie("apply", "--dir", tasks.folder, "--database", each).code == 0
    run_sql(other, "INSERT INTO schema_migrations (version, migration_name, pack) VALUES (1, '001_x', 'gone')")
    lines = homie("status", "--dir", tasks.folder, "--database", tasks.database, "--database", other).out.splitlines()
    assert lines[:2] == [f"up to date in {tmp_path}:", "  homie_tasks.db  tasks 2"]
    assert "    orphaned  001_x" in [line[:19] for line in lines[3:]]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("colours", [True, False])
def test_many_databases_fit_a_terminal(on_a_terminal, many_databases: tuple[Path, Path], width: int, colours: bool):
    data, site = many_databases
    environment = {"PYTHONPATH": str(site), **({} if colours else {"NO_COLOR": "1"})}
    terminal = on_a_terminal("status", "--data-dir", data, width=width, **environment)
    assert terminal.ended() == 2
    assert bool(re.search(r"\x1b\[3[123]m", terminal.seen)) == colours
    for state, colour in (("ahead", 31), ("late", 31), ("pending", 33), ("up to date", 32)):
        assert (f"\x1b[{colour}m{state}\x1b[0m" in terminal.seen) == colours
    lines = re.sub(r"\x1b\[[0-9;]*m", "", terminal.seen).splitlines()
    assert not [line for line in lines if len(line.rstrip()) > width and str(data) not in line and "databases: " not in line]
    assert len(lines) < 85
    assert re.match(r"2\d databases: 1 ahead, 1 edited, 1 late, \d new, 2 pending, 17 up to date, 1 with an error", lines[-1])


def test_many_databases_are_plain_in_a_pipe(homie_process, many_databases: tuple[Path, Path]):
    data, site = many_databases
    result = homie_process("status", "--data-dir", data, env={**os.environ, "PYTHONPATH": str(site), "TERM": "xterm-256color"})
    assert result.code == 2
    assert result.out.isascii()
    assert "\x1b" not in result.out
    assert all(line == line.rstrip() for line in result.out.splitlines())


@pytest.fixture(scope="module")
def many_databases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Twenty-five databases and forty packs; the data folder, and what installs the packs."""
    path = str(Path(__file__).parents[3])
    sys.path.insert(0, path)
    try:
        from benchmarks.many_databases import make
    finally:
        sys.path.remove(path)
    return make(tmp_path_factory.mktemp("many"))
