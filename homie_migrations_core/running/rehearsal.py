"""
Rehearse a plan: carry it out on a throw-away copy of the real database, and return what happened.

It is the same `Execution` with the same checks as a run. The real file is only read.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from homie_migrations_core.errors import MigrationFailed
from homie_migrations_core.model import Plan
from homie_migrations_core.running.losses import Loss as Loss
from homie_migrations_core.running.losses import find_losses
from homie_migrations_core.running.step_recorder import RehearsedStep as RehearsedStep
from homie_migrations_core.running.step_recorder import StepRecorder
from homie_migrations_core.sqlite import scratch
from homie_migrations_core.sqlite.schema_comparison import Difference, compare
from homie_migrations_core.stopping import StopRequest

if TYPE_CHECKING:
    from homie_migrations_core.running.execution import Execution, Watcher
    from homie_migrations_core.sqlite.schema_objects import Schema


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a run would do to a database, seen on a copy that is gone."""

    path: Path
    plan: Plan
    steps: tuple[RehearsedStep, ...] = ()
    error: MigrationFailed | None = None
    """The failure of the first step that would fail; `steps` are those before it."""
    schema: tuple[Difference, ...] = ()
    """From the beginning to the end of the plan."""
    losses: tuple[Loss, ...] = ()
    findings: tuple[str, ...] = ()
    """What is wrong with the database after the plan, although no step is to blame for it."""
    size: int = 0
    """Bytes of the database before."""
    disk_needed: int = 0
    """Bytes: the snapshot, the largest journal and the growth; not SQLite's own temporary files."""
    seconds_to_copy: float = 0.0
    schema_before: Schema = field(default_factory=dict)
    schema_after: Schema = field(default_factory=dict)
    """After the steps in `steps`."""

    @property
    def succeeded(self) -> bool:
        """Whether the whole plan went through."""
        return self.error is None


def rehearse(
    path: str,
    plan: Plan,
    execution: Callable[[str, Watcher], Execution],
    *,
    backup: bool,
    lock_timeout: float,
    stop: StopRequest,
) -> Rehearsal:
    """
    Carry out the plan on a copy of the database at `path`, by what `execution` makes for a copy and a watcher.

    The copy is removed afterwards.

    Raises:
        RehearsalFailed: The database could not be copied.
        HomieMigrationsError: What stops a run, except a migration that fails: that is part of the result.
    """
    if not plan.steps:
        return Rehearsal(Path(path), plan)
    started = time.monotonic()
    with scratch.scratch_copy(path, lock_timeout=lock_timeout, stop=stop) as copy:
        copied = time.monotonic() - started
        size = os.path.getsize(copy) if os.path.exists(path) and os.path.getsize(path) else 0
        recorder = StepRecorder(copy)
        failure: MigrationFailed | None = None
        with scratch.off_limits(path):
            try:
                execution(copy, recorder).carry_out()
            except MigrationFailed as error:
                failure = error
        damage, problems = scratch.examine(copy, stop)
        grown = max(0, os.path.getsize(copy) - size)
        losses = find_losses(path, copy, recorder.history, lock_timeout=lock_timeout)
    return Rehearsal(
        Path(path),
        plan,
        tuple(recorder.steps),
        failure,
        tuple(compare(recorder.history.before.schema, recorder.history.last.schema)),
        tuple(losses),
        (*([damage] if damage else []), *(each.sentence for each in problems.listed())),
        size,
        (size if backup else 0) + recorder.largest_journal + grown,
        copied,
        recorder.history.before.schema,
        recorder.history.last.schema,
    )
