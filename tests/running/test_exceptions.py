"""Whatever a migration raises, it is undone; only Ctrl-C and a stop are raised again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from helpers import creates, python_migration, recorded, run_sql, tables, write_pack
from json_documents import read_document

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.errors import MigrationFailed

HEAD = "class Odd(BaseException):\n    pass\n"
FAILURES = {
    "pytest.skip()": "import pytest\npytest.skip('not here')",
    "pytest.fail()": "import pytest\npytest.fail('not so')",
    "pytest.exit()": "import pytest\npytest.exit('enough')",
    "a BaseException of its own": "raise Odd('odd')",
    "SystemExit": "raise SystemExit(3)",
    "an exception group": "raise BaseExceptionGroup('both', [Odd('odd'), ValueError('no')])",
    "GeneratorExit": "raise GeneratorExit",
    "asyncio.CancelledError": "import asyncio\nraise asyncio.CancelledError",
    "in a function that SQL calls": "def odd():\n    raise Odd('odd')\nconn.create_function('odd', 0, odd)\nconn.execute('SELECT odd()')",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "homie_p.db"
    run_sql(path, "CREATE TABLE t (a)")
    return path


def pack(tmp_path: Path, body: str) -> MigrationPack:
    second = python_migration(2, f"conn.execute('CREATE TABLE two (a)')\n{body}", head=HEAD)
    return write_pack(tmp_path / "pack", "p", {"001_one.py": creates(1, "one"), "002_two.py": second})


@pytest.mark.parametrize("body", FAILURES.values(), ids=FAILURES)
def test_an_exception_of_any_kind_is_a_failed_migration(path: Path, tmp_path: Path, body: str) -> None:
    with pytest.raises(MigrationFailed, match="Applying p:002_two failed, and nothing of it is left") as failed:
        MigrationRunner(path, [pack(tmp_path, body)]).apply()
    assert "002_two.py, line" in str(failed.value)
    assert not isinstance(failed.value.__cause__, MigrationFailed | None)
    assert tables(path) == {"t", "one"}
    assert recorded(path) == ["p:001_one"]


@pytest.mark.parametrize("body", FAILURES.values(), ids=FAILURES)
def test_a_rehearsal_and_a_validation_tell_of_it(path: Path, tmp_path: Path, body: str) -> None:
    known = pack(tmp_path, "pass")
    MigrationRunner(path, [known]).apply()
    (finding,) = [each for each in MigrationRunner(path, [pack(tmp_path, body)]).validate() if each.code == "replay_failed"]
    assert finding.subject == "p:002_two"
    other = tmp_path / "other.db"
    run_sql(other, "CREATE TABLE t (a)")
    error = MigrationRunner(other, [known]).rehearse().error
    assert error is not None
    assert error.ref == "p:002_two"


def test_ctrl_c_is_raised_again_once_it_is_undone(path: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        MigrationRunner(path, [pack(tmp_path, "raise KeyboardInterrupt")]).apply()
    assert tables(path) == {"t", "one"}
    assert recorded(path) == ["p:001_one"]


@pytest.mark.parametrize("body", ["import pytest\npytest.skip('not here')", "raise Odd('odd')", "raise SystemExit(0)"])
def test_the_command_line_shows_no_traceback(path: Path, tmp_path: Path, body: str) -> None:
    pack(tmp_path, body)
    command = "-m homie_migrations_core migrations apply --pack p --json".split()
    done = subprocess.run(
        [sys.executable, *command, "--database", str(path), "--dir", str(tmp_path / "pack")],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert read_document(command[3:], done.stdout)["error"]["code"] == "migration_failed"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("files", "direction", "place"),
    [
        ({"001_x.sql": "CREATE TABLE a (b);\n\nDROP TABLE gone;\n"}, "apply", ("001_x.sql", 3)),
        ({"001_x.sql": "CREATE TABLE a (b);\nVACUUM;\n"}, "apply", ("001_x.sql", 2)),
        (
            {"001_x.sql": "CREATE TABLE a (b);", "001_x.rollback.sql": "-- undo\nDROP TABLE gone;"},
            "rollback",
            ("001_x.rollback.sql", 2),
        ),
        (
            {"001_x.py": "def get_migration_version(): return 1\ndef apply_migration(conn):\n    raise ValueError\n"},
            "apply",
            ("001_x.py", 3),
        ),
        (
            {"001_x.py": "def get_migration_version(): return 1\ndef apply_migration(conn): return False\n"},
            "apply",
            ("001_x.py", None),
        ),
    ],
)
def test_a_failed_migration_names_the_authors_file_and_line(tmp_path: Path, files, direction: str, place) -> None:
    runner = MigrationRunner(tmp_path / "homie_p.db", [write_pack(tmp_path / "pack", "p", files)], backup=False)
    with pytest.raises(MigrationFailed) as failed:
        runner.apply()
        runner.rollback("p", steps=1)
    assert failed.value.direction == direction
    assert failed.value.file == str(tmp_path / "pack" / place[0])
    assert failed.value.line == place[1]


def test_a_missing_folder_for_temporary_files_is_told_as_such(make, database):
    """SQLite only says "disk I/O error", which sends people to look at a disk that is in order."""
    head = "class NoFolder(sqlite3.OperationalError):\n    sqlite_errorname = 'SQLITE_IOERR_GETTEMPPATH'"
    pack = make("a", m001_sorts=python_migration(1, "raise NoFolder('disk I/O error')", head=head))
    with pytest.raises(MigrationFailed, match=r"disk I/O error.*environment variable SQLITE_TMPDIR"):
        MigrationRunner(database, [pack]).apply()
