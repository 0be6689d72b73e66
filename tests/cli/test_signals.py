"""Ctrl-C, SIGTERM and SIGHUP: they undo a running migration, rehearsal or copy and end the run within seconds."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from itertools import cycle
from pathlib import Path

import pytest
from cli.signal_helpers import BODIES, NAMES, SECONDS, SIGNALS, end, endless, wait_for
from helpers import creates, fingerprint, one_line, problems, query, recorded, run_sql
from json_documents import read_document
from tasks_database import TasksDatabase

from homie_migrations_core.cli.signals import SignalStop, stop_on_signals

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@pytest.mark.parametrize(("number", "code"), SIGNALS, ids=NAMES)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_signal_undoes_the_running_migration_and_ends_the_run(
    started, tasks_database: TasksDatabase, body: str, number: int, code: int
):
    tasks_database.add("002_two.py", endless(tasks_database.flag, body))
    process = started("apply", *tasks_database.options)
    wait_for(tasks_database.flag.exists, process)

    out, err = end(process, number)

    assert process.returncode == code, err
    assert "tasks:002_two was undone" in err
    assert len(problems(err)) == 1
    assert "applied tasks" not in out
    assert tasks_database.is_unchanged()


@pytest.mark.parametrize("function", ["verify_migration"])
def test_a_signal_during_verification_undoes_the_migration(started, tasks_database: TasksDatabase, function: str):
    tasks_database.add("002_two.py", endless(tasks_database.flag, BODIES["Python code"], function=function))
    process = started("apply", *tasks_database.options)
    wait_for(tasks_database.flag.exists, process)
    end(process, signal.SIGTERM)
    assert process.returncode == 143
    assert tasks_database.is_unchanged()


def test_a_signal_during_a_rollback_leaves_the_migration_applied(started, homie, tasks_database: TasksDatabase):
    tasks_database.add("002_two.py", endless(tasks_database.flag, "time.sleep(1000)", function="rollback_migration"))
    assert homie("apply", *tasks_database.options).code == 0
    process = started("rollback", "tasks", *tasks_database.options, "--yes")
    wait_for(tasks_database.flag.exists, process)
    _, err = end(process, signal.SIGINT)
    assert process.returncode == 130
    assert "tasks:002_two was undone" in err
    assert recorded(tasks_database.path) == ["tasks:001_one", "tasks:002_two"]
    assert query(tasks_database.path, "SELECT * FROM one") == [(1, "must stay")]


def test_a_signal_in_a_long_statement_of_an_sql_file(started, tasks_database: TasksDatabase):
    tasks_database.add(
        "002_two.sql",
        "CREATE TABLE two (i);\nWITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n;\n",
    )
    process = started("apply", *tasks_database.options)
    journal = tasks_database.path.with_name(tasks_database.path.name + "-journal")
    wait_for(lambda: journal.exists() and journal.stat().st_size, process)
    end(process, signal.SIGINT)
    assert process.returncode == 130
    assert tasks_database.is_unchanged()


def test_a_signal_in_wal_mode(started, tasks_database: TasksDatabase):
    run_sql(tasks_database.path, "PRAGMA journal_mode=WAL")
    tasks_database.add("002_two.py", endless(tasks_database.flag, BODIES["one long statement"]))
    process = started("apply", *tasks_database.options)
    wait_for(tasks_database.flag.exists, process)
    end(process, signal.SIGTERM)
    assert process.returncode == 143
    assert recorded(tasks_database.path) == ["tasks:001_one"]
    assert query(tasks_database.path, "SELECT * FROM one") == [(1, "must stay")]


def test_committed_migrations_stay_and_the_next_run_continues(started, homie, tasks_database: TasksDatabase):
    tasks_database.add("002_more.py", creates(2, "more"))
    tasks_database.add("003_two.py", endless(tasks_database.flag, "time.sleep(1000)", version=3))
    process = started("apply", *tasks_database.options, "--json")
    wait_for(tasks_database.flag.exists, process)
    out, _ = end(process, signal.SIGINT)
    document = read_document(["apply"], out)
    assert process.returncode == 130
    assert document["error"]["code"] == "run_stopped"
    assert document["databases"][0]["applied"] == ["tasks:002_more"]
    assert recorded(tasks_database.path) == ["tasks:001_one", "tasks:002_more"]

    tasks_database.add("003_two.py", creates(3, "two"))
    assert homie("apply", *tasks_database.options).code == 0
    assert recorded(tasks_database.path)[-1] == "tasks:003_two"


def test_an_interrupted_new_database_is_empty(started, homie, tasks_database: TasksDatabase, tmp_path: Path):
    tasks_database.add("002_two.py", endless(tasks_database.flag, "time.sleep(1000)"))
    new = tmp_path / "new.db"
    process = started("apply", "--dir", tasks_database.folder, "--database", new)
    wait_for(tasks_database.flag.exists, process)
    end(process, signal.SIGTERM)
    assert process.returncode == 143
    assert not new.exists() or query(new, "SELECT * FROM sqlite_schema") == []
    assert homie("status", "--dir", tasks_database.folder, "--database", new).out.startswith(f"{new}: new")


def test_after_a_signal_no_further_database_is_started(started, tasks_database: TasksDatabase, tmp_path: Path):
    tasks_database.add("002_two.py", endless(tasks_database.flag, "time.sleep(1000)"))
    other = tmp_path / "other.db"
    process = started("apply", *tasks_database.options, "--database", other)
    wait_for(tasks_database.flag.exists, process)
    end(process, signal.SIGINT)
    assert process.returncode == 130
    assert not other.exists()


# --- while something is copied ----------------------------------------------------------------------------------

SLOWLY = """
import os, time
from pathlib import Path
from homie_migrations_core.sqlite import copying, restoring

place = Path(os.environ["SLOW_COPIES"])


def slow_down(module):
    tell = module.tell_phase

    def tell_and_wait(what, done=None, total=None):
        tell(what, done, total)
        (place / what.replace(" ", "_")).touch()
        if not (place / "go").exists():
            time.sleep(0.1)

    module.tell_phase, module.PAGES_A_STEP = tell_and_wait, 1


slow_down(copying)
slow_down(restoring)
"""


@pytest.fixture
def slow(tasks_database: TasksDatabase, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that copies a page in a tenth of a second; the database has hundreds of them."""
    run_sql(
        tasks_database.path,
        "WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 400)"
        " INSERT INTO one SELECT i, hex(randomblob(2000)) FROM n",
    )
    place = tmp_path_factory.mktemp("slow")
    (place / "sitecustomize.py").write_text(SLOWLY)
    return {**os.environ, "PYTHONPATH": str(place), "SLOW_COPIES": str(place)}


COPIES = {
    "the snapshot of apply": ("apply", (), "taking a snapshot"),
    "the snapshot of a rollback": ("rollback", (), "taking a snapshot"),
    "the snapshot of a redo": ("redo", (), "taking a snapshot"),
    "the snapshot of a reset": ("reset", (), "taking a snapshot"),
    "the snapshot of a baseline": ("baseline", (), "taking a snapshot"),
    "the snapshot of a repair": ("repair", (), "taking a snapshot"),
    "the snapshot of a restore": ("restore", (), "taking a snapshot"),
    "backup": ("backup", (), "taking a snapshot"),
    "restore": ("restore", ("--no-backup",), "restoring the snapshot"),
    "the copy of a rehearsal": ("rehearse", (), "copying the database"),
    "the copy of a rehearsed rollback": ("rollback", ("--rehearse",), "copying the database"),
    "the copy of a rehearsed reset": ("reset", ("--rehearse",), "copying the database"),
}


@pytest.mark.parametrize(
    ("command", "more", "phase", "number", "code"),
    [(*copy, *each) for copy, each in zip(COPIES.values(), cycle(SIGNALS))],
    ids=COPIES,
)
def test_a_signal_ends_a_copy_and_nothing_of_it_is_left(
    started,
    tasks_database: TasksDatabase,
    slow: dict[str, str],
    command: str,
    more: tuple[str, ...],
    phase: str,
    number: int,
    code: int,
):
    arguments = tasks_database.call(command, *more)
    before = fingerprint(tasks_database.path.parent)
    process = started(*arguments, env=slow)
    wait_for(Path(slow["SLOW_COPIES"], phase.replace(" ", "_")).exists, process)

    _out, err = end(process, number)

    assert process.returncode == code, err
    assert (
        one_line(err) == f"Error: Stopped on request in {tasks_database.path}: no migration was running. Run it again to continue."
    )
    assert fingerprint(tasks_database.path.parent) == before
    assert {path.name for path in tasks_database.path.parent.iterdir()} <= {"tasks", "homie_tasks.db", "copy.db"}


def test_a_signal_during_a_restore_in_wal_mode_keeps_the_state_before(started, tasks_database: TasksDatabase, slow: dict[str, str]):
    arguments = tasks_database.call("restore", "--no-backup")
    run_sql(tasks_database.path, "PRAGMA journal_mode=WAL")
    before = query(tasks_database.path, "SELECT * FROM one")
    process = started(*arguments, env=slow)
    wait_for(Path(slow["SLOW_COPIES"], "restoring_the_snapshot").exists, process)
    _, err = end(process, signal.SIGTERM)
    assert process.returncode == 143, err
    assert query(tasks_database.path, "SELECT * FROM one") == before
    assert query(tasks_database.path, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize(("number", "code"), SIGNALS, ids=NAMES)
@pytest.mark.parametrize("body", [BODIES[name] for name in ("one long call", "one long statement")], ids=["call", "statement"])
def test_a_signal_ends_a_rehearsal_in_a_migration(started, tasks_database: TasksDatabase, body: str, number: int, code: int):
    tasks_database.add("002_two.py", endless(tasks_database.flag, body))
    before = fingerprint(tasks_database.path.parent)
    process = started("rehearse", *tasks_database.options[:4])
    wait_for(tasks_database.flag.exists, process)

    out, err = end(process, number)

    tasks_database.flag.unlink()
    assert process.returncode == code, err
    assert out == ""
    assert (
        one_line(err) == f"Error: Stopped on request in {tasks_database.path}: tasks:002_two was undone. Run it again to continue."
    )
    assert fingerprint(tasks_database.path.parent) == before
    assert tasks_database.is_unchanged()


def test_after_a_signal_no_further_database_is_rehearsed(started, tasks_database: TasksDatabase, tmp_path: Path):
    tasks_database.add("002_two.py", endless(tasks_database.flag, "time.sleep(1000)"))
    process = started("rehearse", *tasks_database.options[:4], "--database", tmp_path / "other.db", "--json")
    wait_for(tasks_database.flag.exists, process)
    out, _ = end(process, signal.SIGINT)
    document = read_document(["rehearse"], out)
    assert process.returncode == 130
    assert document["error"]["code"] == "run_stopped"
    assert [each["path"] for each in document["databases"]] == [str(tasks_database.path)]


# --- a closed terminal ------------------------------------------------------------------------------------------


def test_a_closed_terminal_ends_a_rehearsal_and_leaves_no_copy(on_a_terminal, tasks_database: TasksDatabase):
    """The process gets SIGHUP, and can no longer write to the terminal either."""
    tasks_database.add("002_two.py", endless(tasks_database.flag, "time.sleep(1000)"))
    before = fingerprint(tasks_database.path.parent)
    terminal = on_a_terminal("rehearse", *tasks_database.options[:4])
    wait_for(tasks_database.flag.exists, terminal.process)
    terminal.hang_up()
    assert terminal.process.wait(timeout=SECONDS) == 129
    tasks_database.flag.unlink()
    assert fingerprint(tasks_database.path.parent) == before


def test_a_closed_terminal_undoes_a_run(on_a_terminal, tasks_database: TasksDatabase):
    tasks_database.add("002_two.py", endless(tasks_database.flag, BODIES["many short statements"]))
    terminal = on_a_terminal("apply", *tasks_database.options)
    wait_for(tasks_database.flag.exists, terminal.process)
    terminal.hang_up()
    assert terminal.process.wait(timeout=SECONDS) == 129
    assert tasks_database.is_unchanged()


def test_a_second_sighup_does_not_interrupt_the_rollback(started, tasks_database: TasksDatabase):
    """A shell sends it to its jobs as well as the terminal does."""
    tasks_database.add("002_two.py", endless(tasks_database.flag, BODIES["Python code"]))
    process = started("apply", *tasks_database.options)
    wait_for(tasks_database.flag.exists, process)
    for _ in range(3):
        process.send_signal(signal.SIGHUP)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 129
    assert "tasks:002_two was undone" in err
    assert tasks_database.is_unchanged()


@pytest.mark.skipif(shutil.which("nohup") is None, reason="there is no nohup here")
def test_a_command_under_nohup_keeps_ignoring_sighup(tasks_database: TasksDatabase):
    tasks_database.add("002_two.py", endless(tasks_database.flag, "time.sleep(1.5); return"))
    line = ["nohup", sys.executable, "-m", "homie_migrations_core", "migrations", "apply", *map(str, tasks_database.options)]
    with subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(tasks_database.flag.exists, process)
        process.send_signal(signal.SIGHUP)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert recorded(tasks_database.path) == ["tasks:001_one", "tasks:002_two"]


def test_the_former_handlers_are_restored():
    before = {number: signal.getsignal(number) for number, _ in SIGNALS}
    with stop_on_signals(SignalStop()) as _:
        assert all(signal.getsignal(number) is not before[number] for number, _ in SIGNALS)
    assert {number: signal.getsignal(number) for number, _ in SIGNALS} == before


@pytest.mark.parametrize(("number", "code"), SIGNALS, ids=NAMES)
@pytest.mark.parametrize("command", ["validate", "schema"])
def test_a_signal_ends_a_replay(started, tasks_database: TasksDatabase, command: str, number: int, code: int):
    first = f"import time\nfrom pathlib import Path\ndef get_migration_version():\n    return 1\ndef apply_migration(conn):\n    Path({str(tasks_database.flag)!r}).touch()\n    time.sleep(1000)\n"
    (tasks_database.folder / "001_one.py").write_text(first)
    process = started(
        command, "--dir", tasks_database.folder, *(("--database", tasks_database.path) if command == "validate" else ()), "--json"
    )
    wait_for(tasks_database.flag.exists, process)
    out, _ = end(process, number)
    assert process.returncode == code
    assert read_document([command], out)["error"]["code"] == "run_stopped"
