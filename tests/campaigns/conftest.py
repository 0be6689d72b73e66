"""Fixtures of the campaigns: a pool of worker processes, and a folder in memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from campaigns.worker_pool import WorkerPool


@pytest.fixture(scope="module")
def worker_pool() -> Iterator[WorkerPool]:
    with WorkerPool() as worker_pool:
        yield worker_pool


@pytest.fixture
def memory_folder() -> Iterator[Path]:
    """A folder in memory where possible: a kill loses nothing that the kernel holds, so no disk is needed."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        yield Path(folder)
