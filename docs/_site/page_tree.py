"""
The page tree beside each page, taken from the lists of `index.md`.

A page appears there when the index links to it. Sphinx warns about a page that is in no list, and a warning fails the build.
"""

from __future__ import annotations

import re

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

_CAPTION_OR_LINK = re.compile(
    r"""
    ^\*\*(?P<bold>[^*\n]+)\*\*$ | ^\#\#+\ (?P<heading>.+)$ | \]\((?P<page>[\w/-]+)\.md(?:\#[\w-]+)?\)
    """,
    re.MULTILINE | re.VERBOSE,
)


def tree(index: str) -> dict[str, list[str]]:
    """Return the pages that the index lists below each caption, each page once."""
    found: dict[str, list[str]] = {}
    listed: set[str] = set()
    caption = ""
    for each in _CAPTION_OR_LINK.finditer(index):
        if each["page"] is None:
            caption = (each["bold"] or each["heading"]).strip()
        elif caption and each["page"] not in listed:
            listed.add(each["page"])
            found.setdefault(caption, []).append(each["page"])
    return found


def add_tree(app: Sphinx, name: str, source: list[str]) -> None:
    """Add the tree to the index, where Sphinx looks for it."""
    if name != app.config.root_doc:
        return
    parts = tree(source[0])
    if not parts:
        raise ExtensionError("docs/index.md lists no pages below a caption (a line in bold, or a heading)")
    for caption, pages in parts.items():
        source[0] += "\n\n" + "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```"]) + "\n"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", add_tree)
    return {"parallel_read_safe": True}
