r"""
Text from outside, made safe to show: control and bidirectional characters become visible escapes, `\x1b`, `\u202e`.

A terminal obeys such characters, wherever they come from: it moves the cursor, changes colours, reverses what is shown.
Names and messages also stay on one line.
"""

from __future__ import annotations

_BIDIRECTIONAL = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_SEPARATORS = "\u2028\u2029"
_SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def escape_line(text: str) -> str:
    """Return the text on one line, without characters that a terminal obeys."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def escape_block(text: str) -> str:
    """Return the text with its lines and tabs as they are, without other characters that a terminal obeys."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(map(escape_line, line.split("\t"))) for line in lines)


def _escaped(character: str) -> str:
    code = ord(character)
    control = code < 0x20 or 0x7F <= code < 0xA0
    if control or 0xD800 <= code < 0xE000 or character in _BIDIRECTIONAL or character in _SEPARATORS:
        return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
    return character
