"""
Find the folder of a pack's files and list their names. No file is opened here.
"""

from __future__ import annotations

import os
import sys

from homie_migrations_core.packs import naming

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from pathlib import Path


class UnusablePack(Exception):
    """Why a pack cannot be used. Never leaves the library: it becomes the reason of a `BrokenPack`."""


def folder_of(migrations: str | Path) -> str:
    """
    Return the folder that holds a pack's files. The parents of a package are imported, the package itself is not.

    Raises:
        UnusablePack: There is no such package or folder.
    """
    if not isinstance(migrations, str) or os.path.isabs(migrations):  # no name of a package is an absolute path
        if not os.path.isdir(migrations):
            raise UnusablePack(f"its folder {migrations} does not exist or is not a folder")
        return os.path.abspath(migrations)
    try:
        spec = _find_package(migrations)
    except BaseException as error:  # a parent package of the pack's may raise anything while it is imported
        from homie_migrations_core.stopping import ends_the_run

        if ends_the_run(error):
            raise
        raise UnusablePack(f"its package {migrations} can't be found ({type(error).__name__}: {error})") from error
    places = list(spec.submodule_search_locations or ()) if spec else []
    found = list({os.path.realpath(place): place for place in places if os.path.isdir(place)}.values())
    if not found:
        raise UnusablePack(f"its package {migrations} is not installed as a folder of files")
    if len(found) > 1:  # without an __init__.py it is whatever has that name on sys.path
        raise UnusablePack(f"its package {migrations} is in more than one folder ({', '.join(found)}); give it an __init__.py")
    return os.path.abspath(found[0])


def _find_package(name: str) -> ModuleSpec | None:
    """Return what `importlib.util.find_spec` returns. Importing that takes longer than everything else here."""
    parent = name.rpartition(".")[0]
    finders = [getattr(each, "find_spec", None) for each in sys.meta_path]
    if name not in sys.modules and not name.startswith(".") and None not in finders:
        path = getattr(__import__(parent, fromlist=("__path__",)), "__path__", None) if parent else None
        if name not in sys.modules and (path is not None or not parent):  # its parent may have imported it
            found = (find(name, path, None) for find in finders if find is not None)
            return next((spec for spec in found if spec is not None), None)
    import importlib.util

    return importlib.util.find_spec(name)


def list_files(folder: str) -> tuple[dict[int, str], dict[int, str], list[str]]:
    """
    Return the migrations and rollback scripts in a folder, by version, and every problem with their names.

    Raises:
        UnusablePack: The folder can't be listed.
    """
    try:
        return naming.sort_files(os.listdir(folder))
    except OSError as error:
        raise UnusablePack(f"its folder {folder} can't be read ({error.strerror})") from error
