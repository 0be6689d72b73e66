"""
Which packs belong to a database file: those that name it, or those that the caller names.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from homie_migrations_core.broken import BrokenPack
from homie_migrations_core.errors import NothingInstalled, PackNotChosen, UnknownPack
from homie_migrations_core.packs.definition import MigrationPack
from homie_migrations_core.packs.discovery import Collected, RegisteredPack


def handed_in(packs: Sequence[MigrationPack]) -> tuple[list[RegisteredPack], list[BrokenPack]]:
    """Packs that a program hands over itself; of one name there can be only one."""
    names = [pack.name for pack in packs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        return [], [BrokenPack("it was handed in more than once", name) for name in twice]
    return [RegisteredPack(pack, "") for pack in packs], []


def choose(
    path: str, database: str, collected: Collected, only: Collection[str] = ()
) -> tuple[list[RegisteredPack], list[BrokenPack]]:
    """
    The installed packs of the file at `path`, which packs know as `database`: usable ones, broken ones.

    Raises:
        PackNotChosen: The file name does not say, and there is more than one choice.
        UnknownPack: `only` names one that is not there for this file.
        NothingInstalled: There is no pack at all.
    """
    packs, broken = collected.packs, collected.broken
    here = [each for each in packs if each.pack.database == database]
    broken_here = [each for each in broken if each.database == database]
    if here or broken_here:
        names = {each.pack.name for each in here} | {each.pack for each in broken_here if each.pack}
        for name in only:
            if name not in names:
                raise UnknownPack(name, names, where="there for this database")
        return here, broken_here
    if only:
        return [each for each in packs if each.pack.name in only], [each for each in broken if each.pack in only]
    databases = {each.pack.database for each in packs} | {each.database for each in broken if each.database}
    if not databases:
        raise NothingInstalled
    if len(databases) > 1:
        raise PackNotChosen(path, "no installed pack is for a file of that name", [each.pack.name for each in packs])
    return list(packs), [each for each in broken if each.database]


def report_unknown(collected: Collected) -> None:
    """Log the entry points that can't be loaded: they may belong to any database, nobody can know."""
    unknown = [each for each in collected.broken if each.database is None]
    if unknown:
        import logging

        for each in unknown:
            logging.getLogger("homie_migrations").error(
                "The %s can't be used: %s", each.label, each.reason, extra={"unusable": each}
            )
