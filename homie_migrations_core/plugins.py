"""
The plugin manager: entry points → packs and observers, and which are broken and why.

pluggy's own loader stops at the first plugin that fails and skips a second one of the same name in silence,
so the entry points are read one by one. Nothing here knows a database.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pluggy

from homie_migrations_core import hookspecs
from homie_migrations_core.errors import HomieMigrationsError
from homie_migrations_core.model import BrokenPack, MigrationPack
from homie_migrations_core.packs import UnusablePack, folder_of, list_files

GROUP = "homie.migrations"
_HOOKS = frozenset(name for name in vars(hookspecs) if name.startswith(hookspecs.PREFIX))


@dataclass(frozen=True)
class RegisteredPack:
    """A pack as a plugin handed it over; its files are found, none is read."""

    pack: MigrationPack
    folder: str
    distribution: str | None = None
    distribution_version: str | None = None
    entry_point: str | None = None


@dataclass(frozen=True)
class Collected:
    """What the installed distributions register."""

    packs: tuple[RegisteredPack, ...]
    broken: tuple[BrokenPack, ...]
    manager: pluggy.PluginManager


def version_of(package: str) -> str | None:
    """The version of the distribution that a package came with, if that can be told."""
    from importlib_metadata import packages_distributions, version

    distributions = packages_distributions().get(package.partition(".")[0], [])
    return version(distributions[0]) if len(set(distributions)) == 1 else None


def new_manager() -> pluggy.PluginManager:
    """A plugin manager that knows the hooks and holds no plugin."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def collect() -> Collected:
    """
    Every pack and observer that an installed distribution registers, and every broken entry point.

    Never raises for what a distribution did wrong: that is in `broken`, and the others are not affected.
    """
    from importlib_metadata import entry_points

    manager = new_manager()
    found: list[RegisteredPack] = []
    broken: list[BrokenPack] = []
    for entry_point in sorted(entry_points(group=GROUP), key=lambda each: (each.name, each.value)):
        distribution = entry_point.dist
        source = BrokenPack(
            "",
            entry_point=entry_point.name,
            distribution=distribution.name if distribution else None,
            distribution_version=distribution.version if distribution else None,
        )
        try:
            plugin = entry_point.load()
            name = f"{source.distribution}:{entry_point.name}"
            register(manager, plugin, name)
            packs = _packs_of(manager, plugin)
        except (Exception, SystemExit) as error:  # a stranger's code: whatever it raises is the reason
            broken.append(replace(source, reason=_reason(error)))
            continue
        for pack in packs:
            try:
                found.append(_registered(pack, source))
            except UnusablePack as error:
                broken.append(replace(source, reason=str(error), pack=pack.name, database=pack.database))
    return Collected(*_without_duplicates(found, broken), manager)


def register(manager: pluggy.PluginManager, plugin: object, name: str | None = None) -> None:
    """
    The plugin's hooks are called from now on.

    Raises:
        UnusablePack: It implements no hook, or one that does not exist.
    """
    unknown = [each for each in dir(plugin) if each.startswith(hookspecs.PREFIX) and each not in _HOOKS and _is_hook(plugin, each)]
    if unknown:
        raise UnusablePack(f"it implements {', '.join(unknown)}, and there is no such hook")
    try:
        manager.register(plugin, name)
    except Exception as error:
        if manager.is_registered(plugin):
            manager.unregister(plugin)
        raise UnusablePack(str(error)) from error
    if not manager.get_hookcallers(plugin):
        manager.unregister(plugin)
        bare = [each for each in dir(plugin) if each in _HOOKS]
        raise UnusablePack(
            f"its {', '.join(bare)} is not marked with @hookimpl" if bare else "it implements no hook of homie_migrations"
        )


def _is_hook(plugin: object, name: str) -> bool:
    return hasattr(getattr(plugin, name, None), f"{hookspecs.PROJECT}_impl")


def _packs_of(manager: pluggy.PluginManager, plugin: object) -> list[MigrationPack]:
    packs: list[MigrationPack] = []
    for implementation in manager.hook.homie_migration_packs.get_hookimpls():
        if implementation.plugin is not plugin:
            continue
        answer: Any = implementation.function()
        for pack in answer if isinstance(answer, list | tuple) else [answer]:
            if not isinstance(pack, MigrationPack):
                raise UnusablePack(f"homie_migration_packs() returned {pack!r}, which is no MigrationPack")
            packs.append(pack)
    return packs


def _registered(pack: MigrationPack, source: BrokenPack) -> RegisteredPack:
    folder = folder_of(pack.migrations)
    problems = list_files(folder)[2]
    if problems:
        raise UnusablePack("; ".join(problems))
    return RegisteredPack(pack, folder, source.distribution, source.distribution_version, source.entry_point)


def _without_duplicates(
    found: Sequence[RegisteredPack], broken: Sequence[BrokenPack]
) -> tuple[tuple[RegisteredPack, ...], tuple[BrokenPack, ...]]:
    """Of two that register one name neither wins: which of them wrote the records can't be known."""
    claims: dict[str, list[str]] = {}
    for name, distribution in [(each.pack.name, each.distribution) for each in found] + [
        (each.pack, each.distribution) for each in broken if each.pack
    ]:
        claims.setdefault(name, []).append(distribution or "no distribution")
    kept: list[RegisteredPack] = []
    all_broken = list(broken)
    for each in found:
        if len(claims[each.pack.name]) == 1:
            kept.append(each)
        else:
            reason = f"the pack {each.pack.name} is registered more than once, by {' and by '.join(sorted(claims[each.pack.name]))}"
            all_broken.append(
                BrokenPack(
                    reason, each.pack.name, each.pack.database, each.entry_point, each.distribution, each.distribution_version
                )
            )
    return tuple(kept), tuple(
        sorted(all_broken, key=lambda each: (each.entry_point or "", each.pack or "", each.distribution or ""))
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, UnusablePack | HomieMigrationsError):
        return str(error)
    return f"it can't be loaded ({type(error).__name__}: {error})"


def database_path(manager: pluggy.PluginManager, database: str, data_dir: Path) -> tuple[Path, bool]:
    """
    Where a database lies, and whether a plugin said so.

    Raises:
        UnusablePack: A plugin failed to say; guessing could make a second, empty database.
    """
    try:
        answer = manager.hook.homie_database_path(database=database, data_dir=data_dir)
    except Exception as error:
        raise UnusablePack(f"homie_database_path failed for {database} ({type(error).__name__}: {error})") from error
    if answer is None:
        return data_dir / "modules" / database, False
    return Path(answer), True


class Observers:
    """Tells every plugin what a run does. One that raises is logged and harms neither the run nor the others."""

    def __init__(self, manager: pluggy.PluginManager | None, others: Iterable[object] = ()) -> None:
        self._managers = [manager] if manager else []
        own = new_manager()
        for each in others:
            register(own, each)
        if own.get_plugins():
            self._managers.append(own)

    def tell(self, hook: str, **facts: object) -> None:
        """Call `hook` of every plugin that implements it."""
        for manager in self._managers:
            plugins = [implementation.plugin for implementation in getattr(manager.hook, hook).get_hookimpls()]
            for plugin in plugins:
                caller = manager.subset_hook_caller(hook, [each for each in plugins if each is not plugin])
                try:
                    caller(**facts)
                except Exception:
                    import logging

                    logging.getLogger("homie_migrations").exception("An observer failed in %s; the run goes on.", hook)
