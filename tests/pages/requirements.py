"""What the pages need in the development environment: with other packages, their commands print something else."""

from __future__ import annotations

import importlib.metadata
import tomllib

from packaging.requirements import Requirement

from pages.reading import text_of


def unmet() -> list[str]:
    """Return the requirements of the extra `test` that are not installed in the version that it names."""
    extras = tomllib.loads(text_of("pyproject.toml"))["project"]["optional-dependencies"]
    required = [Requirement(line) for line in extras["test"]]
    return [str(each) for each in required if (each.marker is None or each.marker.evaluate()) and not _is_installed(each)]


def _is_installed(requirement: Requirement) -> bool:
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return requirement.specifier.contains(version, prereleases=True)
