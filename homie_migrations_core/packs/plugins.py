"""
The plugins of the installed distributions: which hooks of `packs/hookspecs.py` each implements, and a manager to call them.

Which modules are plugins is found out in `packs/discovery.py`.
"""

from __future__ import annotations

from types import FunctionType, MethodType, ModuleType

from homie_migrations_core.packs import hookspecs
from homie_migrations_core.packs.definition import MigrationPack
from homie_migrations_core.packs.files import UnusablePack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from typing import Any

    import pluggy

HOOKS = frozenset(name for name in vars(hookspecs) if name.startswith(hookspecs.PREFIX))
PACKS_HOOK = "homie_migration_packs"


class Plugins:
    """
    Plugins in the order in which they were registered.

    Nearly every plugin is a plain module: its hooks are functions marked with `@hookimpl` and no option that changes what a
    call means. What pluggy would check and find there is known without it, so pluggy is imported, and told of all of them, when
    another one is registered or the manager is asked for. Both ways give the same packs, errors, names and order of calls.
    """

    def __init__(self) -> None:
        self._plain: dict[str, tuple[ModuleType, dict[str, Callable[..., Any]]]] = {}
        self._manager: pluggy.PluginManager | None = None

    @property
    def manager(self) -> pluggy.PluginManager:
        """The plugin manager with all plugins that have been registered."""
        if self._manager is None:
            manager = new_manager()
            for plugin, _ in self._plain.values():
                register(manager, plugin)
            self._manager = manager
        return self._manager

    def manager_for(self, hooks: Collection[str]) -> pluggy.PluginManager | None:
        """Return the plugin manager, or None if no plugin implements one of the hooks."""
        if self._manager is None and not any(hook in found for _, found in self._plain.values() for hook in hooks):
            return None
        return self.manager

    def register(self, plugin: object) -> None:
        """
        Register a plugin, so that its hooks are called from now on. Do nothing if it is registered already.

        Raises:
            UnusablePack: It implements no hook, or one that does not exist.
        """
        if self._manager is None:
            if any(plugin is each for each, _ in self._plain.values()):
                return
            if type(plugin) is ModuleType and plugin.__name__ and plugin.__name__ not in self._plain:
                hooks = _hooks_of_plain_module(plugin)
                if hooks:
                    self._plain[plugin.__name__] = plugin, hooks
                    return
        if not self.manager.is_registered(plugin):
            register(self.manager, plugin)

    def packs_of(self, plugin: object) -> list[MigrationPack]:
        """
        Return the packs that a registered plugin hands over.

        Raises:
            UnusablePack: It hands over something else.
        """
        packs: list[MigrationPack] = []
        for function in self._functions_for_packs(plugin):
            answer: Any = function()
            for pack in [answer] if isinstance(answer, MigrationPack) or not isinstance(answer, list | tuple) else answer:
                if not isinstance(pack, MigrationPack):
                    raise UnusablePack(f"homie_migration_packs() returned {pack!r}, which is not a MigrationPack")
                packs.append(pack)
        return packs

    def _functions_for_packs(self, plugin: object) -> Iterable[Callable[[], object]]:
        if self._manager is None:
            return [found[PACKS_HOOK] for each, found in self._plain.values() if each is plugin and PACKS_HOOK in found]
        hook = self._manager.hook.homie_migration_packs
        return [each.function for each in hook.get_hookimpls() if each.plugin is plugin]


def new_manager() -> pluggy.PluginManager:
    """Return a plugin manager that knows the hooks and holds no plugin."""
    import pluggy

    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def register(manager: pluggy.PluginManager, plugin: object) -> None:
    """
    Register a plugin, so that its hooks are called from now on.

    Raises:
        UnusablePack: It implements no hook, or one that does not exist.
    """
    named = [each for each in dir(plugin) if each.startswith(hookspecs.PREFIX)]
    if unknown := [each for each in named if each not in HOOKS and _is_hook(plugin, each)]:
        raise UnusablePack(f"it implements {', '.join(unknown)}, but there is no such hook")
    if bare := [each for each in named if each in HOOKS and not _is_hook(plugin, each)]:
        raise UnusablePack(f"its {', '.join(bare)} is not marked with @hookimpl")
    try:
        manager.register(plugin)
        manager.check_pending()
    except Exception as error:
        if manager.is_registered(plugin):
            manager.unregister(plugin)
        raise UnusablePack(str(error)) from error
    if not manager.get_hookcallers(plugin):
        manager.unregister(plugin)
        raise UnusablePack("it implements no hook of homie_migrations")


def _is_hook(plugin: object, name: str) -> bool:
    return hasattr(getattr(plugin, name, None), hookspecs.IMPLEMENTATION_MARK)


# --- without pluggy -----------------------------------------------------------------------------------------------

_ORDERING = frozenset(("tryfirst", "trylast"))
"""The options of a hook that only concern in which order pluggy calls it."""


def _hooks_of_plain_module(module: ModuleType) -> dict[str, Callable[..., Any]] | None:
    """
    Return the functions of a module that implement hooks, by hook; None if pluggy has to look at it, or would refuse it.

    A module is plain if pluggy would find these hooks and no others, and accept them.
    """
    if "__dir__" in vars(module):
        return None
    hooks: dict[str, Callable[..., Any]] = {}
    for name, value in list(vars(module).items()):
        # Of the type alone, because a module may hold a stand-in that runs code when it is asked for anything.
        may_be_marked = issubclass(type(value), FunctionType | MethodType | staticmethod | classmethod)
        options = getattr(value, hookspecs.IMPLEMENTATION_MARK, None) if may_be_marked else None
        if options is not None:
            if not (name in HOOKS and type(value) is FunctionType and _is_plain(value, options, getattr(hookspecs, name))):
                return None
            hooks[name] = value
        elif name.startswith(hookspecs.PREFIX) and (name in HOOKS or _is_hook(module, name)):
            return None
    return hooks


def _is_plain(function: FunctionType, options: object, specification: FunctionType) -> bool:
    """Tell whether a marked function implements the hook of its name, with arguments of the hook, and wraps nothing."""
    if not (isinstance(options, dict) and {key for key, value in options.items() if value} <= _ORDERING):
        return False
    if function.__defaults__ or hasattr(function, "__wrapped__"):
        return False
    return set(_arguments(function)) <= set(_arguments(specification))


def _arguments(function: FunctionType) -> tuple[str, ...]:
    return function.__code__.co_varnames[: function.__code__.co_argcount]
