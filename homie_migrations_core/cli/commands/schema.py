"""`schema`: the schema that the migrations make, or the one of a database."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from homie_migrations_core.cli import output
from homie_migrations_core.cli.changes import stoppable
from homie_migrations_core.cli.documents import inspection
from homie_migrations_core.cli.options import DatabaseOptions, LockOptions, OutputOptions, PackOptions, option
from homie_migrations_core.cli.redirection import stdout_to_stderr
from homie_migrations_core.cli.report import DatabaseReport, Report
from homie_migrations_core.cli.targets import select
from homie_migrations_core.inspection.diagram import diagram

if TYPE_CHECKING:
    from homie_migrations_core.sqlite.schema_objects import Schema

_KINDS_IN_ORDER = {"table": 0, "index": 1, "view": 2, "trigger": 3}


class SchemaOptions(DatabaseOptions, PackOptions, LockOptions, OutputOptions):
    """The options of `schema`."""

    as_diagram: bool = option("--diagram", help="As a Mermaid diagram of tables and references.")


def schema(options: SchemaOptions) -> None:
    """Show the schema that the migrations make, as SQL; with --database, that of the database. Changes nothing."""
    with Report(options) as report:
        selection = select(options, options.pack, reading_packs=True)
        report.broken(selection.broken)
        for target in selection.targets:
            with report.database(target.path) as database, stoppable(report) as stop:
                runner = target.runner(selection, lock_timeout=options.lock_timeout, should_stop=stop)
                with stdout_to_stderr():
                    found = runner.real_schema() if options.database else runner.schema()
                drawn = diagram(found) if options.as_diagram else None
                _report_schema(database, found, drawn, several=len(selection.targets) > 1)


def _report_schema(report: DatabaseReport, found: Schema, drawn: str | None, *, several: bool) -> None:
    objects = sorted(found.values(), key=lambda each: (_KINDS_IN_ORDER[each.kind], each.name.lower()))
    report.add(inspection.schema(objects, drawn))
    if several:
        report.write(f"{'--' if drawn is None else '%%'} {os.path.basename(report.path)}")
    if drawn is not None:
        if report.for_people:
            output.write_document(drawn)
        return
    for each in objects:
        comment = "--" in each.sql.rpartition("\n")[2]  # it would comment out what follows
        if report.for_people:
            output.write_document(each.sql + ("\n;" if comment else ";"))
