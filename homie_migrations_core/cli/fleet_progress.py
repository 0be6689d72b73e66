"""
The progress of a fleet on a terminal: a bar with how many databases are done, how many failed, the rate and the time left.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Protocol, Self

from homie_migrations_core.cli.output import is_terminal

_SECONDS_BEFORE_IT_SHOWS = 1.0
_VERBS = {"apply": "migrating", "status": "reading", "validate": "validating"}


class Count(Protocol):
    """What a bar shows."""

    @property
    def total(self) -> int:
        """How many databases are done."""

    @property
    def failed(self) -> int:
        """How many failed."""


class FleetProgress:
    """A bar that appears after a second, on stderr and only on a terminal. A context manager."""

    def __init__(self, kind: str, total: int | None, *, shown: bool) -> None:
        self._kind, self._total = kind, total
        self._shown = shown and is_terminal(sys.stderr)
        self._began = time.monotonic()
        self._bar: Any = None

    def show(self, count: Count) -> None:
        """Show how far the fleet is."""
        if not self._shown or time.monotonic() - self._began < _SECONDS_BEFORE_IT_SHOWS:
            return
        if self._bar is None:
            self._bar = self._started()
        rate = count.total / (time.monotonic() - self._began)
        words = f"{count.total:,} done, {count.failed:,} failed, {rate:,.0f} a second"
        self._bar.update(self._bar.task_ids[0], completed=count.total, words=words)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _started(self) -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[words]}"), TimeRemainingColumn())
        bar = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False, redirect_stderr=False)
        bar.add_task(_VERBS[self._kind], total=self._total, words="")
        bar.start()
        return bar

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, where: TracebackType | None) -> None:
        self.close()
