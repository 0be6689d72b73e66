"""
`--progress json`: what a run does as lines of JSON on stderr, on which there is nothing else.

The fixtures hold every line to its schema.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cli.migration_folder import MigrationFolder
from helpers import creates, python_migration, run_sql, snapshot_folder
from json_documents import check, read_document, read_events
from pages.generated import commands

from homie_migrations_core.cli import event_progress
from homie_migrations_core.cli.documents import events as documents
from homie_migrations_core.cli.event_lines import EventLines
from homie_migrations_core.progress import COPYING
from homie_migrations_core.runner import MigrationRunner

JSON = "--progress=json"
LOUD = """
print("by itself", file=sys.stderr)
print("a line, and ", end="", file=sys.stderr)
print("its end", file=sys.stderr)
sys.stderr.buffer.write(b"bytes \\xff\\n")
subprocess.run([sys.executable, "-c", "import os; os.write(2, b'by a child\\\\nwithout an end')"], check=True)
warnings.warn("a warning", stacklevel=1)
"""


def names(events: Sequence[dict[str, Any]]) -> list[str]:
    return [each["event"] for each in events]


def only(events: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = [each for each in events if each["event"] == name]
    return found


def test_a_run_is_reported_from_its_plan_to_its_end(homie, tasks: MigrationFolder):
    tasks.add({"003_three.py": python_migration(3, "list(track(range(3)))", head="from homie_migrations_core import track")})
    result = homie("apply", *tasks.options, "--progress", "json")
    assert result.code == 0
    assert names(result.events) == [
        "run_started",
        *["step_started"] * 3,  # a new database is built in one transaction
        "step_progress",
        *["step_finished"] * 3,
        "run_finished",
    ]
    steps = [{"ref": f"tasks:{name}", "direction": "apply"} for name in ("001_one", "002_two", "003_three")]
    assert result.events[0]["steps"] == result.events[-1]["finished"] == steps
    assert {(each["path"], each["rehearsal"]) for each in result.events} == {(str(tasks.database), False)}
    assert [{key: each[key] for key in ("ref", "direction")} for each in result.events[1:4]] == steps
    assert (result.events[4]["ref"], result.events[4]["done"], result.events[4]["total"]) == ("tasks:003_three", 3, 3)
    times = [each["at"] for each in result.events]
    assert times == sorted(times)
    assert all(each.startswith("20") and each.endswith("Z") for each in times)


def test_results_and_the_document_stay_on_stdout(homie, tasks: MigrationFolder):
    result = homie("apply", *tasks.options, JSON, "--to", "tasks:1")
    assert result.out.splitlines() == [f"{tasks.database} (from --database): a new database", "  applied tasks:001_one"]
    result = homie("apply", *tasks.options, JSON, "--json", "--no-backup")
    assert result.json["databases"][0]["applied"] == ["tasks:002_two"]
    assert names(result.events) == ["run_started", "step_started", "step_finished", "run_finished"]
    assert names(homie("apply", *tasks.options, JSON, "-q").events) == []


def test_a_failure_event_has_the_code_and_message_of_the_document(homie, tasks: MigrationFolder):
    homie("apply", *tasks.options)
    tasks.add({"003_three.py": creates(3, "three"), "004_four.py": python_migration(4, "raise ValueError('no')")})
    result = homie("apply", *tasks.options, "--no-backup", JSON, "--json")
    assert result.code == 1
    assert names(result.events) == [
        "run_started",
        *["step_started", "step_finished"],
        *["step_started", "step_failed"],
        "run_finished",
        "error",
    ]
    assert result.events[5]["finished"] == [{"ref": "tasks:003_three", "direction": "apply"}]
    failed, error = only(result.events, "step_failed"), result.events[-1]
    assert (failed["ref"], failed["code"]) == ("tasks:004_four", "migration_failed")
    assert (error["code"], error["message"], error["path"]) == (*result.json["error"].values(), str(tasks.database))
    assert failed["message"] == error["message"]
    assert "traceback" not in error


def test_a_traceback_is_part_of_its_error(homie, tasks: MigrationFolder):
    tasks.add({"003_three.py": python_migration(3, "raise ValueError('no')")})
    result = homie("apply", *tasks.options, JSON, "-v")
    assert "ValueError: no" in only(result.events, "error")["traceback"]


def test_every_line_on_stderr_becomes_a_message(homie_process, tasks: MigrationFolder):
    tasks.add({"003_loud.py": python_migration(3, LOUD, head="import subprocess, sys, warnings")})
    result = homie_process("apply", *tasks.options, JSON, "--json", env={**os.environ, "PYTHONWARNINGS": "default"})
    assert (result.code, result.json["error"]) == (0, None)
    messages = [each["text"] for each in result.events if each["event"] == "message"]
    assert {"by itself", "a line, and its end", "bytes \\xff", "by a child", "without an end"} <= set(messages)
    assert [each for each in messages if each.endswith("UserWarning: a warning")]
    assert [each for each in names(result.events) if each != "message"][-1] == "run_finished"


def test_what_a_migration_prints_to_stdout_is_a_message_beside_a_document(homie_process, tasks: MigrationFolder):
    body = "print('by itself')\nsubprocess.run([sys.executable, '-c', 'print(\"by a child\")'], check=True)"
    tasks.add({"003_loud.py": python_migration(3, body, head="import subprocess, sys")})
    result = homie_process("apply", *tasks.options, JSON, "--json")
    assert result.json["error"] is None
    assert {each["text"] for each in result.events if each["event"] == "message"} == {"by itself", "by a child"}


def test_a_child_that_keeps_running_does_not_delay_the_end(started, tasks: MigrationFolder, tmp_path: Path):
    body = f"Path({str(tmp_path / 'child')!r}).write_text(str(subprocess.Popen(['sleep', '60'], stdout=subprocess.DEVNULL).pid))"
    head = "import subprocess\nfrom pathlib import Path\nsubprocess.Popen.__del__ = lambda self: None"
    tasks.add({"003_leaves.py": python_migration(3, body, head=head)})
    process = started("apply", *tasks.options, JSON)
    assert process.wait(timeout=20) == 0
    os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)
    assert names(read_events(process.communicate()[1]))[-1] == "run_finished"


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_is_reported_as_an_error(started, tasks: MigrationFolder, tmp_path: Path):
    flag = tmp_path / "begun"
    tasks.add(
        {
            "003_long.py": python_migration(
                3, f"Path({str(flag)!r}).touch()\ntime.sleep(1000)", head="import time\nfrom pathlib import Path"
            )
        }
    )
    process = started("apply", *tasks.options, JSON, "--json")
    deadline = time.monotonic() + 30
    while not flag.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert read_document(["apply"], out)["error"]["code"] == "run_stopped"
    events = read_events(err)
    assert names(events)[-3:] == ["step_failed", "run_finished", "error"]
    assert [each["code"] for each in events if "code" in each] == ["run_stopped", "run_stopped"]


def test_ctrl_c_outside_of_a_run_is_an_error_too(homie, tasks: MigrationFolder, monkeypatch):
    def interrupted(self, *_: object, **__: object):
        raise KeyboardInterrupt

    monkeypatch.setattr(MigrationRunner, "apply", interrupted)
    result = homie("apply", *tasks.options, JSON)
    assert result.code == 130
    assert (only(result.events, "error")["code"], only(result.events, "error")["message"]) == ("run_stopped", "Stopped.")


# --- phases ------------------------------------------------------------------------------------------------


def phases(events: Sequence[dict[str, Any]]) -> set[str]:
    return {each["phase"] for each in events if each["event"] == "phase"}


def test_a_wait_event_names_the_process(homie, tasks: MigrationFolder):
    homie("apply", *tasks.options, "--to", "tasks:1")
    other = sqlite3.connect(tasks.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    result = homie("apply", *tasks.options, "--lock-timeout", "0.3", JSON)
    other.close()
    assert result.code == 1
    wait = only(result.events, "phase")
    assert (wait["phase"], wait["done"], wait["total"], wait["path"]) == ("wait", None, None, str(tasks.database))
    assert wait["what"].startswith("waiting for ")
    assert only(result.events, "error")["code"] == "lock_timeout"
    assert "message" not in names(result.events)


def test_copies_report_their_progress(homie, tasks: MigrationFolder):
    homie("apply", *tasks.options, "--to", "tasks:1")
    run_sql(tasks.database, "INSERT INTO one VALUES (1, zeroblob(3000000))")
    rehearsed = homie("rehearse", *tasks.options, JSON).events
    applied = homie("apply", *tasks.options, JSON).events
    snapshot = next(snapshot_folder(tasks.database).iterdir())
    restored = homie("restore", snapshot, "--yes", *tasks.options, JSON).events
    assert phases(rehearsed) == {"copy"}
    assert phases(applied) == {"snapshot"}
    assert phases(restored) == {"snapshot", "restore"}
    for events in (rehearsed, applied, restored):
        last = [each for each in events if each["event"] == "phase"][-1]
        assert last["done"] == last["total"] > 700


def test_a_long_copy_is_reported_a_few_times_a_second(tmp_path: Path, monkeypatch):
    reported: list[tuple[object, object]] = []

    class Report:
        path = tmp_path
        whole = type("Whole", (), {"shows_bars": False})()

    class Events:
        def emit(self, event: str, **facts: object) -> None:
            reported.append((facts["phase"], facts["done"]))

    now = iter(step / 20 for step in range(100))
    monkeypatch.setattr(event_progress.time, "monotonic", lambda: next(now))
    progress = event_progress.EventProgress(Report(), Events(), rehearsal=False)  # type: ignore[arg-type]
    for done in range(1, 8):
        progress.phase(COPYING, done, 7)
    assert reported == [("copy", done) for done in (1, 3, 5, 7)]


def test_a_rehearsal_says_that_it_is_one(homie, tasks: MigrationFolder):
    events = homie("rehearse", *tasks.options, JSON).events
    assert {each["rehearsal"] for each in events} == {True}
    assert {each["path"] for each in events} == {str(tasks.database)}
    assert names(events)[-1] == "run_finished"
    assert not tasks.database.exists()


def test_what_would_fail_in_a_rehearsal_is_an_error(homie, tasks: MigrationFolder):
    tasks.add({"003_three.py": python_migration(3, "raise ValueError('no')")})
    result = homie("rehearse", *tasks.options, JSON, "--json")
    error = only(result.events, "error")
    assert error["message"].startswith("In a rehearsal: Applying tasks:003_three failed")
    assert (error["code"], error["message"], error["path"]) == (*result.json["error"].values(), str(tasks.database))


def test_a_check_reports_the_pack_in_progress(homie, tasks: MigrationFolder):
    result = homie("check", "--dir", tasks.folder, JSON)
    phase = only(result.events, "phase")
    assert (phase["phase"], phase["what"], phase["done"], phase["total"]) == ("check", "checking tasks", 0, 1)
    assert phase["path"] is None


# --- commands and refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "direction"),
    [
        (("rollback", "tasks", "--yes"), ["rollback"]),
        (("redo", "tasks", "--yes"), ["rollback", "apply"]),
        (("reset", "--yes"), ["rollback", "rollback"]),
        (("backup",), []),
        (("repair", "tasks:2", "--remove", "--yes"), []),
    ],
    ids=lambda each: each[0] if isinstance(each, tuple) else "",
)
def test_every_changing_command_writes_its_events(homie, tasks: MigrationFolder, line: tuple[str, ...], direction: list[str]):
    homie("apply", *tasks.options)
    result = homie(*line, *tasks.options, JSON)
    assert result.code == 0
    assert [each["direction"] for each in result.events if each["event"] == "step_finished"] == direction
    assert "message" not in names(result.events)


def test_a_baseline_reports_its_snapshot(homie, tasks: MigrationFolder):
    run_sql(tasks.database, "CREATE TABLE one (id INTEGER PRIMARY KEY, text TEXT)")
    result = homie("baseline", "tasks", "1", *tasks.options, JSON)
    assert result.code == 0
    assert phases(result.events) == {"snapshot"}


def test_the_commands_that_have_the_option():
    having = {name for name, command in commands().items() if any("--progress" in each.opts for each in command.params)}
    changing = {"apply", "rollback", "redo", "reset", "repair", "baseline", "backup", "restore"}
    assert having == changing | {"rehearse", "check", "fleet apply", "fleet status", "fleet validate"}


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (("rollback", "tasks"), "nobody_to_ask"),
        (("apply", "--to", "x"), "unknown_target"),
        (("apply", "--nonsense"), "usage"),
        (("rollback",), "usage"),
        (("rollback", "tasks", "--steps", "1", "--to", "1"), "usage"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else each,
)
def test_a_refusal_is_one_line(homie, tasks: MigrationFolder, line: tuple[str, ...], code: str):
    homie("apply", *tasks.options)
    result = homie(*line, *tasks.options, "--json", "--progress", "json")
    assert result.code == 2
    (error,) = result.events
    assert (error["event"], error["code"], error["message"]) == ("error", *result.json["error"].values())
    assert error["code"] == code


def test_a_command_that_is_not_known_is_refused_in_the_same_way(homie):
    (error,) = homie("aply", "--progress", "json").events
    assert (error["code"], error["path"]) == ("usage", None)


def test_another_word_behind_the_option_is_refused(homie, tasks: MigrationFolder):
    result = homie("apply", *tasks.options, "--progress", "xml")
    assert result.code == 2
    assert "'xml' is not one of 'auto', 'json', 'none'" in result.err
    assert not tasks.database.exists()


def test_broken_packs_and_those_left_out_are_reported(homie, installed):
    installed.pack("tasks", {"001_one.py": creates(1, "one")}, database="homie_all.db")
    installed.pack("odd", {"1.py": ""}, database="homie_all.db")
    installed.pack("late", {"001_x.py": creates(1, "x", requires=("odd:1",))}, database="homie_all.db")
    result = homie("apply", JSON, "--json")
    assert result.code == 1
    broken = only(result.events, "broken")
    assert {key: broken[key] for key in ("entry_point", "distribution", "reason")} in result.json["broken"]
    assert only(result.events, "left_out")["pack"] == "late"
    assert "message" not in names(result.events)


def test_a_question_is_a_message(on_a_terminal, homie, tasks: MigrationFolder):
    homie("apply", *tasks.options)
    terminal = on_a_terminal("rollback", "tasks", *tasks.options, JSON, width=1000)
    terminal.until("Go on? [y/N]")
    terminal.type("n\n")
    assert terminal.ended() == 1
    events = [json.loads(line) for line in terminal.seen.splitlines() if line.startswith("{")]
    assert names(events)[-2:] == ["message", "error"]
    assert events[-2]["text"].endswith("Go on? [y/N]: ")
    assert events[-1]["code"] == "confirmation_denied"


def test_a_fleet_reports_each_database_that_is_done(homie, tasks: MigrationFolder, tmp_path: Path):
    odd = tmp_path / "odd.db"
    odd.write_text("not a database " * 100)
    line = (tmp_path / "one.db", odd, "--dir", tasks.folder, "--create", "--executor", "threads", "--jobs", "1")
    result = homie("fleet", "apply", *line, JSON, "--json")
    assert result.code == 2
    done = [each for each in result.events if each["event"] == "database_finished"]
    assert [(each["path"], each["state"], each["error_code"], each["done"], each["total"]) for each in done] == [
        (str(tmp_path / "one.db"), "applied", None, 1, 2),
        (str(odd), "failed", "not_a_database", 2, 2),
    ]


# --- the other ways ----------------------------------------------------------------------------------------


def test_auto_is_what_happens_without_the_option(homie, tasks: MigrationFolder):
    homie("apply", *tasks.options)
    tasks.add({"003_three.py": python_migration(3, "raise ValueError('no')")})
    with_it, without_it = homie("apply", *tasks.options, "--progress", "auto"), homie("apply", *tasks.options)
    assert (with_it.code, with_it.out, with_it.err) == (without_it.code, without_it.out, without_it.err)
    assert with_it.events is None


def test_none_shows_no_bar_on_a_terminal(on_a_terminal, tasks: MigrationFolder, tmp_path: Path):
    (tmp_path / "sitecustomize.py").write_text("from homie_migrations_core.cli import progress\nprogress.SHOWN_AFTER = 0.01\n")
    tasks.add({"003_long.py": python_migration(3, "time.sleep(0.5)", head="import time")})
    terminal = on_a_terminal("apply", *tasks.options, "--progress", "none", PYTHONPATH=str(tmp_path))
    assert terminal.ended() == 0
    assert "since" not in terminal.seen
    assert "applied tasks:003_long" in terminal.seen


def test_a_run_continues_with_a_closed_stderr(monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    with EventLines() as events:
        events.emit("message", text="x")
        events.message("y")


def test_every_kind_of_event_has_its_own_name():
    kinds = [each.__annotations__["event"].__forward_arg__ for each in documents.EVENTS]
    assert len(kinds) == len(set(kinds))
    with pytest.raises(AssertionError):
        check("progress", {"event": "step_begun", "at": "2026-01-05T09:30:00.000Z"})
