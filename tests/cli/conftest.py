"""The command line as tests call it: in this process, in a process of its own, on a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from homie_migrations_core.cli.app import app

COMMAND = [sys.executable, "-W", "error::ResourceWarning", "-m", "homie_migrations_core", "migrations"]


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def text(argument: object) -> str:
    return os.fspath(argument) if isinstance(argument, Path) else str(argument)


@pytest.fixture
def homie():
    """Call `homie migrations …` in this process; only a test that plants a `bug` may meet an error nobody expected."""

    def call(*arguments: object, input: str | None = None, bug: bool = False) -> Said:
        result = CliRunner().invoke(app, ["migrations", *map(text, arguments)], input=input, prog_name="homie")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert "Traceback" not in result.stderr or {"-v", "--verbose"} & set(arguments)
        assert bug or "should not have happened" not in result.stderr
        return Said(result.exit_code, result.stdout, result.stderr)

    return call


@pytest.fixture
def homie_process(tmp_path: Path):
    """Call `homie migrations …` in a process of its own, through the fast way in where there is one."""

    def call(*arguments: object, **options: Any) -> Said:
        options = {"cwd": tmp_path, "stdin": subprocess.DEVNULL, "timeout": 60, **options}
        ended = subprocess.run([*COMMAND, *map(text, arguments)], capture_output=True, encoding="utf-8", check=False, **options)
        return Said(ended.returncode, ended.stdout, ended.stderr)

    return call


@pytest.fixture
def started(tmp_path: Path):
    """Start `homie migrations …`, and end it at the end of the test if it still runs."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
        options = {"cwd": tmp_path, "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        processes.append(subprocess.Popen([*COMMAND, *map(text, arguments)], encoding="utf-8", **options))
        return processes[-1]

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


class Terminal:
    """A process on a terminal of its own; `seen` is everything that stood on it."""

    def __init__(self, arguments: list[str], cwd: Path, width: int, environment: dict[str, str]) -> None:
        import fcntl
        import pty
        import struct
        import termios

        self.screen, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))

        def lead() -> None:  # or Ctrl-C typed on it would reach nobody
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            arguments, stdin=other, stdout=other, stderr=other, cwd=cwd, env=environment, preexec_fn=lead, close_fds=True
        )
        os.close(other)
        self.seen = ""

    def type(self, keys: str) -> None:
        os.write(self.screen, keys.encode())

    def until(self, words: str, *, seconds: float = 30.0) -> None:
        """Wait until the words stand on it."""
        self._read(lambda: words in self.seen, seconds)
        assert words in self.seen

    def ended(self, *, seconds: float = 30.0) -> int:
        """Wait for the end; the exit code."""
        self._read(lambda: False, seconds)
        return self.process.wait(timeout=seconds)

    def _read(self, enough: Any, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not enough() and time.monotonic() < deadline:
            if select.select([self.screen], [], [], 0.2)[0]:
                try:
                    piece = os.read(self.screen, 65536)
                except OSError:  # Linux says so when the other end is closed
                    return
                if not piece:
                    return
                self.seen += piece.decode("utf-8").replace("\r\n", "\n")
            elif self.process.poll() is not None:
                return

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        os.close(self.screen)


@pytest.fixture
def on_a_terminal(tmp_path: Path):
    """Run `homie migrations …` on a terminal."""
    pytest.importorskip("pty", reason="there are no pseudo terminals here")
    terminals: list[Terminal] = []

    def run(*arguments: object, width: int = 120, **environment: str) -> Terminal:
        given = {**os.environ, "TERM": "xterm-256color", **environment}
        for name in ("COLUMNS", "LINES"):
            given.pop(name, None)
        terminals.append(Terminal([*COMMAND, *map(text, arguments)], tmp_path, width, given))
        return terminals[-1]

    yield run
    for terminal in terminals:
        with contextlib.suppress(OSError):
            terminal.close()
