"""What the tests of the checks share."""

from __future__ import annotations

from pathlib import Path

import pytest
from checked_packs import NOTES
from helpers import python_migration, write_pack

from homie_migrations_core.authoring.check import Checked, check_pack


@pytest.fixture
def checked(tmp_path: Path):
    """Check a pack that begins with NOTES and goes on with a second migration of these bodies."""

    def check(apply: str, rollback: str | None = None, *, first: str = NOTES, **more: str) -> Checked:
        files = {"001_notes.py": first, "002_second.py": python_migration(2, apply, rollback=rollback), **more}
        return check_pack(write_pack(tmp_path / "p", "p", files))

    return check
