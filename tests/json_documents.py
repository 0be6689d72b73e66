"""
The JSON of the command line, held to the schemas that are published in docs/reference/schemas.

The published schemas allow fields that they do not name, because documents may gain some. Here no such field passes: what
a command prints and its schema does not name is a mistake in one of the two.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
from collections.abc import Sequence
from typing import Any

import jsonschema
from pages.generated import commands
from pages.reading import ROOT
from pages.schemas import COMMON, FOLDER, file_name

from homie_migrations_core.cli.app import ALIASES


def read_document(arguments: Sequence[object], text: str) -> Any:
    """Return the document that `homie migrations ARGUMENTS` has printed, after a check that it is what this command may print."""
    document = json.loads(text)
    check(schema_name(arguments), document)
    return document


def asks_for_events(arguments: Sequence[object]) -> bool:
    """Tell whether a command line has `--progress json`."""
    return "--progress=json" in arguments or ("--progress", "json") in itertools.pairwise(arguments)


def read_events(text: str) -> list[Any]:
    """Return the events that `--progress json` has written to stderr, after a check that every line is one."""
    events = [json.loads(line) for line in text.splitlines()]
    for each in events:
        check("progress", each)
    return events


def check(name: str, document: Any) -> None:
    """Fail unless the document fits the schema of this name and has no field that the schema does not name."""
    problems = sorted(validator(name).iter_errors(document), key=lambda each: each.json_path)
    assert not problems, "\n".join(f"{file_name(name)}: {each.json_path}: {each.message}" for each in problems)


def schema_name(arguments: Sequence[object]) -> str:
    """Return the name of the schema for a command line: its command's, or the common one if it names no command."""
    words = [os.fspath(each) if isinstance(each, os.PathLike) else str(each) for each in arguments[:2]]
    if words:
        words[0] = ALIASES.get(words[0], words[0])
    return next((name for name in (" ".join(words), *words[:1]) if name in _known_commands()), COMMON)


@functools.cache
def _known_commands() -> frozenset[str]:
    return frozenset(commands())


@functools.cache
def validator(name: str) -> jsonschema.Draft202012Validator:
    """Return what checks documents against the published schema of this name, strictly."""
    path = ROOT / FOLDER / file_name(name)
    assert path.exists(), f"`{name}` has no schema: give it an entry in cli/documents/catalog.py, then run `make docs-update`"
    return jsonschema.Draft202012Validator(_strict(json.loads(path.read_text(encoding="utf-8"))))


def _strict(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: False if (key, value) == ("additionalProperties", True) else _strict(value) for key, value in schema.items()}
    return [_strict(each) for each in schema] if isinstance(schema, list) else schema
