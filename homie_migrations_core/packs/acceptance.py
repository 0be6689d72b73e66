"""
Read the comments with which the author of a migration accepts findings, and the reason for each.

    # accepts drops_data: the column was never filled          (in a .py file)
    -- accepts drops_data: the column was never filled         (in a .sql file)

Comments are not part of the checksum, so a finding can be accepted after the release, too.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from homie_migrations_core.model import Migration

_ACCEPTS = re.compile(r"accepts\s+(?P<code>\w+)\s*(?P<colon>:)?\s*(?P<reason>.*)", re.DOTALL)
_SQL_COMMENT = re.compile(
    r"""'(?:[^']|'')*'?|"(?:[^"]|"")*"?|`(?:[^`]|``)*`?|\[[^\]]*\]?|/\*.*?(?:\*/|\Z)|--(?P<comment>[^\n]*)""", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Acceptances:
    """What one migration's files accept."""

    reasons: dict[str, str]
    """By code."""
    problems: tuple[str, ...] = ()
    """Comments that look like an acceptance but are not valid, as sentences."""


def may_accept(migration: Migration) -> bool:
    """Return whether it is worth to look for comments. For callers that ask about many migrations, of which few accept anything."""
    return b"accepts" in migration.content or b"accepts" in migration.rollback_content


def read_acceptances(migration: Migration, codes: Collection[str]) -> Acceptances:
    """Return which of the findings with these `codes` the migration's file and its rollback script accept."""
    reasons: dict[str, str] = {}
    problems: list[str] = []
    files = [(migration.path.name, migration.content)]
    if migration.rollback_path is not None:
        files.append((migration.rollback_path.name, migration.rollback_content))
    for name, content in files:
        if b"accepts" not in content:
            continue
        for line, comment in _comments(name, content):
            found = _ACCEPTS.fullmatch(comment.strip())
            if found is None:
                continue
            code, reason = found["code"], found["reason"].strip()
            if not found["colon"] and (reason or code not in codes):
                continue  # an ordinary comment
            if code not in codes:
                problems.append(f"{name}, line {line}, accepts {code}, but no finding with that code can be accepted")
            elif not reason:
                problems.append(f"{name}, line {line}, accepts {code} without a reason")
            else:
                reasons.setdefault(code, reason)
    return Acceptances(reasons, tuple(problems))


def _comments(name: str, content: bytes) -> Iterator[tuple[int, str]]:
    if name.endswith(".sql"):
        text = content.decode("utf-8-sig", "replace")
        for found in _SQL_COMMENT.finditer(text):
            if found["comment"] is not None:
                yield text.count("\n", 0, found.start()) + 1, found["comment"]
        return
    try:
        for token in tokenize.tokenize(io.BytesIO(content).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string.lstrip("#")
    except (SyntaxError, tokenize.TokenError, UnicodeDecodeError):
        return  # the rules for files report what is wrong with it
