"""Rehearsals: the real database is only read, what is told is what a run would do, and the copy is gone afterwards."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import EARLIER_TABLE, creates, python_migration, query, recorded, run_sql, tables, write_pack

from homie_migrations_core import MigrationPack, MigrationRunner, Run, Step, hookimpl
from homie_migrations_core.errors import (
    DatabaseInterrupted,
    DatabaseIsAhead,
    DatabaseNotReachable,
    ForeignKeysViolated,
    ForeignTrackingTable,
    HomieMigrationsError,
    LockTimeout,
    MigrationFailed,
    MigrationLate,
    RehearsalFailed,
    RollbackRefused,
    RunStopped,
    SchemaLeftBroken,
    UnknownTarget,
)
from homie_migrations_core.model import RowCount
from homie_migrations_core.progress import hearing_phases
from homie_migrations_core.running.rehearsal import Loss, Rehearsal
from homie_migrations_core.sqlite import copying

as_root = pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can become somebody else")
SOMEBODY = 65534

REAL_DATA = """
CREATE TABLE drives (id INTEGER PRIMARY KEY, name TEXT, label TEXT);
CREATE TABLE files (id INTEGER PRIMARY KEY, drive INTEGER REFERENCES drives (id), size INTEGER);
CREATE INDEX files_by_drive ON files (drive);
INSERT INTO drives VALUES (1, 'c', 'main'), (2, 'd', NULL), (3, 'e', 'old');
INSERT INTO files VALUES (1, 1, 10), (2, 1, NULL), (3, 2, 30), (4, 2, 40);
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with nothing in it but the database."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def database(place: Path) -> Path:
    """A database with real rows in it, made by the application itself."""
    path = place / "homie_p.db"
    run_sql(path, REAL_DATA)
    return path


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, for this test alone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def pack(tmp_path: Path) -> Callable[..., MigrationPack]:
    """A pack of these migrations: the code of `apply_migration`, or of a whole file."""

    def make(*bodies: str, **files: str) -> MigrationPack:
        made = {
            f"{number:03}_m{number}.py": body if "def " in body else python_migration(number, body)
            for number, body in enumerate(bodies, start=1)
        }
        made |= {name.removeprefix("m").replace("__", "."): content for name, content in files.items()}
        return write_pack(tmp_path / "pack", "p", made)

    return make


def rehearse(database: Path, pack: MigrationPack, *, observers: tuple[object, ...] = (), **how: object) -> Rehearsal:
    return MigrationRunner(database, [pack], observers=observers).rehearse(**how)  # type: ignore[arg-type]


def state_of(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Every file below a folder: when it was changed, its rights, its content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        stat = path.stat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        # Readers of a WAL note in the -shm where they are; it is no part of the database.
        found[path.name] = (0, 0, "") if path.name.endswith("-shm") else (stat.st_mtime_ns, stat.st_mode, content)
    return found


def refs(found: Rehearsal) -> list[str]:
    return [step.ref for step in found.steps]


def in_words(found: Rehearsal) -> list[str]:
    return [each.in_words() for each in found.schema]


# --- the real database -------------------------------------------------------------------------------------------

CHANGES = (
    "conn.execute('ALTER TABLE drives ADD COLUMN seen TEXT')\nconn.execute(\"UPDATE drives SET seen = 'now'\")",
    "conn.execute('DELETE FROM files')\nconn.execute('CREATE TABLE more (a)')",
)


@pytest.mark.parametrize("mode", ["delete", "wal", "truncate", "persist"])
def test_the_real_database_is_the_same_to_the_byte_afterwards(place: Path, database: Path, pack, mode: str):
    run_sql(database, f"PRAGMA journal_mode={mode}; INSERT INTO drives VALUES (4, 'f', NULL);")
    before = state_of(place)
    found = rehearse(database, pack(*CHANGES))
    assert refs(found) == ["p:001_m1", "p:002_m2"]
    assert state_of(place) == before


def test_an_interrupted_database_is_told_as_such_and_left_to_the_next_writer(place: Path, database: Path, pack, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    writer = sqlite3.connect(database, isolation_level=None)
    try:
        writer.execute("PRAGMA cache_size=1")
        writer.execute("BEGIN")
        writer.executemany("INSERT INTO drives (name) VALUES (?)", [("x" * 1000,)] * 500)
        for path in place.iterdir():  # what a killed process leaves
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
    place: Path, database: Path, temporary: Path, tmp_path: Path, pack
):
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "homie_p.db"
    link.symlink_to(database)
    before, content = state_of(place), state_of(link.parent)
    found = rehearse(link, pack("conn.execute('DELETE FROM files')", f"sqlite3.connect({str(database)!r})"))
    assert refs(found) == ["p:001_m1"]
    assert found.error is not None
    assert "a rehearsal must not open the real database" in found.error.found
    assert (state_of(place), state_of(link.parent)) == (before, content)


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
    place: Path, database: Path, pack, application, busy: str
):
    application(busy)
    before = state_of(place)
    found = rehearse(database, pack(*CHANGES))
    assert found.steps[0].rows == (RowCount("drives", 4, 4),)
    assert state_of(place) == before


def test_a_writer_that_keeps_it_locked_is_waited_for_as_long_as_was_asked(place: Path, database: Path, pack, application):
    application("BEGIN EXCLUSIVE; INSERT INTO drives VALUES (5, 'g', NULL)")
    before = state_of(place)
    with pytest.raises(LockTimeout) as timeout:
        MigrationRunner(database, [pack(*CHANGES)], lock_timeout=0.2).rehearse()
    assert timeout.value.path == str(database)
    assert state_of(place) == before


@pytest.fixture
def shared() -> Iterator[Path]:
    """A database in a folder that everybody may read, which those of pytest are not; one of two migrations is applied."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pack(folder / "pack", "p", {"001_a.py": creates(1, "a"), "002_b.py": creates(2, "b")})
        (folder / "data").mkdir()
        (folder / "temporary").mkdir()
        (folder / "temporary").chmod(0o777)
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
tempfile.tempdir = {str(root / "temporary")!r}
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
    assert list((shared.parent.parent / "temporary").iterdir()) == []


@as_root
@pytest.mark.parametrize(("rights", "where"), [(0o777, "data"), (0o755, "temporary")])
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
    (shared.parent.parent / "temporary").chmod(0o755)
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
    assert said == f"rehearsal_failed neither {shared.parent} nor {shared.parent.parent / 'temporary'} can be written"
    assert state_of(shared.parent) == before


@pytest.mark.skipif(os.name == "nt", reason="rights of POSIX")
def test_nobody_else_can_read_the_copy(place: Path, database: Path, pack):
    database.chmod(0o666)
    seen = []

    class Looks:
        @hookimpl
        def homie_step_finished(self, run: Run, step: Step) -> None:
            (folder,) = (each for each in place.iterdir() if each.is_dir())
            seen.extend([folder.stat().st_mode & 0o777, (folder / database.name).stat().st_mode & 0o777])

    rehearse(database, pack("pass"), observers=(Looks(),))
    assert seen == [0o700, 0o600]


# --- the copy is gone --------------------------------------------------------------------------------------------


def test_without_room_for_a_copy_nothing_is_rehearsed(place: Path, database: Path, pack, monkeypatch: pytest.MonkeyPatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10_000, 9_000, 1_000))
    before = state_of(place)
    with pytest.raises(RehearsalFailed, match=r"could not be copied \(.* are needed in .*, and 1\.0 kB are free\)") as failed:
        rehearse(database, pack(*CHANGES))
    assert failed.value.path == str(database)
    assert state_of(place) == before


@pytest.mark.parametrize("how", ["KeyboardInterrupt", "RuntimeError", "SystemExit"])
def test_the_copy_is_gone_whatever_a_migration_raises(place: Path, database: Path, temporary: Path, pack, how: str):
    before = state_of(place)
    runner = MigrationRunner(database, [pack("pass", f"conn.execute('CREATE TABLE t (a)')\nraise {how}")])
    if how == "KeyboardInterrupt":
        with pytest.raises(KeyboardInterrupt):
            runner.rehearse()
    else:
        error = runner.rehearse().error
        assert error is not None
        assert how in str(error)
    assert state_of(place) == before
    assert list(temporary.iterdir()) == []


def test_the_copy_is_gone_after_an_error_that_nobody_expected(
    place: Path, database: Path, temporary: Path, pack, monkeypatch: pytest.MonkeyPatch
):
    from homie_migrations_core.sqlite import scratch

    def fails(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(scratch, "examine", fails)
    before = state_of(place)
    with pytest.raises(ZeroDivisionError):
        rehearse(database, pack(*CHANGES))
    assert state_of(place) == before


@pytest.mark.parametrize("when", ["while it is copied", "in a migration", "between two steps", "at the end"])
def test_a_stop_ends_a_rehearsal_at_any_time_and_names_the_real_database(
    place: Path, database: Path, pack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, when: str
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
    before = state_of(place)
    runner = MigrationRunner(database, [pack("pass", body)], should_stop=flag.exists, observers=[Hears()])
    with hearing_phases(hear), pytest.raises(RunStopped) as stopped:
        runner.rehearse()
    assert stopped.value.path == str(database)
    assert str(database) in str(stopped.value)
    assert set(phases) == {"copying the database"}
    assert state_of(place) == before


WAITS = """
import os, time
from pathlib import Path
conn.execute("CREATE TABLE waited (a)")
if place := os.environ.get("REHEARSAL_PLACE"):
    Path(place, "begun").touch()
    while not Path(place, "go").exists():
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


def test_what_a_killed_rehearsal_left_is_removed_by_the_next(place: Path, database: Path, pack, other_rehearsal):
    before, made = state_of(place), pack(WAITS)
    killed = other_rehearsal()
    killed.kill()
    killed.communicate()
    assert len(list(place.glob(".homie_p.db.rehearsal-*"))) == 1
    assert {name: state for name, state in state_of(place).items() if name in before}.keys() == before.keys()

    found = rehearse(database, made)
    assert (refs(found), found.succeeded) == (["p:001_m1"], True)
    assert state_of(place) == before


def test_rehearsals_at_the_same_time_leave_each_other_alone(place: Path, database: Path, pack, other_rehearsal, tmp_path: Path):
    before, made = state_of(place), pack(WAITS)
    other = other_rehearsal()
    (in_use,) = place.glob(".homie_p.db.rehearsal-*")

    for _ in range(2):
        assert refs(rehearse(database, made)) == ["p:001_m1"]
        assert list(place.glob(".homie_p.db.rehearsal-*")) == [in_use]
        assert (in_use / database.name).exists()

    (tmp_path / "go").touch()
    out, err = other.communicate(timeout=30)
    assert (other.returncode, err) == (0, "")
    assert out == "['p:001_m1'] True ()\n"
    assert state_of(place) == before


def test_a_leftover_of_another_database_is_left_alone(place: Path, database: Path, pack):
    (place / ".homie_q.db.rehearsal-abc").mkdir()
    (place / ".homie_p.db.rehearsal-abc").mkdir()
    rehearse(database, pack("pass"))
    assert {path.name for path in place.iterdir()} == {"homie_p.db", ".homie_q.db.rehearsal-abc"}


# --- what it tells: statements and time ----------------------------------------------------------------------------


def statements(found: Rehearsal, number: int = 0) -> list[str]:
    return list(found.steps[number].statements)


def test_statements_are_told_as_they_were_executed_with_their_parameters(database: Path, pack):
    made = pack(
        """
        conn.execute("UPDATE drives SET label = ? WHERE id = ?", ("it's", 2))
        conn.executemany("INSERT INTO drives (name) VALUES (:name)", [{"name": "x"}, {"name": "y"}])
        conn.cursor().executescript("CREATE TABLE t (a); INSERT INTO t VALUES (1);")
        """
    )
    assert [each.removesuffix(";") for each in statements(rehearse(database, made))] == [
        "UPDATE drives SET label = 'it''s' WHERE id = 2",
        "INSERT INTO drives (name) VALUES ('x')",
        "INSERT INTO drives (name) VALUES ('y')",
        "CREATE TABLE t (a)",
        "INSERT INTO t VALUES (1)",
    ]


def test_what_a_trigger_does_is_no_statement_of_the_migration(database: Path, pack):
    run_sql(
        database,
        "CREATE TABLE log (a); CREATE TRIGGER noted AFTER INSERT ON drives "
        "BEGIN INSERT INTO log VALUES (new.id); UPDATE log SET a = a; END;",
    )
    found = rehearse(database, pack("conn.execute(\"INSERT INTO drives VALUES (9, 'z', NULL)\")"))
    assert statements(found) == ["INSERT INTO drives VALUES (9, 'z', NULL)"]
    assert found.steps[0].rows == (RowCount("drives", 3, 4), RowCount("log", 0, 1))


def test_a_statement_that_begins_with_a_comment_is_told_too(database: Path, pack):
    found = rehearse(database, pack('conn.execute("-- why\\nCREATE TABLE t (a)")\nconn.execute("/* why */ CREATE TABLE u (a)")'))
    assert len(statements(found)) == 2
    assert "CREATE TABLE t (a)" in statements(found)[0]


def test_commit_points_are_no_statements(database: Path, pack):
    made = pack(
        """
        conn.execute("CREATE TABLE t (a)")
        conn.commit()
        with conn:
            conn.execute("INSERT INTO t VALUES (1)")
        conn.executescript("BEGIN; INSERT INTO t VALUES (2); COMMIT;")
        conn.execute("BEGIN")
        conn.execute("INSERT INTO t VALUES (3)")
        conn.execute("END")
        """
    )
    found = rehearse(database, made)
    told = [each.removesuffix(";") for each in statements(found)]
    assert [each for each in told if "t" in each.split()] == [
        "CREATE TABLE t (a)",
        "INSERT INTO t VALUES (1)",
        "INSERT INTO t VALUES (2)",
        "INSERT INTO t VALUES (3)",
    ]
    assert not [each for each in told if each.startswith(("COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK"))]
    assert not [each for each in told if "schema_migrations" in each]
    assert found.steps[0].rows == (RowCount("t", None, 3),)


def test_a_thousand_statements_are_kept_and_the_others_counted(database: Path, pack):
    made = pack(
        "conn.execute('CREATE TABLE t (a)')\nfor i in range(1500):\n    conn.execute('INSERT INTO t VALUES (?)', (i,))", "pass"
    )
    found = rehearse(database, made)
    assert (len(statements(found)), found.steps[0].statements_left_out) == (1_000, 501)
    assert statements(found)[-1] == "INSERT INTO t VALUES (998)"
    assert (statements(found, 1), found.steps[1].statements_left_out) == ([], 0)


def test_sql_files_are_told_statement_by_statement(database: Path, pack):
    made = pack(m001_m1__sql="-- why\nCREATE TABLE t (a);\n\n-- and then\nINSERT INTO t\nVALUES (1);\n")
    assert [each.removesuffix(";") for each in statements(rehearse(database, made))] == [
        "CREATE TABLE t (a)",
        "INSERT INTO t\nVALUES (1)",
    ]


def test_each_step_takes_a_time_and_so_does_the_copy(database: Path, pack):
    found = rehearse(database, pack("pass", "import time\ntime.sleep(0.05)"))
    first, second = found.steps
    assert 0 <= first.seconds < second.seconds
    assert second.seconds >= 0.05
    assert found.seconds_to_copy > 0


# --- what it tells: rows and schema ----------------------------------------------------------------------------------


def test_rows_are_told_of_the_tables_that_a_step_touched_and_of_no_others(database: Path, pack):
    made = pack(
        "conn.execute('DELETE FROM files WHERE id > 1')",
        "conn.execute('CREATE TABLE new (a)')\nconn.execute('INSERT INTO new SELECT id FROM drives')",
        "conn.execute('DROP TABLE new')\nconn.execute('UPDATE drives SET label = 1')",
        "conn.execute('SELECT * FROM files')",
    )
    found = rehearse(database, made)
    assert [step.rows for step in found.steps] == [
        (RowCount("files", 4, 1),),
        (RowCount("new", None, 3),),
        (RowCount("drives", 3, 3), RowCount("new", 3, None)),
        (),
    ]


def test_rows_behind_letter_case_quotes_and_odd_names_are_counted(database: Path, pack):
    run_sql(database, 'CREATE TABLE "Odd ""name" (a); INSERT INTO "Odd ""name" VALUES (1);')
    found = rehearse(database, pack("conn.execute('DELETE FROM FILES')\nconn.execute('DELETE FROM \"odd \"\"NAME\"')"))
    assert found.steps[0].rows == (RowCount('Odd "name', 1, 0), RowCount("files", 4, 0))


def test_differences_of_the_schema_are_told_for_each_step_and_for_all_of_them(database: Path, pack):
    made = pack(
        "conn.execute('ALTER TABLE drives ADD COLUMN seen TEXT')",
        "conn.execute('DROP INDEX files_by_drive')\nconn.execute('CREATE INDEX by_size ON files (size)')",
        """
        conn.execute("CREATE TABLE files_new (id INTEGER PRIMARY KEY, drive INTEGER, size TEXT)")
        conn.execute("INSERT INTO files_new SELECT id, drive, size FROM files")
        conn.execute("DROP TABLE files")
        conn.execute("ALTER TABLE files_new RENAME TO files")
        conn.execute("CREATE INDEX by_size ON files (size)")
        """,
        "conn.execute('CREATE VIEW sizes AS SELECT size FROM files')",
        "conn.execute('DROP VIEW sizes')\nconn.execute('ALTER TABLE drives DROP COLUMN label')",
    )
    found = rehearse(database, made)
    assert [[each.in_words() for each in step.schema] for step in found.steps] == [
        ["column seen of drives added: TEXT"],
        ["index by_size of files added", "index files_by_drive of files removed"],
        [
            "column drive of files: INTEGER instead of INTEGER REFERENCES drives(id)",
            "column size of files: TEXT instead of INTEGER",
        ],
        ["view sizes added"],
        ["column label of drives removed: TEXT", "view sizes removed"],
    ]
    told = in_words(found)
    assert "column seen of drives added: TEXT" in told
    assert "column label of drives removed: TEXT" in told
    assert "index files_by_drive of files removed" in told
    assert "index by_size of files added" in told
    assert not [each for each in told if "sizes" in each or "schema_migrations" in each]


def test_an_index_that_a_rebuild_forgets_is_a_warning_here_and_no_log_line(database: Path, pack, caplog: pytest.LogCaptureFixture):
    body = """
        conn.execute("CREATE TABLE files_new (id INTEGER PRIMARY KEY, drive INTEGER REFERENCES drives (id), size INTEGER)")
        conn.execute("INSERT INTO files_new SELECT * FROM files")
        conn.execute("DROP TABLE files")
        conn.execute("ALTER TABLE files_new RENAME TO files")
        """
    with caplog.at_level(logging.WARNING, "homie_migrations"):
        found = rehearse(database, pack("pass", textwrap.dedent(body)))
    assert found.steps[0].warnings == ()
    (warning,) = found.steps[1].warnings
    assert "p:002_m2" in warning
    assert "files_by_drive" in warning
    assert caplog.records == []
    assert found.succeeded


# --- what it tells: losses ---------------------------------------------------------------------------------------------

LOSSES = {
    "a dropped table": ("conn.execute('DROP TABLE files')", (Loss("files", None, 4),)),
    "a dropped table without rows": (
        "conn.execute('DELETE FROM files')\nconn.execute('DROP TABLE files')",
        (Loss("files", None, 4),),
    ),
    "a dropped column with values": ("conn.execute('ALTER TABLE drives DROP COLUMN label')", (Loss("drives", "label", 2),)),
    "deleted rows": ("conn.execute('DELETE FROM files WHERE id < 4')", (Loss("files", None, 3),)),
    "rows that come again": (
        "rows = conn.execute('SELECT * FROM files').fetchall()\nconn.execute('DELETE FROM files')\n"
        "conn.executemany('INSERT INTO files VALUES (?, ?, ?)', rows)",
        (),
    ),
    "a renamed table": ("conn.execute('ALTER TABLE files RENAME TO documents')", ()),
    "a rebuilt table in other letters": (
        "conn.execute('CREATE TABLE n (id INTEGER PRIMARY KEY, drive INTEGER, size INTEGER)')\n"
        "conn.execute('INSERT INTO n SELECT * FROM files')\nconn.execute('DROP TABLE files')\n"
        "conn.execute('ALTER TABLE n RENAME TO FILES')",
        (),
    ),
    "a rebuilt table": (
        "conn.execute('CREATE TABLE n (id INTEGER PRIMARY KEY, drive INTEGER, size INTEGER)')\n"
        "conn.execute('INSERT INTO n SELECT * FROM files')\nconn.execute('DROP TABLE files')\n"
        "conn.execute('ALTER TABLE n RENAME TO files')",
        (),
    ),
    "a rebuild that loses rows": (
        "conn.execute('CREATE TABLE n (id INTEGER PRIMARY KEY, drive INTEGER, size INTEGER)')\n"
        "conn.execute('INSERT INTO n SELECT * FROM files WHERE size > 10')\nconn.execute('DROP TABLE files')\n"
        "conn.execute('ALTER TABLE n RENAME TO files')",
        (Loss("files", None, 2),),
    ),
    "a copy that is thrown away": ("conn.execute('CREATE TABLE n AS SELECT * FROM files')\nconn.execute('DROP TABLE n')", ()),
    "a table with the same columns and fewer rows": (
        "conn.execute('DROP TABLE files')\n"
        "conn.execute('CREATE TABLE other (id INTEGER PRIMARY KEY, drive INTEGER REFERENCES drives (id), size INTEGER)')",
        (Loss("files", None, 4),),
    ),
    "a renamed column": ("conn.execute('ALTER TABLE drives RENAME COLUMN label TO title')", ()),
}


@pytest.mark.parametrize(("body", "losses"), LOSSES.values(), ids=LOSSES)
def test_losses_are_told(database: Path, pack, body: str, losses: tuple[Loss, ...]):
    found = rehearse(database, pack("pass", textwrap.dedent(body)))
    assert found.error is None
    assert found.losses == losses


def test_a_dropped_column_without_values_is_no_loss_and_one_made_on_the_way_neither(database: Path, pack):
    made = pack(
        "conn.execute('UPDATE drives SET label = NULL')\nconn.execute('ALTER TABLE drives ADD COLUMN seen TEXT')",
        "conn.execute('UPDATE drives SET seen = 1')\nconn.execute('ALTER TABLE drives DROP COLUMN seen')",
    )
    assert rehearse(database, made).losses == (Loss("drives", "label", 2),)  # which the first step empties
    run_sql(database, "UPDATE drives SET label = NULL")
    assert rehearse(database, pack("conn.execute('ALTER TABLE drives DROP COLUMN label')", "pass")).losses == ()


def test_losses_of_several_steps_are_those_from_the_beginning_to_the_end(database: Path, pack):
    made = pack(
        "conn.execute('DELETE FROM files WHERE id = 1')", "conn.execute('DROP TABLE files')", "conn.execute('DROP TABLE drives')"
    )
    assert rehearse(database, made).losses == (Loss("drives", None, 3), Loss("files", None, 4))


# --- what it tells: findings and sizes -----------------------------------------------------------------------------------


def test_what_was_wrong_before_is_a_finding_and_no_failure(database: Path, pack):
    run_sql(
        database,
        "INSERT INTO files VALUES (9, 99, 0); CREATE TABLE gone (a); CREATE VIEW lost AS SELECT a FROM gone; DROP TABLE gone;",
    )
    found = rehearse(database, pack(*CHANGES[:1]))
    assert found.succeeded
    assert len(found.findings) == 2
    keys, view = sorted(found.findings, key=lambda each: "lost" in each)
    assert "files" in keys
    assert "lost" in view
    assert rehearse(database, pack("conn.execute('DELETE FROM files WHERE id = 9')\nconn.execute('DROP VIEW lost')")).findings == ()


def test_sizes_say_what_there_is_and_what_a_run_would_need(database: Path, pack):
    run_sql(
        database,
        "WITH RECURSIVE n (i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO drives SELECT i, hex(randomblob(50)), NULL FROM n;",
    )
    size = database.stat().st_size
    little = rehearse(database, pack("conn.execute('CREATE TABLE t (a)')"))
    much = rehearse(database, pack("conn.execute('UPDATE drives SET label = name')"))
    assert little.size == much.size == size
    assert size < little.disk_needed < much.disk_needed
    assert much.disk_needed >= 2 * size  # the snapshot, and a journal with nearly every page
    without = MigrationRunner(database, [pack("conn.execute('UPDATE drives SET label = name')")], backup=False).rehearse()
    assert size < without.disk_needed == much.disk_needed - size


def test_a_wal_is_counted_too(place: Path, database: Path, pack):
    run_sql(database, "PRAGMA journal_mode=WAL")
    before = state_of(place)
    found = rehearse(
        database, pack("conn.execute('CREATE TABLE t (a)')\nconn.executemany('INSERT INTO t VALUES (?)', [('x' * 1000,)] * 1000)")
    )
    assert found.disk_needed > found.size + 1_000_000
    assert state_of(place) == before


# --- no database, nothing to do ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("empty", [False, True], ids=["no file", "an empty file"])
def test_a_new_database_is_rehearsed_and_not_made(place: Path, pack, empty: bool):
    database = place / "homie_p.db"
    if empty:
        database.touch()
    before = state_of(place)
    found = rehearse(database, pack("conn.execute('CREATE TABLE t (a)')\nconn.execute('INSERT INTO t VALUES (1)')", "pass"))
    assert refs(found) == ["p:001_m1", "p:002_m2"]
    assert (found.losses, found.findings, found.error) == ((), (), None)
    assert found.disk_needed > 0
    assert found.steps[0].rows == (RowCount("t", None, 1),)
    assert in_words(found) == ["table t added"]
    assert state_of(place) == before


@pytest.mark.parametrize("empty", [False, True], ids=["no file", "an empty file"])
def test_a_new_database_has_no_size(place: Path, pack, empty: bool):
    if empty:
        (place / "homie_p.db").touch()
    assert rehearse(place / "homie_p.db", pack("conn.execute('CREATE TABLE t (a)')")).size == 0


def test_a_new_database_whose_first_migration_fails(place: Path, pack):
    found = rehearse(place / "homie_p.db", pack("raise RuntimeError('no')", "pass"))
    assert found.error is not None
    assert (refs(found), found.error.ref, found.size) == ([], "p:001_m1", 0)
    assert list(place.iterdir()) == []


def test_a_folder_that_is_not_there_is_named_and_not_made(tmp_path: Path, temporary: Path, pack):
    with pytest.raises(DatabaseNotReachable):
        rehearse(tmp_path / "nowhere" / "homie_p.db", pack("pass"))
    found = MigrationRunner(tmp_path / "nowhere" / "homie_p.db", [pack("pass")], make_parents=True).rehearse()
    assert refs(found) == ["p:001_m1"]
    assert not (tmp_path / "nowhere").exists()
    assert list(temporary.iterdir()) == []


def test_with_nothing_to_do_no_copy_is_made(place: Path, database: Path, pack, monkeypatch: pytest.MonkeyPatch):
    made = pack("pass")
    MigrationRunner(database, [made], backup=False).apply()
    folder = place.stat().st_mtime_ns
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **_: pytest.fail("a copy was made"))
    assert rehearse(database, made) == Rehearsal(database, MigrationRunner(database, [made]).plan())
    assert place.stat().st_mtime_ns == folder


# --- what would fail ---------------------------------------------------------------------------------------------------

FAILURES = {
    "rows lose their parents": ("conn.execute('DELETE FROM drives WHERE id = 1')", ForeignKeysViolated, "files"),
    "NOT NULL on real rows": (
        "conn.execute('CREATE TABLE n (id INTEGER PRIMARY KEY, size INTEGER NOT NULL)')\n"
        "conn.execute('INSERT INTO n SELECT id, size FROM files')",
        MigrationFailed,
        "NOT NULL constraint failed: n.size",
    ),
    "a unique index on real rows": ("conn.execute('CREATE UNIQUE INDEX u ON files (drive)')", MigrationFailed, "UNIQUE"),
    "a view that breaks": (
        "conn.execute('CREATE VIEW v AS SELECT label FROM drives')\nconn.execute('DROP TABLE drives')\n"
        "conn.execute('DROP TABLE files')",
        SchemaLeftBroken,
        "v",
    ),
    "a last word": ("conn.execute('CREATE TABLE t (a)')\nconn.rollback()", MigrationFailed, "its last word was conn.rollback()"),
    "False": ("return False", MigrationFailed, "returned False"),
    "what is refused": ("conn.execute('VACUUM')", MigrationFailed, "VACUUM"),
}


@pytest.mark.parametrize(("body", "kind", "words"), FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("together", [False, True], ids=["step by step", "all or nothing"])
def test_what_would_fail_is_told_and_a_run_says_the_same(
    place: Path, database: Path, pack, body: str, kind: type[MigrationFailed], words: str, together: bool
):
    before = state_of(place)
    made = pack("conn.execute('CREATE TABLE first (a)')", textwrap.dedent(body), "pass")
    found = rehearse(database, made, all_or_nothing=together)
    assert type(found.error) is kind
    assert found.error.ref == "p:002_m2"
    assert found.error.path == str(database)
    assert words in found.error.found
    assert not found.succeeded
    assert refs(found) == ["p:001_m1"]
    assert [step.ref for step in found.plan.steps] == ["p:001_m1", "p:002_m2", "p:003_m3"]
    assert state_of(place) == before

    with pytest.raises(kind) as failed:
        MigrationRunner(database, [made]).apply(all_or_nothing=together)
    assert str(failed.value) == str(found.error)
    assert recorded(database) == ([] if together else ["p:001_m1"])


def test_a_verification_that_fails_on_real_rows_is_told(database: Path, pack):
    verify = "if conn.execute('SELECT 1 FROM files WHERE size IS NULL').fetchone():\n    raise ValueError('a size is missing')"
    made = pack(python_migration(1, "pass", verify=verify))
    error = rehearse(database, made).error
    assert error is not None
    assert "a size is missing" in error.found


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
    "another file in its place": "open(REAL + '.link', 'w').close()\nos.replace(REAL + '.link', REAL)",
    "another name": "os.rename(REAL, REAL + '.link')",
    "a copy over it": "shutil.copyfile(__file__, REAL)",
    "a swallowed refusal": "try:\n    sqlite3.connect(REAL).execute('DELETE FROM files').connection.commit()\nexcept sqlite3.Error:\n    pass",
}


@pytest.mark.parametrize("code", INTRUDERS.values(), ids=INTRUDERS)
def test_code_that_opens_the_real_file_by_itself_does_not_reach_it(place: Path, database: Path, pack, code: str):
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
    assert {path.name for path in place.iterdir()} <= {"homie_p.db", "homie_p.db.link"}


def test_reading_it_and_other_files_and_databases_is_allowed(place: Path, database: Path, pack, tmp_path: Path):
    run_sql(tmp_path / "other.db", "CREATE TABLE t (a); INSERT INTO t VALUES (7);")
    (tmp_path / "notes.txt").write_text("8")
    before = state_of(place)
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
    assert state_of(place) == before


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


# --- the same rules as a run ---------------------------------------------------------------------------------------------


def test_a_target_stops_a_rehearsal(database: Path, pack):
    made = pack("pass", "pass", "raise RuntimeError")
    assert refs(rehearse(database, made, to="p:2")) == ["p:001_m1", "p:002_m2"]
    with pytest.raises(UnknownTarget):
        rehearse(database, made, to="p:9")


def test_all_or_nothing_is_one_transaction_here_too(database: Path, pack):
    made = pack("conn.create_function('answer', 0, lambda: 42)\nconn.execute('CREATE TEMP TABLE scrap (a)')", "pass")
    alone, together = rehearse(database, made), rehearse(database, made, all_or_nothing=True)
    assert refs(alone) == refs(together) == ["p:001_m1", "p:002_m2"]

    heard = []

    class Listens:
        @hookimpl
        def homie_step_started(self, run: Run, step: Step) -> None:
            heard.append(f"started {step.migration.version}")

        @hookimpl
        def homie_step_finished(self, run: Run, step: Step) -> None:
            heard.append(f"finished {step.migration.version}")

    rehearse(database, made, all_or_nothing=True, observers=(Listens(),))
    assert heard == ["started 1", "started 2", "finished 1", "finished 2"]


@pytest.mark.parametrize("together", [False, True], ids=["step by step", "all or nothing"])
def test_a_step_that_had_to_be_begun_again_is_told_once(database: Path, pack, together: bool):
    """What was broken before is looked at first, once a step has outgrown SQLite's cache."""
    run_sql(database, "INSERT INTO files VALUES (9, 99, 0)")
    made = pack(
        "conn.execute('CREATE TABLE t (a)')\nconn.execute('INSERT INTO t VALUES (1)')",
        "conn.execute('PRAGMA cache_size=10')\nconn.execute('UPDATE files SET size = 1')\n"
        "conn.executemany('INSERT INTO t VALUES (?)', [('x' * 3000,)] * 5000)",
    )
    found = rehearse(database, made, all_or_nothing=together)
    assert found.error is None
    assert refs(found) == ["p:001_m1", "p:002_m2"]
    assert [step.rows for step in found.steps] == [
        (RowCount("t", None, 1),),
        (RowCount("files", 5, 5), RowCount("t", 1, 5001)),
    ]


def test_what_is_late_needs_the_same_leave_as_for_a_run(database: Path, pack):
    made = pack("pass", m003_m3__py=python_migration(3, "pass"))
    MigrationRunner(database, [made], backup=False).apply()
    made = pack("pass", "conn.execute('CREATE TABLE late (a)')")
    with pytest.raises(MigrationLate) as refused:
        rehearse(database, made)
    assert refused.value.late == ("p:002_m2",)
    assert refs(rehearse(database, made, allow_late=True)) == ["p:002_m2"]
    assert tables(database) == {"drives", "files"}


def test_a_database_that_is_ahead_is_refused_without_a_copy(place: Path, database: Path, pack):
    MigrationRunner(database, [pack("pass", "pass")], backup=False).apply()
    (Path(pack("pass").migrations) / "002_m2.py").unlink()
    before = state_of(place)
    with pytest.raises(DatabaseIsAhead):
        rehearse(database, pack("pass"))
    assert state_of(place) == before


def test_another_tools_table_is_refused(place: Path, database: Path, pack):
    run_sql(database, "CREATE TABLE schema_migrations (version TEXT PRIMARY KEY)")
    before = state_of(place)
    with pytest.raises(ForeignTrackingTable):
        rehearse(database, pack("pass"))
    assert state_of(place) == before


def test_a_database_with_the_earlier_table_is_rehearsed_and_keeps_it(place: Path, database: Path, pack):
    run_sql(database, EARLIER_TABLE + "INSERT INTO schema_migrations (version, migration_name) VALUES (1, '001_m1');")
    before = state_of(place)
    assert refs(rehearse(database, pack("raise RuntimeError", "conn.execute('CREATE TABLE t (a)')"))) == ["p:002_m2"]
    assert state_of(place) == before


def test_what_a_migration_leaves_on_its_connection_does_not_reach_the_next(database: Path, pack):
    made = pack(
        "conn.create_function('answer', 0, lambda: 42)\nconn.row_factory = sqlite3.Row",
        "assert conn.row_factory is None\nconn.execute('SELECT answer()')",
    )
    error = rehearse(database, made).error
    assert error is not None
    assert "no such function: answer" in error.found


# --- who hears of it -------------------------------------------------------------------------------------------------------


class Hears:
    """Everything that an observer can hear."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    @hookimpl
    def homie_run_started(self, run: Run) -> None:
        self.heard.append("run started")

    @hookimpl
    def homie_step_started(self, run: Run, step: Step) -> None:
        self.heard.append(f"started {step.ref}")

    @hookimpl
    def homie_step_progress(self, run: Run, step: Step, done: int, total: int | None) -> None:
        self.heard.append(f"{done} of {total}")

    @hookimpl
    def homie_step_finished(self, run: Run, step: Step) -> None:
        self.heard.append(f"finished {step.ref}")

    @hookimpl
    def homie_step_failed(self, run: Run, step: Step, error: BaseException) -> None:
        self.heard.append(f"failed {step.ref}")

    @hookimpl
    def homie_run_finished(self, run: Run) -> None:
        self.heard.append("run finished")


def test_installed_plugins_do_not_hear_of_a_rehearsal_but_the_runners_own_observers_do(installed, place: Path, tmp_path: Path):
    note = tmp_path / "heard"
    body = "from homie_migrations_core import track\nfor _ in track([1, 2]):\n    pass\nconn.execute('CREATE TABLE t (a)')"
    more = f"""
        def note(what):
            with open({str(note)!r}, "a") as file:
                file.write(what + " ")

        @hookimpl
        def homie_run_started(run):
            note("run")

        @hookimpl
        def homie_step_finished(run, step):
            note(step.ref)
    """
    installed.pack("p", {"001_m1.py": python_migration(1, body)}, more=more)
    hears = Hears()
    runner = MigrationRunner(place / "homie_p.db", observers=[hears])
    assert refs(runner.rehearse()) == ["p:001_m1"]
    assert not note.exists()
    assert hears.heard == ["run started", "started p:001_m1", "2 of 2", "finished p:001_m1", "run finished"]
    runner.apply()
    assert note.read_text() == "run p:001_m1 "


def test_an_observer_that_raises_harms_no_rehearsal(database: Path, pack, caplog: pytest.LogCaptureFixture):
    class Raises:
        @hookimpl
        def homie_step_finished(self, run: Run, step: Step) -> None:
            raise RuntimeError("oops")

    assert rehearse(database, pack("pass"), observers=(Raises(),)).succeeded
    assert "oops" in caplog.text


def test_no_log_line_says_that_something_was_applied_to_the_real_database(database: Path, pack, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, "homie_migrations"):
        rehearse(database, pack(*CHANGES))
    assert f"in {database}" not in caplog.text


# --- the way back ------------------------------------------------------------------------------------------------------------

BACK = (
    python_migration(1, "conn.execute('CREATE TABLE a (x)')", rollback="conn.execute('DROP TABLE a')"),
    python_migration(
        2,
        "conn.execute('ALTER TABLE drives ADD COLUMN seen TEXT')",
        rollback="conn.execute('ALTER TABLE drives DROP COLUMN seen')",
    ),
    python_migration(3, "pass", rollback="conn.execute('DELETE FROM drives WHERE id = 1')"),
)


@pytest.fixture
def applied(database: Path, pack) -> MigrationRunner:
    """Three migrations are applied, and people have worked since then."""
    runner = MigrationRunner(database, [pack(*BACK)], backup=False)
    runner.apply()
    run_sql(database, "INSERT INTO a VALUES (1), (2); UPDATE drives SET seen = 'yes' WHERE id < 3;")
    return runner


def test_a_rollback_is_rehearsed_with_what_would_be_lost(place: Path, database: Path, applied: MigrationRunner):
    run_sql(database, "DELETE FROM files")
    before = state_of(place)
    found = applied.rehearse_rollback("p", to=0)
    assert [(step.ref, step.direction) for step in found.steps] == [(f"p:00{n}_m{n}", "rollback") for n in (3, 2, 1)]
    assert found.losses == (Loss("a", None, 2), Loss("drives", None, 1), Loss("drives", "seen", 2))
    assert applied.rehearse_rollback("p").losses == (Loss("drives", None, 1),)
    assert applied.rehearse_rollback("p", steps=2).plan == applied.plan_rollback("p", steps=2)
    assert state_of(place) == before


def test_a_rollback_that_would_fail_is_told_and_a_real_one_says_the_same(database: Path, applied: MigrationRunner):
    found = applied.rehearse_rollback("p")
    assert type(found.error) is ForeignKeysViolated
    assert found.error.direction == "rollback"
    with pytest.raises(ForeignKeysViolated) as failed:
        applied.rollback("p")
    assert str(failed.value) == str(found.error)


def test_a_rollback_that_is_refused_is_refused_in_a_rehearsal_too(database: Path, pack):
    runner = MigrationRunner(database, [pack("pass")], backup=False)
    runner.apply()
    with pytest.raises(RollbackRefused):
        runner.rehearse_rollback("p")
    with pytest.raises(RollbackRefused):
        runner.rehearse_reset()


def test_a_redo_is_rehearsed_with_both_directions(database: Path, place: Path, applied: MigrationRunner):
    run_sql(database, "DELETE FROM files")
    before = state_of(place)
    found = applied.rehearse_redo("p")
    assert [(step.ref, step.direction) for step in found.steps] == [("p:003_m3", "rollback"), ("p:003_m3", "apply")]
    assert found.losses == (Loss("drives", None, 1),)
    assert state_of(place) == before


def test_values_that_a_rebuild_forgets_are_a_loss(database: Path, pack):
    body = """
    conn.execute('CREATE TABLE drives_new (id INTEGER PRIMARY KEY, label TEXT)')
    conn.execute('INSERT INTO drives_new (id) SELECT id FROM drives')
    conn.execute('DROP TABLE drives')
    conn.execute('ALTER TABLE drives_new RENAME TO drives')
    """
    assert Loss("drives", "label", 2) in rehearse(database, pack("pass", textwrap.dedent(body))).losses


def test_what_a_redo_makes_anew_was_lost_on_the_way(database: Path, applied: MigrationRunner):
    run_sql(database, "DELETE FROM files")
    applied.rollback("p")
    run_sql(database, "UPDATE drives SET seen = 'precious'")
    (loss,) = applied.rehearse_redo("p").losses
    assert (loss.table, loss.column) == ("drives", "seen")
    assert loss.count == query(database, "SELECT count(*) FROM drives")[0][0]


def test_a_reset_is_rehearsed(database: Path, place: Path, applied: MigrationRunner):
    run_sql(database, "DELETE FROM files")
    before = state_of(place)
    found = applied.rehearse_reset()
    assert [step.ref for step in found.steps] == ["p:003_m3", "p:002_m2", "p:001_m1"]
    assert found.plan == applied.plan_reset()
    assert sum(loss.count for loss in found.losses) == 5
    assert state_of(place) == before


def test_a_rehearsal_of_nothing_to_roll_back_needs_no_copy(database: Path, pack, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **_: pytest.fail("a copy was made"))
    runner = MigrationRunner(database, [pack("pass")])
    assert (
        runner.rehearse_rollback("p").plan.steps == runner.rehearse_reset().plan.steps == runner.rehearse_redo("p").plan.steps == ()
    )


def test_errors_of_a_rehearsal_are_of_the_one_root() -> None:
    assert issubclass(RehearsalFailed, HomieMigrationsError)


def test_rehearsals_at_once_do_not_sweep_each_other_away(database: Path, pack):
    given, failures = pack("pass"), []

    def rehearse_often() -> None:
        try:
            for _ in range(15):
                MigrationRunner(database, [given]).rehearse()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=rehearse_often) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
