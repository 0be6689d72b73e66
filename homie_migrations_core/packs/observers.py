"""
Call plugins and observers during a run, through the hooks of `packs/hookspecs.py`.

When which hook is called is decided in `running/`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pluggy

from homie_migrations_core.forking import no_child_returns
from homie_migrations_core.packs.plugins import HOOKS, PACKS_HOOK, new_manager, register
from homie_migrations_core.stopping import ends_the_run

OBSERVING_HOOKS = HOOKS - {PACKS_HOOK, "homie_database_path"}
"""The hooks that are called during a run."""

_log = logging.getLogger("homie_migrations")


class Observers:
    """The observers of a run. One that raises an exception is logged, and affects neither the run nor the others."""

    def __init__(self, manager: pluggy.PluginManager | None, others: Iterable[object] = ()) -> None:
        self._managers = [manager] if manager else []
        observers = list(others)
        if not observers:  # as in a fleet: a manager takes a quarter of a millisecond
            return
        own = new_manager()
        for each in observers:
            register(own, each)
        if own.get_plugins():
            self._managers.append(own)

    def tell(self, hook: str, **facts: object) -> None:
        """Call the hook of every plugin that implements it, one after the other."""
        for manager in self._managers:
            plugins = [implementation.plugin for implementation in getattr(manager.hook, hook).get_hookimpls()]
            for plugin in plugins:
                caller = manager.subset_hook_caller(hook, [each for each in plugins if each is not plugin])
                try:
                    with no_child_returns():
                        caller(**facts)
                except BaseException as error:
                    if ends_the_run(error):
                        raise
                    _log.exception("An observer failed in %s; the run continues.", hook)
