"""
What one command reports: lines for people, or one JSON document, and the exit code at the end.

`Report` is about the whole command, `DatabaseReport` about one of its databases. Each command writes its own lines and adds
its own fields to the document; here is what they share.
"""

from __future__ import annotations

import os

from homie_migrations_core import errors, logs
from homie_migrations_core.cli import output
from homie_migrations_core.cli.tables import show_state, show_table
from homie_migrations_core.stopping import Stopped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Self

    from homie_migrations_core.broken import BrokenPack
    from homie_migrations_core.cli.documents import common
    from homie_migrations_core.cli.event_lines import EventLines
    from homie_migrations_core.cli.options import OutputOptions
    from homie_migrations_core.errors import HomieMigrationsError
    from homie_migrations_core.fleet.outcomes import Result
    from homie_migrations_core.model import DatabaseStatus, LeftOut
    from homie_migrations_core.runner import MigrationRunner

_STRONGEST_FIRST = (143, 129, 130, 2, 1, 4, 3)
_INFINITIVES = {"applied": "apply", "rolled_back": "roll back", "redone": "redo", "recorded": "record"}


class Report:
    """What one command reports. A context manager that ends the process with the command's exit code."""

    def __init__(self, options: OutputOptions) -> None:
        self.as_json, self._verbose = options.as_json, options.verbose
        self.for_people = not (options.as_json or options.quiet)
        progress = getattr(options, "progress", "auto")  # most commands that only read have no such option
        self.shows_bars = self.for_people and progress == "auto"
        self.events: EventLines | None = None
        """What takes the place of everything else on stderr, with `--progress json`."""
        if progress == "json":
            from homie_migrations_core.cli.event_lines import EventLines

            self.events = EventLines()
        self.document: common.Document = {"databases": [], "broken": [], "error": None}
        self._codes: set[int] = set()
        self._in_document: set[tuple[str | None, str | None, str]] = set()
        self._written: set[tuple[str | None, str | None, str]] = set()
        self._around: list[AbstractContextManager[object]] = []

    def __enter__(self) -> Self:
        if self.events is not None:
            self.events.__enter__()
        logs.prepare_with(self._show_log)
        if self.as_json:  # what a migration or a plugin prints must stay out of the document
            from homie_migrations_core.cli import redirection

            self._enter(redirection.child_stdout_to_stderr())
            self._enter(redirection.stdout_to_stderr())
        return self

    def _show_log(self) -> None:
        from homie_migrations_core.cli import redirection

        self._enter(redirection.log_on_stderr(verbose=self._verbose))

    def _enter(self, context: AbstractContextManager[object]) -> None:
        context.__enter__()
        self._around.append(context)

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, where: TracebackType | None) -> None:
        logs.prepare_with(None)
        while self._around:
            self._around.pop().__exit__(None, None, None)
        if isinstance(problem, KeyboardInterrupt | Stopped):
            self._codes.add(130)
            stopped: common.Problem = {"code": "run_stopped", "message": "Stopped."}
            self.document["error"] = stopped
            self._tell("error", {**stopped, "path": None}, "Stopped.")
        elif problem is not None:  # even a SystemExit: a pack's module raised it
            self.failed(problem)
        if self.events is not None:
            self.events.__exit__()
        if self.as_json:
            output.write_json(self.document)
        code = next((code for code in _STRONGEST_FIRST if code in self._codes), 0)
        raise SystemExit(code) from problem

    def exit_with(self, code: int) -> None:
        """End the command with this code, unless a stronger one comes."""
        self._codes.add(code)

    def failed(self, problem: BaseException, path: str | None = None) -> common.Problem:
        """Report an error that ended the command or its work on the database at `path`, and return it as JSON has it."""
        from homie_migrations_core.cli.error_layout import error_code, error_message

        self._codes.add(problem.exit_code if isinstance(problem, errors.HomieMigrationsError) else 1)
        if self.events is not None:
            self.events.error(problem, path, verbose=self._verbose)
        else:
            output.error(problem, verbose=self._verbose)
        return self._first_error({"code": error_code(problem), "message": error_message(problem)})

    def would_fail(self, problem: HomieMigrationsError, path: str) -> common.Problem:
        """Report what would fail according to a rehearsal, and return it as JSON has it."""
        self._codes.add(1)
        heading = "In a rehearsal"
        if self.events is not None:
            self.events.error(problem, path, heading=f"{heading}: ")
        else:
            output.error(problem, heading=heading)
        return self._first_error({"code": problem.code, "message": f"{heading}: {problem}"})

    def _first_error(self, found: common.Problem) -> common.Problem:
        if self.document["error"] is None:
            self.document["error"] = found
        return found

    def write(self, text: str) -> None:
        """Write a result for people."""
        if self.for_people:
            output.write_line(text)

    def write_state(self, before: str, state: str, after: str = "") -> None:
        """Write a result for people with a state in it."""
        if self.for_people:
            show_state(before, state, after)

    def write_block(self, text: str) -> None:
        """Write a result of several lines for people."""
        if self.for_people:
            output.write_block(text)

    def note(self, text: str) -> None:
        """Write a remark for people, on stderr."""
        if self.for_people:
            output.write_error(text)

    def table(self, indent: str, headings: Sequence[str], rows: Sequence[Sequence[str]], *, headed: bool = True) -> None:
        """Write a table for people."""
        if self.for_people:
            show_table(indent, headings, rows, headed=headed)

    def add(self, fields: Mapping[str, object]) -> None:
        """Add a command's own fields to the document."""
        self.document.update(fields)  # type: ignore[typeddict-item]  # `documents.catalog` says which command adds which

    def phase(self, phase: str, what: str, done: int, total: int) -> None:
        """Report what the command is about to do, outside of any database, if events are asked for."""
        if self.events is not None:
            self.events.emit("phase", path=None, phase=phase, what=what, done=done, total=total)

    def database_finished(self, result: Result, done: int, total: int | None) -> None:
        """Report that one database of a fleet is done, if events are asked for."""
        if self.events is not None:
            facts = {name: getattr(result, name) for name in ("path", "state", "error_code", "message", "seconds")}
            self.events.emit("database_finished", **facts, done=done, total=total)

    def broken(self, broken: Sequence[BrokenPack], *, in_document_only: bool = False) -> None:
        """Report packs and entry points that can't be used, each once."""
        for each in broken:
            self._codes.add(1)
            known = each.pack or each.entry_point, each.distribution, each.reason
            found: common.BrokenEntryPoint = {
                "entry_point": each.entry_point or each.pack,
                "distribution": each.distribution,
                "reason": each.reason,
            }
            if known not in self._in_document:
                self._in_document.add(known)
                self.document["broken"].append(found)
            if not in_document_only and known not in self._written:
                self._written.add(known)
                source = f" of {each.distribution}" if each.distribution else ""
                self._tell("broken", found, f"Broken: {each.label}{source}: {each.reason}")

    def left_out(self, left_out: Sequence[BrokenPack | LeftOut]) -> None:
        """Report packs that a run leaves, or would leave, as they are."""
        for each in left_out:
            self._codes.add(1)
            if not any((who, reason) == (each.pack, each.reason) for who, _, reason in self._written):
                self._written.add((each.pack, None, each.reason))
                found = {"pack": each.pack, "reason": each.reason}
                self._tell("left_out", found, f"Left out: {each.label}: {each.reason}")

    def _tell(self, event: str, facts: Mapping[str, object], text: str) -> None:
        """Write to stderr: an event if events are asked for, else the text."""
        if self.events is not None:
            self.events.emit(event, **facts)
        else:
            output.write_error(text)

    def database(self, path: str) -> DatabaseReport:
        """Open the report on one database."""
        report = DatabaseReport(self, path)
        self.document["databases"].append(report.document)
        return report


class DatabaseReport:
    """
    What a command reports about one database.

    In a `with` block, an error ends the work on this database, not the command.
    """

    def __init__(self, report: Report, path: str) -> None:
        self.whole, self.path, self._heading = report, path, ""
        self.document: common.Database = {"path": path, "exists": os.path.lexists(path), "state": None, "packs": []}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, problem: BaseException | None, where: object) -> bool:
        if problem is None or isinstance(problem, KeyboardInterrupt | Stopped | GeneratorExit):
            return False
        self.document["error"] = self.whole.failed(problem, self.path)  # whatever a pack raises
        if getattr(problem, "code", "") == "foreign_tracking_table":
            self.document["state"] = "foreign"
        return True

    @property
    def for_people(self) -> bool:
        """Whether people read this, and not a program."""
        return self.whole.for_people

    def write(self, text: str) -> None:
        """Write a result for people."""
        self.whole.write(text)

    def note(self, text: str) -> None:
        """Write a remark for people, on stderr."""
        self.whole.note(text)

    def table(self, indent: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table for people."""
        self.whole.table(indent, headings, rows)

    def add(self, fields: Mapping[str, object]) -> None:
        """Add a command's own fields to the document."""
        self.document.update(fields)  # type: ignore[typeddict-item]  # `documents.catalog` says which command adds which

    def add_status(self, found: DatabaseStatus) -> None:
        """Add the states of the database and its packs to the document."""
        self.document["exists"], self.document["state"] = found.exists, found.state
        if self.whole.as_json:
            from homie_migrations_core.cli.documents import common

            self.document["packs"] = common.pack_states(found)
        for pack in found.packs.values():
            if pack.state == "broken" and pack.reason:
                from homie_migrations_core.broken import BrokenPack

                self.whole.broken([BrokenPack(pack.reason, pack.name, None, None, pack.distribution)], in_document_only=True)

    def add_status_after(self, runner: MigrationRunner) -> None:
        """Add the states after a change, if a document is asked for."""
        if not self.whole.as_json:
            return
        from contextlib import suppress

        with suppress(errors.HomieMigrationsError):  # what stopped the change is reported already
            self.add_status(runner.status())

    def about_to_change(self, path: str, origin: str, *, creates: bool) -> None:
        """Prepare the line that `announce` writes: which file is changed, where its path came from, whether it is new."""
        if not os.path.exists(path):
            found = "a new database" if creates else "there is no database yet"
        else:
            found = "an existing database" if os.path.getsize(path) else "an empty database"
        self._heading = f"{path} (from {origin}): {found}"

    def announce(self) -> None:
        """Report which file is about to be changed, once; not before it is known that it can be."""
        if self._heading:
            self.write(self._heading)
        self._heading = ""

    def changed(self, verb: str, refs: list[str], runner: MigrationRunner, *, completed: bool) -> None:
        """Report what was done; `completed` if no error ended it."""
        self.add(
            {
                verb: refs,
                "snapshot": str(runner.snapshot) if runner.snapshot else None,
                "left_out": [{"pack": each.pack, "reason": each.reason} for each in runner.left_out],
            }
        )
        if completed:
            self.announce()
            if not refs:
                self.write(f"  nothing to {_INFINITIVES[verb]}")
            self.whole.left_out(runner.left_out)
        self.snapshot_before(runner)

    def snapshot_before(self, runner: MigrationRunner) -> None:
        """Report the snapshot that was taken before the change, if there is one."""
        if runner.snapshot:
            self.write(f"  snapshot of the state before: {runner.snapshot}")
