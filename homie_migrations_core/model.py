"""Frozen values that the rooms hand to each other. They hold names and facts, and decide nothing."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from dataclasses import dataclass, field
    from datetime import datetime
    from pathlib import Path
    from typing import Literal

    from homie_migrations_core.vocabulary import Direction as Direction
    from homie_migrations_core.vocabulary import State as State
else:
    from homie_migrations_core.values import dataclass, field


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration as its file defines it. The file has been read, not run."""

    pack: str
    version: int
    name: str
    path: Path
    checksum: str | None = None
    requires: tuple[str, ...] = ()
    reversible: bool = False
    problem: str | None = None
    """Why the file cannot be used. It stops a run while the migration is pending, and is a finding once it is applied."""
    content: bytes = field(default=b"", repr=False, compare=False)
    """The bytes of the file. They are what will be run, so the code that was checked is the code that runs."""
    rollback_path: Path | None = None
    rollback_content: bytes = field(default=b"", repr=False, compare=False)

    @property
    def ref(self) -> str:
        """The full name, `pack:001_words`, which every command accepts."""
        return f"{self.pack}:{self.name}"


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack with the migrations that were read from its files."""

    name: str
    database: str
    migrations: tuple[Migration, ...]
    distribution: str | None = None
    distribution_version: str | None = None
    package: str | None = None
    """The dotted name from which relative imports in the migrations start, if there is one."""

    @property
    def latest(self) -> Migration:
        """The migration with the highest version."""
        return self.migrations[-1]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A usable pack that a run leaves out, and why."""

    pack: str
    reasons: tuple[str, ...]

    @property
    def reason(self) -> str:
        """Every reason, on one line."""
        return "; ".join(self.reasons)

    @property
    def label(self) -> str:
        """The name that messages use for it."""
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
    """Increases in the order in which the rows were written, whatever the clock showed."""

    @property
    def ref(self) -> str:
        """The full name under which it was recorded."""
        return f"{self.pack}:{self.name}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy of a database. The facts are those in its file name."""

    path: Path
    taken_at: datetime
    """In UTC."""
    size: int
    """In bytes."""
    applied: str
    """The newest version of each pack at that time, `file_organizer-1`; `untracked` for none."""
    kind: Literal["automatic", "by_hand", "begun"]
    """`begun`: taken by a run that was killed before it changed anything."""


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
    """The steps that are about to run, in order, and the packs that are left out."""

    steps: tuple[Step, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    edited: tuple[str, ...] = ()
    """References of applied migrations whose code differs today. They are a warning, and never stop a run."""


@dataclass(frozen=True, slots=True)
class RowCount:
    """The rows of one table; None where there is no such table."""

    table: str
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class Restored:
    """What restoring a snapshot changed, or would change."""

    path: Path
    source: Path
    pending_again: tuple[str, ...] = ()
    """References of migrations that were recorded before, and are not any more."""
    applied_again: tuple[str, ...] = ()
    """References of migrations that were not recorded before, and are now."""
    rows: tuple[RowCount, ...] = ()
    """The tables whose numbers of rows differ."""
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
    """Stable, so that programs can compare it."""
    subject: str
    """The reference of a migration, or the name of a table, index, view or trigger."""
    pack: str | None
    message: str
    """What was found, as one sentence."""
    advice: str
    accepted: str | None = None
    """The reason for which the author accepts it in the migration's file. Then it is shown, and does not count."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run on one database, as observers see it."""

    path: Path
    plan: Plan


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """One migration, shipped or recorded, and its state."""

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


def import_annotated() -> None:
    """Import what only the annotations here name, for those who look at the types of the attributes. It takes long."""
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path
    from typing import Literal

    from homie_migrations_core.vocabulary import Direction, State

    names = {"Direction": Direction, "Literal": Literal, "Mapping": Mapping, "Path": Path, "State": State, "datetime": datetime}
    globals().update(names)
