"""
The document that every command prints. The fields that single commands add are apart.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

from homie_migrations_core.model import DatabaseStatus
from homie_migrations_core.vocabulary import State


class Problem(TypedDict):
    """An error."""

    code: str
    """Stable: programs compare it, never the words of the message."""
    message: str
    """What was refused or failed, what was found, and what to do next."""


class BrokenEntryPoint(TypedDict):
    """An entry point or pack that can't be used."""

    entry_point: str | None
    """The name of the entry point, or of the pack."""
    distribution: str | None
    reason: str


class MigrationState(TypedDict):
    """One migration of a pack in a database."""

    ref: str
    """The full name, `pack:001_words`, which every command accepts."""
    version: int
    name: str
    state: State
    applied_at: str | None
    """The time in UTC, as it is stored: `2026-01-05 09:30:00`."""
    problem: str | None
    """Why the file can't be used, if so."""


class PackState(TypedDict):
    """One pack in a database."""

    name: str
    distribution: str | None
    """The distribution that ships it; null for a folder."""
    distribution_version: str | None
    state: State
    current_version: int
    """The highest version that is recorded; 0 for none."""
    latest_version: int
    reason: str | None
    """Why it can't be applied, if so."""
    migrations: list[MigrationState]


class Database(TypedDict):
    """One database."""

    path: str
    exists: bool
    state: State | None
    """The state that matters most; null if an error came before it was known."""
    packs: list[PackState]
    error: NotRequired[Problem]
    """What ended the work on this database, if anything did."""


class Document(TypedDict):
    """The document that every command prints."""

    databases: list[Database]
    """In the order in which the command worked on them."""
    broken: list[BrokenEntryPoint]
    error: Problem | None
    """The first error; null if there was none."""


def pack_states(found: DatabaseStatus) -> list[PackState]:
    """Return the packs of a database as JSON has them."""
    return [
        {
            "name": pack.name,
            "distribution": pack.distribution,
            "distribution_version": pack.distribution_version,
            "state": pack.state,
            "current_version": pack.current_version,
            "latest_version": pack.latest_version,
            "reason": pack.reason,
            "migrations": [
                {
                    "ref": each.ref,
                    "version": each.version,
                    "name": each.name,
                    "state": each.state,
                    "applied_at": each.applied_at,
                    "problem": each.problem,
                }
                for each in pack.migrations
            ],
        }
        for pack in found.packs.values()
    ]
