"""`BrokenPack`: a pack that cannot be used, and why. Apart from `model.py`, because every start-up loads it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    from homie_migrations_core.values import dataclass


@dataclass(frozen=True, slots=True)
class BrokenPack:
    """An entry point that cannot be loaded, or a pack with an unusable file."""

    reason: str
    pack: str | None = None
    database: str | None = None
    entry_point: str | None = None
    distribution: str | None = None
    distribution_version: str | None = None

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reason, as a pack that is left out has several."""
        return (self.reason,)

    @property
    def label(self) -> str:
        """The name that messages use for it."""
        if self.pack is not None and (self.entry_point in (None, self.pack)):
            return self.pack
        if self.pack is not None:
            return f"{self.pack} (entry point {self.entry_point})"
        return f"entry point {self.entry_point}" if self.entry_point is not None else f"distribution {self.distribution}"
