"""
Frozen values that the rooms hand to each other. They know names and facts, and do nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from homie_migrations_core.errors import PackInvalid
from homie_migrations_core.naming import default_database, is_pack_name

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
class MigrationPack:
    """
    A named, ordered set of migrations, as a distribution registers it or a program hands it over.

    `migrations` is the dotted name of a package, or the path of a folder; nothing is read when the value is
    made. `database` is a bare file name; by default it is `homie_<name>.db`.

    Raises:
        PackInvalid: The name, the database or the place can't be one.
    """

    name: str
    migrations: str | Path
    database: str = ""

    def __post_init__(self) -> None:
        name, migrations, database = (
            getattr(self, each) for each in ("name", "migrations", "database")
        )  # a caller may pass anything
        if not (isinstance(name, str) and is_pack_name(name)):
            raise PackInvalid(
                f"its name is {self.name!r}", "A name has lower-case letters, digits and _, and begins with a letter."
            )
        if not isinstance(migrations, str | Path) or not str(migrations):
            raise PackInvalid(
                f"the migrations of {self.name} are {self.migrations!r}",
                "Give the dotted name of a package, or a pathlib.Path to a folder.",
            )
        if database == "":
            object.__setattr__(self, "database", default_database(self.name))
        elif not isinstance(database, str) or database in (".", "..") or any(sign in database for sign in "/\\\0:"):
            raise PackInvalid(
                f"the database of {self.name} is {self.database!r}",
                "Give a bare file name; where it lies is decided where it is used.",
            )


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
class BrokenPack:
    """An entry point that cannot be loaded, or a pack with an unusable file."""

    reason: str
    pack: str | None = None
    database: str | None = None
    entry_point: str | None = None
    distribution: str | None = None
    distribution_version: str | None = None

    @property
    def label(self) -> str:
        """How a message names it."""
        if self.pack is not None and (self.entry_point in (None, self.pack)):
            return self.pack
        if self.pack is not None:
            return f"{self.pack} (entry point {self.entry_point})"
        return f"entry point {self.entry_point}"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A healthy pack that a run leaves alone, and why."""

    pack: str
    reason: str

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

    @property
    def ref(self) -> str:
        """The full name under which it was recorded."""
        return f"{self.pack}:{self.name}"


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
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """One database: its packs by name, and the state that matters most."""

    path: Path
    exists: bool
    state: State
    packs: Mapping[str, PackStatus] = field(default_factory=dict)
    records: tuple[Record, ...] = ()
