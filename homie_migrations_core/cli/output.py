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
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from homie_migrations_core.errors import ConfirmationDenied, HomieMigrationsError, NobodyToAsk
from homie_migrations_core.hookspecs import hookimpl
from homie_migrations_core.model import BrokenPack, DatabaseStatus, LeftOut, Pack, Plan, Record, Run, Step
from homie_migrations_core.runner import MigrationRunner

_STRONGEST_FIRST = (143, 130, 2, 1, 4, 3)
_UNDONE = {"applied": "apply", "rolled_back": "roll back", "redone": "redo"}
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
    _write(text, sys.stdout)


def say_error(text: str) -> None:
    """One line on stderr."""
    _write(text, sys.stderr)


def _write(text: str, stream: TextIO | None) -> None:
    if stream is None:  # the process was started with it closed
        return
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:  # nobody reads on; the work and its exit code are not about that
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody sits at the other end."""
    return stream is not None and stream.isatty()


def error(problem: Exception, *, verbose: bool = False) -> None:
    """An error as its sentence on stderr; with `verbose`, the traceback first."""
    if verbose:
        import traceback

        say_error("".join(traceback.format_exception(problem)).rstrip())
    say_error(f"Error: {_sentence(problem)}")


def _sentence(problem: Exception) -> str:
    if isinstance(problem, HomieMigrationsError):
        return str(problem)
    return f"This should not have happened: {type(problem).__name__}: {problem}. Please report it, with what -v shows."


def _as_json(document: object) -> str:
    return json.dumps(document, indent=2)  # all in ASCII, which every terminal and pipe can carry


def usage_error(problem: Exception, *, as_json: bool) -> int:
    """What the command line's own parser refused; returns the exit code."""
    message = str(problem.format_message() or "")  # type: ignore[attr-defined]
    context = getattr(problem, "ctx", None)
    if type(problem).__name__ == "NoArgsIsHelpError":  # called without a command: the help is the answer
        if message:  # else Rich has printed it already
            say(message)
        return 2
    if as_json:
        say(_as_json({"databases": [], "broken": [], "error": {"code": "usage", "message": message}}))
    stop = "" if message.endswith((".", "?", "!")) else "."
    hint = f" Try `{context.command_path} --help`." if context is not None else ""
    say_error(f"Error: {message}{stop}{hint}")
    return int(getattr(problem, "exit_code", 2))


def confirm(question: str, note: str) -> None:
    """
    Somebody said yes on the terminal. `note` is what they should know before.

    Raises:
        NobodyToAsk: There is no terminal.
        ConfirmationDenied: The answer was no.
    """
    if not is_terminal(sys.stdin):
        raise NobodyToAsk(question)
    import typer

    try:
        agreed = typer.confirm(f"{question[0].upper()}{question[1:]}. {note} Go on?", err=True)
    except typer.Abort:  # the end of the input is no yes
        say_error("")
        agreed = False
    if not agreed:
        raise ConfirmationDenied(question)


class Steps:
    """The observer that says what a run does, as it does it."""

    def __init__(self, report: Report, entry: Entry) -> None:
        self._report, self._entry = report, entry
        self._progress = _Progress(shown=report.for_people and is_terminal(sys.stderr))
        self.refs: list[str] = []

    @hookimpl
    def homie_run_started(self, run: Run) -> None:
        """Say which file is about to be changed."""
        self._entry.announce()
        self._progress.begin("getting ready: waiting for other programs, or taking a snapshot")

    @hookimpl
    def homie_step_started(self, run: Run, step: Step) -> None:
        """Say it, if it takes long."""
        self._progress.begin(f"{'applying' if step.direction == 'apply' else 'rolling back'} {step.ref}")

    @hookimpl
    def homie_step_progress(self, run: Run, step: Step, done: int, total: int | None) -> None:
        """Say how far it is, if it takes long."""
        self._progress.detail = f"{done} of {total}" if total else str(done)

    @hookimpl
    def homie_step_finished(self, run: Run, step: Step) -> None:
        """Say it: the step is committed."""
        self._progress.end()
        self.refs.append(step.ref)
        verb = "applied" if step.direction == "apply" else "rolled back"
        self._report.say(f"  {verb} {step.ref}")

    @hookimpl
    def homie_run_finished(self, run: Run) -> None:
        """Leave no half line behind."""
        self._progress.end()


class _Progress:
    """One line on stderr about what has taken longer than a second, written over each second, and then gone."""

    def __init__(self, *, shown: bool) -> None:
        self._shown, self.detail = shown, ""
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, what: str) -> None:
        self.end()
        if self._shown:
            self.detail, self._over = "", threading.Event()
            self._thread = threading.Thread(target=self._tick, args=(what, self._over), daemon=True)
            self._thread.start()

    def end(self) -> None:
        if self._thread is not None:
            self._over.set()
            self._thread.join()
            self._thread = None

    def _tick(self, what: str, over: threading.Event) -> None:
        started, width = time.monotonic(), 0
        with contextlib.suppress(OSError):  # a terminal that went away is no reason to stop
            while not over.wait(1.0):
                line = f"  {what}: {f'{self.detail}, ' if self.detail else ''}{time.monotonic() - started:.0f} s"
                line = line[: os.get_terminal_size(sys.stderr.fileno()).columns - 1]
                sys.stderr.write("\r" + line.ljust(width))
                sys.stderr.flush()
                width = len(line)
            if width:
                sys.stderr.write("\r" + " " * width + "\r")
                sys.stderr.flush()


class _LogToStderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if hasattr(record, "unusable"):  # the report says that in its own words
            return
        label = "" if record.levelno < logging.WARNING else f"{record.levelname.capitalize()}: "
        cause = f" ({record.exc_info[0].__name__}: {record.exc_info[1]})" if record.exc_info and record.exc_info[0] else ""
        say_error(f"{label}{record.getMessage()}{cause}")


@contextlib.contextmanager
def log_on_stderr(*, verbose: bool = False) -> Iterator[None]:
    """Inside, what the library warns of is said on stderr; with `verbose`, what it does, too."""
    logger, handler = logging.getLogger("homie_migrations"), _LogToStderr(logging.INFO if verbose else logging.WARNING)
    level = logger.level
    logger.addHandler(handler)
    if verbose:
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class Report:
    """What one command has to say; ends with its exit code."""

    def __init__(self, *, as_json: bool, quiet: bool, verbose: bool) -> None:
        self.as_json, self._quiet, self._verbose = as_json, quiet, verbose
        self.for_people = not (as_json or quiet)
        self._document: dict[str, Any] = {"databases": [], "broken": [], "error": None}
        self._codes: set[int] = set()
        self._broken: set[tuple[str | None, str | None, str]] = set()
        self._said: set[tuple[str | None, str | None, str]] = set()
        self._around = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._around.enter_context(log_on_stderr(verbose=self._verbose))
        if self.as_json:  # what a migration or a plugin prints is no part of the document
            self._around.enter_context(contextlib.redirect_stdout(sys.stderr))
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, where: TracebackType | None) -> None:
        self._around.close()
        if isinstance(problem, Exception):
            self.failed(problem)
        elif isinstance(problem, KeyboardInterrupt):
            self._codes.add(130)
            self._document["error"] = {"code": "run_stopped", "message": "Stopped."}
            say_error("Stopped.")
        elif problem is not None:
            return
        if self.as_json:
            say(_as_json(self._document))
        code = next((code for code in _STRONGEST_FIRST if code in self._codes), 0)
        raise SystemExit(code) from problem

    def exit_with(self, code: int) -> None:
        """The command will end with this code, unless a stronger one comes."""
        self._codes.add(code)

    def failed(self, problem: Exception) -> dict[str, str]:
        """An error that ended the command or one of its databases, as JSON has it."""
        code, exit_code = (problem.code, problem.exit_code) if isinstance(problem, HomieMigrationsError) else ("unexpected", 1)
        self._codes.add(exit_code)
        found = {"code": code, "message": _sentence(problem)}
        if self._document["error"] is None:
            self._document["error"] = found
        error(problem, verbose=self._verbose)
        return found

    def say(self, text: str) -> None:
        """A line for people."""
        if self.for_people:
            say(text)

    def broken(self, broken: Sequence[BrokenPack], *, shown: bool = True) -> None:
        """Packs and entry points that can't be used."""
        for each in broken:
            self._codes.add(1)
            known = (each.pack or each.entry_point, each.distribution, each.reason)
            if known not in self._broken:
                self._broken.add(known)
                self._document["broken"].append(
                    {"entry_point": each.entry_point or each.pack, "distribution": each.distribution, "reason": each.reason}
                )
            if shown and known not in self._said:
                self._said.add(known)
                from_ = f" of {each.distribution}" if each.distribution else ""
                say_error(f"Broken: {each.label}{from_}: {each.reason}")

    def left_out(self, left_out: Sequence[BrokenPack | LeftOut]) -> None:
        """Packs that a run leaves, or would leave, as they are."""
        for each in left_out:
            self._codes.add(1)
            if not any((who, reason) == (each.pack, each.reason) for who, _, reason in self._said):
                self._said.add((each.pack, None, each.reason))
                say_error(f"Left out: {each.label}: {each.reason}")

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
                _count(len(each.migrations), "migration"),
                each.latest.name,
            )
            for each in packs
        ]
        self.table("", ("pack", "distribution", "database", "holds", "latest"), rows)
        if not packs:
            self.say("No usable pack is installed.")

    def table(self, indent: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Rows as a table on a terminal, as aligned lines in a pipe."""
        if not self.for_people or not rows:
            return
        if is_terminal(sys.stdout):
            from rich.console import Console
            from rich.padding import Padding
            from rich.table import Column, Table
            from rich.text import Text

            columns = [Column(head, overflow="fold") for head in heads]  # a name that is cut off can't be pasted
            shown = Table(*columns, box=None, pad_edge=False, header_style="dim")
            for row in rows:
                shown.add_row(*(Text(cell, style=_COLOURS.get(cell.replace(" ", "_"), "")) for cell in row))
            Console().print(Padding(shown, (0, 0, 0, len(indent)), expand=False))
            return
        widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
        for row in rows:
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            say(f"{indent}{line}".rstrip())

    @contextlib.contextmanager
    def database(self, path: Path) -> Iterator[Entry]:
        """What is said about one database. An error in it ends its part, not the command."""
        entry = Entry(self, path)
        self._document["databases"].append(entry.document)
        try:
            yield entry
        except Exception as problem:
            entry.document["error"] = self.failed(problem)
            if getattr(problem, "code", "") == "foreign_tracking_table":
                entry.document["state"] = "foreign"


class Entry:
    """One database in a report."""

    def __init__(self, report: Report, path: Path) -> None:
        self._report, self._heading = report, ""
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
        report = self._report
        for pack in found.packs.values():
            if pack.state == "broken" and pack.reason:
                report.broken([BrokenPack(pack.reason, pack.name, None, None, pack.distribution)], shown=False)
        if not shown:
            return
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
        if not self._report.as_json:
            return
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
        self._report.left_out(plan.left_out)

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

    def about_to_change(self, path: Path, origin: str, *, makes: bool) -> None:
        """Which file may be changed, and why this one: said by `announce`, once it is sure that it can be."""
        if not os.path.exists(path):
            found = "a new database" if makes else "there is no database yet"
        else:
            found = "an existing database" if os.path.getsize(path) else "an empty database"
        self._heading = f"{path} (from {origin}): {found}"

    def announce(self) -> None:
        """Say which file is about to be changed, once."""
        if self._heading:
            self._report.say(self._heading)
        self._heading = ""

    def changed(self, what: str, refs: list[str], runner: MigrationRunner, *, whole: bool) -> None:
        """What was done; `whole` if nothing went wrong."""
        self.document[what] = refs
        self.document["snapshot"] = str(runner.snapshot) if runner.snapshot else None
        self.document["left_out"] = [{"pack": each.pack, "reason": each.reason} for each in runner.left_out]
        if whole:
            self.announce()
            if not refs:
                self._report.say(f"  nothing to {_UNDONE[what]}")
            self._report.left_out(runner.left_out)
        if runner.snapshot:
            self._report.say(f"  snapshot of the state before: {runner.snapshot}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
