"""
Pictures of the terminal for the pages: real commands, typed at a terminal in a scratch folder, and drawn as SVG.

The colours and the words are what the commands print. Only times are replaced, by the one time that every page shows.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from rich.console import Console
from rich.text import Text

from pages.reading import DOCS
from pages.running import HOME, timeless

FOLDER = DOCS / "images"
WIDTH = 92
NOTES = {
    1: "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)",
    2: "CREATE TABLE labels (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    3: "ALTER TABLE notes ADD COLUMN label_id INTEGER REFERENCES labels (id)",
}
WORDS = {1: "notes", 2: "labels", 3: "label_of_a_note"}
BROKEN = "UPDATE notes SET label_id = 1 WHERE text LIKE 'todo:%';\nALTER TABLE notes RENAME COLUMN txt TO body;"

# A picture without the fonts that Rich's own template fetches from elsewhere.
TEMPLATE = """<svg class="terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: "DejaVu Sans Mono", Menlo, Consolas, "Liberation Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


class Picture(NamedTuple):
    """What is typed for a picture, after the first notes were applied and the rest was added."""

    name: str
    commands: tuple[str, ...]
    broken: bool = False
    """Whether the last migration of the notes fails."""


PICTURES = (
    Picture("status-and-apply", ("homie migrations status", "homie migrations apply")),
    Picture("failed-migration", ("homie migrations apply --pack notes", "homie migrations status --pack notes"), broken=True),
)


def write_notes(site: Path, upto: int, *, broken: bool = False) -> None:
    """Write a pack as it is installed, with its first migrations."""
    migrations = site / "notes_migrations" / "migrations"
    info = site / "notes_migrations-1.0.0.dist-info"
    for folder in (migrations, info):
        folder.mkdir(parents=True, exist_ok=True)
    for version in range(1, upto + 1):
        (migrations / f"{version:03}_{WORDS[version]}.sql").write_text(f"{NOTES[version]};\n", encoding="utf-8")
    if broken:
        (migrations / "004_body_of_a_note.sql").write_text(f"{BROKEN}\n", encoding="utf-8")
    (site / "notes_migrations" / "__init__.py").write_text(
        "from homie_migrations_core import MigrationPack, hookimpl\n\n\n@hookimpl\ndef homie_migration_packs():\n"
        "    return MigrationPack('notes', 'notes_migrations.migrations', database='homie_notes.db')\n",
        encoding="utf-8",
    )
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: notes-migrations\nVersion: 1.0.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[homie.migrations]\nnotes = notes_migrations\n", encoding="utf-8")


@contextlib.contextmanager
def installed_notes(*, broken: bool) -> Iterator[tuple[Path, dict[str, str]]]:
    """Make a home folder and variables, with the notes installed and their first migration applied beside the file organizer's."""
    with tempfile.TemporaryDirectory() as place:
        home, site = Path(place).resolve() / "you", Path(place).resolve() / "site"
        home.mkdir()
        write_notes(site, 3 if broken else 1)
        variables = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HOMIE_", "PYTHON", "NO_COLOR", "FORCE_COLOR"))
        }
        variables |= {"HOME": str(home), "HOMIE_DATA_DIR": str(home), "PYTHONPATH": str(site), "TERM": "xterm-256color"}
        variables |= {"COLUMNS": "120", "LINES": "60"}
        at_a_terminal("homie migrations apply", home, variables)
        write_notes(site, 3, broken=broken)
        yield home, variables


def at_a_terminal(command: str, home: Path, variables: dict[str, str]) -> str:
    """Return what a command prints at a terminal, with its colours."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 60, int(variables["COLUMNS"]), 0, 0))
    words = command.split()
    assert words[0] == "homie"
    running = subprocess.Popen(
        [sys.executable, "-m", "homie_migrations_core", *words[1:]],
        cwd=home,
        env=variables,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    printed = b""
    with open(ours, "rb", buffering=0) as terminal, contextlib.suppress(OSError):  # EIO is the end of a pseudo-terminal
        while block := terminal.read(65536):
            printed += block
    running.wait(timeout=60)
    return printed.decode().replace("\r\n", "\n").replace(str(home), HOME)


def without_times(printed: str) -> str:
    """Return an output with the one time of all pages, between the codes of its colours."""
    parts = re.split(r"(\x1b\[[\d;]*m|\n)", printed)
    return "".join(part if number % 2 else timeless(part) for number, part in enumerate(parts))


def typed(picture: Picture) -> Text:
    """Type the commands of a picture; return what the terminal shows."""
    shown = Text()
    with installed_notes(broken=picture.broken) as (home, variables):
        for command in picture.commands:
            shown.append("$ ", style="green").append(f"{command}\n", style="bold")
            shown.append_text(Text.from_ansi(without_times(at_a_terminal(command, home, variables)).rstrip("\n"))).append("\n")
    shown.rstrip()
    return shown


def drawn(shown: Text, name: str) -> str:
    """Return the picture of what a terminal shows."""
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor", legacy_windows=False
    )
    console.print(shown)
    return console.export_svg(title="", code_format=TEMPLATE, unique_id=name)


def words_of(svg: str) -> str:
    """Return the text of a picture without spaces, line after line."""
    lines: dict[int, list[tuple[float, str]]] = {}
    for each in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        line = re.search(r"line-(\d+)", each.get("clip-path", ""))
        if line:
            lines.setdefault(int(line[1]), []).append((float(each.get("x", "0")), each.text or ""))
    return "\n".join(re.sub(r"\s", "", "".join(text for _, text in sorted(lines[number]))) for number in sorted(lines))


def write() -> None:
    """Write every picture."""
    FOLDER.mkdir(exist_ok=True)
    for picture in PICTURES:
        (FOLDER / f"{picture.name}.svg").write_text(drawn(typed(picture), picture.name), encoding="utf-8")
