"""
Typing the commands of a page, from top to bottom, in one scratch folder.

Lines that only run `homie` or `python` run in a preloaded Python. A page that installs something gets an empty virtual
environment and real processes.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import re
import shlex
import stat
import subprocess
import sys
import sysconfig
from pathlib import Path

from preloaded import HOMIE, PreloadedPython

import homie_migrations_core
from pages.reading import FENCE, ROOT, blocks, commands

HOME = "/home/you"
PROGRAMS = {"homie": HOMIE, "python": ()}
_NEEDS_A_SHELL = frozenset("|&;<>()$`\\*?[#~{\n")


def executable(path: Path, line: str) -> None:
    """Write a shell script of one line."""
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def link_other_packages(folder: Path) -> None:
    """Link what the development environment has installed, without the two distributions of this repository."""
    folder.mkdir()
    for each in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not re.search("homie|file_organizer", each.name) and each.suffix != ".pth":
            (folder / each.name).symlink_to(each)


def link_our_packages(folder: Path) -> None:
    """Link both distributions of this repository as if they were installed there."""
    folder.mkdir()
    organizer = importlib.import_module("file_organizer_migrations")
    for package in (homie_migrations_core, organizer):
        (folder / package.__name__).symlink_to(Path(str(package.__file__)).parent)
    for name in ("homie-migrations-core", "homie-file-organizer-migrations"):
        found = Path(str(importlib.metadata.distribution(name)._path))  # type: ignore[attr-defined]
        (folder / found.name).symlink_to(found)


def installs(text: str) -> bool:
    """Whether a page installs or builds a distribution."""
    return "pip install" in text or "pip wheel" in text


def environment(text: str, place: Path) -> dict[str, str]:
    """
    Return environment variables with `homie` and `python` on the path, and nothing of the user's within reach.

    A page that installs something gets an empty virtual environment, and one that makes its own finds nothing of ours
    in it. Nothing is downloaded: distributions are built with what the development environment has.
    """
    tools, python = place / "bin", shlex.quote(sys.executable)
    tools.mkdir()
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("HOMIE_", "PIP_", "PYTHONPATH"))},
        "HOME": str(place / "you"),
        "HOMIE_DATA_DIR": str(place / "you" / "data"),
        "PATH": f"{tools}:{os.environ['PATH']}",
        "LC_ALL": "C.UTF-8",
    }
    if installs(text):
        link_other_packages(place / "beside")
        on_path = [str(place / "beside")]
        # An environment without pip in it is made in a tenth of the time; the pip that is used is the linked one.
        executable(tools / "pip", 'exec python -m pip "$@"')
        if "-m venv" in text:
            (place / "you" / "homie-migrations").symlink_to(ROOT)
            venv = f'exec {python} -m venv --without-pip "$3"'
            executable(tools / "python3", f'case "$1 $2" in "-m venv") {venv};; esac\nexec {python} "$@"')
        else:
            link_our_packages(place / "ours")
            on_path.insert(0, str(place / "ours"))
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place / "venv")], check=True)
            python = shlex.quote(str(place / "venv" / "bin" / "python"))
        variables |= {"PYTHONPATH": ":".join(on_path), "PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}
        variables |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore", "PIP_CACHE_DIR": str(place / "cache")}
    if "-m venv" not in text:  # else both come from the environment that the page makes
        executable(tools / "python", f'exec {python} "$@"')
        executable(tools / "homie", f'exec {python} -m homie_migrations_core "$@"')
    return variables


class Shell:
    """A shell whose folder, variables and last exit code last from one command to the next."""

    def __init__(self, place: Path, variables: dict[str, str], python: PreloadedPython | None) -> None:
        """`python` runs plain `homie` and `python` lines; without it they are processes."""
        self.folder = place / "you"
        self._state, self._variables, self._python = place / "state", variables, python
        self._code = 0

    def type(self, command: str) -> tuple[int, str]:
        """Run one command and return its exit code and what it printed."""
        words = [] if _NEEDS_A_SHELL & set(command) else shlex.split(command)
        if self._python and words and words[0] in PROGRAMS:
            self._code, printed = self._python.run([*PROGRAMS[words[0]], *words[1:]], self.folder, self._variables)
        else:
            self._code, printed = self._in_sh(command)
        return self._code, printed

    def _in_sh(self, command: str) -> tuple[int, str]:
        state = shlex.quote(str(self._state))
        run = subprocess.run(
            ["sh", "-c", f"(exit {self._code})\n{command}\n_ended=$?\n{{ pwd; export -p; }} > {state}\nexit $_ended"],
            cwd=self.folder,
            env=self._variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        folder, _, exported = self._state.read_text(encoding="utf-8").partition("\n")
        self.folder = Path(folder)
        self._variables = dict(word.split("=", 1) for word in shlex.split(exported) if "=" in word)
        return run.returncode, run.stdout


def run_page(text: str, place: Path, python: PreloadedPython) -> list[tuple[int, str]]:
    """Write the files of a page and run its commands; return the exit code and the output of each."""
    (place / "you").mkdir()
    shell = Shell(place, environment(text, place), None if installs(text) else python)
    done = []
    for kind, file, body in blocks(text):
        if file:
            path = shell.folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body, encoding="utf-8")
        if kind == "console":
            for command, _ in commands(body):
                code, printed = shell.type(command)
                done.append((code, printed.replace(str(place / "you"), HOME)))
    return done


def timeless(output: str) -> str:
    """Replace the times of this run by the one time that every page shows."""
    output = re.sub(r"\b20(?:2[6-9]|[3-9]\d)-\d\d-\d\d \d\d:\d\d:\d\d\b", "2026-01-05 09:30:00", output)
    output = re.sub(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "2026-01-05T09:30:00.000Z", output)
    output = re.sub(r"\b20\d{6}T\d{6}\.\d{6}Z\b", "20260105T093000.000000Z", output)
    output = re.sub(r"\.db-[0-9a-f]{12}\b", ".db-0123456789ab", output)  # the digest of a path
    output = re.sub(r"\bmade in \d+\.\d s\b", "made in 0.0 s", output)
    output = re.sub(r"(?<=, in) \d+\.\d s( \([\d,]+ a second\))?$", " 1 ms", output, flags=re.MULTILINE)
    output = re.sub(r'"seconds": \d+(\.\d+)?(e-\d+)?', '"seconds": 0.001', output)
    return re.sub(r" \d+ ms\b", " 1 ms", re.sub(r" in \d+\.\d+s\b", " in 0.10s", output)).strip("\n")


def as_on_a_page(output: str) -> str:
    """Return an output without what differs from run to run: times, and columns that are as wide as a duration."""
    return "\n".join(re.sub(r"(?<=\S) {2,}", "  ", line).rstrip() for line in timeless(output).splitlines())


def with_outputs(text: str, done: list[tuple[int, str]]) -> str:
    """Return a page with what its commands have printed."""
    remaining = iter(done)

    def rewritten(fence: re.Match[str]) -> str:
        if fence["kind"] != "console":
            return fence[0]
        lines = []
        for command, _ in commands(fence["body"]):
            lines += ["$ " + command.replace("\n", "\n> "), timeless(next(remaining)[1])]
        return "```console\n" + "\n".join(line for line in lines if line) + "\n```"

    return FENCE.sub(rewritten, text)
