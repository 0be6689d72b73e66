"""What Tab offers: commands, options, packs, references and snapshots, as the shells get it."""

from __future__ import annotations

import os
import select
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli.migration_folder import MigrationFolder
from helpers import creates, fingerprint

from homie_migrations_core.cli import completion
from homie_migrations_core.cli.command_table import ALIASES, PANEL_AND_MODULE
from homie_migrations_core.cli.completion import answer, candidates

SHELLS = ("bash", "zsh", "fish")
needs = {shell: pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed") for shell in SHELLS}


def offered(line: str, incomplete: str = "") -> list[str]:
    return [value for value, _ in candidates(shlex.split(line), incomplete)]


@pytest.fixture
def applied(homie, tasks: MigrationFolder) -> MigrationFolder:
    assert homie("apply", *tasks.options, "--to", "tasks:1").code == 0
    return tasks


def options_of(folder: MigrationFolder) -> str:
    return shlex.join(map(str, folder.options))


# --- what is offered --------------------------------------------------------------------------------------


def test_commands_are_offered_without_importing_them() -> None:
    assert offered("", "m") == ["migrations"]
    assert set(offered("migrations")) == set(PANEL_AND_MODULE)
    assert offered("migrations", "ro") == ["rollback"]
    assert offered("migrations fleet") == ["apply", "status", "validate"]
    code = "import sys; from homie_migrations_core.cli.completion import candidates; candidates(['migrations'], ''); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"typer", "rich", "sqlite3", "pluggy", "homie_migrations_core.runner"} & set(loaded)


@pytest.mark.parametrize("command", [*(each for each in PANEL_AND_MODULE if each != "fleet"), *ALIASES, "fleet apply"])
def test_every_command_offers_its_options(command: str) -> None:
    assert {"--json", "--help"} <= set(offered(f"migrations {command}", "--"))


def test_an_option_that_was_given_is_not_offered_again_unless_it_is_repeatable() -> None:
    found = offered("migrations apply --database x.db --to a:1 --no-backup", "--")
    assert "--database" in found
    assert not {"--to", "--no-backup"} & set(found)


def test_packs_are_offered(installed) -> None:
    installed.pack("alpha", {"001_a.py": creates(1, "a")})
    for line in ("migrations apply --pack", "migrations rollback", "migrations check", "migrations rollback --yes"):
        assert offered(line, "al") == ["alpha"]
    assert offered("migrations rollback alpha", "al") == []


def test_references_are_offered_with_their_states(applied: MigrationFolder) -> None:
    found = candidates(["migrations", "apply", *map(str, applied.options), "--to"], "tasks:")
    assert found == [("tasks:001_one", "applied"), ("tasks:002_two", "pending")]
    assert offered(f"migrations repair {options_of(applied)}", "tasks:002") == ["tasks:002_two"]
    assert offered(f"migrations rollback tasks {options_of(applied)} --to") == []  # a version, not a reference


def test_snapshots_are_offered_by_their_names(homie, applied: MigrationFolder, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    place.mkdir()
    beside, there = (
        Path(homie("backup", *applied.options, *more, "--json").json["databases"][0]["snapshot"]).name
        for more in ((), ("--backup-dir", place))
    )
    assert offered(f"migrations restore {options_of(applied)}") == [beside]
    assert offered(f"migrations restore {options_of(applied)} --backup-dir {place}", "homie_tasks.") == [there]


@pytest.mark.parametrize(
    "line",
    ["fly", "migrations fly", "migrations fleet fly", "migrations status --database", "migrations new-pack", "migrations apply"],
)
def test_nothing_is_offered_for_what_is_not_known(line: str) -> None:
    assert offered(line) == []


def test_the_choices_of_an_option_are_offered() -> None:
    assert "json" in offered("migrations apply --progress")


# --- what it must not do ----------------------------------------------------------------------------------


def test_nothing_is_changed_and_no_file_is_made(applied: MigrationFolder, tmp_path: Path) -> None:
    before = fingerprint(tmp_path)
    assert offered(f"migrations apply {options_of(applied)} --to") != []
    assert offered(f"migrations restore {options_of(applied)}") == []
    assert fingerprint(tmp_path) == before


@pytest.mark.parametrize("mistake", ["no folder", "no database", "a folder"])
def test_every_error_is_silent(tasks: MigrationFolder, mistake: str, capfd: pytest.CaptureFixture[str]) -> None:
    if mistake == "a folder":
        tasks.database.mkdir()
    elif mistake == "no database":
        tasks.database.write_text("not a database " * 100)
    options = f"--dir {tasks.folder}_gone --database x.db" if mistake == "no folder" else options_of(tasks)
    assert offered(f"migrations apply {options} --to") == []
    assert capfd.readouterr() == ("", "")


def test_a_pack_that_prints_or_raises_does_not_disturb_completion(installed, capfd: pytest.CaptureFixture[str]) -> None:
    installed.pack("alpha", {"001_a.py": creates(1, "a")})
    installed.distribution("loud", {"loud_plugin": "print('loud')\nraise BaseException('no')"}, {"loud": "loud_plugin"})
    assert offered("migrations apply --pack", "al") == ["alpha"]
    assert capfd.readouterr() == ("", "")


def test_no_name_that_a_shell_might_evaluate_is_offered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["$(touch evil).db", "`id`", "a'b", 'a"b', "a b", "a;b", "a\nb", "a|b", "good.db"]
    monkeypatch.setitem(completion._VALUES, "file", lambda _: ((name, "a 'help' $(id) `id` \"x\" (y): z") for name in names))
    line = {"_TYPER_COMPLETE_ARGS": "homie migrations restore ", "COMP_WORDS": "homie migrations restore ", "COMP_CWORD": "3"}
    for shell in SHELLS:
        assert answer({**line, "_HOMIE_COMPLETE": f"complete_{shell}"}) == 0
        result = capsys.readouterr().out
        assert "good.db" in result
        assert not any(each in result for each in ("evil", "`", "$", "a;b"))


def test_an_unfinished_line_is_not_a_crash(capsys: pytest.CaptureFixture[str]) -> None:
    for line in ("", "homie", "homie 'migrations", "homie migrations apply --to :", ": : :", 'homie migrations "'):
        for cword in ("", "x", "0", "2", "99"):
            assert answer({"_HOMIE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": cword}) == 0
        assert answer({"_HOMIE_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": line}) == 0
    assert answer({"_HOMIE_COMPLETE": "complete_powershell"}) is None
    assert capsys.readouterr().err == ""


# --- in the shells ----------------------------------------------------------------------------------------


@pytest.fixture
def script(tmp_path: Path):
    """The environment of a shell in which `homie` is a command, and the file that makes it complete."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "homie").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m homie_migrations_core "$@"\n')
    (tools / "homie").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(tmp_path), "TERM": "dumb"}

    def written(shell: str) -> tuple[Path, dict[str, str]]:
        asked = {**environment, "_HOMIE_COMPLETE": f"source_{shell}"}
        path = tmp_path / f"completion.{shell}"
        path.write_text(subprocess.run([tools / "homie"], env=asked, capture_output=True, text=True, check=True).stdout)
        return path, environment

    return written


@needs["bash"]
def test_in_bash(script, applied: MigrationFolder) -> None:
    path, environment = script("bash")
    ask = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _homie_completion homie; printf "%s\\n" "${COMPREPLY[@]}"'

    def reply(*words: str) -> list[str]:
        line = ["bash", "--norc", "-c", ask, "bash", str(path), "homie", *words]
        done = subprocess.run(line, env=environment, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return done.stdout.split()

    options = [str(each) for each in applied.options]
    assert reply("migrations", "ro") == ["rollback"]
    assert reply("migrations", "apply", *options, "--to", "ta") == ["tasks:001_one", "tasks:002_two"]
    # bash takes a colon for a word of its own
    assert reply("migrations", "apply", *options, "--to", "tasks", ":") == ["001_one", "002_two"]
    assert reply("migrations", "apply", *options, "--to", "tasks", ":", "002") == ["002_two"]
    assert "--json" in reply("migrations", "apply", *options, "--to", "tasks", ":", "002_two", "--")


@needs["fish"]
def test_in_fish(script, applied: MigrationFolder) -> None:
    path, environment = script("fish")

    def reply(line: str) -> list[str]:
        command = ["fish", "--no-config", "-c", f"source {path}; complete -C {shlex.quote(line)}"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    assert [line.split("\t")[0] for line in reply("homie migrations ro")] == ["rollback"]
    assert reply(f"homie migrations apply {options_of(applied)} --to tasks:00") == [
        "tasks:001_one\tapplied",
        "tasks:002_two\tpending",
    ]


@needs["zsh"]
def test_in_zsh(script, applied: MigrationFolder) -> None:
    """The shell zsh completes on a terminal only."""
    import pty

    path, environment = script("zsh")
    process, terminal = pty.fork()
    if process == 0:
        os.execvpe("zsh", ["zsh", "-f", "-i"], environment)
    seen = ""

    def until(words: str) -> None:
        nonlocal seen
        deadline = time.monotonic() + 20
        while words not in seen:
            assert time.monotonic() < deadline, seen
            if select.select([terminal], [], [], 0.2)[0]:
                seen += os.read(terminal, 65536).decode(errors="replace")
        seen = seen.partition(words)[2]

    def type_keys(keys: str) -> None:
        os.write(terminal, keys.encode())

    try:
        type_keys(f"autoload -Uz compinit; compinit -u -D; source {path}; stty -echo; print rea''dy\r")
        until("ready")
        type_keys("homie migrations rollb\t")
        until("rollback ")
        type_keys("\x15")
        type_keys(f"homie migrations apply {options_of(applied)} --to tasks:002\t")
        until("tasks:002_two")
    finally:
        os.kill(process, 9)
        os.waitpid(process, 0)
        os.close(terminal)
