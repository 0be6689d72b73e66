"""`plan`: the steps that `apply` would run."""

from __future__ import annotations

from homie_migrations_core.cli import output
from homie_migrations_core.cli.options import DatabaseOptions, LockOptions, OutputOptions, PackOptions, PlanOptions
from homie_migrations_core.cli.report import DatabaseReport, Report
from homie_migrations_core.cli.targets import select
from homie_migrations_core.cli.wording import counted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from homie_migrations_core.model import Plan


class PlanCommandOptions(PlanOptions, DatabaseOptions, PackOptions, LockOptions, OutputOptions):
    """The options of `plan`."""


def plan(options: PlanCommandOptions) -> None:
    """Show the steps that `apply` would run, in order. Changes nothing."""
    with Report(options) as report:
        selection = select(options, options.pack)
        report.broken(selection.broken)
        for target in selection.targets_of(options.to):
            with report.database(target.path) as database:
                reader = target.reader(selection, lock_timeout=options.lock_timeout)
                _report_plan(database, reader.plan(to=options.to, allow_late=options.allow_late))
                report.broken(reader.broken())
                database.add_status(reader.status())


def _report_plan(report: DatabaseReport, found: Plan) -> None:
    if report.whole.as_json:
        from homie_migrations_core.cli.documents import changes

        report.add(changes.plan(found))
    report.write(f"{report.path}: {counted(len(found.steps), 'step')} to apply")
    for number, step in enumerate(found.steps, start=1):
        report.write(f"  {number}. {step.ref}")
    for ref in found.edited:
        output.write_error(f"Warning: {ref} was edited after it was applied; the version that was applied stays in effect.")
    report.whole.left_out(found.left_out)
