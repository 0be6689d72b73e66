"""
The report of a rehearsal as a Markdown file, to read or to paste into a pull request.

What happened is known to `running.rehearsal`; how text from outside is made harmless, to `markdown`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from homie_migrations_core.cli.error_layout import error_lines
from homie_migrations_core.cli.markdown import block, code, details, table
from homie_migrations_core.cli.wording import counted, losses_in_words, seconds_in_words
from homie_migrations_core.errors import FolderUnusable, UsageProblem
from homie_migrations_core.inspection.diagram import diagram
from homie_migrations_core.packs.naming import size_in_words
from homie_migrations_core.sqlite.names import fold

if TYPE_CHECKING:
    from homie_migrations_core.running.rehearsal import Rehearsal, RehearsedStep
    from homie_migrations_core.sqlite.schema_objects import Schema

_FIRST_LINE = "<!-- homie-migrations: the report of a rehearsal -->"
_LARGEST_DIAGRAM = 40_000
"""Characters; GitHub draws no diagram of more than 50,000."""
_IN_DIAGRAM = ("table", "column", "constraint", "option")


class RehearsalMarkdown:
    """
    The report on one command's rehearsals, written to a file at the end.

    Only an earlier report is ever replaced. Any other file of that name is refused before the first rehearsal.

    Raises:
        UsageProblem, FolderUnusable: The file can't be written, or is something else.
    """

    def __init__(self, file: str, *, sql: bool) -> None:
        if not file or "\0" in file:
            raise UsageProblem("Nothing was done", f"--markdown {file!r} names no file", "Give the path of the report.")
        self.path, self._sql = Path(os.path.realpath(file)), sql
        self._summary: list[tuple[str, str, str, str]] = []
        self._parts: list[str] = []
        if not os.path.isdir(self.path.parent):
            raise FolderUnusable(str(self.path.parent), "does not exist", "Make it first, or name another file with --markdown.")
        self._require_replaceable()

    def add(self, found: Rehearsal) -> None:
        """Add what a rehearsal on one database found."""
        outcome = _outcome(found)
        lost = losses_in_words(found.losses).partition(": ")[2] if found.losses else "none"
        steps = f"{len(found.steps)} of {len(found.plan.steps)}" if found.error else str(len(found.plan.steps))
        self._summary.append((code(found.path.name), outcome, steps, code(lost) if found.losses else lost))
        self._parts += _database(found, sql=self._sql)

    def add_error(self, path: Path, message: str) -> None:
        """Add a database that could not be rehearsed, and why."""
        self._summary.append((code(path.name), "could not be rehearsed", "0", ""))
        self._parts += [f"## {code(path.name)}", "", f"{code(str(path))} could not be rehearsed.", "", *block(message)]

    def write(self) -> bool:
        """
        Write the file, and return whether it replaced an earlier report. Others see all of it or nothing.

        Raises:
            UsageProblem: It could not be written.
        """
        lines = [
            _FIRST_LINE,
            "# Rehearsal of pending migrations",
            "",
            f"Rehearsed on throw-away copies at {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC. The databases were only read.",
            "",
            *table(("database", "outcome", "steps", "data lost"), self._summary),
            *self._parts,
        ]
        replaces = self._require_replaceable()
        temporary = self.path.with_name(f".{self.path.name[:100]}.{os.getpid()}.tmp")
        try:
            with open(temporary, "x", encoding="utf-8", newline="\n") as file:
                file.write("\n".join(lines).rstrip("\n") + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            found = f"{self.path} can't be written ({error.strerror})"
            raise UsageProblem("The report was not written", found, "Name another file with --markdown.") from error
        return replaces

    def _require_replaceable(self) -> bool:
        """Return whether there is an earlier report under that name."""
        if not os.path.lexists(self.path):
            return False
        beginning = b""
        with contextlib.suppress(OSError):
            if os.path.isfile(self.path):  # reading from a pipe would block
                with open(self.path, "rb") as file:
                    beginning = file.read(len(_FIRST_LINE))
        if beginning != _FIRST_LINE.encode():
            found = f"{self.path} exists, and is not the report of a rehearsal"
            raise UsageProblem("Nothing was done", found, "Name another file with --markdown, or remove this one.")
        return True


def _outcome(found: Rehearsal) -> str:
    if not found.plan.steps:
        return "nothing to do"
    if found.error is not None:
        return f"**would fail** at {code(found.error.ref)}"
    return "would succeed, with findings" if found.findings else "would succeed"


def _database(found: Rehearsal, *, sql: bool) -> list[str]:
    lines = [f"## {code(found.path.name)}", ""]
    if not found.plan.steps:
        return [*lines, f"{code(str(found.path))}: nothing to do.", ""]
    copied = f"a copy of {size_in_words(found.size)}, made in {found.seconds_to_copy:.1f} s" if found.size else "a new database"
    space = f"Disk space needed meanwhile: {size_in_words(found.disk_needed)}."
    lines += [f"{code(str(found.path))}, rehearsed on {copied}. {space}", ""]
    if found.error is not None:
        lines += ["### What would fail", "", *block("\n".join(error_lines(found.error, "In a rehearsal")))]
    lines += [*_steps(found), *_warnings(found.steps)]
    if sql:
        for step in found.steps:
            lines += _statements(step)
    if rows := _rows(found.steps):
        lines += ["### Rows", "", *table(("table", "before", "after", "change"), rows)]
    lines += ["### What would be lost", "", f"{losses_in_words(())}.", ""] if not found.losses else _lost(found)
    if found.schema:
        lines += ["### Schema", "", *block("\n".join(each.in_words() for each in found.schema)), *_diagrams(found)]
    lines += ["### Integrity and foreign keys", ""]
    if found.findings:
        lines += ["Found in the database, whatever the steps did:", "", *block("\n".join(found.findings))]
    else:
        lines += ["In order, after the steps that went through." if found.error else "In order.", ""]
    if found.plan.left_out:
        reasons = "\n".join(f"{each.label}: {each.reason}" for each in found.plan.left_out)
        lines += ["### Packs that are left out", "", *block(reasons)]
    return lines


def _steps(found: Rehearsal) -> list[str]:
    rows = [
        (
            str(number),
            "apply" if step.direction == "apply" else "roll back",
            code(step.ref),
            seconds_in_words(step.seconds),
            f"{len(step.statements) + step.statements_left_out:,}",
        )
        for number, step in enumerate(found.steps, start=1)
    ]
    if found.error is not None:
        rows.append((str(len(rows) + 1), "", code(found.error.ref), "**would fail**", ""))
        if unreached := len(found.plan.steps) - len(rows):
            rows.append(("", "", f"{counted(unreached, 'step')} after it would not be reached", "", ""))
    return ["### Steps", "", *table(("#", "", "migration", "duration", "statements"), rows)]


def _warnings(steps: Iterable[RehearsedStep]) -> list[str]:
    warnings = [f"{step.ref}: {each}" for step in steps for each in step.warnings]
    return ["### Warnings", "", *block("\n".join(warnings))] if warnings else []


def _statements(step: RehearsedStep) -> list[str]:
    total = len(step.statements) + step.statements_left_out
    text = "\n".join(f"{each.rstrip(';')};" for each in step.statements)
    left_out = [f"-- and {counted(step.statements_left_out, 'statement')} more"] if step.statements_left_out else []
    summary = f"{counted(total, 'statement')} of <code>{step.ref}</code>"  # a reference holds nothing that HTML knows
    return details(summary, block("\n".join([text, *left_out]), "sql"))


def _rows(steps: Sequence[RehearsedStep]) -> list[tuple[str, ...]]:
    """Return a row for each table that the steps touched: from before the first of them to after the last."""
    before: dict[str, int | None] = {}
    after: dict[str, int | None] = {}
    for step in steps:
        for each in step.rows:
            before.setdefault(each.table, each.before)
            after[each.table] = each.after
    rows: list[tuple[str, ...]] = []
    for name in sorted(after):
        had, has = before[name], after[name]
        if had is None and has is None:  # made by one step, removed by another
            continue
        change = "new" if had is None else "gone" if has is None else f"{has - had:+,}" if has != had else "as before"
        rows.append((code(name), "" if had is None else f"{had:,}", "" if has is None else f"{has:,}", change))
    return rows


def _lost(found: Rehearsal) -> list[str]:
    rows = [
        (code(each.table), "rows" if each.column is None else f"values of {code(each.column)}", f"{each.count:,}")
        for each in found.losses
    ]
    return ["### What would be lost", "", *table(("table", "what", "number"), rows)]


def _diagrams(found: Rehearsal) -> list[str]:
    """Return diagrams of the tables that change, as they are and as they would be."""
    changed = {fold(each.table) for each in found.schema if each.kind in _IN_DIAGRAM}
    lines: list[str] = []
    for heading, schema in (("Before", found.schema_before), ("After", found.schema_after)):
        chosen: Schema = {key: each for key, each in schema.items() if key[0] == "table" and fold(each.name) in changed}
        if not chosen:
            continue
        drawn = diagram(chosen)
        shown = block(drawn, "mermaid") if len(drawn) <= _LARGEST_DIAGRAM else ["The diagram would be too large to be drawn.", ""]
        lines += [f"{heading}, {counted(len(chosen), 'table')} that would change:", "", *shown]
    return lines
