"""`--backup-dir` and `--keep`: where commands put snapshots, find them, and how many stay."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import creates, one_line, recorded, run_sql

from homie_migrations_core.sqlite import copying


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "elsewhere"
    place.mkdir()
    return place


@pytest.fixture
def applied(homie, tasks):
    """The first of two migrations is applied, and there is a row."""
    assert homie("apply", *tasks.options, "--to", "tasks:1").code == 0
    run_sql(tasks.database, "INSERT INTO one VALUES (1, 'first')")
    return tasks


def below(place: Path) -> list[Path]:
    """The snapshots of every database in a folder that was chosen for snapshots."""
    return sorted(place.glob("*/*.db"))


def test_every_changing_command_puts_its_snapshot_there(homie, applied, place: Path) -> None:
    commands = (
        ("apply",),
        ("redo", "tasks", "--yes"),
        ("rollback", "tasks", "--yes"),
        ("baseline", "tasks", "2"),
        ("repair", "tasks:2", "--remove", "--yes"),
        ("backup",),
        ("reset", "--yes"),
    )
    for number, command in enumerate(commands, start=1):
        result = homie(*command, *applied.options, "--backup-dir", place, "--json")
        assert result.code == 0, result.err
        assert len(below(place)) == min(number, 6)  # the sixth automatic one pushes out the first
        assert Path(result.json["databases"][0]["snapshot"]) in below(place)
    assert not (applied.database.parent / "backups").exists()


def test_backups_lists_them_and_restore_takes_their_bare_names(homie, applied, place: Path) -> None:
    assert homie("apply", *applied.options, "--backup-dir", place).code == 0
    (snapshot,) = below(place)
    listed = homie("backups", *applied.options, "--backup-dir", place)
    assert listed.out.splitlines()[0] == f"{applied.database}: 1 snapshot in {snapshot.parent}"
    assert homie("backups", *applied.options).out == f"{applied.database}: 0 snapshots\n"

    result = homie("restore", snapshot.name, *applied.options, "--backup-dir", place, "--yes")
    assert result.code == 0, result.err
    assert recorded(applied.database) == ["tasks:001_one"]
    assert len(below(place)) == 2


def test_the_folder_shows_which_database_a_snapshot_belongs_to(homie, installed, tmp_path: Path, place: Path) -> None:
    for name in ("alpha", "zebra"):
        installed.pack(name, {"001_a.py": creates(1, "a"), "002_b.py": creates(2, "b")})
    common = ("--data-dir", tmp_path, "--backup-dir", place)
    assert homie("apply", *common, "--to", "zebra:1").code == 0
    assert homie("apply", *common).code == 0
    (snapshot,) = below(place)
    result = homie("restore", snapshot.name, *common, "--yes")
    assert result.code == 0, result.err
    assert recorded(tmp_path / "modules" / "homie_zebra.db") == ["zebra:001_a"]
    assert recorded(tmp_path / "modules" / "homie_alpha.db") == ["alpha:001_a", "alpha:002_b"]


@pytest.mark.parametrize("command", ["apply", "backup", "backups", "restore"])
def test_a_folder_that_is_not_there_ends_with_2_and_changes_nothing(homie, applied, tmp_path: Path, command: str) -> None:
    gone = tmp_path / "not_mounted"
    file = ["some.db"] if command == "restore" else []
    result = homie(command, *file, *applied.options, "--backup-dir", gone, "--json")
    assert result.code == 2
    assert result.json["error"]["code"] == "folder_unusable"
    assert f"{gone} does not exist" in one_line(result.err)
    assert not gone.exists()
    assert recorded(applied.database) == ["tasks:001_one"]


def test_an_empty_folder_name_ends_with_2(homie, applied) -> None:
    for command in ("apply", "backups"):
        result = homie(command, *applied.options, "--backup-dir", "")
        assert result.code == 2
        assert "--backup-dir is empty" in result.err
    assert recorded(applied.database) == ["tasks:001_one"]


def test_keep_says_how_many_stay(homie, applied, place: Path) -> None:
    for command in (("apply",), ("redo", "tasks", "--yes"), ("redo", "tasks", "--yes")):
        assert homie(*command, *applied.options, "--backup-dir", place, "--keep", "2").code == 0
    assert len(below(place)) == 2
    result = homie("redo", "tasks", "--yes", *applied.options, "--backup-dir", place, "--keep", "0")
    assert result.code == 0
    assert "snapshot" not in result.out
    assert below(place) == []


def test_keep_of_no_snapshot_at_all_ends_with_2(homie, applied) -> None:
    result = homie("apply", *applied.options, "--keep", "3", "--no-backup")
    assert result.code == 2
    assert "--no-backup and --keep were both given" in result.err
    assert homie("apply", *applied.options, "--keep", "-1").code == 2
    assert recorded(applied.database) == ["tasks:001_one"]


@pytest.mark.parametrize(
    ("how", "expected"), [((), 1), (("-v",), 1), (("-q",), 0), (("--json",), 0)], ids=["as it is", "verbose", "quiet", "JSON"]
)
def test_the_space_that_a_large_snapshot_needs_is_reported_on_stderr(
    homie, applied, place: Path, monkeypatch: pytest.MonkeyPatch, how, expected: int
) -> None:
    monkeypatch.setattr(copying, "LARGE", 1)
    result = homie("apply", *applied.options, "--backup-dir", place, *how)
    lines = [line for line in result.err.splitlines() if "are needed in" in line]
    assert len(lines) == expected
    assert all(line.startswith(f"  taking a snapshot: 16.4 kB are needed in {place}") for line in lines)
    assert "are needed" not in result.out


def test_the_space_of_a_small_snapshot_is_reported_only_on_request(homie, applied) -> None:
    assert homie("apply", *applied.options, "--to", "tasks:2", "-v").err.count("are needed in") == 1
    assert homie("redo", "tasks", "--yes", *applied.options).err == ""
