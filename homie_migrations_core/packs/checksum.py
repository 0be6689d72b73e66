"""
Compute a checksum of a migration's code that comments and line endings do not change.

Only what cannot change the meaning is left out: comments, docstrings, blank lines, trailing space, line endings, the
byte-order mark, and the block that runs a file by hand. What remains is the author's text, so the checksum does not
depend on the version of Python (unlike `ast.dump` or byte code).
"""

from __future__ import annotations

import _ast as ast  # the classes only: what `ast` adds to them takes longer to import than a pack to read
import io

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from hashlib import sha256
    from typing import Any
else:
    try:
        from _sha2 import sha256  # hashlib would load OpenSSL
    except ImportError:
        try:
            from _sha256 import sha256  # its name before Python 3.12
        except ImportError:  # this Python is built to use OpenSSL only
            from hashlib import sha256

# Strings, quoted names and comments of SQL (https://sqlite.org/lang_comment.html; an unclosed one runs to the end).
# White space is what SQLite regards as such: any other space character of Unicode is part of a name.
_SQL_PIECE = (
    r"""(?P<kept>'(?:[^']|'')*'?|"(?:[^"]|"")*"?|`(?:[^`]|``)*`?|\[[^\]]*\]?)"""
    r"""|(?:--[^\n]*|/\*.*?(?:\*/|\Z)|[ \t\n\f\r])+"""
)

_Cut = tuple[int, int, int, int]
"""Row, column, end row, end column; rows from 1, columns in characters."""


def python_checksum(content: bytes, tree: ast.Module) -> str:
    """Return the checksum of a Python file. `tree` is what `ast.parse` returned for the same `content`."""
    return _digest(_python_text(_decoded(content), tree))


def sql_checksum(script: str) -> str:
    """Return the checksum of an SQL script. Any white space outside quotes counts as one space, a comment as nothing."""
    import re

    return _digest(re.sub(_SQL_PIECE, lambda found: found["kept"] or " ", script, flags=re.DOTALL).strip(" "))


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _decoded(content: bytes) -> str:
    """Return the source that the parser reads, its line endings made equal."""
    if any(b"coding" in line for line in content.split(b"\n", 2)[:2]):
        from importlib.util import decode_source

        return decode_source(content)
    text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8")  # a byte-order mark is no part of it
    return io.IncrementalNewlineDecoder(None, translate=True).decode(text)


def _python_text(source: str, tree: ast.Module) -> str:
    lines = source.split("\n")
    inside: set[int] = set()  # numbers of the lines that end inside a string
    cuts: list[_Cut] = []
    docstrings = () if "__doc__" in source and _reads_docstrings(tree) else _docstrings(tree.body, tree)
    for node in (*docstrings, *_run_by_hand(tree)):
        row, end = node.lineno, node.end_lineno or node.lineno
        column, end_column = _column(lines[row - 1], node.col_offset), _column(lines[end - 1], node.end_col_offset)
        if lines[end - 1][end_column:].lstrip()[:1] in ("", "#"):  # no other statement follows on the line
            cuts.append((row, column, end, end_column))
    if "#" in source or _may_span_lines("\n".join(_without(cuts, lines))):
        cuts.extend(_comments(source, inside))  # the slow part, needed only for files with either
    for row, _, end, _ in cuts:
        inside.difference_update(range(row, end))
    kept: list[str] = []
    for number, line in enumerate(_without(cuts, lines), start=1):
        if number in inside:
            kept.append(line)
        elif (shown := line.rstrip()) or number - 1 in inside or (kept and kept[-1].endswith("\\")):
            kept.append(shown)  # after a backslash an empty line ends the statement
    return "\n".join(kept)


def _without(cuts: list[_Cut], lines: list[str]) -> list[str]:
    """Return the lines without what is cut out; their number stays the same."""
    left = list(lines)
    for row, column, end, end_column in sorted(cuts, reverse=True):
        left[row - 1] = left[row - 1][:column] + left[end - 1][end_column:]
        left[row:end] = [""] * (end - row)
    return left


def _may_span_lines(text: str) -> bool:
    """Tell whether the text may hold a string of several lines."""
    return any(sign in text for sign in ('"""', "'''", "\\\n"))


def _column(line: str, utf8_offset: int | None) -> int:
    return len(line.encode("utf-8")[:utf8_offset].decode("utf-8")) if utf8_offset else 0


def _reads_docstrings(tree: ast.Module) -> bool:
    """Tell whether the code uses docstrings, so that they are part of its meaning."""
    return any(
        (isinstance(node, ast.Name) and node.id == "__doc__") or (isinstance(node, ast.Attribute) and node.attr == "__doc__")
        for node in nodes_of(tree)
    )


def nodes_of(tree: ast.AST) -> Iterator[ast.AST]:
    """Return a node and all below it, as `ast.walk` does in another order."""
    found: list[Any] = [tree]
    while found:
        node = found.pop()
        if isinstance(node, ast.AST):
            yield node
            found += [getattr(node, name, None) for name in node._fields]
        elif isinstance(node, list):
            found += node


def _docstrings(body: list[ast.stmt], owner: ast.AST) -> Iterator[ast.Expr]:
    """Return the docstrings in a body of `owner`. Only statements are visited: docstrings are nowhere else."""
    if isinstance(owner, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and body:
        first = body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            yield first
    for node in body:
        for inner in blocks_of(node):
            yield from _docstrings(getattr(node, inner), node if inner == "body" else ast.Pass())


_blocks: dict[type[ast.AST], tuple[str, ...]] = {}


def blocks_of(node: ast.AST) -> tuple[str, ...]:
    """Return which attributes of a statement, of a handler or of a case are lists of such."""
    kind = type(node)
    if (known := _blocks.get(kind)) is None:
        names = [each for each in ("body", "orelse", "finalbody", "handlers", "cases") if each in kind._fields]
        known = _blocks[kind] = tuple(names) if isinstance(node, ast.stmt | ast.excepthandler | ast.match_case) else ()
    return known


def _run_by_hand(tree: ast.Module) -> Iterator[ast.stmt]:
    for node in tree.body:
        if isinstance(node, ast.If) and not node.orelse and isinstance(node.test, ast.Compare) and len(node.test.ops) == 1:
            sides = [node.test.left, *node.test.comparators]
            names = {side.id for side in sides if isinstance(side, ast.Name)}
            values = {side.value for side in sides if isinstance(side, ast.Constant)}
            if names == {"__name__"} and values == {"__main__"} and isinstance(node.test.ops[0], ast.Eq):
                yield node


def _comments(source: str, inside: set[int]) -> Iterator[_Cut]:
    """Return the spans of the comments, and add to `inside` the lines that end inside a string. The source has been parsed."""
    at, row, line = 0, 1, 0  # `line` is where the line of `row` begins
    found: list[_Cut] = []
    strings: set[int] = set()
    nowhere = len(source)
    places = dict.fromkeys("#'\"", -1)
    while True:
        for sign, place in places.items():
            if place < at:
                next_place = source.find(sign, at)
                places[sign] = nowhere if next_place < 0 else next_place
        begin = min(places.values())
        if begin == nowhere:
            break
        row += source.count("\n", line, begin)
        line = source.rfind("\n", 0, begin) + 1
        if source[begin] == "#":
            at = source.find("\n", begin)
            at = nowhere if at < 0 else at
            found.append((row, begin - line, row, at - line))
            continue
        at = _end_of_string(source, begin)
        if at < 0:
            return _comments_by_tokens(source, inside)
        strings.update(range(row, row + source.count("\n", begin, at)))
    inside |= strings
    return iter(found)


def _end_of_string(source: str, begin: int) -> int:
    """Return where the string ends whose quote is at `begin`; -1 for one in which expressions may hold quotes or comments."""
    quote = source[begin] * 3 if source.startswith(source[begin] * 3, begin) else source[begin]
    at = begin + len(quote)
    while (end := source.find(quote, at)) >= 0 and (escape := source.find("\\", at, end)) >= 0:
        at = escape + 2
    last = source[begin - 1 : begin].lower()
    letter = source[begin - 2 : begin - 1].lower() if last == "r" else last
    if letter in ("f", "t") and not _is_simple(source[begin + len(quote) : end]):  # or a keyword that ends so
        return -1
    return end + len(quote) if end >= 0 else -1


def _is_simple(text: str) -> bool:
    """
    Tell whether the text of an f-string, up to the quote that is thought to end it, ends there for every Python.

    Since Python 3.12 an expression inside may hold that quote too, and comments. False means "not sure".
    """
    if any(sign in text for sign in ("{{", "}}", "#", "\\", "\n")):
        return False
    depth, at, quotes = 0, 0, "'" in text or '"' in text
    while at < len(text):
        sign = text[at]
        if sign in "{}":
            depth += 1 if sign == "{" else -1
        elif depth and sign == ":" and quotes:  # behind it a quote may stand for itself
            return False
        elif depth and sign in "'\"":
            end = text.find(sign, at + 1)
            if end < 0 or text[at - 1].isalnum():  # no end, or a string with a prefix
                return False
            at = end
        at += 1
    return depth == 0


def _comments_by_tokens(source: str, inside: set[int]) -> Iterator[_Cut]:
    """Do the same for every source, at ten times the cost."""
    import tokenize

    opened: list[int] = []  # rows where an f-string begins: since Python 3.12 it is several tokens
    try:
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
    except tokenize.TokenError as error:
        raise ValueError(*error.args) from error
