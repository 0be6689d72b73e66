"""
What a run is doing, reported while it runs: each finished step as a line, and what takes longer than a second as a bar.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time

from homie_migrations_core.cli.escaping import escape_line
from homie_migrations_core.cli.output import is_terminal
from homie_migrations_core.packs.hookspecs import hookimpl
from homie_migrations_core.progress import WAITING, hearing_phases

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from homie_migrations_core.cli.report import DatabaseReport, Report
    from homie_migrations_core.model import Run, Step

SHOWN_AFTER = 1.0
"""Seconds after which a task is shown on a terminal."""


class RunProgress:
    """Reports a run as its observer. Of a rehearsal, finished steps are not reported."""

    def __init__(self, report: DatabaseReport, *, rehearsal: bool = False) -> None:
        self._report, self.rehearsal = report, rehearsal
        self._bar = _ProgressBar(shown=report.whole.shows_bars and is_terminal(sys.stderr))
        self.finished: list[str] = []
        """The refs of the finished steps, in order."""

    def phase(self, what: str, done: int | None = None, total: int | None = None) -> None:
        """Show what the runner itself is doing, such as taking a snapshot. Waiting is reported at once, in a pipe too."""
        if self._bar.task != what:
            self._bar.begin(what)
            if what.startswith(WAITING):
                self._report.note(f"  {what}")
        self._bar.done, self._bar.total = done, total

    def note(self, text: str) -> None:
        """Report what somebody who waits should know, in a pipe too."""
        self._report.note(f"  {text}")

    def close(self) -> None:
        """Remove the bar."""
        self._bar.end()

    @hookimpl
    def homie_run_started(self, run: Run) -> None:
        """Report which file is about to be changed."""
        if not self.rehearsal:
            self._report.announce()

    @hookimpl
    def homie_step_started(self, run: Run, step: Step) -> None:
        """Show the step."""
        self._bar.begin(f"{'applying' if step.direction == 'apply' else 'rolling back'} {step.ref}")

    @hookimpl
    def homie_step_progress(self, run: Run, step: Step, done: int, total: int | None) -> None:
        """Show how far the step is."""
        self._bar.done, self._bar.total = done, total

    @hookimpl
    def homie_step_finished(self, run: Run, step: Step) -> None:
        """Report the step: it is committed."""
        self._bar.end()
        if not self.rehearsal:
            self.finished.append(step.ref)
            self._report.write(f"  {'applied' if step.direction == 'apply' else 'rolled back'} {step.ref}")

    @hookimpl
    def homie_run_finished(self, run: Run) -> None:
        """Remove the bar."""
        self._bar.end()


@contextlib.contextmanager
def phases_shown(report: Report) -> Iterator[None]:
    """Show the phases of work that is about no database of anybody's, inside the context."""
    bar = _ProgressBar(shown=report.shows_bars and is_terminal(sys.stderr))

    def phase(what: str, done: int | None = None, total: int | None = None) -> None:
        if bar.task != what:
            bar.begin(what)
        bar.done, bar.total = done, total

    try:
        with hearing_phases(phase):
            yield
    finally:
        bar.end()


class _ProgressBar:
    """A task on the terminal's stderr once it has taken a second: what it is, since when, how far. Removed at its end."""

    def __init__(self, *, shown: bool) -> None:
        self._shown, self.task = shown, ""
        self.done: int | None = None
        self.total: int | None = None
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, task: str) -> None:
        self.end()
        self.task = task
        if self._shown:
            self._over = threading.Event()
            self._thread = threading.Thread(target=self._show, args=(task, self._over), daemon=True)
            self._thread.start()

    def end(self) -> None:
        self.task, self.done, self.total = "", None, None
        if self._thread is not None:
            self._over.set()
            self._thread.join()
            self._thread = None

    def _show(self, task_name: str, over: threading.Event) -> None:
        began, since = time.monotonic(), time.strftime("%H:%M:%S UTC", time.gmtime())
        if over.wait(SHOWN_AFTER):
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("  {task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[far]}"),
            TimeElapsedColumn(),
        )
        bar = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
        with contextlib.suppress(OSError), bar:  # a terminal that was closed must not stop the run
            task = bar.add_task(f"{escape_line(task_name)} since {since}", total=None, far="")
            bar.tasks[0].start_time = began
            while not over.wait(0.2):
                done, total = self.done, self.total
                far = "" if done is None else f"{done / total:.0%}" if total else f"{done} done"
                bar.update(task, completed=done or 0, total=total, far=far)
