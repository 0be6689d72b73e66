"""`validate`: the records compared with the packs, and the schema with a replay."""

from __future__ import annotations

from collections.abc import Sequence

from homie_migrations_core.cli.changes import stoppable
from homie_migrations_core.cli.documents import inspection
from homie_migrations_core.cli.options import DatabaseOptions, LockOptions, OutputOptions, PackOptions
from homie_migrations_core.cli.report import DatabaseReport, Report
from homie_migrations_core.cli.targets import select
from homie_migrations_core.cli.wording import counted
from homie_migrations_core.model import Finding


class ValidateOptions(DatabaseOptions, PackOptions, LockOptions, OutputOptions):
    """The options of `validate`."""


def validate(options: ValidateOptions) -> None:
    """Compare the records with the packs, and the schema with what the migrations make. Changes nothing."""
    with Report(options) as report:
        selection = select(options, options.pack)
        report.broken(selection.broken)
        for target in selection.targets:
            with report.database(target.path) as database, stoppable(report) as stop:
                runner = target.runner(selection, lock_timeout=options.lock_timeout, should_stop=stop)
                _report_findings(
                    database, [each for each in runner.validate() if not target.only or each.pack in (None, *target.only)]
                )
                report.broken(runner.broken())
                database.add_status(runner.status())


def _report_findings(report: DatabaseReport, found: Sequence[Finding]) -> None:
    report.add(inspection.findings(found))
    if any(each.accepted is None for each in found):
        report.whole.exit_with(4)
    report.write(f"{report.path}: {counted(len(found), 'finding')}")
    for each in found:
        report.write(f"  {each.code}: {each.message}")
        report.write(f"    {each.advice}")
