"""The list of what grows, with its sizes."""

from __future__ import annotations

from functools import partial

from benchmarks.scale import coordinator, growing_databases, growing_fleets, growing_packs
from benchmarks.scale.rounds import Axis

FILES, FEW_FILES = 1_000, 12
SECONDS, RATE = "seconds", "databases a second"
LARGEST = 10_000_000
"""Rows. Ten times as many would take longer than two minutes."""


def axes(*, small: bool = False) -> dict[str, Axis]:
    """Return the axes by name. `small` is for a try of the program, whose numbers mean nothing."""
    files = FEW_FILES if small else FILES

    dask = partial(growing_fleets.dask_workers, files=files)

    def sizes(*all_of_them: int) -> tuple[int, ...]:
        return all_of_them[:2] if small else all_of_them

    found = (
        Axis("migrations", "migrations of a pack", SECONDS, sizes(10, 100, 1_000, 10_000), growing_packs.migrations),
        Axis("packs", "packs of a database", SECONDS, sizes(1, 10, 50, 200), growing_packs.packs),
        Axis("tables", "tables of the application", SECONDS, sizes(10, 100, 1_000, 10_000), growing_databases.tables),
        Axis("rows", "rows of a table", SECONDS, sizes(1_000, 10_000, 100_000, 1_000_000, LARGEST), growing_databases.rows),
        Axis("bytes", "megabytes of a database", SECONDS, sizes(1, 10, 100, 1_000), growing_databases.megabytes),
        Axis("files", "files of a fleet", SECONDS, sizes(10, 100, 1_000, 10_000), growing_fleets.files),
        Axis("workers", "processes or threads", RATE, sizes(1, 2, 4, 8), partial(growing_fleets.workers, files=files)),
        Axis("machines", "Dask workers, all on one machine", RATE, sizes(1, 2, 4), dask),
        Axis("outcomes", "files of a fleet", "outcomes a second", sizes(1_000, 10_000, 100_000), coordinator.outcomes),
        Axis("memory", "files of a fleet", "MB", sizes(1_000, 10_000, 100_000, 1_000_000), coordinator.memory),
    )
    return {axis.name: axis for axis in found}
