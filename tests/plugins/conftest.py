"""Fixtures of the tests of the file organizer's distribution."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from path_memory_helpers import FILE


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def install(installed: Any) -> Callable[..., Path]:
    """Install another distribution with a pack for the file organizer's database, and return the pack's folder."""

    def install(name: str, files: dict[str, str], *, pack: str = "", database: str = FILE.name) -> Path:
        return installed.pack(pack or name, files, database=database, distribution=name)

    return install
