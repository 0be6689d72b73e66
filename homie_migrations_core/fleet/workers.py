"""
Where the tasks of a fleet run: processes or threads of our own, or an executor that the caller brings.

What a worker process does by itself is the subject of `worker_process`, and a Dask cluster that of `dask_cluster`.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Self

from homie_migrations_core.errors import ExecutorBroken
from homie_migrations_core.fleet.outcomes import Result
from homie_migrations_core.fleet.work import Job, run
from homie_migrations_core.fleet.worker_process import begin, run_in_process
from homie_migrations_core.stopping import StopRequest

Task = Callable[[tuple[str, ...]], list[Result]]

_WIDTH_IF_UNKNOWN = 16
_MOST_PROCESSES = 61  # what Windows can wait for
_THREADS = 8  # the disk decides, not the processors: sqlite3 leaves the interpreter free while it waits


class Workers:
    """The caller's executor: it is neither replaced when it breaks nor shut down. A context manager."""

    def __init__(self, executor: Executor, jobs: int | None = None) -> None:
        self._executor = executor
        self.width = jobs or getattr(executor, "_max_workers", None) or _WIDTH_IF_UNKNOWN
        """How many tasks run at a time, as far as is known."""

    def task(self, job: Job) -> Task:
        """Return the function that a worker runs on some paths."""
        return functools.partial(run, job)

    def submit(self, task: Task, paths: tuple[str, ...]) -> Future[list[Result]]:
        """Hand out a task. Raises what the executor raises."""
        return self._executor.submit(task, paths)

    def gave_up(self, error: BaseException) -> bool:
        """Tell whether the executor itself has tried a task several times."""
        return False

    def renew(self) -> bool:
        """Replace an executor that broke. False if that can't be done."""
        return False

    @property
    def may_have_begun(self) -> bool:
        """Whether a task of an executor that broke may have done something."""
        return True

    def explain(self, error: BaseException) -> ExecutorBroken:
        """Return the error for an executor that broke and is not replaced."""
        return ExecutorBroken(f"its executor broke ({type(error).__name__}: {error})")

    def stop(self) -> None:
        """Have what runs undone, where that can be asked for; else it is finished."""

    def close(self) -> None:
        """End what was started for this fleet, once its tasks are done."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class OwnThreads(Workers):
    """Threads of this process that are started for one fleet."""

    def __init__(self, jobs: int | None = None) -> None:
        threads = jobs or _THREADS
        super().__init__(ThreadPoolExecutor(threads, "homie-fleet"), threads)
        self._stopped = False

    def task(self, job: Job) -> Task:
        """Return the function that a worker runs on some paths."""
        return functools.partial(run, job, stop=StopRequest(lambda: self._stopped))

    def stop(self) -> None:
        """Have the running migrations undone."""
        self._stopped = True

    def close(self) -> None:
        """End the threads."""
        self._executor.shutdown(wait=True, cancel_futures=True)


class OwnProcesses(Workers):
    """
    Processes that are started for one fleet and end with it, also when the process that started them is killed.

    They are spawned, never forked: a forked child would inherit open SQLite connections, and closing those drops the locks of
    its parent (https://sqlite.org/howtocorrupt.html). With the end of this process the pipe `stop` is closed, which they notice.
    """

    def __init__(self, jobs: int | None = None) -> None:
        self.width = min(jobs or _processors(), _MOST_PROCESSES)
        self._context = multiprocessing.get_context("spawn")
        self._stop_received, self._stop_sent = self._context.Pipe(duplex=False)
        self._stop_asked = False
        self._pool: ProcessPoolExecutor | None = None
        self._begun: tuple[Connection, Connection] | None = None

    def task(self, job: Job) -> Task:
        """Return the function that a worker runs on some paths."""
        return functools.partial(run_in_process, job)

    def submit(self, task: Task, paths: tuple[str, ...]) -> Future[list[Result]]:
        """Hand out a task. The first ones make the pool and start its processes."""
        if self._pool is None:
            self._begun = self._context.Pipe(duplex=False)
            with _signals_blocked():  # Python starts a process of its own that tracks semaphores; a hang-up must not end it
                self._pool = ProcessPoolExecutor(self.width, self._context, begin, (self._stop_received, self._begun[1]))
        with _signals_blocked():  # a new process inherits that, and lets them in once it is prepared
            return self._pool.submit(task, paths)

    def renew(self) -> bool:
        """Have the next task make a new pool, because a worker died. False if no process of this pool could begin."""
        begun = self.may_have_begun
        self._end_pool()
        return begun

    @property
    def may_have_begun(self) -> bool:
        """Whether a process of this pool was able to take a task."""
        return self._begun is not None and self._begun[0].poll()

    def explain(self, error: BaseException) -> ExecutorBroken:
        """Return the error for processes that can't be started."""
        return ExecutorBroken(
            f"its worker processes ended before they could begin ({error})",
            'A script must make this call under `if __name__ == "__main__":`, because each worker process imports the script. '
            "An executor of threads needs no such line.",
        )

    def stop(self) -> None:
        """Have the running migrations undone."""
        if not self._stop_asked:
            self._stop_asked = True
            self._stop_sent.send_bytes(b"stop")  # nobody reads it, so every process sees it

    def close(self) -> None:
        """End the processes."""
        self._end_pool()
        self._stop_sent.close()
        self._stop_received.close()

    def _end_pool(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
        for each in self._begun or ():
            each.close()
        self._begun = None


def _processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """Block the signals that end a process, in this thread."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
