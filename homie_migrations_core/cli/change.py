"""The commands that change databases: apply, rollback, redo."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
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
from homie_migrations_core.cli.output import Entry, Report, Steps, confirm
from homie_migrations_core.cli.scope import Scope, Target, select, targets_of
from homie_migrations_core.cli.signals import SignalStop, stop_on_signals
from homie_migrations_core.errors import LockTimeout, RunStopped, UsageProblem
from homie_migrations_core.model import Plan
from homie_migrations_core.runner import MigrationRunner
from homie_migrations_core.stopping import Stopped

_apply, _rollback, _redo = (typer.Typer(add_completion=False) for _ in range(3))
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
    with Report(as_json=as_json, quiet=quiet, verbose=verbose) as report:
        scope = select(database, data_dir, pack, folder, changing=True)
        report.broken(scope.broken)
        for target in targets_of(to, scope):
            change = _Change(report, scope, target, "applied", lock_timeout=lock_timeout, backup=not no_backup)
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
    yes: YesOption = False,
    no_backup: NoBackupOption = False,
    lock_timeout: LockTimeoutOption = 30.0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Roll back the newest migrations of a pack. Asks first."""
    with Report(as_json=as_json, quiet=quiet, verbose=verbose) as report:
        if steps is not None and to is not None:
            raise UsageProblem("Nothing was rolled back: --steps and --to were both given. Give one of them.")
        scope = select(database, data_dir, [pack_name], folder, changing=True)
        for target in scope.targets:
            change = _Change(report, scope, target, "rolled_back", lock_timeout=lock_timeout, backup=not no_backup)
            with report.database(target.path) as entry, change.made(entry) as runner:
                change.ask(entry, "rolling back", runner.plan_rollback(pack_name, to=to, steps=steps), yes=yes)
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
            change = _Change(report, scope, target, "redone", lock_timeout=lock_timeout, backup=not no_backup)
            with report.database(target.path) as entry, change.made(entry) as runner:
                change.ask(entry, "rolling back and applying again", runner.plan_rollback(pack_name), yes=yes)
                runner.redo(pack_name)
            if change.stop.asked():
                break


class _Change:
    """What a command does to one database, and how it is said."""

    def __init__(self, report: Report, scope: Scope, target: Target, verb: str, *, lock_timeout: float, backup: bool) -> None:
        self._report, self._scope, self._target, self._verb = report, scope, target, verb
        self._lock_timeout, self._backup = lock_timeout, backup
        self.stop = SignalStop()

    @contextlib.contextmanager
    def made(self, entry: Entry) -> Iterator[MigrationRunner]:
        """The front desk. What is done with it in here is said, and how it ended; signals stop it."""
        steps = Steps(self._report, entry)
        runner = self._target.runner(
            self._scope, lock_timeout=self._lock_timeout, backup=self._backup, should_stop=self.stop, observers=[steps]
        )
        entry.about_to_change(self._target.path, self._target.origin, makes=self._verb == "applied")
        whole = readable = False
        with stop_on_signals(self.stop):
            try:
                yield runner
                whole = readable = True
            except (RunStopped, LockTimeout):
                raise
            except Exception:
                readable = True
                raise
            finally:
                if self.stop.asked():
                    self._report.exit_with(self.stop.exit_code)
                entry.changed(self._verb, list(dict.fromkeys(steps.refs)), runner, whole=whole)
                if readable:  # else it would be waited for again
                    entry.status_now(runner)

    def ask(self, entry: Entry, what: str, plan: Plan, *, yes: bool) -> None:
        """Somebody agreed to the plan, or there is nothing to agree to."""
        if not plan.steps or yes:
            return
        entry.announce()
        self.stop.raising = True  # a prompt waits for ever, and nothing is at work that a signal could tear
        try:
            snapshot = "a snapshot is taken first" if self._backup else "no snapshot is taken"
            confirm(
                f"{what} {', '.join(step.ref for step in plan.steps)} in {self._target.path}",
                f"Data in the tables and columns that they made may be lost; {snapshot}.",
            )
        except Stopped as stopped:
            raise RunStopped(str(self._target.path)) from stopped
        finally:
            self.stop.raising = False
