"""
The only module that prints: tables on a terminal, plain lines in a pipe, one JSON document on request.

Turns values and errors into words and exit codes. Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from homie_migrations_core.errors import ConfirmationDenied, HomieMigrationsError, NobodyToAsk
from homie_migrations_core.hookspecs import hookimpl
from homie_migrations_core.model import BrokenPack, DatabaseStatus, Pack, Plan, Record, Run, Step
from homie_migrations_core.plugins import RegisteredPack
from homie_migrations_core.runner import MigrationRunner

_STRONGEST_FIRST = (143, 130, 2, 1, 4, 3)
_COLOURS = {
    "applied": "green",
    "up_to_date": "green",
    "new": "yellow",
    "pending": "yellow",
    "orphaned": "yellow",
    "edited": "yellow",
    "missing": "yellow",
}


def words(state: str) -> str:
    """A state as people say it."""
    return state.replace("_", " ")


def say(text: str) -> None:
    """One line on stdout."""
    print(text, flush=True)


def say_error(text: str) -> None:
    """One line on stderr."""
    print(text, file=sys.stderr)


def error(problem: HomieMigrationsError, *, verbose: bool = False) -> None:
    """An error as its sentence on stderr; with `verbose`, the traceback first."""
    if verbose:
        import traceback

        sys.stderr.write("".join(traceback.format_exception(problem)))
    say_error(f"Error: {problem}")


def usage_error(problem: Exception, *, as_json: bool) -> int:
    """What the command line's own parser refused; returns the exit code."""
    message = str(problem.format_message())  # type: ignore[attr-defined]
    context = getattr(problem, "ctx", None)
    if as_json:
        print(json.dumps({"databases": [], "broken": [], "error": {"code": "usage", "message": message}}))
    elif not message and context is not None:  # called without a command: the help is the answer
        print(context.get_help())
    else:
        hint = f" Try `{context.command_path} --help`." if context is not None else ""
        say_error(f"Error: {message}{hint}")
    return int(getattr(problem, "exit_code", 2))


def confirm(question: str) -> None:
    """
    Somebody said yes on the terminal.

    Raises:
        NobodyToAsk: There is no terminal.
        ConfirmationDenied: The answer was no.
    """
    if not sys.stdin.isatty():
        raise NobodyToAsk(question)
    import typer

    if not typer.confirm(f"{question[0].upper()}{question[1:]}. Go on?", err=True):
        raise ConfirmationDenied(question)


class Steps:
    """The observer that says what a run does, as it does it."""

    def __init__(self, report: Report) -> None:
        self._report, self._started = report, 0.0
        self.refs: list[str] = []

    @hookimpl
    def homie_step_started(self, run: Run, step: Step) -> None:
        """Remember when."""
        self._started = time.monotonic()

    @hookimpl
    def homie_step_finished(self, run: Run, step: Step) -> None:
        """Say it: the step is committed."""
        self.refs.append(step.ref)
        verb = "applied" if step.direction == "apply" else "rolled back"
        self._report.say(f"  {verb} {step.ref}")


class _LogToStderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        label = "" if record.levelno < logging.WARNING else f"{record.levelname.capitalize()}: "
        say_error(f"{label}{record.getMessage()}")


class Report:
    """What one command has to say; ends with its exit code."""

    def __init__(self, *, as_json: bool, quiet: bool, verbose: bool) -> None:
        self._json, self._quiet, self._verbose = as_json, quiet, verbose
        self._document: dict[str, Any] = {"databases": [], "broken": [], "error": None}
        self._codes: set[int] = set()
        self._handler = _LogToStderr(logging.INFO if verbose else logging.WARNING)

    def __enter__(self) -> Self:
        logger = logging.getLogger("homie_migrations")
        logger.addHandler(self._handler)
        if self._verbose:
            logger.setLevel(logging.INFO)
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, where: TracebackType | None) -> None:
        logging.getLogger("homie_migrations").removeHandler(self._handler)
        if isinstance(problem, HomieMigrationsError):
            self.failed(problem)
        elif problem is not None:
            return
        if self._json:
            print(json.dumps(self._document, indent=2, ensure_ascii=False))
        code = next((code for code in _STRONGEST_FIRST if code in self._codes), 0)
        raise SystemExit(code) from problem

    def exit_with(self, code: int) -> None:
        """The command will end with this code, unless a stronger one comes."""
        self._codes.add(code)

    def failed(self, problem: HomieMigrationsError) -> None:
        """An error that ended the command or one of its databases."""
        self._codes.add(problem.exit_code)
        if self._document["error"] is None:
            self._document["error"] = {"code": problem.code, "message": str(problem)}
        error(problem, verbose=self._verbose)

    def say(self, text: str) -> None:
        """A line for people."""
        if not (self._json or self._quiet):
            say(text)

    def broken(self, broken: Sequence[BrokenPack]) -> None:
        """Packs and entry points that can't be used."""
        for each in broken:
            entry = {"entry_point": each.entry_point or each.pack, "distribution": each.distribution, "reason": each.reason}
            if entry not in self._document["broken"]:
                self._document["broken"].append(entry)
                from_ = f" of {each.distribution}" if each.distribution else ""
                say_error(f"Broken: {each.label}{from_}: {each.reason}")
            self._codes.add(1)

    def broken_pack(self, pack: RegisteredPack, reason: str) -> None:
        """A registered pack whose files can't be used."""
        self.broken([BrokenPack(reason, pack.pack.name, pack.pack.database, pack.entry_point, pack.distribution)])

    def packs(self, packs: Sequence[Pack]) -> None:
        """The installed packs."""
        self._document["packs"] = [
            {
                "name": pack.name,
                "distribution": pack.distribution,
                "distribution_version": pack.distribution_version,
                "database": pack.database,
                "migrations": len(pack.migrations),
                "latest_version": pack.latest.version,
            }
            for pack in packs
        ]
        for pack in packs:
            for migration in pack.migrations:
                if migration.problem:
                    self.broken([BrokenPack(migration.problem, pack.name, pack.database, None, pack.distribution)])
        rows = [
            (
                each.name,
                f"{each.distribution} {each.distribution_version}",
                each.database,
                str(len(each.migrations)),
                each.latest.name,
            )
            for each in packs
        ]
        self.table("", ("pack", "distribution", "database", "migrations", "latest"), rows)
        if not packs:
            self.say("No usable pack is installed.")

    def table(self, indent: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Rows as a table on a terminal, as aligned lines in a pipe."""
        if self._json or self._quiet or not rows:
            return
        if sys.stdout.isatty():
            from rich.console import Console
            from rich.table import Table
            from rich.text import Text

            shown = Table(*heads, box=None, pad_edge=False, header_style="dim")
            for row in rows:
                shown.add_row(*(Text(cell, style=_COLOURS.get(cell.replace(" ", "_"), "")) for cell in row))
            Console().print(shown)
            return
        widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
        for row in rows:
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            print(f"{indent}{line}".rstrip())

    @contextlib.contextmanager
    def database(self, path: Path) -> Iterator[_Entry]:
        """What is said about one database. An error in it ends its part, not the command."""
        entry = _Entry(self, path)
        self._document["databases"].append(entry.document)
        try:
            yield entry
        except HomieMigrationsError as problem:
            entry.document["error"] = {"code": problem.code, "message": str(problem)}
            if problem.code == "foreign_tracking_table":
                entry.document["state"] = "foreign"
            self.failed(problem)


class _Entry:
    """One database in a report."""

    def __init__(self, report: Report, path: Path) -> None:
        self._report = report
        self.document: dict[str, Any] = {"path": str(path), "exists": os.path.lexists(path), "state": None, "packs": []}

    def status(self, found: DatabaseStatus, *, shown: bool = True) -> None:
        """Where everything stands."""
        self.document["exists"], self.document["state"] = found.exists, found.state
        self.document["packs"] = [
            {
                "name": pack.name,
                "distribution": pack.distribution,
                "distribution_version": pack.distribution_version,
                "state": pack.state,
                "current_version": pack.current_version,
                "latest_version": pack.latest_version,
                "reason": pack.reason,
                "migrations": [
                    {
                        "ref": each.ref,
                        "version": each.version,
                        "name": each.name,
                        "state": each.state,
                        "applied_at": each.applied_at,
                        "problem": each.problem,
                    }
                    for each in pack.migrations
                ],
            }
            for pack in found.packs.values()
        ]
        if not shown:
            return
        report = self._report
        absent = "" if found.exists else " (not made yet)"
        report.say(f"{found.path}: {words(found.state)}{absent}")
        if found.state == "interrupted":
            report.say("  A process that changed it was interrupted. The next `homie migrations apply` rolls that back by itself.")
        for pack in found.packs.values():
            source = f" ({pack.distribution} {pack.distribution_version})" if pack.distribution else ""
            of = f" of {pack.latest_version}" if pack.latest_version else ""
            report.say(f"  {pack.name}{source}: {words(pack.state)}, version {pack.current_version}{of}")
            if pack.reason:
                report.say(f"    {pack.reason}")
            rows = [(words(each.state), each.name, each.applied_at or "") for each in pack.migrations]
            report.table("    ", ("state", "migration", "applied at (UTC)"), rows)

    def status_now(self, runner: MigrationRunner) -> None:
        """Where everything stands after a change; for the JSON document only."""
        with contextlib.suppress(HomieMigrationsError):  # what stopped the change is said already
            self.status(runner.status(), shown=False)

    def plan(self, plan: Plan) -> None:
        """The steps that would run."""
        self.document["plan"] = [{"ref": step.ref, "direction": step.direction} for step in plan.steps]
        self.document["left_out"] = [{"pack": each.pack, "reason": each.reason} for each in plan.left_out]
        self.document["edited"] = list(plan.edited)
        self._report.say(f"{self.document['path']}: {_count(len(plan.steps), 'step')} to apply")
        for number, step in enumerate(plan.steps, start=1):
            self._report.say(f"  {number}. {step.ref}")
        for ref in plan.edited:
            say_error(f"Warning: {ref} was edited after it was applied; its code of then stays in force.")
        for each in plan.left_out:
            say_error(f"Left out: {each.pack}: {each.reason}")
            self._report.exit_with(1)

    def history(self, records: Sequence[Record]) -> None:
        """What was applied."""
        self.document["history"] = [
            {
                "ref": each.ref,
                "pack": each.pack,
                "version": each.version,
                "name": each.name,
                "applied_at": each.applied_at,
                "duration_ms": each.duration_ms,
                "pack_version": each.pack_version,
                "checksum": each.checksum,
            }
            for each in records
        ]
        self._report.say(f"{self.document['path']}: {_count(len(records), 'migration')} applied")
        rows = [
            (
                each.applied_at or "at an unknown time",
                each.ref,
                "" if each.duration_ms is None else f"{each.duration_ms} ms",
                "" if each.pack_version is None else f"by {each.pack_version}",
            )
            for each in records
        ]
        self._report.table("  ", ("applied at (UTC)", "migration", "took", "release"), rows)

    def about_to_change(self, path: Path, origin: str) -> None:
        """Which file is about to be changed, and why this one."""
        new = " a new database" if not os.path.exists(path) or os.path.getsize(path) == 0 else " an existing database"
        self._report.say(f"{path} (from {origin}):{new}")

    def changed(self, what: str, refs: list[str], snapshot: Path | None) -> None:
        """What was done."""
        self.document[what] = refs
        self.document["snapshot"] = str(snapshot) if snapshot else None
        if snapshot:
            self._report.say(f"  snapshot of the state before: {snapshot}")
        if not refs:
            self._report.say("  nothing was changed" if what != "applied" else "  nothing to apply")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
