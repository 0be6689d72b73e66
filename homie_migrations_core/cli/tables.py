"""
Rows as a table: with headings and colours on a terminal, as aligned plain lines in a pipe.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from homie_migrations_core.cli.escaping import escape_line
from homie_migrations_core.cli.output import is_terminal, write_line

_COLOURS = {
    "applied": "green",
    "up to date": "green",
    "new": "yellow",
    "pending": "yellow",
    "orphaned": "yellow",
    "edited": "yellow",
    "missing": "yellow",
}


def show_table(indent: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write the rows to stdout. The headings are shown on a terminal only."""
    if not rows:
        return
    rows = [[escape_line(cell) for cell in row] for row in rows]
    if is_terminal(sys.stdout):
        from rich.console import Console
        from rich.padding import Padding
        from rich.table import Column, Table
        from rich.text import Text

        columns = [Column(heading, overflow="fold") for heading in headings]  # a name that is cut off can't be pasted
        table = Table(*columns, box=None, pad_edge=False, header_style="dim")
        for row in rows:
            table.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in row))
        Console().print(Padding(table, (0, 0, 0, len(indent)), expand=False))
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(headings))]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        write_line(f"{indent}{line}".rstrip())
