"""
Which packs belong to a database file: those a program hands over, or the installed ones that name the file.

Part of every start-up, so it reads no migration; `packs/source.py` does, when there is something to do.
"""

from __future__ import annotations

from homie_migrations_core.packs.registered import RegisteredPack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from homie_migrations_core.broken import BrokenPack
    from homie_migrations_core.packs.definition import MigrationPack
    from homie_migrations_core.packs.registered import Collected


def handed_in(packs: Sequence[MigrationPack]) -> tuple[list[RegisteredPack], list[BrokenPack]]:
    """Return the packs that a program hands over; two of one name are both broken."""
    names = [pack.name for pack in packs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        from homie_migrations_core.broken import BrokenPack

        return [], [BrokenPack("it was handed in more than once", name) for name in twice]
    return [RegisteredPack(pack, "") for pack in packs], []


def choose(
    path: str, database: str, collected: Collected, only: Collection[str] = ()
) -> tuple[list[RegisteredPack], list[BrokenPack]]:
    """
    Return the installed packs of the file at `path`, which packs know as `database`: usable ones, broken ones.

    Raises:
        PackNotChosen: The file name does not say which packs are meant, and there is more than one choice.
        UnknownPack: `only` names one that is not there for this file.
        NothingInstalled: There is no pack at all.
    """
    packs = [each for each in collected.packs if each.pack.database == database]
    broken = [each for each in collected.broken if each.database == database]
    if packs or broken:
        names = {each.pack.name for each in packs} | {each.pack for each in broken if each.pack}
        for name in only:
            if name not in names:
                from homie_migrations_core.errors import UnknownPack  # no error is on the path of a start-up

                raise UnknownPack(name, names, for_database=True)
        return packs, broken
    return _for_unnamed_file(path, collected, only)


def _for_unnamed_file(path: str, collected: Collected, only: Collection[str]) -> tuple[list[RegisteredPack], list[BrokenPack]]:
    """Return the packs in `only`, or all of them if they agree on one database."""
    packs, broken = collected.packs, collected.broken
    if only:
        return [each for each in packs if each.pack.name in only], [each for each in broken if each.pack in only]
    databases = {each.pack.database for each in packs} | {each.database for each in broken if each.database}
    if len(databases) == 1:
        return list(packs), [each for each in broken if each.database]
    from homie_migrations_core.errors import NothingInstalled, PackNotChosen

    if not databases:
        raise NothingInstalled
    raise PackNotChosen(path, "no installed pack is for a file of that name", [each.pack.name for each in packs])


def report_unknown(collected: Collected) -> None:
    """Log the entry points that cannot be loaded: any of them may belong to this database."""
    unknown = [each for each in collected.broken if each.database is None]
    if unknown:
        from homie_migrations_core.logs import log as _log

        for each in unknown:
            _log.error("The %s can't be used: %s", each.label, each.reason, extra={"unusable": each})
