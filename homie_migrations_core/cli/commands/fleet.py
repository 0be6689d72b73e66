"""`fleet apply`, `fleet status` and `fleet validate`: the same command for many databases."""

from __future__ import annotations

import contextlib
import os
from typing import Any, Literal

from homie_migrations_core.cli.changes import ChangeSettings, stoppable
from homie_migrations_core.cli.fleet_input import packs_of_fleet, paths_of_fleet, workers_of_fleet
from homie_migrations_core.cli.fleet_progress import FleetProgress
from homie_migrations_core.cli.fleet_summary import FleetCount, StoppedBy, result_in_one_line
from homie_migrations_core.cli.options import (
    BackupOptions,
    LockOptions,
    OutputOptions,
    PlanOptions,
    ProgressOptions,
    TransactionOptions,
    argument,
    option,
)
from homie_migrations_core.cli.report import Report
from homie_migrations_core.cli.signals import SignalStop
from homie_migrations_core.errors import UsageProblem
from homie_migrations_core.fleet.fleets import job_for, run_fleet
from homie_migrations_core.fleet.reports import ReportFile


class FleetOptions(LockOptions, ProgressOptions, OutputOptions):
    """The options of every command about a fleet."""

    paths: list[str] | None = argument("PATH", required=False, help="Database files, or patterns such as 'tenants/*.db'.")
    from_file: str | None = option("--from-file", metavar="FILE", help="Read paths from a file, one a line; - is standard input.")
    only_failed: str | None = option(
        "--only-failed", metavar="REPORT", help="Take the databases whose last line in a report says failed."
    )
    pack: list[str] | None = option("--pack", metavar="NAME", help="The pack that every database gets. Repeatable.")
    folder: str | None = option("--dir", metavar="FOLDER", help="A folder of migrations as the only pack.")
    jobs: int | None = option("--jobs", metavar="N", minimum=1, help="Run N databases at a time; default one a processor.")
    executor: str | None = option(
        "--executor", metavar="WHERE", help="processes (the default), threads, or tcp://HOST:PORT of a Dask scheduler."
    )
    report: str | None = option("--report", metavar="FILE", help="Append one JSON line for each database as it is done.")


class FleetApplyOptions(FleetOptions, PlanOptions, TransactionOptions, BackupOptions):
    """The options of `fleet apply`."""

    canaries: int = option("--canaries", metavar="N", default=0, minimum=0, help="Run the first N alone; stop if one fails.")
    max_failures: int | None = option("--max-failures", metavar="N", minimum=0, help="Stop once more than N have failed.")
    create: bool = option("--create", help="Make databases that do not exist.")


class FleetStatusOptions(FleetOptions):
    """The options of `fleet status`."""

    check: bool = option("--check", help="Exit with 3 if anything is pending.")


def apply(options: FleetApplyOptions) -> None:
    """Bring many databases up to date. One that fails does not stop the others."""
    _run(options, "apply", canaries=options.canaries, max_failures=options.max_failures)


def status(options: FleetStatusOptions) -> None:
    """Count many databases by their states. Changes nothing."""
    _run(options, "status", check=options.check)


def validate(options: FleetOptions) -> None:
    """Compare many databases with their packs. Changes nothing."""
    _run(options, "validate")


def _run(
    options: FleetOptions,
    kind: Literal["apply", "status", "validate"],
    *,
    canaries: int = 0,
    max_failures: int | None = None,
    check: bool = False,
) -> None:
    with Report(options) as report, contextlib.ExitStack() as stack:
        if not options.lock_timeout >= 0:  # not-a-number is not either
            found = f"--lock-timeout {options.lock_timeout:g} is no time to wait"
            raise UsageProblem("Nothing was done", found, "Give seconds, 0 or more.")
        packs = packs_of_fleet(options.folder, tuple(dict.fromkeys(options.pack or ())))
        job = job_for(kind, packs, lock_timeout=options.lock_timeout, **_facts(options))
        shows_progress = report.shows_bars and not options.verbose
        paths, known = paths_of_fleet(
            options.paths or (), options.from_file, options.only_failed, counted=shows_progress or report.events is not None
        )
        lines = stack.enter_context(ReportFile(options.report)) if options.report is not None else None
        stop = stack.enter_context(stoppable(report))
        workers = stack.enter_context(workers_of_fleet(options.executor, options.jobs))
        count = FleetCount(check=check)
        progress = stack.enter_context(FleetProgress(kind, known, shown=shows_progress))

        def should_stop() -> bool:
            if stop.asked():
                workers.stop()
            return stop.asked()

        completed = False
        try:
            results = run_fleet(job, paths, workers, canaries=canaries, max_failures=max_failures, should_stop=should_stop)
            with contextlib.closing(results):
                for result in results:
                    count.add(result)
                    if lines is not None:
                        lines.append(result)
                    progress.show(count)
                    report.database_finished(result, count.total, known)
                    if options.verbose:
                        report.note(result_in_one_line(result))
            completed = True
        finally:
            progress.close()
            stopped_by = _stopped_by(count, stop, canaries, max_failures) if completed else "error"
            count.report(report, known=known, stopped_by=stopped_by, lines=lines.path if lines is not None else None)


def _facts(options: FleetOptions) -> dict[str, Any]:
    """Return what `apply` does to each database."""
    if not isinstance(options, FleetApplyOptions):
        return {}
    settings = ChangeSettings.of(options)
    return {
        "backup": settings.backup,
        "backup_dir": None if settings.backup_dir is None else os.path.abspath(settings.backup_dir),
        "keep": settings.keep,
        "create": options.create,
        "to": options.to,
        "all_or_nothing": options.all_or_nothing,
        "allow_late": options.allow_late,
    }


def _stopped_by(count: FleetCount, stop: SignalStop, canaries: int, max_failures: int | None) -> StoppedBy:
    """Return what ended a run before its last database, as far as is known."""
    if stop.asked():
        return "signal"
    if canaries and count.failed and count.total <= canaries:
        return "canary"
    if max_failures is not None and count.failed > max_failures:
        return "max_failures"
    return None
