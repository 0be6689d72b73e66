"""Refusals of late and replaced migrations say what difference they make to the schema."""

from __future__ import annotations

import pytest
from helpers import (
    fingerprint,
    run_sql,
)
from inspection.workspace import Workspace, apply_all_but_one

from homie_migrations_core import MigrationRunner
from homie_migrations_core.errors import (
    MigrationLate,
    MigrationReplaced,
    RunRefused,
)

ROWS = "changes to rows can't be compared"
LATE = {
    "the same schema": (
        ["CREATE TABLE t (a)", "CREATE TABLE u (a)", "ALTER TABLE t ADD COLUMN c"],
        ("applied now, the migrations produce the same schema as in the order of their versions", ROWS),
    ),
    "another schema": (
        [
            "CREATE TABLE t (a)",
            "ALTER TABLE t ADD COLUMN b; CREATE TABLE u (a)",
            "ALTER TABLE t ADD COLUMN c; DROP TABLE IF EXISTS u",
        ],
        (
            "applied now, the migrations produce another schema than in the order of their versions",
            "table t: its columns are in another order, a, c, b instead of a, b, c",
            "table u added",
            ROWS,
        ),
    ),
    "it would fail": (
        ["CREATE TABLE t (a)", "ALTER TABLE t ADD COLUMN b", "DROP TABLE t"],
        ("applied now, p:002_step would fail: OperationalError: no such table: t (002_step.sql, line 1)",),
    ),
    "it would fail in the order of the versions": (
        ["CREATE TABLE t (a)", "CREATE TABLE IF NOT EXISTS u (a)", "CREATE TABLE IF NOT EXISTS u (a, b); CREATE INDEX i ON u (b)"],
        ("applied in the order of the versions, p:003_step fails: OperationalError: no such column: b (003_step.sql, line 1)",),
    ),
}


@pytest.mark.parametrize(("bodies", "explained"), LATE.values(), ids=LATE)
def test_a_late_migration_is_refused_with_the_difference_that_its_order_makes(workspace: Workspace, bodies, explained):
    apply_all_but_one(workspace, *bodies)
    before = fingerprint(workspace.folder)
    for call in (MigrationRunner.plan, MigrationRunner.apply):
        with pytest.raises(MigrationLate) as refused:
            call(workspace.runner())
        assert refused.value.explained == explained
        assert all(each in str(refused.value) for each in explained)
    assert fingerprint(workspace.folder) == before


@pytest.mark.parametrize(("bodies", "explained"), LATE.values(), ids=LATE)
def test_the_finding_of_a_late_migration_has_the_same_explanation(workspace: Workspace, bodies, explained):
    apply_all_but_one(workspace, *bodies)
    (found,) = workspace.findings()
    assert (found.code, found.subject, found.pack) == ("late", "p:002_step", "p")
    assert found.message == "; ".join(["p:002_step is pending although a newer migration is applied", *explained])


def test_a_late_migration_is_not_explained_by_an_applied_one_that_cannot_be_replayed(workspace: Workspace):
    run_sql(workspace.path, "CREATE TABLE own (a)")
    apply_all_but_one(workspace, "CREATE TABLE t (a); CREATE INDEX own_i ON own (a)", "CREATE TABLE u (a)", "CREATE TABLE v (a)")
    with pytest.raises(MigrationLate) as refused:
        workspace.runner().plan()
    assert refused.value.explained == ("whether the order makes a difference can't be told, because p:001_step can't be replayed",)
    assert [each.code for each in workspace.findings()] == ["late", "replay_failed"]


REPLACED = {
    "the same schema": (
        "CREATE TABLE u (a); INSERT INTO u VALUES (1)",
        ("the schema is the one that the pack produces today", ROWS),
    ),
    "another schema": (
        "CREATE TABLE u (a, b); CREATE INDEX i ON u (b)",
        (
            "the schema is not the one that the pack produces today",
            "`u` lacks the column `b`, which its migrations create",
            "`u` lacks the index `i`, which its migrations create",
            ROWS,
        ),
    ),
    "a failure": (
        "CREATE TABLE t (a)",
        ("p:002_other can't be replayed on an empty database: OperationalError: table t already exists (002_other.sql, line 1)",),
    ),
}


@pytest.mark.parametrize(("body", "explained"), REPLACED.values(), ids=REPLACED)
def test_a_replaced_migration_is_refused_with_the_differences_of_the_schema(workspace: Workspace, body, explained):
    workspace.write("p", _001_t="CREATE TABLE t (a)", _002_u="CREATE TABLE u (a)")
    workspace.apply()
    workspace.remove("p", "002_u")
    workspace.write("p", _002_other=body, _003_more="CREATE TABLE v (a)")
    before = fingerprint(workspace.folder)
    for call in (MigrationRunner.plan, MigrationRunner.apply):
        with pytest.raises(MigrationReplaced) as refused:
            call(workspace.runner())
        assert refused.value.explained == explained
        assert all(each in str(refused.value) for each in explained)
    assert fingerprint(workspace.folder) == before


def test_several_refusals_are_each_explained(workspace: Workspace):
    apply_all_but_one(workspace, "CREATE TABLE t (a)", "CREATE TABLE u (a)", "CREATE TABLE v (a)")
    workspace.remove("p", "001_step")
    workspace.write("p", _001_other="CREATE TABLE t (a); SELECT 1")
    with pytest.raises(RunRefused) as refused:
        workspace.runner().apply()
    assert {type(each): each.explained for each in refused.value.reasons} == {  # type: ignore[attr-defined]
        MigrationLate: ("whether the order makes a difference can't be told until the other problems are solved",),
        MigrationReplaced: ("the schema is the one that the pack produces today", ROWS),
    }
