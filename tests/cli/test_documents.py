"""
The JSON documents fit their published schemas.

The fixtures hold every document that a command prints to its schema; here is what shows that this finds something, and that
every command has a schema.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cli.migration_folder import MigrationFolder
from helpers import creates
from json_documents import check, read_document, schema_name, validator
from pages import schemas
from pages.generated import commands

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


def test_every_command_has_an_entry_in_the_catalog_and_every_entry_a_command():
    assert catalog.DATABASE_FIELDS.keys() | catalog.DOCUMENT_FIELDS.keys() == commands().keys()


def test_a_command_without_an_entry_in_the_catalog_fails_its_first_test():
    with pytest.raises(AssertionError, match=r"`juggle` has no schema: give it an entry in cli/documents/catalog\.py"):
        check("juggle", DOCUMENT)


@pytest.mark.parametrize("name", schemas.schemas())
def test_every_schema_is_valid_and_allows_fields_that_it_does_not_name(name: str):
    schema = schemas.schemas()[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    objects = [each for each in schema["$defs"].values() if "properties" in each]
    assert objects
    assert all(each["additionalProperties"] is True for each in objects)


def test_what_is_released_later_fits_a_schema_of_today():
    later = {**DOCUMENT, "more": 1, "databases": [{**DATABASE, "packs": [{**PACK, "more": [1]}], "more": {}}]}
    published = schemas.schemas()["status"]
    assert list(jsonschema.Draft202012Validator(published).iter_errors(later)) == []
    assert len(list(validator("status").iter_errors(later))) == 3


def test_types_and_fields_are_described_by_their_docstrings():
    definitions = schemas.schemas()["apply"]["$defs"]
    assert definitions["Problem"]["description"] == "An error."
    assert definitions["Problem"]["properties"]["code"]["description"].startswith("Stable: ")
    assert definitions["Database"]["properties"]["snapshot"]["description"].startswith("The path of the snapshot")  # of a base


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("status --json", "status"),
        ("up --json", "apply"),
        ("rollback tasks --json", "rollback"),
        ("stat --json", "document"),
        ("--json", "document"),
        ("", "document"),
    ],
)
def test_a_command_line_leads_to_the_schema_of_its_command(line: str, name: str):
    assert schema_name(line.split()) == name


def test_a_document_of_the_stated_shape_passes():
    check("status", DOCUMENT)
    check("plan", {**DOCUMENT, "databases": [{**DATABASE, "plan": [], "left_out": [], "edited": ["a:1"]}]})


def test_two_documents_on_stdout_are_not_valid_json():
    with pytest.raises(ValueError, match="Extra data"):
        read_document(["status"], "{}\n{}")


@pytest.mark.parametrize(
    ("command", "document"),
    [
        ("status", {**DOCUMENT, "more": 1}),
        ("status", {"databases": [], "broken": []}),
        ("status", {**DOCUMENT, "error": {"code": 1, "message": "x"}}),
        ("status", {**DOCUMENT, "error": "x"}),
        ("status", {**DOCUMENT, "databases": [{**DATABASE, "plan": []}]}),
        ("status", {**DOCUMENT, "databases": [{**DATABASE, "exists": "no"}]}),
        ("status", {**DOCUMENT, "databases": [{**DATABASE, "state": "fine"}]}),
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
        "a word that is no state",
        "a boolean for a number",
        "a number in a list of texts",
        "a word that is no direction",
    ],
)
def test_a_document_of_another_shape_does_not(command: str, document: dict[str, Any]):
    with pytest.raises(AssertionError):
        check(command, document)


@pytest.mark.parametrize("command", ["apply", "status", "validate"])
def test_the_lines_of_a_report_fit_their_schema(homie, tasks: MigrationFolder, tmp_path: Path, command: str):
    odd, report = tmp_path / "odd.db", tmp_path / "report"
    odd.write_text("not a database " * 100)
    homie("apply", *tasks.options)
    (tasks.folder / "002_two.py").write_text(creates(2, "other"), encoding="utf-8")  # edited: a finding
    line = (tasks.database, odd, "--dir", tasks.folder, "--executor", "threads", "--report", report)
    assert homie("fleet", command, *line).code == 2
    lines = [json.loads(each) for each in report.read_text(encoding="utf-8").splitlines()]
    for each in lines:
        check("fleet-report", each)
    expected = {"apply": "up_to_date", "status": "edited", "validate": "findings"}[command]
    assert {each["path"]: each["state"] for each in lines} == {str(tasks.database): expected, str(odd): "failed"}
