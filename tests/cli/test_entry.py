"""The most common commands run with or without Typer, and the user sees no difference."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from helpers import creates
from json_documents import read_document

from homie_migrations_core.cli import entry
from homie_migrations_core.cli.app import app, run

COMMANDS = sorted(entry.WITHOUT_TYPER)


def parsed(command: str, arguments: list[str]) -> dict[str, object] | None:
    """What the fast way makes of a command line."""
    return entry.parse_options(entry.options_of(command)[1].declared(), arguments)


def options_of_typer(command: str) -> dict[str, Any]:
    """The options of a command, by each of their names, as Typer's command has them."""
    group = typer.main.get_command(app)
    context = typer.Context(group)
    migrations = group.get_command(context, "migrations")
    found = migrations.get_command(context, command)
    assert all(hasattr(each, "opts") and each.param_type_name == "option" for each in found.params)
    return {name: each for each in found.params for name in (*each.opts, *each.secondary_opts)}


@pytest.mark.parametrize("command", COMMANDS)
def test_options_are_the_same_with_and_without_typer(command: str):
    """An option that only one way knew would be slow, or undocumented."""
    flags = {flag for option in entry.options_of(command)[1].declared().values() for flag in option.flags}
    assert flags == set(options_of_typer(command))
    for name, option in options_of_typer(command).items():
        value = [] if option.is_flag else ["2.5" if "timeout" in name else "json" if name == "--progress" else "x"]
        found = parsed(command, [name, *value])
        if name == "--keep":  # a number with a lowest value: Typer's business
            assert found is None
            continue
        expected = True if option.is_flag else [*value] if option.multiple else 2.5 if value == ["2.5"] else value[0]
        assert found == {option.name: expected}, name


@pytest.mark.parametrize("command", COMMANDS)
def test_defaults_are_the_same_with_and_without_typer(command: str):
    given = vars(entry.options_of(command)[1]())
    options = {option.name: option.default for option in options_of_typer(command).values()}
    assert options.keys() == given.keys()
    for name, default in given.items():
        assert (options[name] or None) == (default or None), name


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "line", ["--unknown", "--js", "--pack", "--pack --json", "--pack=x", "-qv", "x", "--", "--help", "--progress loud"]
)
def test_every_line_that_is_not_plain_is_left_to_typer(command: str, line: str):
    assert parsed(command, line.split()) is None


# {} is the folder of the scene
LINES = [
    "",
    "--all",
    "--all --check --json",
    "--check",
    "--json",
    "--json --check",
    "-q",
    "--quiet --check",
    "-v",
    "-qv",
    "-vq --check",
    "--data-dir {}/data",
    "--data-dir={}/data",
    "--data-dir {}/nowhere --data-dir {}/data",
    "--data-dir=",
    "--data-dir {}/text.db",
    "--data-dir {}/text.db --json",
    "--pack file_organizer",
    "--pack file_organizer --pack nobody",
    "--pack nobody --json",
    "--pack=",
    "--database {}/homie_file_organizer.db",
    "--database {}/homie_file_organizer.db --database {}/other.db",
    "--database {}/text.db",
    "--database {}/text.db -v",
    "--database {}/text.db --json",
    "--database=",
    "--database",
    "--database --json",
    "--database -x",
    "--database -1",
    "--databas {}/x.db",
    "--dir {}/tasks --database {}/x.db",
    "--dir={}/tasks --database={}/x.db --json",
    "--dir {}/tasks",
    "--dir {}/tasks --database {}/x.db --pack other",
    "--dir {}/bad --database {}/x.db",
    "--dir {}/bad --database {}/x.db --json",
    "--lock-timeout 0",
    "--lock-timeout 1e1",
    "--lock-timeout inf",
    "--lock-timeout nan",
    "--lock-timeout NaN",
    "--lock-timeout -1",
    "--lock-timeout=-1",
    "--lock-timeout 1_0",
    "--lock-timeout 0x10",
    "--lock-timeout=",
    "--lock-timeout soon",
    "--lock-timeout soon --json",
    "--lock-timeout true",
    "--check=1",
    "--check=true --json",
    "--no-check",
    "-q1",
    "-qx",
    "-x",
    "--nonsense",
    "--nonsense --json",
    "everything",
    "everything --json",
    "--",
    "-- --json",
    "-- everything",
    "--help",
    "-h",
    "-",
    "--quiet=",
    "--json=x",
]


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    (tmp_path / "text.db").write_text("not a database " * 100)
    for name, files in {"tasks": {"001_one.py": creates(1, "one")}, "bad": {"003destination.py": ""}}.items():
        (tmp_path / name).mkdir()
        for file_name, content in files.items():
            (tmp_path / name / file_name).write_text(content)
    return tmp_path


def ended(call: Any) -> int:
    try:
        return int(call() or 0)
    except SystemExit as end:
        return int(end.code or 0)


@pytest.mark.parametrize("line", LINES, ids=lambda line: line or "nothing")
def test_output_and_exit_code_are_the_same_with_and_without_typer(scene: Path, capfd, monkeypatch, line: str):
    monkeypatch.setenv("HOMIE_DATA_DIR", str(scene / "data"))
    arguments = ["migrations", "status", *(each.format(scene) for each in line.split())]

    fast = (ended(lambda: entry.main(arguments)), *capfd.readouterr())
    slow = (ended(lambda: run(arguments)), *capfd.readouterr())

    if "-v" in line:  # which way was taken shows in a traceback, and nowhere else
        fast, slow = [(code, out, err.splitlines()[-1:]) for code, out, err in (fast, slow)]
    assert fast == slow
    if fast[1].startswith("{"):
        read_document(arguments[1:], fast[1])


@pytest.mark.parametrize("command", [each for each in COMMANDS if each != "status"])
@pytest.mark.parametrize(
    "line", ["--dir {}/tasks --database {}/x.db", "--dir {}/bad --database {}/x.db --json", "--nonsense", "-q -v"]
)
def test_the_other_commands_print_the_same_with_and_without_typer(
    tmp_path: Path, scene: Path, capfd, monkeypatch, command: str, line: str
):
    monkeypatch.setenv("HOMIE_DATA_DIR", str(scene / "data"))
    if command == "packs":
        line = line.replace("--dir {}/tasks --database {}/x.db", "").replace("--dir {}/bad --database {}/x.db ", "")
    arguments = ["migrations", command, *(each.format(scene) for each in line.split())]

    fast = (ended(lambda: entry.main(arguments)), *capfd.readouterr())
    for made in scene.glob("x.db*"):
        made.unlink()
    shutil.rmtree(scene / "data", ignore_errors=True)
    slow = (ended(lambda: run(arguments)), *capfd.readouterr())

    assert fast == slow


def test_most_of_these_lines_run_without_typer():
    """Otherwise the comparison above compares a thing with itself."""
    assert sum(parsed("status", line.split()) is not None for line in LINES) >= 30


@pytest.mark.parametrize("command", COMMANDS)
def test_plain_lines_do_not_import_typer(command: str, tmp_path: Path):
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/001_one.py").write_text(creates(1, "one"))
    place = [] if command == "packs" else ["--dir", str(tmp_path / "tasks"), "--database", str(tmp_path / "x.db")]

    code = (
        "import sys, atexit\n"
        "from homie_migrations_core.cli.entry import main\n"
        "atexit.register(lambda: print(sorted({name.partition('.')[0] for name in sys.modules} & {'typer', 'rich', 'click', 'pydantic', 'argparse'})))\n"
        f"main(['migrations', {command!r}, *{place!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
