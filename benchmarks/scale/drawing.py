"""
Plots with two logarithmic axes, as small SVG files.

Written by hand and not by a library: the same numbers always give the same bytes, text stays text, and the colours follow the
reader's light or dark theme. A plot has a background of its own, so it can be read on any page.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from benchmarks.scale.numbers import duration, number

WIDTH, HEIGHT = 880, 400
LEFT, RIGHT, TOP, BOTTOM = 84, 500, 48, 344
"""The edges of the plot; the names of the lines are at its right side."""
FONT_SIZE = 13
_LEGEND, _LEGEND_STEP = 528, 26
_COLOURS = (("#0969da", "#58a6ff"), ("#bc4c00", "#f0883e"), ("#1a7f37", "#3fb950"), ("#8250df", "#bc8cff"), ("#bf3989", "#ff7bac"))
_GREY = ("#6e7781", "#9aa4b2")
_MARKERS = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",  # a circle, a square, a triangle, a diamond, a cross: colour is not all that tells
    "M-3.5 -3.5h7v7h-7z",
    "M0 -4.5l4.5 8h-9z",
    "M0 -5l4.5 5l-4.5 5l-4.5 -5z",
    "M-4 -1.5h2.5v-2.5h3v2.5h2.5v3h-2.5v2.5h-3v-2.5h-2.5z",
)


class Curve(NamedTuple):
    """A line of a plot: its name, its points, and whether it is a floor, which is drawn grey and dashed."""

    name: str
    points: Sequence[tuple[float, float]]
    floor: bool = False


def plot(title: str, across: str, unit: str, curves: Sequence[Curve]) -> str:
    """Return a plot as SVG. `across` and `unit` are written at the axes; seconds get units that fit."""
    sizes = sorted({size for curve in curves for size, _ in curve.points})
    heights = _heights([value for curve in curves for _, value in curve.points])
    x = _scale(sizes[0], sizes[-1], LEFT + 14, RIGHT - 14)
    y = _scale(*heights, BOTTOM, TOP)
    parts = [
        *head(title, HEIGHT),
        *_grid(sizes, heights, x, y, duration if unit == "seconds" else number),
        text(LEFT - 8, TOP - 20, "time" if unit == "seconds" else unit, "start"),
        text((LEFT + RIGHT) / 2, BOTTOM + 42, across, "middle"),
        *_lines(curves, x, y),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def head(title: str, height: int) -> list[str]:
    """Return how a picture begins."""
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="title">',
        f'<title id="title">{escape(title)}</title>',
        f"<style>{style()}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="6"/>',
    ]


def _heights(values: Sequence[float]) -> tuple[float, float]:
    """Return the least and the largest value of the vertical axis. A line that hardly rises is not to look steep."""
    least, most = min(values) * 0.8, max(values) * 1.25
    wider = max(1.0, math.sqrt(3 * least / most))
    return least / wider, most * wider


def _scale(least: float, most: float, start: float, end: float) -> Callable[[float], float]:
    low, high = math.log10(least), math.log10(most)
    return lambda value: start + (end - start) * (math.log10(value) - low) / ((high - low) or 1.0)


def _grid(
    sizes: Sequence[float],
    heights: tuple[float, float],
    x: Callable[[float], float],
    y: Callable[[float], float],
    written: Callable[[float], str],
) -> Iterator[str]:
    for size in sizes:
        yield f'<path class="grid" d="M{x(size):.1f} {TOP}V{BOTTOM}"/>'
        yield text(x(size), BOTTOM + 20, f"{size:,.0f}", "middle")
    for value in ticks(*heights):
        yield f'<path class="grid" d="M{LEFT} {y(value):.1f}H{RIGHT}"/>'
        yield text(LEFT - 8, y(value) + 4, written(value), "end")
    yield f'<path class="axis" d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}"/>'


def ticks(least: float, most: float) -> list[float]:
    """Return round values between two others: powers of ten, and more where there would be fewer than three."""
    found: list[float] = []
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
        powers = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
        found = [step * 10.0**power for power in powers for step in steps if least <= step * 10.0**power <= most]
        if len(found) >= 3:
            break
    return found


def _lines(curves: Sequence[Curve], x: Callable[[float], float], y: Callable[[float], float]) -> Iterator[str]:
    """Draw the curves, and name them at the right side in the order in which they end."""
    classes = _classes(curves)
    for curve in sorted(curves, key=lambda curve: not curve.floor):
        name = classes[curve.name]
        path = "L".join(f"{x(size):.1f} {y(value):.1f}" for size, value in curve.points)
        yield f'<g class="{name}"><path class="line" d="M{path}"/>'
        yield from (_marker(name, x(size), y(value)) for size, value in curve.points)
        yield "</g>"
    for row, curve in enumerate(sorted(curves, key=lambda curve: -curve.points[-1][1])):
        height, name = TOP + 12 + row * _LEGEND_STEP, classes[curve.name]
        yield f'<g class="{name}"><path class="line" d="M{_LEGEND - 14} {height}h28"/>{_marker(name, _LEGEND, height)}</g>'
        yield text(_LEGEND + 22, height + 4, curve.name, "start")


def _classes(curves: Sequence[Curve]) -> dict[str, str]:
    ours, floors = ([curve.name for curve in curves if curve.floor is floor] for floor in (False, True))
    return {name: f"c{number}" for number, name in enumerate(ours)} | {name: f"f{number}" for number, name in enumerate(floors)}


def _marker(name: str, x: float, y: float) -> str:
    return f'<path transform="translate({x:.1f} {y:.1f})" d="{_MARKERS[int(name[1:]) % len(_MARKERS)]}"/>'


def text(x: float, y: float, words: str, anchor: str) -> str:
    """Return a text that starts, has its middle or ends at a place."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def style() -> str:
    """Return the fonts and the colours of a picture, for light and dark themes."""
    dark = "".join(f".c{number}{{color:{colour}}}" for number, (_, colour) in enumerate(_COLOURS))
    light = "".join(f".c{number}{{color:{colour}}}" for number, (colour, _) in enumerate(_COLOURS))
    return (
        f"text{{font:{FONT_SIZE}px system-ui,'DejaVu Sans',Helvetica,Arial,sans-serif;fill:#1f2328}}"
        ".paper{fill:#fff}.grid{stroke:#d8dee4;fill:none}.axis{stroke:#6e7781;fill:none}"
        "g path{fill:currentColor;stroke:none}g .line{fill:none;stroke:currentColor;stroke-width:2}"
        f"[class^=f]{{color:{_GREY[0]}}}[class^=f] .line{{stroke-dasharray:5 4}}{light}"
        "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.paper{fill:#161b22}.grid{stroke:#30363d}.axis{stroke:#8b949e}"
        f"[class^=f]{{color:{_GREY[1]}}}{dark}}}"
    )
