"""`require_current` passes where `apply` has nothing to do, refuses where `apply` refuses, and never changes a byte."""

from __future__ import annotations

import logging
import sqlite3

import importlib_metadata  # noqa: F401  (before `nothing_else` hides the folder it is in)
import pytest
from helpers import creates, fingerprint, query, recorded, run_sql
from hypothesis import given, settings
from hypothesis import strategies as st

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.errors import (
    DatabaseInterrupted,
    DatabaseIsAhead,
    DatabaseNotCurrent,
    ForeignTrackingTable,
    HomieMigrationsError,
    MigrationLate,
    NotADatabase,
    PackBroken,
    RunRefused,
    UnknownPack,
)


def test_an_up_to_date_database_passes_and_no_migration_is_read(make, database):
    pack = make("a", "001_one", "002_two")
    MigrationRunner(database, [pack]).apply()
    for file in pack.migrations.iterdir():
        file.write_text("this is no Python")
    before = fingerprint(database.parent)
    assert MigrationRunner(database, [pack]).require_current() is None
    assert fingerprint(database.parent) == before


def test_what_is_pending_is_named_in_the_order_in_which_it_would_be_applied(make, database):
    MigrationRunner(database, [make("b", "001_one")]).apply()
    packs = [make("b", "002_two"), make("a", "001_one")]
    before = fingerprint(database.parent)
    runner = MigrationRunner(database, packs)
    with pytest.raises(DatabaseNotCurrent) as refused:
        runner.require_current()
    assert refused.value.path == str(database)
    assert refused.value.pending == tuple(step.ref for step in runner.plan().steps) == ("a:001_one", "b:002_two")
    assert refused.value.exists
    assert refused.value.exit_code == 3
    assert fingerprint(database.parent) == before


def test_a_file_that_is_missing_stays_missing(make, database):
    with pytest.raises(DatabaseNotCurrent, match="there is no such file; pending: a:001_one") as refused:
        MigrationRunner(database, [make("a", "001_one")]).require_current()
    assert not refused.value.exists
    assert not list(database.parent.iterdir())


def ahead(make, database):
    MigrationRunner(database, [make("a", "001_one", "002_two")]).apply()
    return [MigrationPack("a", make("c", "001_one").migrations, "app.db")], DatabaseIsAhead


def late(make, database):
    MigrationRunner(database, [make("a", "002_two")]).apply()
    return [make("a", "001_one")], MigrationLate


def late_and_ahead(make, database):
    MigrationRunner(database, [make("a", "002_two"), make("b", "001_one", "002_two")]).apply()
    (make("b").migrations / "002_two.py").unlink()
    return [make("a", "001_one"), make("b")], RunRefused


def foreign(make, database):
    run_sql(database, "CREATE TABLE schema_migrations (version TEXT PRIMARY KEY)")
    return [make("a", "001_one")], ForeignTrackingTable


def no_database(make, database):
    database.write_bytes(b"not a database at all" * 100)
    return [make("a", "001_one")], NotADatabase


def twice(make, database):
    pack = make("a", "001_one")
    return [pack, pack], PackBroken


@pytest.mark.parametrize("scene", [ahead, late, late_and_ahead, foreign, no_database, twice])
def test_it_raises_what_apply_raises_and_changes_nothing(make, database, scene):
    packs, error = scene(make, database)
    before = fingerprint(database.parent)
    with pytest.raises(error) as refused:
        MigrationRunner(database, packs).require_current()
    assert type(refused.value) is error
    assert fingerprint(database.parent) == before
    with pytest.raises(error) as applying:
        MigrationRunner(database, packs).apply()
    assert str(applying.value) == str(refused.value)


def test_an_interrupted_run_is_told_and_not_rolled_back(make, database):
    pack = make("a", "001_one")
    MigrationRunner(database, [pack]).apply()
    writer = sqlite3.connect(database, isolation_level=None)
    writer.executescript("PRAGMA cache_size = 1; BEGIN; CREATE TABLE big (x)")
    writer.executemany("INSERT INTO big VALUES (randomblob(5000))", [()] * 50)
    journal = database.with_name("app.db-journal")
    left = database.read_bytes(), journal.read_bytes()
    writer.close()
    database.write_bytes(left[0])
    journal.write_bytes(left[1])
    with pytest.raises(DatabaseInterrupted):
        MigrationRunner(database, [pack]).require_current()
    assert (database.read_bytes(), journal.read_bytes()) == left


def test_a_read_only_file_beside_a_writing_application_passes(make, database):
    pack = make("a", "001_one")
    MigrationRunner(database, [pack]).apply()
    writer = sqlite3.connect(database, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    database.chmod(0o400)
    try:
        MigrationRunner(database, [pack]).require_current()
    finally:
        writer.close()


def test_a_broken_installed_pack_is_logged_as_by_apply_and_the_others_count(installed, database, caplog):
    installed.nothing_else()
    installed.pack("mail", {"001_a.py": creates(1, "mail")}, database="app.db")
    installed.pack("news", {"1x.py": ""}, database="app.db")
    installed.distribution("gone", {"gone_plugin": "raise ValueError('not today')"}, {"gone": "gone_plugin"})
    with pytest.raises(DatabaseNotCurrent, match="pending: mail:001_a"):
        MigrationRunner(database).require_current()
    caplog.clear()
    MigrationRunner(database).apply()
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == 2
    caplog.clear()
    MigrationRunner(database).require_current()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == said


def test_a_broken_pack_that_was_handed_in_is_raised_once_nothing_is_pending(make, database):
    healthy, broken = make("a", "001_one"), make("b", m001_odd="x = 1")
    runner = MigrationRunner(database, [healthy, broken])
    with pytest.raises(DatabaseNotCurrent, match="pending: a:001_one"):
        runner.require_current()
    with pytest.raises(PackBroken):
        runner.apply()
    with pytest.raises(PackBroken, match="Not every pack is applied: b: "):
        runner.require_current()


def test_only_some_of_the_packs_may_be_required(three, database):
    MigrationRunner(database, only=["mail"]).apply()
    MigrationRunner(database, only=["mail"]).require_current()
    with pytest.raises(DatabaseNotCurrent, match="pending: news:001_a"):
        MigrationRunner(database).require_current()
    with pytest.raises(UnknownPack):
        MigrationRunner(database, only=["other"]).require_current()


@settings(max_examples=30)
@given(shipped=st.sets(st.integers(1, 4)), applied=st.sets(st.integers(1, 4)), edited=st.booleans())
def test_it_passes_exactly_where_apply_does_nothing(tmp_path_factory, shipped, applied, edited):
    """And raises the same error where `apply` refuses. Both look at the same database, `require_current` first."""
    folder = tmp_path_factory.mktemp("law")
    database, migrations = folder / "app.db", folder / "migrations"
    migrations.mkdir()
    pack = MigrationPack("a", migrations, "app.db")

    def ship(versions: set[int], more: str = "") -> None:
        for file in migrations.glob("*.py"):
            file.unlink()
        for version in versions:
            (migrations / f"{version:03}_x.py").write_text(creates(version, f"t{version}") + more, encoding="utf-8")

    def outcome(call: str) -> object:
        try:
            return getattr(MigrationRunner(database, [pack], backup=False), call)() or None
        except HomieMigrationsError as error:
            return type(error)

    if applied:
        ship(applied)
        MigrationRunner(database, [pack]).apply()
    ship(shipped, "MORE = 1\n" if edited else "")
    before = query(database, "SELECT * FROM schema_migrations") if applied else None
    required = outcome("require_current")
    assert (query(database, "SELECT * FROM schema_migrations") if applied else None) == before
    done = outcome("apply")
    if required is DatabaseNotCurrent:
        assert isinstance(done, list)
        assert outcome("require_current") is None
        assert len(recorded(database)) == len(shipped | applied)
    else:
        assert required == done
