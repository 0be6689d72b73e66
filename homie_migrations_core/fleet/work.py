"""
The work on some databases of a fleet, as a function that any executor can run: plain data in, plain data out.

It runs in a worker: a process, a thread, or another machine. The packs are read once for each worker. What goes wrong with one
database is in its result, and is not raised.
"""

from __future__ import annotations

import functools
import hashlib
import os
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from homie_migrations_core.errors import DatabaseNotReachable, HomieMigrationsError, PackBroken, PacksDiffer
from homie_migrations_core.fleet.outcomes import FleetFinding, FleetStatus, Outcome, PackVersions, Result, Validated
from homie_migrations_core.model import Pack
from homie_migrations_core.packs.definition import MigrationPack
from homie_migrations_core.packs.source import ReadPacks
from homie_migrations_core.runner import MigrationRunner
from homie_migrations_core.stopping import StopRequest

FAILED: Literal["failed"] = "failed"


class PackAddress(NamedTuple):
    """A `MigrationPack` as plain data."""

    name: str
    place: str
    is_folder: bool
    database: str

    @classmethod
    def of(cls, pack: MigrationPack) -> PackAddress:
        """Return the pack as plain data. A folder is made absolute: a worker may have another working directory."""
        is_folder = isinstance(pack.migrations, Path)
        return cls(pack.name, os.path.abspath(pack.migrations) if is_folder else str(pack.migrations), is_folder, pack.database)

    def pack(self) -> MigrationPack:
        """Return the pack."""
        return MigrationPack(self.name, Path(self.place) if self.is_folder else self.place, self.database)


class Job(NamedTuple):
    """What is to be done to each database, and with which packs."""

    kind: Literal["apply", "status", "validate"]
    packs: tuple[PackAddress, ...]
    digest: str
    """What the packs hold where the caller is. A worker whose packs hold something else does nothing."""
    backup: bool = True
    lock_timeout: float = 30.0
    create: bool = False
    to: str | None = None
    all_or_nothing: bool = False
    allow_late: bool = False
    backup_dir: str | None = None
    keep: int = 5
    max_failures: int | None = None
    """After how many failures in one call of `run` no further database is begun."""


def run(job: Job, paths: Sequence[str], stop: StopRequest | None = None) -> list[Result]:
    """
    Do the job to each database, and return the results in the same order.

    Once a stop is asked for, or too many have failed, no further database is begun, and those have no result.
    """
    results: list[Result] = []
    failures = 0
    for path in paths:
        if (stop is not None and stop.asked()) or (job.max_failures is not None and failures > job.max_failures):
            break
        results.append(_result(job, path, stop))
        failures += results[-1].state == FAILED
    return results


def digest_of(packs: Sequence[Pack]) -> str:
    """Return a text that differs between packs of different names, databases, versions or code."""
    facts = [
        (pack.name, pack.database, [(each.version, each.name, each.checksum) for each in pack.migrations])
        for pack in sorted(packs, key=lambda pack: pack.name)
    ]
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def failed(kind: str, path: str, error: BaseException, seconds: float = 0.0) -> Result:
    """Return the result for a database on which the job failed."""
    code = error.code if isinstance(error, HomieMigrationsError) else "unexpected"
    message = str(error) if isinstance(error, HomieMigrationsError) else f"{type(error).__name__}: {error}"
    if kind == "status":
        return FleetStatus(path, FAILED, (), code, message, seconds)
    if kind == "validate":
        return Validated(path, FAILED, (), code, message, seconds)
    applied = tuple(each.ref for each in getattr(error, "applied", ()))
    return Outcome(path, FAILED, applied, code, message, seconds)


@functools.lru_cache(maxsize=8)
def _packs_of_worker(addresses: tuple[PackAddress, ...], digest: str) -> ReadPacks:
    """
    Read the packs once for each worker, and again when the caller's packs have changed.

    Raises:
        PacksDiffer: They are not those of the caller, whose `digest` this is.
    """
    names = [address.name for address in addresses]
    try:
        packs = ReadPacks([address.pack() for address in addresses])
    except PackBroken as error:  # the caller could read them
        raise PacksDiffer(names, "; ".join(error.problems)) from error
    if digest != digest_of(packs.read):
        raise PacksDiffer(names)
    return packs


def _result(job: Job, path: str, stop: StopRequest | None) -> Result:
    begun = time.perf_counter()
    try:
        packs = _packs_of_worker(job.packs, job.digest)
        _require_file(path, create=job.create and job.kind == "apply")
        runner = MigrationRunner(
            path,
            packs,
            backup=job.backup,
            lock_timeout=job.lock_timeout,
            should_stop=stop,
            backup_dir=job.backup_dir,
            keep=job.keep,
        )
        found = _ACTIONS[job.kind](runner, job)
    except Exception as error:  # a bug, too, is the failure of this one database
        return failed(job.kind, path, error, round(time.perf_counter() - begun, 6))
    return found._replace(path=path, seconds=round(time.perf_counter() - begun, 6))


def _apply(runner: MigrationRunner, job: Job) -> Outcome:
    applied = runner.apply(to=job.to, all_or_nothing=job.all_or_nothing, allow_late=job.allow_late)
    return Outcome("", "applied" if applied else "up_to_date", tuple(each.ref for each in applied))


def _status(runner: MigrationRunner, _: Job) -> FleetStatus:
    status = runner.status()
    packs = (PackVersions(each.name, each.state, each.current_version, each.latest_version) for each in status.packs.values())
    return FleetStatus("", status.state, tuple(packs))


def _validate(runner: MigrationRunner, _: Job) -> Validated:
    findings = [each for each in runner.validate() if each.accepted is None]
    return Validated(
        "",
        "findings" if findings else "valid",
        tuple(FleetFinding(each.code, each.subject, each.message) for each in findings),
    )


_ACTIONS: dict[str, Callable[[MigrationRunner, Job], Result]] = {"apply": _apply, "status": _status, "validate": _validate}


def _require_file(path: str, *, create: bool) -> None:
    """
    Refuse a path without a file, which in a list of thousands is a typo, and a pipe, whose opening would wait for ever.

    Raises:
        DatabaseNotReachable: It is one of these.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        if not create:
            raise DatabaseNotReachable(
                path, "there is no such file", "Correct the path. To make databases that are missing, add --create (create=True)."
            ) from None
    except (OSError, ValueError):
        return  # the runner finds the same, and explains it
    else:
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise DatabaseNotReachable(path, "it is a pipe or a device, not a file", "Name the database file.")
