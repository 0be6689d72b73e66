"""
The reference of the Python interface, written from docstrings.

In the source of a page, an `api` block holds the name of a module and names in it, one a line. On the site each becomes its
signature and its docstring.
"""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any

from sphinx.application import Sphinx

_BLOCK = re.compile(r"^```\{api\} (?P<module>[\w.]+)\n(?P<names>.*?)^```$", re.MULTILINE | re.DOTALL)
_SECTIONS = {"Args:": "``{}``", "Raises:": ":py:exc:`.{}`"}
_ENTRY = re.compile(r" {4}(?P<names>[\w.]+(?:, [\w.]+)*): (?P<text>.+)")


def directive(module: str, name: str) -> str:
    """Return the directive of autodoc for a name."""
    value = getattr(importlib.import_module(module), name)
    if inspect.isclass(value):
        options = ["   :members:"]
        options += ["   :show-inheritance:"] if issubclass(value, Exception) else ["   :inherited-members: object, tuple"]
        return "\n".join([f".. autoclass:: {module}.{name}", *options, ""])
    kind = "autofunction" if callable(value) else "autodata"
    return f".. {kind}:: {module}.{name}\n"


def write_blocks(app: Sphinx, name: str, source: list[str]) -> None:
    """Replace each `api` block of a page by directives."""

    def written(block: re.Match[str]) -> str:
        directives = [directive(block["module"], each) for each in block["names"].split()]
        return "```{eval-rst}\n" + "\n".join(directives) + "```"

    source[0] = _BLOCK.sub(written, source[0])


def to_restructured_text(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Rewrite a docstring in place: its sections `Args:` and `Raises:` as lists, and its indented examples as code."""
    lines[:] = with_marked_examples(with_lists(lines))


def with_lists(lines: list[str]) -> list[str]:
    """Return the lines with each entry of a section as an item of a list."""
    written: list[str] = []
    section = ""
    for line in lines:
        entry = _ENTRY.fullmatch(line)
        if line in _SECTIONS:
            section = line
            written += [f"**{line.rstrip(':')}**", ""]
        elif section and entry:
            names = [_SECTIONS[section].format(each.strip()) for each in entry["names"].split(",")]
            written.append(f"- {', '.join(names)}: {entry['text']}")
        else:
            if line and not line.startswith(" "):
                section = ""
            written.append(f"  {line.strip()}" if section and line else line)
    return written


def with_marked_examples(lines: list[str]) -> list[str]:
    """Return the lines with `::` above an indented block, which reStructuredText would take as a quotation."""
    written = list(lines)
    for number, (line, between, below) in enumerate(zip(lines, lines[1:], lines[2:], strict=False)):
        if line.endswith(":") and not between and below and _indent(below) > _indent(line):
            written[number] += ":"
    return written


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", write_blocks)
    app.connect("autodoc-process-docstring", to_restructured_text)
    return {"parallel_read_safe": True}
