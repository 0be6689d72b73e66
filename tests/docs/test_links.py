"""Every link leads to a page and a heading that exist, and every page can be found."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages.reading import DOCS, PAGES, anchors, links, name_of, text_of


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_page_and_heading_that_exist(page: Path):
    lost = []
    for link in links(text_of(page)):
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in anchors(text_of(target))):
            lost.append(link)
    assert not lost


def test_the_index_links_to_every_page():
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in links(text_of("docs/index.md"))}
    assert {page for page in DOCS.rglob("*.md") if page.name != "index.md"} <= linked
