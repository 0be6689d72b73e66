"""
How a migration's code becomes a checksum that comments and line endings don't change.

Only what can't change the meaning is left out: comments, docstrings, blank lines, trailing space, line
endings, the byte-order mark, and the block that runs a file by hand. What remains is the author's text, so
the checksum does not depend on the Python that computes it (unlike `ast.dump` or byte code).
"""

from __future__ import annotations

import ast
import hashlib
import io
import re
import tokenize
from collections.abc import Iterator
from importlib.util import decode_source

# Strings, quoted names and comments of SQL (https://sqlite.org/lang_comment.html; an unclosed one runs to the end).
_SQL_PIECE = re.compile(
    r"""(?P<kept>'(?:[^']|'')*'?|"(?:[^"]|"")*"?|`(?:[^`]|``)*`?|\[[^\]]*\]?)"""
    r"""|(?P<blank>(?:--[^\n]*|/\*.*?(?:\*/|\Z)|\s)+)|[^'"`\[\-/\s]+|.""",
    re.DOTALL,
)


def python_checksum(content: bytes, tree: ast.Module) -> str:
    """The checksum of a Python file. `tree` is what `ast.parse` made of the same `content`."""
    return _digest(_python_text(decode_source(content), tree))


def sql_checksum(script: str) -> str:
    """The checksum of an SQL script: white space outside quotes counts as one blank, comments as none."""
    pieces = (" " if found["blank"] else found[0] for found in _SQL_PIECE.finditer(script))
    return _digest("".join(pieces).strip())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _python_text(source: str, tree: ast.Module) -> str:
    lines = source.split("\n")
    inside: set[int] = set()  # numbers of the lines whose end lies within a string
    cuts: list[tuple[int, int, int, int]] = []  # row, column, end row, end column; columns in characters
    for node in (*_docstrings(tree), *_run_by_hand(tree)):
        row, end = node.lineno, node.end_lineno or node.lineno
        cuts.append((row, _column(lines[row - 1], node.col_offset), end, _column(lines[end - 1], node.end_col_offset)))
    if "#" in source or _spans_lines(tree, {id(node.value) for node in _docstrings(tree)}):
        cuts.extend(_comments(source, inside))  # the dear part; a file without either has nothing it could find
    for row, column, end, end_column in sorted(cuts, reverse=True):
        lines[row - 1] = lines[row - 1][:column] + (lines[end - 1][end_column:])
        for emptied in range(row, end):
            lines[emptied] = ""
        inside.difference_update(range(row, end))
    kept = []
    for number, line in enumerate(lines, start=1):
        if number in inside:
            kept.append(line)
        elif (shown := line.rstrip()) or number - 1 in inside:
            kept.append(shown)
    return "\n".join(kept)


def _column(line: str, utf8_offset: int | None) -> int:
    return len(line.encode("utf-8")[:utf8_offset].decode("utf-8")) if utf8_offset else 0


def _spans_lines(tree: ast.Module, docstrings: set[int]) -> bool:
    return any(
        isinstance(node, ast.Constant | ast.JoinedStr) and node.end_lineno != node.lineno and id(node) not in docstrings
        for node in ast.walk(tree)
    )


def _docstrings(tree: ast.Module) -> Iterator[ast.Expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
                yield first


def _run_by_hand(tree: ast.Module) -> Iterator[ast.stmt]:
    for node in tree.body:
        if isinstance(node, ast.If) and not node.orelse and isinstance(node.test, ast.Compare):
            sides = [node.test.left, *node.test.comparators]
            names = {side.id for side in sides if isinstance(side, ast.Name)}
            values = {side.value for side in sides if isinstance(side, ast.Constant)}
            if names == {"__name__"} and values == {"__main__"} and isinstance(node.test.ops[0], ast.Eq):
                yield node


def _comments(source: str, inside: set[int]) -> Iterator[tuple[int, int, int, int]]:
    """The spans of the comments; `inside` gains the lines that end within a string."""
    opened: list[int] = []  # rows where an f-string begins: from 3.12 on it comes in pieces
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        if kind == "COMMENT":
            yield (*token.start, *token.end)
        elif kind == "STRING":
            inside.update(range(token.start[0], token.end[0]))
        elif kind.endswith("STRING_START"):
            opened.append(token.start[0])
        elif kind.endswith("STRING_END"):
            inside.update(range(opened.pop(), token.end[0]))
