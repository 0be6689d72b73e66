"""The logger loads `logging` with the first message, and the command line hears of it before that message is written."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from homie_migrations_core import logs

PROGRAM = """
import sys
from homie_migrations_core import logs
prepared = []
logs.prepare_with(lambda: prepared.append("logging" in sys.modules))
assert "logging" not in sys.modules
logs.log.warning("%s messages", 1)
logs.log.warning("%s messages", 2)
print(prepared)
"""


def test_nothing_is_loaded_before_the_first_message():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == "[True]\n"
    assert done.stderr == "1 messages\n2 messages\n"  # Python's own last resort: the library configures nothing


def test_where_logging_is_loaded_what_prepares_it_is_called_at_once():
    called = []
    logs.prepare_with(lambda: called.append(1))
    assert called == [1]
    logs.log.info("a message")
    assert called == [1]


def test_what_is_not_wanted_any_more_is_not_called(monkeypatch: pytest.MonkeyPatch):
    called = []
    with monkeypatch.context() as without:
        without.delitem(sys.modules, "logging")
        logs.prepare_with(lambda: called.append(1))
    logs.prepare_with(None)
    logs.log.info("a message")
    assert called == []


def test_it_is_the_logger_of_the_library():
    assert logs.load() is logging.getLogger("homie_migrations")
    assert logs.log.name == "homie_migrations"


# A migration that logs by itself, under the name of the library, and not through the library.
LOGS = '''"""001: one."""
import logging


def get_migration_version():
    return 1


def apply_migration(conn):
    conn.execute("CREATE TABLE notes (text)")
    logging.getLogger("homie_migrations.notes").warning("from the migration")
'''


@pytest.mark.parametrize("command", [["apply"], ["rehearse"], ["validate"], ["apply", "--progress", "none"]], ids=" ".join)
def test_what_a_migration_logs_is_on_stderr_of_every_command_that_runs_it(command: list[str], tmp_path: Path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/001_notes.py").write_text(LOGS, encoding="utf-8")
    program = [sys.executable, "-m", "homie_migrations_core", "migrations"]
    options = ["--dir", str(tmp_path / "notes"), "--database", str(tmp_path / "notes.db")]
    if command == ["validate"]:
        subprocess.run([*program, "apply", *options], capture_output=True, check=True)
    done = subprocess.run([*program, *command, *options], capture_output=True, text=True, check=False)
    assert "Warning: from the migration\n" in done.stderr


def test_what_a_migration_logs_while_a_refusal_is_explained_is_on_stderr(tmp_path: Path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/001_notes.py").write_text(LOGS, encoding="utf-8")
    (tmp_path / "notes/003_last.sql").write_text("CREATE TABLE last (text)", encoding="utf-8")
    program = [sys.executable, "-m", "homie_migrations_core", "migrations"]
    options = ["--dir", str(tmp_path / "notes"), "--database", str(tmp_path / "notes.db")]
    subprocess.run([*program, "apply", *options], capture_output=True, check=True)
    (tmp_path / "notes/002_late.sql").write_text("CREATE TABLE late (text)", encoding="utf-8")
    done = subprocess.run([*program, "plan", *options], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Warning: from the migration\n" in done.stderr
