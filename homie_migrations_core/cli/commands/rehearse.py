"""`rehearse`, and what `--rehearse` of other commands does: try a plan on a throw-away copy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from homie_migrations_core.cli import output
from homie_migrations_core.cli.changes import stoppable
from homie_migrations_core.cli.documents import inspection
from homie_migrations_core.cli.options import (
    DatabaseOptions,
    LockOptions,
    OutputOptions,
    PackOptions,
    PlanOptions,
    ProgressOptions,
    TransactionOptions,
    option,
)
from homie_migrations_core.cli.rehearsal_markdown import RehearsalMarkdown
from homie_migrations_core.cli.report import DatabaseReport, Report
from homie_migrations_core.cli.run_progress import run_progress
from homie_migrations_core.cli.targets import Selection, Target, select
from homie_migrations_core.cli.wording import counted, losses_in_words, rows_in_words, seconds_in_words
from homie_migrations_core.packs.naming import size_in_words
from homie_migrations_core.progress import hearing_phases
from homie_migrations_core.runner import MigrationRunner

if TYPE_CHECKING:
    from homie_migrations_core.running.rehearsal import Rehearsal, RehearsedStep


class RehearseCommandOptions(
    PlanOptions, TransactionOptions, DatabaseOptions, PackOptions, LockOptions, ProgressOptions, OutputOptions
):
    """The options of `rehearse`."""

    sql: bool = option("--sql", help="Show each statement as it was executed.")
    markdown: str | None = option("--markdown", metavar="FILE", help="Also write a report, to read or for a pull request.")


def rehearse(options: RehearseCommandOptions) -> None:
    """Run the plan on a throw-away copy of the real data, and report what happens. Changes nothing."""
    with Report(options) as report:
        selection = select(options, options.pack)
        report.broken(selection.broken)
        markdown = None if options.markdown is None else RehearsalMarkdown(options.markdown, sql=options.sql)
        report_rehearsals(
            report,
            selection,
            selection.targets_of(options.to),
            lambda runner: runner.rehearse(to=options.to, all_or_nothing=options.all_or_nothing, allow_late=options.allow_late),
            lock_timeout=options.lock_timeout,
            sql=options.sql,
            markdown=markdown,
        )
        if markdown is not None:
            replaced = markdown.write()
            report.write(f"report{', in place of an earlier one' if replaced else ''}: {markdown.path}")


def report_rehearsals(
    report: Report,
    selection: Selection,
    targets: Iterable[Target],
    rehearsal_of: Callable[[MigrationRunner], Rehearsal],
    *,
    lock_timeout: float,
    sql: bool = False,
    markdown: RehearsalMarkdown | None = None,
) -> None:
    """Rehearse on each database, and report what happened. After a signal no further database is begun."""
    for target in targets:
        rehearsed: list[Rehearsal] = []
        with report.database(target.path) as database, stoppable(report) as stop:
            progress = run_progress(database, rehearsal=True)
            runner = target.runner(selection, lock_timeout=lock_timeout, should_stop=stop, observers=[progress])
            try:
                with hearing_phases(progress.phase, progress.note):
                    found = rehearsal_of(runner)
            finally:
                progress.close()
            rehearsed.append(found)
            _report_rehearsal(database, found, sql=sql)
            report.broken(runner.broken())
            database.add_status(runner.status())
        if markdown is not None:
            for each in rehearsed:
                markdown.add(each)
            if not rehearsed and (problem := database.document.get("error")):
                markdown.add_error(Path(target.path), problem["message"])
        if stop.asked():
            break


def _report_rehearsal(report: DatabaseReport, found: Rehearsal, *, sql: bool) -> None:
    report.add(inspection.rehearsal(found))
    if not found.plan.steps:
        report.write(f"{found.path}: nothing to do")
    else:
        copied = f"a copy of {size_in_words(found.size)}, made in {found.seconds_to_copy:.1f} s" if found.size else "a new database"
        report.write(f"{found.path}: {counted(len(found.plan.steps), 'step')}, rehearsed on {copied}; the database was only read")
    for number, step in enumerate(found.steps, start=1):
        action = "apply" if step.direction == "apply" else "roll back"
        report.write(f"  {number}. {action} {step.ref}: {seconds_in_words(step.seconds)}")
        _write_step(report, step, sql=sql)
    if found.error is not None:
        number, total = len(found.steps) + 1, len(found.plan.steps)
        report.write(f"  {number}. {found.error.ref}: would fail")
        report.document["error"] = report.whole.would_fail(found.error, str(report.path))
        if total > number:
            report.write(f"  {counted(total - number, 'step')} after it would not be reached")
    if found.steps or found.error is not None:
        _write_outcome(report, found)
    report.whole.left_out(found.plan.left_out)


def _write_step(report: DatabaseReport, step: RehearsedStep, *, sql: bool) -> None:
    if sql:
        for statement in step.statements:
            lines = f"{statement.rstrip(';')};".split("\n")  # not splitlines(), which drops control characters
            report.whole.write_block("\n".join(f"       {line}" for line in lines))
        if step.statements_left_out:
            report.write(f"       and {counted(step.statements_left_out, 'statement')} more")
    for change in step.schema:
        report.write(f"     {change.in_words()}")
    for count in step.rows:
        report.write(f"     {rows_in_words(count)}")
    for warning in step.warnings:
        output.write_error(f"Warning: {warning}")


def _write_outcome(report: DatabaseReport, found: Rehearsal) -> None:
    """Write what holds for all the steps together."""
    if found.losses:
        report.write(f"  {losses_in_words(found.losses)}")
    for finding in found.findings:
        report.write(f"  found in the database, whatever the steps did: {finding}")
    if not found.findings and found.error is None:
        report.write("  integrity and foreign keys: in order")
    report.write(f"  disk space needed meanwhile: {size_in_words(found.disk_needed)}")
