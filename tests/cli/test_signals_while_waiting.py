"""Ctrl-C, SIGTERM and SIGHUP while a command waits for another connection, and what waiting reports."""

from __future__ import annotations

import os
import signal
import sqlite3
from itertools import cycle
from pathlib import Path

import pytest
from cli.signal_helpers import NAMES, SIGNALS, end, wait_for
from helpers import creates, fingerprint, one_line, problems, recorded
from tasks_database import TasksDatabase

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


def process_in_words(process: int) -> str:
    """Return what a message of waiting calls the process."""
    if not Path("/proc/locks").exists():
        return "another process"
    command = Path(f"/proc/{process}/cmdline").read_text(errors="replace").replace("\0", " ").strip()
    return f"process {process} ({command[:80]})"


def without_waiting(err: str) -> str:
    """Return the lines of stderr without the progress of waiting."""
    return "\n".join(line for line in err.splitlines() if not line.startswith("  waiting for "))


def has_open(process, path: Path) -> bool:
    try:
        descriptors = list(Path(f"/proc/{process.pid}/fd").iterdir())
        return any(os.readlink(each) == str(path) for each in descriptors)
    except OSError:
        return False


@pytest.fixture
def locked(tasks_database: TasksDatabase):
    """Lock the database from another connection, in the given mode; "nothing more" ends the lock."""
    connections: list[sqlite3.Connection] = []

    def lock(how: str) -> None:
        if how == "nothing more":
            connections.pop().close()
            return
        connections.append(sqlite3.connect(tasks_database.path, isolation_level=None))
        connections[-1].execute(f"BEGIN {how}")

    yield lock
    for each in connections:
        each.close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux says which files a process has open")
@pytest.mark.parametrize(("number", "code"), SIGNALS, ids=NAMES)
@pytest.mark.parametrize("how", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_signal_ends_the_wait_for_a_lock(started, tasks_database: TasksDatabase, locked, how: str, number: int, code: int):
    tasks_database.add("002_two.py", creates(2, "two"))
    locked(how)
    process = started("apply", *tasks_database.options, "--lock-timeout", "60")
    wait_for(lambda: has_open(process, tasks_database.path), process)

    out, err = end(process, number)

    assert process.returncode == code, err
    assert "applied" not in out
    assert (
        one_line(without_waiting(err))
        == f"Error: Stopped on request in {tasks_database.path}: no migration was running. Run it again to continue."
    )


WAITS = {
    "IMMEDIATE": ("rollback", "redo", "reset", "backup", "restore", "baseline", "repair"),
    "EXCLUSIVE": ("rollback", "rehearse", "reset", "backup", "restore", "baseline", "repair"),
}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux says which files a process has open")
@pytest.mark.parametrize(
    ("command", "how", "number", "code"),
    [
        (command, how, *each)
        for how, commands in WAITS.items()
        for command, each in zip(commands, cycle(SIGNALS if how == "IMMEDIATE" else SIGNALS[::-1]))
    ],
)
def test_a_signal_ends_the_wait_of_every_other_command(
    started, tasks_database: TasksDatabase, locked, command: str, how: str, number: int, code: int
):
    arguments = tasks_database.call(command)
    before = fingerprint(tasks_database.path.parent)
    locked(how)
    process = started(*arguments, "--lock-timeout", "60")
    wait_for(lambda: has_open(process, tasks_database.path), process)

    _out, err = end(process, number)

    assert process.returncode == code, err
    assert (
        one_line(without_waiting(err))
        == f"Error: Stopped on request in {tasks_database.path}: no migration was running. Run it again to continue."
    )
    locked("nothing more")
    assert fingerprint(tasks_database.path.parent) == before


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux says which files a process has open")
@pytest.mark.parametrize("command", ["status", "plan", "history"])
def test_ctrl_c_ends_a_wait_to_read(started, tasks_database: TasksDatabase, locked, command: str):
    locked("EXCLUSIVE")
    process = started(command, *tasks_database.options[:4], "--lock-timeout", "60")
    wait_for(lambda: has_open(process, tasks_database.path), process)
    out, err = end(process, signal.SIGINT)
    assert process.returncode == 130
    assert (out, err) == ("", "Stopped.\n")


def test_a_lock_that_is_held_too_long_is_reported(homie, tasks_database: TasksDatabase, locked):
    tasks_database.add("002_two.py", creates(2, "two"))
    locked("EXCLUSIVE")
    for command in ("status", "plan", "history", "apply"):
        given = tasks_database.options if command == "apply" else tasks_database.options[:4]
        result = homie(command, *given, "--lock-timeout", "0.2", "--json")
        assert result.code == 1
        assert result.json["error"]["code"] == "lock_timeout"
        assert "after 0.2 s" in result.err
        assert len(problems(result.err)) == 1


def test_reading_does_not_wait_for_a_writer(homie, tasks_database: TasksDatabase, locked):
    locked("IMMEDIATE")
    assert homie("status", *tasks_database.options[:4], "--lock-timeout", "0").code == 0


def test_a_run_waits_for_a_lock_and_then_continues(started, tasks_database: TasksDatabase, locked):
    tasks_database.add("002_two.py", creates(2, "two"))
    connection = sqlite3.connect(tasks_database.path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        process = started("apply", *tasks_database.options, "-v")
        me = process_in_words(os.getpid())
        assert process.stderr.readline() == f"Waiting for {me}, which writes to {tasks_database.path}.\n"
        assert process.stderr.readline() == f"  waiting for {me}\n"
        connection.execute("ROLLBACK")
        process.communicate(timeout=30)
    finally:
        connection.close()
    assert process.returncode == 0
    assert recorded(tasks_database.path) == ["tasks:001_one", "tasks:002_two"]
