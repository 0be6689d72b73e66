"""SQL migrations: which scripts run as they are, and how the statement that fails is named."""

from __future__ import annotations

import sqlite3

import pytest
from helpers import query, run_sql, write_pack
from sqlite import guarded_run
from sqlite.guarded_run import CLASH, INSERT, OLD, GuardedRun

from homie_migrations_core import MigrationRunner
from homie_migrations_core.errors import MigrationFailed
from homie_migrations_core.sqlite.script import Script

# The fixtures of this module
one_run, tried = guarded_run.one_run, guarded_run.tried


SCRIPT = """
-- a comment; with a semicolon, and a 'quote
BEGIN TRANSACTION;
CREATE TABLE log (what TEXT DEFAULT ';', [odd;name] TEXT, "b;" TEXT, `c;` TEXT);
CREATE TRIGGER note AFTER INSERT ON t
BEGIN
    INSERT INTO log (what) VALUES ('inserted; END;');
    UPDATE log SET [odd;name] = CASE new.id WHEN 2 THEN 'two' ELSE 'other' END;
END;
/* INSERT INTO t VALUES (5, 'no'); */
INSERT INTO t VALUES (2, 'new'); COMMIT;
CREATE TEMP /* ; */ TRIGGER passing AFTER DELETE ON t BEGIN SELECT 1; END ; SELECT 1;
;;
END;
INSERT INTO log (what) VALUES ('last -- without a semicolon')"""


def test_a_script_with_transactions_and_triggers_runs_as_it_is(tried: GuardedRun) -> None:
    assert tried.apply({"002_tried.sql": SCRIPT}) is None
    tried.assert_applied()
    assert query(tried.path, "SELECT what, [odd;name] FROM log") == [
        ("inserted; END;", "two"),
        ("last -- without a semicolon", None),
    ]


def test_the_savepoints_of_a_script_last_from_statement_to_statement(tried: GuardedRun) -> None:
    tried_out = "SAVEPOINT a;\nINSERT INTO t VALUES (3, 'undone');\nSELECT v FROM t;\nROLLBACK TO a;\nRELEASE a;\n"
    assert tried.apply({"002_tried.sql": f"{tried_out}{INSERT};\n{tried_out}"}) is None
    tried.assert_applied()


@pytest.mark.parametrize("ending", ["", ";", "\n", ";\n\n-- the end", "; /* never closed"])
def test_a_script_may_end_as_it_likes(one_run: GuardedRun, ending: str) -> None:
    assert one_run.apply({"002_tried.sql": f"\ufeff{INSERT}{ending}"}) is None
    one_run.assert_applied()


@pytest.mark.parametrize("nothing", ["", ";", "\n\n", "-- only a comment", "/* never closed"])
def test_a_script_of_nothing_is_a_migration_too(one_run: GuardedRun, nothing: str) -> None:
    assert one_run.apply({"002_tried.sql": nothing}) is None
    one_run.assert_applied(OLD)


FAILING = {
    "clash": "INSERT INTO t VALUES (1, 'clash');",
    "syntax": "INSERT INTO;",
    "no_such_table": "SELECT *\n    FROM nowhere;",
    "run_time": "SELECT json('{');",
    "rollback": "ROLLBACK;",
    "attach": "ATTACH ':memory:' AS other;",
    "vacuum": "VACUUM;",
    "journal_mode": "PRAGMA journal_mode = WAL;",
    "record": "DELETE FROM schema_migrations;",
    "or_rollback": f"{CLASH};",
    "unclosed": "SELECT 'unclosed",
    "in_trigger": "CREATE TRIGGER bad AFTER INSERT ON t BEGIN SELECT RAISE(ABORT, 'no'); END;\n/* it\nfires */ INSERT INTO t VALUES (3, '');",
}


@pytest.mark.parametrize("following", ["", "\nSELECT 1;\n"])
@pytest.mark.parametrize(
    "before", ["", "BEGIN;\nINSERT INTO t VALUES (2, 'new');\nINSERT INTO t VALUES (9, 'é€;');\n\n-- and ; now\n\n"]
)
@pytest.mark.parametrize("failing", FAILING)
def test_the_statement_of_a_script_that_fails_is_named_by_its_line(
    tried: GuardedRun, failing: str, before: str, following: str
) -> None:
    script = f"{before}{FAILING[failing]}{following}"
    error = tried.apply({"002_tried.sql": script})
    tried.assert_undone()
    line = before.count("\n") + (3 if failing == "in_trigger" else 1)
    assert f"(002_tried.sql, line {line})" in str(error)


def test_repeated_statements_are_distinguished(one_run: GuardedRun) -> None:
    run_sql(one_run.path, "CREATE TRIGGER fires AFTER INSERT ON t BEGIN UPDATE t SET v = v; END;")
    error = one_run.apply({"002_tried.sql": "\nINSERT INTO t VALUES (2, 'a');" * 3})
    assert "(002_tried.sql, line 3)" in str(error)


def test_a_rollback_script_that_fails_is_named_by_its_own_file(one_run: GuardedRun) -> None:
    files = {"002_tried.sql": "SELECT 1;", "002_tried.rollback.sql": "SELECT 1;\nSELECT nothing;"}
    assert one_run.apply(files) is None
    with pytest.raises(MigrationFailed, match=r"\(002_tried\.rollback\.sql, line 2\)"):
        MigrationRunner(one_run.path, [write_pack(one_run.file.parent, "p", {})], backup=False).rollback("p")
    one_run.assert_applied(OLD)


def test_a_large_statement_that_fires_a_trigger_for_every_row_is_not_read_once_a_row(one_run: GuardedRun) -> None:
    """Half a gigabyte would be: the test is over in a moment, or not before the run's patience ends."""
    run_sql(one_run.path, "CREATE TRIGGER fires AFTER INSERT ON t BEGIN UPDATE t SET v = '' WHERE id = new.id; END;")
    rows = ",".join(f"({number}, '{'x' * 90}')" for number in range(10, 20_010))
    assert one_run.apply({"002_tried.sql": f"INSERT INTO t VALUES {rows};"}) is None
    assert len(one_run.rows) == 20_001


@pytest.mark.parametrize(
    ("script", "statements"),
    [
        ("", []),
        (" ; ;-- nothing\n;/* ; */", []),
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1; SELECT 2;", ["SELECT 1;", "SELECT 2;"]),
        ("SELECT ';';SELECT \";\";SELECT [;];SELECT `;`;", ["SELECT ';';", 'SELECT ";";', "SELECT [;];", "SELECT `;`;"]),
        ("SELECT 'it''s;';SELECT 2", ["SELECT 'it''s;';", "SELECT 2"]),
        ("SELECT 1 -- ; '\n, 2;SELECT 3 /* ; ' */;", ["SELECT 1 -- ; '\n, 2;", "SELECT 3 /* ; ' */;"]),
        ("SELECT 4 - -1 / 2, a->'$;' FROM t;SELECT 2", ["SELECT 4 - -1 / 2, a->'$;' FROM t;", "SELECT 2"]),
        (
            "CREATE TRIGGER a AFTER INSERT ON t BEGIN SELECT 1; SELECT CASE 1 WHEN 1 THEN 2 END; END; SELECT 5",
            ["CREATE TRIGGER a AFTER INSERT ON t BEGIN SELECT 1; SELECT CASE 1 WHEN 1 THEN 2 END; END;", "SELECT 5"],
        ),
        (
            "create/**/temp -- x\n trigger a after insert on t begin select ';END;'; end -- y\n; SELECT 5",
            ["create/**/temp -- x\n trigger a after insert on t begin select ';END;'; end -- y\n;", "SELECT 5"],
        ),
        (
            "CREATE TABLE trigger_end (a); CREATE TRIGGERS; END; SELECT 1",
            ["CREATE TABLE trigger_end (a);", "CREATE TRIGGERS;", "END;", "SELECT 1"],
        ),
        ("CREATE TRIGGER a BEGIN SELECT 1; ENDING; END", ["CREATE TRIGGER a BEGIN SELECT 1; ENDING; END"]),
        ("SELECT 'never closed; SELECT 2;", ["SELECT 'never closed; SELECT 2;"]),
    ],
)
def test_a_script_is_cut_where_sqlite_ends_a_statement(script: str, statements: list[str]) -> None:
    assert list(Script(script.encode())) == statements
    assert all(sqlite3.complete_statement(each) for each in statements[:-1])
