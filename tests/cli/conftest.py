"""The command line as tests call it: in this process, in a process of its own (see `forking`), on a terminal."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cli import forking
from cli.migration_folder import TWO, MigrationFolder
from json_documents import asks_for_events, read_document, read_events
from typer.testing import CliRunner

from homie_migrations_core.cli.app import app

COMMAND = [sys.executable, "-W", "error::ResourceWarning", "-m", "homie_migrations_core"]


@dataclass(frozen=True)
class CommandResult:
    """How a command ended, and what it printed; `json` is its document and `events` are its lines, if it was asked for them."""

    code: int
    out: str
    err: str
    json: Any = None
    events: Any = None

    @classmethod
    def by(cls, arguments: Sequence[object], code: int, out: str, err: str) -> CommandResult:
        """Check the output of a command against its schema."""
        document = "--json" in arguments and not {"--help", "-h"} & set(arguments)
        events = read_events(err) if asks_for_events(arguments) else None
        return cls(code, out, err, read_document(arguments, out) if document else None, events)


def text(argument: object) -> str:
    return os.fspath(argument) if isinstance(argument, Path) else str(argument)


@pytest.fixture
def homie():
    """Call `homie migrations …` in this process; only a test that plants a `bug` may get an unexpected error."""

    def call(*arguments: object, input: str | None = None, bug: bool = False) -> CommandResult:  # noqa: A002 - as `CliRunner` calls it
        result = CliRunner().invoke(app, ["migrations", *map(text, arguments)], input=input, prog_name="homie")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert "Traceback" not in result.stderr or {"-v", "--verbose"} & set(arguments)
        assert bug or "should not have happened" not in result.stderr
        return CommandResult.by(arguments, result.exit_code, result.stdout, result.stderr)

    return call


@pytest.fixture
def tasks(tmp_path: Path) -> MigrationFolder:
    """A folder of two migrations, and no database yet."""
    return MigrationFolder(tmp_path, TWO)


@pytest.fixture(scope="session")
def fork_server():
    """What starts processes; None where they can't be forked."""
    if not forking.AVAILABLE:
        yield None
        return
    with forking.ForkServer() as server:
        yield server


@pytest.fixture
def started(tmp_path: Path, fork_server):
    """Start `homie migrations ...` in a process of its own, and end it at the end of the test if it still runs."""
    processes: list[Any] = []

    def start(*arguments: object, env: dict[str, str] | None = None, stdout: int | None = None, stderr: int | None = None) -> Any:
        line = ["migrations", *map(text, arguments)]
        if fork_server is None:
            process: Any = subprocess.Popen(
                [*COMMAND, *line],
                cwd=tmp_path,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if stdout is None else stdout,
                stderr=subprocess.PIPE if stderr is None else stderr,
                env=env,
                encoding="utf-8",
            )
        else:
            nothing = os.open(os.devnull, os.O_RDONLY)
            pipes = [os.pipe() if each is None else (None, os.dup(each)) for each in (stdout, stderr)]
            streams = (nothing, pipes[0][1], pipes[1][1])
            process = fork_server.start(line, cwd=tmp_path, env=os.environ if env is None else env, streams=streams)
            for each in streams:
                os.close(each)
            process.stdout, process.stderr = (each if each is None else os.fdopen(each, encoding="utf-8") for each, _ in pipes)
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def homie_process(started):
    """Call `homie migrations ...` in a process of its own, without Typer where that is possible."""

    def call(*arguments: object, env: dict[str, str] | None = None) -> CommandResult:
        process = started(*arguments, env=env)
        out, err = process.communicate(timeout=60)
        return CommandResult.by(arguments, process.returncode, out, err)

    return call


class Terminal:
    """A process on a terminal of its own; `seen` is everything that it has shown."""

    def __init__(self, server: forking.ForkServer, arguments: list[str], cwd: Path, width: int, env: dict[str, str]) -> None:
        import fcntl
        import pty
        import struct
        import termios

        self.screen, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
        self.process = server.start(arguments, cwd=cwd, env=env, streams=(other, other, other), terminal=True)
        os.close(other)
        self.seen = ""

    def type(self, keys: str) -> None:
        os.write(self.screen, keys.encode())

    def until(self, words: str, *, seconds: float = 30.0) -> None:
        """Wait until it shows the words."""
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

    def hang_up(self) -> None:
        """Close the terminal, as closing its window does."""
        os.close(self.screen)
        self.screen = -1

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        if self.screen >= 0:
            os.close(self.screen)


@pytest.fixture
def on_a_terminal(tmp_path: Path, fork_server):
    """Run `homie migrations ...` on a terminal."""
    pytest.importorskip("pty", reason="there are no pseudo terminals here")
    terminals: list[Terminal] = []

    def run(*arguments: object, width: int = 120, **environment: str) -> Terminal:
        given = {**os.environ, "TERM": "xterm-256color", **environment}
        for name in ("COLUMNS", "LINES"):
            given.pop(name, None)
        terminals.append(Terminal(fork_server, ["migrations", *map(text, arguments)], tmp_path, width, given))
        return terminals[-1]

    yield run
    for terminal in terminals:
        with contextlib.suppress(OSError):
            terminal.close()
