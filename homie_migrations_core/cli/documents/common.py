"""
The document that every command prints. On the fast path of `status`, so the other documents are apart.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

from homie_migrations_core.model import DatabaseStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from homie_migrations_core.broken import BrokenPack


class Problem(TypedDict):
    """An error: a stable code, and the message for people."""

    code: str
    message: str


class BrokenEntryPoint(TypedDict):
    """An entry point or pack that can't be used."""

    entry_point: str | None
    distribution: str | None
    reason: str


class MigrationState(TypedDict):
    """One migration of a pack in a database. `applied_at` is in UTC."""

    ref: str
    version: int
    name: str
    state: str
    applied_at: str | None
    problem: str | None


class PackState(TypedDict):
    """One pack in a database."""

    name: str
    distribution: str | None
    distribution_version: str | None
    state: str
    current_version: int
    latest_version: int
    reason: str | None
    migrations: list[MigrationState]


class Database(TypedDict):
    """One database."""

    path: str
    exists: bool
    state: str | None
    packs: list[PackState]
    error: NotRequired[Problem]


class Document(TypedDict):
    """The document of every command. `error` is the first error."""

    databases: list[Database]
    broken: list[BrokenEntryPoint]
    error: Problem | None


def broken_entry_point(found: BrokenPack) -> BrokenEntryPoint:
    """Return a broken entry point or pack as JSON has it."""
    return {"entry_point": found.entry_point or found.pack, "distribution": found.distribution, "reason": found.reason}


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
