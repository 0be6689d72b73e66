"""What the tests of other tools share."""

from __future__ import annotations

import pytest
from end_to_end.other_tools import IMPORTED, Commands, Projects
from preloaded import PreloadedPython


@pytest.fixture(scope="session")
def commands():
    """Run `homie`, `python` and the commands of other tools."""
    with PreloadedPython(*IMPORTED) as python:
        yield Commands(python)


@pytest.fixture(scope="session")
def projects(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Projects:
    """Copy a project of another tool with its database at a version."""
    return Projects(commands, tmp_path_factory.mktemp("projects").resolve())
