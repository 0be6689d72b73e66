"""What was measured, as values, and the file that keeps them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Point:
    """One size: the median of what was measured, its extremes, and the number of rounds."""

    size: int
    value: float
    low: float
    high: float
    rounds: int


@dataclass(frozen=True)
class Line:
    """One kind of work over all sizes. `beside` names the line of bare sqlite3 that does the same; `floor` marks such a line."""

    name: str
    points: tuple[Point, ...]
    beside: str | None = None
    floor: bool = False

    @property
    def last(self) -> Point:
        """Return the point of the largest size."""
        return self.points[-1]


@dataclass(frozen=True)
class Measured:
    """The lines of one axis, and when and with what they were measured."""

    lines: tuple[Line, ...]
    about: Mapping[str, str]

    def line(self, name: str) -> Line:
        """Return a line by its name."""
        return next(line for line in self.lines if line.name == name)


@dataclass
class Results:
    """Everything that is known, by the names of the axes; `facts` are single numbers."""

    axes: dict[str, Measured] = field(default_factory=dict)
    facts: dict[str, float] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read the file; a file that is missing has no results."""
        if not path.exists():
            return cls()
        stored = json.loads(path.read_text(encoding="utf-8"))
        axes = {name: Measured(tuple(map(_line, each["lines"])), each["about"]) for name, each in stored["axes"].items()}
        return cls(axes, stored["facts"])

    def save(self, path: Path, order: Sequence[str]) -> None:
        """Write the file, with the axes in this order, and with as many digits as mean something."""
        axes = {
            name: {
                "about": dict(measured.about),
                "lines": [asdict(line) | {"points": [_rounded(asdict(each)) for each in line.points]} for line in measured.lines],
            }
            for name, measured in sorted(self.axes.items(), key=lambda item: order.index(item[0]))
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"axes": axes, "facts": _rounded(self.facts)}, indent=1) + "\n", encoding="utf-8")


def _line(stored: dict[str, Any]) -> Line:
    return Line(stored["name"], tuple(Point(**each) for each in stored["points"]), stored["beside"], stored["floor"])


def _rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in values.items()}
