"""
The versions that `homie --version` reports. Reads metadata only; no pack is loaded.
"""

from __future__ import annotations

from homie_migrations_core.packs.discovery import installed_distributions

CORE = "homie-migrations-core"


def version_lines() -> list[str]:
    """Return a line for the core, and one for each distribution that registers an entry point, broken ones too."""
    versions = installed_distributions()
    core = versions.pop(CORE, None) or core_version() or "(unknown version)"
    return [f"{CORE} {core}", *(f"{name} {version or '(unknown version)'}" for name, version in sorted(versions.items()))]


def core_version() -> str | None:
    """Return the version of the core; None if it is run from a checkout that is not installed."""
    from importlib_metadata import PackageNotFoundError, version

    try:
        return version(CORE)
    except PackageNotFoundError:
        return None
