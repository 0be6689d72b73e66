"""Findings that an author accepts, and the page that lists all of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from checked_packs import NOTES, only
from helpers import creates, python_migration, write_pack

from homie_migrations_core import MigrationPack
from homie_migrations_core.authoring.check import (
    check_hazards,
    check_pack,
)
from homie_migrations_core.authoring.findings import ACCEPTABLE, CODES

HAZARDS_PAGE = (Path(__file__).parents[2] / "docs/reference/hazards.md").read_text(encoding="utf-8")


# --- accepting -----------------------------------------------------------------------------------------------------


DROPS = python_migration(2, "conn.execute('ALTER TABLE notes DROP COLUMN text')")


@pytest.mark.parametrize(
    "comment",
    [
        "# accepts drops_data: the column was never filled\n",
        "#accepts drops_data:the column was never filled\n",
        "    #   accepts  drops_data :  the column was never filled  \n",
    ],
)
def test_a_finding_is_accepted_in_the_file_with_a_reason(checked, tmp_path: Path, comment: str):
    found = checked("", **{"002_second.py": comment + DROPS})
    assert [(each.code, each.accepted) for each in found.findings] == [("drops_data", "the column was never filled")]
    assert found.passed
    assert check_hazards(MigrationPack("p", tmp_path / "p")) == list(found.findings)


@pytest.mark.parametrize(
    ("sql", "accepted"),
    [
        ("-- accepts drops_data: meant\nALTER TABLE notes DROP COLUMN text;", "meant"),
        ("ALTER TABLE notes DROP COLUMN text; -- accepts drops_data: meant", "meant"),
        ("ALTER TABLE notes DROP COLUMN text; SELECT '-- accepts drops_data: meant';", None),
        ("ALTER TABLE notes DROP COLUMN text; /* -- accepts drops_data: meant */", None),
    ],
)
def test_in_sql_too(tmp_path: Path, sql: str, accepted: str | None):
    finding = only(check_pack(write_pack(tmp_path / "p", "p", {"001_notes.py": NOTES, "002_drop.sql": sql})))
    assert (finding.code, finding.accepted) == ("drops_data", accepted)


def test_a_rollback_script_may_accept_what_it_does(tmp_path: Path):
    files = {
        "001_notes.py": NOTES,
        "002_a.sql": "DELETE FROM notes WHERE id > 4;",
        "002_a.rollback.sql": "-- accepts rollback_loses_rows: they were spam\nSELECT 1;",
    }
    found = check_pack(write_pack(tmp_path / "p", "p", files))
    assert found.findings[0].accepted == "they were spam"
    assert found.passed


def test_what_stands_in_a_string_is_no_acceptance(checked):
    found = checked("", **{"002_second.py": DROPS + 'TEXT = """\n# accepts drops_data: no\n"""\n'})
    assert not found.passed


@pytest.mark.parametrize(
    ("comment", "words"),
    [
        ("accepts drops_data", "accepts drops_data without a reason"),
        ("accepts drops_data:  ", "accepts drops_data without a reason"),
        ("accepts drop_data: meant", "accepts drop_data, but no finding with that code can be accepted"),
        ("accepts does_not_apply: meant", "accepts does_not_apply, but no finding with that code can be accepted"),
    ],
)
def test_an_acceptance_that_is_none_is_a_finding(checked, comment: str, words: str):
    found = checked("", **{"002_second.py": f"# {comment}\n{creates(2, 'more')}"})
    assert (only(found).code, words in only(found).message) == ("acceptance_unusable", True)
    assert "002_second.py, line 1," in only(found).message


def test_a_sentence_in_a_comment_is_no_acceptance(checked):
    assert checked(
        "", **{"002_second.py": f"# accepts strings\n# accepts anything that drops_data has\n{creates(2, 'more')}"}
    ).passed


def test_an_acceptance_that_nothing_needs_is_noted(checked):
    found = checked("", **{"002_second.py": f"# accepts drops_data: meant\n{creates(2, 'more')}"})
    assert found.passed
    assert found.notes == ("p:002_second accepts drops_data, which was not found",)


def test_an_acceptance_is_for_its_own_migration_only(checked):
    files = {"002_second.py": f"# accepts drops_data: meant\n{DROPS}"}
    files["003_third.py"] = python_migration(3, "conn.execute('DROP TABLE notes')")
    found = checked("", **files)
    assert [each.accepted for each in found.findings] == ["meant", None]


# --- the page ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", CODES)
def test_every_finding_has_its_heading(code: str):
    section = re.split("\n##+ ", HAZARDS_PAGE.partition(f"\n### {code}\n")[2])[0]
    assert section, f"docs/reference/hazards.md has no heading {code}"
    assert ("can't be accepted" in section.lower()) == (code not in ACCEPTABLE)


def test_the_page_has_no_other_heading():
    assert re.findall(r"^### (\w+)$", HAZARDS_PAGE, re.MULTILINE) == list(CODES)
