"""What a migration breaks is found before its commit; what was broken before it is not its business."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from pathlib import Path
from typing import get_args

import pytest
from helpers import python_migration, query, recorded, run_sql, write_pack

from homie_migrations_core import MigrationRunner
from homie_migrations_core.errors import (
    ForeignKeysViolated,
    MigrationFailed,
    SchemaLeftBroken,
)
from homie_migrations_core.sqlite.integrity import Problem, ProblemCode, find_problems

MODES = ("delete", "wal")
FAMILY = """
CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES parent (id) {action});
INSERT INTO parent VALUES (1, 'one'), (2, 'two');
INSERT INTO child VALUES (10, 1), (11, 1), (12, 2), (13, NULL);
"""
REBUILD = """
CREATE TABLE new_parent (id INTEGER PRIMARY KEY, name TEXT NOT NULL DEFAULT '', added TEXT);
INSERT INTO new_parent (id, name) SELECT id, name FROM parent;
DROP TABLE parent;
ALTER TABLE new_parent RENAME TO parent;
"""
WRONG_ORDER = """
ALTER TABLE parent RENAME TO old_parent;
CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT, added TEXT);
INSERT INTO parent (id, name) SELECT id, name FROM old_parent;
DROP TABLE old_parent;
"""


class FamilyDatabase:
    """A database with parents and children, to which migrations are applied one by one."""

    def __init__(self, folder: Path, mode: str = "delete", schema: str = FAMILY.format(action="")) -> None:
        self.path, self.folder, self._next = folder / "homie_p.db", folder / "pack", 1
        run_sql(self.path, f"PRAGMA journal_mode={mode}; BEGIN; {schema}; COMMIT;")

    def run(self, migration: str) -> None:
        """Apply one more migration: a script, or Python if it mentions `conn`."""
        suffix, content = ("py", python_migration(self._next, migration)) if "conn." in migration else ("sql", migration)
        pack = write_pack(self.folder, "p", {f"{self._next:03}_step.{suffix}": content})
        MigrationRunner(self.path, [pack], backup=False).apply()
        self._next += 1

    def refuses(self, migration: str, kind: type[MigrationFailed] = ForeignKeysViolated) -> str:
        """The migration fails, and leaves all as it was; why it failed comes back."""
        before = self.content
        with pytest.raises(kind) as failed:
            self.run(migration)
        assert type(failed.value) is kind
        assert self.content == before
        return failed.value.found

    @property
    def content(self) -> list[object]:
        """The schema and the rows. `iterdump` is refused by Python 3.13 where a foreign key fits nothing."""
        connection = sqlite3.connect(self.path)
        try:
            schema = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
            tables = [name for kind, name, _ in schema if kind == "table"]
            return [schema, *(connection.execute(f'SELECT * FROM "{table}"').fetchall() for table in tables)]
        finally:
            connection.close()


@pytest.fixture(params=MODES)
def family(request: pytest.FixtureRequest, tmp_path: Path) -> FamilyDatabase:
    return FamilyDatabase(tmp_path, request.param)


@pytest.fixture
def one_family(tmp_path: Path) -> FamilyDatabase:
    return FamilyDatabase(tmp_path)


# --- foreign keys ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "enforcing", ["", "conn.execute('PRAGMA foreign_keys = ON')\n", "conn.execute('PRAGMA foreign_keys = OFF')\n"]
)
@pytest.mark.parametrize(
    "action",
    [
        "",
        "ON DELETE CASCADE",
        "ON DELETE SET NULL",
        "ON DELETE SET DEFAULT",
        "ON DELETE RESTRICT",
        "ON DELETE NO ACTION",
        "DEFERRABLE INITIALLY DEFERRED",
    ],
)
def test_children_survive_the_rebuild_of_their_parent(tmp_path: Path, action: str, enforcing: str) -> None:
    family = FamilyDatabase(tmp_path, MODES[len(action) % 2], FAMILY.format(action=action))
    family.run(f'{enforcing}conn.executescript("""{REBUILD}""")')
    assert query(family.path, "SELECT * FROM child ORDER BY id") == [(10, 1), (11, 1), (12, 2), (13, None)]
    assert query(family.path, "SELECT id, name FROM parent") == [(1, "one"), (2, "two")]
    assert recorded(family.path) == ["p:001_step"]


@pytest.mark.parametrize("rows", ["some", "none"])
@pytest.mark.parametrize("legacy", ["OFF", "ON"])
def test_a_rebuild_in_the_wrong_order_is_caught_with_and_without_child_rows(family: FamilyDatabase, rows: str, legacy: str) -> None:
    if rows == "none":
        run_sql(family.path, "DELETE FROM child;")
    script = f"PRAGMA legacy_alter_table = {legacy}; {WRONG_ORDER}"
    if legacy == "ON":  # then SQLite leaves the references of others alone, and the order is right
        family.run(script)
        return
    found = family.refuses(script)
    assert "child(parent_id) refers to old_parent, which does not exist" in found


def test_a_parent_that_is_dropped_is_caught_and_so_is_a_child_that_refers_to_nothing(family: FamilyDatabase) -> None:
    assert "child(parent_id) refers to parent, which does not exist" in family.refuses("DROP TABLE parent;")
    assert "orphan(x) refers to nowhere, which does not exist" in family.refuses("CREATE TABLE orphan (x REFERENCES nowhere (id));")


def test_a_key_whose_parent_column_is_gone_or_not_unique_is_caught(family: FamilyDatabase) -> None:
    run_sql(family.path, "CREATE TABLE named (name TEXT UNIQUE); CREATE TABLE uses (n REFERENCES named (name));")
    assert "foreign key mismatch" in family.refuses("CREATE TABLE b (name TEXT); DROP TABLE named; ALTER TABLE b RENAME TO named;")
    assert "foreign key mismatch" in family.refuses("CREATE TABLE wrong (x REFERENCES parent (name));")


@pytest.mark.parametrize(
    ("migration", "found"),
    [
        ("INSERT INTO child VALUES (20, 99);", "child(parent_id) has rows without their parent in parent (1 row)"),
        ("DELETE FROM parent WHERE id = 1;", "child(parent_id) has rows without their parent in parent (2 rows)"),
        ("UPDATE parent SET id = id + 100;", "child(parent_id) has rows without their parent in parent (3 rows)"),
        ("UPDATE child SET parent_id = 5 WHERE id = 13;", "child(parent_id) has rows without their parent in parent (1 row)"),
        (
            "CREATE TABLE g (c REFERENCES child (id)); INSERT INTO g VALUES (77);",
            "g(c) has rows without their parent in child (1 row)",
        ),
        (
            "ALTER TABLE child ADD COLUMN other REFERENCES parent; UPDATE child SET other = 9;",
            "child(other) has rows without their parent in parent (4 rows)",
        ),
        (
            "CREATE TRIGGER t AFTER INSERT ON parent BEGIN INSERT INTO child VALUES (new.id, 98); END; INSERT INTO parent VALUES (3, '');",
            "(1 row)",
        ),
        (
            "CREATE TEMP TABLE child (x); INSERT INTO main.child VALUES (20, 99);",
            "child(parent_id) has rows without their parent in parent (1 row)",
        ),
        (
            "CREATE TABLE w (k INTEGER PRIMARY KEY REFERENCES parent) WITHOUT ROWID; INSERT INTO w VALUES (1), (44);",
            "w(k) has rows without their parent in parent (1 row)",
        ),
        ("PRAGMA foreign_keys = OFF; DELETE FROM parent;", "(3 rows)"),
        ("PRAGMA defer_foreign_keys = ON; DELETE FROM parent;", "(3 rows)"),
    ],
)
def test_a_violation_that_a_migration_introduces_stops_it(family: FamilyDatabase, migration: str, found: str) -> None:
    assert found in family.refuses(migration)


def test_a_violation_through_a_blob_is_found_too(one_family: FamilyDatabase) -> None:
    run_sql(one_family.path, "CREATE TABLE named (name TEXT UNIQUE); CREATE TABLE uses (n TEXT REFERENCES named (name));")
    run_sql(one_family.path, "INSERT INTO named VALUES ('a'); INSERT INTO uses VALUES ('a');")
    assert "uses(n)" in one_family.refuses("with conn.blobopen('uses', 'n', 1) as blob: blob.write(b'b')")


def test_a_migration_that_cleans_up_after_itself_passes(family: FamilyDatabase) -> None:
    family.run(
        "DELETE FROM parent WHERE id = 1; DELETE FROM child WHERE parent_id = 1; INSERT INTO child VALUES (20, 3); INSERT INTO parent VALUES (3, '');"
    )
    assert query(family.path, "SELECT id FROM child ORDER BY id") == [(12,), (13,), (20,)]


# --- what was broken before ---------------------------------------------------------------------------

ORPHANS = "INSERT INTO child VALUES (50, 7), (51, 7), (52, 8);"


def test_violations_that_were_there_before_do_not_stop_a_migration_that_adds_none(family: FamilyDatabase) -> None:
    run_sql(family.path, ORPHANS)
    family.run("INSERT INTO child VALUES (20, 1); UPDATE child SET id = id + 1000;")
    family.run(REBUILD)
    family.run(
        "CREATE TABLE n (id INTEGER PRIMARY KEY, parent_id REFERENCES parent); INSERT INTO n SELECT * FROM child; DROP TABLE child; ALTER TABLE n RENAME TO child;"
    )
    assert len(recorded(family.path)) == 3
    assert query(family.path, "SELECT count(*) FROM pragma_foreign_key_check") == [(3,)]


def test_only_the_new_violations_are_listed(family: FamilyDatabase) -> None:
    run_sql(family.path, ORPHANS + "CREATE TABLE other (p REFERENCES parent (id)); INSERT INTO other VALUES (9);")
    found = family.refuses("INSERT INTO child VALUES (60, 7), (61, 66), (62, NULL);")
    assert found == "child(parent_id) has rows without their parent in parent (2 rows)"


def test_a_new_violation_is_found_though_an_old_one_was_repaired(family: FamilyDatabase) -> None:
    """As many rows without a parent as before, but not the same ones."""
    run_sql(family.path, ORPHANS)
    found = family.refuses("DELETE FROM child WHERE parent_id = 7; DELETE FROM parent WHERE id = 1;")
    assert found == "child(parent_id) has rows without their parent in parent (2 rows)"


def test_in_a_table_without_rowids_violations_are_counted(family: FamilyDatabase) -> None:
    run_sql(family.path, "CREATE TABLE w (k INTEGER PRIMARY KEY REFERENCES parent) WITHOUT ROWID; INSERT INTO w VALUES (1), (44);")
    family.run("INSERT INTO w VALUES (2);")
    assert "w(k) has rows without their parent in parent (1 row)" in family.refuses("INSERT INTO w VALUES (45);")


@pytest.mark.parametrize("also", ["", "ALTER TABLE child RENAME COLUMN id TO number;"])
def test_a_parent_that_was_missing_may_be_made_though_its_children_still_miss_their_rows(family: FamilyDatabase, also: str) -> None:
    run_sql(family.path, "DROP TABLE parent;")
    family.run(f"CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT); {also}")
    assert recorded(family.path) == ["p:001_step"]


def test_a_reference_to_nowhere_that_was_there_before_does_not_stop_a_migration(family: FamilyDatabase) -> None:
    run_sql(family.path, "CREATE TABLE dangling (x REFERENCES nowhere); CREATE TABLE mismatched (x REFERENCES parent (name));")
    family.run("ALTER TABLE parent ADD COLUMN more; DROP TABLE child;")
    assert recorded(family.path) == ["p:001_step"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("adds", [False, True])
def test_the_state_before_is_known_though_the_step_outgrew_sqlites_cache(tmp_path: Path, mode: str, adds: bool) -> None:
    """With a rollback journal the old state can no longer be read: the step is undone, the state is read, the step runs again."""
    family = FamilyDatabase(tmp_path, mode)
    run_sql(family.path, ORPHANS + "CREATE TABLE runs (n);")
    large = "PRAGMA cache_size = 10; CREATE TABLE large AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) SELECT zeroblob(4000) AS b FROM n;"
    script = f"{large} INSERT INTO runs VALUES (1); DELETE FROM child WHERE parent_id = 8;"
    if adds:
        assert (
            family.refuses(script + "INSERT INTO child VALUES (60, 99);")
            == "child(parent_id) has rows without their parent in parent (1 row)"
        )
    else:
        family.run(script)
        assert query(family.path, "SELECT (SELECT count(*) FROM large), (SELECT count(*) FROM runs)") == [(500, 1)]


# --- views and triggers -------------------------------------------------------------------------------


def test_a_view_or_trigger_that_a_migration_breaks_stops_it(family: FamilyDatabase) -> None:
    run_sql(
        family.path,
        """CREATE TABLE log (what); CREATE VIEW names AS SELECT name FROM parent;
        CREATE TRIGGER note AFTER UPDATE ON child BEGIN INSERT INTO log VALUES (new.id); END;""",
    )
    assert "the view names no longer works: no such table: main.parent" in family.refuses(
        "DROP TABLE child; DROP TABLE parent;", SchemaLeftBroken
    )
    found = family.refuses("DROP TABLE log;", SchemaLeftBroken)
    assert found == "the trigger note no longer works: no such table: main.log"
    found = family.refuses(
        "CREATE TABLE n (id INTEGER PRIMARY KEY); DROP TABLE child; DROP TABLE parent; ALTER TABLE n RENAME TO parent;",
        MigrationFailed,
    )
    assert "names" in found  # SQLite itself refuses to rename under a broken view


@pytest.mark.parametrize(
    "made",
    [
        "CREATE VIEW v AS SELECT unknown FROM parent;",
        "CREATE VIEW v AS SELECT * FROM nowhere;",
        "CREATE TRIGGER v AFTER INSERT ON parent BEGIN INSERT INTO nowhere VALUES (1); END;",
        "CREATE TRIGGER v BEFORE DELETE ON child BEGIN SELECT old.unknown; END;",
        "CREATE TRIGGER v AFTER UPDATE OF parent_id ON child BEGIN SELECT unknown FROM parent; END;",
        "CREATE VIEW w AS SELECT 1 AS a; CREATE TRIGGER v INSTEAD OF INSERT ON w BEGIN DELETE FROM nowhere; END;",
    ],
)
def test_a_view_or_trigger_that_never_worked_is_not_left_behind(one_family: FamilyDatabase, made: str) -> None:
    assert " v no longer works" in one_family.refuses(made, SchemaLeftBroken)


BROKEN = """
CREATE TABLE gone (a); CREATE VIEW old_view AS SELECT a FROM gone;
CREATE TRIGGER old_trigger AFTER INSERT ON parent BEGIN INSERT INTO gone VALUES (1); END;
PRAGMA legacy_alter_table = ON; DROP TABLE gone;
"""


def test_views_and_triggers_that_were_broken_before_do_not_stop_a_migration(family: FamilyDatabase) -> None:
    run_sql(family.path, BROKEN)
    family.run("CREATE TABLE more (a); DROP TABLE more; ALTER TABLE child ADD COLUMN note;")
    family.run("CREATE TRIGGER another AFTER INSERT ON parent BEGIN SELECT 1; END; CREATE VIEW fine AS SELECT * FROM parent;")
    family.run(f"PRAGMA legacy_alter_table = ON; {REBUILD}")
    assert len(recorded(family.path)) == 3


def test_a_view_that_is_broken_in_another_way_than_before_does_not_stop_a_migration(one_family: FamilyDatabase) -> None:
    run_sql(one_family.path, "CREATE TABLE a (x); CREATE TABLE b (x); CREATE VIEW both AS SELECT a.x FROM a, b; DROP TABLE b;")
    one_family.run("DROP TABLE a;")
    assert recorded(one_family.path) == ["p:001_step"]


def test_beside_a_broken_view_a_newly_broken_one_is_named_alone(family: FamilyDatabase) -> None:
    run_sql(family.path, BROKEN + "CREATE VIEW new_view AS SELECT name FROM parent;")
    found = family.refuses("DROP TABLE child; DROP TABLE parent;", SchemaLeftBroken)
    assert found == "the view new_view no longer works: no such table: main.parent"


def test_a_step_that_repairs_what_was_broken_passes(one_family: FamilyDatabase) -> None:
    run_sql(one_family.path, BROKEN)
    one_family.run("DROP VIEW old_view; CREATE TABLE gone (b);")
    assert recorded(one_family.path) == ["p:001_step"]


@pytest.mark.parametrize(
    "known_to_the_application",
    [
        "CREATE VIEW v AS SELECT my_function(name) FROM parent;",
        "CREATE VIEW v AS SELECT lower(name, 1, 2, 3) FROM parent;",
        "CREATE VIEW v AS SELECT name FROM parent ORDER BY name COLLATE my_order;",
        "CREATE TRIGGER v AFTER INSERT ON child BEGIN SELECT my_function(new.id); END;",
        """
        conn.create_collation("my_order", lambda a, b: (a > b) - (a < b))
        conn.execute("CREATE TABLE sorted (name TEXT UNIQUE COLLATE my_order, parent_id REFERENCES parent)")
        conn.execute("CREATE TABLE refers (name TEXT REFERENCES sorted (name))")
        conn.execute("INSERT INTO sorted VALUES ('a', 1)")
        conn.execute("INSERT INTO refers VALUES ('a')")
        """,
    ],
)
def test_a_function_or_collation_that_only_the_application_knows_is_not_a_finding(
    family: FamilyDatabase, known_to_the_application: str
) -> None:
    family.run(known_to_the_application)
    family.run("ALTER TABLE child ADD COLUMN note; CREATE TABLE x (a); DROP TABLE x;")
    assert len(recorded(family.path)) == 2


def test_a_key_that_only_the_application_can_compare_is_not_a_finding_under_another_name(one_family: FamilyDatabase) -> None:
    one_family.run(
        """
        conn.create_collation("my_order", lambda a, b: (a > b) - (a < b))
        conn.execute("CREATE TABLE sorted (name TEXT UNIQUE COLLATE my_order)")
        conn.execute("CREATE TABLE refers (name TEXT REFERENCES sorted (name))")
        conn.execute("INSERT INTO sorted VALUES ('a')")
        conn.execute("INSERT INTO refers VALUES ('a')")
        """
    )
    one_family.run("ALTER TABLE refers RENAME TO refers_too;")
    assert len(recorded(one_family.path)) == 2


def test_a_view_that_can_be_written_in_one_way_only_is_not_broken(one_family: FamilyDatabase) -> None:
    one_family.run(
        """CREATE VIEW v AS SELECT id FROM parent;
        CREATE TRIGGER g INSTEAD OF INSERT ON v BEGIN INSERT INTO parent (id) VALUES (new.id); END;"""
    )
    assert recorded(one_family.path) == ["p:001_step"]


def test_a_module_that_only_the_application_knows_is_not_a_finding(family: FamilyDatabase) -> None:
    connection = sqlite3.connect(family.path)
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute(
        "INSERT INTO sqlite_schema VALUES ('table', 'special', 'special', 0, 'CREATE VIRTUAL TABLE special USING my_module(a)')"
    )
    connection.execute("INSERT INTO sqlite_schema VALUES ('view', 'v', 'v', 0, 'CREATE VIEW v AS SELECT * FROM special')")
    connection.commit()
    connection.close()
    family.run("ALTER TABLE child ADD COLUMN note; CREATE TABLE x (a REFERENCES parent); DROP TABLE x;")
    assert recorded(family.path) == ["p:001_step"]


# --- what vanishes with a rebuild ---------------------------------------------------------------------


def test_an_index_or_trigger_that_vanishes_with_a_rebuild_is_a_warning(
    family: FamilyDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    run_sql(
        family.path,
        """CREATE INDEX by_name ON parent (name); CREATE INDEX kept ON child (parent_id);
        CREATE TRIGGER note AFTER INSERT ON parent BEGIN SELECT 1; END;""",
    )
    with caplog.at_level(logging.WARNING, "homie_migrations"):
        family.run(REBUILD)
    assert recorded(family.path) == ["p:001_step"]
    assert [record.getMessage() for record in caplog.records] == [
        "p:001_step rebuilt a table and did not create the index by_name on parent again.",
        "p:001_step rebuilt a table and did not create the trigger note on parent again.",
    ]


@pytest.mark.parametrize(
    "migration",
    [
        REBUILD + "CREATE INDEX by_name ON parent (name);",  # created again
        "DROP INDEX by_name;" + REBUILD,  # dropped by name
        "DROP TABLE child; DROP TABLE parent;",  # the table is gone too
        "DROP INDEX by_name;",
    ],
)
def test_an_index_that_is_dropped_by_name_gives_no_warning(
    one_family: FamilyDatabase, caplog: pytest.LogCaptureFixture, migration: str
) -> None:
    run_sql(one_family.path, "CREATE INDEX by_name ON parent (name);")
    with caplog.at_level(logging.WARNING, "homie_migrations"):
        one_family.run(migration)
    assert caplog.records == []


def test_in_a_later_step_only_its_own_losses_are_warned_of(one_family: FamilyDatabase, caplog: pytest.LogCaptureFixture) -> None:
    write_pack(
        one_family.folder,
        "p",
        {
            "001_index.sql": "CREATE INDEX by_name ON parent (name);",
            "002_rebuild.sql": REBUILD,
            "003_again.sql": REBUILD,
        },
    )
    with caplog.at_level(logging.WARNING, "homie_migrations"):
        MigrationRunner(one_family.path, [write_pack(one_family.folder, "p", {})], backup=False).apply()
    assert [record.getMessage() for record in caplog.records] == [
        "p:002_rebuild rebuilt a table and did not create the index by_name on parent again."
    ]


def test_the_same_holds_for_a_rollback(family: FamilyDatabase) -> None:
    files = {
        "001_step.sql": "CREATE TABLE extra (p REFERENCES parent);",
        "001_step.rollback.sql": "DELETE FROM parent; DROP TABLE extra;",
    }
    pack = write_pack(family.folder, "p", files)
    MigrationRunner(family.path, [pack], backup=False).apply()
    before = family.content
    with pytest.raises(ForeignKeysViolated, match=r"Rolling back p:001_step failed.*without their parent in parent \(3 rows\)"):
        MigrationRunner(family.path, [pack], backup=False).rollback("p")
    assert family.content == before


# --- problems as values ---------------------------------------------------------------------------------


def problems(path: Path) -> list[tuple[str, str, str]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [(each.code, each.name, each.sentence) for each in find_problems(connection).listed()]


ROWS, DANGLING, VIEW = "foreign_keys_violated", "dangling_reference", "broken_view"


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("DELETE FROM parent WHERE id = 2;", [(ROWS, "child", "child(parent_id) has rows without their parent in parent (1 row)")]),
        # Rows of a reference that leads nowhere are part of that problem: with their parent's table they are found or not.
        ("DROP TABLE parent;", [(DANGLING, "child", "child(parent_id) refers to parent, which does not exist (3 rows)")]),
        (
            "DELETE FROM child; DROP TABLE parent;",
            [(DANGLING, "child", "child(parent_id) refers to parent, which does not exist")],
        ),
        (WRONG_ORDER, [(DANGLING, "child", "child(parent_id) refers to old_parent, which does not exist (3 rows)")]),
        (
            "CREATE TABLE c (x REFERENCES parent (lost));",
            [(DANGLING, "c", "c(x) refers to the column lost of parent, which does not exist")],
        ),
        ("CREATE TABLE c (x REFERENCES parent (name));", [(ROWS, "c", 'c: foreign key mismatch - "c" referencing "parent"')]),
        (
            "CREATE TABLE p (a, b); CREATE TABLE c (x REFERENCES p);",
            [(ROWS, "c", 'c: foreign key mismatch - "c" referencing "p"')],
        ),
        # SQLite checks no key of a table that has one to a column that does not exist; the others are checked all the same.
        (
            "CREATE TABLE c (x REFERENCES parent (lost), y REFERENCES parent, z REFERENCES nowhere);"
            "INSERT INTO c VALUES (1, 1, 1), (2, 99, 2), (3, NULL, 3);",
            [
                (ROWS, "c", "c(y) has rows without their parent in parent (1 row)"),
                (DANGLING, "c", "c(x) refers to the column lost of parent, which does not exist"),
                (DANGLING, "c", "c(z) refers to nowhere, which does not exist"),
            ],
        ),
        (
            "CREATE TABLE two (a, b, c REFERENCES parent (gone), UNIQUE (a, b), FOREIGN KEY (a, b) REFERENCES two (b, a));"
            "INSERT INTO two VALUES (1, 1, 0), (1, 2, 0), (1, NULL, 0);",
            [
                (DANGLING, "two", "two(c) refers to the column gone of parent, which does not exist"),
                (ROWS, "two", "two(a, b) has rows without their parent in two (1 row)"),
            ],
        ),
        ("CREATE VIEW v AS SELECT * FROM nowhere;", [(VIEW, "v", "the view v no longer works: no such table: main.nowhere")]),
        (
            "CREATE TRIGGER t AFTER INSERT ON child BEGIN INSERT INTO nowhere VALUES (1); END;",
            [(VIEW, "t", "the trigger t no longer works: no such table: main.nowhere")],
        ),
        ("CREATE VIEW names AS SELECT name FROM parent;", []),
    ],
)
def test_a_problem_says_its_code_the_object_and_what_was_found(
    tmp_path: Path, script: str, expected: list[tuple[str, str, str]]
) -> None:
    path = tmp_path / "a.db"
    run_sql(path, FAMILY.format(action="") + script)
    assert sorted(problems(path)) == sorted(expected)


def test_only_rows_without_a_parent_can_not_be_accepted() -> None:
    acceptable = {code: Problem(code, "x", "").acceptable for code in get_args(ProblemCode)}
    assert acceptable == {ROWS: False, DANGLING: True, VIEW: True}


def test_a_dangling_reference_is_refused_with_what_usually_causes_it(one_family: FamilyDatabase) -> None:
    with pytest.raises(ForeignKeysViolated, match=r"Since SQLite 3\.26, ALTER TABLE \.\.\. RENAME rewrites the references"):
        one_family.run(WRONG_ORDER)


def test_a_reference_to_a_column_that_was_missing_before_does_not_hide_new_rows_without_a_parent(
    one_family: FamilyDatabase,
) -> None:
    run_sql(one_family.path, "CREATE TABLE c (x REFERENCES parent (lost), y REFERENCES parent);")
    one_family.run("INSERT INTO c VALUES (1, 1);")
    found = one_family.refuses("INSERT INTO c VALUES (2, 99);")
    assert found == "c(y) has rows without their parent in parent (1 row)"
