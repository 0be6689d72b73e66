"""
The `with` blocks of `DatabaseFile` that reading has no need of: holding the write lock, and replaying in memory.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from homie_migrations_core.sqlite.holders import tell_waiting
from homie_migrations_core.sqlite.scratch import off_limits
from homie_migrations_core.sqlite.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from homie_migrations_core.stopping import StopRequest


@contextlib.contextmanager
def locked(
    path: str, lock_timeout: float, stop: StopRequest, stopping: contextlib.AbstractContextManager[None]
) -> Iterator[Writer]:
    """Hold the write lock of the file. Raises as `DatabaseFile.locked`."""
    writer = Writer(path, lock_timeout=lock_timeout, stop=stop, waiting=lambda: tell_waiting(path), create=False)
    try:
        with stopping:
            writer.begin()
            yield writer
    finally:
        writer.close()


@contextlib.contextmanager
def replaying(path: str, stopping: contextlib.AbstractContextManager[None]) -> Iterator[None]:
    """Keep migrations that are only tried in memory from opening the file by themselves."""
    with stopping, off_limits(path):
        yield
