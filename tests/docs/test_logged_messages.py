"""The page about logging lists every message that the library logs, with its level and its fields."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import pytest
from pages.reading import text_of

import file_organizer_migrations
import homie_migrations_core

PAGE = "docs/how-to/configure-logging.md"
LEVELS = {"debug": "DEBUG", "info": "INFO", "warning": "WARNING", "error": "ERROR", "exception": "ERROR", "critical": "CRITICAL"}
FILES = [
    path
    for package in (homie_migrations_core, file_organizer_migrations)
    for path in sorted(Path(package.__file__).parent.rglob("*.py"))
]
Logged = tuple[str, str, tuple[str, ...]]


def texts(node: ast.expr, variables: dict[str, ast.expr]) -> list[str]:
    """Return what a message can be: a text, one of two, or those of a variable."""
    if isinstance(node, ast.Name):
        return texts(variables[node.id], variables)
    if isinstance(node, ast.IfExp):
        return texts(node.body, variables) + texts(node.orelse, variables)
    assert isinstance(node, ast.Constant), f"line {node.lineno}: the message of a log call is a text, or one of two"
    return [str(node.value)]


def is_of_a_logger(node: ast.AST) -> TypeGuard[ast.Call]:
    """Tell whether this is `_log.info(...)` or the like."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS):
        return False
    return ast.unparse(node.func.value).startswith(("_log", "logging.getLogger("))


def logged(tree: ast.Module) -> Iterator[Logged]:
    """Yield the level, the message and the fields of every call of a logger."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        inner = list(ast.walk(function))
        variables = {
            each.targets[0].id: each.value
            for each in inner
            if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name)
        }
        for call in inner:
            if is_of_a_logger(call):
                extra = next((keyword.value for keyword in call.keywords if keyword.arg == "extra"), ast.Dict([], []))
                assert isinstance(extra, ast.Dict), f"line {call.lineno}: the fields of a log call are written in the call"
                fields = tuple(sorted(ast.literal_eval(key) for key in extra.keys if key))
                for text in texts(call.args[0], variables):
                    yield LEVELS[call.func.attr], text.replace("%s", "…"), fields


def listed() -> list[Logged]:
    """Return the rows of the page's table."""
    rows = re.findall(r"^\| ([A-Z]+) \| (.+?) \| .+? \| (.*?) ?\|$", text_of(PAGE), re.MULTILINE)
    return [(level, message, tuple(sorted(re.findall(r"`(\w+)`", fields)))) for level, message, fields in rows]


def test_the_page_lists_every_message_that_is_logged_and_no_other():
    found = [each for path in FILES for each in logged(ast.parse(path.read_text(encoding="utf-8")))]
    assert Counter(listed()) == Counter(found)


def test_every_logger_of_the_library_is_found():
    """A call through a logger of another name would be missed."""
    for path in FILES:
        source = path.read_text(encoding="utf-8")
        named = re.findall(r"^(\w+) = logging\.getLogger\(", source, re.MULTILINE)
        named += re.findall(r"homie_migrations_core\.logs import log(?: as (\w+))?$", source, re.MULTILINE)
        assert set(named) <= {"_log"}, path


def test_a_message_that_is_not_on_the_page_is_found():
    code = "def f(path, odd):\n    text = 'One %s' if odd else 'Two %s'\n    _log.warning(text, path, extra={'ref': 1, 'database': path})\n"
    assert list(logged(ast.parse(code))) == [
        ("WARNING", "One …", ("database", "ref")),
        ("WARNING", "Two …", ("database", "ref")),
    ]
    with pytest.raises(AssertionError, match="line 2: the message"):
        list(logged(ast.parse("def f(path):\n    _log.info(f'{path}')\n")))
