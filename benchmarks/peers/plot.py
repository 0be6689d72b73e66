"""
Draw the ratios as bars: `python plot.py PICTURE.svg < RESULTS.json`.

Run by the Python of an environment that has matplotlib, so it imports nothing of this repository. RESULTS are a list of
`{"title": …, "floor": …, "bars": [[name, ratio, lower quartile, upper quartile], …]}`.
"""

from __future__ import annotations

import json
import sys

import matplotlib as mpl
from matplotlib import pyplot

OURS, PEER, FLOOR = "#1f6feb", "#9aa4b2", "#d0d7de"


def draw(results: list[dict], picture: str) -> None:
    """Write a picture with a panel for each comparison, the fastest tool at the top."""
    mpl.rcParams.update({"svg.hashsalt": "peers", "font.size": 9, "font.family": "DejaVu Sans"})
    figure, panels = pyplot.subplots(len(results), 1, figsize=(8, 3.1 * len(results)), layout="constrained")
    for panel, result in zip(panels, results, strict=True):
        bars = sorted(result["bars"], key=lambda bar: -bar[1])
        names, ratios = [bar[0] for bar in bars], [bar[1] for bar in bars]
        colours = [OURS if name.startswith("homie") else FLOOR if name in result["floors"] else PEER for name in names]
        spread = [[ratio - low for _, ratio, low, _ in bars], [high - ratio for _, ratio, _, high in bars]]
        drawn = panel.barh(names, ratios, color=colours, xerr=spread, error_kw={"ecolor": "#57606a", "elinewidth": 1})
        panel.bar_label(drawn, [f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}" for ratio in ratios], padding=6)
        panel.axvline(1, color="#57606a", linewidth=0.8, linestyle=":")
        panel.set_xlim(0, max(high for *_, high in bars) * 1.12)
        panel.set_title(result["title"], loc="left", fontweight="bold")
        panel.set_xlabel(f"times {result['floors'][0]} (shorter is faster; lines show the quartiles)")
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, metadata={"Date": None}, facecolor="white")


if __name__ == "__main__":
    draw(json.load(sys.stdin), sys.argv[1])
