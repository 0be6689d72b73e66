"""Real servers that tests start from the files and commands of the how-to pages, and stop again."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pages.reading import blocks, text_of

NOBODY = 65534
LIMIT = 60
"""Seconds that a server may take for anything."""
ONCE = """
import os, time
def get_migration_version(): return 2
def apply_migration(conn):
    time.sleep(0.5)  # until the other workers wait
    conn.execute("INSERT INTO notes (text) VALUES (?)", (str(os.getpid()),))
"""
"""A migration that shows how often it took effect, and in which process."""
FAILS = "def get_migration_version(): return 2\ndef apply_migration(conn):\n    conn.execute('nonsense')\n"
LONG = """
from pathlib import Path
def get_migration_version(): return 2
def apply_migration(conn):
    conn.execute("CREATE TABLE half_done (id)")
    Path({marker!r}).touch()
    conn.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000000000) SELECT count(*) FROM n")
"""


def write_files(page: str, folder: Path) -> None:
    """Write the files that a page shows into a folder."""
    for _, file, body in blocks(text_of(page)):
        if file:
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body, encoding="utf-8")


def shell_command(page: str, program: str) -> list[str]:
    """Return the first command of a page's `sh` blocks that starts with this program, as words."""
    lines = [line for kind, _, body in blocks(text_of(page)) if kind == "sh" for line in body.splitlines()]
    return shlex.split(next(line for line in lines if line.startswith(program)))


def as_module(words: Sequence[str]) -> list[str]:
    """Return the command of a program of this environment: `gunicorn` as `python -m gunicorn`."""
    return [sys.executable, "-m", *words]


class Server:
    """A running server and what it has logged."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self.log = process, log

    def said(self) -> str:
        """Return what it has logged so far."""
        return self.log.read_text(encoding="utf-8")

    def until(self, pattern: str, *, times: int = 1) -> list[str]:
        """Wait until the log has the pattern so often, and return what it matched."""
        end = time.monotonic() + LIMIT
        while len(found := re.findall(pattern, self.said())) < times:
            if self.process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"no {pattern!r} in:\n{self.said()}")
            time.sleep(0.02)
        return found

    def get(self, path: str) -> str:
        """Return the answer to a request."""
        address = self.until(r"http://127\.0\.0\.1:\d+")[0]
        end = time.monotonic() + LIMIT
        while True:
            try:
                with urllib.request.urlopen(address + path, timeout=LIMIT) as answer:
                    return answer.read().decode()
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    pytest.fail(f"no answer:\n{self.said()}")
                time.sleep(0.05)

    def end(self, by: int = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code."""
        self.process.send_signal(by)
        return self.process.wait(LIMIT)


@contextlib.contextmanager
def server(command: Sequence[str], folder: Path, *, log: Path | None = None, **environment: str) -> Iterator[Server]:
    """Start a server in a process group of its own; whatever is left of the group is killed at the end."""
    log = log or folder / "server.log"
    with (
        log.open("wb") as written,
        subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | environment,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield Server(process, log)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Make a folder that other users can reach: the parents of `tmp_path` are for its owner only."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made).resolve()
        folder.chmod(0o755)
        yield folder


def as_nobody() -> list[str]:
    """
    Return the words before a command that run it as another user without any privilege.

    Skips the test where that is not possible.
    """
    if os.name == "nt" or os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("only root can become another user, with setpriv")
    words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--bounding-set=-all", "--no-new-privs"]
    imports = "import homie_migrations_core.runner, gunicorn.app.wsgiapp, flask"
    # Through a shell, because privileges may last until the first program is executed.
    line = [*words, "sh", "-c", 'exec "$0" "$@"', sys.executable, "-c", imports]
    reached = subprocess.run(line, cwd="/", capture_output=True, check=False)
    if reached.returncode:
        pytest.skip(f"another user cannot use this environment: {reached.stderr.decode()[-300:]}")
    return words
