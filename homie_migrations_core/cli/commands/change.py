"""The commands that change databases: apply, rollback, redo."""

from __future__ import annotations

import functools
from typing import Annotated

import typer

from homie_migrations_core.cli.changing import Change
from homie_migrations_core.cli.commands.rehearse import show_rehearsal
from homie_migrations_core.cli.options import (
    DatabaseOption,
    DataDirOption,
    DirOption,
    JsonOption,
    LockTimeoutOption,
    NoBackupOption,
    PackArgument,
    PackOption,
    QuietOption,
    RehearseOption,
    VerboseOption,
    YesOption,
)
from homie_migrations_core.cli.output import Report
from homie_migrations_core.cli.targets import select, targets_of
from homie_migrations_core.errors import UsageProblem

_apply, _rollback, _redo, _reset = (typer.Typer(add_completion=False) for _ in range(4))
commands = {"apply": _apply, "rollback": _rollback, "redo": _redo, "reset": _reset}


@_apply.command("apply")
def apply(
    database: DatabaseOption = None,
    data_dir: DataDirOption = None,
    pack: PackOption = None,
    folder: DirOption = None,
    to: Annotated[str | None, typer.Option("--to", metavar="REF", help="Stop at this migration, pack:3.")] = None,
    all_or_nothing: Annotated[bool, typer.Option("--all-or-nothing", help="One transaction for each database.")] = False,
    allow_late: Annotated[bool, typer.Option("--allow-late", help="Also apply what comes late.")] = False,
    no_backup: NoBackupOption = False,
    lock_timeout: LockTimeoutOption = 30.0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Bring databases up to date."""
    with Report(as_json=as_json, quiet=quiet, verbose=verbose) as report:
        scope = select(database, data_dir, pack, folder, changing=True)
        report.broken(scope.broken)
        for target in targets_of(to, scope):
            change = Change(report, scope, target, "applied", lock_timeout=lock_timeout, backup=not no_backup, makes=True)
            with report.database(target.path) as entry, change.made(entry) as runner:
                runner.apply(to=to, all_or_nothing=all_or_nothing, allow_late=allow_late)
            if change.stop.asked():
                break


@_rollback.command("rollback")
def rollback(
    pack_name: PackArgument,
    steps: Annotated[int | None, typer.Option("--steps", metavar="N", min=1, help="How many migrations. Default: 1.")] = None,
    to: Annotated[int | None, typer.Option("--to", metavar="VERSION", min=0, help="Leave this version applied.")] = None,
    database: DatabaseOption = None,
    data_dir: DataDirOption = None,
    folder: DirOption = None,
    rehearse: RehearseOption = False,
    yes: YesOption = False,
    no_backup: NoBackupOption = False,
    lock_timeout: LockTimeoutOption = 30.0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Roll back the newest migrations of a pack. Says what will be lost, and asks first."""
    with Report(as_json=as_json, quiet=quiet, verbose=verbose) as report:
        if steps is not None and to is not None:
            raise UsageProblem("Nothing was rolled back: --steps and --to were both given. Give one of them.")
        scope = select(database, data_dir, [pack_name], folder, changing=True)
        if rehearse:
            show_rehearsal(
                report, scope, lambda runner: runner.rehearse_rollback(pack_name, to=to, steps=steps), lock_timeout=lock_timeout
            )
            return
        for target in scope.targets:
            change = Change(report, scope, target, "rolled_back", lock_timeout=lock_timeout, backup=not no_backup)
            with report.database(target.path) as entry, change.made(entry) as runner:
                plan = runner.plan_rollback(pack_name, to=to, steps=steps)
                counted = functools.partial(runner.rehearse_rollback, pack_name, to=to, steps=steps)
                change.ask_about(entry, "rolling back", plan, counted, yes=yes)
                runner.rollback(pack_name, to=to, steps=steps)
            if change.stop.asked():
                break


@_redo.command("redo")
def redo(
    pack_name: PackArgument,
    database: DatabaseOption = None,
    data_dir: DataDirOption = None,
    folder: DirOption = None,
    yes: YesOption = False,
    no_backup: NoBackupOption = False,
    lock_timeout: LockTimeoutOption = 30.0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Roll back a pack's newest migration and apply it again, in one transaction. Asks first."""
    with Report(as_json=as_json, quiet=quiet, verbose=verbose) as report:
        scope = select(database, data_dir, [pack_name], folder, changing=True)
        for target in scope.targets:
            change = Change(report, scope, target, "redone", lock_timeout=lock_timeout, backup=not no_backup)
            with report.database(target.path) as entry, change.made(entry) as runner:
                counted = functools.partial(runner.rehearse_redo, pack_name)
                change.ask_about(entry, "rolling back and applying again", runner.plan_redo(pack_name), counted, yes=yes)
                runner.redo(pack_name)
            if change.stop.asked():
                break


@_reset.command("reset")
def reset(
    database: DatabaseOption = None,
    data_dir: DataDirOption = None,
    pack: PackOption = None,
    folder: DirOption = None,
    rehearse: RehearseOption = False,
    yes: YesOption = False,
    lock_timeout: LockTimeoutOption = 30.0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Roll everything back, the newest first, after a snapshot. Says what will be lost, and asks first."""
    with Report(as_json=as_json, quiet=quiet, verbose=verbose) as report:
        scope = select(database, data_dir, pack, folder, changing=True)
        report.broken(scope.broken)
        if rehearse:
            show_rehearsal(report, scope, lambda runner: runner.rehearse_reset(), lock_timeout=lock_timeout)
            return
        for target in scope.targets:
            change = Change(report, scope, target, "rolled_back", lock_timeout=lock_timeout)
            with report.database(target.path) as entry, change.made(entry) as runner:
                change.ask_about(entry, "rolling back", runner.plan_reset(), runner.rehearse_reset, yes=yes)
                runner.reset()
            if change.stop.asked():
                break
