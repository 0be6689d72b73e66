"""Where output goes: to a terminal, a pipe, a broken pipe, or a closed stream."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import creates, problems, recorded, run_sql
from json_documents import read_document

from homie_migrations_core.cli import progress

ESCAPE = "\x1b"


def wait_for_migration(folder: Path) -> None:
    """Wait until the migration runs; it continues until there is a file `enough`."""
    deadline = time.monotonic() + 30
    while not (folder / "enough.begun").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def options(homie, tmp_path: Path) -> tuple[object, ...]:
    """A database with one of two migrations applied."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "001_one.py").write_text(creates(1, "one"))
    (folder / "002_a_name_that_is_longer_than_most_names_of_migrations.py").write_text(creates(2, "two"))
    given = ("--dir", folder, "--database", tmp_path / "homie_tasks.db")
    assert homie("apply", *given, "--to", "tasks:1").code == 0
    return given


def test_a_pipe_gets_plain_lines(homie_process, options):
    for command in ("status", "plan", "history", "packs", "apply"):
        given = () if command == "packs" else (*options, "--no-backup") if command == "apply" else options
        result = homie_process(command, *given, env={**os.environ, "TERM": "xterm-256color"})
        assert result.code == 0
        assert result.out
        assert (result.out + result.err).isascii()
        assert ESCAPE not in result.out + result.err
        assert result.out == "".join(f"{line.rstrip()}\n" for line in result.out.splitlines())


def test_a_terminal_gets_a_table_with_heads_and_colours(on_a_terminal, options):
    terminal = on_a_terminal("status", *options)
    assert terminal.ended() == 0
    assert re.search(r"state\s+migration\s+applied at", re.sub(r"\x1b\[[0-9;]*m", "", terminal.seen))
    assert f"{ESCAPE}[32mapplied" in terminal.seen
    assert f"{ESCAPE}[33mpending" in terminal.seen


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=["NO_COLOR", "a dumb terminal"])
def test_colours_are_left_out_on_request(on_a_terminal, options, environment):
    terminal = on_a_terminal("status", *options, **environment)
    assert terminal.ended() == 0
    assert "applied at" in re.sub(r"\x1b\[[0-9;]*m", "", terminal.seen)
    assert not re.search(r"\x1b\[(\d+;)*3\d", terminal.seen), terminal.seen


def test_a_narrow_terminal_loses_no_part_of_a_name(on_a_terminal, options):
    terminal = on_a_terminal("status", *options, width=40, NO_COLOR="1")
    assert terminal.ended() == 0
    letters = re.sub(r"\x1b\[[0-9;]*m|\s", "", terminal.seen)
    assert "002_a_name_that_is_longer_than_most_names_of_migrations" in letters


@pytest.mark.parametrize("command", ["packs", "history"])
def test_the_other_lists_are_tables_on_a_terminal_too(on_a_terminal, options, command):
    terminal = on_a_terminal(command, *(options if command == "history" else ()), NO_COLOR="1", TERM="dumb")
    assert terminal.ended() == 0
    assert ("distribution" if command == "packs" else "took") in terminal.seen


def test_json_on_a_terminal_is_json_without_colours(on_a_terminal, options):
    terminal = on_a_terminal("status", *options, "--json")
    assert terminal.ended() == 0
    assert read_document(["status"], terminal.seen)["databases"][0]["state"] == "pending"


def until_matches(terminal, words: str) -> None:
    """Wait until it shows a line of that kind, in any colours."""
    terminal._read(lambda: re.search(words, without_colours(terminal.seen)), 30.0)
    assert re.search(words, without_colours(terminal.seen)), terminal.seen


def without_colours(seen: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen).replace("\r", "\n")


# --- what takes long is shown ---------------------------------------------------------------------------------

IMPATIENT = """
from homie_migrations_core.cli import progress
progress.SHOWN_AFTER = 0.1
"""

WAITS = """
import os, time
from pathlib import Path
from homie_migrations_core import track

def get_migration_version():
    return 3

def apply_migration(conn):
    Path({flag!r} + ".begun").touch()
    for _ in track(range(1000)):
        time.sleep(0.05)
        if Path({flag!r}).exists():
            break
"""


@pytest.fixture
def impatient(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that shows after a tenth of a second what it would show after a second."""
    assert progress.SHOWN_AFTER == 1.0
    place = tmp_path_factory.mktemp("impatient")
    (place / "sitecustomize.py").write_text(IMPATIENT)
    return {"PYTHONPATH": str(place)}


def test_what_takes_longer_than_a_second_is_shown_on_a_terminal(on_a_terminal, options, impatient, tmp_path: Path):
    (tmp_path / "tasks" / "003_long.py").write_text(WAITS.format(flag=str(tmp_path / "enough")))
    terminal = on_a_terminal("apply", *options, "--no-backup", **impatient)
    until_matches(terminal, r"  applying tasks:003_long since \d\d:\d\d:\d\d .*\b\d{1,2}% \d:\d\d:\d\d")
    (tmp_path / "enough").touch()
    assert terminal.ended() == 0
    assert "applied tasks:003_long" in terminal.seen


def test_a_rehearsal_reports_the_step_in_progress(on_a_terminal, options, impatient, tmp_path: Path):
    (tmp_path / "tasks" / "003_long.py").write_text(WAITS.format(flag=str(tmp_path / "enough")))
    terminal = on_a_terminal("rehearse", *options, **impatient)
    until_matches(terminal, r"  applying tasks:003_long since \d\d:\d\d:\d\d .*\b\d{1,2}% \d:\d\d:\d\d")
    (tmp_path / "enough").touch()
    assert terminal.ended() == 0
    assert "2. apply tasks:003_long: " in terminal.seen


SLOWLY = """
import os, time
from pathlib import Path
from homie_migrations_core.cli import progress
from homie_migrations_core.sqlite import copying, restoring


def slow_down(module):
    tell = module.tell_phase

    def tell_and_wait(what, done=None, total=None):
        tell(what, done, total)
        if not Path(os.environ["ENOUGH"]).exists():
            time.sleep(0.1)

    module.tell_phase, module.PAGES_A_STEP = tell_and_wait, 1


progress.SHOWN_AFTER = 0.1
slow_down(copying)
slow_down(restoring)
"""


@pytest.fixture
def slow(options, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that copies a page in a tenth of a second; the database has hundreds of them."""
    rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) "
    run_sql(tmp_path / "homie_tasks.db", rows + "INSERT INTO one SELECT i, hex(randomblob(2000)) FROM n")
    place = tmp_path_factory.mktemp("slow")
    (place / "sitecustomize.py").write_text(SLOWLY)
    return {"PYTHONPATH": str(place), "ENOUGH": str(place / "enough")}


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (("apply",), "taking a snapshot"),
        (("backup",), "taking a snapshot"),
        (("baseline", "tasks", "2"), "taking a snapshot"),
        (("rehearse",), "copying the database"),
        (("rollback", "tasks"), "copying the database"),
        (("restore", "copy.db", "--yes", "--no-backup"), "restoring the snapshot"),
    ],
    ids=lambda each: each if isinstance(each, str) else each[0],
)
def test_how_far_a_copy_is_is_shown_on_a_terminal(on_a_terminal, options, slow, tmp_path: Path, command, what: str):
    shutil.copyfile(tmp_path / "homie_tasks.db", tmp_path / "copy.db")
    terminal = on_a_terminal(*command, *options, **slow)
    until_matches(terminal, rf"  {what} since \d\d:\d\d:\d\d .*\b\d{{1,2}}% \d:\d\d:\d\d")
    Path(slow["ENOUGH"]).touch()
    if command[0] == "rollback":
        terminal.until("Go on?")
        assert "rolled back" not in terminal.seen
        terminal.type("n\n")
    assert terminal.ended() == (1 if command[0] == "rollback" else 0)


def test_waiting_for_another_program_is_shown_on_a_terminal(on_a_terminal, options, impatient, tmp_path: Path):
    other = sqlite3.connect(tmp_path / "homie_tasks.db", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        terminal = on_a_terminal("apply", *options, "--no-backup", width=300, **impatient)
        who = f"process {os.getpid()} (" if Path("/proc/locks").exists() else "another process"
        terminal.until(f"  waiting for {who}")  # at once
        until_matches(terminal, rf"  waiting for {re.escape(who)}.* since \d\d:\d\d:\d\d .*\d:\d\d:\d\d")
    finally:
        other.close()
    assert terminal.ended() == 0
    assert len(recorded(tmp_path / "homie_tasks.db")) == 2


@pytest.mark.parametrize("how", [(), ("-q",), ("--json",)], ids=["as it is", "quiet", "JSON"])
def test_nothing_of_that_reaches_a_pipe(started, options, impatient, tmp_path: Path, how):
    (tmp_path / "tasks" / "003_long.py").write_text(WAITS.format(flag=str(tmp_path / "enough")))
    process = started("apply", *options, "--no-backup", *how, env={**os.environ, **impatient})
    wait_for_migration(tmp_path)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)  # longer than the time after which a terminal would show it
    (tmp_path / "enough").touch()
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert "applying" not in out
    assert (out == "") == (how == ("-q",))


@pytest.mark.parametrize("how", ["-q", "--json"])
def test_nor_a_terminal_that_asked_for_quiet_or_json(on_a_terminal, options, impatient, tmp_path: Path, how: str):
    (tmp_path / "tasks" / "003_long.py").write_text(WAITS.format(flag=str(tmp_path / "enough")))
    terminal = on_a_terminal("apply", *options, "--no-backup", how, **impatient)
    wait_for_migration(tmp_path)
    with pytest.raises(subprocess.TimeoutExpired):
        terminal.process.wait(timeout=0.5)
    (tmp_path / "enough").touch()
    assert terminal.ended() == 0
    assert "since" not in terminal.seen
    assert ESCAPE not in terminal.seen
    assert how == "--json" or terminal.seen == ""


@pytest.mark.parametrize(
    ("how", "is_shown"), [((), True), (("-q",), False), (("--json",), False)], ids=["as it is", "quiet", "JSON"]
)
def test_the_wait_names_the_process_in_a_pipe_but_not_with_quiet_or_json(started, options, tmp_path: Path, how, is_shown: bool):
    other = sqlite3.connect(tmp_path / "homie_tasks.db", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        process = started("apply", *options, "--no-backup", "--lock-timeout", "0.3", *how)
        _, err = process.communicate(timeout=30)
    finally:
        other.close()
    assert process.returncode == 1
    who = f"process {os.getpid()} (" if Path("/proc/locks").exists() else "another process"
    waiting = [line for line in err.splitlines() if line.startswith(f"  waiting for {who}")]
    assert len(waiting) == is_shown
    (error,) = problems("\n".join(line for line in err.splitlines() if line not in waiting))
    assert error.startswith("Error: Gave up waiting for the write lock on ")
    assert who.replace("another process", "another connection") in error


# --- a reader that goes away -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["status", "plan", "history", "packs"])
@pytest.mark.parametrize("how", [(), ("--json",), ("--help",)], ids=["text", "json", "help"])
def test_a_broken_pipe_is_quiet(started, options, command, how):
    read, write = os.pipe()
    os.close(read)
    process = started(command, *(() if command == "packs" else options), *how, stdout=write)
    os.close(write)
    _, err = process.communicate(timeout=30)
    assert err == ""
    assert process.returncode in (0, 1)


def test_a_broken_pipe_does_not_stop_the_work_nor_turn_it_into_a_failure(started, options, tmp_path: Path):
    read, write = os.pipe()
    os.close(read)
    process = started("apply", *options, "--no-backup", stdout=write)
    os.close(write)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert len(recorded(tmp_path / "homie_tasks.db")) == 2


def test_a_broken_pipe_for_errors_is_quiet_too(started, options):
    read, write = os.pipe()
    os.close(read)
    process = started("status", "--database", "/", stderr=write)
    os.close(write)
    assert process.communicate(timeout=30)[0] == ""
    assert process.returncode == 2


@pytest.mark.parametrize(
    ("command", "closed"),
    [
        ("status", "<&-"),
        ("apply", ">&-"),
        ("rollback", "2>&-"),
        *((each, "<&- >&- 2>&-") for each in ("status", "apply", "rollback")),
    ],
)
def test_closed_streams_cause_no_traceback(options, tmp_path: Path, closed, command):
    given = [str(each) for each in (*(["tasks"] if command == "rollback" else []), *options)]
    line = [sys.executable, "-m", "homie_migrations_core", "migrations", command, *given]
    if command != "status":
        line.append("--no-backup")
    ended = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *line], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert ended.returncode == (2 if command == "rollback" else 0)
    assert "Traceback" not in ended.stderr
