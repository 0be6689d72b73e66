"""
Load the entry points of installed distributions: which packs and observers they register, and which are broken.

pluggy's own loader stops at the first plugin that fails and silently skips a second one of the same name, so the entry
points are loaded one by one. Which packs belong to a database is decided in `packs/selection.py`.
"""

from __future__ import annotations

from homie_migrations_core.broken import BrokenPack
from homie_migrations_core.packs.entry_points import entry_points_in_folders
from homie_migrations_core.packs.files import UnusablePack, folder_of, list_files
from homie_migrations_core.packs.plugins import Plugins
from homie_migrations_core.packs.registered import Collected, RegisteredPack, distribution_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from homie_migrations_core.packs.definition import MigrationPack
    from homie_migrations_core.packs.entry_points import EntryPoint

GROUP = "homie.migrations"


def version_of(package: str) -> str | None:
    """Return the version of the distribution that a package came with, if that is certain."""
    from importlib_metadata import packages_distributions, version

    try:
        distributions = packages_distributions().get(package.partition(".")[0], [])
        return version(distributions[0]) if len(set(distributions)) == 1 else None
    except Exception:  # the metadata of any distribution may be damaged
        return None


def collect() -> Collected:
    """
    Return every pack and observer that an installed distribution registers, and every broken entry point.

    Never raises for what a distribution did wrong: that is in `broken`, and the others are not affected.
    `KeyboardInterrupt` passes through.
    """
    plugins = Plugins()
    found: list[RegisteredPack] = []
    entry_points, broken = _installed_entry_points()
    for entry_point in sorted(entry_points, key=lambda each: (each.name, each.value)):
        try:
            plugin = entry_point.load()
            plugins.register(plugin)  # a second entry point may name the same module
            packs = plugins.packs_of(plugin)
        except BaseException as error:  # whatever a distribution's code raises is the reason
            from homie_migrations_core.stopping import ends_the_run

            if ends_the_run(error):
                raise
            broken.append(BrokenPack(_reason(error), None, None, entry_point.name, *distribution_of(entry_point)))
            continue
        for pack in packs:
            try:
                found.append(_registered(pack, entry_point))
            except UnusablePack as error:
                broken.append(RegisteredPack(pack, "", entry_point).broken(str(error)))
    return Collected(*_without_duplicates(found, broken), plugins)


def installed_distributions() -> dict[str, str | None]:
    """Return name and version of each distribution that registers an entry point of this group, broken ones too. Loads none."""
    entry_points, broken = _installed_entry_points()
    found = [distribution_of(each) for each in entry_points] + [(each.distribution, each.distribution_version) for each in broken]
    return {name: version for name, version in found if name is not None}


def _installed_entry_points() -> tuple[list[EntryPoint], list[BrokenPack]]:
    """Return the entry points of our group, and the distributions whose entry_points.txt cannot be read."""
    in_folders = entry_points_in_folders(GROUP)
    if in_folders is not None:
        return list(in_folders), []
    from importlib_metadata import distributions, entry_points

    try:
        return list(entry_points(group=GROUP)), []
    except Exception:  # one file is malformed, so the distributions are read one by one
        found: list[EntryPoint] = []
        broken: list[BrokenPack] = []
    seen: set[str] = set()
    for distribution in distributions():
        name = version = None
        try:
            name, version = distribution.name, distribution.version
            if name not in seen:  # found twice on sys.path, the first counts
                seen.add(name)
                found += distribution.entry_points.select(group=GROUP)
        except Exception as error:
            if _may_name_our_group(distribution):
                reason = f"its entry_points.txt can't be read ({type(error).__name__}: {error})"
                broken.append(BrokenPack(reason, distribution=name, distribution_version=version))
    return found, broken


def _may_name_our_group(distribution: Any) -> bool:
    try:
        return GROUP in (distribution.read_text("entry_points.txt") or "")
    except UnicodeDecodeError:
        return True


def _registered(pack: MigrationPack, source: EntryPoint) -> RegisteredPack:
    folder = folder_of(pack.migrations)
    problems = list_files(folder)[2]
    if problems:
        raise UnusablePack("; ".join(problems))
    return RegisteredPack(pack, folder, source)


def _without_duplicates(
    found: Sequence[RegisteredPack], broken: Sequence[BrokenPack]
) -> tuple[tuple[RegisteredPack, ...], tuple[BrokenPack, ...]]:
    """Make packs broken that share a name: it cannot be known which of them wrote the records."""
    claimed = [each.pack.name for each in found] + [each.pack for each in broken if each.pack]
    all_broken = list(broken)
    for each in found:
        if claimed.count(each.pack.name) > 1:
            sources = [one.distribution for one in found if one.pack.name == each.pack.name]
            sources += [one.distribution for one in broken if one.pack == each.pack.name]
            by = " and by ".join(sorted(source or "no distribution" for source in sources))
            all_broken.append(each.broken(f"the pack {each.pack.name} is registered more than once, by {by}"))
    all_broken.sort(key=lambda each: (each.entry_point or "", each.pack or "", each.distribution or ""))
    return tuple(each for each in found if claimed.count(each.pack.name) == 1), tuple(all_broken)


def _reason(error: BaseException) -> str:
    from homie_migrations_core.errors import HomieMigrationsError  # not on the path of a start-up

    if isinstance(error, UnusablePack | HomieMigrationsError):
        return str(error)
    return f"it can't be loaded ({in_words(error)})"


def in_words(error: BaseException) -> str:
    """Return the class and the text of an exception, whatever its own `__str__` does."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return f"{type(error).__name__}, whose text can't be read"
