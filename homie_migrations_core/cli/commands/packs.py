"""`packs`: the installed packs, and the broken ones."""

from __future__ import annotations

from collections.abc import Sequence

from homie_migrations_core.broken import BrokenPack
from homie_migrations_core.cli.documents import inspection
from homie_migrations_core.cli.options import OutputOptions
from homie_migrations_core.cli.report import Report
from homie_migrations_core.cli.wording import counted
from homie_migrations_core.model import Pack
from homie_migrations_core.packs.discovery import collect
from homie_migrations_core.packs.reading import UnusablePack, read_pack


class PacksOptions(OutputOptions):
    """The options of `packs`."""


def packs(options: PacksOptions) -> None:
    """Show the installed packs, and the broken ones with the reason. Opens no database."""
    with Report(options) as report:
        collected = collect()
        found: list[Pack] = []
        for each in collected.packs:
            try:
                found.append(read_pack(each.pack, distribution=each.distribution, distribution_version=each.distribution_version))
            except UnusablePack as error:
                report.broken([each.broken(str(error))])
        _report_packs(report, found)
        report.broken(collected.broken)


def _report_packs(report: Report, found: Sequence[Pack]) -> None:
    report.add(inspection.installed_packs(found))
    for pack in found:
        for migration in pack.migrations:
            if migration.problem:
                report.broken([BrokenPack(migration.problem, pack.name, pack.database, None, pack.distribution)])
    rows = [
        (
            each.name,
            f"{each.distribution} {each.distribution_version}",
            each.database,
            counted(len(each.migrations), "migration"),
            each.latest.name,
        )
        for each in found
    ]
    report.table("", ("pack", "distribution", "database", "holds", "latest"), rows)
    if not found:
        report.write("No usable pack is installed.")
