"""The commands that change nothing: status, plan, validate, history, packs, schema."""

from __future__ import annotations

from typing import Annotated

import typer

from homie_migrations_core.cli.changing import stoppable
from homie_migrations_core.cli.commands.status import show_status
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
from homie_migrations_core.cli.output import Report, aside
from homie_migrations_core.cli.targets import select, targets_of
from homie_migrations_core.inspection.diagram import diagram
from homie_migrations_core.model import Pack
from homie_migrations_core.packs.discovery import collect
from homie_migrations_core.packs.reading import UnusablePack, read_pack

_status, _plan, _validate, _history, _packs, _schema = (typer.Typer(add_completion=False) for _ in range(6))
commands = {"status": _status, "plan": _plan, "validate": _validate, "history": _history, "packs": _packs, "schema": _schema}


@_status.command("status")
def status(
    database: DatabaseOption = None,
    data_dir: DataDirOption = None,
    pack: PackOption = None,
    folder: DirOption = None,
    check: Annotated[bool, typer.Option("--check", help="Exit with 3 if anything is pending.")] = False,
    lock_timeout: LockTimeoutOption = 30.0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show packs, databases, and where each migration stands. Changes nothing."""
    show_status(
        database=database,
        data_dir=data_dir,
        pack=pack,
        folder=folder,
        check=check,
        lock_timeout=lock_timeout,
        as_json=as_json,
        quiet=quiet,
        verbose=verbose,
    )


@_plan.command("plan")
def plan(
    database: DatabaseOption = None,
    data_dir: DataDirOption = None,
    pack: PackOption = None,
    folder: DirOption = None,
    to: Annotated[str | None, typer.Option("--to", metavar="REF", help="Stop at this migration, pack:3.")] = None,
    allow_late: Annotated[bool, typer.Option("--allow-late", help="Also apply what comes late.")] = False,
    lock_timeout: LockTimeoutOption = 30.0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show the steps that `apply` would run, in order. Changes nothing."""
    with Report(as_json=as_json, quiet=quiet, verbose=verbose) as report:
        scope = select(database, data_dir, pack, folder)
        report.broken(scope.broken)
        for target in targets_of(to, scope):
            with report.database(target.path) as entry:
                runner = target.runner(scope, lock_timeout=lock_timeout)
                entry.plan(runner.plan(to=to, allow_late=allow_late))
                report.broken(runner.broken())
                entry.status(runner.status(), shown=False)


@_validate.command("validate")
def validate(
    database: DatabaseOption = None,
    data_dir: DataDirOption = None,
    pack: PackOption = None,
    folder: DirOption = None,
    lock_timeout: LockTimeoutOption = 30.0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Compare the records with the packs, and the schema with what the migrations make. Changes nothing."""
    with Report(as_json=as_json, quiet=quiet, verbose=verbose) as report:
        scope = select(database, data_dir, pack, folder)
        report.broken(scope.broken)
        for target in scope.targets:
            with report.database(target.path) as entry, stoppable(report) as stop:
                runner = target.runner(scope, lock_timeout=lock_timeout, should_stop=stop)
                entry.findings([each for each in runner.validate() if not target.only or each.pack in (None, *target.only)])
                report.broken(runner.broken())
                entry.status(runner.status(), shown=False)


@_schema.command("schema")
def schema(
    database: DatabaseOption = None,
    data_dir: DataDirOption = None,
    pack: PackOption = None,
    folder: DirOption = None,
    as_diagram: Annotated[bool, typer.Option("--diagram", help="As a Mermaid diagram of tables and references.")] = False,
    lock_timeout: LockTimeoutOption = 30.0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show the schema that the migrations make, as SQL; with --database, the one that is there. Changes nothing."""
    with Report(as_json=as_json, quiet=quiet, verbose=verbose) as report:
        scope = select(database, data_dir, pack, folder, reading_packs=True)
        report.broken(scope.broken)
        for target in scope.targets:
            with report.database(target.path) as entry, stoppable(report) as stop:
                runner = target.runner(scope, lock_timeout=lock_timeout, should_stop=stop)
                with aside():
                    found = runner.real_schema() if database else runner.schema()
                entry.schema(found, diagram(found) if as_diagram else None, several=len(scope.targets) > 1)


@_history.command("history")
def history(
    database: DatabaseOption = None,
    data_dir: DataDirOption = None,
    pack: PackOption = None,
    folder: DirOption = None,
    lock_timeout: LockTimeoutOption = 30.0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show what was applied, when, in how long, and by which release. Changes nothing."""
    with Report(as_json=as_json, quiet=quiet, verbose=verbose) as report:
        scope = select(database, data_dir, pack, folder)
        report.broken(scope.broken)
        for target in scope.targets:
            with report.database(target.path) as entry:
                runner = target.runner(scope, lock_timeout=lock_timeout)
                records = [each for each in runner.history() if not target.only or each.pack in target.only]
                entry.history(records)
                entry.status(runner.status(), shown=False)


@_packs.command("packs")
def packs(
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show the installed packs, and the broken ones with the reason. Opens no database."""
    with Report(as_json=as_json, quiet=quiet, verbose=verbose) as report:
        collected = collect()
        found: list[Pack] = []
        for each in collected.packs:
            try:
                found.append(read_pack(each.pack, distribution=each.distribution, distribution_version=each.distribution_version))
            except UnusablePack as error:
                report.broken([each.broken(str(error))])
        report.packs(found)
        report.broken(collected.broken)
