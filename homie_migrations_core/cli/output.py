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

from homie_migrations_core.broken import BrokenPack
from homie_migrations_core.cli.wording import (
    checked_as_json,
    counted,
    finding_as_json,
    losses_in_words,
    record_as_json,
    record_in_words,
    rehearsal_as_json,
    rows_in_words,
    seconds_in_words,
)
from homie_migrations_core.errors import ConfirmationDenied, HomieMigrationsError, NobodyToAsk
from homie_migrations_core.model import DatabaseStatus, Finding, LeftOut, Pack, Plan, Record, Repair, Restored, Run, Snapshot, Step
from homie_migrations_core.packs.hookspecs import hookimpl
from homie_migrations_core.packs.naming import size_in_words
from homie_migrations_core.runner import MigrationRunner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from homie_migrations_core.authoring.check import Checked
    from homie_migrations_core.inspection.validation import Detected
    from homie_migrations_core.running.rehearsal import Rehearsal, RehearsedStep
    from homie_migrations_core.sqlite.schema_objects import Schema

_STRONGEST_FIRST = (143, 130, 2, 1, 4, 3)
_UNDONE = {"applied": "apply", "rolled_back": "roll back", "redone": "redo", "recorded": "record"}
_KINDS = {"automatic": "automatic", "by_hand": "by hand", "begun": "by a run that was killed before it changed anything"}
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
    somebody_to_ask(question)
    import typer

    try:
        agreed = typer.confirm(f"{question[0].upper()}{question[1:]}. {note} Go on?", err=True)
    except typer.Abort:  # the end of the input is no yes
        say_error("")
        agreed = False
    if not agreed:
        raise ConfirmationDenied(question)


def somebody_to_ask(question: str) -> None:
    """
    There is a terminal to ask on.

    Raises:
        NobodyToAsk: There is none.
    """
    if not is_terminal(sys.stdin):
        raise NobodyToAsk(question)


def aside() -> contextlib.AbstractContextManager[object]:
    """Inside, what a stranger's code prints is no part of the result."""
    return contextlib.redirect_stdout(sys.stderr)


@contextlib.contextmanager
def _children_aside() -> Iterator[None]:
    """The same for processes that it starts, which inherit the stream itself."""
    saved = None
    with contextlib.suppress(OSError, ValueError, AttributeError):  # a stream that is closed, or none of the system's
        if sys.stdout is sys.__stdout__ and sys.stdout.fileno() == 1:
            sys.stdout.flush()
            saved = os.dup(1)
            os.dup2(2, 1)
    try:
        yield
    finally:
        if saved is not None:
            os.dup2(saved, 1)
            os.close(saved)


class Steps:
    """The observer that says what a run does, as it does it; of a rehearsal, which is `silent`, only how far it is."""

    def __init__(self, report: Report, entry: Entry, *, silent: bool = False) -> None:
        self._report, self._entry, self.silent = report, entry, silent
        self._progress = _Progress(shown=report.for_people and is_terminal(sys.stderr))
        self.refs: list[str] = []

    def phase(self, what: str, done: int | None = None, total: int | None = None) -> None:
        """Say what the runner itself is at, if it takes long; that it waits, at once."""
        if self._progress.what != what:
            self._progress.begin(what)
            if what.startswith("waiting"):
                self._report.note(f"  {what}")
        self._progress.done, self._progress.total = done, total

    def over(self) -> None:
        """Leave no half line behind."""
        self._progress.end()

    @hookimpl
    def homie_run_started(self, run: Run) -> None:
        """Say which file is about to be changed."""
        if not self.silent:
            self._entry.announce()

    @hookimpl
    def homie_step_started(self, run: Run, step: Step) -> None:
        """Say it, if it takes long."""
        self._progress.begin(f"{'applying' if step.direction == 'apply' else 'rolling back'} {step.ref}")

    @hookimpl
    def homie_step_progress(self, run: Run, step: Step, done: int, total: int | None) -> None:
        """Say how far it is, if it takes long."""
        self._progress.done, self._progress.total = done, total

    @hookimpl
    def homie_step_finished(self, run: Run, step: Step) -> None:
        """Say it: the step is committed."""
        self._progress.end()
        if not self.silent:
            self.refs.append(step.ref)
            self._report.say(f"  {'applied' if step.direction == 'apply' else 'rolled back'} {step.ref}")

    @hookimpl
    def homie_run_finished(self, run: Run) -> None:
        """Leave no half line behind."""
        self._progress.end()


class _Progress:
    """What has taken longer than a second, since when and how far it is, on the terminal's stderr; then it is gone."""

    def __init__(self, *, shown: bool) -> None:
        self._shown, self.what = shown, ""
        self.done: int | None = None
        self.total: int | None = None
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, what: str) -> None:
        self.end()
        self.what = what
        if self._shown:
            self._over = threading.Event()
            self._thread = threading.Thread(target=self._show, args=(what, self._over), daemon=True)
            self._thread.start()

    def end(self) -> None:
        self.what, self.done, self.total = "", None, None
        if self._thread is not None:
            self._over.set()
            self._thread.join()
            self._thread = None

    def _show(self, what: str, over: threading.Event) -> None:
        began, since = time.monotonic(), time.strftime("%H:%M:%S")
        if over.wait(1.0):
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("  {task.description}"), BarColumn(), TextColumn("{task.fields[far]}"), TimeElapsedColumn())
        bar = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
        with contextlib.suppress(OSError), bar:  # a terminal that went away is no reason to stop
            task = bar.add_task(f"{what} since {since}", total=None, far="")
            bar.tasks[0].start_time = began
            while not over.wait(0.2):
                done, total = self.done, self.total
                far = "" if done is None else f"{done / total:.0%}" if total else f"{done} done"
                bar.update(task, completed=done or 0, total=total, far=far)


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
            self._around.enter_context(_children_aside())
            self._around.enter_context(aside())
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

    def would_fail(self, problem: HomieMigrationsError) -> dict[str, str]:
        """What a rehearsal found out would fail, as JSON has it."""
        found = {"code": problem.code, "message": f"In a rehearsal: {problem}"}
        if self._document["error"] is None:
            self._document["error"] = found
        say_error(f"In a rehearsal: {problem}")
        return found

    def say(self, text: str) -> None:
        """A line for people."""
        if self.for_people:
            say(text)

    def note(self, text: str) -> None:
        """A line for people that is no result."""
        if self.for_people:
            say_error(text)

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
                counted(len(each.migrations), "migration"),
                each.latest.name,
            )
            for each in packs
        ]
        self.table("", ("pack", "distribution", "database", "holds", "latest"), rows)
        if not packs:
            self.say("No usable pack is installed.")

    def about_packs(self) -> None:
        """The document has a list of packs, even if there are none."""
        self._document["packs"] = []

    def checked(self, found: Checked, *, verbose: bool = False) -> None:
        """What was found out about one pack."""
        self._document["packs"].append(checked_as_json(found))
        unaccepted = [each for each in found.findings if each.accepted is None]
        if unaccepted:
            self.exit_with(4)
        words = [counted(len(found.migrations), "migration"), counted(len(unaccepted), "finding")]
        if accepted := len(found.findings) - len(unaccepted):
            words.append(f"{accepted} accepted")
        self.say(f"{found.pack}: {', '.join(words)}")
        if verbose:
            for ref in found.migrations:
                self.say(f"  checked {ref}")
        for each in found.findings:
            if each.accepted is None:
                self.say(f"  {each.code}: {each.message}\n    {each.advice}")
            else:
                self.say(f"  accepted, {each.code}: {each.message}\n    The reason given: {each.accepted}")
        for note in found.notes:
            self.say(f"  note: {note}")

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
        self._report.say(f"{self.document['path']}: {counted(len(plan.steps), 'step')} to apply")
        for number, step in enumerate(plan.steps, start=1):
            self._report.say(f"  {number}. {step.ref}")
        for ref in plan.edited:
            say_error(f"Warning: {ref} was edited after it was applied; its code of then stays in force.")
        self._report.left_out(plan.left_out)

    def history(self, records: Sequence[Record]) -> None:
        """What was applied."""
        self.document["history"] = [record_as_json(each) for each in records]
        self._report.say(f"{self.document['path']}: {counted(len(records), 'migration')} applied")
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

    # --- the truth about it ---------------------------------------------------------------------------

    def findings(self, found: Sequence[Finding]) -> None:
        """What is not as it should be."""
        self.document["findings"] = [finding_as_json(each) for each in found]
        if any(each.accepted is None for each in found):
            self._report.exit_with(4)
        self._report.say(f"{self.document['path']}: {counted(len(found), 'finding')}")
        for each in found:
            self._report.say(f"  {each.code}: {each.message}")
            self._report.say(f"    {each.advice}")

    def schema(self, found: Schema, diagram: str | None, *, several: bool) -> None:
        """A schema, as SQL or as a diagram."""
        order = {"table": 0, "index": 1, "view": 2, "trigger": 3}
        objects = sorted(found.values(), key=lambda each: (order[each.kind], each.name.lower()))
        self.document["schema"] = [{"kind": each.kind, "name": each.name, "table": each.table, "sql": each.sql} for each in objects]
        if diagram is not None:
            self.document["diagram"] = diagram
        if several:
            self._report.say(f"{'%%' if diagram is not None else '--'} {Path(self.document['path']).name}")
        if diagram is not None:
            self._report.say(diagram)
        else:
            for each in objects:
                comment = "--" in each.sql.rpartition("\n")[2]  # it would swallow what stands behind it
                self._report.say(each.sql + ("\n;" if comment else ";"))

    def detected(self, found: Detected) -> None:
        """How far a database is, and why that is known."""
        self.document["detected"] = {
            "pack": found.pack,
            "version": found.version,
            "equal": list(found.equal),
            "nearest": found.nearest.ref if found.nearest else None,
            "differences": list(found.nearest.differences) if found.nearest else [],
        }
        if found.version:
            self._report.say(f"  {found.equal[0]}: what it makes, with all before it, is what is there")
        if found.above is not None:
            self._report.say(f"  {found.above.ref}: not there yet, because {'; '.join(found.above.differences)}")

    # --- rehearsals ---------------------------------------------------------------------------------

    def rehearsal(self, found: Rehearsal, *, sql: bool) -> None:
        """What a run would do."""
        report = self._report
        self.document["rehearsal"] = rehearsal_as_json(found)
        if not found.plan.steps:
            report.say(f"{found.path}: nothing to do")
        else:
            copied = (
                f"a copy of {size_in_words(found.size)}, made in {found.seconds_to_copy:.1f} s" if found.size else "a new database"
            )
            report.say(f"{found.path}: {counted(len(found.plan.steps), 'step')}, rehearsed on {copied}; the database was only read")
        for number, step in enumerate(found.steps, start=1):
            what = "apply" if step.direction == "apply" else "roll back"
            report.say(f"  {number}. {what} {step.ref}: {seconds_in_words(step.seconds)}")
            self._rehearsed(step, sql=sql)
        if found.error is not None:
            number, total = len(found.steps) + 1, len(found.plan.steps)
            report.exit_with(1)
            report.say(f"  {number}. {found.error.ref}: would fail")
            self.document["error"] = report.would_fail(found.error)
            if total > number:
                report.say(f"  {counted(total - number, 'step')} after it would not be reached")
        if found.steps or found.error is not None:
            if found.losses:
                report.say(f"  {losses_in_words(found.losses)}")
            for finding in found.findings:
                report.say(f"  found in the database, whatever the steps did: {finding}")
            if not found.findings and found.error is None:
                report.say("  integrity and foreign keys: in order")
            report.say(f"  disk space needed meanwhile: {size_in_words(found.disk_needed)}")
        report.left_out(found.plan.left_out)

    def _rehearsed(self, step: RehearsedStep, *, sql: bool) -> None:
        report = self._report
        if sql:
            for statement in step.statements:
                report.say("\n".join(f"       {line}" for line in f"{statement.rstrip(';')};".splitlines()))
            if step.statements_left_out:
                report.say(f"       and {counted(step.statements_left_out, 'statement')} more")
        for change in step.schema:
            report.say(f"     {change.in_words()}")
        for count in step.rows:
            report.say(f"     {rows_in_words(count)}")
        for warning in step.warnings:
            say_error(f"Warning: {warning}")

    # --- snapshots ----------------------------------------------------------------------------------

    def taken(self, snapshot: Path) -> None:
        """A snapshot was made."""
        self.announce()
        self.document["snapshot"] = str(snapshot)
        self._report.say(f"  snapshot: {snapshot} ({size_in_words(os.path.getsize(snapshot))})")

    def snapshots(self, found: Sequence[Snapshot]) -> None:
        """The snapshots there are."""
        self.document["snapshots"] = [
            {
                "path": str(each.path),
                "taken_at": each.taken_at.isoformat(),
                "size": each.size,
                "applied": each.applied,
                "kind": each.kind,
            }
            for each in found
        ]
        path = Path(self.document["path"])
        self._report.say(f"{path}: {counted(len(found), 'snapshot')}{f' in {found[0].path.parent}' if found else ''}")
        rows = [
            (f"{each.taken_at:%Y-%m-%d %H:%M:%S}", size_in_words(each.size), each.applied, _KINDS[each.kind], each.path.name)
            for each in found
        ]
        self._report.table("  ", ("taken at (UTC)", "size", "applied then", "taken", "file"), rows)

    def restored(self, found: Restored) -> None:
        """A snapshot was put back."""
        self.announce()
        self.document["restored"] = {
            "source": str(found.source),
            "pending_again": list(found.pending_again),
            "applied_again": list(found.applied_again),
            "rows": [{"table": each.table, "before": each.before, "after": each.after} for each in found.rows],
        }
        self.document["snapshot"] = str(found.snapshot) if found.snapshot else None
        self._report.say(f"  put back {found.source}")
        for ref in found.pending_again:
            self._report.say(f"  pending again: {ref}")
        for ref in found.applied_again:
            self._report.say(f"  applied again: {ref}")
        if found.snapshot:
            self._report.say(f"  snapshot of the state before: {found.snapshot}")

    # --- records ------------------------------------------------------------------------------------

    def to_repair(self, found: Repair) -> None:
        """The record as it is, and as it will be."""
        self.document["repair"] = {
            "ref": found.before.ref,
            "before": record_as_json(found.before),
            "after": record_as_json(found.after) if found.after else None,
        }
        self._report.say(f"  before: {record_in_words(found.before)}")
        self._report.say(f"  after:  {record_in_words(found.after) if found.after else 'no record'}")

    def repaired(self, found: Repair, runner: MigrationRunner) -> None:
        """It is done."""
        self.document["snapshot"] = str(runner.snapshot) if runner.snapshot else None
        self._report.say(f"  {'accepted' if found.after else 'removed the record of'} {found.before.ref}")
        if runner.snapshot:
            self._report.say(f"  snapshot of the state before: {runner.snapshot}")
