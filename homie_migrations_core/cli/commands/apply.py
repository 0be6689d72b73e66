"""`apply`: brings databases up to date."""

from __future__ import annotations

from homie_migrations_core.cli.changes import ChangeSettings, DatabaseChange, change_databases
from homie_migrations_core.cli.options import (
    BackupOptions,
    DatabaseOptions,
    LockOptions,
    OutputOptions,
    PackOptions,
    PlanOptions,
    ProgressOptions,
    TransactionOptions,
)
from homie_migrations_core.cli.report import Report
from homie_migrations_core.cli.targets import select


class ApplyOptions(
    PlanOptions, TransactionOptions, DatabaseOptions, PackOptions, BackupOptions, LockOptions, ProgressOptions, OutputOptions
):
    """The options of `apply`."""


def apply(options: ApplyOptions) -> None:
    """Bring databases up to date."""

    def work(change: DatabaseChange) -> None:
        change.runner.apply(to=options.to, all_or_nothing=options.all_or_nothing, allow_late=options.allow_late)

    with Report(options) as report:
        selection = select(options, options.pack, changing=True)
        report.broken(selection.broken)
        settings = ChangeSettings.of(options, verb="applied", creates=True)
        change_databases(report, selection, selection.targets_of(options.to), settings, work)
