"""The page docs/explanation/scale.md: its generated tables, the pictures beside it, and the file of results."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from benchmarks.scale import paper
from benchmarks.scale.drawing import Curve, plot
from benchmarks.scale.results import Results
from benchmarks.scale.rounds import Axis
from benchmarks.scale.tables import table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "scale.md"
_TITLES = {
    "migrations": "Time by the number of migrations of a pack",
    "packs": "Time by the number of packs of a database",
    "tables": "Time by the number of tables of the application",
    "rows": "Time by the number of rows of a table",
    "bytes": "Time by the size of a database",
    "files": "Time by the number of files of a fleet, in two processes",
    "workers": "Databases a second by the number of processes or threads",
    "machines": "Databases a second by the number of Dask workers on one machine",
    "outcomes": "Outcomes a second that one coordinator takes",
    "memory": "Peak memory of a coordinator by the number of files",
}
_PAPER = "Ten million files on paper: hours by the number of machines"


def results_of(page: Path) -> Path:
    """Return the file of results that belongs to a page."""
    return page.with_suffix("") / "measured.json"


def pictures(results: Results, axes: Mapping[str, Axis]) -> dict[str, str]:
    """Return the pictures by their file names."""
    drawn = {}
    for name, measured in results.axes.items():
        curves = [Curve(line.name, [(each.size, each.value) for each in line.points], line.floor) for line in measured.lines]
        drawn[f"{name}.svg"] = plot(_TITLES[name], axes[name].size, axes[name].unit, curves)
    if _is_complete(results):
        drawn["paper.svg"] = plot(_PAPER, "machines", "hours", paper.curves(results))
    return drawn


def tables(results: Results, axes: Mapping[str, Axis]) -> dict[str, str]:
    """Return the tables by their names on the page."""
    found = {name: table(measured, axes[name].unit) for name, measured in results.axes.items()}
    return found | (paper.tables(results) if _is_complete(results) else {})


def _is_complete(results: Results) -> bool:
    return bool(results.facts) and all(name in results.axes for name in paper.NEEDED)


def with_tables(text: str, found: Mapping[str, str]) -> str:
    """Return the text of a page with these tables between their marks."""
    for name, written in found.items():
        pattern = re.compile(rf"(<!-- measured: {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, places = pattern.subn(lambda found, written=written: f"{found[1]}\n{written}\n\n{found[2]}", text)
        if places != 1:
            raise ValueError(f"the page has {places} places for the table {name!r}")
    return text


def write(page: Path, results: Results, axes: Mapping[str, Axis]) -> None:
    """Write the file of results, the pictures and the tables of a page."""
    stored = results_of(page)
    results.save(stored, list(axes))
    written = Results.load(stored)  # what is drawn is what is stored, to the last digit
    for name, picture in pictures(written, axes).items():
        (stored.parent / name).write_text(picture, encoding="utf-8")
    page.write_text(with_tables(page.read_text(encoding="utf-8"), tables(written, axes)), encoding="utf-8")
