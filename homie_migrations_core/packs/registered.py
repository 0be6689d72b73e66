"""
`RegisteredPack` and `Collected`: what is known of packs before any file of theirs is read.

Apart from `packs/discovery.py`, which makes them of entry points, because a start-up with packs of its own needs no plugins.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from dataclasses import dataclass

    import pluggy

    from homie_migrations_core.broken import BrokenPack
    from homie_migrations_core.packs.definition import MigrationPack
    from homie_migrations_core.packs.entry_points import EntryPoint
    from homie_migrations_core.packs.plugins import Plugins
else:
    from homie_migrations_core.values import dataclass


@dataclass(frozen=True, slots=True)
class RegisteredPack:
    """
    A pack as a plugin registered it; its files have been found, and none of them read.

    The name and version of its distribution are read from the metadata when they are asked for.
    """

    pack: MigrationPack
    folder: str
    source: EntryPoint | None = None

    @property
    def distribution(self) -> str | None:
        """The name of the distribution that registered it, if there is one."""
        return distribution_of(self.source)[0]

    @property
    def distribution_version(self) -> str | None:
        """The version of the distribution that registered it, if there is one."""
        return distribution_of(self.source)[1]

    def broken(self, reason: str) -> BrokenPack:
        """Return the same pack as one that cannot be used, and why."""
        from homie_migrations_core.broken import BrokenPack

        name = self.source.name if self.source else None
        return BrokenPack(reason, self.pack.name, self.pack.database, name, self.distribution, self.distribution_version)


@dataclass(frozen=True, slots=True)
class Collected:
    """What the installed distributions register: packs, broken packs and entry points, and the plugins that observe runs."""

    packs: tuple[RegisteredPack, ...]
    broken: tuple[BrokenPack, ...]
    plugins: Plugins

    @property
    def manager(self) -> pluggy.PluginManager:
        """The plugin manager of pluggy, with every plugin. It is made when it is first asked for."""
        return self.plugins.manager

    def manager_for(self, hooks: Collection[str]) -> pluggy.PluginManager | None:
        """Return the plugin manager, or None if no plugin implements one of the hooks."""
        return self.plugins.manager_for(hooks)


def distribution_of(entry_point: EntryPoint | None) -> tuple[str | None, str | None]:
    """Return the name and version of the distribution of an entry point, as far as they are known."""
    try:
        if entry_point is None or entry_point.dist is None:
            return None, None
        # `dist.name` loads the parser of the email package, which takes longer than everything else that a status needs.
        lines = (
            (entry_point.dist.read_text("METADATA") or entry_point.dist.read_text("PKG-INFO") or "")
            .partition("\n\n")[0]
            .splitlines()
        )
        fields = {key: value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
        if "Name" in fields and "Version" in fields:
            return fields["Name"], fields["Version"]
        return entry_point.dist.name, entry_point.dist.version
    except Exception:  # damaged metadata is no reason not to use the pack
        return None, None
