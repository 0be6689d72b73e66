"""`history`: what was applied."""

from __future__ import annotations

from homie_migrations_core.cli.options import DatabaseOptions, LockOptions, OutputOptions, PackOptions
from homie_migrations_core.cli.report import DatabaseReport, Report
from homie_migrations_core.cli.targets import select
from homie_migrations_core.cli.wording import counted
from homie_migrations_core.packs.naming import time_in_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from homie_migrations_core.model import Record


class HistoryOptions(DatabaseOptions, PackOptions, LockOptions, OutputOptions):
    """The options of `history`."""


def history(options: HistoryOptions) -> None:
    """Show what was applied, when, in how long, and by which release. Changes nothing."""
    with Report(options) as report:
        selection = select(options, options.pack)
        report.broken(selection.broken)
        for target in selection.targets:
            with report.database(target.path) as database:
                reader = target.reader(selection, lock_timeout=options.lock_timeout)
                _report_history(database, [each for each in reader.history() if not target.only or each.pack in target.only])
                database.add_status(reader.status())


def _report_history(report: DatabaseReport, records: Sequence[Record]) -> None:
    if report.whole.as_json:
        from homie_migrations_core.cli.documents import changes

        report.add(changes.history(records))
    report.write(f"{report.path}: {counted(len(records), 'migration')} applied")
    rows = [
        (
            time_in_words(each.applied_at) or "at an unknown time",
            each.ref,
            "" if each.duration_ms is None else f"{each.duration_ms} ms",
            "" if each.pack_version is None else f"by {each.pack_version}",
        )
        for each in records
    ]
    report.table("  ", ("applied at", "migration", "took", "release"), rows)
