"""
Frozen values that the rooms hand to each other. They know names and facts, and do nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

State = Literal[
    "applied",
    "pending",
    "late",
    "edited",
    "replaced",
    "ahead",
    "missing",
    "orphaned",
    "broken",
    "interrupted",
    "foreign",
    "up_to_date",
    "new",
]
Direction = Literal["apply", "rollback"]


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration as its file shows it, without having been run."""

    pack: str
    version: int
    name: str
    path: Path
    checksum: str | None = None
    requires: tuple[str, ...] = ()
    reversible: bool = False
    problem: str | None = None
    """Why the file can't be used. A stop while it is pending, a finding once it is applied."""
    content: bytes = field(default=b"", repr=False, compare=False)
    """What was read, and what will be run: the code that was checked is the code that runs."""
    rollback_path: Path | None = None
    rollback_content: bytes = field(default=b"", repr=False, compare=False)

    @property
    def ref(self) -> str:
        """Its full name, `pack:001_words`, accepted by every command."""
        return f"{self.pack}:{self.name}"


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack whose files were found: what `MigrationPack` promised."""

    name: str
    database: str
    migrations: tuple[Migration, ...]
    distribution: str | None = None
    distribution_version: str | None = None
    package: str | None = None
    """The dotted name that relative imports in the migrations start from, if there is one."""

    @property
    def latest(self) -> Migration:
        """The migration with the highest version."""
        return self.migrations[-1]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A healthy pack that a run leaves alone, and why."""

    pack: str
    reasons: tuple[str, ...]

    @property
    def reason(self) -> str:
        """Every reason, on one line."""
        return "; ".join(self.reasons)

    @property
    def label(self) -> str:
        """How a message names it."""
        return self.pack


@dataclass(frozen=True, slots=True)
class Record:
    """One row of `schema_migrations`. `pack` is None in a table of the earlier shape."""

    version: int
    name: str
    pack: str | None
    applied_at: str | None = None
    checksum: str | None = None
    duration_ms: int | None = None
    pack_version: str | None = None
    sequence: int = field(default=0, compare=False, repr=False)
    """Rises in the order in which the rows were written, whatever the clock said."""

    @property
    def ref(self) -> str:
        """The full name under which it was recorded."""
        return f"{self.pack}:{self.name}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy of a database, as its file name tells."""

    path: Path
    taken_at: datetime
    """In UTC."""
    size: int
    """In bytes."""
    applied: str
    """The newest version of each pack at that time, `file_organizer-1`; `untracked` for none."""
    kind: Literal["automatic", "by_hand", "begun"]
    """`begun`: a run took it and was killed before it changed anything."""


@dataclass(frozen=True, slots=True)
class Step:
    """One migration in one direction."""

    migration: Migration
    direction: Direction = "apply"

    @property
    def ref(self) -> str:
        """The migration's ref."""
        return self.migration.ref


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps that are about to run, in order, and what was left out of it."""

    steps: tuple[Step, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    edited: tuple[str, ...] = ()
    """Refs of applied migrations whose code differs today: a warning, never a stop."""


@dataclass(frozen=True, slots=True)
class RowCount:
    """The rows of one table; None where there is no such table."""

    table: str
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class Restored:
    """A snapshot that was put back, or would be."""

    path: Path
    source: Path
    pending_again: tuple[str, ...] = ()
    """Refs that were recorded before and are not any more."""
    applied_again: tuple[str, ...] = ()
    """Refs that were not recorded before and are now."""
    rows: tuple[RowCount, ...] = ()
    """Of the tables whose number of rows differs."""
    snapshot: Path | None = None
    """The snapshot of the state before."""


@dataclass(frozen=True, slots=True)
class Repair:
    """One record that is, or would be, changed; `after` is None where it is removed."""

    before: Record
    after: Record | None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be, and what to do about it."""

    code: str
    """Stable; programs ask for it."""
    subject: str
    """What it is about: a ref, or a table, index, view or trigger."""
    pack: str | None
    message: str
    """What was found, as one sentence."""
    advice: str
    accepted: str | None = None
    """The reason that the author gave in the file for leaving it so. Then it is told, and does not count."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run on one database, as observers see it."""

    path: Path
    plan: Plan


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """One migration, shipped or recorded, and where it stands."""

    ref: str
    version: int
    name: str
    state: State
    applied_at: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class PackStatus:
    """One pack in one database. `current_version` is 0 where nothing is recorded."""

    name: str
    state: State
    current_version: int
    latest_version: int
    migrations: tuple[MigrationStatus, ...] = ()
    distribution: str | None = None
    distribution_version: str | None = None
    reasons: tuple[str, ...] = ()
    """Why the pack can't be applied, if so."""

    @property
    def reason(self) -> str | None:
        """Every reason, on one line."""
        return "; ".join(self.reasons) or None


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """One database: its packs by name, and the state that matters most."""

    path: Path
    exists: bool
    state: State
    packs: Mapping[str, PackStatus] = field(default_factory=dict)
    records: tuple[Record, ...] = ()
