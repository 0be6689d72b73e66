"""The picture of the page: for each comparison the ratios as bars, the fastest tool at the top. Drawn as in `benchmarks.scale`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.measuring import Row
from benchmarks.scale.drawing import WIDTH, head, text

LEFT, RIGHT = 300, WIDTH - 70
_ROW, _BAR, _HEAD, _FOOT = 24, 15, 44, 44
_TITLE = "How many times the floor each tool takes, one panel for each comparison"


def draw(results: Mapping[str, Sequence[Row]], floors: Sequence[str]) -> str:
    """Return a picture as SVG. `floors` are the rows that are no migration tools."""
    height = sum(len(rows) * _ROW + _HEAD + _FOOT for rows in results.values())
    parts, top = head(_TITLE, height), 0
    for title, rows in results.items():
        parts += _panel(title, rows, floors, top)
        top += len(rows) * _ROW + _HEAD + _FOOT
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(title: str, rows: Sequence[Row], floors: Sequence[str], top: int) -> Iterator[str]:
    longest = max(row.quartiles[1] for row in rows)

    def x(ratio: float) -> float:
        return LEFT + (RIGHT - LEFT) * ratio / longest

    first, last = top + _HEAD, top + _HEAD + len(rows) * _ROW
    yield text(20, top + 28, title, "start")
    for at, row in enumerate(sorted(rows, key=lambda row: row.ratio)):
        middle = first + at * _ROW + _ROW // 2
        kind = "f0" if row.name in floors else "c0" if row.name.startswith("homie") else "c1"
        low, high = row.quartiles
        yield text(LEFT - 8, middle + 4, row.name, "end")
        yield f'<g class="{kind}"><path d="M{LEFT} {middle - _BAR // 2}H{x(row.ratio):.1f}v{_BAR}H{LEFT}z"/></g>'
        yield f'<path class="axis" d="M{x(low):.1f} {middle}H{x(high):.1f}"/>'
        yield text(
            max(x(row.ratio), x(high)) + 6, middle + 4, f"{row.ratio:.2f}" if row.ratio < 10 else f"{row.ratio:.1f}", "start"
        )
    yield f'<path class="axis" d="M{LEFT} {first}V{last}"/><path class="grid" d="M{x(1):.1f} {first}V{last}"/>'
    yield text(LEFT, last + 20, f"times {rows[0].name}; shorter is faster, thin lines show the quartiles", "start")
