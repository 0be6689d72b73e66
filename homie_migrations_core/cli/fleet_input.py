"""
What the options of `fleet` select: packs, paths, and the workers. Opens no database.
"""

from __future__ import annotations

import codecs
import glob
import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING

from homie_migrations_core.cli.targets import select_folder, select_installed_packs
from homie_migrations_core.errors import FolderUnusable, UsageProblem
from homie_migrations_core.fleet.reports import failed_paths
from homie_migrations_core.fleet.workers import OwnProcesses, OwnThreads, Workers

if TYPE_CHECKING:
    from homie_migrations_core.packs.definition import MigrationPack


def packs_of_fleet(folder: str | None, names: Sequence[str]) -> list[MigrationPack]:
    """
    Return the packs that every database gets.

    Raises:
        UsageProblem, UnknownPack, PackBroken, FolderUnusable, PackInvalid: The options name none.
    """
    if folder is not None:
        (target,) = select_folder(folder, None, names, needs_database=False).targets
        return list(target.packs or ())
    if not names:
        found = "it is not known which migrations the databases get"
        raise UsageProblem("Nothing was done", found, "Add --pack NAME or --dir FOLDER.")
    return select_installed_packs(names)


def paths_of_fleet(
    paths: Sequence[str], from_file: str | None, only_failed: str | None, *, counted: bool
) -> tuple[Iterable[str], int | None]:
    """
    Return the databases, and their number as far as it is known. Those in a file are read as the work goes on.

    With `counted` the lines of a file are counted first; those of standard input can't be.

    Raises:
        UsageProblem, FolderUnusable, ReportUnusable: The options name none.
    """
    if not paths and from_file is None and only_failed is None:
        raise UsageProblem("Nothing was done", "no database was named", "Give paths, --from-file FILE or --only-failed REPORT.")
    known = [found for path in paths for found in _expanded(path)]
    if only_failed is not None:
        known += failed_paths(only_failed)
    if from_file is None:
        return known, len(known)
    total = None
    if counted and from_file != "-" and os.path.isfile(from_file):
        with _opened(from_file) as file:
            total = len(known) + sum(1 for _ in _lines(file))
    return _known_and_lines(known, _opened(from_file)), total


def workers_of_fleet(executor: str | None, jobs: int | None) -> Workers:
    """
    Return where the tasks run.

    Raises:
        UsageProblem: There is no such executor, or Dask is not installed.
        ExecutorBroken: No scheduler answers at the address.
    """
    where = executor or "processes"
    if where == "processes":
        return OwnProcesses(jobs)
    if where == "threads":
        return OwnThreads(jobs)
    if "://" in where:
        from homie_migrations_core.fleet.dask_cluster import DaskWorkers

        return DaskWorkers(where, jobs)
    raise UsageProblem(
        "Nothing was done", f"there is no executor {where!r}", "Give processes, threads, or tcp://HOST:PORT for a Dask scheduler."
    )


def _expanded(path: str) -> list[str]:
    """Expand a pattern that the shell left alone. One that matches nothing stays, and fails under its own name."""
    if os.path.lexists(path) or not glob.has_magic(path):
        return [path]
    return sorted(glob.glob(path, recursive=True)) or [path]


def _opened(file: str) -> IO[bytes]:
    if file == "-":
        if sys.stdin is None:
            raise UsageProblem("Nothing was done", "standard input is closed", "Give --from-file a file.")
        return sys.stdin.buffer
    try:
        return open(file, "rb")
    except OSError as error:
        raise FolderUnusable(
            os.path.abspath(file), f"can't be read ({error.strerror})", "Name a file with one path a line."
        ) from error


def _lines(file: IO[bytes]) -> Iterator[str]:
    first = file.readline().removeprefix(codecs.BOM_UTF8)  # which Windows programs write
    for line in itertools.chain([first], file):
        if path := line.rstrip(b"\r\n"):
            yield os.fsdecode(path)


def _known_and_lines(known: list[str], file: IO[bytes]) -> Iterator[str]:
    with file:
        yield from known
        yield from _lines(file)
