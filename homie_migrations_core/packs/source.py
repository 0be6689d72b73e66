"""
`PackSource`: where the packs of one database come from, chosen and read.

Which ones belong to the database is decided in `packs/selection.py`.
"""

from __future__ import annotations

from homie_migrations_core import errors
from homie_migrations_core.packs.selection import choose, handed_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from dataclasses import replace
    from typing import Self

    from homie_migrations_core.broken import BrokenPack
    from homie_migrations_core.model import Pack
    from homie_migrations_core.packs.definition import MigrationPack
    from homie_migrations_core.packs.registered import Collected, RegisteredPack
else:
    from homie_migrations_core.values import replace


class ReadPacks(tuple["MigrationPack", ...]):  # noqa: SLOT001  (a tuple offers no slots with content)
    """
    Packs whose files were read already, to be handed in for many databases.

    Raises:
        PackBroken: One can't be used.
    """

    read: tuple[Pack, ...]
    registered: tuple[RegisteredPack, ...]
    """The same packs with their folders."""

    def __new__(cls, packs: Sequence[MigrationPack]) -> Self:
        """Read the packs."""
        from homie_migrations_core.packs.discovery import version_of
        from homie_migrations_core.packs.files import UnusablePack, folder_of
        from homie_migrations_core.packs.reading import read_registered

        chosen, broken = handed_in(packs)
        registered: list[RegisteredPack] = []
        for each in chosen:
            try:
                registered.append(replace(each, folder=folder_of(each.pack.migrations)))
            except UnusablePack as error:
                broken.append(each.broken(str(error)))
        read, unreadable = read_registered(registered)
        if broken or unreadable:
            raise errors.PackBroken([*broken, *unreadable], done="Nothing was done")
        self = super().__new__(cls, packs)
        self.read = tuple(replace(pack, distribution_version=version_of(pack.package)) if pack.package else pack for pack in read)
        self.registered = tuple(registered)
        return self


class PackSource:
    """
    The packs of one database: `packs` if they are handed in, else the installed ones for a file named `database`.

    `only` restricts what is done, and shown, to some of them. The installed packs are collected when they are first needed.
    """

    def __init__(
        self,
        path: str,
        packs: Sequence[MigrationPack] | None = None,
        *,
        only: Collection[str] = (),
        database: str,
        collected: Collected | None = None,
    ) -> None:
        self.path, self.database, self.only = path, database, tuple(only)
        self.handed_in = packs if packs is None or isinstance(packs, ReadPacks) else tuple(packs)
        self.collected = collected
        """What the installed distributions register; None until it is needed, and for packs that are handed in."""

    def choose(self) -> tuple[list[RegisteredPack], list[BrokenPack]]:
        """
        Return the usable and the broken packs of the database, their files not read yet.

        Raises:
            PackNotChosen, UnknownPack, NothingInstalled: As `choose`.
        """
        if isinstance(self.handed_in, ReadPacks):
            return list(self.handed_in.registered), []
        if self.handed_in is not None:
            return handed_in(self.handed_in)
        if self.collected is None:
            from homie_migrations_core.packs.discovery import collect  # loads pluggy

            self.collected = collect()
        return choose(self.path, self.database, self.collected, self.only)

    def read(self) -> tuple[tuple[Pack, ...], tuple[BrokenPack, ...]]:
        """
        Read the files of the packs, and return the usable packs by name and the broken ones.

        Raises:
            PackBroken, UnknownPack: One that `only` names is broken or not there.
            PackNotChosen, NothingInstalled: As `choose`.
        """
        if isinstance(self.handed_in, ReadPacks) and not self.only:
            return self.handed_in.read, ()
        from homie_migrations_core.packs.reading import read_registered  # not where there is nothing to do

        chosen, broken = self.choose()
        packs, unreadable = read_registered(chosen)
        broken += unreadable
        for name in self.only:
            if name not in {pack.name for pack in packs}:
                if unusable := [each for each in broken if each.pack == name]:
                    raise errors.PackBroken(unusable, done="Nothing was done")
                raise errors.UnknownPack(name, [pack.name for pack in packs], for_database=True)
        return packs, tuple(broken)

    def includes(self, pack: str | None) -> bool:
        """Tell whether the pack is among those that are asked for."""
        return not self.only or pack in self.only

    def names_file(self) -> bool:
        """Tell whether the packs were chosen on purpose, or one of them names this file."""
        if self.handed_in is not None or self.only or self.collected is None:
            return True
        packs, broken = self.collected.packs, self.collected.broken
        return any(each.pack.database == self.database for each in packs) or any(each.database == self.database for each in broken)
