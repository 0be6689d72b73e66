"""
Files that hold an up and a down part under markers in comments: those of dbmate and goose.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from homie_migrations_core.authoring.importing.originals import OUTSIDE_A_TRANSACTION, Excerpt, Reading

_Lines = list[tuple[int, str]]
_DBMATE = re.compile(r"--[ \t]*migrate:(?P<section>up|down)(?P<options>\s.*)?")
_GOOSE = re.compile(r"--[ \t]*\+goose[ \t]+(?P<words>.*\S)\s*", re.IGNORECASE)
_STATEMENT_BEGIN, _STATEMENT_END = "STATEMENTBEGIN", "STATEMENTEND"


def dbmate_sections(reading: Reading, whole: Excerpt) -> dict[str, Excerpt] | None:
    """Return the parts of a file of dbmate, by "up" and "down"; None if nothing in it is marked."""

    def marker(line: str) -> tuple[str, bool] | None:
        found = _DBMATE.fullmatch(line)
        return (found["section"], "transaction:false" in (found["options"] or "")) if found else None

    return _sections(reading, whole, marker)


def goose_sections(reading: Reading, whole: Excerpt) -> dict[str, Excerpt] | None:
    """Return the parts of a file of goose, by "up" and "down"; None if nothing in it is marked."""

    def marker(line: str) -> tuple[str, bool] | None:
        words = _goose_words(line)
        return (words.lower(), False) if words in ("UP", "DOWN") else None

    found = _sections(reading, whole, marker)
    return found and {section: Excerpt(each.path, tuple(_plain_sql(reading, each))) for section, each in found.items()}


def _sections(reading: Reading, whole: Excerpt, marker: Callable[[str], tuple[str, bool] | None]) -> dict[str, Excerpt] | None:
    """`marker` returns for a line which part begins there, and whether that part must not run in a transaction."""
    header: _Lines = []
    parts: dict[str, _Lines] = {}
    current = header
    for number, line in whole.lines:
        found = marker(line)
        if found is None:
            current.append((number, line))
            continue
        section, outside = found
        if outside:
            reading.problem(whole.path, number, OUTSIDE_A_TRANSACTION)
        if section in parts:
            reading.problem(whole.path, number, f"a second part is marked as {section}")
        current = parts.setdefault(section, [])
    if not parts:
        return None
    above = Excerpt(whole.path, tuple(header))
    for number, _ in above.statements()[:1]:
        reading.problem(whole.path, number, "a statement is above the first marker, where the tool does not run it")
    if "up" in parts:  # comments above the marker belong to the migration
        parts["up"] = header + parts["up"]
    return {section: Excerpt(whole.path, tuple(lines)) for section, lines in parts.items()}


def _goose_words(line: str) -> str:
    """Return what goose is told in this line, in capitals; nothing if it is not told anything."""
    found = _GOOSE.fullmatch(line)
    return found["words"].upper() if found else ""


def _plain_sql(reading: Reading, part: Excerpt) -> Iterator[tuple[int, str]]:
    """Yield the lines without what goose is told in them. Where a statement ends is decided by SQLite's own rule."""
    statement: _Lines = []
    for number, line in part.lines:
        words = _goose_words(line)
        if words == _STATEMENT_BEGIN:
            statement = []
        elif words == _STATEMENT_END:
            last = Excerpt(part.path, tuple(statement)).statements()[-1:]
            if last and not last[0][1].endswith(";"):  # goose needs no semicolon there
                yield number, ";"
        elif words:
            outside = "TRANSACTION" in words
            reading.problem(
                part.path, number, OUTSIDE_A_TRANSACTION if outside else f"it uses '+goose {words}', which has no equal in a pack"
            )
        else:
            statement.append((number, line))
            yield number, line
