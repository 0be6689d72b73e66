"""`repair` and `baseline`: change records without running a migration."""

from __future__ import annotations

from homie_migrations_core.cli.changes import ChangeSettings, DatabaseChange, change_databases
from homie_migrations_core.cli.documents import changes
from homie_migrations_core.cli.options import (
    BackupOptions,
    ConfirmationOptions,
    DatabaseOptions,
    LockOptions,
    OutputOptions,
    PackArgument,
    ProgressOptions,
    argument,
    option,
)
from homie_migrations_core.cli.report import DatabaseReport, Report
from homie_migrations_core.cli.targets import Selection, select
from homie_migrations_core.cli.wording import record_in_words, repair_in_words
from homie_migrations_core.errors import UnknownTarget, UsageProblem
from homie_migrations_core.inspection.detection import Detected
from homie_migrations_core.model import Repair
from homie_migrations_core.packs.naming import split_ref
from homie_migrations_core.runner import MigrationRunner


class RecordOptions(DatabaseOptions, ConfirmationOptions, BackupOptions, LockOptions, ProgressOptions, OutputOptions):
    """The options that both commands have."""


class BaselineOptions(PackArgument, RecordOptions):
    """The options of `baseline`."""

    version: int | None = argument("[VERSION]", minimum=1, required=False, help="The newest version that is there already.")
    detect: bool = option("--detect", help="Find the version by comparing the schema. Asks first.")


class RepairOptions(RecordOptions):
    """The options of `repair`."""

    ref: str = argument("REF", help="The migration whose record is to be repaired, pack:3.")
    remove: bool = option("--remove", help="Remove the record, even if it is in order.")


def baseline(options: BaselineOptions) -> None:
    """Record migrations as applied without running them, for a database whose tables exist already."""

    def work(change: DatabaseChange) -> None:
        version = _detect(change, options.pack_name) if options.detect else options.version
        migrations = change.runner.baseline(options.pack_name, version)
        change.report.announce()
        change.refs = [migration.ref for migration in migrations]
        for ref in change.refs:
            change.report.write(f"  recorded {ref}, which was not run")

    with Report(options) as report:
        if (options.version is None) != options.detect:
            given = "a version and --detect were both given" if options.detect else "no version was given"
            raise UsageProblem("Nothing was recorded", given, "Give the newest version that is there already, or --detect.")
        selection = select(options, [options.pack_name], changing=True)
        change_databases(report, selection, selection.targets, ChangeSettings.of(options, verb="recorded"), work)


def repair(options: RepairOptions) -> None:
    """Accept an edited migration, or remove a record that no longer belongs to a migration. Asks first."""

    def work(change: DatabaseChange) -> None:
        planned = change.runner.plan_repair(options.ref, remove=options.remove)
        change.report.announce()
        _report_planned_repair(change.report, planned)
        change.ask("repairing this record in", lambda: repair_in_words(planned))
        _report_repair(change.report, change.runner.repair(options.ref, remove=options.remove), change.runner)

    with Report(options) as report:
        selection = _select_for_repair(options)
        change_databases(report, selection, selection.targets_of(options.ref), ChangeSettings.of(options), work)


def _detect(change: DatabaseChange, pack_name: str) -> int | None:
    """Return the version that was found, after a question; None if no version, or more than one, fits."""
    change.report.announce()
    found = change.runner.detect(pack_name)
    _report_detected(change.report, found)
    if found.version and change.runner.plan_baseline(pack_name, found.version):
        action = f"recording {pack_name} up to {found.equal[0]}, without running anything, in"
        change.ask(action, lambda: "The schema was compared; what migrations do to rows was not")
    return found.version or None  # the runner explains why nothing can be recorded


def _select_for_repair(options: RepairOptions) -> Selection:
    parts = split_ref(options.ref)
    if parts is None:
        raise UnknownTarget.not_a_reference(options.ref)
    pack_name = parts[0]
    # The pack itself may be gone, so it does not say which databases are meant; the records do.
    selection = select(options, [pack_name] if options.folder is not None else None, changing=True)
    installed = selection.collected is not None and pack_name in {each.pack.name for each in selection.collected.packs}
    if not installed and len(selection.targets) > 1:
        raise UsageProblem(
            "Nothing was repaired", f"the pack {pack_name} is not installed", "Name its database with --database PATH."
        )
    return selection


def _report_detected(report: DatabaseReport, found: Detected) -> None:
    report.add({"detected": changes.detected(found)})
    if found.version:
        report.write(f"  {found.equal[0]}: what it makes, with all before it, is what is there")
    if found.above is not None:
        report.write(f"  {found.above.ref}: not there yet, because {'; '.join(found.above.differences)}")


def _report_planned_repair(report: DatabaseReport, planned: Repair) -> None:
    report.add(changes.repair(planned))
    report.write(f"  before: {record_in_words(planned.before)}")
    report.write(f"  after:  {record_in_words(planned.after) if planned.after else 'no record'}")


def _report_repair(report: DatabaseReport, done: Repair, runner: MigrationRunner) -> None:
    report.add({"snapshot": str(runner.snapshot) if runner.snapshot else None})
    report.write(f"  {'accepted' if done.after else 'removed the record of'} {done.before.ref}")
    report.snapshot_before(runner)
