"""
Look into the file for what a failed step left there, where something other than the runner ended its transaction.

SQLite ends a transaction by itself when the disk is full, for example, and undoes it all. An author's code that removes the
guard can end it too, and commit. Only the file tells the one from the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from homie_migrations_core.errors import CommitUnconfirmed, HomieMigrationsError, MigrationFailed
from homie_migrations_core.model import Step
from homie_migrations_core.running.failures import place_at
from homie_migrations_core.sqlite import tracking
from homie_migrations_core.sqlite.commits import CommitDetector
from homie_migrations_core.sqlite.reader import read
from homie_migrations_core.sqlite.writer import CommitFailed


class Leftovers(NamedTuple):
    """What a failed step may have left in the file."""

    failure: str
    """Why the step failed."""
    seen: list[str]
    """What the file shows, as clauses."""
    certain: bool
    """Whether it is the step's for sure."""


def find_leftovers(
    path: str, step: Step, error: BaseException, before: tracking.Tracking, commits: CommitDetector, *, lock_timeout: float
) -> Leftovers | None:
    """
    Return what a step may have left in the file, or None if it is certain that nothing is left.

    `before` is what the file recorded when the transaction began, and `commits` was marked then. No transaction is open any more.
    """
    if not commits.saw_commit(lock_timeout=lock_timeout):
        return None
    failure = error.found if isinstance(error, MigrationFailed) else f"{type(error).__name__}: {error}".removesuffix(": ")
    try:
        now = read(path, tracking.read_tracking, lock_timeout=lock_timeout)
    except (HomieMigrationsError, tracking.ForeignTable) as unreadable:
        return Leftovers(failure, [f"the file can't be read again ({unreadable})"], certain=False)
    if changes := _changes(before, now):
        return Leftovers(f"it ended the runner's transaction and committed it{place_at(step, None)}", changes, certain=True)
    seen = "something was committed meanwhile that left no record, by the migration or by another program"
    return Leftovers(failure, [seen], certain=False)


def _changes(before: tracking.Tracking, now: tracking.Tracking) -> list[str]:
    """Return how the records differ, as clauses. Rows of the earlier shape have no pack, so names have to do for those."""
    named = before.shape == "earlier"
    old = {(None if named else each.pack, each.version, each.name): each.ref for each in before.records}
    new = {(None if named else each.pack, each.version, each.name): each.ref for each in now.records}
    return [f"{ref} is recorded as applied" for key, ref in new.items() if key not in old] + [
        f"the record of {ref} is gone" for key, ref in old.items() if key not in new
    ]


def advice_after(snapshot: Path | None, *, was_empty: bool) -> str:
    """Return what to do about a step that was not undone."""
    if snapshot is not None:
        return f"Restore the state before the run with `homie migrations restore {snapshot}`, then correct the migration."
    if was_empty:
        return "The database was empty before the run: remove the file, then correct the migration."
    return "The run took no snapshot: repair by hand what `homie migrations validate` finds, then correct the migration."


def took_effect(path: str, batch: Sequence[Step], failure: CommitFailed, *, lock_timeout: float) -> bool:
    """
    Return whether a COMMIT that raised an error took effect all the same, as the records in the file say.

    Raises:
        CommitUnconfirmed: The file can't be read, or its records can't tell.
    """
    refs = [step.ref for step in batch]
    step = next((each for each in reversed(batch) if refs.count(each.ref) == 1), None)
    if step is None:  # a redo: its record is there either way
        raise CommitUnconfirmed(path, refs[-1], str(failure)) from failure

    def look(connection: Any) -> bool:
        return tracking.is_recorded(connection, step.migration)

    try:
        recorded = read(path, look, lock_timeout=lock_timeout)
    except HomieMigrationsError as error:
        raise CommitUnconfirmed(path, step.ref, str(failure)) from error
    return recorded == (step.direction == "apply")
