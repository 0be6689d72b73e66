"""The migrations of Homie's file organizer, and the manager that uses its database."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from file_organizer_migrations.path_memory import PathMemoryManager as PathMemoryManager
    from file_organizer_migrations.plugin import pack as pack

__version__ = "0.1.0"
__all__ = ["PathMemoryManager", "pack"]


if not TYPE_CHECKING:  # a type checker knows the names above, and no others

    def __getattr__(name: str) -> object:
        if name == "PathMemoryManager":
            from file_organizer_migrations.path_memory import PathMemoryManager

            return PathMemoryManager
        if name == "pack":
            from file_organizer_migrations.plugin import pack

            return pack
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
