"""
What is on a page.

- A fenced block below a line that holds nothing but a file name in bold, **`like/this.py`**, is the content of that file.
- A `console` block holds commands behind `$ `, each followed by what it prints. A command that ends with another code
  than 0 is followed by `$ echo $?`.
- Other blocks are not run.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]

FENCE = re.compile(r"^(?:\*\*`(?P<file>[^`\n]+)`\*\*\n\n)?```(?P<kind>[\w{}]*)[^\n]*\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[(?:[^\]\n]|\n(?!\n))*\]\(([^)\s]+)\)")


class Block(NamedTuple):
    """A fenced block."""

    kind: str
    file: str
    """The file that it is the content of, or nothing."""
    body: str


def name_of(page: Path) -> str:
    """Return the page's path from the root, as links and test names show it."""
    return page.relative_to(ROOT).as_posix()


def text_of(page: str | Path) -> str:
    """Return the text of a page, which is named by its path from the root."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(text: str) -> list[Block]:
    """Return every fenced block, from top to bottom."""
    return [Block(each["kind"], each["file"] or "", each["body"]) for each in FENCE.finditer(text)]


def commands(body: str) -> list[tuple[str, str]]:
    """Return the commands of a console block, each with what it prints."""
    found: list[tuple[str, str]] = []
    for line in body.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], ""))
        elif found and not found[-1][1] and line.startswith("> "):
            found[-1] = (f"{found[-1][0]}\n{line[2:]}", "")
        else:
            assert found, f"a console block begins with {line!r}, which is no command"
            found[-1] = (found[-1][0], f"{found[-1][1]}{line}\n")
    return found


def links(text: str) -> list[str]:
    """Return the target of every link to another page or heading of this repository."""
    return [link for link in _LINK.findall(text) if not link.startswith(("https://", "http://"))]


def anchors(text: str) -> set[str]:
    """Return the ids that the headings of a page get."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def table(heads: str, rows: list[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    columns = heads.split("|")
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join(lines + ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows])
