"""What an author accepts at the commit with a comment in the migration's file, and what the error without it says."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from helpers import python_migration, query, recorded, run_sql, tables, write_pack

from homie_migrations_core import MigrationPack, MigrationRunner
from homie_migrations_core.errors import ForeignKeysViolated, MigrationFailed, SchemaLeftBroken

REASON = "003 rebuilds the table orders"
# What real programs did before SQLite 3.26, when a rename left the references of other tables alone.
CREATE = """
CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, item INTEGER REFERENCES items (id));
INSERT INTO items VALUES (1, 'pen'), (2, 'ink');
INSERT INTO orders VALUES (1, 1), (2, 2);
"""
RENAME = """
ALTER TABLE items RENAME TO old_items;
CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL DEFAULT '');
INSERT INTO items SELECT id, name FROM old_items;
DROP TABLE old_items;
"""
REPAIR = """
CREATE TABLE new_orders (id INTEGER PRIMARY KEY, item INTEGER REFERENCES items (id));
INSERT INTO new_orders SELECT id, item FROM orders;
DROP TABLE orders;
ALTER TABLE new_orders RENAME TO orders;
"""
ACCEPTS = f"-- accepts dangling_reference: {REASON}\n"


@pytest.fixture(params=["delete", "wal"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A database that holds a table, so that each step has a transaction of its own."""
    path = tmp_path / "homie_p.db"
    run_sql(path, f"PRAGMA journal_mode={request.param}; CREATE TABLE t (a)")
    return path


def history(tmp_path: Path, *, accepts: str = ACCEPTS, create: str = CREATE) -> MigrationPack:
    files = {"001_items.sql": create, "002_names.sql": accepts + RENAME, "003_orders.sql": REPAIR}
    return write_pack(tmp_path / "pack", "p", files)


ALL = ["p:001_items", "p:002_names", "p:003_orders"]


@pytest.mark.parametrize("new", [False, True], ids=["an existing database", "a new database"])
@pytest.mark.parametrize("rows", [True, False], ids=["with rows", "without rows"])
@pytest.mark.parametrize("together", [False, True], ids=["step by step", "all or nothing"])
def test_a_history_that_leaves_a_reference_dangling_for_a_while_is_applied_with_the_comment(
    path: Path, tmp_path: Path, new: bool, rows: bool, together: bool, caplog: pytest.LogCaptureFixture
) -> None:
    if new:
        path.unlink()
    create = CREATE if rows else CREATE.split("INSERT")[0]
    with caplog.at_level(logging.WARNING, "homie_migrations"):
        applied = MigrationRunner(path, [history(tmp_path, create=create)]).apply(all_or_nothing=together)
    assert [each.ref for each in applied] == ALL
    assert query(path, "SELECT * FROM orders, items WHERE items.id = item ORDER BY 1") == (
        [(1, 1, 1, "pen"), (2, 2, 2, "ink")] if rows else []
    )
    assert query(path, "PRAGMA foreign_key_check") == []
    [warning] = {record.getMessage() for record in caplog.records if record.levelno == logging.WARNING}
    assert "p:002_names" in warning
    assert "dangling_reference" in warning
    assert "orders(item) refers to old_items, which does not exist" in warning
    assert REASON in warning


@pytest.mark.parametrize("new", [False, True], ids=["an existing database", "a new database"])
def test_without_the_comment_it_is_refused_with_the_cause_and_the_way_out(path: Path, tmp_path: Path, new: bool) -> None:
    if new:
        path.unlink()
    with pytest.raises(ForeignKeysViolated) as failed:
        MigrationRunner(path, [history(tmp_path, accepts="")]).apply()
    told = str(failed.value)
    assert "orders(item) refers to old_items, which does not exist" in told
    assert "Since SQLite 3.26, ALTER TABLE ... RENAME rewrites the references of other tables" in told
    assert "rename the new one into its place" in told
    assert "`-- accepts dangling_reference: REASON`" in told
    assert "002_names.sql" in told
    if not new:
        assert recorded(path) == ["p:001_items"]
        assert tables(path) == {"t", "items", "orders"}


def test_the_comment_can_be_added_to_what_was_applied_elsewhere(path: Path, tmp_path: Path) -> None:
    """It is no part of the checksum."""
    MigrationRunner(path, [history(tmp_path)]).apply()
    status = MigrationRunner(path, [history(tmp_path, accepts="")]).status()
    assert status.packs["p"].state == "up_to_date"


def test_the_refused_run_goes_on_once_the_comment_is_there(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ForeignKeysViolated):
        MigrationRunner(path, [history(tmp_path, accepts="")]).apply()
    assert [each.ref for each in MigrationRunner(path, [history(tmp_path)]).apply()] == ALL[1:]


def test_a_validation_tells_of_it_as_accepted_as_long_as_it_lasts(path: Path, tmp_path: Path) -> None:
    runner = MigrationRunner(path, [history(tmp_path)])
    runner.apply(to="p:2")
    [finding] = runner.validate()
    assert (finding.code, finding.subject, finding.pack, finding.accepted) == ("dangling_reference", "p:002_names", "p", REASON)
    assert "orders(item) refers to old_items, which does not exist" in finding.message
    runner.apply()
    assert runner.validate() == []


def test_a_rehearsal_tells_of_it_as_a_warning(path: Path, tmp_path: Path) -> None:
    found = MigrationRunner(path, [history(tmp_path)]).rehearse()
    assert found.succeeded
    assert [len(step.warnings) for step in found.steps] == [0, 1, 0]
    assert REASON in found.steps[1].warnings[0]


VIEW = "CREATE VIEW v AS SELECT a FROM t"
PYTHON = {
    "a view": ("# accepts broken_view: made anew by 3\nconn.execute('DROP TABLE t')", "view v"),
    "a trigger": ("# accepts broken_view: made anew by 3\nconn.execute('DROP TABLE log')", "the trigger writes"),
}


@pytest.mark.parametrize(("body", "words"), PYTHON.values(), ids=PYTHON)
def test_a_broken_view_or_trigger_is_accepted_in_python_too(
    path: Path, tmp_path: Path, body: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    run_sql(
        path,
        f"{VIEW}; CREATE TABLE u (a); CREATE TABLE log (a); CREATE TRIGGER writes AFTER INSERT ON u BEGIN INSERT INTO log VALUES (1); END",
    )
    refused = write_pack(tmp_path / "refused", "p", {"001_drop.py": python_migration(1, body.partition("\n")[2])})
    with pytest.raises(SchemaLeftBroken, match="`# accepts broken_view: REASON`"):
        MigrationRunner(path, [refused]).apply()
    accepted = write_pack(tmp_path / "accepted", "p", {"001_drop.py": python_migration(1, body)})
    with caplog.at_level(logging.WARNING, "homie_migrations"):
        assert len(MigrationRunner(path, [accepted]).apply()) == 1
    assert words in caplog.text
    assert "made anew by 3" in caplog.text


ORPHANS = "CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES parent (id));CREATE TABLE parent (id INTEGER PRIMARY KEY);INSERT INTO c VALUES (1, 9);"
NOT_ACCEPTED = {
    "rows without a parent": (
        f"-- accepts dangling_reference: no\n-- accepts foreign_keys_violated: no\n{ORPHANS}",
        ForeignKeysViolated,
    ),
    "another code": (f"-- accepts broken_view: no\n{CREATE}{RENAME}", ForeignKeysViolated),
    "no reason": (f"-- accepts dangling_reference:\n{CREATE}{RENAME}", ForeignKeysViolated),
    "one of two": (f"-- accepts dangling_reference: yes\n{CREATE}{RENAME}{ORPHANS}", ForeignKeysViolated),
    "in a string": (f"{CREATE}INSERT INTO items VALUES (9, '\n-- accepts dangling_reference: no\n');{RENAME}", ForeignKeysViolated),
}


@pytest.mark.parametrize(("script", "kind"), NOT_ACCEPTED.values(), ids=NOT_ACCEPTED)
def test_nothing_else_is_accepted(path: Path, tmp_path: Path, script: str, kind: type[MigrationFailed]) -> None:
    with pytest.raises(kind):
        MigrationRunner(path, [write_pack(tmp_path / "pack", "p", {"001_one.sql": script})]).apply()
    assert tables(path) == {"t"}


def test_an_acceptance_holds_for_its_own_migration_only(path: Path, tmp_path: Path) -> None:
    """What a later one of the same transaction breaks anew stops it."""
    again = RENAME.replace("old_items", "older_items")
    files = {"001_items.sql": CREATE, "002_names.sql": ACCEPTS + RENAME, "003_again.sql": f"{REPAIR}{again}"}
    with pytest.raises(ForeignKeysViolated, match="p:003_again failed.*refers to older_items"):
        MigrationRunner(path, [write_pack(tmp_path / "pack", "p", files)]).apply(all_or_nothing=True)
    assert tables(path) == {"t"}


def test_a_rollback_is_covered_by_the_same_comment(path: Path, tmp_path: Path) -> None:
    files = {"001_items.sql": CREATE, "002_names.sql": "CREATE TABLE x (a)", "002_names.rollback.sql": f"DROP TABLE x;{RENAME}"}
    known = write_pack(tmp_path / "pack", "p", files)
    MigrationRunner(path, [known]).apply()
    with pytest.raises(ForeignKeysViolated, match="002_names.rollback.sql"):
        MigrationRunner(path, [known]).rollback("p")
    write_pack(tmp_path / "pack", "p", {"002_names.rollback.sql": f"{ACCEPTS}DROP TABLE x;{RENAME}"})
    assert len(MigrationRunner(path, [known]).rollback("p")) == 1
