"""SQLite's locks on POSIX: closing any descriptor of a file drops every lock that the process holds on it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import creates, python_migration, run_sql, write_pack

from homie_migrations_core import MigrationRunner

ROOT = Path(__file__).parents[2]
FILES = {"001_step.py": creates(1, "one"), "002_step.py": creates(2, "two")}

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
    write_pack(pack, "p", FILES)
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


def test_a_run_keeps_its_lock_until_its_end(tmp_path: Path) -> None:
    """From inside a migration, after the snapshot was taken and the file was read again, another process can't write."""
    path, seen = tmp_path / "homie_p.db", tmp_path / "seen.txt"
    run_sql(path, "CREATE TABLE t (a); CREATE TABLE child (p REFERENCES missing); INSERT INTO child VALUES (1);")
    body = f"""
        import subprocess
        conn.execute("DELETE FROM child"); conn.execute("INSERT INTO child VALUES (1)")
        other = subprocess.run([{sys.executable!r}, "-c", {OTHER!r}, {str(path)!r}], capture_output=True, text=True, check=True)
        with open({str(seen)!r}, "a") as file:
            file.write(other.stdout)
    """
    pack = write_pack(tmp_path / "pack", "p", {"001_a.py": python_migration(1, body), "002_b.py": python_migration(2, body)})
    assert len(MigrationRunner(path, [pack]).apply()) == 2
    assert seen.read_text().splitlines() == ["database is locked"] * 2
