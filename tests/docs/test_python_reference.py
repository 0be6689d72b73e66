"""Every public name has an entry in the reference of the Python interface, which the site fills with its docstring."""

from __future__ import annotations

import importlib
import re
from types import ModuleType

import pytest
from pages.reading import blocks, text_of

import homie_migrations_core

PAGE = "docs/reference/python.md"
# The docstring of the package names the public modules beside it.
MODULES = [f"homie_migrations_core.{name}" for name in re.findall(r"`(\w+)`", homie_migrations_core.__doc__)]
PUBLIC = ["homie_migrations_core", *MODULES, "file_organizer_migrations"]


def public_names(module: ModuleType) -> set[str]:
    """Return what a module says is public, or else what it defines under a name without an underscore."""
    if hasattr(module, "__all__"):
        return set(module.__all__)
    return {name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__ and name[0] != "_"}


def documented() -> list[tuple[str, str]]:
    """Return the module and the name of each entry on the page."""
    found = re.findall(r"^```\{api\} ([\w.]+)\n(.*?)^```$", text_of(PAGE), re.MULTILINE | re.DOTALL)
    return [(module, name) for module, names in found for name in names.split()]


def test_the_public_modules_are_found():
    assert {"errors", "compat", "testing"} <= {name.rpartition(".")[2] for name in MODULES}


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_in_the_reference(module: str):
    # What the errors' root and others share with the package has one entry, so that links to it are not ambiguous.
    elsewhere = set() if module == PUBLIC[0] else {name for home, name in documented() if home == PUBLIC[0]}
    here = {name for home, name in documented() if home == module}
    loaded = importlib.import_module(module)
    same = {name for name in elsewhere if getattr(loaded, name, None) is getattr(homie_migrations_core, name)}
    assert public_names(loaded) - same == here


def test_the_reference_has_each_name_once_and_each_has_a_docstring():
    entries = documented()
    assert (
        len(set(entries)) == len(entries) == sum(len(each.body.split()) for each in blocks(text_of(PAGE)) if each.kind == "{api}")
    )
    assert not [name for module, name in entries if not getattr(importlib.import_module(module), name).__doc__]
