"""What the commands of `fleet` add to the document."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


class FleetFailure(TypedDict):
    """A database on which the command failed, with the fields of its line in a report."""

    path: str
    state: str
    error_code: str | None
    message: str | None
    seconds: float
    applied: NotRequired[list[str]]
    """The migrations that were applied before the failure; only of `fleet apply`."""
    packs: NotRequired[list[str]]
    """Empty; only of `fleet status`."""
    findings: NotRequired[list[str]]
    """Empty; only of `fleet validate`."""


class FleetSummary(TypedDict):
    """A whole fleet, counted. Each database is a line of the report."""

    total: int
    """How many databases are done."""
    states: dict[str, int]
    """How many databases are in each state."""
    first_failures: list[FleetFailure]
    """The first five."""
    seconds: float
    stopped_by: Literal["signal", "canary", "max_failures", "error"] | None
    """What ended the run before its last database."""
    report: str | None
    """The path of the report."""


class FleetFields(TypedDict):
    """What `fleet apply`, `fleet status` and `fleet validate` add to the document."""

    fleet: FleetSummary


class _ReportLine(TypedDict):
    path: str
    error_code: str | None
    """Stable: programs compare it, never the words of the message."""
    message: str | None
    seconds: float


class AppliedLine(_ReportLine):
    """One database in the report of `fleet apply`."""

    state: Literal["applied", "up_to_date", "failed"]
    applied: list[str]
    """References of the migrations that were applied, in order; also those before a failure."""


class ReportedPack(TypedDict):
    """How far one pack is in one database."""

    name: str
    state: str
    current: int
    """0 where nothing is recorded."""
    latest: int


class StatusLine(_ReportLine):
    """One database in the report of `fleet status`."""

    state: str
    """The state of the database, or `failed` if it can't be read."""
    packs: list[ReportedPack]


class ReportedFinding(TypedDict):
    """One finding of `fleet validate`."""

    code: str
    subject: str
    message: str


class ValidatedLine(_ReportLine):
    """One database in the report of `fleet validate`."""

    state: Literal["valid", "findings", "failed"]
    findings: list[ReportedFinding]


REPORT_LINES = (AppliedLine, StatusLine, ValidatedLine)
