"""What the tests of packs share: one file that is read, packages that can be imported, a pack in a folder."""

from __future__ import annotations

import sys

import pytest
from helpers import creates, write_pack

from homie_migrations_core import MigrationPack
from homie_migrations_core.model import Migration
from homie_migrations_core.packs.reading import read_pack


@pytest.fixture
def read(tmp_path):
    """Read one Python migration, 001_a.py, from its source."""

    def read_one(source: str | bytes) -> Migration:
        folder = tmp_path / "pack"
        folder.mkdir(exist_ok=True)
        (folder / "001_a.py").write_bytes(source.encode() if isinstance(source, str) else source)
        return read_pack(MigrationPack("p", folder)).migrations[0]

    return read_one


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Make packages that can be imported, for this test only."""
    monkeypatch.syspath_prepend(tmp_path / "site")
    before = set(sys.modules)

    def make(name: str, files: dict[str, str], *, init: str | None = "") -> MigrationPack:
        folder = tmp_path / "site" / name.replace(".", "/")
        write_pack(folder, "p", files)
        if init is not None:
            for parent in [folder, *folder.parents][: name.count(".") + 1]:
                (parent / "__init__.py").write_text(init if parent == folder else "")
        return MigrationPack("p", name)

    yield make
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def pack(tmp_path) -> MigrationPack:
    return write_pack(tmp_path / "p", "p", {"001_a.py": creates(1, "a"), "002_b.py": creates(2, "b")})
