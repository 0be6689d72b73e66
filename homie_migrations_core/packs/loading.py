"""
Load one migration's file to run it, from the very bytes that were read and checked.

Reading a file without running it is `packs/reading.py`'s job, and calling the functions `running/execution.py`'s.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
import types
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from typing import Any, NamedTuple

from homie_migrations_core.model import Migration
from homie_migrations_core.packs.files import UnusablePack
from homie_migrations_core.packs.reading import APPLY, ROLLBACK, VERIFY, VERSION_FUNCTION, requirements

_loading = threading.RLock()
"""Held while a file is run: it stands in `sys.modules` meanwhile, and another thread may run it for another database."""


class Loaded(NamedTuple):
    """The functions of a Python migration, once its file has been run."""

    apply: Callable[..., Any]
    rollback: Callable[..., Any] | None
    verify: Callable[..., Any] | None


@functools.lru_cache(maxsize=64)
def _compiled(content: bytes, path: str) -> types.CodeType:
    """Compile a file, once for the databases of a fleet."""
    return compile(content, path, "exec", dont_inherit=True)


def compile_ahead(migration: Migration) -> None:
    """Compile a file that will soon be loaded. What is wrong with it is raised when it is."""
    with contextlib.suppress(Exception):
        _compiled(migration.content, str(migration.path))


def load(migration: Migration, package: str | None) -> Loaded:
    """
    Run a Python migration's file, and return its functions.

    What runs is `migration.content`, the bytes of which the checksum was made, not what the file may contain by now.

    Raises:
        UnusablePack: The file does not define what the rules ask for.
        BaseException: Whatever the file itself raises.
    """
    name = f"{package}.{migration.name}" if package else f"_homie_{migration.pack}_{migration.name}"
    # As importlib would make it, in a tenth of the time; there is no loader, because nothing is read again.
    module = types.ModuleType(name)
    module.__spec__ = ModuleSpec(name, None, origin=str(migration.path))
    module.__spec__.has_location = True
    module.__file__, module.__package__ = str(migration.path), package or ""
    code = _compiled(migration.content, str(migration.path))
    with _loading:
        before = sys.modules.get(name)
        sys.modules[name] = module  # dataclasses and pickling look their module up while it runs
        try:
            exec(code, module.__dict__)
        finally:
            if before is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = before
    functions = {each: getattr(module, each, None) for each in (VERSION_FUNCTION, APPLY, ROLLBACK, VERIFY)}
    for required in (VERSION_FUNCTION, APPLY):
        if functions[required] is None:
            raise UnusablePack(f"{migration.path.name} has no {required}()")
    for each, function in functions.items():
        if function is not None and not callable(function):
            raise UnusablePack(f"{migration.path.name} binds {each} to something that can't be called")
    version = module.get_migration_version()
    if type(version) is not int or version != migration.version:
        raise UnusablePack(f"{migration.path.name} returns {version!r} as its version, but its file name says {migration.version}")
    requires = getattr(module, "REQUIRES", ())
    if set(requirements(requires)[0]) != set(migration.requires):
        raise UnusablePack(f"{migration.path.name} computes its REQUIRES while it runs ({requires!r}); write it as a literal")
    return Loaded(functions[APPLY], functions[ROLLBACK], functions[VERIFY])  # type: ignore[arg-type]
