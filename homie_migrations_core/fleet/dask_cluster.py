"""
A Dask cluster as the place where the tasks of a fleet run. Needs the extra `dask`.

Dask runs a task again if its worker dies, which does no harm. Its workers read their own packs, from where they run.
"""

from __future__ import annotations

import functools
import uuid
from typing import Any

from homie_migrations_core.errors import ExecutorBroken, UsageProblem
from homie_migrations_core.fleet.outcomes import Result
from homie_migrations_core.fleet.work import Job, run
from homie_migrations_core.fleet.workers import Task, Workers
from homie_migrations_core.stopping import StopRequest

_SECONDS_TO_CONNECT = 10.0

_stopped: set[str] = set()
"""In a worker: the fleets that were asked to stop."""


class DaskWorkers(Workers):
    """
    The workers of the scheduler at an address. A context manager.

    Raises:
        UsageProblem: Dask is not installed.
        ExecutorBroken: No scheduler answers, or it has no worker.
    """

    def __init__(self, address: str, jobs: int | None = None) -> None:
        try:
            from distributed import Client
        except ImportError as error:
            found = f"the executor {address} needs Dask, which is not installed"
            raise UsageProblem("Nothing was done", found, "Install homie-migrations-core[dask].") from error
        advice = "Check the address, and that `dask scheduler` and `dask worker` run."
        try:
            self._client: Any = Client(address, timeout=_SECONDS_TO_CONNECT, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise ExecutorBroken(f"no Dask scheduler answers at {address} ({error})", advice) from error
        try:
            self._client.wait_for_workers(1, timeout=_SECONDS_TO_CONNECT)
        except TimeoutError as error:
            self._client.close()
            raise ExecutorBroken(f"the Dask scheduler at {address} has no worker", advice) from error
        super().__init__(self._client.get_executor(pure=False), jobs or sum(self._client.nthreads().values()))
        self._fleet = uuid.uuid4().hex
        self._stop_asked = False

    def task(self, job: Job) -> Task:
        """Return the function that a worker runs on some paths."""
        return functools.partial(_run, self._fleet, job)

    def gave_up(self, error: BaseException) -> bool:
        """Tell whether several workers of the cluster died of a task."""
        return type(error).__name__ == "KilledWorker"

    def stop(self) -> None:
        """Have the running migrations undone."""
        if not self._stop_asked:
            self._stop_asked = True
            self._client.run(_stop_fleet, self._fleet, on_error="ignore")

    def close(self) -> None:
        """Close the connection; the cluster stays."""
        self._executor.shutdown(wait=False)
        self._client.close()


def _run(fleet: str, job: Job, paths: tuple[str, ...]) -> list[Result]:
    return run(job, paths, stop=StopRequest(lambda: fleet in _stopped))


def _stop_fleet(fleet: str) -> None:
    _stopped.add(fleet)
