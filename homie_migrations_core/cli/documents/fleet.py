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
