"""
The statements of an SQL script, one by one, so that the one that fails can be named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# What a statement is made of: quoted text and comments may hold a semicolon (https://sqlite.org/lang_comment.html).
_BLANK = r"(?:[ \t\n\f\r]++|--[^\n]*|/\*(?s:.*?)(?:\*/|\Z))"
_QUOTED = r"""(?:'[^']*(?:'|\Z)|"[^"]*(?:"|\Z)|`[^`]*(?:`|\Z)|\[[^\]]*(?:\]|\Z))"""
_BEGINNING = re.compile(rf"(?:{_BLANK}|;)*+")
_STATEMENT = re.compile(rf"""(?:[^;'"`\[/-]++|{_QUOTED}|{_BLANK}|[/-])*+(?:;|\Z)""")
_TRIGGER = re.compile(rf"(?:EXPLAIN{_BLANK}+)?CREATE{_BLANK}+(?:TEMP(?:ORARY)?{_BLANK}+)?TRIGGER\b", re.IGNORECASE)
_END = re.compile(rf"END{_BLANK}*+(?:;|\Z)", re.IGNORECASE)


class Script:
    """
    An SQL migration, statement by statement, so that the one that fails is known.

    A statement ends where `sqlite3_complete` says so (https://sqlite.org/c3ref/complete.html): at a semicolon, and
    a trigger at the one after the END that follows another.
    """

    def __init__(self, content: bytes) -> None:
        self._text = content.decode("utf-8-sig")
        self._offset = 0
        self._found: list[tuple[int, str]] | None = None

    def split(self) -> None:
        """Find all statements now, instead of each when its turn comes."""
        self._found = list(self._statements())

    def __iter__(self) -> Iterator[str]:
        for begin, statement in self._statements() if self._found is None else self._found:
            self._offset = begin
            yield statement

    def _statements(self) -> Iterator[tuple[int, str]]:
        """Yield each statement, and where it begins."""
        text, end = self._text, 0
        while end < len(text):
            begin = _end_of(_BEGINNING, text, end)
            end = _end_of(_STATEMENT, text, begin)
            if _TRIGGER.match(text, begin):
                last = False
                while end < len(text) and not last:
                    inner = _end_of(_BEGINNING, text, end)
                    last = _END.match(text, inner) is not None
                    end = _end_of(_STATEMENT, text, inner)
            if begin < end:
                yield begin, text[begin:end]

    @property
    def line(self) -> int:
        """The line where the statement that came last begins."""
        return self._text.count("\n", 0, self._offset) + 1


def _end_of(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    assert found is not None  # both match nothing, too
    return found.end()
