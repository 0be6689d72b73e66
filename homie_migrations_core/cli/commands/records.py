"""The commands that change records without running a migration: baseline, repair."""

from __future__ import annotations

from typing import Annotated

import typer

from homie_migrations_core.cli.changing import Change
from homie_migrations_core.cli.options import (
    DatabaseOption,
    DataDirOption,
    DirOption,
    JsonOption,
    LockTimeoutOption,
    NoBackupOption,
    PackArgument,
    QuietOption,
    VerboseOption,
    YesOption,
)
from homie_migrations_core.cli.output import Report
from homie_migrations_core.cli.targets import select, targets_of
from homie_migrations_core.cli.wording import repair_in_words
from homie_migrations_core.errors import UnknownTarget, UsageProblem
from homie_migrations_core.packs.naming import split_ref

_baseline, _repair = (typer.Typer(add_completion=False) for _ in range(2))
commands = {"baseline": _baseline, "repair": _repair}


@_baseline.command("baseline")
def baseline(
    pack_name: PackArgument,
    version: Annotated[
        int | None, typer.Argument(metavar="[VERSION]", min=1, help="The newest version that is there already.")
    ] = None,
    detect: Annotated[bool, typer.Option("--detect", help="Find the version by comparing the schema. Asks first.")] = False,
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
    """Record migrations as applied without running them, for a database whose tables exist already."""
    with Report(as_json=as_json, quiet=quiet, verbose=verbose) as report:
        if (version is None) != detect:
            given = "a version and --detect were both given" if detect else "no version was given"
            raise UsageProblem(f"Nothing was recorded: {given}. Give the newest version that is there already, or --detect.")
        scope = select(database, data_dir, [pack_name], folder, changing=True)
        for target in scope.targets:
            change = Change(report, scope, target, "recorded", lock_timeout=lock_timeout, backup=not no_backup)
            with report.database(target.path) as entry, change.made(entry) as runner:
                if detect:
                    entry.announce()
                    found = runner.detect(pack_name)
                    entry.detected(found)
                    if found.version and runner.plan_baseline(pack_name, found.version):
                        question = f"recording {pack_name} up to {found.equal[0]}, without running anything, in"
                        change.ask(entry, question, lambda: "The schema was compared; what migrations do to rows was not", yes=yes)
                    version = found.version or None  # what is unclear is said by the library
                migrations = runner.baseline(pack_name, version)
                entry.announce()
                change.refs = [migration.ref for migration in migrations]
                for ref in change.refs:
                    report.say(f"  recorded {ref}, which was not run")
            if change.stop.asked():
                break


@_repair.command("repair")
def repair(
    ref: Annotated[str, typer.Argument(metavar="REF", help="The migration whose record is to be repaired, pack:3.")],
    remove: Annotated[bool, typer.Option("--remove", help="Remove the record, even if it is in order.")] = False,
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
    """Accept an edited migration, or remove a record that nothing belongs to any more. Asks first."""
    with Report(as_json=as_json, quiet=quiet, verbose=verbose) as report:
        parts = split_ref(ref)
        if parts is None:
            raise UnknownTarget(ref, "a target looks like pack:3 or pack:003_words", "`homie migrations status` shows them all.")
        # The pack itself may be gone, so it does not say which databases are meant; the records do.
        scope = select(database, data_dir, [parts[0]] if folder is not None else None, folder, changing=True)
        installed = scope.collected is not None and parts[0] in {each.pack.name for each in scope.collected.packs}
        if not installed and len(scope.targets) > 1:
            raise UsageProblem(
                f"Nothing was repaired: the pack {parts[0]} is not installed, so its database must be named with --database PATH."
            )
        for target in targets_of(ref, scope):
            change = Change(report, scope, target, lock_timeout=lock_timeout, backup=not no_backup)
            with report.database(target.path) as entry, change.made(entry) as runner:
                planned = runner.plan_repair(ref, remove=remove)
                entry.announce()
                entry.to_repair(planned)
                change.ask(entry, "repairing this record in", lambda planned=planned: repair_in_words(planned), yes=yes)  # type: ignore[misc]
                entry.repaired(runner.repair(ref, remove=remove), runner)
            if change.stop.asked():
                break
