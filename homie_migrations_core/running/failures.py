"""
Put into words what made a step fail: what was found, the line of the author's file, and what to do next.

Which error stops a run, and whether a step was undone, is decided by others.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path

from homie_migrations_core.errors import MigrationFailed
from homie_migrations_core.model import Step
from homie_migrations_core.packs.files import UnusablePack
from homie_migrations_core.sqlite.guard import GuardedConnection
from homie_migrations_core.sqlite.guarded_transaction import Refused
from homie_migrations_core.sqlite.script import Script
from homie_migrations_core.sqlite.sqlite_errors import is_busy


class StepFailures:
    """Makes the errors of the steps of one run. `named` is the path in messages, `committed` the steps before."""

    def __init__(self, named: str, committed: Sequence[Step]) -> None:
        self._named, self._committed = named, committed

    def failed(
        self,
        step: Step,
        found: str,
        advice: str | None = None,
        kind: type[MigrationFailed] = MigrationFailed,
        *,
        line: int | None = None,
    ) -> MigrationFailed:
        """Return the error for a step; without an advice, it is the one that fits what was found."""
        error = kind(self._named, step.ref, found, advice or self._advice_for(found), direction=step.direction)
        error.file, error.line = str(file_of(step)), line
        return error

    def from_exception(
        self, connection: GuardedConnection, step: Step, error: BaseException, script: Script | None
    ) -> MigrationFailed:
        """Return the error for an exception that the author's code, or a statement of the script, has raised."""
        found = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        line, place = _place_of(error, step, script)
        if connection.ended is not None:
            found = connection.ended
            if connection.line:
                line, place = connection.line, place_at(step, connection.line)
        elif connection.refusal is not None and (isinstance(error, Refused) or "not authorized" in str(error)):
            found = connection.refusal
        elif isinstance(error, UnusablePack):
            found, line, place = str(error), None, ""
        advice = None
        if _waited_for_own_lock(error):
            advice = "A second connection to the same file waits for the migration's own lock: use the `conn` that it is given."
        elif getattr(error, "sqlite_errorname", "") == "SQLITE_IOERR_GETTEMPPATH":  # its text is only "disk I/O error"
            advice = "SQLite found no writable folder for temporary files: name one in the environment variable SQLITE_TMPDIR."
        return self.failed(step, found + place, advice or self._advice_for(found), line=line)

    def _advice_for(self, found: str) -> str:
        if "disk image is malformed" in found:
            return "SQLite finds the file damaged: check the disk, and restore a snapshot."
        if "disk" in found and ("I/O error" in found or "full" in found):
            return "The migration is not at fault: check the disk, then run it again."
        return f"Correct the migration and run it again{'; what was applied before it stays' if self._committed else ''}."


def file_of(step: Step) -> Path:
    """Return the file whose code a step runs."""
    migration = step.migration
    return migration.rollback_path if step.direction == "rollback" and migration.rollback_path else migration.path


def runs_script(step: Step) -> bool:
    """Return whether a step runs an SQL script, so that no Python code of its author has the connection."""
    return str(file_of(step)).endswith(".sql")


def place_at(step: Step, line: int | None) -> str:
    """Return the file of a step, and the line in it if it is known, in parentheses."""
    return f" ({file_of(step).name}, line {line})" if line else f" ({file_of(step).name})"


def _place_of(error: BaseException, step: Step, script: Script | None) -> tuple[int | None, str]:
    """Return where in the author's file an exception came from: its line if that is known, and the place for messages."""
    if script is not None:
        return script.line, place_at(step, script.line)
    file = str(step.migration.path)
    if isinstance(error, SyntaxError) and error.filename == file:
        return error.lineno, place_at(step, error.lineno)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    if not frames:
        return None, place_at(step, None)
    code = f": {frames[-1].line}" if frames[-1].line else ""
    return frames[-1].lineno, f" ({step.migration.path.name}, line {frames[-1].lineno}{code})"


def _waited_for_own_lock(error: BaseException | None) -> bool:
    """Return whether a connection of the author's own was kept waiting, whatever exception the author's code made of it."""
    while error is not None:
        if is_busy(error) and "in progress" not in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def is_about_the_file(error: BaseException) -> bool:
    """Return whether SQLite says that the file itself can't be used: read-only, damaged, not to be opened, no database."""
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF in (8, 11, 14, 26)
