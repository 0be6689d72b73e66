"""The table of the page docs/explanation/performance.md, as Markdown. What is around it is written by hand."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.measuring import Row
from benchmarks.peers.environments import ROOT

PAGE = ROOT / "docs" / "explanation" / "performance.md"
PICTURE = PAGE.with_name("performance-peers.svg")
_MEASURED = re.compile(r"(?<=<!-- measured: peers -->\n).*?(?=<!-- end -->)", re.DOTALL)


def table(results: Mapping[str, Sequence[Row]], versions: Mapping[str, str]) -> str:
    """
    Return a Markdown table: a line for each tool, a column for each comparison, by its title.

    A cell is the median of the ratios, and their quartiles in brackets.
    """
    names = list(dict.fromkeys(row.name for rows in results.values() for row in rows))
    lines = ["| | version | " + " | ".join(results) + " |", "|---|---|" + "---|" * len(results)]
    for name in names:
        cells = [next((_cell(row) for row in rows if row.name == name), "") for rows in results.values()]
        lines.append("| " + " | ".join([name, versions.get(name, ""), *cells]) + " |")
    return "\n".join(lines)


def _cell(row: Row) -> str:
    if row.ratio == 1 and row.quartiles == (1, 1):
        return "1"
    return f"**{_short(row.ratio)}** ({_short(row.quartiles[0])} to {_short(row.quartiles[1])})"


def _short(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio >= 10 else f"{ratio:.2f}"


def write(measured: str, page: Path = PAGE) -> None:
    """Put what was measured between the marks of the page."""
    before = page.read_text(encoding="utf-8")
    after, places = _MEASURED.subn(lambda _: f"\n{measured}\n\n", before)
    assert places == 1, f"{page} has {places} places for what is measured"
    page.write_text(after, encoding="utf-8")
