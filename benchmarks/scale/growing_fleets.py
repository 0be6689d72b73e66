"""More files in a fleet, more processes, and the workers of a Dask cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from benchmarks.fixtures import settle
from benchmarks.fleet import make_databases, make_template, plain, tenant_pack
from benchmarks.measuring import CommandFailed
from benchmarks.scale.rounds import Work
from homie_migrations_core import MigrationPack
from homie_migrations_core.fleet import fleet_status, migrate_fleet

PROCESSES = 2
_CHUNK = 50
_SAFE, _SAME = "sqlite3: and a backup, quick_check, fsync", "sqlite3: the same transactions"


class Fleet:
    """A fleet of small files, made anew before each run that changes them."""

    def __init__(self, folder: Path, files: int) -> None:
        self.folder, self.files = folder, files
        self.pack = tenant_pack(folder / "tenant")
        self.template = make_template(folder / "template.db")
        self._current: list[str] = []

    def fresh(self, work: Callable[[list[str]], int]) -> Callable[[], float]:
        """Return what measures work on new files, in seconds."""

        def run() -> float:
            made = make_databases(self.folder / "db", self.template, self.files)
            for path in made:
                settle(path)
            return self._timed(work, made)

        return run

    def current(self, work: Callable[[list[str]], int]) -> Callable[[], float]:
        """Return what measures work on files that are up to date, in seconds. These are made once."""

        def run() -> float:
            if not self._current:
                self._current = make_databases(self.folder / "current", self.template, self.files)
                plain(self._current)
            return self._timed(work, self._current)

        return run

    def rate(self, seconds: Callable[[], float]) -> Callable[[], float]:
        """Return what measures databases a second."""
        return lambda: self.files / seconds()

    def _timed(self, work: Callable[[list[str]], int], paths: list[str]) -> float:
        started = time.perf_counter()
        done = work(paths)
        seconds = time.perf_counter() - started
        if done != self.files:
            raise CommandFailed(f"{done} of {self.files} databases were done")
        return seconds


def ours(pack: MigrationPack, executor: Executor, paths: list[str], *, backup: bool, state: str = "applied") -> int:
    """Migrate the fleet, and return how many of the databases are in this state then."""
    return sum(outcome.state == state for outcome in migrate_fleet(paths, [pack], executor, backup=backup))


def status(pack: MigrationPack, executor: Executor, paths: list[str]) -> int:
    """Ask for the states of the fleet, and return how many databases are up to date."""
    return sum(each.state == "up_to_date" for each in fleet_status(paths, [pack], executor))


def spread(executor: Executor, work: Callable[[list[str]], int], paths: Sequence[str]) -> int:
    """Have the workers do the work of bare sqlite3."""
    return sum(executor.map(work, [list(paths[start : start + _CHUNK]) for start in range(0, len(paths), _CHUNK)]))


@contextmanager
def files(folder: Path, size: int) -> Iterator[list[Work]]:
    """Prepare a fleet of that many files, and two processes."""
    fleet = Fleet(folder, size)
    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:
        bare, snapshots = partial(spread, pool, plain), partial(spread, pool, partial(plain, snapshots=True))
        yield [
            Work("fleet apply, with snapshots", fleet.fresh(partial(ours, fleet.pack, pool, backup=True)), _SAFE),
            Work(_SAFE, fleet.fresh(snapshots), floor=True),
            Work("fleet apply, no snapshots", fleet.fresh(partial(ours, fleet.pack, pool, backup=False)), _SAME),
            Work(_SAME, fleet.fresh(bare), floor=True),
            Work("fleet apply, nothing to do", fleet.current(partial(ours, fleet.pack, pool, backup=True, state="up_to_date"))),
            Work("fleet status", fleet.current(partial(status, fleet.pack, pool))),
        ]


@contextmanager
def workers(folder: Path, size: int, *, files: int) -> Iterator[list[Work]]:
    """Prepare a fleet, and that many processes and threads."""
    fleet = Fleet(folder, files)
    with ProcessPoolExecutor(size, get_context("spawn")) as processes, ThreadPoolExecutor(size) as threads:
        in_processes = partial(ours, fleet.pack, processes, backup=False)
        in_threads = partial(ours, fleet.pack, threads, backup=False)
        yield [
            Work("fleet apply, processes", fleet.rate(fleet.fresh(in_processes)), "sqlite3: processes"),
            Work("fleet apply, threads", fleet.rate(fleet.fresh(in_threads)), "sqlite3: threads"),
            Work("sqlite3: processes", fleet.rate(fleet.fresh(partial(spread, processes, plain))), floor=True),
            Work("sqlite3: threads", fleet.rate(fleet.fresh(partial(spread, threads, plain))), floor=True),
        ]


@contextmanager
def dask_workers(folder: Path, size: int, *, files: int) -> Iterator[list[Work]]:
    """Prepare a fleet, and a Dask cluster of that many worker processes on this machine."""
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise CommandFailed(f"Dask is not installed, install the extra `dask` ({error})") from error
    fleet = Fleet(folder, files)
    options = {"processes": True, "threads_per_worker": 1, "dashboard_address": None, "local_directory": str(folder)}
    with LocalCluster(n_workers=size, **options) as cluster, Client(cluster) as client:
        executor = client.get_executor(pure=False)
        yield [
            Work("fleet apply, with snapshots", fleet.rate(fleet.fresh(partial(ours, fleet.pack, executor, backup=True)))),
            Work("fleet apply, no snapshots", fleet.rate(fleet.fresh(partial(ours, fleet.pack, executor, backup=False))), _SAME),
            Work(_SAME, fleet.rate(fleet.fresh(partial(spread, executor, plain))), floor=True),
        ]
