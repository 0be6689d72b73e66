"""`check`: what an author and CI see of it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from helpers import creates, python_migration, write_pack

NOTES = creates(1, "notes")
DROPS = python_migration(2, "conn.execute('ALTER TABLE notes DROP COLUMN text')")


@pytest.fixture
def folder(tmp_path: Path):
    """A folder of migrations that is called `notes`."""

    def write(**files: str) -> Path:
        write_pack(tmp_path / "notes" / "migrations", "notes", {name.replace("__", "."): text for name, text in files.items()})
        return tmp_path / "notes" / "migrations"

    return write


def test_a_folder_in_order_passes_without_a_database(homie, folder, tmp_path: Path):
    result = homie("check", "--dir", folder(**{"001_notes.py": NOTES}))
    assert result == (result.__class__)(0, "notes: 1 migration, 0 findings\n", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes"]


def test_a_finding_is_reported_with_its_code_and_advice_and_ends_with_4(homie, folder):
    result = homie("check", "--dir", folder(**{"001_notes.py": NOTES, "002_drop.py": DROPS}))
    assert result.code == 4
    assert result.out == (
        "notes: 2 migrations, 1 finding\n"
        "  drops_data: notes:002_drop drops notes.text, which held 20 values; they are nowhere else.\n"
        "    Move the data first, or accept the loss, with the reason.\n"
        "  note: notes:002_drop has no rollback, so only applying it was tested\n"
    )


def test_an_accepted_finding_is_shown_as_accepted_and_ends_with_0(homie, folder):
    result = homie("check", "--dir", folder(**{"001_notes.py": NOTES, "002_drop.py": f"# accepts drops_data: never used\n{DROPS}"}))
    assert result.code == 0
    assert result.out.startswith(
        "notes: 2 migrations, 0 findings, 1 accepted\n  accepted, drops_data: notes:002_drop drops notes.text"
    )
    assert "    The reason given: never used\n" in result.out


def test_the_json_document_has_everything(homie, folder):
    result = homie("check", "--json", "--dir", folder(**{"001_notes.py": NOTES, "002_drop.py": DROPS}))
    assert result.code == 4
    assert result.json == {
        "databases": [],
        "broken": [],
        "error": None,
        "packs": [
            {
                "name": "notes",
                "migrations": ["notes:001_notes", "notes:002_drop"],
                "findings": [
                    {
                        "code": "drops_data",
                        "subject": "notes:002_drop",
                        "pack": "notes",
                        "message": "notes:002_drop drops notes.text, which held 20 values; they are nowhere else.",
                        "advice": "Move the data first, or accept the loss, with the reason.",
                        "accepted": None,
                    }
                ],
                "notes": ["notes:002_drop has no rollback, so only applying it was tested"],
            }
        ],
    }


def test_the_output_of_a_migration_is_not_in_the_json(homie, folder):
    noisy = python_migration(1, "print('hello')", rollback="pass")
    result = homie("check", "--json", "--dir", folder(**{"001_noisy.py": noisy}))
    assert result.json["packs"][0]["findings"] == []


def test_quiet_says_it_with_the_exit_code_alone(homie, folder):
    result = homie("check", "-q", "--dir", folder(**{"001_notes.py": NOTES, "002_drop.py": DROPS}))
    assert (result.code, result.out, result.err) == (4, "", "")


def test_verbose_names_what_was_checked(homie, folder):
    result = homie("check", "-v", "--dir", folder(**{"001_notes.py": NOTES}))
    assert result.out == "notes: 1 migration, 0 findings\n  checked notes:001_notes\n"


def test_broken_file_rules_of_a_folder_are_findings(homie, folder):
    result = homie("check", "--dir", folder(**{"001_notes.py": NOTES, "Wrong.py": ""}))
    assert result.code == 4
    assert "  file_rules: Wrong.py is not a valid migration file name" in result.out


# --- installed packs ----------------------------------------------------------------------------------------------------


def test_without_a_name_every_installed_pack_is_checked(homie, installed):
    installed.pack("p", {"001_a.py": creates(1, "a")})
    installed.pack("q", {"001_b.py": creates(1, "b"), "002_drop.py": python_migration(2, "conn.execute('DROP TABLE b')")})
    result = homie("check")
    assert result.code == 4
    heads = [line for line in result.out.splitlines() if not line.startswith(" ")]
    assert heads == ["file_organizer: 1 migration, 0 findings", "p: 1 migration, 0 findings", "q: 2 migrations, 1 finding"]


@pytest.mark.parametrize("arguments", [("p",), ("--pack", "p"), ("p", "--pack", "p")])
def test_a_named_pack_is_checked_alone(homie, installed, arguments):
    installed.pack("p", {"001_a.py": creates(1, "a")})
    installed.pack("q", {"Wrong.py": ""})
    installed.distribution("broken-dist", {"broken_plugin": "1 / 0"}, {"broken": "broken_plugin"})
    assert homie("check", *arguments) == homie("check", "p")
    result = homie("check", *arguments)
    assert (result.code, result.out, result.err) == (0, "p: 1 migration, 0 findings\n", "")


def test_an_installed_pack_with_a_wrong_file_is_a_finding_and_the_others_are_checked(homie, installed):
    installed.nothing_else()
    installed.pack("p", {"001_a.py": creates(1, "a")})
    installed.pack("q", {"Wrong.py": ""})
    for arguments in ((), ("q",)):
        result = homie("check", *arguments)
        assert result.code == 4
        assert "q: 0 migrations, 1 finding\n  file_rules: Wrong.py is not a valid migration file name" in result.out
        assert result.err == ""


def test_an_entry_point_that_can_not_be_loaded_is_broken_and_the_others_are_checked(homie, installed):
    installed.nothing_else()
    installed.pack("p", {"001_a.py": creates(1, "a")})
    installed.distribution("broken-dist", {"broken_plugin": "1 / 0"}, {"broken": "broken_plugin"})
    result = homie("check")
    assert result.code == 1
    assert result.out == "p: 1 migration, 0 findings\n"
    assert "Broken: entry point broken of broken-dist: it can't be loaded (ZeroDivisionError" in result.err


def test_a_name_that_two_distributions_claim_is_broken(homie, installed):
    installed.nothing_else()
    installed.pack("p", {"001_a.py": creates(1, "a")})
    installed.pack("p", {"001_a.py": creates(1, "a")}, distribution="other-dist")
    result = homie("check", "p")
    assert result.code == 1
    assert "the pack p is registered more than once" in result.err


def test_an_unknown_pack_is_a_usage_error(homie, installed):
    installed.pack("p", {"001_a.py": creates(1, "a")})
    result = homie("check", "nope")
    assert result.code == 2
    assert "there is no pack 'nope'; the installed packs are file_organizer, p" in result.err
    assert homie("check", "nope", "--json").json["error"]["code"] == "unknown_pack"


def test_with_nothing_installed_there_is_nothing_to_check(homie, installed):
    installed.nothing_else()
    assert homie("check").code == 2


def test_packs_of_the_same_database_are_there_for_each_other(homie, installed):
    installed.pack("p", {"001_users.py": creates(1, "users")}, database="shared.db")
    uses = python_migration(
        1,
        "conn.execute('CREATE TABLE notes (id INTEGER PRIMARY KEY, owner INTEGER REFERENCES users (id))')",
        rollback="conn.execute('DROP TABLE notes')",
        requires=("p:1",),
    )
    installed.pack("q", {"001_notes.py": uses}, database="shared.db")
    installed.pack("r", {"001_users.py": creates(1, "users")}, database="another.db")
    result = homie("check", "p", "q", "r")
    assert (result.code, result.err) == (0, "")


def test_a_folder_gets_the_installed_packs_that_it_requires(homie, installed, folder):
    installed.pack("p", {"001_users.py": creates(1, "users", requires=("q:1",))})
    installed.pack("q", {"001_more.py": creates(1, "more")})
    installed.pack("r", {"001_clashes.py": creates(1, "notes")})
    assert homie("check", "--dir", folder(**{"001_notes.py": creates(1, "notes", requires=("p:1",))})).code == 0


def test_several_names_for_one_folder_are_a_usage_error(homie, folder):
    assert homie("check", "--dir", folder(**{"001_notes.py": NOTES}), "a", "b").code == 2
    assert homie("check", "--dir", folder(), "a").out == "a: 1 migration, 0 findings\n"
    assert homie("check", "--dir", "nowhere").code == 2


def test_ctrl_c_ends_it(started, folder, tmp_path: Path):
    begun = tmp_path / "begun"
    body = f"from pathlib import Path\nPath({str(begun)!r}).touch()\nwhile True:\n    conn.execute('SELECT 1')"
    process = started("check", "--dir", folder(**{"001_slow.py": python_migration(1, body)}))
    while not begun.exists():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert "Stopped on request" in process.communicate()[1]
