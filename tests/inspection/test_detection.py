"""The version of a database without records is detected by its schema."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import (
    fingerprint,
    recorded,
    run_sql,
)
from inspection.workspace import Workspace

from homie_migrations_core.errors import (
    BaselineRefused,
    VersionUnclear,
)

MIGRATIONS = {
    "_001_t": "CREATE TABLE t (a)",
    "_002_more": "ALTER TABLE t ADD COLUMN b",
    "_003_u": "CREATE TABLE u (a); CREATE INDEX i ON u (a)",
    "_004_less": "DROP INDEX i",
    "_005_v": "CREATE VIEW v AS SELECT a, b FROM t",
}


@pytest.mark.parametrize("version", range(1, 6))
def test_each_version_of_a_pack_is_detected_and_recorded(workspace: Workspace, version):
    workspace.write("p", **MIGRATIONS)
    run_sql(
        workspace.path, ";".join([*list(MIGRATIONS.values())[:version], "CREATE TABLE own (a)", "CREATE VIEW mine AS SELECT 1"])
    )
    before = fingerprint(workspace.folder)
    found = workspace.runner().detect("p")
    assert fingerprint(workspace.folder) == before
    assert (found.pack, found.version, len(found.equal), found.nearest) == ("p", version, 1, None)
    assert (found.above.version if found.above else None) == (version + 1 if version < 5 else None)
    assert [each.version for each in workspace.runner().baseline("p")] == list(range(1, version + 1))
    assert len(recorded(workspace.path)) == version
    assert workspace.findings() == []
    workspace.apply()
    assert workspace.findings() == []


def test_a_migration_that_changes_only_rows_makes_the_version_unclear(workspace: Workspace):
    workspace.write("p", **{**MIGRATIONS, "_003_u": "UPDATE t SET b = 1", "_004_less": "CREATE TABLE w (a)"})
    run_sql(workspace.path, "CREATE TABLE t (a, b)")
    assert workspace.runner().detect("p").equal == ("p:002_more", "p:003_u")
    before = fingerprint(workspace.folder)
    with pytest.raises(VersionUnclear) as refused:
        workspace.runner().baseline("p")
    assert "p:002_more and p:003_u produce the same schema, and what they do to rows can't be seen" in str(refused.value)
    assert fingerprint(workspace.folder) == before


def test_a_database_that_fits_no_version_is_refused_with_the_nearest_one_and_the_differences(workspace: Workspace):
    workspace.write("p", **MIGRATIONS)
    run_sql(workspace.path, ";".join([*list(MIGRATIONS.values())[:3], "ALTER TABLE t ADD COLUMN extra"]))
    found = workspace.runner().detect("p")
    assert (found.version, found.equal) == (None, ())
    assert found.nearest is not None
    assert (found.nearest.ref, found.nearest.differences) == ("p:003_u", ("`t` has a column `extra` that no migration creates",))
    with pytest.raises(VersionUnclear, match="the nearest is p:003_u") as refused:
        workspace.runner().baseline("p")
    assert "`t` has a column `extra` that no migration creates" in str(refused.value)


@pytest.mark.parametrize("make", [lambda path: None, Path.touch, lambda path: run_sql(path, "CREATE TABLE own (a)")])
def test_a_database_with_nothing_of_the_pack_has_version_0_and_is_refused(workspace: Workspace, make: Callable[[Path], None]):
    workspace.write("p", **MIGRATIONS)
    make(workspace.path)
    before = fingerprint(workspace.folder)
    assert workspace.runner().detect("p").version == 0
    with pytest.raises(VersionUnclear, match="nothing that p creates is there"):
        workspace.runner().baseline("p")
    assert fingerprint(workspace.folder) == before


def write_pack_with_requirement(workspace: Workspace) -> None:
    """Write a pack that requires another one, and apply that beyond the required version."""
    workspace.write("base", _001_b="CREATE TABLE b (x)", _002_more="ALTER TABLE b ADD COLUMN y")
    workspace.write("p", _001_one="-- requires: base:1\nCREATE TABLE one (a)", _002_two="CREATE TABLE two (a)")
    workspace.apply("base")


@pytest.mark.parametrize("version", [1, 2])
def test_the_version_of_a_pack_that_requires_another_one_is_detected(workspace: Workspace, version):
    write_pack_with_requirement(workspace)
    run_sql(workspace.path, ";".join(["CREATE TABLE one (a)", "CREATE TABLE two (a)"][:version]))
    assert workspace.runner().detect("p").version == version
    workspace.runner().baseline("p")
    assert recorded(workspace.path) == ["base:001_b", "base:002_more", "p:001_one", "p:002_two"][: 2 + version]
    assert workspace.findings() == []


def test_the_tables_of_a_required_pack_do_not_count_for_the_pack(workspace: Workspace):
    write_pack_with_requirement(workspace)
    assert workspace.runner().detect("p").version == 0


def test_a_required_pack_must_be_recorded_first(workspace: Workspace):
    workspace.write("base", _001_b="CREATE TABLE b (x)")
    workspace.write("p", _001_one="-- requires: base:1\nCREATE TABLE one (a)")
    run_sql(workspace.path, "CREATE TABLE b (x); CREATE TABLE one (a)")
    assert workspace.runner().detect("p").version == 1
    with pytest.raises(BaselineRefused, match="p:001_one requires base:1, which is not recorded"):
        workspace.runner().baseline("p")
    workspace.runner().baseline("base")
    workspace.runner().baseline("p")
    assert workspace.findings() == []


def test_what_another_pack_added_to_a_table_does_not_hide_the_version(workspace: Workspace):
    workspace.write("a", _001_t="CREATE TABLE t (a)", _002_i="CREATE INDEX i ON t (a)")
    workspace.write("b", _001_more="-- requires: a:1\nALTER TABLE t ADD COLUMN bx; CREATE INDEX bi ON t (bx)")
    run_sql(workspace.path, "CREATE TABLE t (a, bx); CREATE INDEX bi ON t (bx)")
    assert (workspace.runner().detect("a").version, workspace.runner().detect("b").version) == (1, 1)
    run_sql(workspace.path, "ALTER TABLE t ADD COLUMN by_hand")
    assert workspace.runner().detect("a").version is None


def test_a_migration_that_cannot_be_replayed_leaves_the_version_open(workspace: Workspace):
    workspace.write("p", **{**MIGRATIONS, "_003_u": "CREATE TABLE u (a); SELECT a_function_of_the_application(1)"})
    run_sql(workspace.path, "CREATE TABLE t (a, b); CREATE TABLE u (a); CREATE VIEW v AS SELECT a, b FROM t")
    found = workspace.runner().detect("p")
    assert found.failed is not None
    assert found.failed[0] == "p:003_u"
    with pytest.raises(VersionUnclear, match="p:003_u"):
        workspace.runner().baseline("p")
    assert recorded(workspace.path) == []


def test_a_first_migration_that_cannot_be_replayed_leaves_nothing_to_compare_with(workspace: Workspace):
    workspace.write("base", _001_b="CREATE TABLE b (x)")
    workspace.write("p", _001_one="-- requires: base:1\nCREATE TABLE one (a); SELECT a_function_of_the_application(1)")
    workspace.apply("base")
    run_sql(workspace.path, "ALTER TABLE b ADD COLUMN y; CREATE TABLE one (a)")
    with pytest.raises(VersionUnclear, match="p:001_one"):
        workspace.runner().baseline("p")
