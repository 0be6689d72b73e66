"""
What the options that commands share select: which databases, with which packs. Opens no database.
"""

from __future__ import annotations

import os

from homie_migrations_core import errors, logs
from homie_migrations_core.packs.definition import MigrationPack
from homie_migrations_core.packs.naming import is_pack_name, split_ref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from dataclasses import dataclass
    from pathlib import Path
    from typing import Any

    from homie_migrations_core.broken import BrokenPack
    from homie_migrations_core.cli.options import DatabaseOptions
    from homie_migrations_core.database_reader import DatabaseReader
    from homie_migrations_core.packs.registered import Collected
    from homie_migrations_core.runner import MigrationRunner
else:
    from homie_migrations_core.values import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """One database that a command is about."""

    path: str
    origin: str
    """Where the path came from, in words."""
    only: tuple[str, ...]
    packs: tuple[MigrationPack, ...] | None
    make_parents: bool

    database: str | None = None
    """The name by which packs know the file, where a plugin gave it another one."""

    def runner(self, selection: Selection, *, lock_timeout: float, **options: Any) -> MigrationRunner:
        """
        Return the runner for this database.

        Raises:
            UsageProblem: The timeout is not a number of seconds.
            DatabaseNotReachable: The path is a pipe or a device.
        """
        from homie_migrations_core.runner import MigrationRunner

        logs.load()  # what runs may log, under this library's name too, without asking it for its logger
        return MigrationRunner(self.path, self.packs, **self._settings(selection, lock_timeout), **options)

    def reader(self, selection: Selection, *, lock_timeout: float) -> DatabaseReader:
        """Return what reads this database, without the half of the library that changes one. Raises as `runner`."""
        from homie_migrations_core.database_reader import DatabaseReader

        return DatabaseReader(self.path, self.packs, **self._settings(selection, lock_timeout))

    def _settings(self, selection: Selection, lock_timeout: float) -> dict[str, Any]:
        if not lock_timeout >= 0:  # not-a-number is not either
            found = f"--lock-timeout {lock_timeout:g} is not a valid time"
            raise errors.UsageProblem("Nothing was done", found, "Give a number of seconds, 0 or more.")
        # Not with pathlib, which raises where a name is too long or a folder may not be entered.
        # Opening a pipe would block.
        if os.path.exists(self.path) and not (os.path.isfile(self.path) or os.path.isdir(self.path)):
            raise errors.DatabaseNotReachable(str(self.path), "it is a pipe or a device, not a file", "Name the database file.")
        return {
            "only": self.only,
            "make_parents": self.make_parents,
            "database": self.database,
            "lock_timeout": lock_timeout,
            "collected": selection.collected,
        }


@dataclass(frozen=True, slots=True)
class Selection:
    """What the options of one command select."""

    targets: tuple[Target, ...]
    collected: Collected | None
    """The installed packs; None where a folder is the only pack."""
    broken: tuple[BrokenPack, ...]
    """The broken entry points and packs that concern this command."""

    def targets_of(self, to: str | None) -> tuple[Target, ...]:
        """
        Return the targets of a run up to the ref `to`: only the database of the pack that it names.

        Raises:
            UnknownPack: That pack is not installed.
        """
        if to is None or self.collected is None or len(self.targets) < 2:
            return self.targets
        databases = {each.pack.name: each.pack.database for each in self.collected.packs}
        parts = split_ref(to)
        if parts is None:
            return self.targets[:1]  # whose runner explains what a target looks like
        if parts[0] not in databases:
            raise errors.UnknownPack(parts[0], databases)
        database = databases[parts[0]]
        return tuple(each for each in self.targets if (each.database or os.path.basename(each.path)) == database) or self.targets


def select(
    options: DatabaseOptions, packs: Sequence[str] | None, *, changing: bool = False, reading_packs: bool = False
) -> Selection:
    """
    Return the databases and packs that the options select. Nothing is opened or made.

    A command that is only `reading_packs` needs no database.

    Raises:
        UnknownPack, PackBroken, PackInvalid, FolderUnusable, NothingInstalled, UsageProblem: They select nothing.
    """
    names = tuple(dict.fromkeys(packs or ()))
    if options.folder is not None:
        return select_folder(options.folder, options.database, names, needs_database=not reading_packs)
    from homie_migrations_core.packs.discovery import collect  # loads pluggy, which a folder has no need of

    collected = collect()
    _require_known(names, collected)
    if options.database:
        return _select_files(options.database, names, collected)
    return _select_installed(options.data_dir, names, collected, changing=changing)


def select_folder(folder: str, database: list[str] | None, names: Sequence[str], *, needs_database: bool) -> Selection:
    """
    Return a selection with a folder of migrations as the only pack, for these database files.

    Raises:
        UsageProblem, FolderUnusable, PackInvalid: The folder can't be used like that.
    """
    if not folder:
        raise errors.UsageProblem("Nothing was done", "--dir is empty", "Name a folder of migrations.")
    if not database and needs_database:
        raise errors.UsageProblem(
            "Nothing was done", "--dir names the migrations, but no database is named", "Add --database PATH."
        )
    if len(names) > 1:
        raise errors.UsageProblem("Nothing was done", "a folder is one pack, and several names were given", "Give one --pack.")
    place = os.path.abspath(folder)
    if not os.path.isdir(place):
        found = "is not a folder" if os.path.exists(place) else "does not exist"
        raise errors.FolderUnusable(place, found, "Name a folder of migrations.")
    parent, last = os.path.split(place)
    name = names[0] if names else os.path.basename(parent) if last == "migrations" else last
    if not is_pack_name(name):
        raise errors.PackInvalid(f"the folder's name {name!r} can't be a pack's name", "Give the pack's name with --pack.")
    pack = MigrationPack(name, place)
    paths = _absolute(database or [pack.database])
    return Selection(tuple(Target(path, "--database", (), (pack,), make_parents=False) for path in paths), None, ())


def select_installed_packs(names: Sequence[str]) -> list[MigrationPack]:
    """
    Return the installed packs of these names.

    Raises:
        UnknownPack, PackBroken: There is none, or it can't be used.
    """
    from homie_migrations_core.packs.discovery import collect

    collected = collect()
    _require_known(names, collected)
    return [each.pack for each in collected.packs if each.pack.name in names]


def _require_known(names: Sequence[str], collected: Collected) -> None:
    known = {each.pack.name for each in collected.packs}
    for name in names:
        if name not in known:
            if broken := [each for each in collected.broken if each.pack == name]:
                raise errors.PackBroken(broken, done="Nothing was done")
            raise errors.UnknownPack(name, known)


def _select_files(database: list[str], names: tuple[str, ...], collected: Collected) -> Selection:
    """Select the files that `--database` names."""
    paths = _absolute(database)
    file_names = {os.path.basename(path) for path in paths}
    broken = [each for each in collected.broken if not names and (each.database is None or each.database in file_names)]
    return Selection(tuple(Target(path, "--database", names, None, make_parents=False) for path in paths), collected, tuple(broken))


def _select_installed(data_dir: str | None, names: tuple[str, ...], collected: Collected, *, changing: bool) -> Selection:
    """Select the databases that the installed packs name, in the data folder."""
    from homie_migrations_core.packs import locations

    broken = () if names else collected.broken
    if changing and not collected.packs and not broken:
        raise errors.NothingInstalled
    place, origin = _data_folder(data_dir)
    databases = {each.pack.name: each.pack.database for each in collected.packs}
    file_names = {databases[name] for name in names or databases} | {each.database for each in broken if each.database}
    targets = []
    for file_name in sorted(file_names):
        path, by_plugin = locations.database_file(file_name, place, collected)
        only = tuple(name for name in names if databases[name] == file_name)
        origin_of_file = "a plugin's homie_database_path" if by_plugin else origin
        targets.append(Target(str(path), origin_of_file, only, None, make_parents=True, database=file_name))
    return Selection(tuple(targets), collected, tuple(broken))


def _data_folder(data_dir: str | None) -> tuple[Path, str]:
    """Return the data folder, and where its path came from."""
    from homie_migrations_core.packs import locations

    if data_dir == "":  # a shell variable that is not set: the current folder is hardly what was meant
        raise errors.UsageProblem("Nothing was done", "--data-dir is empty", "Name a folder, or leave the option out.")
    place = locations.data_dir(data_dir)
    if os.path.lexists(place) and not place.is_dir():
        raise errors.FolderUnusable(str(place), "is not a folder", f"Name another one, with --data-dir or {locations.ENVIRONMENT}.")
    if data_dir is not None:
        return place, "--data-dir"
    return place, locations.ENVIRONMENT if os.environ.get(locations.ENVIRONMENT) else "the default folder"


def _absolute(database: list[str]) -> list[str]:
    for path in database:
        if not path or "\0" in path:
            raise errors.UsageProblem(
                "Nothing was done", f"--database {path!r} does not name a file", "Give the path of a database file."
            )
    return list(dict.fromkeys(os.path.abspath(path) for path in database))
