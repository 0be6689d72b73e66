"""
The JSON documents have the shapes that their types state.

The fixture `homie` checks the document of every call with `--json`; here is what shows that the check finds something.
"""

from __future__ import annotations

from typing import Any

import pytest
import typer
from cli.documents import check_document

from homie_migrations_core.cli.app import migrations
from homie_migrations_core.cli.documents import catalog

PACK = {
    "name": "a",
    "distribution": None,
    "distribution_version": None,
    "state": "new",
    "current_version": 0,
    "latest_version": 1,
    "reason": None,
    "migrations": [],
}
DATABASE: dict[str, Any] = {"path": "a.db", "exists": False, "state": "new", "packs": [PACK]}
DOCUMENT: dict[str, Any] = {"databases": [DATABASE], "broken": [], "error": None}


def test_the_catalog_names_every_command_that_adds_something():
    group = typer.main.get_command(migrations)
    commands = set(group.list_commands(typer.Context(group)))
    assert catalog.DATABASE_FIELDS.keys() | catalog.DOCUMENT_FIELDS.keys() | {"status"} == commands


def test_a_document_of_the_stated_shape_passes():
    check_document("status", DOCUMENT)
    check_document("plan", {**DOCUMENT, "databases": [{**DATABASE, "plan": [], "left_out": [], "edited": ["a:1"]}]})


@pytest.mark.parametrize(
    ("command", "document"),
    [
        ("status", {**DOCUMENT, "more": 1}),
        ("status", {"databases": [], "broken": []}),
        ("status", {**DOCUMENT, "error": {"code": 1, "message": "x"}}),
        ("status", {**DOCUMENT, "error": "x"}),
        ("status", {**DOCUMENT, "databases": [{**DATABASE, "plan": []}]}),
        ("status", {**DOCUMENT, "databases": [{**DATABASE, "exists": "no"}]}),
        ("status", {**DOCUMENT, "databases": [{**DATABASE, "packs": [{**PACK, "current_version": True}]}]}),
        ("plan", {**DOCUMENT, "databases": [{**DATABASE, "edited": [1]}]}),
        ("plan", {**DOCUMENT, "databases": [{**DATABASE, "plan": [{"ref": "a:1", "direction": "sideways"}]}]}),
    ],
    ids=[
        "a field too many",
        "a field too few",
        "another type",
        "no object",
        "a field of another command",
        "text for a boolean",
        "a boolean for a number",
        "a number in a list of texts",
        "a word that is not one of these",
    ],
)
def test_a_document_of_another_shape_does_not(command: str, document: dict[str, Any]):
    with pytest.raises(AssertionError):
        check_document(command, document)
