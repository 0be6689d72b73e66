"""`rollback`, `redo` and `reset`: take migrations back, after a question."""

from __future__ import annotations

import functools

from homie_migrations_core.cli.changes import ChangeSettings, DatabaseChange, change_databases
from homie_migrations_core.cli.commands.rehearse import report_rehearsals
from homie_migrations_core.cli.options import (
    BackupOptions,
    ConfirmationOptions,
    DatabaseOptions,
    LockOptions,
    OutputOptions,
    PackArgument,
    PackOptions,
    ProgressOptions,
    RehearseOptions,
    SnapshotOptions,
    option,
)
from homie_migrations_core.cli.report import Report
from homie_migrations_core.cli.targets import select
from homie_migrations_core.errors import UsageProblem


class RedoOptions(PackArgument, DatabaseOptions, ConfirmationOptions, BackupOptions, LockOptions, ProgressOptions, OutputOptions):
    """The options of `redo`."""


class RollbackOptions(RehearseOptions, RedoOptions):
    """The options of `rollback`."""

    steps: int | None = option("--steps", metavar="N", minimum=1, help="How many migrations. Default: 1.")
    to: int | None = option("--to", metavar="VERSION", minimum=0, help="Leave this version applied.")


class ResetOptions(
    RehearseOptions, DatabaseOptions, PackOptions, ConfirmationOptions, SnapshotOptions, LockOptions, ProgressOptions, OutputOptions
):
    """The options of `reset`."""


def rollback(options: RollbackOptions) -> None:
    """Roll back the newest migrations of a pack. Says what will be lost, and asks first."""
    pack, to, steps = options.pack_name, options.to, options.steps

    def work(change: DatabaseChange) -> None:
        rehearse = functools.partial(change.runner.rehearse_rollback, pack, to=to, steps=steps)
        change.ask_about("rolling back", change.runner.plan_rollback(pack, to=to, steps=steps), rehearse)
        change.runner.rollback(pack, to=to, steps=steps)

    with Report(options) as report:
        if steps is not None and to is not None:
            raise UsageProblem("Nothing was rolled back", "--steps and --to were both given", "Give one of them.")
        selection = select(options, [pack], changing=True)
        if options.rehearse:
            report_rehearsals(
                report,
                selection,
                selection.targets,
                lambda runner: runner.rehearse_rollback(pack, to=to, steps=steps),
                lock_timeout=options.lock_timeout,
            )
            return
        settings = ChangeSettings.of(options, verb="rolled_back")
        change_databases(report, selection, selection.targets, settings, work)


def redo(options: RedoOptions) -> None:
    """Roll back a pack's newest migration and apply it again, in one transaction. Asks first."""
    pack = options.pack_name

    def work(change: DatabaseChange) -> None:
        rehearse = functools.partial(change.runner.rehearse_redo, pack)
        change.ask_about("rolling back and applying again", change.runner.plan_redo(pack), rehearse)
        change.runner.redo(pack)

    with Report(options) as report:
        selection = select(options, [pack], changing=True)
        settings = ChangeSettings.of(options, verb="redone")
        change_databases(report, selection, selection.targets, settings, work)


def reset(options: ResetOptions) -> None:
    """Roll everything back, the newest first, after a snapshot. Says what will be lost, and asks first."""

    def work(change: DatabaseChange) -> None:
        change.ask_about("rolling back", change.runner.plan_reset(), change.runner.rehearse_reset)
        change.runner.reset()

    with Report(options) as report:
        selection = select(options, options.pack, changing=True)
        report.broken(selection.broken)
        if options.rehearse:
            report_rehearsals(
                report,
                selection,
                selection.targets,
                lambda runner: runner.rehearse_reset(),
                lock_timeout=options.lock_timeout,
            )
            return
        settings = ChangeSettings.of(options, verb="rolled_back")
        change_databases(report, selection, selection.targets, settings, work)
