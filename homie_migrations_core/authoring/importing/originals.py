"""
Values of an import: migrations as another tool keeps them, and what can't be taken over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from homie_migrations_core.sqlite.script import Script

OUTSIDE_A_TRANSACTION = "it asks to run outside a transaction, but in a pack a migration and its record are one transaction"
_REQUIRES = re.compile(r"\s*--\s*requires\s*:", re.IGNORECASE)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something that can't be taken over, and where it is."""

    path: Path
    line: int
    found: str

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}: {self.found}"


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Lines of an original file that become one script; each with its number in the file. Line ends are kept as they are."""

    path: Path
    lines: tuple[tuple[int, str], ...]

    @property
    def text(self) -> str:
        """The lines as one text, without blank lines around them."""
        text = "\n".join(line for _, line in self._without_blank_lines_around())
        return f"{text}\n" if text else ""

    @property
    def first_line(self) -> int:
        """The number in the original of the first line of the text."""
        lines = self._without_blank_lines_around() or self.lines
        return lines[0][0] if lines else 1

    def statements(self) -> list[tuple[int, str]]:
        """Return each statement, with the number in the original of the line where it begins."""
        lines, script = self._without_blank_lines_around(), Script(self.text.encode())
        return [(lines[script.line - 1][0], statement) for statement in script]

    def problems_with_comments(self) -> list[Problem]:
        """Return the leading comments that a pack would take for a requirement of another pack."""
        found = []
        for number, line in self._without_blank_lines_around():
            if line.strip() and not line.strip().startswith("--"):
                break
            if _REQUIRES.match(line):
                found.append(Problem(self.path, number, "a comment that begins with 'requires:' names other packs in a pack"))
        return found

    def _without_blank_lines_around(self) -> list[tuple[int, str]]:
        written = [place for place, (_, line) in enumerate(self.lines) if line.strip()]
        return list(self.lines[written[0] : written[-1] + 1]) if written else []


@dataclass(frozen=True, slots=True)
class Original:
    """One migration of another tool. `order` sorts it among the others, `version` must be its own."""

    order: tuple[int | str, ...]
    version: int | str
    title: str
    up: Excerpt
    down: Excerpt | None = None


@dataclass
class Reading:
    """What was read from a folder, in no order, and what can't be taken over or was left behind."""

    folder: Path
    tool: str = ""
    originals: list[Original] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def problem(self, path: Path, line: int, found: str) -> None:
        """Add something that can't be taken over."""
        self.problems.append(Problem(path, line, found))

    def read(self, *names: str) -> Excerpt:
        """Return the lines of a file below the folder. Text that is not UTF-8 is a problem, and empty."""
        path = self.folder.joinpath(*names)
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            self.problem(path, error.object.count(b"\n", 0, error.start) + 1, f"it is not UTF-8 ({error.reason})")
            text = ""
        return Excerpt(path, tuple(enumerate(text.split("\n"), start=1)))
