"""
Links from pages to files of the repository that are no pages, such as those of an example pack.

A repository browser follows them. The site holds the pages only, so there the text stands without a link.
"""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]\n]+)\]\((?P<target>\.\./[^)\s#]+)[^)\s]*\)")


def without_links_out_of(docs: Path, page: Path, text: str) -> str:
    """Return the text of a page whose links lead to pages only."""

    def written(link: re.Match[str]) -> str:
        inside = (page.parent / link["target"]).resolve().is_relative_to(docs)
        return link[0] if inside else link["text"]

    return _LINK.sub(written, text)


def remove_links(app: Sphinx, name: str, source: list[str]) -> None:
    """Remove the links that lead out of `docs/`; tests/docs checks that their targets exist."""
    source[0] = without_links_out_of(Path(app.srcdir).resolve(), Path(app.env.doc2path(name)), source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", remove_links)
    return {"parallel_read_safe": True}
