"""
The built site: it builds without a warning, every link leads somewhere, and no page fetches anything from elsewhere.

Needs the extra `docs`, which `make docs` installs.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from pages.reading import DOCS, blocks, text_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("sphinx") is None, reason="the extra docs is not installed"),
]
FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}


class Page(HTMLParser):
    """What a page of the site links to, has as targets, and fetches."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.ids: set[str] = set()
        self.fetched: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.ids |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.add(found["href"])
        if FETCHED.get(tag) in found:
            self.fetched.add(found[FETCHED[tag]])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    options = ["--builder", "html", "--fail-on-warning", "--keep-going", "--quiet"]
    done = subprocess.run([sys.executable, "-m", "sphinx", *options, DOCS, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}


def is_elsewhere(link: str) -> bool:
    return bool(urlsplit(link).scheme or urlsplit(link).netloc)


def test_every_page_is_built_and_in_the_tree(site: Path, pages: dict[Path, Page]):
    wanted = {site / page.relative_to(DOCS).with_suffix(".html") for page in DOCS.rglob("*.md")}
    assert wanted <= set(pages)
    index = site / "index.html"
    tree = re.search(r'<div class="sidebar-tree">.*?</aside>', index.read_text(encoding="utf-8"), re.DOTALL)
    assert tree
    assert wanted - {index} <= {site / link for link in Page(tree[0]).links}


def test_every_link_leads_to_a_file_and_anchor_that_exist(pages: dict[Path, Page]):
    lost = []
    for path, page in pages.items():
        for link in page.links | page.fetched:
            file, anchor = unquote(urlsplit(link).path), unquote(urlsplit(link).fragment)
            target = (path.parent / file).resolve() if file else path
            known = target not in pages or not anchor or anchor in pages[target].ids
            if not is_elsewhere(link) and not (target.exists() and known):
                lost.append((path.name, link))
    assert not lost


def test_no_page_fetches_anything_from_elsewhere(site: Path, pages: dict[Path, Page]):
    assert not {link for page in pages.values() for link in page.fetched if is_elsewhere(link)}
    css = {path.name: path.read_text(encoding="utf-8") for path in site.rglob("*.css")}
    styles = [
        (name, found)
        for name, text in css.items()
        for found in re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^)\n]*", text)
    ]
    assert not styles


def test_every_diagram_is_drawn(site: Path):
    diagrams = 0
    for page in DOCS.rglob("*.md"):
        here = sum(each.kind == "mermaid" for each in blocks(text_of(page)))
        html = (site / page.relative_to(DOCS).with_suffix(".html")).read_text(encoding="utf-8")
        assert len(re.findall(r'<div class="diagram"[^>]*><svg', html)) == here
        diagrams += here
    assert diagrams


def test_the_search_finds_public_names_and_headings(site: Path):
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    for word in ("run_migrations", "PackContract", "How a step runs", "RollbackRefused"):
        assert word in index


# --- the extensions ------------------------------------------------------------------------------------------------


@pytest.fixture
def extension(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(DOCS / "_site")
    return importlib.import_module


def test_the_tree_lists_each_page_once_below_its_caption(extension):
    index = (
        "See [x](x.md).\n\n**Start**\n\n- [A](a/a.md), [B](b.md#part)\n- [A](a/a.md)\n\n## More\n\n[C](c.md) [out](https://x.md)\n"
    )
    assert extension("page_tree").tree(index) == {"Start": ["a/a", "b"], "More": ["c"]}


def test_a_docstring_gets_lists_for_its_sections_and_code_for_its_examples(extension):
    docstring = ["Do it:", "", "    run()", "", "Raises:", "    A, b.C: Why it", "        was.", "    D: More.", "", "And so on."]
    lines = list(docstring)
    extension("python_reference").to_restructured_text(None, "function", "f", None, None, lines)
    assert lines[:5] == ["Do it::", "", "    run()", "", "**Raises**"]
    assert lines[5:] == ["", "- :py:exc:`.A`, :py:exc:`.b.C`: Why it", "  was.", "- :py:exc:`.D`: More.", "", "And so on."]


def test_links_that_lead_out_of_the_pages_become_text(extension):
    text = "[in](../how-to/a.md#b) [out](../../examples/x.py) ![image](../../x.svg) [web](https://sqlite.org)"
    found = extension("repository_links").without_links_out_of(DOCS, DOCS / "reference" / "page.md", text)
    assert found == text.replace("[out](../../examples/x.py)", "out")


def test_only_lines_behind_a_prompt_are_coloured_as_commands(extension):
    text = "$ cat <<E\n> one\n(an output)\n> not a command\n"
    tokens = list(extension("console_blocks").ConsoleLexer().get_tokens(text))
    assert "".join(value for _, value in tokens) == text
    assert [value for token, value in tokens if str(token) == "Token.Generic.Output"] == ["(an output)\n", "> not a command\n"]


def test_a_diagram_with_a_mistake_is_refused(extension):
    with pytest.raises(Exception, match="Parse error"):
        extension("mermaidx").render("flowchart TD\n  a --> --> b").svg()
