"""The copy of a rehearsal is removed, whatever happens; where there is nothing to copy, none is made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running.rehearsal_helpers import CHANGES, in_words, refs, rehearse, state_of

from homie_migrations_core import MigrationRunner, Run, Step, hookimpl
from homie_migrations_core.errors import (
    DatabaseNotReachable,
    RehearsalFailed,
    RunStopped,
)
from homie_migrations_core.model import RowCount
from homie_migrations_core.progress import hearing_phases
from homie_migrations_core.running.rehearsal import Rehearsal
from homie_migrations_core.sqlite import copying


def test_without_room_for_a_copy_nothing_is_rehearsed(data_folder: Path, database: Path, pack, monkeypatch: pytest.MonkeyPatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10_000, 9_000, 1_000))
    before = state_of(data_folder)
    with pytest.raises(RehearsalFailed, match=r"could not be copied \(.* are needed in .*, and 1\.0 kB are free\)") as failed:
        rehearse(database, pack(*CHANGES))
    assert failed.value.path == str(database)
    assert state_of(data_folder) == before


@pytest.mark.parametrize("how", ["KeyboardInterrupt", "RuntimeError", "SystemExit"])
def test_the_copy_is_gone_whatever_a_migration_raises(data_folder: Path, database: Path, temporary_folder: Path, pack, how: str):
    before = state_of(data_folder)
    runner = MigrationRunner(database, [pack("pass", f"conn.execute('CREATE TABLE t (a)')\nraise {how}")])
    if how == "KeyboardInterrupt":
        with pytest.raises(KeyboardInterrupt):
            runner.rehearse()
    else:
        error = runner.rehearse().error
        assert error is not None
        assert how in str(error)
    assert state_of(data_folder) == before
    assert list(temporary_folder.iterdir()) == []


def test_the_copy_is_gone_after_an_error_that_nobody_expected(
    data_folder: Path, database: Path, temporary_folder: Path, pack, monkeypatch: pytest.MonkeyPatch
):
    from homie_migrations_core.sqlite import scratch

    def fails(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(scratch, "examine", fails)
    before = state_of(data_folder)
    with pytest.raises(ZeroDivisionError):
        rehearse(database, pack(*CHANGES))
    assert state_of(data_folder) == before


@pytest.mark.parametrize("when", ["while it is copied", "in a migration", "between two steps", "at the end"])
def test_a_stop_ends_a_rehearsal_at_any_time_and_names_the_real_database(
    data_folder: Path, database: Path, pack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, when: str
):
    monkeypatch.setattr(copying, "PAGES_A_STEP", 1)
    flag = tmp_path / "stop"
    phases = []

    class Hears:
        @hookimpl
        def homie_step_finished(self, run: Run, step: Step) -> None:
            if (when, step.migration.version) in (("between two steps", 1), ("at the end", 2)):
                flag.touch()

    def hear(what: str, done: int | None, total: int | None) -> None:
        phases.append(what)
        if when == "while it is copied":
            flag.touch()

    body = (
        f"from pathlib import Path\nPath({str(flag)!r}).touch()\nconn.execute('SELECT 1')" if when == "in a migration" else "pass"
    )
    before = state_of(data_folder)
    runner = MigrationRunner(database, [pack("pass", body)], should_stop=flag.exists, observers=[Hears()])
    with hearing_phases(hear), pytest.raises(RunStopped) as stopped:
        runner.rehearse()
    assert stopped.value.path == str(database)
    assert str(database) in str(stopped.value)
    assert set(phases) == {"copying the database"}
    assert state_of(data_folder) == before


WAITS = """
import os, time
from pathlib import Path
conn.execute("CREATE TABLE waited (a)")
if data_folder := os.environ.get("REHEARSAL_PLACE"):
    Path(data_folder, "begun").touch()
    while not Path(data_folder, "go").exists():
        time.sleep(0.01)
"""


@pytest.fixture
def other_rehearsal(database: Path, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Another process that is in the middle of a rehearsal."""
    processes = []

    def start() -> subprocess.Popen[str]:
        code = """
            import sys
            from pathlib import Path
            from homie_migrations_core import MigrationPack, MigrationRunner
            found = MigrationRunner(sys.argv[1], [MigrationPack("p", Path(sys.argv[2]))]).rehearse()
            print([step.ref for step in found.steps], found.succeeded, found.findings)
        """
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), str(database), str(tmp_path / "pack")],
            env={**os.environ, "REHEARSAL_PLACE": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        deadline = time.monotonic() + 30
        while not (tmp_path / "begun").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_what_a_killed_rehearsal_left_is_removed_by_the_next(data_folder: Path, database: Path, pack, other_rehearsal):
    before, made = state_of(data_folder), pack(WAITS)
    killed = other_rehearsal()
    killed.kill()
    killed.communicate()
    assert len(list(data_folder.glob(".homie_p.db.rehearsal-*"))) == 1
    assert {name: state for name, state in state_of(data_folder).items() if name in before}.keys() == before.keys()

    found = rehearse(database, made)
    assert (refs(found), found.succeeded) == (["p:001_m1"], True)
    assert state_of(data_folder) == before


def test_rehearsals_at_the_same_time_leave_each_other_alone(
    data_folder: Path, database: Path, pack, other_rehearsal, tmp_path: Path
):
    before, made = state_of(data_folder), pack(WAITS)
    other = other_rehearsal()
    (in_use,) = data_folder.glob(".homie_p.db.rehearsal-*")

    for _ in range(2):
        assert refs(rehearse(database, made)) == ["p:001_m1"]
        assert list(data_folder.glob(".homie_p.db.rehearsal-*")) == [in_use]
        assert (in_use / database.name).exists()

    (tmp_path / "go").touch()
    out, err = other.communicate(timeout=30)
    assert (other.returncode, err) == (0, "")
    assert out == "['p:001_m1'] True ()\n"
    assert state_of(data_folder) == before


def test_a_leftover_of_another_database_is_left_alone(data_folder: Path, database: Path, pack):
    (data_folder / ".homie_q.db.rehearsal-abc").mkdir()
    (data_folder / ".homie_p.db.rehearsal-abc").mkdir()
    rehearse(database, pack("pass"))
    assert {path.name for path in data_folder.iterdir()} == {"homie_p.db", ".homie_q.db.rehearsal-abc"}


# --- no database, nothing to do ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("empty", [False, True], ids=["no file", "an empty file"])
def test_a_new_database_is_rehearsed_and_not_made(data_folder: Path, pack, empty: bool):
    database = data_folder / "homie_p.db"
    if empty:
        database.touch()
    before = state_of(data_folder)
    found = rehearse(database, pack("conn.execute('CREATE TABLE t (a)')\nconn.execute('INSERT INTO t VALUES (1)')", "pass"))
    assert refs(found) == ["p:001_m1", "p:002_m2"]
    assert (found.losses, found.findings, found.error) == ((), (), None)
    assert found.disk_needed > 0
    assert found.steps[0].rows == (RowCount("t", None, 1),)
    assert in_words(found) == ["table t added"]
    assert state_of(data_folder) == before


@pytest.mark.parametrize("empty", [False, True], ids=["no file", "an empty file"])
def test_a_new_database_has_no_size(data_folder: Path, pack, empty: bool):
    if empty:
        (data_folder / "homie_p.db").touch()
    assert rehearse(data_folder / "homie_p.db", pack("conn.execute('CREATE TABLE t (a)')")).size == 0


def test_a_new_database_whose_first_migration_fails(data_folder: Path, pack):
    found = rehearse(data_folder / "homie_p.db", pack("raise RuntimeError('no')", "pass"))
    assert found.error is not None
    assert (refs(found), found.error.ref, found.size) == ([], "p:001_m1", 0)
    assert list(data_folder.iterdir()) == []


def test_a_folder_that_is_not_there_is_named_and_not_made(tmp_path: Path, temporary_folder: Path, pack):
    with pytest.raises(DatabaseNotReachable):
        rehearse(tmp_path / "nowhere" / "homie_p.db", pack("pass"))
    found = MigrationRunner(tmp_path / "nowhere" / "homie_p.db", [pack("pass")], make_parents=True).rehearse()
    assert refs(found) == ["p:001_m1"]
    assert not (tmp_path / "nowhere").exists()
    assert list(temporary_folder.iterdir()) == []


def test_with_nothing_to_do_no_copy_is_made(data_folder: Path, database: Path, pack, monkeypatch: pytest.MonkeyPatch):
    made = pack("pass")
    MigrationRunner(database, [made], backup=False).apply()
    folder = data_folder.stat().st_mtime_ns
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **_: pytest.fail("a copy was made"))
    assert rehearse(database, made) == Rehearsal(database, MigrationRunner(database, [made]).plan())
    assert data_folder.stat().st_mtime_ns == folder
