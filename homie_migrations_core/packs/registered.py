"""
`RegisteredPack` and `Collected`: what is known of packs before any file of theirs is read.

Apart from `packs/discovery.py`, which makes them of entry points, because a start-up with packs of its own needs no plugins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from homie_migrations_core.broken import BrokenPack

if TYPE_CHECKING:
    import pluggy
    from importlib_metadata import EntryPoint

    from homie_migrations_core.packs.definition import MigrationPack


class RegisteredPack(NamedTuple):
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
        name = self.source.name if self.source else None
        return BrokenPack(reason, self.pack.name, self.pack.database, name, self.distribution, self.distribution_version)


class Collected(NamedTuple):
    """What the installed distributions register: packs, broken packs and entry points, and the plugins that observe runs."""

    packs: tuple[RegisteredPack, ...]
    broken: tuple[BrokenPack, ...]
    manager: pluggy.PluginManager


def distribution_of(entry_point: EntryPoint | None) -> tuple[str | None, str | None]:
    """Return the name and version of the distribution of an entry point, as far as they are known."""
    try:
        if entry_point is None or entry_point.dist is None:
            return None, None
        # `dist.name` loads the parser of the email package, which takes longer than everything else that a status needs.
        lines = (entry_point.dist.read_text("METADATA") or "").partition("\n\n")[0].splitlines()
        fields = {key: value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
        if "Name" in fields and "Version" in fields:
            return fields["Name"], fields["Version"]
        return entry_point.dist.name, entry_point.dist.version
    except Exception:  # damaged metadata is no reason not to use the pack
        return None, None
