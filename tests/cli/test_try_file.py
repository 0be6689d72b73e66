"""A migration's file run by hand, as its author does: on scratch databases, with a plain answer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from helpers import creates, fingerprint, problems, python_migration

import file_organizer_migrations.migrations

BLOCK = """
if __name__ == "__main__":
    from homie_migrations_core import try_migration

    raise SystemExit(try_migration(__file__))
"""


@pytest.fixture
def try_by_hand(tmp_path: Path):
    def run(path: Path, cwd: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-W", "error::ResourceWarning", str(path)]
        return subprocess.run(line, capture_output=True, text=True, cwd=cwd, check=False, timeout=60)

    return run


def folder_with(tmp_path: Path, files: dict[str, str]) -> Path:
    folder = tmp_path / "tasks" / "migrations"
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_text(content + BLOCK)
    return folder


def test_the_file_organizers_own_migration_tries_itself(try_by_hand, tmp_path: Path):
    file = Path(file_organizer_migrations.migrations.__file__).with_name("001_destination_memory.py")
    before = {path.name for path in file.parent.iterdir()}
    done = try_by_hand(file)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "Trying file_organizer:001_destination_memory on a scratch database",
        "  applied file_organizer:001_destination_memory",
        "  rolled back file_organizer:001_destination_memory",
        "  applied file_organizer:001_destination_memory again",
    ]
    assert {path.name for path in file.parent.iterdir()} - {"__pycache__"} == before - {"__pycache__"}
    assert list(tmp_path.iterdir()) == []


def test_what_comes_before_is_applied_first(try_by_hand, tmp_path: Path):
    folder = folder_with(
        tmp_path,
        {"001_one.py": creates(1, "one"), "002_two.py": python_migration(2, "conn.execute('INSERT INTO one VALUES (1, 2)')")},
    )
    before = fingerprint(tmp_path)
    done = try_by_hand(folder / "002_two.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "Trying tasks:002_two on a scratch database",
        "  applied tasks:001_one, which comes before it",
        "  applied tasks:002_two",
        "  it has no rollback_migration, so there is nothing to roll back",
    ]
    assert fingerprint(tmp_path) == before


def test_it_can_be_called_from_inside_the_folder(try_by_hand, tmp_path: Path):
    folder = folder_with(tmp_path, {"001_one.py": creates(1, "one")})
    assert try_by_hand(Path("001_one.py"), cwd=folder).returncode == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (python_migration(1, "raise ValueError('no')"), "ValueError: no"),
        (python_migration(1, rollback="raise ValueError('no way back')"), "ValueError: no way back"),
        (python_migration(1, verify="raise ValueError('not so')"), "ValueError: not so"),
        (python_migration(1, "conn.execute('CREATE TABLE t (x)')", rollback="pass"), "table t already exists"),
        (python_migration(2), "001_one.py returns 2 as its version, but its file name says 1"),
        (python_migration(1, requires=("nowhere:3",)), "requires nowhere:3"),
    ],
    ids=[
        "apply fails",
        "rollback fails",
        "verify fails",
        "the second apply fails",
        "version and name disagree",
        "unknown requirement",
    ],
)
def test_a_failing_one_says_why_in_a_line_and_returns_1(try_by_hand, tmp_path: Path, content: str, words: str):
    folder = folder_with(tmp_path, {"001_one.py": content})
    before = fingerprint(tmp_path)
    done = try_by_hand(folder / "001_one.py")
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.startswith("Error: ")
    assert len(problems(done.stderr)) == 1
    assert fingerprint(tmp_path) == before


def test_a_badly_named_file_says_so(try_by_hand, tmp_path: Path):
    folder = folder_with(tmp_path, {"003destination.py": creates(3, "x")})
    done = try_by_hand(folder / "003destination.py")
    assert (done.returncode, done.stdout) == (1, "")
    assert "003destination.py is not a valid migration file name" in done.stderr


def test_the_block_is_not_part_of_the_checksum(homie, tmp_path: Path):
    folder = folder_with(tmp_path, {"001_one.py": creates(1, "one")})
    here = ("--dir", folder, "--database", tmp_path / "x.db")
    homie("apply", *here)
    (folder / "001_one.py").write_text(creates(1, "one"))
    assert "edited" not in homie("status", *here).out
    assert homie("status", *here, "--check").code == 0
