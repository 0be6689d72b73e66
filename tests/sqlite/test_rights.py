"""What a user with fewer rights can do, and what is reported where a right is missing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import creates, fingerprint, write_pack
from sqlite.forks import becoming_somebody, in_a_child, load_every_module
from sqlite.reader_helpers import (
    as_root,
    journal_delete,
    journal_persist,
    leave_hot_journal,
    wal,
)

from homie_migrations_core import HomieMigrationsError, MigrationPack, MigrationRunner


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that everybody may read, which those of pytest are not; a database at version 1 of 2 is in it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pack(folder / "pack", "p", {"001_a.py": creates(1, "a"), "002_b.py": creates(2, "b")})
        (folder / "data").mkdir()
        folder.chmod(0o755)
        MigrationRunner(folder / "data" / "homie_p.db", [MigrationPack("p", folder / "pack")]).apply(to="p:1")
        yield folder / "data" / "homie_p.db"


def as_somebody(database: Path, *calls: Callable[[MigrationRunner], object], **how: bool) -> list[object]:
    """Return the results or errors of `calls`, made by a user who owns nothing here."""
    load_every_module()
    pack = MigrationPack("p", database.parent.parent / "pack")

    def outcome(call: Callable[[MigrationRunner], object]) -> object:
        try:
            return call(MigrationRunner(database, [pack], **how))
        except HomieMigrationsError as error:
            return f"{error.code} {error.found}"

    return in_a_child(becoming_somebody(lambda: [outcome(call) for call in calls]))


def look(runner: MigrationRunner) -> tuple[str, list[str], int]:
    return runner.status().state, [step.ref for step in runner.plan().steps], len(runner.history())


def state(runner: MigrationRunner) -> str:
    return runner.status().state


def apply(runner: MigrationRunner) -> int:
    return len(runner.apply())


@as_root
@pytest.mark.parametrize("prepare", [journal_delete, wal, journal_persist], ids=lambda each: each.__name__)
def test_a_read_only_database_can_be_read(shared, prepare):
    prepare(shared)
    before = fingerprint(shared.parent)
    assert as_somebody(shared, look) == [("pending", ["p:002_b"], 1)]
    assert fingerprint(shared.parent) == before


@as_root
def test_an_interrupted_read_only_database_is_reported_as_interrupted(shared):
    leave_hot_journal(shared)
    before = fingerprint(shared.parent)
    assert as_somebody(shared, state) == ["interrupted"]
    assert fingerprint(shared.parent) == before


@as_root
@pytest.mark.parametrize("prepare", [journal_delete, wal], ids=lambda each: each.__name__)
def test_a_start_with_nothing_to_do_accepts_a_read_only_file(shared, prepare):
    MigrationRunner(shared, [MigrationPack("p", shared.parent.parent / "pack")], backup=False).apply()
    prepare(shared)
    shared.parent.chmod(0o777)
    before = fingerprint(shared.parent)
    assert as_somebody(shared, apply) == [0]
    assert fingerprint(shared.parent) == before


@as_root
@pytest.mark.parametrize("mode", [0o777, 0o755], ids=oct)
@pytest.mark.parametrize("prepare", [journal_delete, wal], ids=lambda each: each.__name__)
def test_a_change_of_a_read_only_file_is_refused(shared, prepare, mode):
    prepare(shared)
    shared.parent.chmod(mode)
    before = fingerprint(shared.parent)
    (outcome,) = as_somebody(shared, apply)
    assert outcome.startswith("database_not_writable it can't be written")
    assert fingerprint(shared.parent) == before


@as_root
@pytest.mark.parametrize("prepare", [journal_delete, wal], ids=lambda each: each.__name__)
def test_a_change_in_a_read_only_folder_names_the_folder(shared, prepare):
    prepare(shared)
    shared.chmod(0o666)
    before = fingerprint(shared.parent)
    (outcome,) = as_somebody(shared, apply, backup=False)
    assert outcome.startswith(("database_not_writable", "database_not_reachable"))
    assert str(shared.parent) in outcome
    assert fingerprint(shared.parent) == before


@as_root
def test_an_unreadable_database_is_reported_with_the_reason(shared):
    shared.chmod(0o600)
    assert as_somebody(shared, state, apply) == ["database_not_reachable this user may not read it"] * 2


@as_root
def test_a_new_database_in_a_read_only_folder_names_the_folder(shared):
    shared.unlink()
    outcome = as_somebody(shared, state, apply)
    assert outcome == ["new", f"database_not_reachable this user may not create files in {shared.parent}, which SQLite needs"]
    assert list(shared.parent.iterdir()) == []
