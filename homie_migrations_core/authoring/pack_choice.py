"""
Which packs a test or a trial works with: one by its name or as a value, and those that go with it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

from homie_migrations_core.broken import BrokenPack
from homie_migrations_core.errors import PackBroken, UnknownPack
from homie_migrations_core.packs.definition import MigrationPack
from homie_migrations_core.packs.discovery import collect
from homie_migrations_core.packs.files import folder_of
from homie_migrations_core.packs.naming import split_ref
from homie_migrations_core.packs.reading import UnusablePack, read_pack

Files = tuple[tuple[str, bytes], ...]
Others = Sequence[str | MigrationPack] | Literal["installed"] | None
"""Packs that are named; every installed one of the same database; or, for None, the installed ones that are required."""


class PackChoice:
    """
    Finds packs, and remembers what it found.

    Entry points are read once for each `sys.path`, and again for a name that is not known. The files of a pack are
    parsed again when they have changed.
    """

    def __init__(self) -> None:
        self._installed: dict[tuple[str, ...], Mapping[str, MigrationPack]] = {}
        self._broken: Sequence[BrokenPack] = ()
        self._required: dict[tuple[MigrationPack, Files], list[str]] = {}

    def choose(self, pack: str | MigrationPack, others: Others) -> tuple[MigrationPack, ...]:
        """
        Return the pack, and those that go with it.

        Raises:
            UnknownPack: No pack of that name is installed.
            PackBroken: An installed pack of that name can't be used.
        """
        own = self._known(pack)
        if others is None:
            return (own, *self._required_by(own))
        if others == "installed":
            same = (each for each in self._all().values() if each.database == own.database and each.name != own.name)
            return (own, *same)
        return (own, *map(self._known, others))

    def _all(self, *, again: bool = False) -> Mapping[str, MigrationPack]:
        place = tuple(sys.path)
        if again or place not in self._installed:
            collected = collect()
            self._installed[place] = {each.pack.name: each.pack for each in collected.packs}
            self._broken = collected.broken
        return self._installed[place]

    def _known(self, pack: str | MigrationPack) -> MigrationPack:
        if not isinstance(pack, str):
            return pack
        found = self._all().get(pack) or self._all(again=True).get(pack)
        if found is not None:
            return found
        if unusable := [each for each in self._broken if pack in (each.pack, each.entry_point)]:
            raise PackBroken(unusable, done="Nothing was tested")
        raise UnknownPack(pack, list(self._all()))

    def _required_by(self, pack: MigrationPack) -> list[MigrationPack]:
        """Return the installed packs of the same database that it requires, directly or through others."""
        same = {name: each for name, each in self._all().items() if each.database == pack.database}
        return required_packs(pack, same, self._names_required_by)

    def _names_required_by(self, pack: MigrationPack) -> list[str]:
        key = pack, files_of(pack)
        if key not in self._required:
            self._required[key] = names_required_by(pack)
        return self._required[key]


def names_required_by(pack: MigrationPack) -> list[str]:
    """Return the names of the other packs that the migrations of a pack require."""
    try:
        migrations = read_pack(pack).migrations
    except UnusablePack:  # the runner and `check` explain it better
        return []
    names = {parts[0] for each in migrations for ref in each.requires if (parts := split_ref(ref))}
    return sorted(names - {pack.name})


def required_packs(
    pack: MigrationPack,
    candidates: Mapping[str, MigrationPack],
    names_of: Callable[[MigrationPack], list[str]] = names_required_by,
) -> list[MigrationPack]:
    """Return those of the candidates that a pack requires, directly or through others."""
    found: dict[str, MigrationPack] = {}
    left = [pack]
    while left:
        for name in names_of(left.pop()):
            if name != pack.name and name not in found and name in candidates:
                found[name] = candidates[name]
                left.append(candidates[name])
    return list(found.values())


_SETTLED_NS = 50_000_000
"""How old the last change of a file must be for its time stamp to show the next one, on every file system."""
_Stamps = tuple[tuple[str, int, int, int], ...]
_read: dict[str, tuple[_Stamps, Files]] = {}


def files_of(pack: MigrationPack) -> Files:
    """
    Return the names and contents of a pack's files; none if there is no such folder.

    A folder is read again when the time, the size or the inode of a file is another one: that takes a fifth of the time.
    """
    try:
        folder = _folder_of(pack.migrations, tuple(sys.path))
        now = time.time_ns()
        stamps = _stamps(folder)
        known = _read.get(folder)
        if known is not None and known[0] == stamps:
            return known[1]
        files = tuple((stamp[0], (Path(folder) / stamp[0]).read_bytes()) for stamp in stamps)
    except (UnusablePack, OSError):  # the runner and `check` explain it better
        return ()
    if all(changed < now - _SETTLED_NS for _, changed, _, _ in stamps):
        _read[folder] = stamps, files
    return files


@lru_cache(maxsize=256)
def _folder_of(migrations: str | Path, _search_path: tuple[str, ...]) -> str:
    """Return the folder of a pack's files, looked for once as long as `sys.path` stays the same."""
    return folder_of(migrations)


def _stamps(folder: str) -> _Stamps:
    found = [(each.name, each.stat()) for each in os.scandir(folder) if each.name.endswith((".py", ".sql"))]
    return tuple(sorted((name, max(stat.st_mtime_ns, stat.st_ctime_ns), stat.st_size, stat.st_ino) for name, stat in found))
