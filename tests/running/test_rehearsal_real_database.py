"""A rehearsal only reads the real database, whatever state it is in and whatever a migration tries."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import creates, python_migration, query, run_sql, write_pack
from running.rehearsal_helpers import CHANGES, SOMEBODY, as_root, refs, rehearse, state_of, statements

from homie_migrations_core import MigrationPack, MigrationRunner, Run, Step, hookimpl
from homie_migrations_core.errors import (
    DatabaseInterrupted,
    LockTimeout,
)
from homie_migrations_core.model import RowCount


@pytest.mark.parametrize("mode", ["delete", "wal", "truncate", "persist"])
def test_the_real_database_is_the_same_to_the_byte_afterwards(data_folder: Path, database: Path, pack, mode: str):
    run_sql(database, f"PRAGMA journal_mode={mode}; INSERT INTO drives VALUES (4, 'f', NULL);")
    before = state_of(data_folder)
    found = rehearse(database, pack(*CHANGES))
    assert refs(found) == ["p:001_m1", "p:002_m2"]
    assert state_of(data_folder) == before


def test_an_interrupted_database_is_told_as_such_and_left_to_the_next_writer(
    data_folder: Path, database: Path, pack, tmp_path: Path
):
    (tmp_path / "elsewhere").mkdir()
    writer = sqlite3.connect(database, isolation_level=None)
    try:
        writer.execute("PRAGMA cache_size=1")
        writer.execute("BEGIN")
        writer.executemany("INSERT INTO drives (name) VALUES (?)", [("x" * 1000,)] * 500)
        for path in data_folder.iterdir():  # what a killed process leaves
            shutil.copyfile(path, tmp_path / "elsewhere" / path.name)
    finally:
        writer.close()
    interrupted = tmp_path / "elsewhere" / database.name
    before = state_of(interrupted.parent)
    assert len(before) == 2
    with pytest.raises(DatabaseInterrupted):
        rehearse(interrupted, pack(*CHANGES))
    assert state_of(interrupted.parent) == before


@pytest.mark.skipif(os.name == "nt", reason="links of POSIX")
def test_a_database_behind_a_link_is_rehearsed_beside_itself_and_off_limits_too(
    data_folder: Path, database: Path, temporary_folder: Path, tmp_path: Path, pack
):
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "homie_p.db"
    link.symlink_to(database)
    before, content = state_of(data_folder), state_of(link.parent)
    found = rehearse(link, pack("conn.execute('DELETE FROM files')", f"sqlite3.connect({str(database)!r})"))
    assert refs(found) == ["p:001_m1"]
    assert found.error is not None
    assert "a rehearsal must not open the real database" in found.error.found
    assert (state_of(data_folder), state_of(link.parent)) == (before, content)


@pytest.fixture
def application(database: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Another program that has the database open, has executed some SQL, and waits."""
    processes = []

    def start(sql: str) -> subprocess.Popen[str]:
        code = """
            import sqlite3, sys
            connection = sqlite3.connect(sys.argv[1], isolation_level=None)
            for statement in sys.argv[2].split(";"):
                connection.execute(statement).fetchall()
            print("ready", flush=True)
            sys.stdin.read()
            connection.close()
        """
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), str(database), sql],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in processes:
        process.communicate("")
        assert process.returncode == 0


@pytest.mark.parametrize(
    "busy",
    [
        "PRAGMA journal_mode=WAL; INSERT INTO drives VALUES (4, 'f', NULL)",
        "PRAGMA journal_mode=WAL; INSERT INTO drives VALUES (4, 'f', NULL); BEGIN IMMEDIATE; INSERT INTO drives VALUES (5, 'g', NULL)",
        "INSERT INTO drives VALUES (4, 'f', NULL)",
        "INSERT INTO drives VALUES (4, 'f', NULL); BEGIN; SELECT * FROM drives",
        "INSERT INTO drives VALUES (4, 'f', NULL); BEGIN IMMEDIATE; INSERT INTO drives VALUES (5, 'g', NULL)",
    ],
    ids=["WAL", "WAL, writing", "rollback journal", "rollback journal, reading", "rollback journal, writing"],
)
def test_beside_a_program_that_uses_it_nothing_is_changed_and_what_is_committed_is_seen(
    data_folder: Path, database: Path, pack, application, busy: str
):
    application(busy)
    before = state_of(data_folder)
    found = rehearse(database, pack(*CHANGES))
    assert found.steps[0].rows == (RowCount("drives", 4, 4),)
    assert state_of(data_folder) == before


def test_a_writer_that_keeps_it_locked_is_waited_for_as_long_as_was_asked(data_folder: Path, database: Path, pack, application):
    application("BEGIN EXCLUSIVE; INSERT INTO drives VALUES (5, 'g', NULL)")
    before = state_of(data_folder)
    with pytest.raises(LockTimeout) as timeout:
        MigrationRunner(database, [pack(*CHANGES)], lock_timeout=0.2).rehearse()
    assert timeout.value.path == str(database)
    assert state_of(data_folder) == before


@pytest.fixture
def shared() -> Iterator[Path]:
    """A database in a folder that everybody may read, which those of pytest are not; one of two migrations is applied."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pack(folder / "pack", "p", {"001_a.py": creates(1, "a"), "002_b.py": creates(2, "b")})
        (folder / "data").mkdir()
        (folder / "temporary_folder").mkdir()
        (folder / "temporary_folder").chmod(0o777)
        folder.chmod(0o755)
        MigrationRunner(folder / "data" / "homie_p.db", [MigrationPack("p", folder / "pack")]).apply(to="p:1")
        yield folder / "data" / "homie_p.db"


def as_somebody(database: Path, calls: str) -> list[str]:
    """What `calls` print, run by somebody who owns nothing here. `runner` is at hand."""
    root = database.parent.parent
    code = f"""
import os, sys, tempfile
from pathlib import Path
from homie_migrations_core import HomieMigrationsError, MigrationPack, MigrationRunner
sys.dont_write_bytecode = True
pack = MigrationPack("p", Path({str(root / "pack")!r}))
with tempfile.TemporaryDirectory() as scratch:  # loads every module, which somebody else may not be able to
    MigrationRunner(Path(scratch, "homie_p.db"), [pack]).apply(to="p:1")
    MigrationRunner(Path(scratch, "homie_p.db"), [pack]).rehearse()
tempfile.tempdir = {str(root / "temporary_folder")!r}
os.setgid({SOMEBODY})
os.setuid({SOMEBODY})
runner = MigrationRunner({str(database)!r}, [pack])
{textwrap.dedent(calls)}
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@as_root
@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("rights", [0o777, 0o755], ids=["a folder for all", "a folder to read"])
def test_a_file_that_one_may_only_read_can_be_rehearsed_with(shared: Path, mode: str, rights: int):
    run_sql(shared, f"PRAGMA journal_mode={mode}")
    shared.parent.chmod(rights)
    before = state_of(shared.parent)
    assert as_somebody(shared, "print([step.ref for step in runner.rehearse().steps])") == ["['p:002_b']"]
    assert state_of(shared.parent) == before
    assert list((shared.parent.parent / "temporary_folder").iterdir()) == []


@as_root
@pytest.mark.parametrize(("rights", "where"), [(0o777, "data"), (0o755, "temporary_folder")])
def test_the_copy_lies_beside_the_database_or_else_with_the_temporary_files(shared: Path, rights: int, where: str):
    (shared.parent.parent / "pack" / "002_b.py").write_text(
        python_migration(2, "print(conn.execute('PRAGMA database_list').fetchone()[2])")
    )
    shared.parent.chmod(rights)
    copy = as_somebody(shared, "runner.rehearse()")[-1]
    assert Path(copy).name == shared.name
    assert Path(copy).parent.parent == shared.parent.parent / where
    assert Path(copy).parent.name.startswith(f".{shared.name}.rehearsal-")
    assert not Path(copy).parent.exists()


@as_root
def test_where_nothing_can_be_written_a_rehearsal_says_so(shared: Path):
    (shared.parent.parent / "temporary_folder").chmod(0o755)
    before = state_of(shared.parent)
    (said,) = as_somebody(
        shared,
        """
        try:
            runner.rehearse()
        except HomieMigrationsError as error:
            print(error.code, error.found)
        """,
    )
    assert said == f"rehearsal_failed neither {shared.parent} nor {shared.parent.parent / 'temporary_folder'} can be written"
    assert state_of(shared.parent) == before


@pytest.mark.skipif(os.name == "nt", reason="rights of POSIX")
def test_nobody_else_can_read_the_copy(data_folder: Path, database: Path, pack):
    database.chmod(0o666)
    seen = []

    class Looks:
        @hookimpl
        def homie_step_finished(self, run: Run, step: Step) -> None:
            (folder,) = (each for each in data_folder.iterdir() if each.is_dir())
            seen.extend([folder.stat().st_mode & 0o777, (folder / database.name).stat().st_mode & 0o777])

    rehearse(database, pack("pass"), observers=(Looks(),))
    assert seen == [0o700, 0o600]


# --- the real file is off limits ---------------------------------------------------------------------------------------

INTRUDERS = {
    "a path": "sqlite3.connect(REAL).execute('DELETE FROM files').connection.commit()",
    "a Path": "sqlite3.connect(Path(REAL)).execute('DELETE FROM files').connection.commit()",
    "bytes": "sqlite3.connect(os.fsencode(REAL)).execute('DELETE FROM files').connection.commit()",
    "a relative path": "sqlite3.connect(os.path.relpath(REAL)).execute('DELETE FROM files').connection.commit()",
    "a URI": "sqlite3.connect(f'file:{REAL}?mode=rw', uri=True).execute('DELETE FROM files').connection.commit()",
    "a URI with a host": "sqlite3.connect(f'file://localhost{REAL}', uri=True).execute('DELETE FROM files').connection.commit()",
    "a link": "os.symlink(REAL, REAL + '.link') if not os.path.islink(REAL + '.link') else None\n"
    "sqlite3.connect(REAL + '.link').execute('DELETE FROM files').connection.commit()",
    "open to write": "open(REAL, 'w').close()",
    "open to append": "open(REAL, 'ab').write(b'more')",
    "open to update": "open(REAL, 'r+b').write(b'more')",
    "os.open": "os.write(os.open(REAL, os.O_RDWR), b'more')",
    "write_bytes": "Path(REAL).write_bytes(b'')",
    "os.truncate": "os.truncate(REAL, 0)",
    "os.remove": "os.remove(REAL)",
    "another file in its data_folder": "open(REAL + '.link', 'w').close()\nos.replace(REAL + '.link', REAL)",
    "another name": "os.rename(REAL, REAL + '.link')",
    "a copy over it": "shutil.copyfile(__file__, REAL)",
    "a swallowed refusal": "try:\n    sqlite3.connect(REAL).execute('DELETE FROM files').connection.commit()\nexcept sqlite3.Error:\n    pass",
}


@pytest.mark.parametrize("code", INTRUDERS.values(), ids=INTRUDERS)
def test_code_that_opens_the_real_file_by_itself_does_not_reach_it(data_folder: Path, database: Path, pack, code: str):
    head = f"import os, shutil\nfrom pathlib import Path\nREAL = {str(database)!r}\n"
    content = database.read_bytes()
    found = rehearse(database, pack(python_migration(1, code, head=head)))
    if "pass" not in code:
        assert found.error is not None
        assert "a rehearsal must not " in found.error.found
        assert f"the real database {database}" in found.error.found
        assert "001_m1.py, line " in found.error.found
    assert database.exists()
    assert database.read_bytes() == content
    assert {path.name for path in data_folder.iterdir()} <= {"homie_p.db", "homie_p.db.link"}


def test_reading_it_and_other_files_and_databases_is_allowed(data_folder: Path, database: Path, pack, tmp_path: Path):
    run_sql(tmp_path / "other.db", "CREATE TABLE t (a); INSERT INTO t VALUES (7);")
    (tmp_path / "notes.txt").write_text("8")
    before = state_of(data_folder)
    code = f"""
        from contextlib import closing
        from pathlib import Path
        with closing(sqlite3.connect({str(tmp_path / "other.db")!r})) as other:
            (a,) = other.execute("SELECT a FROM t").fetchone()
        b = int(Path({str(tmp_path / "notes.txt")!r}).read_text())
        Path({str(tmp_path / "written.txt")!r}).write_text("x")
        size = len(Path({str(database)!r}).read_bytes())
        conn.execute("CREATE TABLE t AS SELECT ? AS a, ? AS b, ? > 0 AS c", (a, b, size))
    """
    found = rehearse(database, pack(python_migration(1, code)))
    assert found.error is None
    assert statements(found) == [f"CREATE TABLE t AS SELECT 7 AS a, 8 AS b, {database.stat().st_size} > 0 AS c"]
    assert state_of(data_folder) == before


def test_afterwards_the_real_file_can_be_opened_again(database: Path, pack):
    rehearse(database, pack("raise RuntimeError"))
    run_sql(database, "DELETE FROM files")
    with database.open("r+b"):
        pass
    assert query(database, "SELECT count(*) FROM files") == [(0,)]


def test_the_applications_other_threads_may_use_the_real_file_meanwhile(database: Path, pack):
    begun, done = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def use() -> None:
        try:
            assert begun.wait(30)
            run_sql(database, "INSERT INTO drives VALUES (4, 'f', NULL)")
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    class Meanwhile:
        @hookimpl
        def homie_step_started(self, run: Run, step: Step) -> None:
            begun.set()
            assert done.wait(30)

    thread = threading.Thread(target=use)
    thread.start()
    try:
        found = rehearse(database, pack("conn.execute('DELETE FROM files')"), observers=(Meanwhile(),))
    finally:
        begun.set()
        thread.join()
    assert errors == []
    assert found.steps[0].rows == (RowCount("files", 4, 0),)
    assert query(database, "SELECT count(*) FROM drives") == [(4,)]
