"""
Processes for tests of signals, pipes and terminals, without waiting for an interpreter to start and to import.

A server process imports the library once. For each command it forks a child, which becomes `homie migrations ...` with
streams, environment and folder of its own: a real process that can be signalled, stopped and killed. Run as a script, this
module is the server; a socket carries the requests, and the streams with them.

`preloaded` runs one whole program after another, any Python program, and collects its output. Here a test gets the
process while it runs, beside others, on pipes or a terminal that the test has made. Both load the library with `preloaded.load`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self, TextIO

AVAILABLE = hasattr(os, "fork") and hasattr(socket, "send_fds")


class ForkServer:
    """The server, as tests use it. A context manager."""

    def __enter__(self) -> Self:
        ours, theirs = socket.socketpair()
        self._socket = ours
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [sys.executable, "-W", "error::ResourceWarning", __file__, str(theirs.fileno())]
        self._server = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment, start_new_session=True)
        theirs.close()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._server.wait()

    def start(
        self, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], streams: tuple[int, int, int], terminal: bool = False
    ) -> ForkedProcess:
        """Start `homie ARGUMENTS`. On a terminal, it leads a session of its own there."""
        status, its_status = os.pipe()
        request = {"arguments": list(arguments), "cwd": str(cwd), "env": dict(env), "terminal": terminal}
        message = json.dumps(request).encode()
        socket.send_fds(self._socket, [len(message).to_bytes(4, "big")], [*streams, its_status])
        self._socket.sendall(message)
        os.close(its_status)
        return ForkedProcess(status)


class ForkedProcess:
    """A command that runs, with the methods of `subprocess.Popen` that tests need."""

    def __init__(self, status: int) -> None:
        self._status = os.fdopen(status, encoding="ascii")
        self.pid = int(self._status.readline())
        self.returncode: int | None = None
        self.stdout: TextIO | None = None
        self.stderr: TextIO | None = None
        self._waiter = threading.Thread(target=self._wait, daemon=True)
        self._waiter.start()

    def _wait(self) -> None:
        with self._status as status:
            self._code = int(status.readline())

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        if not self._waiter.is_alive():
            self.returncode = self._code
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, and return the exit code."""
        self._waiter.join(timeout)
        if self.poll() is None:
            raise subprocess.TimeoutExpired("homie", timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end, and return what it wrote since."""
        read: dict[str, str] = {}

        def drain(name: str, stream: TextIO) -> None:
            with stream:
                read[name] = stream.read()

        streams = {name: stream for name, stream in (("out", self.stdout), ("err", self.stderr)) if stream and not stream.closed}
        readers = [threading.Thread(target=drain, args=each, daemon=True) for each in streams.items()]
        for each in readers:
            each.start()
        self.wait(timeout)
        for each in readers:
            each.join(timeout)
        return read.get("out", ""), read.get("err", "")


# --- in the server ----------------------------------------------------------------------------------------


def serve(number: int) -> None:
    """Fork a child for each request, until the socket is closed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # supervisors are reaped by the system
    requests = socket.socket(fileno=number)
    while True:
        head, descriptors, _, _ = socket.recv_fds(requests, 4, 4)
        if not head:
            requests.close()
            return
        length = int.from_bytes(head, "big")
        message = requests.recv(length, socket.MSG_WAITALL)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            requests.close()
            supervise(json.loads(message), descriptors)
            return
        for each in descriptors:
            os.close(each)


def forget_packs() -> None:
    """Forget the packs that loading has imported: each process imports them anew."""
    for name in list(sys.modules):
        if name.partition(".")[0] == "file_organizer_migrations":
            del sys.modules[name]


def supervise(request: dict, descriptors: list[int]) -> None:
    """Fork the command, send its process number, wait for its end, and send its exit code."""
    *streams, status = descriptors
    child = os.fork()
    if child == 0:
        os.close(status)
        become(streams, **request)
        return
    for each in {*streams, 0, 1, 2}:
        os.close(each)
    os.write(status, f"{child}\n".encode())
    _, ended = os.waitpid(child, 0)
    os.write(status, f"{os.waitstatus_to_exitcode(ended)}\n".encode())
    os._exit(0)


def become(streams: list[int], arguments: list[str], cwd: str, env: dict[str, str], *, terminal: bool) -> None:
    """Become the command, as if this process had been started for it."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
    if terminal:  # otherwise Ctrl-C typed on it would reach no process
        import fcntl
        import termios

        os.setsid()
        fcntl.ioctl(streams[0], termios.TIOCSCTTY, 0)
    for number, each in enumerate(streams):
        os.dup2(each, number)
    for each in {*streams} - {0, 1, 2}:
        os.close(each)
    reopen_standard_streams()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    added = [each for each in env.get("PYTHONPATH", "").split(os.pathsep) if each]
    sys.path[:0] = added
    for folder in added:
        if (customize := Path(folder, "sitecustomize.py")).exists():
            exec(compile(customize.read_text(encoding="utf-8"), str(customize), "exec"), {})
    from homie_migrations_core.cli.entry import main

    sys.argv = ["homie", *arguments]
    main(arguments)


def reopen_standard_streams() -> None:
    """Give Python new streams, because those of the server were opened for other files."""
    for name, number, mode, errors in (
        ("stdin", 0, "r", "strict"),
        ("stdout", 1, "w", "strict"),
        ("stderr", 2, "w", "backslashreplace"),
    ):
        buffering = 1 if name == "stderr" or os.isatty(number) else -1
        stream = open(number, mode, buffering, encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115 - stays open
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])
    from preloaded import load

    sys.path.pop(0)  # a started process would not search that folder
    load()
    forget_packs()
    serve(int(sys.argv[1]))
