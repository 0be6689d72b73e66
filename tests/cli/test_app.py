"""The ways to reach the commands: the script, the module, another Typer application; and what the help says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from helpers import problems, recorded
from typer.testing import CliRunner

from homie_migrations_core.cli.app import app, migrations

FILE = "homie_file_organizer.db"
COMMANDS = typer.main.get_command(migrations).list_commands(typer.Context(typer.main.get_command(migrations)))
ALIASES = ["up", "upgrade", "migrate"]


@pytest.mark.parametrize("alias", ALIASES)
def test_apply_answers_to_the_names_of_other_tools(homie, tmp_path: Path, alias: str):
    assert homie(alias, "--data-dir", tmp_path).code == 0
    assert recorded(tmp_path / "modules" / FILE) == ["file_organizer:001_destination_memory"]


def test_the_help_lists_every_command_and_no_alias(homie):
    result = homie("--help")
    assert result.code == 0
    assert {"status", "plan", "apply", "rehearse", "rollback", "redo", "repair", "baseline", "reset", "restore"} <= set(COMMANDS)
    assert set(COMMANDS) <= set(result.out.split())
    assert not {"upgrade", "migrate"} & set(result.out.split())


def test_the_help_has_the_commands_under_headings(homie):
    lines = homie("--help").out.splitlines()
    headings = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert headings == ["Options:", "Look:", "Change:", "Many databases:", "Safety net:", "For pack authors:"]
    for heading, command in (
        ("Look:", "validate"),
        ("Change:", "repair"),
        ("Many databases:", "fleet"),
        ("Safety net:", "restore"),
        ("For pack authors:", "new-pack"),
        ("For pack authors:", "check"),
    ):
        following = next((each for each in headings[headings.index(heading) + 1 :]), None)
        below = lines[lines.index(heading) : lines.index(following) if following else None]
        assert any(line.startswith(f"  {command} ") for line in below), heading


@pytest.mark.parametrize("arguments", [(), *((command,) for command in COMMANDS)], ids=lambda each: " ".join(each) or "group")
def test_h_shows_help_which_is_plain_text_in_a_pipe(homie, arguments: tuple[str, ...]):
    short, long = homie(*arguments, "-h"), homie(*arguments, "--help")
    assert (short.code, short.out) == (0, long.out)
    assert short.out.isascii()
    assert short.out.startswith(f"Usage: homie migrations {' '.join(arguments)}".rstrip())


def test_help_on_a_terminal_has_panels(on_a_terminal):
    terminal = on_a_terminal("-h")
    assert terminal.ended() == 0
    assert "\u2500 Safety net \u2500" in re.sub(r"\x1b\[[0-9;]*m", "", terminal.seen)


@pytest.mark.parametrize(
    "command", [*(each for each in COMMANDS if each != "fleet"), "fleet apply", "fleet status", "fleet validate"]
)
def test_every_command_has_help_without_options_that_belong_to_the_program(homie, command: str):
    result = homie(*command.split(), "--help")
    assert result.code == 0
    assert "--json" in result.out
    assert "--help" in result.out
    assert "completion" not in result.out


@pytest.mark.parametrize("arguments", [[], ["migrations"]])
def test_without_a_command_the_help_is_shown_once_and_the_code_is_2(arguments):
    line = [sys.executable, "-m", "homie_migrations_core", *arguments]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert (done.stdout + done.stderr).count("Usage: ") == 1


@pytest.mark.parametrize(
    "way",
    [[sys.executable, "-m", "homie_migrations_core"], [str(Path(sys.executable).with_name("homie"))]],
    ids=["module", "script"],
)
def test_the_module_and_the_script_are_the_same_command(tmp_path: Path, way):
    if not Path(way[0]).exists():
        pytest.skip("the script is not installed beside this Python")
    done = subprocess.run([*way, "migrations", "apply", "--data-dir", str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run(
        [*way, "migrations", "status", "--data-dir", str(tmp_path), "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "up to date, version 1 of 1" in done.stdout


# --- inside another application ----------------------------------------------------------------------------


@pytest.fixture
def host():
    """Another `homie` application, with a command of its own, that mounts the group."""
    host = typer.Typer()
    host.add_typer(migrations, name="migrations")

    @host.command()
    def serve() -> None:
        """Something else."""
        typer.echo("serving")

    return lambda *arguments: CliRunner().invoke(host, [str(each) for each in arguments])


def test_the_group_can_be_mounted_in_another_application(host, tmp_path: Path):
    assert host("serve").stdout == "serving\n"
    applied = host("migrations", "apply", "--data-dir", tmp_path)
    assert applied.exit_code == 0
    assert "applied file_organizer:001_destination_memory" in applied.stdout
    assert host("migrations", "status", "--data-dir", tmp_path, "--check").exit_code == 0
    assert "migrations" in host("--help").stdout


@pytest.mark.parametrize(
    "arguments", [["status", "--database", "/"], ["apply", "--nonsense"], ["nonsense"], ["apply", "--pack", "nobody"]]
)
def test_a_mounted_group_keeps_its_errors_and_exit_codes(host, arguments):
    result, with_json = host("migrations", *arguments), host("migrations", *arguments, "--json")
    assert result.exit_code == with_json.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert len(problems(result.stderr)) == 1
    assert '"code": ' in with_json.stdout


def test_a_mounted_group_ends_with_1_and_3_where_it_should(host, installed, tmp_path: Path):
    assert host("migrations", "status", "--check", "--data-dir", tmp_path).exit_code == 3
    installed.pack("stranger", {"x.py": ""})
    assert host("migrations", "apply", "--data-dir", tmp_path).exit_code == 1


def test_the_application_is_a_typer_application():
    assert isinstance(app, typer.Typer)
    assert isinstance(migrations, typer.Typer)
