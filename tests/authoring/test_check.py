"""A check as a whole, and the file rules."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from checked_packs import ADD, INDEX, NOTES, REBUILD, codes, only
from helpers import creates, python_migration, write_pack

from homie_migrations_core import HomieMigrationsError, MigrationPack
from homie_migrations_core.authoring.check import (
    Checked,
    check_files,
    check_from_nothing,
    check_hazards,
    check_pack,
    check_round_trip,
)
from homie_migrations_core.errors import RunStopped
from homie_migrations_core.stopping import StopRequest

# --- packs in order ------------------------------------------------------------------------------------------------


def test_the_file_organizers_pack_passes():
    found = check_pack(MigrationPack("file_organizer", "file_organizer_migrations.migrations"))
    assert found.passed
    assert found.findings == found.notes == ()
    assert found.migrations == ("file_organizer:001_destination_memory",)


def test_a_pack_in_order_passes_every_part(tmp_path: Path):
    pack = write_pack(
        tmp_path / "p",
        "p",
        {
            "001_notes.py": NOTES,
            "002_colour.py": python_migration(2, ADD, rollback=REBUILD + INDEX),
            "003_tags.sql": "CREATE TABLE tags (note INTEGER NOT NULL REFERENCES notes (id), tag TEXT, PRIMARY KEY (note, tag));",
            "003_tags.rollback.sql": "DROP TABLE tags;",
        },
    )
    found = check_pack(pack)
    assert found == Checked("p", ("p:001_notes", "p:002_colour", "p:003_tags"), ())
    for part in (check_files, check_from_nothing, check_round_trip, check_hazards):
        assert part(pack) == []


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    check_pack(write_pack(tmp_path / "p", "p", {"001_notes.py": NOTES}))
    assert list(place.iterdir()) == []


def test_a_check_stops_when_it_is_asked_to(tmp_path: Path):
    pack = write_pack(tmp_path / "p", "p", {"001_notes.py": NOTES, "002_more.py": creates(2, "more")})
    asked = []

    def stop_the_fifth_time() -> bool:
        asked.append(1)
        return len(asked) > 4

    with pytest.raises(RunStopped) as stopped:
        check_pack(pack, stop=StopRequest(stop_the_fifth_time))
    assert "Stopped on request in a scratch database" in str(stopped.value)
    assert issubclass(RunStopped, HomieMigrationsError)


# --- the files -----------------------------------------------------------------------------------------------------


def test_every_unusable_file_is_a_finding_and_nothing_is_run(tmp_path: Path):
    pack = write_pack(tmp_path / "p", "p", {"Readme.py": "", "001_a.py": creates(1, "a"), "1_b.sql": "SELECT 1"})
    found = check_pack(pack)
    assert codes(found) == ["file_rules", "file_rules"]
    assert "001_a.py and 1_b.sql have the same version" in found.findings[0].message
    assert "Readme.py is not a valid migration file name" in found.findings[1].message
    assert not found.passed
    assert found.notes == ("no migration was run, because the files have to be corrected first",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("def get_migration_version(): return 2\ndef apply_migration(conn): pass", "returns 2 as its version"),
        ("def get_migration_version(): return 1", "has no apply_migration()"),
        ("def", "line 1"),
    ],
)
def test_an_unusable_migration_is_a_finding(tmp_path: Path, content: str, words: str):
    finding = only(check_pack(write_pack(tmp_path / "p", "p", {"001_a.py": content})))
    assert (finding.code, finding.subject) == ("file_rules", "p:001_a")
    assert words in finding.message


def test_an_empty_folder_is_a_finding(tmp_path: Path):
    assert codes(check_files(write_pack(tmp_path / "p", "p", {}))) == ["file_rules"]
