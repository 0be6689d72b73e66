"""
The law of a line: a constant, a part for each, and a part for each pair, as few of them as describe it.

Small sizes count as much as large ones: what is made small is the relative distance of each point from the law.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.scale.results import Point

NEAR, FAR = 0.2, 0.35
"""A law with fewer parts is preferred if no point is further from it than NEAR; one that is further than FAR describes nothing."""


@dataclass(frozen=True)
class Law:
    """`constant + each * size + square * size²`, and how far the furthest point is from it, as a part of that point."""

    constant: float
    each: float
    square: float
    distance: float

    def at(self, size: float) -> float:
        """Return the value at a size."""
        return self.constant + self.each * size + self.square * size**2

    def growth(self, size: float) -> float:
        """Return what each one adds to the constant, on average up to a size."""
        return self.each + self.square * size


def fitted(points: Sequence[Point]) -> Law:
    """Return the law with the fewest parts that is near to the points, or else the nearest one. No part is negative."""
    nearest = None
    for parts in range(1, min(3, len(points)) + 1):
        laws = [law for powers in itertools.combinations(range(3), parts) if (law := _law(points, powers)) is not None]
        best = min([*laws, *([nearest] if nearest else [])], key=lambda law: law.distance)
        if best.distance <= NEAR:
            return best
        nearest = best
    assert nearest is not None, "a constant is always possible"
    return nearest


def _law(points: Sequence[Point], powers: Sequence[int]) -> Law | None:
    """Return the law with these powers of the size that has the least squares of relative distances; None if a part is negative."""
    largest = max(point.size for point in points)
    rows = [[(point.size / largest) ** power / point.value for power in powers] for point in points]
    sums = [[sum(row[i] * row[j] for row in rows) for j in range(len(powers))] for i in range(len(powers))]
    found = _solved(sums, [sum(row[i] for row in rows) for i in range(len(powers))])
    if found is None or min(found) < 0:
        return None
    parts = {power: value / largest**power for power, value in zip(powers, found, strict=True)}
    law = Law(parts.get(0, 0.0), parts.get(1, 0.0), parts.get(2, 0.0), 0.0)
    return Law(law.constant, law.each, law.square, max(abs(law.at(point.size) / point.value - 1) for point in points))


def _solved(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> list[float] | None:
    """Solve a system of linear equations. None if it has no single solution."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for column in range(len(rows)):
        pivot = max(range(column, len(rows)), key=lambda row: abs(rows[row][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        if abs(rows[column][column]) < 1e-12 * max(map(abs, rows[column])):
            return None
        for row in range(len(rows)):
            if row != column:
                factor = rows[row][column] / rows[column][column]
                rows[row] = [one - factor * other for one, other in zip(rows[row], rows[column], strict=True)]
    return [row[-1] / row[number] for number, row in enumerate(rows)]
