"""
Colours for blocks of the kind `console`, read as the tests read them: `$ ` begins a command, `> ` continues it.

Every other line is what the command prints. Pygments' own lexer takes `(…)` and `#` at the start of an output for a prompt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pygments.lexer import Lexer
from pygments.lexers.shell import BashLexer
from pygments.token import Generic, _TokenType
from sphinx.application import Sphinx


class ConsoleLexer(Lexer):
    """Commands behind prompts, and what they print."""

    name = "Console block"
    aliases: ClassVar[list[str]] = ["console"]

    def get_tokens_unprocessed(self, text: str) -> Iterator[tuple[int, _TokenType, str]]:
        """Return the tokens with their places."""
        at, typing = 0, False
        for line in text.splitlines(keepends=True):
            typing = line.startswith("$ ") or (typing and line.startswith("> "))
            if typing:
                yield at, Generic.Prompt, line[:2]
                for place, token, value in BashLexer().get_tokens_unprocessed(line[2:]):
                    yield at + 2 + place, token, value
            else:
                yield at, Generic.Output, line
            at += len(line)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_lexer("console", ConsoleLexer)
    return {"parallel_read_safe": True}
