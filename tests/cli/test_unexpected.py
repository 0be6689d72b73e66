"""Unexpected exceptions, from a bug or from a pack: one plain message, an exit code, no traceback without -v."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import creates, problems, recorded
from json_documents import read_document

from homie_migrations_core.cli import entry
from homie_migrations_core.database_reader import DatabaseReader
from homie_migrations_core.runner import MigrationRunner


class Skipped(BaseException):
    """What `pytest.skip()` raises is one like this."""


PROBLEMS = {
    "an exception": (ZeroDivisionError("a bug"), "ZeroDivisionError: a bug"),
    "a base exception": (Skipped("not today"), "Skipped: not today"),
    "an exit with 0": (SystemExit(0), "SystemExit: 0"),
    "an exit with words": (SystemExit("bye"), "SystemExit: bye"),
    "one without words": (Skipped(), "Skipped"),
}


@pytest.fixture
def options(tmp_path: Path) -> tuple[object, ...]:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "001_one.py").write_text(creates(1, "one"))
    return ("--dir", tmp_path / "tasks", "--database", tmp_path / "a.db")


def raising(problem: BaseException):
    def fails(*_: object, **__: object) -> None:
        raise problem

    return fails


@pytest.mark.parametrize(("problem", "found"), PROBLEMS.values(), ids=PROBLEMS)
@pytest.mark.parametrize("command", ["status", "apply"])
def test_it_is_one_message_one_document_and_exit_code_1(homie, options, monkeypatch, command: str, problem, found: str):
    monkeypatch.setattr(DatabaseReader if command == "status" else MigrationRunner, command, raising(problem))
    result = homie(command, *options, "--json", bug=True)
    assert result.code == 1
    text = f"This should not have happened: {found}. Please report it, with the traceback that -v shows."
    assert problems(result.err) == [f"Error: {text}"]
    assert result.json["error"] == result.json["databases"][0]["error"] == {"code": "unexpected", "message": text}


@pytest.mark.parametrize(("problem", "found"), PROBLEMS.values(), ids=PROBLEMS)
def test_with_verbose_it_comes_with_its_traceback(homie, options, monkeypatch, problem, found: str):
    monkeypatch.setattr(DatabaseReader, "status", raising(problem))
    result = homie("status", *options, "-v", bug=True)
    assert result.code == 1
    assert result.err.startswith("Traceback (most recent call last):\n")
    assert f"Error: This should not have happened: {found}." in result.err


@pytest.mark.parametrize("problem", [ZeroDivisionError("a bug"), Skipped("not today")], ids=["exception", "base exception"])
def test_the_document_has_the_state_of_the_database_after_it(homie, options, monkeypatch, problem):
    monkeypatch.setattr(MigrationRunner, "apply", raising(problem))
    result = homie("apply", *options, "--json", bug=True)
    (database,) = result.json["databases"]
    assert [each["state"] for each in database["packs"]] == ["pending"]


def test_it_does_not_stop_the_work_on_another_database(homie, options, tmp_path: Path, monkeypatch):
    apply = MigrationRunner.apply

    def fails_once(self: MigrationRunner, *arguments: object, **more: object):
        if self.path.name == "a.db":
            raise Skipped("not this one")
        return apply(self, *arguments, **more)

    monkeypatch.setattr(MigrationRunner, "apply", fails_once)
    result = homie("apply", *options, "--database", tmp_path / "b.db", bug=True)
    assert result.code == 1
    assert "Skipped: not this one" in result.err
    assert recorded(tmp_path / "b.db") == ["tasks:001_one"]


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(("problem", "found"), [PROBLEMS["an exception"], PROBLEMS["a base exception"]])
def test_outside_a_command_it_is_a_message_too(monkeypatch, capsys, problem, found: str, as_json: bool):
    monkeypatch.setattr(entry, "_run", raising(problem))
    with pytest.raises(SystemExit) as ended:
        entry.main(["migrations", "status", *(["--json"] if as_json else [])])
    result = capsys.readouterr()
    assert ended.value.code == 1
    assert problems(result.err)[0].startswith(f"Error: This should not have happened: {found}.")
    if as_json:
        assert read_document(["status"], result.out)["error"]["code"] == "unexpected"
    else:
        assert result.out == ""


def test_ctrl_c_outside_of_a_run_ends_with_130(homie, options, monkeypatch):
    monkeypatch.setattr(DatabaseReader, "status", raising(KeyboardInterrupt()))
    result = homie("status", *options)
    assert (result.code, result.err) == (130, "Stopped.\n")
