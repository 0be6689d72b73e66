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
    """A migration that was written."""

    pack: str
    ref: str
    version: int
    name: str
    files: list[str]


class NewFields(TypedDict):
    """What `new` adds to the document."""

    migration: CreatedMigration


class CreatedPack(TypedDict):
    """A pack that was written."""

    name: str
    folder: str
    files: list[str]


class ImportedMigrationFields(TypedDict):
    """One migration of the new pack, and the file that it was made of."""

    ref: str
    name: str
    original: str
    reversible: bool


class ImportFields(TypedDict):
    """What was taken over from another tool. The notes are sentences for people."""

    tool: str
    migrations: list[ImportedMigrationFields]
    notes: list[str]


class NewPackFields(TypedDict):
    """What `new-pack` adds to the document. Without `--import`, `imported` is null."""

    pack: CreatedPack
    imported: ImportFields | None


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


def _imported(pack: str, imported: Imported) -> ImportFields:
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
