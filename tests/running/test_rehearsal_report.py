"""What a rehearsal reports: statements, durations, rows, schema, losses, findings and sizes."""

from __future__ import annotations

import logging
import textwrap
from pathlib import Path

import pytest
from helpers import run_sql
from running.rehearsal_helpers import CHANGES, in_words, rehearse, state_of, statements

from homie_migrations_core import MigrationRunner
from homie_migrations_core.model import RowCount
from homie_migrations_core.running.rehearsal import Loss

# --- what it tells: statements and time ----------------------------------------------------------------------------


def test_statements_are_told_as_they_were_executed_with_their_parameters(database: Path, pack):
    made = pack(
        """
        conn.execute("UPDATE drives SET label = ? WHERE id = ?", ("it's", 2))
        conn.executemany("INSERT INTO drives (name) VALUES (:name)", [{"name": "x"}, {"name": "y"}])
        conn.cursor().executescript("CREATE TABLE t (a); INSERT INTO t VALUES (1);")
        """
    )
    assert [each.removesuffix(";") for each in statements(rehearse(database, made))] == [
        "UPDATE drives SET label = 'it''s' WHERE id = 2",
        "INSERT INTO drives (name) VALUES ('x')",
        "INSERT INTO drives (name) VALUES ('y')",
        "CREATE TABLE t (a)",
        "INSERT INTO t VALUES (1)",
    ]


def test_what_a_trigger_does_is_no_statement_of_the_migration(database: Path, pack):
    run_sql(
        database,
        "CREATE TABLE log (a); CREATE TRIGGER noted AFTER INSERT ON drives "
        "BEGIN INSERT INTO log VALUES (new.id); UPDATE log SET a = a; END;",
    )
    found = rehearse(database, pack("conn.execute(\"INSERT INTO drives VALUES (9, 'z', NULL)\")"))
    assert statements(found) == ["INSERT INTO drives VALUES (9, 'z', NULL)"]
    assert found.steps[0].rows == (RowCount("drives", 3, 4), RowCount("log", 0, 1))


def test_a_statement_that_begins_with_a_comment_is_told_too(database: Path, pack):
    found = rehearse(database, pack('conn.execute("-- why\\nCREATE TABLE t (a)")\nconn.execute("/* why */ CREATE TABLE u (a)")'))
    assert len(statements(found)) == 2
    assert "CREATE TABLE t (a)" in statements(found)[0]


def test_commit_points_are_no_statements(database: Path, pack):
    made = pack(
        """
        conn.execute("CREATE TABLE t (a)")
        conn.commit()
        with conn:
            conn.execute("INSERT INTO t VALUES (1)")
        conn.executescript("BEGIN; INSERT INTO t VALUES (2); COMMIT;")
        conn.execute("BEGIN")
        conn.execute("INSERT INTO t VALUES (3)")
        conn.execute("END")
        """
    )
    found = rehearse(database, made)
    told = [each.removesuffix(";") for each in statements(found)]
    assert [each for each in told if "t" in each.split()] == [
        "CREATE TABLE t (a)",
        "INSERT INTO t VALUES (1)",
        "INSERT INTO t VALUES (2)",
        "INSERT INTO t VALUES (3)",
    ]
    assert not [each for each in told if each.startswith(("COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK"))]
    assert not [each for each in told if "schema_migrations" in each]
    assert found.steps[0].rows == (RowCount("t", None, 3),)


def test_a_thousand_statements_are_kept_and_the_others_counted(database: Path, pack):
    made = pack(
        "conn.execute('CREATE TABLE t (a)')\nfor i in range(1500):\n    conn.execute('INSERT INTO t VALUES (?)', (i,))", "pass"
    )
    found = rehearse(database, made)
    assert (len(statements(found)), found.steps[0].statements_left_out) == (1_000, 501)
    assert statements(found)[-1] == "INSERT INTO t VALUES (998)"
    assert (statements(found, 1), found.steps[1].statements_left_out) == ([], 0)


def test_sql_files_are_told_statement_by_statement(database: Path, pack):
    made = pack(m001_m1__sql="-- why\nCREATE TABLE t (a);\n\n-- and then\nINSERT INTO t\nVALUES (1);\n")
    assert [each.removesuffix(";") for each in statements(rehearse(database, made))] == [
        "CREATE TABLE t (a)",
        "INSERT INTO t\nVALUES (1)",
    ]


def test_each_step_takes_a_time_and_so_does_the_copy(database: Path, pack):
    found = rehearse(database, pack("pass", "import time\ntime.sleep(0.05)"))
    first, second = found.steps
    assert 0 <= first.seconds < second.seconds
    assert second.seconds >= 0.05
    assert found.seconds_to_copy > 0


# --- what it tells: rows and schema ----------------------------------------------------------------------------------


def test_rows_are_told_of_the_tables_that_a_step_touched_and_of_no_others(database: Path, pack):
    made = pack(
        "conn.execute('DELETE FROM files WHERE id > 1')",
        "conn.execute('CREATE TABLE new (a)')\nconn.execute('INSERT INTO new SELECT id FROM drives')",
        "conn.execute('DROP TABLE new')\nconn.execute('UPDATE drives SET label = 1')",
        "conn.execute('SELECT * FROM files')",
    )
    found = rehearse(database, made)
    assert [step.rows for step in found.steps] == [
        (RowCount("files", 4, 1),),
        (RowCount("new", None, 3),),
        (RowCount("drives", 3, 3), RowCount("new", 3, None)),
        (),
    ]


def test_rows_behind_letter_case_quotes_and_odd_names_are_counted(database: Path, pack):
    run_sql(database, 'CREATE TABLE "Odd ""name" (a); INSERT INTO "Odd ""name" VALUES (1);')
    found = rehearse(database, pack("conn.execute('DELETE FROM FILES')\nconn.execute('DELETE FROM \"odd \"\"NAME\"')"))
    assert found.steps[0].rows == (RowCount('Odd "name', 1, 0), RowCount("files", 4, 0))


def test_differences_of_the_schema_are_told_for_each_step_and_for_all_of_them(database: Path, pack):
    made = pack(
        "conn.execute('ALTER TABLE drives ADD COLUMN seen TEXT')",
        "conn.execute('DROP INDEX files_by_drive')\nconn.execute('CREATE INDEX by_size ON files (size)')",
        """
        conn.execute("CREATE TABLE files_new (id INTEGER PRIMARY KEY, drive INTEGER, size TEXT)")
        conn.execute("INSERT INTO files_new SELECT id, drive, size FROM files")
        conn.execute("DROP TABLE files")
        conn.execute("ALTER TABLE files_new RENAME TO files")
        conn.execute("CREATE INDEX by_size ON files (size)")
        """,
        "conn.execute('CREATE VIEW sizes AS SELECT size FROM files')",
        "conn.execute('DROP VIEW sizes')\nconn.execute('ALTER TABLE drives DROP COLUMN label')",
    )
    found = rehearse(database, made)
    assert [[each.in_words() for each in step.schema] for step in found.steps] == [
        ["column seen of drives added: TEXT"],
        ["index by_size of files added", "index files_by_drive of files removed"],
        [
            "column drive of files: INTEGER instead of INTEGER REFERENCES drives(id)",
            "column size of files: TEXT instead of INTEGER",
        ],
        ["view sizes added"],
        ["column label of drives removed: TEXT", "view sizes removed"],
    ]
    told = in_words(found)
    assert "column seen of drives added: TEXT" in told
    assert "column label of drives removed: TEXT" in told
    assert "index files_by_drive of files removed" in told
    assert "index by_size of files added" in told
    assert not [each for each in told if "sizes" in each or "schema_migrations" in each]


def test_an_index_that_a_rebuild_forgets_is_a_warning_here_and_no_log_line(database: Path, pack, caplog: pytest.LogCaptureFixture):
    body = """
        conn.execute("CREATE TABLE files_new (id INTEGER PRIMARY KEY, drive INTEGER REFERENCES drives (id), size INTEGER)")
        conn.execute("INSERT INTO files_new SELECT * FROM files")
        conn.execute("DROP TABLE files")
        conn.execute("ALTER TABLE files_new RENAME TO files")
        """
    with caplog.at_level(logging.WARNING, "homie_migrations"):
        found = rehearse(database, pack("pass", textwrap.dedent(body)))
    assert found.steps[0].warnings == ()
    (warning,) = found.steps[1].warnings
    assert "p:002_m2" in warning
    assert "files_by_drive" in warning
    assert caplog.records == []
    assert found.succeeded


# --- what it tells: losses ---------------------------------------------------------------------------------------------

LOSSES = {
    "a dropped table": ("conn.execute('DROP TABLE files')", (Loss("files", None, 4),)),
    "a dropped table without rows": (
        "conn.execute('DELETE FROM files')\nconn.execute('DROP TABLE files')",
        (Loss("files", None, 4),),
    ),
    "a dropped column with values": ("conn.execute('ALTER TABLE drives DROP COLUMN label')", (Loss("drives", "label", 2),)),
    "deleted rows": ("conn.execute('DELETE FROM files WHERE id < 4')", (Loss("files", None, 3),)),
    "rows that come again": (
        "rows = conn.execute('SELECT * FROM files').fetchall()\nconn.execute('DELETE FROM files')\n"
        "conn.executemany('INSERT INTO files VALUES (?, ?, ?)', rows)",
        (),
    ),
    "a renamed table": ("conn.execute('ALTER TABLE files RENAME TO documents')", ()),
    "a rebuilt table in other letters": (
        "conn.execute('CREATE TABLE n (id INTEGER PRIMARY KEY, drive INTEGER, size INTEGER)')\n"
        "conn.execute('INSERT INTO n SELECT * FROM files')\nconn.execute('DROP TABLE files')\n"
        "conn.execute('ALTER TABLE n RENAME TO FILES')",
        (),
    ),
    "a rebuilt table": (
        "conn.execute('CREATE TABLE n (id INTEGER PRIMARY KEY, drive INTEGER, size INTEGER)')\n"
        "conn.execute('INSERT INTO n SELECT * FROM files')\nconn.execute('DROP TABLE files')\n"
        "conn.execute('ALTER TABLE n RENAME TO files')",
        (),
    ),
    "a rebuild that loses rows": (
        "conn.execute('CREATE TABLE n (id INTEGER PRIMARY KEY, drive INTEGER, size INTEGER)')\n"
        "conn.execute('INSERT INTO n SELECT * FROM files WHERE size > 10')\nconn.execute('DROP TABLE files')\n"
        "conn.execute('ALTER TABLE n RENAME TO files')",
        (Loss("files", None, 2),),
    ),
    "a copy that is thrown away": ("conn.execute('CREATE TABLE n AS SELECT * FROM files')\nconn.execute('DROP TABLE n')", ()),
    "a table with the same columns and fewer rows": (
        "conn.execute('DROP TABLE files')\n"
        "conn.execute('CREATE TABLE other (id INTEGER PRIMARY KEY, drive INTEGER REFERENCES drives (id), size INTEGER)')",
        (Loss("files", None, 4),),
    ),
    "a renamed column": ("conn.execute('ALTER TABLE drives RENAME COLUMN label TO title')", ()),
}


@pytest.mark.parametrize(("body", "losses"), LOSSES.values(), ids=LOSSES)
def test_losses_are_told(database: Path, pack, body: str, losses: tuple[Loss, ...]):
    found = rehearse(database, pack("pass", textwrap.dedent(body)))
    assert found.error is None
    assert found.losses == losses


def test_a_dropped_column_without_values_is_no_loss_and_one_made_on_the_way_neither(database: Path, pack):
    made = pack(
        "conn.execute('UPDATE drives SET label = NULL')\nconn.execute('ALTER TABLE drives ADD COLUMN seen TEXT')",
        "conn.execute('UPDATE drives SET seen = 1')\nconn.execute('ALTER TABLE drives DROP COLUMN seen')",
    )
    assert rehearse(database, made).losses == (Loss("drives", "label", 2),)  # which the first step empties
    run_sql(database, "UPDATE drives SET label = NULL")
    assert rehearse(database, pack("conn.execute('ALTER TABLE drives DROP COLUMN label')", "pass")).losses == ()


def test_losses_of_several_steps_are_those_from_the_beginning_to_the_end(database: Path, pack):
    made = pack(
        "conn.execute('DELETE FROM files WHERE id = 1')", "conn.execute('DROP TABLE files')", "conn.execute('DROP TABLE drives')"
    )
    assert rehearse(database, made).losses == (Loss("drives", None, 3), Loss("files", None, 4))


# --- what it tells: findings and sizes -----------------------------------------------------------------------------------


def test_what_was_wrong_before_is_a_finding_and_no_failure(database: Path, pack):
    run_sql(
        database,
        "INSERT INTO files VALUES (9, 99, 0); CREATE TABLE gone (a); CREATE VIEW lost AS SELECT a FROM gone; DROP TABLE gone;",
    )
    found = rehearse(database, pack(*CHANGES[:1]))
    assert found.succeeded
    assert len(found.findings) == 2
    keys, view = sorted(found.findings, key=lambda each: "lost" in each)
    assert "files" in keys
    assert "lost" in view
    assert rehearse(database, pack("conn.execute('DELETE FROM files WHERE id = 9')\nconn.execute('DROP VIEW lost')")).findings == ()


def test_sizes_say_what_there_is_and_what_a_run_would_need(database: Path, pack):
    run_sql(
        database,
        "WITH RECURSIVE n (i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO drives SELECT i, hex(randomblob(50)), NULL FROM n;",
    )
    size = database.stat().st_size
    little = rehearse(database, pack("conn.execute('CREATE TABLE t (a)')"))
    much = rehearse(database, pack("conn.execute('UPDATE drives SET label = name')"))
    assert little.size == much.size == size
    assert size < little.disk_needed < much.disk_needed
    assert much.disk_needed >= 2 * size  # the snapshot, and a journal with nearly every page
    without = MigrationRunner(database, [pack("conn.execute('UPDATE drives SET label = name')")], backup=False).rehearse()
    assert size < without.disk_needed == much.disk_needed - size


def test_a_wal_is_counted_too(data_folder: Path, database: Path, pack):
    run_sql(database, "PRAGMA journal_mode=WAL")
    before = state_of(data_folder)
    found = rehearse(
        database, pack("conn.execute('CREATE TABLE t (a)')\nconn.executemany('INSERT INTO t VALUES (?)', [('x' * 1000,)] * 1000)")
    )
    assert found.disk_needed > found.size + 1_000_000
    assert state_of(data_folder) == before
