"""
What the options that commands share mean: which databases, with which packs.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homie_migrations_core.broken import BrokenPack
from homie_migrations_core.errors import (
    DatabaseNotReachable,
    FolderUnusable,
    NothingInstalled,
    PackBroken,
    PackInvalid,
    UnknownPack,
    UsageProblem,
)
from homie_migrations_core.packs import locations
from homie_migrations_core.packs.definition import MigrationPack
from homie_migrations_core.packs.discovery import Collected, collect
from homie_migrations_core.packs.naming import is_pack_name, split_ref
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

    database: str | None = None
    """The name by which packs know the file, where a plugin gave it another one."""

    def runner(self, scope: Scope, *, lock_timeout: float, **options: Any) -> MigrationRunner:
        """The front desk for it."""
        if not lock_timeout >= 0:  # not-a-number is not either
            raise UsageProblem(f"Nothing was done: --lock-timeout {lock_timeout:g} is no time to wait. Give seconds, 0 or more.")
        # Not with pathlib, which raises where a name is too long or a folder may not be entered.
        # Opening a pipe would wait for ever.
        if os.path.exists(self.path) and not (os.path.isfile(self.path) or os.path.isdir(self.path)):
            raise DatabaseNotReachable(str(self.path), "it is a pipe or a device, not a file", "Name the database file.")
        return MigrationRunner(
            self.path,
            self.packs,
            only=self.only,
            make_parents=self.make_parents,
            database=self.database,
            lock_timeout=lock_timeout,
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
    database: list[str] | None,
    data_dir: str | None,
    pack: list[str] | None,
    folder: str | None,
    *,
    changing: bool = False,
    reading_packs: bool = False,
) -> Scope:
    """
    The databases and packs that the options mean. Nothing is opened or made. Who is only `reading_packs` needs no database.

    Raises:
        UnknownPack, PackBroken, PackInvalid, FolderUnusable, NothingInstalled, UsageProblem: They mean nothing.
    """
    names = tuple(dict.fromkeys(pack or ()))
    if folder is not None:
        return _folder_scope(folder, database, names, needs_database=not reading_packs)
    collected = collect()
    known = {each.pack.name: each.pack.database for each in collected.packs}
    for name in names:
        if name not in known:
            if broken := [each for each in collected.broken if each.pack == name]:
                raise PackBroken(broken, done="Nothing was done")
            raise UnknownPack(name, known)
    if database:
        paths = _given(database)
        files = {path.name for path in paths}
        about = [each for each in collected.broken if not names and (each.database is None or each.database in files)]
        targets = [Target(path, "--database", names, None, make_parents=False) for path in paths]
        return Scope(tuple(targets), collected, tuple(about))
    about = [] if names else list(collected.broken)
    if changing and not known and not about:
        raise NothingInstalled
    if data_dir == "":  # a shell variable that is not set: the current folder is hardly what was meant
        raise UsageProblem("Nothing was done: --data-dir is empty. Name a folder, or leave the option out.")
    place = locations.data_dir(data_dir)
    if os.path.lexists(place) and not place.is_dir():
        raise FolderUnusable(str(place), "is not a folder", f"Name another one, with --data-dir or {locations.ENVIRONMENT}.")
    from_environment = locations.ENVIRONMENT if os.environ.get(locations.ENVIRONMENT) else "the default folder"
    origin = "--data-dir" if data_dir is not None else from_environment
    file_names = {known[name] for name in names or known} | {each.database for each in about if each.database}
    targets = []
    for file_name in sorted(file_names):
        path, by_plugin = locations.database_file(file_name, place, collected)
        only = tuple(name for name in names if known[name] == file_name)
        origin_of = "a plugin's homie_database_path" if by_plugin else origin
        targets.append(Target(path, origin_of, only, None, make_parents=True, database=file_name))
    return Scope(tuple(targets), collected, tuple(about))


def targets_of(to: str | None, scope: Scope) -> tuple[Target, ...]:
    """
    With `--to`, only the database of the pack that it names.

    Raises:
        UnknownPack: That pack is not installed.
    """
    if to is None or scope.collected is None or len(scope.targets) < 2:
        return scope.targets
    databases = {each.pack.name: each.pack.database for each in scope.collected.packs}
    parts = split_ref(to)
    if parts is None:
        return scope.targets[:1]  # which says what a target looks like
    if parts[0] not in databases:
        raise UnknownPack(parts[0], databases)
    return tuple(each for each in scope.targets if (each.database or each.path.name) == databases[parts[0]]) or scope.targets


def _given(database: list[str]) -> list[Path]:
    for path in database:
        if not path or "\0" in path:
            raise UsageProblem(f"Nothing was done: --database {path!r} names no file. Give the path of a database file.")
    return list(dict.fromkeys(Path(os.path.abspath(path)) for path in database))


def _folder_scope(folder: str, database: list[str] | None, names: tuple[str, ...], *, needs_database: bool) -> Scope:
    if not folder:
        raise UsageProblem("Nothing was done: --dir is empty. Name a folder of migrations.")
    if not database and needs_database:
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
    targets = [Target(path, "--database", (), (pack,), make_parents=False) for path in _given(database or [pack.database])]
    return Scope(tuple(targets), None, ())
