"""
Many processes that run the library on one file at the same moment, and are killed at another.

A helper process imports everything once and forks each worker from there, so that starting one costs next to
nothing and a random moment of its life is a moment of its work. The helper itself never opens a database.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]


class Worker(NamedTuple):
    """What became of one process."""

    killed: bool
    applied: list[str]
    error: str | None
    seconds: float


class Crew:
    """Starts workers. Use it as a context manager."""

    def __enter__(self) -> Crew:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        command = [sys.executable, "-W", "error", __file__]
        self._helper = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._helper.stdin and self._helper.stdout
        self._helper.stdin.close()
        self._helper.stdout.close()
        self._helper.wait()

    def run(self, path: Path, pack: Path, *, kill_after: list[float | None] | None = None, **options: Any) -> list[Worker]:
        """Let one worker for each entry of `kill_after` apply a pack; a number is the seconds it has to live."""
        request = {"path": str(path), "pack": str(pack), "kill_after": kill_after or [None], "options": options}
        assert self._helper.stdin and self._helper.stdout
        print(json.dumps(request), file=self._helper.stdin, flush=True)
        return [Worker(*each) for each in json.loads(self._helper.stdout.readline())]


# --- in the helper --------------------------------------------------------------------------------------


def serve() -> None:
    import homie_migrations_core.execution
    import homie_migrations_core.sqlite.guard  # noqa: F401

    for line in sys.stdin:
        print(json.dumps(_work(**json.loads(line))), flush=True)


def _work(path: str, pack: str, kill_after: list[float | None], options: dict[str, Any]) -> list[tuple[object, ...]]:
    go, let_go = os.pipe()
    reports: dict[int, tuple[int, int, float | None]] = {}
    for number, delay in enumerate(kill_after):
        report, tell = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(let_go)
            os.read(go, 1)  # until all are there
            os.write(tell, json.dumps(_apply(path, pack, **options)).encode())
            os._exit(0)
        os.close(tell)
        reports[process] = (number, report, delay)
    os.close(go)
    started = time.monotonic()
    os.close(let_go)
    doomed = sorted((delay, process) for process, (_, _, delay) in reports.items() if delay is not None)
    for delay, process in doomed:
        time.sleep(max(0.0, started + delay - time.monotonic()))
        os.kill(process, signal.SIGKILL)  # at worst it is a zombie: nobody has waited for it yet
    results: list[tuple[object, ...]] = [()] * len(reports)
    for _ in range(len(reports)):
        process, status = os.wait()
        number, report, _ = reports[process]
        with os.fdopen(report) as told:
            text = told.read()
        applied, error = json.loads(text) if text else ([], None)
        if not text and status == 0:
            error = "it said nothing"
        results[number] = (
            os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 9,
            applied,
            error,
            time.monotonic() - started,
        )
    return results


def _apply(path: str, pack: str, *, exit_at: int = 0, **options: Any) -> tuple[list[str], str | None]:
    from homie_migrations_core import MigrationPack, MigrationRunner
    from homie_migrations_core.sqlite.guard import GuardedConnection

    speak, spoken = GuardedConnection.speak, []

    def dying(self: GuardedConnection, sql: str, parameters: object = ()) -> object:
        if "_homie_since_commit" not in sql:  # an author's commit point: there may be hundreds, and one is like the other
            spoken.append(sql)
            if len(spoken) == exit_at:
                os._exit(9)
        return speak(self, sql, parameters)

    GuardedConnection.speak = dying  # type: ignore[assignment,method-assign]
    all_or_nothing = options.pop("all_or_nothing", False)
    try:
        runner = MigrationRunner(path, [MigrationPack("p", Path(pack))], **options)
        return [migration.name for migration in runner.apply(all_or_nothing=all_or_nothing)], None
    except BaseException as error:
        return [], f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    serve()
