"""The commands that change databases: apply, rollback, redo."""

from __future__ import annotations

from typing import Annotated

import typer

from homie_migrations_core.cli.options import (
    DatabaseOption,
    DataDirOption,
    DirOption,
    JsonOption,
    LockTimeoutOption,
    NoBackupOption,
    PackOption,
    QuietOption,
    VerboseOption,
    YesOption,
)
from homie_migrations_core.cli.output import Report, Steps, confirm
from homie_migrations_core.cli.scope import Scope, Target, select
from homie_migrations_core.cli.signals import SignalStop, stop_on_signals
from homie_migrations_core.errors import RunStopped, UnknownPack, UsageProblem
from homie_migrations_core.model import Plan
from homie_migrations_core.runner import MigrationRunner

_apply, _rollback, _redo = typer.Typer(), typer.Typer(), typer.Typer()
commands = {"apply": _apply, "rollback": _rollback, "redo": _redo}

PackArgument = Annotated[str, typer.Argument(metavar="PACK", help="The pack's name.")]


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
    with Report(as_json=as_json, quiet=quiet, verbose=verbose) as report, stop_on_signals() as stop:
        scope = select(database, data_dir, pack, folder, changing=True)
        report.broken(scope.broken)
        targets = _targets_of(to, scope)
        for target in targets:
            with report.database(target.path) as entry:
                steps = Steps(report)
                runner = target.runner(scope, lock_timeout=lock_timeout, backup=not no_backup, should_stop=stop, observers=[steps])
                entry.about_to_change(target.path, target.origin)
                try:
                    runner.apply(to=to, all_or_nothing=all_or_nothing, allow_late=allow_late)
                except RunStopped:
                    report.exit_with(stop.exit_code)
                    raise
                finally:
                    entry.changed("applied", steps.refs, runner.snapshot)
                    entry.status_now(runner)
                    if runner.left_out:
                        report.exit_with(1)
            if stop.asked():
                break


def _targets_of(to: str | None, scope: Scope) -> tuple[Target, ...]:
    """With --to, only the database of the pack that it names."""
    if to is None or scope.collected is None or len(scope.targets) < 2:
        return scope.targets
    databases = {each.pack.name: each.pack.database for each in scope.collected.packs}
    name = to.partition(":")[0]
    if name not in databases:
        raise UnknownPack(name, databases)
    return tuple(each for each in scope.targets if each.path.name == databases[name]) or scope.targets


@_rollback.command("rollback")
def rollback(
    pack_name: PackArgument,
    steps: Annotated[int | None, typer.Option("--steps", metavar="N", min=1, help="How many migrations. Default: 1.")] = None,
    to: Annotated[int | None, typer.Option("--to", metavar="VERSION", min=0, help="Leave this version applied.")] = None,
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
    """Roll back the newest migrations of a pack. Asks first."""
    with Report(as_json=as_json, quiet=quiet, verbose=verbose) as report, stop_on_signals() as stop:
        if steps is not None and to is not None:
            raise UsageProblem("Nothing was rolled back: --steps and --to were both given. Give one of them.")
        scope = select(database, data_dir, [pack_name], folder, changing=True)
        for target in scope.targets:
            with report.database(target.path) as entry:
                seen = Steps(report)
                runner = _changing(target, scope, stop, seen, lock_timeout=lock_timeout, backup=not no_backup)
                plan = runner.plan_rollback(pack_name, to=to, steps=steps)
                entry.about_to_change(target.path, target.origin)
                _ask(plan, f"rolling back {', '.join(step.ref for step in plan.steps)} in {target.path}", yes=yes)
                try:
                    runner.rollback(pack_name, to=to, steps=steps)
                except RunStopped:
                    report.exit_with(stop.exit_code)
                    raise
                finally:
                    entry.changed("rolled_back", seen.refs, runner.snapshot)
                    entry.status_now(runner)


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
    with Report(as_json=as_json, quiet=quiet, verbose=verbose) as report, stop_on_signals() as stop:
        scope = select(database, data_dir, [pack_name], folder, changing=True)
        for target in scope.targets:
            with report.database(target.path) as entry:
                seen = Steps(report)
                runner = _changing(target, scope, stop, seen, lock_timeout=lock_timeout, backup=not no_backup)
                plan = runner.plan_rollback(pack_name)
                entry.about_to_change(target.path, target.origin)
                refs = ", ".join(step.ref for step in plan.steps)
                _ask(plan, f"rolling back and applying again {refs} in {target.path}", yes=yes)
                try:
                    runner.redo(pack_name)
                except RunStopped:
                    report.exit_with(stop.exit_code)
                    raise
                finally:
                    entry.changed("redone", list(dict.fromkeys(seen.refs)), runner.snapshot)
                    entry.status_now(runner)


def _changing(
    target: Target, scope: Scope, stop: SignalStop, steps: Steps, *, lock_timeout: float, backup: bool
) -> MigrationRunner:
    return target.runner(scope, lock_timeout=lock_timeout, backup=backup, should_stop=stop, observers=[steps])


def _ask(plan: Plan, question: str, *, yes: bool) -> None:
    if plan.steps and not yes:
        confirm(question)
