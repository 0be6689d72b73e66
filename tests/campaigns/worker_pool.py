"""
Run the library in many processes on one file at the same time, and kill some of them.

A helper process imports everything once and forks each worker, so that starting a worker costs next to nothing and
a kill at a random time hits its work, not its start. The helper itself never opens a database.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple, Self

ROOT = Path(__file__).parents[2]


class Worker(NamedTuple):
    """The result of one process."""

    killed: bool
    applied: list[str]
    error: str | None
    """The class and the text of the exception that it raised."""
    code: str | None
    """The stable code, if it is an error of this library."""
    seconds: float
    acknowledged: int
    """The number of steps that its observer was told are finished."""
    failed_call: str | None
    """The call that was made to fail."""


class WorkerPool:
    """Start workers. Use it as a context manager."""

    def __enter__(self) -> Self:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests"), *sys.path])}
        command = [sys.executable, "-W", "error", __file__]
        self._helper = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._helper.stdin
        assert self._helper.stdout
        self._helper.stdin.close()
        self._helper.stdout.close()
        self._helper.wait()

    def run(self, path: Path, pack: Path, *, kill_after: list[float | None] | None = None, **options: Any) -> list[Worker]:
        """Apply a pack in one worker for each entry of `kill_after`: None, or the seconds after which it is killed."""
        request = {"path": str(path), "pack": str(pack), "kill_after": kill_after or [None], "options": options}
        assert self._helper.stdin
        assert self._helper.stdout
        print(json.dumps(request), file=self._helper.stdin, flush=True)
        return [Worker(*each) for each in json.loads(self._helper.stdout.readline())]


# --- in the helper --------------------------------------------------------------------------------------


def serve() -> None:
    import logging

    import homie_migrations_core.running.execution
    import homie_migrations_core.sqlite.copying
    import homie_migrations_core.sqlite.guard
    import homie_migrations_core.sqlite.snapshots  # noqa: F401

    logging.getLogger("homie_migrations").addHandler(logging.NullHandler())
    for line in sys.stdin:
        print(json.dumps(_work(**json.loads(line))), flush=True)


def _work(path: str, pack: str, kill_after: list[float | None], options: dict[str, Any]) -> list[tuple[object, ...]]:
    go, let_go = os.pipe()
    reports: dict[int, tuple[int, int, int, float | None]] = {}
    for number, delay in enumerate(kill_after):
        (report, tell), (heard, acknowledge) = os.pipe(), os.pipe()
        process = os.fork()
        if process == 0:
            os.close(let_go)
            os.read(go, 1)  # until all workers are started
            os.write(tell, json.dumps(_apply(path, pack, acknowledge, **options)).encode())
            os._exit(0)
        os.close(tell)
        os.close(acknowledge)
        reports[process] = (number, report, heard, delay)
    os.close(go)
    started = time.monotonic()
    os.close(let_go)
    to_kill = sorted((delay, process) for process, (*_, delay) in reports.items() if delay is not None)
    for delay, process in to_kill:
        time.sleep(max(0.0, started + delay - time.monotonic()))
        os.kill(process, signal.SIGKILL)  # at worst it is a zombie: nobody has waited for it yet
    results: list[tuple[object, ...]] = [()] * len(reports)
    for _ in range(len(reports)):
        process, status = os.wait()
        number, report, heard, _ = reports[process]
        with os.fdopen(report) as told:
            text = told.read()
        with os.fdopen(heard) as acknowledgements:
            acknowledged = len(acknowledgements.read())
        applied, error, code, failed_call = json.loads(text) if text else ([], None, None, None)
        if not text and status == 0:
            error = "it reported nothing"
        killed = os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 9
        results[number] = (killed, applied, error, code, time.monotonic() - started, acknowledged, failed_call)
    return results


def _apply(
    path: str,
    pack: str,
    acknowledge: int,
    *,
    journal_mode: str | None = None,
    fault: dict[str, Any] | None = None,
    limits: dict[str, int] | None = None,
    threads: bool = False,
    user: int | None = None,
    all_or_nothing: bool = False,
    **options: Any,
) -> tuple[list[str], str | None, str | None, str | None]:
    """
    Apply a pack in a worker, and return what was applied, the error, its code and the call that was made to fail.

    `journal_mode` is set on the connection, as an application would; `fault` is for `FaultInjection`; `limits` are for
    `setrlimit`, memory counted from what is in use; `threads` has a snapshot checked in threads, however small it is; `user` is
    the user id to run as.
    """
    from campaigns.fault_injection import FaultInjection

    from homie_migrations_core import MigrationPack, MigrationRunner, hookimpl
    from homie_migrations_core.sqlite import copying
    from homie_migrations_core.sqlite.guard import GuardedConnection

    if threads:
        copying.SMALL = 0

    class Acknowledges:
        @hookimpl
        def homie_step_finished(self, run: object, step: object) -> None:
            os.write(acknowledge, b".")

    if journal_mode is not None:
        execute = GuardedConnection.execute_unguarded

        def execute_in_that_mode(self: GuardedConnection, sql: str, parameters: object = ()) -> object:
            if sql.startswith("PRAGMA synchronous"):  # a new connection, before its first transaction
                execute(self, f"PRAGMA journal_mode={journal_mode}")
            return execute(self, sql, parameters)

        GuardedConnection.execute_unguarded = execute_in_that_mode  # type: ignore[assignment,method-assign]
    injection = FaultInjection(**fault) if fault else None
    if injection is not None:
        injection.begin()
    if user is not None:
        _load_everything()  # which somebody else may not be able to
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    applied: list[str] = []
    error: BaseException | None = None
    runner = MigrationRunner(path, [MigrationPack("p", Path(pack))], observers=[Acknowledges()], **options)
    if limits:
        _limit(**limits)
    try:
        applied = [migration.name for migration in runner.apply(all_or_nothing=all_or_nothing)]
    except BaseException as raised:
        error = raised
    if limits:
        _limit(**dict.fromkeys(limits, -1))
    failed_call = injection.failed_call if injection is not None else None
    return applied, f"{type(error).__name__}: {error}" if error else None, getattr(error, "code", None), failed_call


def _load_everything() -> None:
    import tempfile

    from homie_migrations_core import MigrationPack, MigrationRunner

    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "001_a.sql").write_text("CREATE TABLE a (b);")
        Path(scratch, "002_b.py").write_text("def get_migration_version():\n    return 2\ndef apply_migration(conn):\n    pass\n")
        for to in ("p:1", "p:2"):
            MigrationRunner(Path(scratch, "homie_p.db"), [MigrationPack("p", Path(scratch))]).apply(to=to)


def _limit(**limits: int) -> None:
    import resource

    for name, given in limits.items():
        limit = given
        if name == "RLIMIT_FSIZE":
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        if name == "RLIMIT_AS" and limit >= 0:
            with open("/proc/self/statm") as used:
                limit += int(used.read().split()[0]) * resource.getpagesize()
        kind = getattr(resource, name)
        resource.setrlimit(kind, (limit, resource.getrlimit(kind)[1]))


if __name__ == "__main__":
    serve()
