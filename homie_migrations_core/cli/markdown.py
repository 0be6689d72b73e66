"""
Pieces of a Markdown document in GitHub's dialect, in which text from outside stays text.

A name can neither end its code span or table cell, nor become a link, a mention, HTML or a command to a terminal. What a
document says is decided elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from homie_migrations_core.cli.escaping import escape_block, escape_line

# In a table these would end the cell or the code span, or escape what would.
_UNSAFE_IN_CODE = re.compile(r"[`|\\]")
_PLAIN = re.compile(r"[A-Za-z0-9]")


def code(text: str) -> str:
    """Return the text as code within a line or a table cell."""
    shown = escape_line(text)
    if shown.strip() and not _UNSAFE_IN_CODE.search(shown):
        return f"`{shown}`"
    return f"<code>{''.join(each if _PLAIN.match(each) else f'&#{ord(each)};' for each in shown)}</code>"


def block(text: str, language: str = "text") -> list[str]:
    """Return the lines of a fenced block, whose fence is longer than any in the text."""
    shown = escape_block(text)
    longest = max((len(each) for each in re.findall(r"`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{language}", *shown.split("\n"), fence, ""]


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table. Its cells are Markdown already: what comes from outside has gone through `code`."""
    return [f"| {' | '.join(headings)} |", f"|{'---|' * len(headings)}", *(f"| {' | '.join(row)} |" for row in rows), ""]


def details(summary: str, lines: Sequence[str]) -> list[str]:
    """Return the lines of a part that a reader opens with a click. The summary is HTML."""
    return [f"<details><summary>{summary}</summary>", "", *lines, "</details>", ""]
