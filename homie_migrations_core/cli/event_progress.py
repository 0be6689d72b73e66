"""
What a run is doing, as the events of `--progress json`.
"""

from __future__ import annotations

import time

from homie_migrations_core.cli.documents.changes import PlannedStep
from homie_migrations_core.cli.error_layout import error_code, error_message
from homie_migrations_core.cli.event_lines import EventLines
from homie_migrations_core.cli.progress import RunProgress
from homie_migrations_core.cli.report import DatabaseReport
from homie_migrations_core.model import Run, Step
from homie_migrations_core.packs.hookspecs import hookimpl
from homie_migrations_core.progress import COPYING, RESTORING, SNAPSHOT, WAITING
from homie_migrations_core.stopping import ends_the_run

_PHASES = {COPYING: "copy", SNAPSHOT: "snapshot", RESTORING: "restore"}
_SECONDS_BETWEEN = 0.1


class EventProgress(RunProgress):
    """Reports a run like `RunProgress`, and each event of it as a line."""

    def __init__(self, report: DatabaseReport, events: EventLines, *, rehearsal: bool) -> None:
        super().__init__(report, rehearsal=rehearsal)
        self._path, self._events = str(report.path), events
        self._told, self._told_at = "", 0.0
        self._committed: list[PlannedStep] = []

    def phase(self, what: str, done: int | None = None, total: int | None = None) -> None:
        """Report what the runner itself is doing: at once, then a few times a second, and once it is done."""
        now = time.monotonic()
        if what == self._told and done != total and now - self._told_at < _SECONDS_BETWEEN:
            return
        self._told, self._told_at = what, now
        phase = "wait" if what.startswith(WAITING) else _PHASES[what]
        self._events.emit("phase", path=self._path, phase=phase, what=what, done=done, total=total)

    @hookimpl
    def homie_run_started(self, run: Run) -> None:
        """Report the plan."""
        super().homie_run_started(run)
        self._committed = []
        self._tell("run_started", steps=[_planned(step) for step in run.plan.steps])

    @hookimpl
    def homie_step_started(self, run: Run, step: Step) -> None:
        """Report the step."""
        self._tell("step_started", **_planned(step))

    @hookimpl
    def homie_step_progress(self, run: Run, step: Step, done: int, total: int | None) -> None:
        """Report how far the step is."""
        self._tell("step_progress", **_planned(step), done=done, total=total)

    @hookimpl
    def homie_step_finished(self, run: Run, step: Step) -> None:
        """Report the step: it is committed."""
        super().homie_step_finished(run, step)
        self._committed.append(_planned(step))
        self._tell("step_finished", **_planned(step))

    @hookimpl
    def homie_step_failed(self, run: Run, step: Step, error: BaseException) -> None:
        """Report that the step failed."""
        code, message = ("run_stopped", "Stopped.") if ends_the_run(error) else (error_code(error), error_message(error))
        self._tell("step_failed", **_planned(step), code=code, message=message)

    @hookimpl
    def homie_run_finished(self, run: Run) -> None:
        """Report the end of the run."""
        self._tell("run_finished", finished=self._committed)

    def _tell(self, event: str, **facts: object) -> None:
        self._events.emit(event, path=self._path, rehearsal=self.rehearsal, **facts)


def _planned(step: Step) -> PlannedStep:
    return {"ref": step.ref, "direction": step.direction}
