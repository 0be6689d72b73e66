"""The page about promises names tests that exist, at least one for each promise."""

from __future__ import annotations

import ast
import re

import pytest
from pages.reading import ROOT, text_of

PAGE = "docs/explanation/safety.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def sections() -> dict[str, str]:
    """Return the text below each numbered heading, which is a promise."""
    parts = re.split(r"^## (\d+\. .+|.+)\n", text_of(PAGE), flags=re.MULTILINE)
    return {head: text for head, text in zip(parts[1::2], parts[2::2], strict=True) if head[0].isdigit()}


def functions_in(path: str) -> set[str]:
    """Return the names of a file's test functions, methods included."""
    if not (ROOT / path).exists():
        return set()
    nodes = ast.walk(ast.parse(text_of(path)))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_there_are_twelve_promises():
    assert [head.partition(".")[0] for head in sections()] == [str(number) for number in range(1, 13)]


@pytest.mark.parametrize("promise", sections())
def test_a_promise_names_tests_that_exist(promise: str):
    named = NAMED.findall(sections()[promise])
    assert named
    lost = [f"{path}::{name}" for path, name in named if name not in functions_in(path)]
    assert not lost, f"renamed or moved? {PAGE} names tests that are not there"


def test_every_campaign_belongs_to_a_promise():
    named = {path for path, _ in NAMED.findall(text_of(PAGE))}
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests" / "campaigns").glob("test_*.py")} <= named
