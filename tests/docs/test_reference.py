"""The reference says what the program says, and leaves out no command, hook or exit code."""

from __future__ import annotations

import inspect

import pytest
from pages import schemas
from pages.error_reference import error_classes
from pages.generated import commands, generated, hooks, marked
from pages.reading import ROOT, text_of

from homie_migrations_core.cli import app


@pytest.mark.parametrize(("page", "name"), generated(), ids=str)
def test_a_generated_part_is_what_the_program_says(page: str, name: str):
    assert marked(name, text_of(page))[0].strip() == generated()[page, name], "`make docs-update` writes it again"


@pytest.mark.parametrize("path", schemas.files())
def test_a_published_schema_is_what_the_types_of_the_documents_state(path: str):
    assert (ROOT / path).exists(), "`make docs-update` writes it"
    assert text_of(path) == schemas.files()[path], "`make docs-update` writes it again"


def test_no_schema_is_published_that_nothing_states():
    assert {f"{schemas.FOLDER}/{each.name}" for each in (ROOT / schemas.FOLDER).iterdir()} == schemas.files().keys()


@pytest.mark.parametrize("name", hooks())
def test_a_hook_is_documented(name: str):
    parameters = ", ".join(inspect.signature(hooks()[name]).parameters)
    assert f"\n## {name}({parameters})\n" in text_of("docs/reference/hooks.md")


@pytest.mark.parametrize("name", commands())
def test_a_command_is_documented_with_its_aliases(name: str):
    page = text_of("docs/reference/command-line.md")
    assert f"\n## {name}\n" in page
    for alias in (alias for alias, meant in app.ALIASES.items() if meant == name):
        assert f"`{alias}`" in page


def test_every_exit_code_is_explained():
    page = text_of("docs/reference/command-line.md")
    codes = {each.exit_code for each in error_classes()} | {0, 3, 129, 143}
    assert not [code for code in sorted(codes) if f"\n| **{code}** |" not in page]
