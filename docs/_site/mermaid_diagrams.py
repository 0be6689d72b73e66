"""
Mermaid diagrams, drawn while the site is built, in shades of grey that the style sheet inverts on a dark page.

mermaidx runs Mermaid itself without a browser. Pages need no script for it, and a mistake in a diagram fails the build.
"""

from __future__ import annotations

import hashlib
import html
import re

import mermaidx
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

_FONT = {"fontFamily": "DejaVu Sans, Verdana, sans-serif"}
# Labels that are SVG text stand in the middle of their boxes in any font. In the tables of erDiagram they take 14 seconds, not 2.
_FLOWCHART = {**_FONT, "htmlLabels": False, "flowchart": {"htmlLabels": False}}


class Mermaid(SphinxDirective):
    """A fenced block of the language `mermaid`."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the drawn diagram, which scrolls where the page is narrower."""
        source = "\n".join(self.content)
        title = re.search(r"^\s*accTitle:\s*(.+)$", source, re.MULTILINE)
        label = html.escape(title[1] if title else "Diagram")
        config = _FLOWCHART if source.lstrip().startswith("flowchart") else _FONT
        try:
            svg = mermaidx.render(source, theme="neutral", config=config).svg()
        except Exception as error:  # whatever Mermaid raises, the place of the diagram is what helps
            raise self.error(f"Mermaid can't draw this diagram: {error}") from error
        drawn = f'<div class="diagram" role="img" aria-label="{label}">{placed(svg, source)}</div>'
        return [nodes.raw("", drawn, format="html")]


def placed(svg: str, source: str) -> str:
    """Return a drawing for use inside a page: with ids of its own, and in the size that it was drawn in."""
    own = "diagram-" + hashlib.sha256(source.encode()).hexdigest()[:12]
    width = re.search(r'viewBox="[-\d.]+ [-\d.]+ ([\d.]+) ', svg)
    assert width, "Mermaid's SVG says its size in viewBox"
    return svg.replace("my-svg", own).replace('width="100%"', f'width="{float(width[1]):.0f}"', 1)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("mermaid", Mermaid)
    return {"parallel_read_safe": True}
