"""Measuring: at each size every kind of work runs in turns, in random order, for a few rounds or as long as there is time."""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scale.results import Line, Point

ROUNDS = 5
SECONDS_A_SIZE = 8.0
"""After these no new round begins."""
LONGEST = 120.0
"""Seconds. A size whose single round would take longer, as it seems from the size before, is left out with all larger ones."""


@dataclass(frozen=True)
class Work:
    """One kind of work at one size. `run` does it once and returns what is measured: seconds, or a rate."""

    name: str
    run: Callable[[], float]
    beside: str | None = None
    """The name of the floor that does the same."""
    floor: bool = False
    """Whether it uses no library."""


@dataclass(frozen=True)
class Axis:
    """What grows, and what is done at each size."""

    name: str
    size: str
    """What the horizontal axis counts."""
    unit: str
    """What is measured: `seconds`, `databases a second`, `outcomes a second` or `MB`."""
    sizes: tuple[int, ...]
    work: Callable[[Path, int], AbstractContextManager[Sequence[Work]]]
    """Prepares the work of one size in a folder."""


def measure(axis: Axis, place: str | None, rng: random.Random, rounds: int = ROUNDS) -> tuple[Line, ...]:
    """Return the lines of an axis. Databases are made in a temporary folder in `place`."""
    points: dict[str, list[Point]] = {}
    known: dict[str, Work] = {}
    before, took = 0, 0.0
    for number, size in enumerate(axis.sizes):
        if before and took * size / before > LONGEST:
            print(f"{axis.name} {size:,}: left out, a round would take about {took * size / before:.0f} s", file=sys.stderr)
            break
        with tempfile.TemporaryDirectory(prefix="scale-", dir=place) as folder, axis.work(Path(folder), size) as work:
            if number == 0 and rounds > 1:
                for each in work:
                    each.run()  # what is imported only once belongs to no size
            began = time.monotonic()
            taken = _rounds(work, rng, rounds)
            for name, values in taken.items():
                points.setdefault(name, []).append(
                    Point(size, statistics.median(values), min(values), max(values), len(values)),
                )
            before, took = size, (time.monotonic() - began) / len(taken[work[0].name])
            known |= {each.name: each for each in work}
        assert {each.beside for each in work} <= {None, *known}, "a line is compared with one that is not there"
        _show(axis, size, points)
    return tuple(Line(name, tuple(found), known[name].beside, known[name].floor) for name, found in points.items())


def _rounds(work: Sequence[Work], rng: random.Random, rounds: int) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {each.name: [] for each in work}
    began = time.monotonic()
    for _ in range(rounds):
        for each in rng.sample(work, len(work)):
            taken[each.name].append(each.run())
        if time.monotonic() - began > SECONDS_A_SIZE:
            break
    return taken


def _show(axis: Axis, size: int, points: dict[str, list[Point]]) -> None:
    found = ", ".join(f"{name} {each[-1].value:.4g}" for name, each in points.items() if each[-1].size == size)
    print(f"{axis.name} {size:,} ({axis.unit}): {found}", file=sys.stderr, flush=True)
