"""
Spread the databases of a fleet over workers, and hand the results back as they are ready.

Knows nothing about migrations. A bounded number of tasks is handed out at a time, so neither the number of databases nor a
slow worker makes memory grow. A task whose worker died is run again, one database at a time and nothing beside it, so that no
other database is blamed. Running one twice does no harm, because a migration that is recorded is not run again.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from typing import Generic, Protocol, TypeVar

R = TypeVar("R")

_SECONDS_A_TASK = 0.2  # short enough to hear of each database soon, long enough for handing out to cost next to nothing
_MOST_PATHS_A_TASK = 64
_SECONDS_BETWEEN_QUESTIONS = 0.1  # how often a stop is asked for while no result comes
_TRIES = 2  # alone


class TaskRunner(Protocol[R]):
    """Where tasks run; see `workers.Workers`."""

    width: int

    def submit(self, task: Callable[[tuple[str, ...]], list[R]], paths: tuple[str, ...]) -> Future[list[R]]:
        """Hand out a task."""

    def gave_up(self, error: BaseException) -> bool:
        """Tell whether a task was tried several times already."""

    def renew(self) -> bool:
        """Replace an executor that broke. False if that can't be done."""

    @property
    def may_have_begun(self) -> bool:
        """Whether a task of an executor that broke may have done something."""


class ExecutorLost(Exception):
    """The executor broke and can't be replaced; `error` is what it raised."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


class Spreading(Generic[R]):
    """
    One pass over the paths of a fleet.

    `task` runs in the workers: it gets some paths and returns their results, in order, and fewer if it was stopped. `lost` makes
    the result of a path whose worker gave no answer, and `undone` tells from a result that its worker was stopped in the middle.
    `should_stop` is asked in the caller, before a task is handed out. What a worker did not finish, although the caller asked for
    no stop, is handed out again: somebody ended that worker.
    """

    def __init__(
        self,
        workers: TaskRunner[R],
        task: Callable[[tuple[str, ...]], list[R]],
        lost: Callable[[str, BaseException], R],
        should_stop: Callable[[], bool],
        undone: Callable[[R], bool] = lambda _: False,
    ) -> None:
        self._workers, self._task, self._lost, self._should_stop, self._undone = workers, task, lost, should_stop, undone
        self._running: dict[Future[list[R]], tuple[tuple[str, ...], float]] = {}
        self._suspects: deque[tuple[str, BaseException]] = deque()
        """Paths whose worker died, and of what, to be run again alone."""
        self._unfinished: deque[str] = deque()
        """Paths that a worker gave back because it was stopped."""
        self._deaths: dict[str, int] = {}
        self._broken: BaseException | None = None
        self._unreadable: Exception | None = None
        """What the iterable of paths raised."""
        self._seconds_a_path = _SECONDS_A_TASK
        self.closed = False
        """Set by the caller to have nothing more handed out."""

    def results(self, paths: Iterable[str]) -> Iterator[R]:
        """
        Yield the results as they come, until every path is done or a stop is asked for; then what runs is finished.

        Raises:
            ExecutorLost: The executor broke and can't be replaced. Every path that may have been begun has a result.
            Exception: What the iterable raised. Every path that it gave before has a result.
        """
        left = iter(paths)
        try:
            while True:
                self._hand_out(left)
                if not self._running and self._broken is None:
                    break
                done, _ = wait(self._running, timeout=_SECONDS_BETWEEN_QUESTIONS, return_when=FIRST_COMPLETED)
                for future in [each for each in self._running if each in done]:  # as they were handed out
                    yield from self._results_of(future)
                if self._broken is not None and not self._running:
                    yield from self._renewed()
            yield from self._lost_suspects()  # a stop was asked for before they were tried again
            if self._unreadable is not None:
                raise self._unreadable
        finally:
            for future in self._running:
                future.cancel()
            wait(self._running)

    def _hand_out(self, left: Iterator[str]) -> None:
        """Hand out tasks up to the bound, as long as nobody asks for a stop."""
        while self._broken is None and not (self.closed or self._should_stop()):
            if self._suspects:
                if not self._running:
                    self._submit((self._suspects.popleft()[0],))
                return
            if len(self._running) >= 2 * self._workers.width:
                return
            paths = self._next(left)
            if not paths:
                return
            self._submit(paths)

    def _next(self, left: Iterator[str]) -> tuple[str, ...]:
        number = self._paths_a_task()
        paths = [self._unfinished.popleft() for _ in range(min(number, len(self._unfinished)))]
        if self._unreadable is None:
            try:
                paths.extend(itertools.islice(left, number - len(paths)))
            except Exception as error:  # raised once those before it are done
                self._unreadable = error
        return tuple(paths)

    def _paths_a_task(self) -> int:
        return max(1, min(_MOST_PATHS_A_TASK, int(_SECONDS_A_TASK / max(self._seconds_a_path, 1e-6))))

    def _submit(self, paths: tuple[str, ...]) -> None:
        try:
            future = self._workers.submit(self._task, paths)
        except (BrokenExecutor, RuntimeError) as error:  # it broke or was shut down while nothing was handed out
            self._suspects.extend((path, error) for path in paths)
            self._broken = error
        else:
            self._running[future] = paths, time.monotonic()

    def _results_of(self, future: Future[list[R]]) -> Iterator[R]:
        paths, begun = self._running.pop(future)
        error: BaseException | None = CancelledError("its tasks were cancelled") if future.cancelled() else future.exception()
        if error is None:
            yield from self._finished(paths, future.result(), time.monotonic() - begun)
            return
        if isinstance(error, BrokenExecutor | CancelledError):
            self._broken = error
        for path in paths:
            deaths = self._deaths.pop(path, -1) + 1  # with others beside it, another one may be at fault
            if deaths < _TRIES and not (len(paths) == 1 and self._workers.gave_up(error)):
                self._deaths[path] = deaths
                self._suspects.append((path, error))
            else:
                yield self._lost(path, error)

    def _finished(self, paths: tuple[str, ...], results: list[R], seconds: float) -> Iterator[R]:
        """Yield the results of a task, and keep what it did not finish."""
        if results:
            self._seconds_a_path = (self._seconds_a_path + seconds / len(results)) / 2
        stopped = self.closed or self._should_stop()
        for path, result in zip(paths, results, strict=False):
            stops = self._deaths.pop(path, -1) + 1
            if not stopped and self._undone(result) and stops < _TRIES:
                self._deaths[path] = stops
                self._unfinished.append(path)
            else:
                yield result
        self._unfinished.extend(paths[len(results) :])

    def _renewed(self) -> Iterator[R]:
        """Replace the executor."""
        error, self._broken = self._broken, None
        assert error is not None  # the caller has looked
        begun = self._workers.may_have_begun
        if not self._workers.renew():
            if begun:
                yield from self._lost_suspects()
            raise ExecutorLost(error)

    def _lost_suspects(self) -> Iterator[R]:
        while self._suspects:
            yield self._lost(*self._suspects.popleft())
