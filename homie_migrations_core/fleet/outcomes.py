"""
What is said of each database of a fleet: plain, frozen values that any executor can carry between processes and machines.
"""

from __future__ import annotations

from typing import Literal, NamedTuple


class Outcome(NamedTuple):
    """What a run did to one database."""

    path: str
    state: Literal["applied", "up_to_date", "failed"]
    applied: tuple[str, ...] = ()
    """Refs of the migrations that were applied, in order; also those before a failure."""
    error_code: str | None = None
    """The stable code of the error, or None."""
    message: str | None = None
    """The error's sentence, or None."""
    seconds: float = 0.0


class PackVersions(NamedTuple):
    """How far one pack is in one database. `current` is 0 where nothing is recorded."""

    name: str
    state: str
    current: int
    latest: int


class FleetStatus(NamedTuple):
    """How far one database is."""

    path: str
    state: str
    """A word of the glossary, `up_to_date`, `new`, or `failed` where the file can't be read."""
    packs: tuple[PackVersions, ...] = ()
    error_code: str | None = None
    message: str | None = None
    seconds: float = 0.0


class FleetFinding(NamedTuple):
    """One finding of `validate`."""

    code: str
    subject: str
    message: str


class Validated(NamedTuple):
    """What `validate` says of one database."""

    path: str
    state: Literal["valid", "findings", "failed"]
    findings: tuple[FleetFinding, ...] = ()
    error_code: str | None = None
    message: str | None = None
    seconds: float = 0.0


Result = Outcome | FleetStatus | Validated
