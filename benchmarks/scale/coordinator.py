"""
What the process costs that hands out a fleet and gathers its outcomes: its workers answer at once and open no database.

    python -m benchmarks.scale.coordinator WORKERS FILES [REPORT]

WORKERS is `at_once` (no worker at all), `processes` (two of them) or `dask` (two worker processes). Prints one JSON object:
seconds, and peak memory in MB. A process of its own, because the peak of another one would count as well.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.fleet import tenant_pack
from benchmarks.measuring import CommandFailed
from benchmarks.scale.rounds import Work
from homie_migrations_core.fleet import Outcome, migrate_fleet
from homie_migrations_core.fleet.reports import ReportFile

WORKERS = 2
APPLIED = ("tenant:001_step", "tenant:002_step", "tenant:003_step")
_ROOT = Path(__file__).resolve().parents[2]


def answers(_task: Any, paths: tuple[str, ...]) -> list[Outcome]:
    """Return an outcome for each path. The task comes along, because the real one has to be carried to the worker too."""
    return [Outcome(path, "applied", APPLIED, seconds=0.001) for path in paths]


class AtOnce(Executor):
    """Has no workers: a task is done when it is handed out."""

    _max_workers = WORKERS

    def submit(self, task: Any, /, *arguments: Any, **_: Any) -> Future[Any]:
        """Return the answers."""
        future: Future[Any] = Future()
        future.set_result(answers(task, *arguments))
        return future


class Answering(Executor):
    """Hands tasks to the workers of another executor, which answer and do nothing else."""

    _max_workers = WORKERS

    def __init__(self, executor: Any) -> None:
        self._executor = executor

    def submit(self, task: Any, /, *arguments: Any, **_: Any) -> Future[Any]:
        """Hand the task to a worker."""
        future: Future[Any] = self._executor.submit(answers, task, *arguments)
        return future


@contextmanager
def executor(kind: str, folder: Path) -> Iterator[Executor]:
    """Start workers of this kind, and have each of them answer once."""
    if kind == "at_once":
        yield AtOnce()
    elif kind == "processes":
        with ProcessPoolExecutor(WORKERS, get_context("spawn")) as pool:
            list(pool.map(os.path.abspath, "ab"))
            yield Answering(pool)
    else:
        from distributed import Client, LocalCluster

        options = {"processes": True, "threads_per_worker": 1, "dashboard_address": None, "local_directory": str(folder)}
        with LocalCluster(n_workers=WORKERS, **options) as cluster, Client(cluster) as client:
            yield Answering(client.get_executor(pure=False))


def hand_out(kind: str, files: int, report: Path | None, folder: Path) -> dict[str, float]:
    """Hand out a fleet, and return what it took."""
    pack = tenant_pack(folder / "tenant")
    paths = (f"/srv/tenants/{number // 1_000:06}/{number:012}/application.db" for number in range(files))
    with executor(kind, folder) as workers, ReportFile(report) if report else contextlib.nullcontext() as lines:
        started, done = time.perf_counter(), 0
        for outcome in migrate_fleet(paths, [pack], workers):
            done += 1
            if lines is not None:
                lines.append(outcome)
        seconds = time.perf_counter() - started
    if done != files:
        raise CommandFailed(f"{done} of {files} outcomes came back")
    return {"seconds": seconds, "megabytes": peak_megabytes()}


def peak_megabytes() -> float:
    """Return the peak memory of this process. `getrusage` would count what its parent had when it started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def in_a_process(kind: str, files: int, *report: str) -> dict[str, float]:
    """Do the same in a process of its own."""
    command = [sys.executable, "-m", __name__, kind, str(files), *report]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CommandFailed(done.stderr)
    return json.loads(done.stdout)


@contextmanager
def outcomes(folder: Path, size: int) -> Iterator[list[Work]]:
    """Prepare to hand out that many files, to each kind of worker."""
    report = str(folder / "report.jsonl")
    yield [
        Work("no worker", lambda: size / in_a_process("at_once", size)["seconds"]),
        Work("no worker, with a report", lambda: size / in_a_process("at_once", size, report)["seconds"]),
        Work("two processes that answer at once", lambda: size / in_a_process("processes", size)["seconds"]),
        Work("two Dask workers that answer at once", lambda: size / in_a_process("dask", size)["seconds"]),
    ]


@contextmanager
def memory(_folder: Path, size: int) -> Iterator[list[Work]]:
    """Prepare to hand out that many files, and to look at the memory that it took."""
    yield [
        Work("no worker", lambda: in_a_process("at_once", size)["megabytes"]),
        Work("two processes that answer at once", lambda: in_a_process("processes", size)["megabytes"]),
    ]


if __name__ == "__main__":
    workers, number, *reports = sys.argv[1:]
    with tempfile.TemporaryDirectory() as place:
        print(json.dumps(hand_out(workers, int(number), Path(reports[0]) if reports else None, Path(place))))
