"""The command that tries a plan on a copy: rehearse."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from homie_migrations_core.cli.options import (
    DatabaseOption,
    DataDirOption,
    DirOption,
    JsonOption,
    LockTimeoutOption,
    PackOption,
    QuietOption,
    VerboseOption,
)
from homie_migrations_core.cli.output import Report, Steps
from homie_migrations_core.cli.signals import SignalStop, stop_on_signals
from homie_migrations_core.cli.targets import Scope, select, targets_of
from homie_migrations_core.progress import hearing_phases
from homie_migrations_core.runner import MigrationRunner

if TYPE_CHECKING:
    from homie_migrations_core.running.rehearsal import Rehearsal

_rehearse = typer.Typer(add_completion=False)
commands = {"rehearse": _rehearse}


@_rehearse.command("rehearse")
def rehearse(
    database: DatabaseOption = None,
    data_dir: DataDirOption = None,
    pack: PackOption = None,
    folder: DirOption = None,
    to: Annotated[str | None, typer.Option("--to", metavar="REF", help="Stop at this migration, pack:3.")] = None,
    all_or_nothing: Annotated[bool, typer.Option("--all-or-nothing", help="One transaction for each database.")] = False,
    allow_late: Annotated[bool, typer.Option("--allow-late", help="Also apply what comes late.")] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Show each statement as it was executed.")] = False,
    lock_timeout: LockTimeoutOption = 30.0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Run the plan on a throw-away copy of the real data, and say what happens. Changes nothing."""
    with Report(as_json=as_json, quiet=quiet, verbose=verbose) as report:
        scope = select(database, data_dir, pack, folder)
        report.broken(scope.broken)
        narrowed = Scope(targets_of(to, scope), scope.collected, scope.broken)
        show_rehearsal(
            report,
            narrowed,
            lambda runner: runner.rehearse(to=to, all_or_nothing=all_or_nothing, allow_late=allow_late),
            lock_timeout=lock_timeout,
            sql=sql,
        )


def show_rehearsal(
    report: Report, scope: Scope, rehearsed: Callable[[MigrationRunner], Rehearsal], *, lock_timeout: float, sql: bool = False
) -> None:
    """What `rehearsed` finds out about each database was said, and signals stop it."""
    for target in scope.targets:
        stop = SignalStop()
        with report.database(target.path) as entry, stop_on_signals(stop):
            steps = Steps(report, entry, silent=True)
            runner = target.runner(scope, lock_timeout=lock_timeout, should_stop=stop, observers=[steps])
            try:
                with hearing_phases(steps.phase):
                    found = rehearsed(runner)
            finally:
                steps.over()
                if stop.asked():
                    report.exit_with(stop.exit_code)
            entry.rehearsal(found, sql=sql)
            report.broken(runner.broken())
            entry.status(runner.status(), shown=False)
        if stop.asked():
            break
