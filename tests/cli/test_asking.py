"""The question before a rollback: who is asked, what each answer does, and what happens if nobody can be asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import creates, fingerprint, recorded

TWO = {"001_one.py": creates(1, "one"), "002_two.py": creates(2, "two")}
COMMANDS = {"rollback": "Rolling back tasks:002_two in ", "redo": "Rolling back and applying again tasks:002_two in "}


@pytest.fixture
def options(homie, tmp_path: Path) -> tuple[object, ...]:
    """A database with two migrations applied."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    for name, content in TWO.items():
        (folder / name).write_text(content)
    given = ("--dir", folder, "--database", tmp_path / "homie_tasks.db", "--no-backup")
    assert homie("apply", *given).code == 0
    return given


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_terminal_and_without_yes_it_ends_with_2_and_nothing_changed(
    homie, homie_process, tmp_path: Path, options, command
):
    before = fingerprint(tmp_path)

    said, alone = homie(command, "tasks", *options, "--json"), homie_process(command, "tasks", *options)

    assert said.code == alone.code == 2
    assert said.json["error"]["code"] == "nobody_to_ask"
    assert said.json["databases"][0]["packs"][0]["current_version"] == 2
    assert "there is no terminal to ask on" in alone.err
    assert "--yes" in alone.err
    assert len(alone.err.splitlines()) == 1
    assert fingerprint(tmp_path) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_a_yes_that_is_piped_in_is_no_answer(homie, tmp_path: Path, options, command):
    before = fingerprint(tmp_path)
    assert homie(command, "tasks", *options, input="y\n").code == 2
    assert fingerprint(tmp_path) == before


@pytest.mark.parametrize("word", ["--yes", "-y"])
@pytest.mark.parametrize("command", COMMANDS)
def test_yes_on_the_command_line_needs_no_terminal(homie, tmp_path: Path, options, command, word):
    said = homie(command, "tasks", *options, word)
    assert (said.code, said.err) == (0, "")
    assert recorded(tmp_path / "homie_tasks.db") == ["tasks:001_one", *(["tasks:002_two"] if command == "redo" else [])]


@pytest.mark.parametrize("command", COMMANDS)
def test_yes_on_a_terminal_goes_on(on_a_terminal, tmp_path: Path, options, command):
    terminal = on_a_terminal(command, "tasks", *options, width=400)
    terminal.until("Go on?")
    assert f"{tmp_path / 'homie_tasks.db'} (from --database): an existing database" in terminal.seen
    assert f"{COMMANDS[command]}{tmp_path / 'homie_tasks.db'}. Data in the tables" in terminal.seen
    assert "may be lost; no snapshot is taken. Go on? [y/N]:" in terminal.seen
    terminal.type("y\n")
    assert terminal.ended() == 0
    assert "rolled back tasks:002_two" in terminal.seen
    assert ("applied tasks:002_two" in terminal.seen) == (command == "redo")


def test_the_question_says_that_a_snapshot_is_taken_and_one_is(on_a_terminal, tmp_path: Path, options):
    terminal = on_a_terminal("rollback", "tasks", *options[:4], width=300)
    terminal.until("Go on?")
    assert "a snapshot is taken first" in terminal.seen
    assert not (tmp_path / "backups").exists()
    terminal.type("y\n")
    assert terminal.ended() == 0
    assert len(list((tmp_path / "backups").iterdir())) == 1


@pytest.mark.parametrize("keys", ["n\n", "\n", "\x04"], ids=["no", "enter", "end of input"])
@pytest.mark.parametrize("command", COMMANDS)
def test_anything_but_yes_on_a_terminal_ends_with_1_and_nothing_changed(on_a_terminal, tmp_path: Path, options, command, keys):
    before = fingerprint(tmp_path)
    terminal = on_a_terminal(command, "tasks", *options, width=300)
    terminal.until("Go on?")
    terminal.type(keys)
    assert terminal.ended() == 1
    assert "was answered with no" in terminal.seen
    assert fingerprint(tmp_path) == before


def test_ctrl_c_at_the_question_ends_with_130_and_nothing_changed(on_a_terminal, tmp_path: Path, options):
    before = fingerprint(tmp_path)
    terminal = on_a_terminal("rollback", "tasks", *options, width=300)
    terminal.until("Go on?")
    terminal.type("\x03")
    assert terminal.ended(seconds=10) == 130
    assert "nothing was begun" in terminal.seen
    assert fingerprint(tmp_path) == before


def test_nothing_is_asked_if_there_is_nothing_to_roll_back(homie, options):
    homie("rollback", "tasks", *options, "--to", "0", "--yes")
    assert homie("rollback", "tasks", *options).code == 0
    assert homie("redo", "tasks", *options).code == 0


def test_apply_never_asks(on_a_terminal, homie, tmp_path: Path, options):
    homie("rollback", "tasks", *options, "--yes")
    terminal = on_a_terminal("apply", *options)
    assert terminal.ended() == 0
    assert "?" not in terminal.seen
