"""The question before a rollback: when it is asked, what each answer does, and what happens without a terminal."""

from __future__ import annotations

import io
import os
import select
import signal
import tempfile
import threading
import time
from pathlib import Path

import pytest
from helpers import creates, fingerprint, problems, python_migration, recorded, run_sql
from json_documents import read_document

from homie_migrations_core.cli.asking import read_line

TWO = {"001_one.py": creates(1, "one"), "002_two.py": creates(2, "two")}
COMMANDS = {
    "rollback": "Rolling back tasks:002_two in ",
    "redo": "Rolling back and applying again tasks:002_two in ",
    "reset": "Rolling back tasks:002_two, tasks:001_one in ",
}


def call(command: str) -> tuple[str, ...]:
    """The command with its pack, where it takes one."""
    return (command,) if command == "reset" else (command, "tasks")


AFTER = {"rollback": ["tasks:001_one"], "redo": ["tasks:001_one", "tasks:002_two"], "reset": []}


@pytest.fixture
def options(homie, tmp_path: Path) -> tuple[object, ...]:
    """A database with two migrations applied."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    for name, content in TWO.items():
        (folder / name).write_text(content)
    given = ("--dir", folder, "--database", tmp_path / "homie_tasks.db")
    assert homie("apply", *given, "--no-backup").code == 0
    return given


def without_backup(command: str, options: tuple[object, ...]) -> tuple[object, ...]:
    """A reset always takes one."""
    return options if command == "reset" else (*options, "--no-backup")


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_terminal_and_without_yes_it_ends_with_2_and_nothing_changed(
    homie, homie_process, tmp_path: Path, options, command
):
    before = fingerprint(tmp_path)

    result, alone = (
        homie(*call(command), *without_backup(command, options), "--json"),
        homie_process(*call(command), *without_backup(command, options)),
    )

    assert result.code == alone.code == 2
    assert result.json["error"]["code"] == "nobody_to_ask"
    assert result.json["databases"][0]["packs"][0]["current_version"] == 2
    assert "there is no terminal to ask on" in alone.err
    assert "--yes" in alone.err
    assert len(problems(alone.err)) == 1
    assert fingerprint(tmp_path) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_a_yes_from_a_pipe_is_not_an_answer(homie, tmp_path: Path, options, command):
    before = fingerprint(tmp_path)
    assert homie(*call(command), *without_backup(command, options), input="y\n").code == 2
    assert fingerprint(tmp_path) == before


@pytest.mark.parametrize("word", ["--yes", "-y"])
@pytest.mark.parametrize("command", COMMANDS)
def test_yes_on_the_command_line_needs_no_terminal(homie, tmp_path: Path, options, command, word):
    result = homie(*call(command), *without_backup(command, options), word)
    assert (result.code, result.err) == (0, "")
    assert recorded(tmp_path / "homie_tasks.db") == AFTER[command]


@pytest.mark.parametrize("command", COMMANDS)
def test_yes_on_a_terminal_continues(on_a_terminal, tmp_path: Path, options, command):
    terminal = on_a_terminal(*call(command), *without_backup(command, options), width=400)
    terminal.until("Go on?")
    assert f"{tmp_path / 'homie_tasks.db'} (from --database): an existing database" in terminal.seen
    snapshot = "a snapshot is taken first" if command == "reset" else "no snapshot is taken"
    question = f"{COMMANDS[command]}{tmp_path / 'homie_tasks.db'}. No table would have fewer rows, and no column fewer values; values that change are not counted; {snapshot}. Go on? [y/N]:"
    assert question in terminal.seen
    assert "rolled back tasks" not in terminal.seen
    assert "applied tasks" not in terminal.seen
    terminal.type("y\n")
    assert terminal.ended() == 0
    assert terminal.seen.count("rolled back tasks:002_two") == 1
    assert terminal.seen.count("applied tasks:002_two") == (command == "redo")
    assert recorded(tmp_path / "homie_tasks.db") == AFTER[command]


# --- what would be lost ---------------------------------------------------------------------------------------------


@pytest.fixture
def used(options, tmp_path: Path) -> tuple[object, ...]:
    """People have worked with it since then."""
    run_sql(tmp_path / "homie_tasks.db", "INSERT INTO one (text) VALUES ('a'); INSERT INTO two (text) VALUES ('b'), ('c');")
    return options


@pytest.mark.parametrize(
    ("command", "lost"),
    [
        (("rollback", "tasks"), "This would be lost: 2 rows of two"),
        (("rollback", "tasks", "--to", "0"), "This would be lost: 1 row of one, 2 rows of two"),
        (("redo", "tasks"), "This would be lost: 2 rows of two"),
        (("reset",), "This would be lost: 1 row of one, 2 rows of two"),
    ],
    ids=["rollback", "rollback to 0", "redo", "reset"],
)
def test_the_question_counts_what_would_be_lost(on_a_terminal, tmp_path: Path, used, command, lost: str):
    before = fingerprint(tmp_path)
    terminal = on_a_terminal(*command, *used, width=400)
    terminal.until("Go on?")
    assert f". {lost}; a snapshot is taken first. Go on? [y/N]:" in terminal.seen
    assert "rolled back tasks" not in terminal.seen
    terminal.type("n\n")
    assert terminal.ended() == 1
    assert "rolled back tasks" not in terminal.seen
    assert fingerprint(tmp_path) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_the_answer_no_prevents_a_rollback_with_json_too(on_a_terminal, tmp_path: Path, used, command: str):
    before = fingerprint(tmp_path)
    terminal = on_a_terminal(*call(command), *used, "--json", width=400)
    terminal.until("Go on?")
    terminal.type("n\n")
    assert terminal.ended() == 1
    document = read_document(call(command), terminal.seen[terminal.seen.index("\n{") :])
    assert document["error"]["code"] == "confirmation_denied"
    (database,) = document["databases"]
    assert database["redone" if command == "redo" else "rolled_back"] == []
    assert fingerprint(tmp_path) == before


def test_a_rollback_that_would_fail_is_reported_before_the_question(on_a_terminal, homie, tmp_path: Path, options):
    (tmp_path / "tasks" / "003_three.py").write_text(python_migration(3, "pass", rollback="raise RuntimeError('not this way')"))
    assert homie("apply", *options, "--no-backup").code == 0
    before = fingerprint(tmp_path)
    for command in COMMANDS:
        terminal = on_a_terminal(*call(command), *options, width=400)
        assert terminal.ended() == 1
        assert "Go on?" not in terminal.seen
        assert "not this way" in terminal.seen
        assert "Rolling back tasks:003_three failed" in terminal.seen
        assert "rolled back tasks" not in terminal.seen
        assert fingerprint(tmp_path) == before


NO_ROOM = """
import shutil
from collections import namedtuple

shutil.disk_usage = lambda path: namedtuple("usage", "total used free")(2_000, 1_000, 1_000)
"""


@pytest.mark.parametrize("command", ["rollback", "redo"])
def test_without_room_for_the_copy_the_question_says_so(
    on_a_terminal, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, used, command: str
):
    place = tmp_path_factory.mktemp("full")
    (place / "sitecustomize.py").write_text(NO_ROOM)
    terminal = on_a_terminal(*call(command), *used, "--no-backup", width=600, PYTHONPATH=str(place))
    terminal.until("Go on?")
    assert "Data in the tables and columns that they made may be lost: it could not be counted (" in terminal.seen
    assert "and 1.0 kB are free); no snapshot is taken. Go on?" in terminal.seen
    terminal.type("y\n")
    assert terminal.ended() == 0
    assert recorded(tmp_path / "homie_tasks.db") == AFTER[command]


@pytest.mark.parametrize("command", COMMANDS)
def test_yes_makes_no_copy_to_count_on(homie, used, command: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **_: pytest.fail("a copy was made"))
    assert homie(*call(command), *used, "--yes").code == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_terminal_no_copy_is_made(homie, used, command: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **_: pytest.fail("a copy was made"))
    assert homie(*call(command), *used).code == 2


# --- the answer -----------------------------------------------------------------------------------------------------


def test_the_question_says_that_a_snapshot_is_taken_and_one_is(on_a_terminal, tmp_path: Path, options):
    terminal = on_a_terminal("rollback", "tasks", *options, width=300)
    terminal.until("Go on?")
    assert "a snapshot is taken first" in terminal.seen
    assert not (tmp_path / "backups").exists()
    terminal.type("y\n")
    assert terminal.ended() == 0
    assert len(list((tmp_path / "backups").rglob("*.auto.db"))) == 1


@pytest.mark.parametrize("keys", ["n\n", "\n", "\x04"], ids=["no", "enter", "end of input"])
@pytest.mark.parametrize("command", COMMANDS)
def test_anything_but_yes_on_a_terminal_ends_with_1_and_nothing_changed(on_a_terminal, tmp_path: Path, options, command, keys):
    before = fingerprint(tmp_path)
    terminal = on_a_terminal(*call(command), *without_backup(command, options), width=300)
    terminal.until("Go on?")
    terminal.type(keys)
    assert terminal.ended() == 1
    assert "was not confirmed" in terminal.seen
    assert fingerprint(tmp_path) == before


@pytest.mark.parametrize(
    ("number", "code"),
    [(getattr(signal, name), code) for name, code in (("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)) if hasattr(signal, name)],
)
def test_a_signal_at_the_question_ends_it_and_nothing_is_changed(on_a_terminal, tmp_path: Path, options, number: int, code: int):
    before = fingerprint(tmp_path)
    terminal = on_a_terminal("rollback", "tasks", *options, width=300)
    terminal.until("Go on?")
    if number == signal.SIGINT:
        terminal.type("\x03")
    else:
        terminal.process.send_signal(number)
    assert terminal.ended(seconds=10) == code
    assert "no migration was running" in terminal.seen
    assert "\nError: Stopped on request" in terminal.seen
    assert fingerprint(tmp_path) == before


def test_an_answer_that_is_neither_yes_nor_no_is_asked_again(on_a_terminal, tmp_path: Path, options):
    terminal = on_a_terminal("rollback", "tasks", *options, "--no-backup", width=300)
    terminal.until("Go on?")
    terminal.type("perhaps\n")
    terminal.until("Please answer y or n.")
    terminal.type("YES\n")
    assert terminal.ended() == 0
    assert terminal.seen.count("Go on? [y/N]: ") == 2
    assert recorded(tmp_path / "homie_tasks.db") == ["tasks:001_one"]


# --- waiting for a line ---------------------------------------------------------------------------------------------


@pytest.fixture
def pipe():
    """A stream that a line can be read from, and the end to write to."""
    reading, writing = os.pipe()
    with open(reading, encoding="utf-8") as stream, open(writing, "wb", buffering=0) as end:
        yield stream, end


@pytest.mark.skipif(os.name == "nt", reason="Windows reads a line in one go")
def test_a_signal_that_comes_just_before_the_wait_ends_it(pipe, monkeypatch: pytest.MonkeyPatch):
    """A blocking read would miss it: the handler has been called already, or is called only after the read."""
    stream, end = pipe
    waiting, woken = select.select, []

    def select_late(*arguments: object) -> object:
        if not woken:
            os.kill(os.getpid(), signal.SIGTERM)
        ready = waiting(*arguments, 5)
        if not woken:
            end.write(b"yes\n")
        woken.append(ready[0])
        return ready

    monkeypatch.setattr(select, "select", select_late)
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        assert read_line(stream) == "yes\n"
    finally:
        signal.signal(signal.SIGTERM, before)
    (first, second) = woken
    assert len(first) == 1
    assert first != [stream.fileno()]
    assert second == [stream.fileno()]


@pytest.mark.skipif(os.name == "nt", reason="Windows reads a line in one go")
def test_the_wait_continues_after_a_signal_whose_handler_does_not_raise(pipe):
    stream, end = pipe
    heard: list[int] = []

    def handle(number: int, _: object) -> None:
        heard.append(number)
        end.write("später\n".encode())

    before = signal.signal(signal.SIGTERM, handle)
    try:
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM))
        timer.start()
        assert read_line(stream) == "später\n"
        timer.join()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]
    assert signal.set_wakeup_fd(-1) == -1  # nothing is left behind


def test_a_line_may_come_in_pieces_and_the_end_of_the_input_is_an_empty_line(pipe):
    stream, end = pipe

    def write() -> None:
        for piece in (b"y", b"e", b"s\n"):
            end.write(piece)
            time.sleep(0.05)
        end.close()

    writer = threading.Thread(target=write)
    writer.start()
    assert read_line(stream) == "yes\n"
    writer.join()
    assert read_line(stream) == ""


def test_a_stream_in_memory_is_read_as_it_is():
    stream = io.StringIO("yes\nno")
    assert [read_line(stream), read_line(stream), read_line(stream)] == ["yes\n", "no", ""]


def test_off_the_main_thread_a_line_is_read_without_signals(pipe):
    stream, end = pipe
    end.write(b"yes\n")
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.append(read_line(stream)))
    reader.start()
    reader.join()
    assert lines == ["yes\n"]


def test_nothing_is_asked_if_there_is_nothing_to_roll_back(homie, options):
    homie("rollback", "tasks", *options, "--to", "0", "--yes")
    for command in COMMANDS:
        assert homie(*call(command), *options).code == 0


def test_apply_never_asks(on_a_terminal, homie, tmp_path: Path, options):
    homie("rollback", "tasks", *options, "--yes")
    terminal = on_a_terminal("apply", *options)
    assert terminal.ended() == 0
    assert "?" not in terminal.seen
