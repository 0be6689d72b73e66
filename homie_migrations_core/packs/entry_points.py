"""
Read which entry points of a group the installed distributions declare. Loading them is left to `packs/discovery.py`.

Importing importlib-metadata takes several times as long as looking at the same files, so where everything on `sys.path` is a
plain folder its answer is worked out here: of the same distributions, in the same order. Wherever something may only be known
to importlib-metadata (a zip file, an egg, a finder of someone's own, a file that can't be read or parsed) it is asked instead.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, TypeAlias

    import importlib_metadata

    EntryPoint: TypeAlias = "InstalledEntryPoint | importlib_metadata.EntryPoint"

_METADATA = ("METADATA", "PKG-INFO")
_SUFFIXES = (".dist-info", ".egg-info")


class InstalledDistribution:
    """A distribution whose metadata is in a folder."""

    __slots__ = ("folder",)

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def read_text(self, file_name: str) -> str | None:
        """
        Return the content of a file of the metadata; None if there is no such file, or it may not be read.

        Raises:
            OSError, UnicodeDecodeError: It can't be read.
        """
        content = _content(os.path.join(self.folder, file_name))
        return None if content is None else content.decode("utf-8")

    @property
    def name(self) -> str:
        """The name, as importlib-metadata reads it."""
        from importlib_metadata import Distribution

        return Distribution.at(self.folder).name

    @property
    def version(self) -> str:
        """The version, as importlib-metadata reads it."""
        from importlib_metadata import Distribution

        return Distribution.at(self.folder).version


class InstalledEntryPoint:
    """An entry point of a distribution whose metadata is in a folder. It equals another one of the same name, value and group."""

    __slots__ = ("dist", "group", "name", "value")

    def __init__(self, name: str, value: str, group: str, dist: InstalledDistribution) -> None:
        self.name, self.value, self.group, self.dist = name, value, group, dist

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, InstalledEntryPoint):
            return NotImplemented
        return (self.name, self.value, self.group) == (other.name, other.value, other.group)

    def __hash__(self) -> int:
        return hash((self.name, self.value, self.group))

    def __repr__(self) -> str:
        return f"EntryPoint(name={self.name!r}, value={self.value!r}, group={self.group!r})"

    def load(self) -> Any:
        """Import the module that the entry point names, and return it, or the object in it."""
        module, colon, attributes = self.value.partition(":")
        if not (_is_dotted_name(module) and (not colon or _is_dotted_name(attributes))):
            from importlib_metadata import EntryPoint  # it knows spaces and extras, and how to say that a value is invalid

            return EntryPoint(self.name, self.value, self.group).load()
        found = __import__(module, fromlist=("__name__",))  # returns the module itself, not its topmost package
        for attribute in attributes.split(".") if colon else ():
            found = getattr(found, attribute)
        return found


class _NotSure(Exception):
    """Only importlib-metadata can tell."""


def entry_points_in_folders(group: str) -> list[InstalledEntryPoint] | None:
    """Return the entry points of `group` of all installed distributions; None if only importlib-metadata can tell."""
    try:
        _require_known_finders()
        return [each for folder in _metadata_folders() for each in _entry_points_of(folder, group)]
    except (_NotSure, OSError, ValueError):  # UnicodeDecodeError is a ValueError, and so is a path with a null character
        return None


def _require_known_finders() -> None:
    """Make sure that nothing but the standard library's path finder, or the one that takes its place, finds distributions."""
    for finder in sys.meta_path:
        if not hasattr(finder, "find_distributions"):
            continue
        kind = finder if isinstance(finder, type) else type(finder)
        if (kind.__module__, kind.__name__) not in _KNOWN_FINDERS:
            raise _NotSure


_KNOWN_FINDERS = {("_frozen_importlib_external", "PathFinder"), ("importlib_metadata", "MetadataPathFinder")}


def _metadata_folders() -> Iterator[str]:
    """Yield the folder, or the file, that holds the metadata of each distribution; of one found twice the first counts."""
    folders: dict[str, str] = {}
    places: list[object] = [*sys.path]
    for place in places:
        if not isinstance(place, str) or place.lower().rstrip("/\\").endswith(".egg"):
            raise _NotSure
        try:
            names = os.listdir(place or os.curdir)
        except FileNotFoundError:
            continue
        inside = os.path.join(place, "")
        for name in names:
            if name[-5:].lower() != "-info":
                continue
            if not name.endswith(_SUFFIXES):
                if name.lower().endswith(_SUFFIXES):
                    raise _NotSure
                continue
            key = _normalized(name[: name.rindex(".")].partition("-")[0])
            if key not in folders:
                folders[key] = inside + name
            elif not any(_size(os.path.join(folders[key], each)) for each in _METADATA):
                raise _NotSure  # a remainder of an installation counts less than a distribution with metadata
    yield from folders.values()


def _entry_points_of(folder: str, group: str) -> Iterator[InstalledEntryPoint]:
    content = _content(f"{folder}{os.sep}entry_points.txt")
    if not content:
        return
    text = content.decode("utf-8")
    if group not in text:
        return
    section = None
    for line in map(str.strip, text.splitlines()):
        if not line or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            section = line.strip("[]")
            continue
        name, equals, value = line.partition("=")
        if section is not None and not equals:
            raise _NotSure
        if section == group:
            yield InstalledEntryPoint(name.strip(), value.strip(), group, InstalledDistribution(folder))


def _content(path: str) -> bytes | None:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError):
        return None


def _size(path: str) -> int:
    return os.path.getsize(path) if os.path.isfile(path) else 0


def _normalized(name: str) -> str:
    """Return the name of a distribution as `_metadata_folders` compares it: https://peps.python.org/pep-0503/."""
    name = name.lower().replace(".", "_")
    while "__" in name:
        name = name.replace("__", "_")
    return name


def _is_dotted_name(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))
