"""Ctrl-C, SIGTERM and SIGHUP: they end a run within seconds, whatever it is doing, at the boundary before it."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import pytest
from helpers import creates, fingerprint, one_line, problems, python_migration, query, recorded, run_sql, tables
from json_documents import read_document

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.cli.signals import SignalStop, stop_on_signals
from homie_migrations_core.errors import RunStopped

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)] if os.name != "nt" else []
NAMES = [signal.Signals(number).name for number, _ in SIGNALS]
SECONDS = 8
"""How long a run may take to end: it is asked to within one, and this machine may be busy."""

BODIES = {
    "Python code": "for _ in range(10**6):\n        time.sleep(0.05)",
    "Python code that swallows errors": """for _ in range(10**6):
        try:
            time.sleep(0.05)
        except Exception:
            pass""",
    "one long call": "time.sleep(1000)",
    "one long statement": """conn.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) INSERT INTO two SELECT i, NULL FROM n LIMIT -1 OFFSET 1"
    )""",
    "one long SELECT": """conn.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n"
    ).fetchone()""",
    "many short statements": 'for i in range(10**9):\n        conn.execute("SELECT ?", (i,)).fetchall()',
    "one long script": """conn.executescript(
        "CREATE TABLE three (i); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n;"
    )""",
}


def endless(flag: Path, body: str, version: int = 2, function: str = "apply_migration") -> str:
    other = "" if function == "apply_migration" else "def apply_migration(conn):\n    conn.execute('CREATE TABLE two (a, b)')\n"
    return f"""
import time
from pathlib import Path

def get_migration_version():
    return {version}

{other}
def {function}(conn):
    conn.execute("CREATE TABLE IF NOT EXISTS two (a, b)")
    conn.execute("INSERT INTO one VALUES (2, 'must not stay')")
    Path({str(flag)!r}).touch()
    {body}
"""


def wait_for(condition: Callable[[], object], process) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def end(process, number: int) -> tuple[str, str]:
    """Send the signal, and wait for the end."""
    process.send_signal(number)
    return process.communicate(timeout=SECONDS)


def process_in_words(process: int) -> str:
    """How a wait names the process that is waited for."""
    if not Path("/proc/locks").exists():
        return "another process"
    command = Path(f"/proc/{process}/cmdline").read_text(errors="replace").replace("\0", " ").strip()
    return f"process {process} ({command[:80]})"


def without_waiting(err: str) -> str:
    """The lines of stderr but for the one that says who is waited for."""
    return "\n".join(line for line in err.splitlines() if not line.startswith("  waiting for "))


class Scene:
    def __init__(self, tmp_path: Path, homie) -> None:
        self.folder, self.database, self.flag = tmp_path / "tasks", tmp_path / "homie_tasks.db", tmp_path / "begun"
        self.folder.mkdir()
        (self.folder / "001_one.py").write_text(creates(1, "one"))
        self.options = ("--dir", self.folder, "--database", self.database, "--no-backup")
        assert homie("apply", *self.options).code == 0
        run_sql(self.database, "INSERT INTO one VALUES (1, 'must stay')")

    def add(self, name: str, content: str) -> None:
        (self.folder / name).write_text(content)

    def call(self, command: str, *more: object) -> tuple[object, ...]:
        """A command that has something to do, and what must be there for it."""
        place = self.options[:4]
        if command == "repair":
            self.add("001_one.py", creates(1, "one") + "EDITED = True\n")
        if command in ("apply", "rehearse", "baseline"):
            self.add("002_two.py", creates(2, "two"))
        if command == "restore":
            return (command, self.snapshot(), *place, *more, "--yes")
        if command == "baseline":
            return (command, "tasks", "2", *place, *more)
        if command in ("rollback", "redo"):
            return (command, "tasks", *place, *more, "--yes")
        if command == "repair":
            return (command, "tasks:1", *place, *more, "--yes")
        return (command, *place, *more, *(["--yes"] if command == "reset" else []))

    def snapshot(self) -> Path:
        """A copy of the database that differs from it."""
        copy = self.folder.parent / "copy.db"
        if not copy.exists():
            shutil.copyfile(self.database, copy)
            run_sql(copy, "INSERT INTO one VALUES (-2, 'of the copy')")
        return copy

    def is_at_the_old_boundary(self) -> bool:
        assert recorded(self.database) == ["tasks:001_one"]
        assert tables(self.database) == {"one"}
        assert query(self.database, "SELECT * FROM one") == [(1, "must stay")]
        assert query(self.database, "PRAGMA integrity_check") == [("ok",)]
        assert {path.name for path in self.database.parent.iterdir()} <= {"tasks", "homie_tasks.db", "begun"}
        return True


@pytest.fixture
def scene(tmp_path: Path, homie) -> Scene:
    """A database at 1, with a row in it."""
    return Scene(tmp_path, homie)


@pytest.mark.parametrize(("number", "code"), SIGNALS, ids=NAMES)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_signal_undoes_the_running_migration_and_ends_the_run(started, scene: Scene, body: str, number: int, code: int):
    scene.add("002_two.py", endless(scene.flag, body))
    process = started("apply", *scene.options)
    wait_for(scene.flag.exists, process)

    out, err = end(process, number)

    assert process.returncode == code, err
    assert "tasks:002_two was undone" in err
    assert len(problems(err)) == 1
    assert "applied tasks" not in out
    assert scene.is_at_the_old_boundary()


@pytest.mark.parametrize("function", ["verify_migration"])
def test_a_signal_during_verification_undoes_it_too(started, scene: Scene, function: str):
    scene.add("002_two.py", endless(scene.flag, BODIES["Python code"], function=function))
    process = started("apply", *scene.options)
    wait_for(scene.flag.exists, process)
    end(process, signal.SIGTERM)
    assert process.returncode == 143
    assert scene.is_at_the_old_boundary()


def test_a_signal_during_a_rollback_leaves_the_migration_applied(started, homie, scene: Scene):
    scene.add("002_two.py", endless(scene.flag, "time.sleep(1000)", function="rollback_migration"))
    assert homie("apply", *scene.options).code == 0
    process = started("rollback", "tasks", *scene.options, "--yes")
    wait_for(scene.flag.exists, process)
    _, err = end(process, signal.SIGINT)
    assert process.returncode == 130
    assert "tasks:002_two was undone" in err
    assert recorded(scene.database) == ["tasks:001_one", "tasks:002_two"]
    assert query(scene.database, "SELECT * FROM one") == [(1, "must stay")]


def test_a_signal_in_a_long_statement_of_an_sql_file(started, scene: Scene):
    scene.add(
        "002_two.sql",
        "CREATE TABLE two (i);\nWITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n;\n",
    )
    process = started("apply", *scene.options)
    journal = scene.database.with_name(scene.database.name + "-journal")
    wait_for(lambda: journal.exists() and journal.stat().st_size, process)
    end(process, signal.SIGINT)
    assert process.returncode == 130
    assert scene.is_at_the_old_boundary()


def test_a_signal_in_wal_mode(started, scene: Scene):
    run_sql(scene.database, "PRAGMA journal_mode=WAL")
    scene.add("002_two.py", endless(scene.flag, BODIES["one long statement"]))
    process = started("apply", *scene.options)
    wait_for(scene.flag.exists, process)
    end(process, signal.SIGTERM)
    assert process.returncode == 143
    assert recorded(scene.database) == ["tasks:001_one"]
    assert query(scene.database, "SELECT * FROM one") == [(1, "must stay")]


def test_what_was_committed_before_stays_and_the_next_run_goes_on(started, homie, scene: Scene):
    scene.add("002_more.py", creates(2, "more"))
    scene.add("003_two.py", endless(scene.flag, "time.sleep(1000)", version=3))
    process = started("apply", *scene.options, "--json")
    wait_for(scene.flag.exists, process)
    out, _ = end(process, signal.SIGINT)
    document = read_document(["apply"], out)
    assert process.returncode == 130
    assert document["error"]["code"] == "run_stopped"
    assert document["databases"][0]["applied"] == ["tasks:002_more"]
    assert recorded(scene.database) == ["tasks:001_one", "tasks:002_more"]

    scene.add("003_two.py", creates(3, "two"))
    assert homie("apply", *scene.options).code == 0
    assert recorded(scene.database)[-1] == "tasks:003_two"


def test_a_new_database_that_was_interrupted_holds_nothing(started, homie, scene: Scene, tmp_path: Path):
    scene.add("002_two.py", endless(scene.flag, "time.sleep(1000)"))
    new = tmp_path / "new.db"
    process = started("apply", "--dir", scene.folder, "--database", new)
    wait_for(scene.flag.exists, process)
    end(process, signal.SIGTERM)
    assert process.returncode == 143
    assert not new.exists() or query(new, "SELECT * FROM sqlite_schema") == []
    assert homie("status", "--dir", scene.folder, "--database", new).out.startswith(f"{new}: new")


def test_after_a_signal_no_further_database_is_begun(started, scene: Scene, tmp_path: Path):
    scene.add("002_two.py", endless(scene.flag, "time.sleep(1000)"))
    other = tmp_path / "other.db"
    process = started("apply", *scene.options, "--database", other)
    wait_for(scene.flag.exists, process)
    end(process, signal.SIGINT)
    assert process.returncode == 130
    assert not other.exists()


# --- while others hold the file -------------------------------------------------------------------------------


def has_open(process, path: Path) -> bool:
    try:
        descriptors = list(Path(f"/proc/{process.pid}/fd").iterdir())
        return any(os.readlink(each) == str(path) for each in descriptors)
    except OSError:
        return False


@pytest.fixture
def locked(scene: Scene):
    """Somebody else is in the middle of a change."""
    connections: list[sqlite3.Connection] = []

    def lock(how: str) -> None:
        if how == "nothing more":
            connections.pop().close()
            return
        connections.append(sqlite3.connect(scene.database, isolation_level=None))
        connections[-1].execute(f"BEGIN {how}")

    yield lock
    for each in connections:
        each.close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux says which files a process has open")
@pytest.mark.parametrize(("number", "code"), SIGNALS, ids=NAMES)
@pytest.mark.parametrize("how", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_signal_ends_the_wait_for_a_lock(started, scene: Scene, locked, how: str, number: int, code: int):
    scene.add("002_two.py", creates(2, "two"))
    locked(how)
    process = started("apply", *scene.options, "--lock-timeout", "60")
    wait_for(lambda: has_open(process, scene.database), process)

    out, err = end(process, number)

    assert process.returncode == code, err
    assert "applied" not in out
    assert (
        one_line(without_waiting(err))
        == f"Error: Stopped on request in {scene.database}: no migration was running. Run it again to continue."
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
def test_a_signal_ends_every_other_commands_wait_for_a_lock_too(
    started, scene: Scene, locked, command: str, how: str, number: int, code: int
):
    arguments = scene.call(command)
    before = fingerprint(scene.database.parent)
    locked(how)
    process = started(*arguments, "--lock-timeout", "60")
    wait_for(lambda: has_open(process, scene.database), process)

    _out, err = end(process, number)

    assert process.returncode == code, err
    assert (
        one_line(without_waiting(err))
        == f"Error: Stopped on request in {scene.database}: no migration was running. Run it again to continue."
    )
    locked("nothing more")
    assert fingerprint(scene.database.parent) == before


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux says which files a process has open")
@pytest.mark.parametrize("command", ["status", "plan", "history"])
def test_ctrl_c_ends_a_command_that_waits_to_read(started, scene: Scene, locked, command: str):
    locked("EXCLUSIVE")
    process = started(command, *scene.options[:4], "--lock-timeout", "60")
    wait_for(lambda: has_open(process, scene.database), process)
    out, err = end(process, signal.SIGINT)
    assert process.returncode == 130
    assert (out, err) == ("", "Stopped.\n")


def test_the_librarys_should_stop_ends_the_wait_to_read_too(scene: Scene, locked):
    scene.add("002_two.py", creates(2, "two"))
    locked("EXCLUSIVE")
    asked_at = time.monotonic() + 0.3
    pack = MigrationPack("tasks", scene.folder)
    runner = MigrationRunner(scene.database, [pack], lock_timeout=60.0, should_stop=lambda: time.monotonic() > asked_at)
    with pytest.raises(RunStopped):
        runner.apply()


def test_a_lock_that_stays_is_told_after_the_time_out(homie, scene: Scene, locked):
    scene.add("002_two.py", creates(2, "two"))
    locked("EXCLUSIVE")
    for command in ("status", "plan", "history", "apply"):
        given = scene.options if command == "apply" else scene.options[:4]
        said = homie(command, *given, "--lock-timeout", "0.2", "--json")
        assert said.code == 1
        assert said.json["error"]["code"] == "lock_timeout"
        assert "after 0.2 s" in said.err
        assert len(problems(said.err)) == 1


def test_reading_is_not_held_up_by_a_writer_at_work(homie, scene: Scene, locked):
    locked("IMMEDIATE")
    assert homie("status", *scene.options[:4], "--lock-timeout", "0").code == 0


def test_a_run_that_must_wait_waits_and_goes_on(started, scene: Scene, locked):
    scene.add("002_two.py", creates(2, "two"))
    connection = sqlite3.connect(scene.database, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        process = started("apply", *scene.options, "-v")
        me = process_in_words(os.getpid())
        assert process.stderr.readline() == f"Waiting for {me}, which writes to {scene.database}.\n"
        assert process.stderr.readline() == f"  waiting for {me}\n"
        connection.execute("ROLLBACK")
        process.communicate(timeout=30)
    finally:
        connection.close()
    assert process.returncode == 0
    assert recorded(scene.database) == ["tasks:001_one", "tasks:002_two"]


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
def slow(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that copies a page in a tenth of a second; the database has hundreds of them."""
    run_sql(
        scene.database,
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
    started, scene: Scene, slow: dict[str, str], command: str, more: tuple[str, ...], phase: str, number: int, code: int
):
    arguments = scene.call(command, *more)
    before = fingerprint(scene.database.parent)
    process = started(*arguments, env=slow)
    wait_for(Path(slow["SLOW_COPIES"], phase.replace(" ", "_")).exists, process)

    _out, err = end(process, number)

    assert process.returncode == code, err
    assert one_line(err) == f"Error: Stopped on request in {scene.database}: no migration was running. Run it again to continue."
    assert fingerprint(scene.database.parent) == before
    assert {path.name for path in scene.database.parent.iterdir()} <= {"tasks", "homie_tasks.db", "copy.db"}


def test_a_signal_while_a_snapshot_is_put_back_into_a_wal(started, scene: Scene, slow: dict[str, str]):
    arguments = scene.call("restore", "--no-backup")
    run_sql(scene.database, "PRAGMA journal_mode=WAL")
    before = query(scene.database, "SELECT * FROM one")
    process = started(*arguments, env=slow)
    wait_for(Path(slow["SLOW_COPIES"], "restoring_the_snapshot").exists, process)
    _, err = end(process, signal.SIGTERM)
    assert process.returncode == 143, err
    assert query(scene.database, "SELECT * FROM one") == before
    assert query(scene.database, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize(("number", "code"), SIGNALS, ids=NAMES)
@pytest.mark.parametrize("body", [BODIES[name] for name in ("one long call", "one long statement")], ids=["call", "statement"])
def test_a_signal_ends_a_rehearsal_in_a_migration(started, scene: Scene, body: str, number: int, code: int):
    scene.add("002_two.py", endless(scene.flag, body))
    before = fingerprint(scene.database.parent)
    process = started("rehearse", *scene.options[:4])
    wait_for(scene.flag.exists, process)

    out, err = end(process, number)

    scene.flag.unlink()
    assert process.returncode == code, err
    assert out == ""
    assert one_line(err) == f"Error: Stopped on request in {scene.database}: tasks:002_two was undone. Run it again to continue."
    assert fingerprint(scene.database.parent) == before
    assert scene.is_at_the_old_boundary()


def test_after_a_signal_no_further_database_is_rehearsed(started, scene: Scene, tmp_path: Path):
    scene.add("002_two.py", endless(scene.flag, "time.sleep(1000)"))
    process = started("rehearse", *scene.options[:4], "--database", tmp_path / "other.db", "--json")
    wait_for(scene.flag.exists, process)
    out, _ = end(process, signal.SIGINT)
    document = read_document(["rehearse"], out)
    assert process.returncode == 130
    assert document["error"]["code"] == "run_stopped"
    assert [each["path"] for each in document["databases"]] == [str(scene.database)]


# --- a closed terminal ------------------------------------------------------------------------------------------


def test_a_closed_terminal_ends_a_rehearsal_and_leaves_no_copy(on_a_terminal, scene: Scene):
    """The process gets SIGHUP, and can no longer write to the terminal either."""
    scene.add("002_two.py", endless(scene.flag, "time.sleep(1000)"))
    before = fingerprint(scene.database.parent)
    terminal = on_a_terminal("rehearse", *scene.options[:4])
    wait_for(scene.flag.exists, terminal.process)
    terminal.hang_up()
    assert terminal.process.wait(timeout=SECONDS) == 129
    scene.flag.unlink()
    assert fingerprint(scene.database.parent) == before


def test_a_closed_terminal_undoes_a_run(on_a_terminal, scene: Scene):
    scene.add("002_two.py", endless(scene.flag, BODIES["many short statements"]))
    terminal = on_a_terminal("apply", *scene.options)
    wait_for(scene.flag.exists, terminal.process)
    terminal.hang_up()
    assert terminal.process.wait(timeout=SECONDS) == 129
    assert scene.is_at_the_old_boundary()


def test_a_second_sighup_does_not_disturb_the_undoing(started, scene: Scene):
    """A shell sends it to its jobs as well as the terminal does."""
    scene.add("002_two.py", endless(scene.flag, BODIES["Python code"]))
    process = started("apply", *scene.options)
    wait_for(scene.flag.exists, process)
    for _ in range(3):
        process.send_signal(signal.SIGHUP)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 129
    assert "tasks:002_two was undone" in err
    assert scene.is_at_the_old_boundary()


@pytest.mark.skipif(shutil.which("nohup") is None, reason="there is no nohup here")
def test_a_command_under_nohup_keeps_ignoring_sighup(scene: Scene):
    scene.add("002_two.py", endless(scene.flag, "time.sleep(1.5); return"))
    line = ["nohup", sys.executable, "-m", "homie_migrations_core", "migrations", "apply", *map(str, scene.options)]
    with subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(scene.flag.exists, process)
        process.send_signal(signal.SIGHUP)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert recorded(scene.database) == ["tasks:001_one", "tasks:002_two"]


def test_the_handlers_of_before_are_restored():
    before = {number: signal.getsignal(number) for number, _ in SIGNALS}
    with stop_on_signals(SignalStop()) as _:
        assert all(signal.getsignal(number) is not before[number] for number, _ in SIGNALS)
    assert {number: signal.getsignal(number) for number, _ in SIGNALS} == before


# --- the library ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", [1, 2, 3, 5, 8])
@pytest.mark.parametrize(
    "call", ["backup", "restore", "rehearse", "rehearse_rollback", "rehearse_reset", "rollback", "reset", "redo"]
)
def test_the_librarys_should_stop_ends_every_call_with_nothing_changed(scene: Scene, call: str, moment: int):
    scene.add("002_two.py", python_migration(2, "for i in range(99):\n    conn.execute('SELECT 1')"))
    arguments = {"restore": (scene.snapshot(),), "rehearse_rollback": ("tasks",), "rollback": ("tasks",), "redo": ("tasks",)}
    before = fingerprint(scene.database.parent)
    asked = []

    def should_stop() -> bool:
        asked.append(None)
        return len(asked) >= moment

    runner = MigrationRunner(scene.database, [MigrationPack("tasks", scene.folder)], should_stop=should_stop)
    try:
        getattr(runner, call)(*arguments.get(call, ()))
    except RunStopped as stopped:
        assert stopped.path == str(scene.database)
    else:  # it was not asked that often
        assert len(asked) < moment
        return
    assert fingerprint(scene.database.parent) == before


@pytest.mark.parametrize("call", ["backup", "restore", "rehearse", "baseline"])
def test_the_library_lets_ctrl_c_pass_with_nothing_changed(scene: Scene, call: str, monkeypatch: pytest.MonkeyPatch):
    from homie_migrations_core.progress import hearing_phases
    from homie_migrations_core.sqlite import copying, restoring

    scene.add("002_two.py", creates(2, "two"))
    arguments = {"restore": (scene.snapshot(),), "baseline": ("tasks", 2)}
    before = fingerprint(scene.database.parent)
    for module in (copying, restoring):
        monkeypatch.setattr(module, "PAGES_A_STEP", 1)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    runner = MigrationRunner(scene.database, [MigrationPack("tasks", scene.folder)])
    with hearing_phases(interrupt), pytest.raises(KeyboardInterrupt):
        getattr(runner, call)(*arguments.get(call, ()))
    assert fingerprint(scene.database.parent) == before


@pytest.mark.parametrize(("number", "code"), SIGNALS, ids=NAMES)
@pytest.mark.parametrize("command", ["validate", "schema"])
def test_a_signal_ends_a_replay(started, scene: Scene, command: str, number: int, code: int):
    endless = f"import time\nfrom pathlib import Path\ndef get_migration_version():\n    return 1\ndef apply_migration(conn):\n    Path({str(scene.flag)!r}).touch()\n    time.sleep(1000)\n"
    (scene.folder / "001_one.py").write_text(endless)
    process = started(command, "--dir", scene.folder, *(("--database", scene.database) if command == "validate" else ()), "--json")
    wait_for(scene.flag.exists, process)
    out, _ = end(process, number)
    assert process.returncode == code
    assert read_document([command], out)["error"]["code"] == "run_stopped"
