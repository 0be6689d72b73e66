"""Many processes at once on one file: each migration takes effect once, and nobody fails."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from campaigns.crew import ROOT, Crew, Worker
from helpers import python_migration, query, recorded, run_sql, write_pack

from homie_migrations_core import MigrationRunner

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
AT_ONCE, ROUNDS = 16, 5
SEED = int(os.environ.get("HOMIE_KILLS_SEED", random.randrange(10**6)))
FILES = {
    f"{number:03}_step.py": python_migration(
        number,
        f"""
        conn.execute("CREATE TABLE made_{number} (a)")  # would fail twice
        conn.executescript("CREATE TABLE IF NOT EXISTS log (version INTEGER, process INTEGER)")
        conn.execute("INSERT INTO log VALUES ({number}, ?)", (__import__("os").getpid(),))
        conn.executemany("INSERT INTO made_{number} VALUES (?)", [(i,) for i in range(500)])
        """,
    )
    for number in range(1, 7)
}
VERSIONS = list(range(1, 7))


def prepared(path: Path, state: str) -> None:
    """A file that is not there, is empty, or holds data; in one of the two journal modes."""
    mode, _, kind = state.partition(" ")
    if kind == "existing":
        run_sql(path, f"PRAGMA journal_mode={mode}; CREATE TABLE t (a); INSERT INTO t VALUES (1);")
    elif mode == "wal":
        run_sql(path, "PRAGMA journal_mode=wal;")


def assert_once_each(path: Path, workers: list[Worker]) -> None:
    """Every migration took effect once, says the table that would take it twice, the log, the record and those who did it."""
    assert [worker.error for worker in workers if worker.error] == []
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    assert query(path, "SELECT version FROM log ORDER BY version") == [(version,) for version in VERSIONS]
    assert recorded(path) == [f"p:{version:03}_step" for version in VERSIONS]
    applied = sorted(name for worker in workers for name in worker.applied)
    if not any(worker.killed for worker in workers):
        assert applied == [f"{version:03}_step" for version in VERSIONS]
    for version in VERSIONS:
        assert query(path, f"SELECT count(*) FROM made_{version}") == [(500,)]


STATES = ["delete new", "wal new", "delete existing", "wal existing"]


@needs_fork
@pytest.mark.slow
@pytest.mark.parametrize("state", STATES)
def test_of_many_processes_at_once_each_migration_takes_effect_once_and_nobody_fails(
    crew: Crew, tmp_path: Path, state: str
) -> None:
    pack = tmp_path / "pack"
    write_pack(pack, "p", FILES)
    for number in range(ROUNDS):
        path = tmp_path / f"round_{number}.db"
        prepared(path, state)
        workers = crew.run(path, pack, kill_after=[None] * AT_ONCE, lock_timeout=60)
        assert_once_each(path, workers)
        backups = list((tmp_path / "backups").glob(f"round_{number}.*.auto.db")) if (tmp_path / "backups").exists() else []
        assert bool(backups) == state.endswith("existing")
        assert not any(each.name.endswith(".tmp") for each in (tmp_path / "backups").glob("*"))


@needs_fork
@pytest.mark.slow
@pytest.mark.parametrize("state", STATES)
def test_processes_that_are_killed_meanwhile_change_nothing_about_that(crew: Crew, tmp_path: Path, state: str) -> None:
    print(f"HOMIE_KILLS_SEED={SEED}")
    chance = random.Random(SEED)
    pack = tmp_path / "pack"
    write_pack(pack, "p", FILES)
    killed = 0
    for number in range(ROUNDS):
        path = tmp_path / f"round_{number}.db"
        prepared(path, state)
        lives: list[float | None] = [chance.uniform(0, 0.6) if chance.random() < 0.7 else None for _ in range(AT_ONCE - 1)]
        workers = crew.run(path, pack, kill_after=[None, *lives], lock_timeout=60)
        assert_once_each(path, workers)
        killed += sum(worker.killed for worker in workers)
    assert killed > ROUNDS


@needs_fork
@pytest.mark.slow
def test_processes_that_meet_a_migration_that_fails_all_say_so(crew: Crew, tmp_path: Path) -> None:
    """None of them fails because another one took its own snapshot away."""
    pack = tmp_path / "pack"
    write_pack(pack, "p", {"001_step.py": python_migration(1, "conn.execute('CREATE TABLE a (b)')\nraise ValueError('no')")})
    for number in range(ROUNDS):
        path = tmp_path / f"round_{number}.db"
        prepared(path, "delete existing")
        workers = crew.run(path, pack, kill_after=[None] * AT_ONCE, lock_timeout=60)
        assert {(worker.error or "").partition(":")[0] for worker in workers} == {"MigrationFailed"}
        assert recorded(path) == []
        assert not (tmp_path / "backups").exists()


# --- the trap of POSIX locks ----------------------------------------------------------------------------

WATCHED = """
import json, os, sys
opened = []
def hook(event, arguments):
    if event in ("open", "shutil.copyfile", "os.rename", "os.link", "os.truncate", "os.remove") and arguments:
        opened.extend(os.fsdecode(each) for each in arguments[:2] if isinstance(each, (str, bytes)))
sys.addaudithook(hook)
from pathlib import Path
from homie_migrations_core import MigrationPack, MigrationRunner
runner = MigrationRunner({path!r}, [MigrationPack("p", Path({pack!r}))])
runner.status()
runner.plan()
runner.apply()
runner.status()
runner.apply()
runner.rollback("p", to=0)
runner.history()
print(json.dumps(opened))
"""


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_the_database_is_never_opened_but_by_sqlite(tmp_path: Path, mode: str) -> None:
    """On POSIX, closing any descriptor of the file drops every lock that the process holds on it."""
    path, pack = tmp_path / "homie_p.db", tmp_path / "pack"
    run_sql(path, f"PRAGMA journal_mode={mode}; CREATE TABLE t (a);")
    write_pack(
        pack, "p", {name: content + "\ndef rollback_migration(conn):\n    pass\n" for name, content in list(FILES.items())[:2]}
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    command = [sys.executable, "-c", WATCHED.format(path=str(path), pack=str(pack))]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == 0, ended.stderr
    opened = [os.path.realpath(each) for each in json.loads(ended.stdout)]
    assert os.path.realpath(pack / "001_step.py") in opened  # the hook sees what is opened
    assert any(f"{os.sep}backups{os.sep}" in each for each in opened)
    assert [each for each in opened if each.startswith(os.path.realpath(path))] == []


OTHER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
try:
    connection.execute("BEGIN IMMEDIATE")
    print("got it")
except sqlite3.OperationalError as error:
    print(error)
connection.close()
"""


@pytest.mark.parametrize("mode", ["delete", "truncate", "persist", "wal"])
def test_reading_drops_no_lock_that_the_application_holds_in_the_same_process(tmp_path: Path, mode: str) -> None:
    path, pack = tmp_path / "homie_p.db", write_pack(tmp_path / "pack", "p", FILES)
    run_sql(path, f"PRAGMA journal_mode={'wal' if mode == 'wal' else 'delete'}; CREATE TABLE t (a);")
    application = sqlite3.connect(path, isolation_level=None)
    try:
        application.execute(f"PRAGMA journal_mode={mode}")
        application.execute("BEGIN IMMEDIATE")
        runner = MigrationRunner(path, [pack])
        runner.status()
        runner.plan()
        other = subprocess.run([sys.executable, "-c", OTHER, str(path)], capture_output=True, text=True, check=True)
        assert other.stdout.strip() == "database is locked"
    finally:
        application.close()


@needs_fork
@pytest.mark.slow
def test_a_run_in_the_application_keeps_its_lock_until_its_end(crew: Crew, tmp_path: Path) -> None:
    """From inside a migration, after its snapshot was taken and the file was read, another process can't write."""
    path, seen = tmp_path / "homie_p.db", tmp_path / "seen.txt"
    run_sql(path, "CREATE TABLE t (a); CREATE TABLE child (p REFERENCES missing); INSERT INTO child VALUES (1);")
    body = f"""
        import subprocess
        conn.execute("DELETE FROM child"); conn.execute("INSERT INTO child VALUES (1)")
        other = subprocess.run([{sys.executable!r}, "-c", {OTHER!r}, {str(path)!r}], capture_output=True, text=True, check=True)
        with open({str(seen)!r}, "a") as file:
            file.write(other.stdout)
    """
    write_pack(tmp_path / "pack", "p", {"001_a.py": python_migration(1, body), "002_b.py": python_migration(2, body)})
    (worker,) = crew.run(path, tmp_path / "pack")
    assert worker.error is None
    assert seen.read_text().splitlines() == ["database is locked"] * 2
