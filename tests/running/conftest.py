"""Fixtures of the tests of runs and rehearsals: databases that hold something, and packs for them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import python_migration, run_sql, write_pack
from running.execution_helpers import MODES
from running.rehearsal_helpers import REAL_DATA

from homie_migrations_core import MigrationPack


@pytest.fixture(params=MODES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A database that holds a table, so that each step has a transaction of its own."""
    path = tmp_path / "homie_p.db"
    run_sql(path, f"PRAGMA journal_mode={request.param}; CREATE TABLE t (a); INSERT INTO t VALUES (1);")
    return path


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    """A folder with nothing in it but the database."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def database(data_folder: Path) -> Path:
    """A database with real rows in it, made by the application itself."""
    path = data_folder / "homie_p.db"
    run_sql(path, REAL_DATA)
    return path


@pytest.fixture
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary_folder files, for this test alone."""
    folder = tmp_path / "temporary_folder"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def pack(tmp_path: Path) -> Callable[..., MigrationPack]:
    """A pack of these migrations: the code of `apply_migration`, or of a whole file."""

    def make(*bodies: str, **files: str) -> MigrationPack:
        made = {
            f"{number:03}_m{number}.py": body if "def " in body else python_migration(number, body)
            for number, body in enumerate(bodies, start=1)
        }
        made |= {name.removeprefix("m").replace("__", "."): content for name, content in files.items()}
        return write_pack(tmp_path / "pack", "p", made)

    return make
