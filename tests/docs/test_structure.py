"""The page about the structure of the code, and CONTRIBUTING.md, name files that exist, and every room."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pages.reading import ROOT, text_of

import homie_migrations_core

PACKAGE = Path(homie_migrations_core.__file__).parent
PAGE = "docs/explanation/structure.md"
FILE = re.compile(r"`([\w./]+(?:\.py|/))`")


def rooms() -> list[str]:
    """Return the folders and modules directly below the package."""
    folders = [f"{each.name}/" for each in PACKAGE.iterdir() if each.is_dir() and each.name != "__pycache__"]
    return sorted(folders + [each.name for each in PACKAGE.glob("*.py") if not each.name.startswith("__")])


@pytest.mark.parametrize("room", rooms())
def test_every_room_is_on_the_page(room: str):
    assert f"`{room}`" in text_of(PAGE)


@pytest.mark.parametrize("page", [PAGE, "CONTRIBUTING.md"])
def test_every_file_that_is_named_exists(page: str):
    named = [name for name in FILE.findall(text_of(page)) if not name.endswith("__init__.py")]
    assert named
    assert not [name for name in named if not (PACKAGE / name).exists() and not (ROOT / name).exists()]
