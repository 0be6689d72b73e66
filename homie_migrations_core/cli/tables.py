"""
Rows as a table, and states in their colours: on a terminal with headings and colours, in a pipe as aligned plain lines.
"""

from __future__ import annotations

import os
import sys

from homie_migrations_core.cli.escaping import escape_line
from homie_migrations_core.cli.output import is_terminal, write_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_COLOURS = {
    **dict.fromkeys(("applied", "up to date"), "green"),
    **dict.fromkeys(("new", "pending", "orphaned", "edited", "missing"), "yellow"),
    **dict.fromkeys(("late", "replaced", "ahead", "broken", "interrupted", "foreign"), "red"),
}
_CODES = {"green": "32", "yellow": "33", "red": "31"}


def in_colour(state: str) -> str:
    """Return the state in words as it is written to stdout: in its colour, if that is a terminal that shows colours."""
    colour, shows_colours = _COLOURS.get(state), os.environ.get("TERM") not in (None, "dumb") and not os.environ.get("NO_COLOR")
    if colour is None or not shows_colours or not is_terminal(sys.stdout):
        return state
    return f"\x1b[{_CODES[colour]}m{state}\x1b[0m"


def show_state(before: str, state: str, after: str) -> None:
    """Write a line with a state in it to stdout."""
    write_line(before, in_colour(state), after)


def show_table(indent: str, headings: Sequence[str], rows: Sequence[Sequence[str]], *, headed: bool = True) -> None:
    """Write the rows to stdout. The headings are shown on a terminal only, and only if the table is `headed`."""
    if not rows:
        return
    rows = [[escape_line(cell) for cell in row] for row in rows]
    if is_terminal(sys.stdout):
        from rich.console import Console
        from rich.padding import Padding
        from rich.table import Column, Table
        from rich.text import Text

        columns = [Column(heading, overflow="fold") for heading in headings]  # a name that is cut off can't be pasted
        table = Table(*columns, box=None, pad_edge=False, header_style="dim", show_header=headed)
        for row in rows:
            table.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in row))
        Console().print(Padding(table, (0, 0, 0, len(indent)), expand=False))
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(headings))]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        write_line(f"{indent}{line}".rstrip())
