"""
How a command about a fleet ended: what was heard of its databases, counted, and how that is reported.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

from homie_migrations_core import errors
from homie_migrations_core.cli.wording import counted, seconds_in_words, state_in_words
from homie_migrations_core.fleet.outcomes import FleetStatus, Outcome, Result
from homie_migrations_core.fleet.reports import as_json

if TYPE_CHECKING:
    from homie_migrations_core.cli.report import Report

FAILURES_SHOWN = 5
_EXIT_CODES: dict[str, int] = {each.code: each.exit_code for each in (getattr(errors, name) for name in errors.__all__)}
_PENDING, _FINDINGS = 3, 4

StoppedBy = Literal["signal", "canary", "max_failures", "error"] | None


class FleetCount:
    """The databases that are done, by state, and the first failures. Does not grow with their number."""

    def __init__(self, *, check: bool = False) -> None:
        self.states: dict[str, int] = {}
        self.first_failures: list[Result] = []
        self.exit_codes: set[int] = set()
        self._check, self._began = check, time.monotonic()

    @property
    def total(self) -> int:
        """How many databases are done."""
        return sum(self.states.values())

    @property
    def failed(self) -> int:
        """How many failed."""
        return self.states.get("failed", 0)

    @property
    def seconds(self) -> float:
        """The time since the beginning."""
        return time.monotonic() - self._began

    def add(self, result: Result) -> None:
        """Count one database."""
        self.states[result.state] = self.states.get(result.state, 0) + 1
        if result.state == "findings":
            self.exit_codes.add(_FINDINGS)
        elif isinstance(result, FleetStatus) and self._check:
            self.exit_codes |= _exit_codes_of_check(result)
        if result.error_code is not None:
            self.exit_codes.add(_EXIT_CODES.get(result.error_code, 1))
            if len(self.first_failures) < FAILURES_SHOWN:
                self.first_failures.append(result)

    def report(self, report: Report, *, known: int | None, stopped_by: StoppedBy, lines: str | None) -> None:
        """Report the sums, the first failures, and where the line of each database is."""
        for code in self.exit_codes:
            report.exit_with(code)
        states = dict(sorted(self.states.items()))
        document: dict[str, Any] = {
            "total": self.total,
            "states": states,
            "first_failures": [as_json(each) for each in self.first_failures],
            "seconds": round(self.seconds, 3),
            "stopped_by": stopped_by,
            "report": lines,
        }
        report.add({"fleet": document})
        report.write(self._sums(known if stopped_by else None))
        if stopped_by is not None:
            report.note(_WHY[stopped_by])
        for each in self.first_failures:
            report.note(f"  {each.path}: {each.message}")
        if (more := self.failed - len(self.first_failures)) > 0:
            where = f"see {lines}" if lines else "--report FILE writes a line for each"
            report.note(f"  and {counted(more, 'more failure')} ({where})")
        if lines is not None:
            report.write(f"report: {lines}")

    def _sums(self, known: int | None) -> str:
        of = f" of {known:,}" if known is not None else ""
        databases = f"{self.total:,}{of} databases" if known is not None else counted(self.total, "database")
        # "1 findings" would count the findings, and in the wrong number.
        words = {state: "with findings" if state == "findings" else state_in_words(state) for state in self.states}
        states = ", ".join(f"{number:,} {words[state]}" for state, number in sorted(self.states.items()))
        rate = f" ({self.total / self.seconds:,.0f} a second)" if self.total and self.seconds >= 1 else ""
        return f"{databases}{': ' if states else ''}{states}, in {seconds_in_words(self.seconds)}{rate}"


_WHY = {
    "signal": "Stopped on request: no further database was begun. Run the same command again to continue.",
    "canary": "A canary failed: no further database was begun.",
    "max_failures": "More databases failed than --max-failures allows: no further database was begun.",
    "error": "The run ended early. Run the same command again to continue.",
}


def result_in_one_line(result: Result) -> str:
    """Return what is said of one database with -v."""
    applied = f" ({', '.join(result.applied)})" if isinstance(result, Outcome) and result.applied else ""
    return f"{result.path}: {state_in_words(result.state)}{applied}{f': {result.message}' if result.message else ''}"


def _exit_codes_of_check(found: FleetStatus) -> set[int]:
    """Return the exit codes of `status --check` for one database."""
    states = {each.state for each in found.packs}
    codes = set()
    if states & {"broken", "ahead", "replaced", "late"}:
        codes.add(1)
    if found.state in ("new", "interrupted") or "pending" in states:
        codes.add(_PENDING)
    return codes
