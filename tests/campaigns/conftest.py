"""What the campaigns share: a crew that works, and a place that is fast."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from campaigns.crew import Crew


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    with Crew() as crew:
        yield crew


@pytest.fixture
def ram() -> Iterator[Path]:
    """A folder in memory, where that can be had: a killed process loses nothing that the kernel has, so no disk is needed."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        yield Path(folder)
