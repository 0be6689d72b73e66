"""
What the options that commands share mean: which databases, with which packs.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homie_migrations_core import locations
from homie_migrations_core.errors import FolderUnusable, NothingInstalled, PackBroken, PackInvalid, UnknownPack, UsageProblem
from homie_migrations_core.model import BrokenPack, MigrationPack
from homie_migrations_core.naming import is_pack_name
from homie_migrations_core.plugins import Collected, collect
from homie_migrations_core.runner import MigrationRunner


@dataclass(frozen=True)
class Target:
    """One database that a command is about."""

    path: Path
    origin: str
    """Where the path came from, in words."""
    only: tuple[str, ...]
    packs: tuple[MigrationPack, ...] | None
    make_parents: bool

    def runner(self, scope: Scope, **options: Any) -> MigrationRunner:
        """The front desk for it."""
        return MigrationRunner(
            self.path,
            self.packs,
            only=self.only,
            make_parents=self.make_parents,
            collected=scope.collected,
            **options,
        )


@dataclass(frozen=True)
class Scope:
    """What the options of one call select."""

    targets: tuple[Target, ...]
    collected: Collected | None
    broken: tuple[BrokenPack, ...]
    """The broken entry points and packs that this call is about."""


def select(
    database: list[str] | None, data_dir: str | None, pack: list[str] | None, folder: str | None, *, changing: bool = False
) -> Scope:
    """
    The databases and packs that the options mean. Nothing is opened or made.

    Raises:
        UnknownPack, PackBroken, PackInvalid, FolderUnusable, NothingInstalled, UsageProblem: They mean nothing.
    """
    names = tuple(dict.fromkeys(pack or ()))
    if folder is not None:
        return _folder_scope(folder, database, names)
    collected = collect()
    known = {each.pack.name: each.pack.database for each in collected.packs}
    for name in names:
        if name not in known:
            if broken := [each for each in collected.broken if each.pack == name]:
                raise PackBroken(broken)
            raise UnknownPack(name, known)
    if database:
        files = {os.path.basename(os.path.abspath(path)) for path in database}
        about = [each for each in collected.broken if not names and (each.database is None or each.database in files)]
        targets = [Target(Path(os.path.abspath(path)), "--database", names, None, make_parents=False) for path in _given(database)]
        return Scope(tuple(targets), collected, tuple(about))
    about = [] if names else list(collected.broken)
    if changing and not known and not about:
        raise NothingInstalled
    place = locations.data_dir(data_dir)
    from_environment = locations.ENVIRONMENT if os.environ.get(locations.ENVIRONMENT) else "the default folder"
    origin = "--data-dir" if data_dir is not None else from_environment
    file_names = {known[name] for name in names or known} | {each.database for each in about if each.database}
    targets = []
    for file_name in sorted(file_names):
        path, by_plugin = locations.database_file(file_name, place, collected)
        only = tuple(name for name in names if known[name] == file_name)
        targets.append(Target(path, "a plugin's homie_database_path" if by_plugin else origin, only, None, make_parents=True))
    return Scope(tuple(targets), collected, tuple(about))


def _given(database: list[str]) -> list[str]:
    for path in database:
        if not path or "\0" in path:
            raise UsageProblem(f"Nothing was done: --database {path!r} names no file. Give the path of a database file.")
    return list(dict.fromkeys(database))


def _folder_scope(folder: str, database: list[str] | None, names: tuple[str, ...]) -> Scope:
    if not database:
        raise UsageProblem("Nothing was done: --dir says which migrations, not which database. Add --database PATH.")
    if len(names) > 1:
        raise UsageProblem("Nothing was done: a folder is one pack, and several names were given. Give one --pack.")
    place = Path(os.path.abspath(folder))
    if not place.is_dir():
        raise FolderUnusable(str(place), "is not a folder" if place.exists() else "does not exist", "Name a folder of migrations.")
    name = names[0] if names else place.parent.name if place.name == "migrations" else place.name
    if not is_pack_name(name):
        raise PackInvalid(f"the folder's name {name!r} can't be a pack's name", "Say its name with --pack.")
    pack = MigrationPack(name, place)
    targets = [Target(Path(os.path.abspath(path)), "--database", (), (pack,), make_parents=False) for path in _given(database)]
    return Scope(tuple(targets), None, ())
