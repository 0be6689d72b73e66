"""How paths are spread over workers, with work that is none: bounds, workers that die, executors that break."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Future

import pytest

from homie_migrations_core.fleet.spreading import ExecutorLost, Spreading


class ScriptedWorkers:
    """Workers in this process. `dies` says whether the worker dies of a task; each death breaks the executor if `breaks`."""

    width = 2
    remembers = True

    def __init__(self, dies=lambda paths: False, *, breaks: bool = True, renewable: bool = True) -> None:
        self.dies, self.breaks, self.renewable = dies, breaks, renewable
        self.may_have_begun, self.broken, self.renewed = True, False, 0
        self.tasks: list[tuple[str, ...]] = []

    def submit(self, task, paths):
        if self.broken:
            raise BrokenExecutor("it is broken")
        if self.remembers:
            self.tasks.append(paths)
        future: Future = Future()
        if self.dies(paths):
            self.broken = self.breaks
            future.set_exception(BrokenExecutor("killed") if self.breaks else OSError("killed"))
        else:
            future.set_result(task(paths))
        return future

    def gave_up(self, error: BaseException) -> bool:
        return False

    def renew(self) -> bool:
        self.renewed += 1
        self.broken = False
        return self.renewable


def spread(workers, should_stop=lambda: False) -> Spreading:
    return Spreading(
        workers, lambda paths: [f"{path} done" for path in paths], lambda path, error: f"{path} lost: {error}", should_stop
    )


def names(number: int) -> list[str]:
    return [str(each) for each in range(number)]


def test_every_path_has_one_result():
    assert sorted(spread(ScriptedWorkers()).results(names(1000))) == sorted(f"{each} done" for each in names(1000))


def test_paths_are_read_as_the_work_goes_on_and_memory_does_not_grow():
    """A hundred thousand paths: what is read ahead is bounded, and so is what is held."""
    read = itertools.count()
    furthest = 0

    def paths() -> Iterator[str]:
        for number in read:
            if number == 100_000:
                return
            yield f"/data/tenants/{number}.db"

    workers = ScriptedWorkers()
    workers.remembers = False
    results = spread(workers).results(paths())
    for _ in range(20_000):
        next(results)
    tracemalloc.start()
    try:
        for done, _ in enumerate(results, start=20_001):
            if done % 1000 == 0:
                ahead = next(read)  # costs one path
                furthest = max(furthest, ahead - done)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert furthest < 1000
    assert peak < 500_000


@pytest.mark.parametrize("breaks", [True, False], ids=["the executor breaks", "only the task fails"])
def test_a_path_whose_worker_dies_each_time_is_lost_and_no_other_is(breaks: bool):
    workers = ScriptedWorkers(lambda paths: "300" in paths, breaks=breaks)
    results = list(spread(workers).results(names(1000)))
    assert sorted(results) == sorted(["300 lost: killed", *(f"{each} done" for each in names(1000) if each != "300")])
    assert [paths for paths in workers.tasks if "300" in paths][-1] == ("300",)
    assert workers.renewed == (3 if breaks else 0)


def test_a_path_whose_worker_dies_once_is_done():
    died: list[object] = []
    workers = ScriptedWorkers(lambda paths: "300" in paths and not died and not died.append(paths))
    assert len([each for each in spread(workers).results(names(500)) if each.endswith("done")]) == 500


def test_an_executor_that_breaks_for_good_is_an_error_after_a_result_for_all_that_was_handed_out():
    workers = ScriptedWorkers(lambda paths: "300" in paths, renewable=False)
    results: list[str] = []
    with pytest.raises(ExecutorLost):
        for each in spread(workers).results(names(100_000)):
            results.append(each)  # noqa: PERF402  (what came before the error counts)
    handed_out = {path for paths in workers.tasks for path in paths}
    assert {each.split()[0] for each in results} == handed_out
    assert "300 lost: killed" in results
    assert len(handed_out) < 1000


def test_an_executor_that_never_began_leaves_no_results():
    workers = ScriptedWorkers(lambda paths: True, renewable=False)
    workers.may_have_begun = False
    results = spread(workers).results(names(10))
    with pytest.raises(ExecutorLost):
        list(results)


def test_an_executor_that_was_shut_down_is_a_broken_one():
    class ShutDown(ScriptedWorkers):
        def submit(self, task, paths):
            raise RuntimeError("cannot schedule new futures after shutdown")

    workers = ShutDown(renewable=False)
    workers.may_have_begun = False
    with pytest.raises(ExecutorLost, match="after shutdown"):
        list(spread(workers).results(names(10)))


def test_a_stop_begins_nothing_more_and_says_what_became_of_a_path_whose_worker_died():
    workers = ScriptedWorkers(lambda paths: "0" in paths)
    results = list(spread(workers, lambda: bool(workers.tasks)).results(names(100)))
    assert results == ["0 lost: killed"]


def test_an_iterable_that_raises_does_so_after_the_results_of_what_it_gave():
    def paths() -> Iterator[str]:
        yield from names(100)
        raise LookupError("no more")

    results: list[str] = []
    with pytest.raises(LookupError, match="no more"):
        for each in spread(ScriptedWorkers()).results(paths()):
            results.append(each)  # noqa: PERF402  (what came before the error counts)
    assert len(results) == 100


def test_tasks_grow_when_databases_are_quick():
    workers = ScriptedWorkers()
    list(spread(workers).results(names(2000)))
    assert len(workers.tasks[0]) == 1
    assert max(map(len, workers.tasks)) == 64


def test_what_a_stopped_worker_gave_back_is_handed_out_again():
    """Somebody ends a worker: the database it was at is undone, and those that it had not begun have no result."""
    ended: list[str] = []

    def task(paths: tuple[str, ...]) -> list[str]:
        if "300" not in paths or ended:
            return [f"{path} done" for path in paths]
        ended.extend(paths)
        return [f"{path} done" for path in paths[: paths.index("300")]] + ["300 undone"]

    spreading: Spreading[str] = Spreading(ScriptedWorkers(), task, lambda *_: "lost", lambda: False, lambda each: "undone" in each)
    assert sorted(spreading.results(names(500))) == sorted(f"{each} done" for each in names(500))
    assert ended[-1] != "300"


def test_a_path_that_is_undone_each_time_has_that_as_its_result():
    spreading: Spreading[str] = Spreading(
        ScriptedWorkers(), lambda paths: [f"{paths[0]} undone"], lambda *_: "lost", lambda: False, lambda each: True
    )
    assert sorted(spreading.results(names(100))) == sorted(f"{each} undone" for each in names(100))


def test_what_a_stopped_worker_gave_back_stays_when_the_caller_stops_too():
    stopped: list[bool] = []

    def task(paths: tuple[str, ...]) -> list[str]:
        stopped.append(True)
        return [f"{paths[0]} undone"]

    spreading: Spreading[str] = Spreading(
        ScriptedWorkers(), task, lambda *_: "lost", lambda: bool(stopped), lambda each: "undone" in each
    )
    assert list(spreading.results(names(500))) == ["0 undone"]
