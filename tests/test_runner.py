"""What the calls of a runner return and raise, and that all of a call happens or none of it."""

from __future__ import annotations

import logging
from pathlib import Path

import importlib_metadata  # noqa: F401  (before `nothing_else` hides the folder it is in)
import pytest
from helpers import creates, fingerprint, python_migration, query, recorded, refs, run_sql, snapshot_folder, tables

from homie_migrations_core import MigrationPack, MigrationRunner, run_migrations
from homie_migrations_core.errors import (
    DatabaseIsAhead,
    DatabaseNotReachable,
    MigrationFailed,
    PackBroken,
    RollbackRefused,
    UnknownPack,
    UnknownTarget,
)


def test_a_relative_path_means_what_it_meant_when_the_runner_was_made(make, database, tmp_path, monkeypatch):
    monkeypatch.chdir(database.parent)
    runner = MigrationRunner("app.db", [make("a", "001_x")])
    monkeypatch.chdir(tmp_path)
    runner.apply()
    assert runner.path == database
    assert database.exists()


def test_a_folder_that_is_missing_is_not_made(make, tmp_path):
    runner = MigrationRunner(tmp_path / "nowhere" / "app.db", [make("a", "001_x")])
    for call in (runner.status, runner.apply):
        with pytest.raises(DatabaseNotReachable, match="there is no folder"):
            call()
    assert not (tmp_path / "nowhere").exists()


# --- applying -------------------------------------------------------------------------------------------------------


def test_what_was_applied_comes_back_in_order_and_again_there_is_nothing(make, database):
    packs = [make("b", "001_x", "002_y"), make("a", "001_x")]
    assert refs(MigrationRunner(database, packs).apply()) == ["a:001_x", "b:001_x", "b:002_y"]
    assert MigrationRunner(database, packs).apply() == []
    assert run_migrations(database, packs) == 0
    assert recorded(database) == ["a:001_x", "b:001_x", "b:002_y"]
    assert tables(database) == {"a_1", "b_1", "b_2"}


def test_a_run_returns_the_snapshot_it_left_if_it_left_one(make, database):
    runner = MigrationRunner(database, [make("a", "001_x")])
    runner.apply()
    assert runner.snapshot is None  # there was nothing to lose
    runner = MigrationRunner(database, [make("a", "002_y")])
    runner.apply()
    assert query(runner.snapshot, "SELECT migration_name FROM schema_migrations") == [("001_x",)]
    failing = MigrationRunner(
        database, [make("a", m003_z="def get_migration_version(): return 3\ndef apply_migration(conn): 1 / 0")]
    )
    with pytest.raises(MigrationFailed):
        failing.apply()
    assert failing.snapshot is None
    assert list(snapshot_folder(database).iterdir()) == [runner.snapshot]


def test_run_migrations_counts_what_it_applied(make, database):
    assert run_migrations(str(database), [make("a", "001_x", "002_y")]) == 2


def test_a_target_is_applied_with_what_it_requires_and_nothing_else(make, database):
    a = make("a", "001_x", m002_y=creates(2, "a_2", requires=("b:1",)), m003_z=creates(3, "a_3"))
    runner = MigrationRunner(database, [a, make("b", "001_x", "002_y"), make("c", "001_x")])
    assert refs(runner.apply(to="a:002_y")) == ["a:001_x", "b:001_x", "a:002_y"]
    assert runner.apply(to="a:1") == []
    assert recorded(database) == ["a:001_x", "a:002_y", "b:001_x"]
    with pytest.raises(UnknownTarget):
        runner.apply(to="a:9")


def test_planning_and_looking_leave_no_file(make, database):
    runner = MigrationRunner(database, [make("a", "001_x", "002_y")])
    assert [step.ref for step in runner.plan().steps] == ["a:001_x", "a:002_y"]
    assert [step.ref for step in runner.plan(to="a:1").steps] == ["a:001_x"]
    assert runner.status().state == "new"
    assert runner.history() == ()
    assert list(database.parent.iterdir()) == []


def test_history_is_in_the_order_in_which_it_happened(make, database):
    packs = [make("a", "001_x", "002_y"), make("b", "001_x")]
    MigrationRunner(database, packs).apply()
    run_sql(
        database,
        """
        UPDATE schema_migrations SET applied_at = '2024-01-03 00:00:00' WHERE pack = 'a' AND version = 1;
        UPDATE schema_migrations SET applied_at = '2024-01-01 00:00:00' WHERE pack = 'b';
        UPDATE schema_migrations SET applied_at = '2024-01-03 00:00:00' WHERE pack = 'a' AND version = 2;
        """,
    )
    assert refs(MigrationRunner(database, packs).history()) == ["b:001_x", "a:001_x", "a:002_y"]


def test_a_refusal_of_one_pack_stops_the_whole_database(make, database):
    packs = [make("a", "001_x"), make("b", "001_x")]
    MigrationRunner(database, packs).apply()
    run_sql(database, "INSERT INTO schema_migrations (version, migration_name, pack) VALUES (9, '009_new', 'b')")
    before = fingerprint(database.parent)
    packs = [make("a", "001_x", "002_y"), packs[1]]
    with pytest.raises(DatabaseIsAhead):
        MigrationRunner(database, packs).apply()
    assert fingerprint(database.parent) == before


def test_an_edited_migration_is_a_warning_and_stops_nothing(make, database, caplog):
    MigrationRunner(database, [make("a", "001_x")]).apply()
    pack = make("a", "002_y", m001_x=creates(1, "another"))
    assert refs(MigrationRunner(database, [pack]).apply()) == ["a:002_y"]
    assert "a:001_x was edited after it was applied" in caplog.text


# --- broken packs that were handed in ----------------------------------------------------------------------------------


def test_the_healthy_ones_are_applied_first_and_stay_when_another_is_broken(make, database):
    bad = make("bad", mhelpers="")
    packs = [make("a", "001_x"), bad, make("z", "001_x")]
    runner = MigrationRunner(database, packs)
    with pytest.raises(PackBroken) as broken:
        runner.apply()
    assert str(broken.value).startswith("Not every pack was applied: bad: helpers.py is not a valid migration file name")
    assert [each.pack for each in broken.value.broken] == ["bad"]
    assert recorded(database) == ["a:001_x", "z:001_x"]
    with pytest.raises(PackBroken):  # also when there is nothing left to do for the others
        runner.apply()
    assert recorded(database) == ["a:001_x", "z:001_x"]


def test_what_requires_a_broken_pack_is_left_out_and_named_with_it(make, database):
    packs = [
        make("a", m001_x=creates(1, "a_1", requires=("bad:1",))),
        make("b", "001_x"),
        make("bad", m001_x="def apply_migration(conn): pass"),
    ]
    with pytest.raises(PackBroken) as broken:
        MigrationRunner(database, packs).apply()
    assert [(each.pack, each.reason) for each in broken.value.broken] == [
        ("a", "a:001_x requires bad:1, and the pack bad can't be applied because 001_x.py has no get_migration_version()"),
        ("bad", "001_x.py has no get_migration_version()"),
    ]
    assert recorded(database) == ["b:001_x"]


def test_where_no_pack_is_usable_nothing_is_begun(make, database, tmp_path):
    nowhere = MigrationPack("nowhere", tmp_path / "nowhere", "app.db")
    with pytest.raises(PackBroken, match="nowhere: its folder .* does not exist"):
        MigrationRunner(database, [nowhere, make("bad", mhelpers="")]).apply()
    assert not database.exists()


def test_a_target_in_a_broken_pack_is_refused(make, database):
    runner = MigrationRunner(database, [make("a", "001_x"), make("bad", mhelpers="")])
    with pytest.raises(PackBroken, match="bad: helpers.py"):
        runner.apply(to="bad:1")
    with pytest.raises(PackBroken):
        runner.rollback("bad")
    with pytest.raises(PackBroken):
        runner.redo("bad")
    assert not database.exists()


def test_an_installed_pack_that_is_left_out_is_logged_and_the_others_are_applied(three, database, caplog):
    three.pack("bad", {"001_a.py": "no Python ("}, database="app.db")
    runner = MigrationRunner(database)
    with caplog.at_level(logging.ERROR, "homie_migrations"):
        assert refs(runner.apply()) == ["mail:001_a", "news:001_a"]
    assert "The pack bad was left out: 001_a.py, line 1: " in caplog.text
    assert [each.label for each in runner.left_out] == ["bad"]


def test_where_every_installed_pack_of_the_database_is_broken_nothing_is_begun(installed, database):
    installed.pack("bad", {"helpers.py": ""}, database="app.db")
    installed.pack("worse", {"001_a.py": "no Python ("}, database="app.db")
    with pytest.raises(PackBroken) as broken:
        MigrationRunner(database).apply()
    assert [each.label for each in broken.value.broken] == ["bad", "worse"]
    assert not database.exists()


def test_an_entry_point_that_cannot_be_loaded_is_logged_since_it_may_belong_here(three, database, caplog):
    three.distribution("unknown", {}, {"unknown": "no_such_plugin"})
    for applied in (["mail:001_a", "news:001_a"], []):
        caplog.clear()
        with caplog.at_level(logging.ERROR, "homie_migrations"):
            assert refs(MigrationRunner(database).apply()) == applied
        assert "The entry point unknown can't be used: it can't be loaded (ModuleNotFoundError" in caplog.text


# --- rolling back ----------------------------------------------------------------------------------------------------------


def test_a_rollback_rolls_back_the_newest_first_and_returns_them(make, database):
    runner = MigrationRunner(database, [make("a", "001_x", "002_y", "003_z"), make("b", "001_x")])
    runner.apply()
    assert refs(runner.rollback("a")) == ["a:003_z"]
    assert refs(runner.rollback("a", steps=1)) == ["a:002_y"]
    runner.apply()
    assert refs(runner.rollback("a", steps=2)) == ["a:003_z", "a:002_y"]
    assert refs(runner.rollback("a", to=0)) == ["a:001_x"]
    assert runner.rollback("a") == []
    assert (recorded(database), tables(database)) == (["b:001_x"], {"b_1"})


def refused(runner: MigrationRunner, pack: str, database: Path, **how) -> tuple[str, ...]:
    before = fingerprint(database.parent)
    with pytest.raises(RollbackRefused) as refusal:
        runner.rollback(pack, **how)
    with pytest.raises(RollbackRefused):
        runner.plan_rollback(pack, **how)
    assert fingerprint(database.parent) == before
    return refusal.value.found


def test_a_rollback_with_one_migration_that_has_no_rollback_rolls_back_none(make, database):
    runner = MigrationRunner(database, [make("a", "001_x", "003_z", m002_y=python_migration(2))])
    runner.apply()
    assert refused(runner, "a", database, to=0) == ("a:002_y has no rollback_migration",)
    assert refs(runner.rollback("a")) == ["a:003_z"]


def test_a_rollback_of_what_another_pack_requires_is_refused(make, database):
    runner = MigrationRunner(database, [make("a", "001_x", "002_y"), make("b", m001_x=creates(1, "b_1", requires=("a:001_x",)))])
    runner.apply()
    assert refused(runner, "a", database, steps=2) == ("b:001_x is applied and requires a:001_x",)
    assert refs(runner.rollback("a")) == ["a:002_y"]
    runner.rollback("b")
    assert refs(runner.rollback("a")) == ["a:001_x"]


def test_a_rollback_of_what_is_no_longer_shipped_is_refused(make, database):
    MigrationRunner(database, [make("a", "001_x", "002_y", "003_z")]).apply()
    (database.parent.parent / "packs" / "a" / "003_z.py").unlink()
    runner = MigrationRunner(database, [make("a", "001_x", "002_y")])
    assert refused(runner, "a", database) == ("the installed pack does not ship a:003_z",)


@pytest.mark.parametrize("how", [{"to": 1, "steps": 1}, {"to": -1}, {"steps": 0}, {"steps": -3}, {"to": 9}])
def test_a_rollback_to_what_makes_no_sense_is_refused(make, database, how):
    runner = MigrationRunner(database, [make("a", "001_x", "002_y")])
    runner.apply()
    before = fingerprint(database.parent)
    with pytest.raises(UnknownTarget):
        runner.rollback("a", **how)
    assert fingerprint(database.parent) == before


def test_a_rollback_of_an_unknown_pack_is_refused_and_makes_no_file(make, database):
    runner = MigrationRunner(database, [make("a", "001_x")])
    for call in (runner.rollback, runner.redo, runner.plan_rollback):
        with pytest.raises(UnknownPack, match="there is no pack 'x'"):
            call("x")
    assert runner.rollback("a") == runner.redo("a") == []
    assert not database.exists()


def test_a_rollback_that_fails_keeps_what_went_before_it(make, database):
    a = make("a", "001_x", "003_z", m002_y=python_migration(2, rollback="conn.execute('DROP TABLE a_1')\n1 / 0"))
    runner = MigrationRunner(database, [a])
    runner.apply()
    with pytest.raises(MigrationFailed) as failure:
        runner.rollback("a", to=0)
    assert (failure.value.ref, failure.value.direction, refs(failure.value.applied)) == ("a:002_y", "rollback", ["a:003_z"])
    assert (recorded(database), tables(database)) == (["a:001_x", "a:002_y"], {"a_1"})


# --- redoing ------------------------------------------------------------------------------------------------------------------


def test_a_redo_is_a_rollback_and_an_apply_of_the_newest_one(make, database):
    runner = MigrationRunner(database, [make("a", "001_x", "002_y"), make("b", "001_x")])
    runner.apply()
    run_sql(database, "INSERT INTO a_1 VALUES (1, 'stays'); INSERT INTO a_2 VALUES (1, 'goes');")
    assert refs(runner.redo("a")) == ["a:002_y"]
    assert recorded(database) == ["a:001_x", "a:002_y", "b:001_x"]
    assert (query(database, "SELECT text FROM a_1"), query(database, "SELECT text FROM a_2")) == ([("stays",)], [])


@pytest.mark.parametrize(
    "failure", ["1 / 0", "conn.commit()\n    raise SystemExit", "conn.executescript('CREATE TABLE half (x); SELECT nothing;')"]
)
def test_a_redo_is_one_transaction(make, database, failure):
    """The rollback works, the apply fails: the table and its rows are there as before."""
    again = f"""
        made = conn.execute("SELECT COUNT(*) FROM sqlite_schema WHERE name = 'was_there'").fetchone()[0]
        conn.execute('CREATE TABLE a_1 (id INTEGER PRIMARY KEY, text TEXT)')
        if made:
            {failure.replace(chr(10), chr(10) + "        ")}
    """
    runner = MigrationRunner(database, [make("a", m001_x=python_migration(1, again, rollback="conn.execute('DROP TABLE a_1')"))])
    runner.apply()
    run_sql(database, "CREATE TABLE was_there (x); INSERT INTO a_1 VALUES (1, 'stays');")
    before = fingerprint(database.parent)
    with pytest.raises(MigrationFailed) as failed:
        runner.redo("a")
    assert (failed.value.ref, failed.value.direction, failed.value.applied) == ("a:001_x", "apply", ())
    assert query(database, "SELECT text FROM a_1") == [("stays",)]
    assert query(database, "SELECT name FROM sqlite_schema WHERE name = 'half'") == []
    assert recorded(database) == ["a:001_x"]
    assert fingerprint(database.parent).keys() == before.keys()


def test_a_redo_runs_the_code_of_the_installed_pack_and_records_it(make, database):
    MigrationRunner(database, [make("a", "001_x")]).apply()
    edited = make("a", m001_x=creates(1, "a_1").replace("text TEXT", "text TEXT, more TEXT"))
    runner = MigrationRunner(database, [edited])
    assert runner.status().packs["a"].state == "edited"
    assert refs(runner.redo("a")) == ["a:001_x"]
    assert runner.status().state == "up_to_date"
    assert [name for (name,) in query(database, "SELECT name FROM pragma_table_info('a_1')")] == ["id", "text", "more"]


def test_a_redo_that_is_refused_changes_nothing(make, database):
    runner = MigrationRunner(
        database, [make("a", m001_x=python_migration(1)), make("b", m001_x=creates(1, "b_1", requires=("a:1",)))]
    )
    runner.apply()
    before = fingerprint(database.parent)
    with pytest.raises(RollbackRefused) as refusal:
        runner.redo("a")
    assert refusal.value.found == ("a:001_x has no rollback_migration", "b:001_x is applied and requires a:1")
    assert fingerprint(database.parent) == before
