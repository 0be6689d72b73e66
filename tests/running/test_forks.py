"""A child process that a migration or an observer forks never goes on with its parent's run."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from helpers import creates, fingerprint, python_migration, query, recorded, run_sql, tables, write_pack
from json_documents import read_document

from homie_migrations_core import MigrationPack, MigrationRunner, hookimpl
from homie_migrations_core.errors import MigrationFailed

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

# What the child does; the parent waits for it and keeps its status.
FORKS = """
import os, pathlib
conn.execute({first!r})
child = os.fork()
if child == 0:
{child}
_, status = os.waitpid(child, 0)
pathlib.Path({seen!r}).write_text(str(os.waitstatus_to_exitcode(status)))
conn.execute({last!r})
"""
CHILDREN = {
    "returns": ("return", 0),
    "raises": ("raise ValueError('no')", 1),
    "raises KeyboardInterrupt": ("raise KeyboardInterrupt", 1),
    "exits": ("raise SystemExit(7)", 7),
    "exits well": ("raise SystemExit", 0),
    "exits with words": ("raise SystemExit('no')", 1),
    "ends by itself": ("os._exit(5)", 5),
    "returns False": ("return False", 0),
    "reports progress": ("from homie_migrations_core import track\nlist(track([1, 2]))\nreturn", 0),
}


@pytest.fixture(params=["delete", "wal"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "homie_p.db"
    run_sql(path, f"PRAGMA journal_mode={request.param}; CREATE TABLE t (a); INSERT INTO t VALUES (1);")
    return path


def pack(tmp_path: Path, child: str, *, verify: str | None = None) -> MigrationPack:
    def body(first: str, last: str) -> str:
        return FORKS.format(first=first, child=textwrap.indent(child, "    "), seen=str(tmp_path / "seen"), last=last)

    second = python_migration(
        2,
        body("CREATE TABLE two (a)", "INSERT INTO two VALUES (1)"),
        rollback=body("DELETE FROM two", "DROP TABLE two"),
        verify=verify,
    )
    return write_pack(
        tmp_path / "pack", "p", {"001_one.py": creates(1, "one"), "002_two.py": second, "003_three.py": creates(3, "three")}
    )


class WritesDown:
    """Notes in a file what observers hear, whichever process they are in."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def _note(self, what: str) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(f"{what}\n")

    @property
    def heard(self) -> list[str]:
        return self._file.read_text(encoding="utf-8").split()

    @hookimpl
    def homie_step_finished(self, step: object) -> None:
        self._note(f"finished:{step.ref}")  # type: ignore[attr-defined]

    @hookimpl
    def homie_step_failed(self, step: object) -> None:
        self._note(f"failed:{step.ref}")  # type: ignore[attr-defined]

    @hookimpl
    def homie_step_progress(self, step: object) -> None:
        self._note(f"progress:{step.ref}")  # type: ignore[attr-defined]

    @hookimpl
    def homie_run_finished(self, run: object) -> None:
        self._note("run_finished")


@pytest.mark.parametrize(("child", "status"), CHILDREN.values(), ids=CHILDREN)
def test_a_child_that_comes_back_is_ended_and_its_parent_goes_on(path: Path, tmp_path: Path, child: str, status: int) -> None:
    observer = WritesDown(tmp_path / "heard")
    here = os.getpid()
    applied = MigrationRunner(path, [pack(tmp_path, child)], observers=[observer]).apply()
    assert os.getpid() == here
    assert [each.ref for each in applied] == ["p:001_one", "p:002_two", "p:003_three"]
    assert (tmp_path / "seen").read_text() == str(status)
    assert observer.heard == ["finished:p:001_one", "finished:p:002_two", "finished:p:003_three", "run_finished"]
    assert recorded(path) == ["p:001_one", "p:002_two", "p:003_three"]
    assert query(path, "SELECT count(*) FROM two") == [(1,)]
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


def test_a_rollback_that_forks(path: Path, tmp_path: Path) -> None:
    known = pack(tmp_path, "return")
    MigrationRunner(path, [known]).apply()
    MigrationRunner(path, [known]).rollback("p", to=1)
    assert recorded(path) == ["p:001_one"]
    assert "two" not in tables(path)


@pytest.mark.parametrize("where", ["at the top of the file", "in verify_migration"])
def test_wherever_it_forks(path: Path, tmp_path: Path, where: str) -> None:
    forks = "import os\nif os.fork() == 0:\n    {}\nos.wait()"
    source = python_migration(
        1, "conn.execute('CREATE TABLE two (a)')", verify=forks.format("return") if "verify" in where else None
    )
    if "top" in where:
        source += f"\n{forks.format('raise ValueError')}\n"
    assert len(MigrationRunner(path, [write_pack(tmp_path / "pack", "p", {"001_two.py": source})]).apply()) == 1
    assert tables(path) == {"t", "two"}
    assert recorded(path) == ["p:001_two"]


class ForkingObserver(WritesDown):
    """Forks in a hook, and lets the child come back."""

    @hookimpl
    def homie_step_started(self, step: object) -> None:
        if os.fork() == 0:
            if step.migration.version == 2:  # type: ignore[attr-defined]
                raise ValueError("no")
            return
        os.wait()


def test_a_child_of_an_observer_does_not_go_on_with_the_run(path: Path, tmp_path: Path) -> None:
    observer = ForkingObserver(tmp_path / "heard")
    here = os.getpid()
    known = write_pack(tmp_path / "pack", "p", {"001_one.py": creates(1, "one"), "002_two.py": creates(2, "two")})
    applied = MigrationRunner(path, [known], observers=[observer]).apply()
    assert os.getpid() == here
    assert [each.ref for each in applied] == recorded(path) == ["p:001_one", "p:002_two"]
    assert observer.heard == ["finished:p:001_one", "finished:p:002_two", "run_finished"]
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


USES = (
    "conn.execute('INSERT INTO t VALUES (2)')",
    "conn.commit()",
    "conn.rollback()",
    "sqlite3.Cursor(conn).execute('DROP TABLE t')",
)


@pytest.mark.parametrize("use", USES)
def test_a_child_can_not_use_the_connection(path: Path, tmp_path: Path, use: str) -> None:
    child = f"try:\n    {use}\nexcept sqlite3.Error as error:\n    os._exit(9)"
    MigrationRunner(path, [pack(tmp_path, child)]).apply()
    assert (tmp_path / "seen").read_text() == "9"
    assert query(path, "SELECT a FROM t") == [(1,)]


def test_a_parent_that_fails_is_undone_whatever_its_child_does(path: Path, tmp_path: Path) -> None:
    body = "conn.execute('CREATE TABLE two (a)')\nimport os\nif os.fork() == 0:\n    return\nos.wait()\nraise ValueError('no')"
    with pytest.raises(MigrationFailed, match="nothing of it is left"):
        MigrationRunner(path, [write_pack(tmp_path / "pack", "p", {"001_two.py": python_migration(1, body)})]).apply()
    assert tables(path) == {"t"}


def test_a_rehearsal_goes_on_in_its_own_process_only(path: Path, tmp_path: Path) -> None:
    known = pack(tmp_path, "return")
    before = fingerprint(path.parent)
    found = MigrationRunner(path, [known]).rehearse()
    (tmp_path / "seen").unlink()
    assert found.succeeded
    assert len(found.steps) == 3
    assert fingerprint(path.parent) == before


def test_a_replay_goes_on_in_its_own_process_only(path: Path, tmp_path: Path) -> None:
    known = pack(tmp_path, "return")
    MigrationRunner(path, [known]).apply()
    assert MigrationRunner(path, [known]).validate() == []


def test_a_check_goes_on_in_its_own_process_only(tmp_path: Path) -> None:
    body = "conn.execute('CREATE TABLE two (a)')\nimport os\nif os.fork() == 0:\n    return\nos.wait()"
    write_pack(tmp_path / "pack", "p", {"001_two.py": python_migration(1, body, rollback="conn.execute('DROP TABLE two')")})
    command = [
        sys.executable,
        "-m",
        "homie_migrations_core",
        "migrations",
        "check",
        "--dir",
        str(tmp_path / "pack"),
        "--pack",
        "p",
        "--json",
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert read_document(command[4:], done.stdout)["error"] is None


@pytest.mark.parametrize("child", ["return", "raise ValueError('no')"])
def test_the_command_line_says_it_once(path: Path, tmp_path: Path, child: str) -> None:
    pack(tmp_path, child)
    command = [
        sys.executable,
        "-m",
        "homie_migrations_core",
        "migrations",
        "apply",
        "--database",
        str(path),
        "--dir",
        str(tmp_path / "pack"),
        "--pack",
        "p",
        "--json",
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert read_document(command[4:], done.stdout)["error"] is None
    assert "Traceback" not in done.stderr


def test_the_log_says_it_once(path: Path, tmp_path: Path) -> None:
    """The child shares the log file of its parent."""
    handler = logging.FileHandler(tmp_path / "log")
    logger = logging.getLogger("homie_migrations")
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        MigrationRunner(path, [pack(tmp_path, "return")]).apply()
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()
    assert (tmp_path / "log").read_text().count("Applied p:002_two") == 1
