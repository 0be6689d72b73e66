"""
A Python that has the library loaded already, for tests that run many short programs.

One helper process imports everything once and forks a child for each program, which saves the start of an interpreter
and the imports: a command takes a tenth of the time. A test gets the output when the program has ended. For a process that
it can signal or kill, or that has pipes or a terminal, see `cli.forking`; tests of installations start real processes.
Without `fork` each program is a real process.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

HOMIE = ("-m", "homie_migrations_core")
TIMEOUT = 60


class PreloadedPython:
    """Runs Python programs one after another. Use it as a context manager."""

    def __init__(self, *modules: str) -> None:
        """`modules` are imported too, where they are installed."""
        self._modules = modules

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory()
        if hasattr(os, "fork"):
            environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
            self._helper = subprocess.Popen(
                [sys.executable, __file__, *self._modules],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                encoding="utf-8",
                env={**environment, "PYTHONUTF8": "1"},
            )
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(os, "fork"):
            self._helper.communicate()
        self._folder.cleanup()

    def run(self, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> tuple[int, str]:
        """Run `python ARGUMENTS` and return its exit code and what it wrote to stdout and stderr."""
        assert "PYTHONPATH" not in environment
        if not hasattr(os, "fork"):
            done = subprocess.run(
                [sys.executable, *arguments],
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                timeout=TIMEOUT,
                check=False,
            )
            return done.returncode, done.stdout
        output = Path(self._folder.name, "output")
        request = {"arguments": arguments, "cwd": str(cwd), "environment": dict(environment), "output": str(output)}
        assert self._helper.stdin
        assert self._helper.stdout
        print(json.dumps(request), file=self._helper.stdin, flush=True)
        return int(self._helper.stdout.readline()), output.read_text(encoding="utf-8")


# --- in the helper process --------------------------------------------------------------------------------


def serve(modules: Sequence[str]) -> None:
    """Fork a child for each request, and answer with its exit code."""
    load(modules)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            become(**json.loads(line))
            return
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def load(modules: Sequence[str] = ()) -> None:
    """Import all of the library but what needs pytest, what a first command imports, and these modules."""
    import importlib.util
    import pkgutil

    from typer.testing import CliRunner

    import homie_migrations_core
    from homie_migrations_core.cli.app import app

    for found in pkgutil.walk_packages(homie_migrations_core.__path__, "homie_migrations_core."):
        if found.name.rpartition(".")[2] not in ("__main__", "testing"):
            importlib.import_module(found.name)
    CliRunner().invoke(app, ["migrations", "packs"], catch_exceptions=False)
    for name in modules:
        if importlib.util.find_spec(name.partition(".")[0]):
            importlib.import_module(name)


def become(arguments: list[str], cwd: str, environment: dict[str, str], output: str) -> None:
    """Run a program in this process as if it had been started for it."""
    signal.alarm(TIMEOUT)  # ends a program that hangs
    os.chdir(cwd)
    if (processes := sys.modules.get("multiprocessing.process")) is not None:
        processes.ORIGINAL_DIR = cwd  # where a process that is spawned looks for the program; found out when it is imported
    os.environ.clear()
    os.environ.update(environment)
    written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for source, number in ((os.open(os.devnull, os.O_RDONLY), 0), (written, 1), (written, 2)):
        os.dup2(source, number)
    if arguments[0] == "-m":
        sys.argv, sys.path[0] = arguments[1:], cwd
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = arguments, str(Path(cwd, arguments[0]).parent)
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    serve(sys.argv[1:])
