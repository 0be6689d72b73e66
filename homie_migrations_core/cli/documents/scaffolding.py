"""
What new and new-pack add to the document. Paths are as they were given, or below the current folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from pathlib import Path

    from homie_migrations_core.authoring.importing.importer import Imported
    from homie_migrations_core.authoring.scaffolding import NewMigration


class CreatedMigration(TypedDict):
    """A migration that was written, for its author to fill in."""

    pack: str
    ref: str
    version: int
    name: str
    files: list[str]
    """The paths of its files: one, or the two of an SQL migration."""


class NewFields(TypedDict):
    """What `new` adds to the document."""

    migration: CreatedMigration
    """The migration that was written."""


class CreatedPack(TypedDict):
    """A pack that was written."""

    name: str
    folder: str
    """The path of its folder."""
    files: list[str]
    """The paths of all its files."""


class ImportedMigration(TypedDict):
    """One migration of a new pack that was made of another tool's."""

    ref: str
    name: str
    original: str
    """The path of the file that it was made of."""
    reversible: bool
    """Whether it can be rolled back."""


class Import(TypedDict):
    """What a new pack took over from another tool."""

    tool: str
    migrations: list[ImportedMigration]
    """Every migration of the new pack, in its order."""
    notes: list[str]
    """What was left behind or changed without harm, as sentences for people."""


class NewPackFields(TypedDict):
    """What `new-pack` adds to the document."""

    pack: CreatedPack
    """The pack that was written."""
    imported: Import | None
    """What was taken over from another tool; null without `--import`."""


def new_migration(pack: str, created: NewMigration) -> NewFields:
    """Return a new migration as JSON has it."""
    return {
        "migration": {
            "pack": pack,
            "ref": f"{pack}:{created.name}",
            "version": created.version,
            "name": created.name,
            "files": [str(each) for each in created.files],
        }
    }


def new_pack(name: str, folder: Path, files: Sequence[Path], imported: Imported | None) -> NewPackFields:
    """Return a new pack as JSON has it."""
    return {
        "pack": {"name": name, "folder": str(folder), "files": [str(each) for each in files]},
        "imported": None if imported is None else _imported(name, imported),
    }


def _imported(pack: str, imported: Imported) -> Import:
    return {
        "tool": imported.tool,
        "migrations": [
            {
                "ref": f"{pack}:{each.name}",
                "name": each.name,
                "original": str(each.original),
                "reversible": each.reversible,
            }
            for each in imported.migrations
        ],
        "notes": list(imported.notes),
    }
