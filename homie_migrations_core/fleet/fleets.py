"""
The public functions of the fleet: `migrate_fleet`, `fleet_status`, `validate_fleet`.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Executor
from typing import Any, Literal, cast

from homie_migrations_core.errors import RunStopped, WorkerDied
from homie_migrations_core.fleet.outcomes import FleetStatus, Outcome, Result, Validated
from homie_migrations_core.fleet.spreading import ExecutorLost, Spreading
from homie_migrations_core.fleet.work import FAILED, Job, PackAddress, digest_of, failed
from homie_migrations_core.fleet.workers import OwnProcesses, Workers
from homie_migrations_core.packs.definition import MigrationPack
from homie_migrations_core.packs.source import ReadPacks


def migrate_fleet(
    paths: Iterable[str | os.PathLike[str]],
    packs: Sequence[MigrationPack],
    executor: Executor | None = None,
    jobs: int | None = None,
    *,
    backup: bool = True,
    lock_timeout: float = 30.0,
    canaries: int = 0,
    max_failures: int | None = None,
    create: bool = False,
    should_stop: Callable[[], bool] | None = None,
    to: str | None = None,
    all_or_nothing: bool = False,
    allow_late: bool = False,
    backup_dir: str | os.PathLike[str] | None = None,
    keep: int = 5,
) -> Generator[Outcome, None, None]:
    """
    Bring many databases up to date, and yield an outcome for each as it is ready, in no order.

    One database that fails never stops the others. `paths` may be any iterable, and is read as the work goes on: memory does not
    grow with their number. `executor` is any `concurrent.futures.Executor`; it is not shut down. Without one, `jobs` processes
    are started, as many as there are processors; a script then needs `if __name__ == "__main__":` around the call.

    The first `canaries` databases run before all others, and if one of them fails the others are not begun. Once more than
    `max_failures` have failed, nothing more is begun. `should_stop` is asked in the caller, between databases: what runs is
    finished, and what was not begun has no outcome. Closing the generator does the same. A path without a file fails, unless
    `create` says that it is to be made. The other options are those of `MigrationRunner`.

    A database whose worker dies is run again alone, up to twice. That a task runs more than once does no harm.

    Raises:
        PackBroken: A pack can't be used. Nothing was begun.
        ExecutorBroken: The executor broke. What was not begun has no outcome; a run of the same paths continues.
    """
    job = job_for(
        "apply",
        packs,
        backup=backup,
        lock_timeout=lock_timeout,
        create=create,
        to=to,
        all_or_nothing=all_or_nothing,
        allow_late=allow_late,
        backup_dir=None if backup_dir is None else os.path.abspath(os.fspath(backup_dir)),
        keep=keep,
    )
    workers = workers_for(executor, jobs)
    results = run_fleet(job, paths, workers, canaries=canaries, max_failures=max_failures, should_stop=should_stop)
    return cast("Generator[Outcome, None, None]", results)


def fleet_status(
    paths: Iterable[str | os.PathLike[str]],
    packs: Sequence[MigrationPack],
    executor: Executor | None = None,
    jobs: int | None = None,
    *,
    lock_timeout: float = 30.0,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[FleetStatus, None, None]:
    """Tell how far many databases are. Changes nothing; yields and raises as `migrate_fleet` does."""
    results = _look("status", paths, packs, executor, jobs, lock_timeout, should_stop)
    return cast("Generator[FleetStatus, None, None]", results)


def validate_fleet(
    paths: Iterable[str | os.PathLike[str]],
    packs: Sequence[MigrationPack],
    executor: Executor | None = None,
    jobs: int | None = None,
    *,
    lock_timeout: float = 30.0,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[Validated, None, None]:
    """Compare many databases with their packs. Changes nothing; yields and raises as `migrate_fleet` does."""
    results = _look("validate", paths, packs, executor, jobs, lock_timeout, should_stop)
    return cast("Generator[Validated, None, None]", results)


def _look(
    kind: Literal["status", "validate"],
    paths: Iterable[str | os.PathLike[str]],
    packs: Sequence[MigrationPack],
    executor: Executor | None,
    jobs: int | None,
    lock_timeout: float,
    should_stop: Callable[[], bool] | None,
) -> Generator[Result, None, None]:
    job = job_for(kind, packs, lock_timeout=lock_timeout)
    return run_fleet(job, paths, workers_for(executor, jobs), should_stop=should_stop)


def job_for(kind: Literal["apply", "status", "validate"], packs: Sequence[MigrationPack], **options: Any) -> Job:
    """
    Return the job, with the packs read where the caller is: what is wrong with them is said before anything is begun.

    Raises:
        PackBroken: One can't be used.
    """
    if not packs:
        raise ValueError("a fleet needs at least one pack")
    addresses = tuple(PackAddress.of(pack) for pack in packs)
    return Job(kind, addresses, digest_of(ReadPacks(packs).read), **options)


def workers_for(executor: Executor | None, jobs: int | None) -> Workers:
    """Return the place where tasks run: the caller's executor, or processes of our own."""
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs must be 1 or more, not {jobs}")
    return Workers(executor, jobs) if executor is not None else OwnProcesses(jobs)


def run_fleet(
    job: Job,
    paths: Iterable[str | os.PathLike[str]],
    workers: Workers,
    *,
    canaries: int = 0,
    max_failures: int | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[Result, None, None]:
    """
    Do a job to every path, and yield the results as `migrate_fleet` does. The workers are closed with the generator.

    Raises:
        ExecutorBroken: As `migrate_fleet`.
    """
    if canaries < 0 or (max_failures is not None and max_failures < 0):
        raise ValueError("canaries and max_failures must be 0 or more")
    return _results(job, paths, workers, canaries, max_failures, should_stop or (lambda: False))


def _results(
    job: Job,
    paths: Iterable[str | os.PathLike[str]],
    workers: Workers,
    canaries: int,
    max_failures: int | None,
    should_stop: Callable[[], bool],
) -> Generator[Result, None, None]:
    absolute = (os.path.abspath(os.fsdecode(path)) for path in paths)

    def lost(path: str, error: BaseException) -> Result:
        return failed(job.kind, path, WorkerDied(path, f"{type(error).__name__}: {error}"))

    failures = 0
    with workers:
        for group, limit in ((itertools.islice(absolute, canaries), 0), (absolute, max_failures)):
            spreading = Spreading(workers, workers.task(job._replace(max_failures=limit)), lost, should_stop, _undone)
            try:
                for result in spreading.results(group):
                    failures += result.state == FAILED
                    spreading.closed = limit is not None and failures > limit
                    yield result
            except ExecutorLost as lost_executor:
                raise workers.explain(lost_executor.error) from lost_executor.error
            if spreading.closed:
                return


def _undone(result: Result) -> bool:
    return result.error_code == RunStopped.code
