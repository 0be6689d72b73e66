"""
The law of a line: a constant and a part that grows with the size, in numbers and in words.

Small sizes count as much as large ones: what is made small is the relative distance of each point from the law.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.scale.results import Point

FAR = 0.35
"""A law that is further than this from a point is no good description, and is not given."""


@dataclass(frozen=True)
class Law:
    """`constant + each * size`, and how far the furthest point is from it, as a part of that point."""

    constant: float
    each: float
    distance: float

    def at(self, size: float) -> float:
        """Return the value at a size."""
        return self.constant + self.each * size


def fitted(points: Sequence[Point]) -> Law:
    """Return the law that is nearest to the points, with no negative part."""
    if len(points) < 2:
        return Law(points[0].value, 0.0, 0.0)
    both = _least_squares(points)
    laws = [both] if both.constant >= 0 and both.each >= 0 else [_constant(points), _proportional(points)]
    return min(laws, key=lambda law: _squares(law, points))


def _least_squares(points: Sequence[Point]) -> Law:
    # Weighted by 1 / value², so that the squares are those of relative distances.
    weights = [1 / point.value**2 for point in points]
    total = sum(weights)
    size = sum(weight * point.size for weight, point in zip(weights, points, strict=True)) / total
    value = sum(weight * point.value for weight, point in zip(weights, points, strict=True)) / total
    spread = sum(weight * (point.size - size) ** 2 for weight, point in zip(weights, points, strict=True))
    each = sum(weight * (point.size - size) * (point.value - value) for weight, point in zip(weights, points, strict=True)) / spread
    return _law(value - each * size, each, points)


def _constant(points: Sequence[Point]) -> Law:
    return _law(sum(1 / each.value for each in points) / sum(1 / each.value**2 for each in points), 0.0, points)


def _proportional(points: Sequence[Point]) -> Law:
    each = sum(point.size / point.value for point in points) / sum((point.size / point.value) ** 2 for point in points)
    return _law(0.0, each, points)


def _law(constant: float, each: float, points: Sequence[Point]) -> Law:
    law = Law(constant, each, 0.0)
    return Law(constant, each, max(abs(law.at(point.size) / point.value - 1) for point in points))


def _squares(law: Law, points: Sequence[Point]) -> float:
    return sum((law.at(point.size) / point.value - 1) ** 2 for point in points)
