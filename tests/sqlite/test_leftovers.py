"""What a migration may do to its connection, and that none of it reaches the next step."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import python_migration, query, run_sql, write_pack
from sqlite import guarded_run
from sqlite.guarded_run import INSERT, NEW, GuardedRun

from homie_migrations_core import MigrationRunner
from homie_migrations_core.errors import MigrationFailed

# The fixtures of this module
one_run = guarded_run.one_run


ALLOWED = {
    "savepoints": (
        "conn.execute('SAVEPOINT a'); conn.execute('SAVEPOINT b'); conn.execute('RELEASE a'); conn.execute('SAVEPOINT open')",
        "",
    ),
    "ddl": (
        "conn.executescript('CREATE TABLE a (b); ALTER TABLE a ADD COLUMN c; CREATE INDEX i ON a (b); DROP INDEX i; DROP TABLE a;')",
        "",
    ),
    "views_and_triggers": (
        "conn.executescript('CREATE VIEW v AS SELECT * FROM t; CREATE TRIGGER g INSTEAD OF INSERT ON v BEGIN INSERT INTO t VALUES (new.id, new.v); END;"
        " INSERT INTO v VALUES (7, 7); DELETE FROM t WHERE id = 7;')",
        "",
    ),
    "fts5": (
        "conn.executescript(\"CREATE VIRTUAL TABLE f USING fts5(a); INSERT INTO f VALUES ('word'); INSERT INTO f(f) VALUES ('optimize');\")\n"
        "assert conn.execute(\"SELECT count(*) FROM f WHERE f MATCH 'word'\").fetchone() == (1,)",
        "",
    ),
    "fts5_renamed_and_dropped": (
        "conn.executescript(\"CREATE VIRTUAL TABLE f USING fts5(a); ALTER TABLE f RENAME TO g; INSERT INTO g VALUES ('x'); DROP TABLE g;\")",
        "",
    ),
    "rtree": ("conn.execute('CREATE VIRTUAL TABLE r USING rtree(id, a, b)'); conn.execute('INSERT INTO r VALUES (1, 2, 3)')", ""),
    "temp_table": (
        "conn.executescript('CREATE TEMP TABLE scratch (a); CREATE INDEX temp.si ON scratch (a); INSERT INTO scratch VALUES (1);')",
        "assert conn.execute('SELECT * FROM sqlite_temp_schema').fetchall() == []",
    ),
    "temp_table_of_the_same_name": (
        "conn.execute('CREATE TEMP TABLE t AS SELECT * FROM main.t')",
        "conn.execute('SELECT * FROM t'); assert conn.execute('SELECT * FROM sqlite_temp_schema').fetchall() == []",
    ),
    "temp_view": (
        "conn.execute('CREATE TEMP VIEW tv AS SELECT 1')",
        "assert conn.execute('SELECT * FROM sqlite_temp_schema').fetchall() == []",
    ),
    "temp_trigger": (
        "conn.execute(\"CREATE TEMP TRIGGER tg AFTER INSERT ON main.t BEGIN UPDATE t SET v = 'touched' WHERE id = new.id; END\")",
        "conn.execute(\"INSERT INTO t VALUES (50, 'plain')\"); assert conn.execute('SELECT v FROM t WHERE id = 50').fetchone() == ('plain',); "
        "conn.execute('DELETE FROM t WHERE id = 50')",
    ),
    "temp_virtual_table_without_tables_of_its_own": (
        "conn.execute('CREATE VIRTUAL TABLE words USING fts5(a)'); conn.execute('CREATE VIRTUAL TABLE temp.seen USING fts5vocab(main, words, row)')",
        "assert conn.execute('SELECT * FROM sqlite_temp_master').fetchall() == []; conn.execute('DROP TABLE words')",
    ),
    "temp_fts5": (
        "conn.execute('CREATE VIRTUAL TABLE temp.tf USING fts5(a)')",
        "assert conn.execute('SELECT * FROM sqlite_temp_schema').fetchall() == []",
    ),
    "create_function": (
        "conn.create_function('mine', 1, lambda x: x, deterministic=True); conn.execute('SELECT mine(1)')",
        "raises('no such function', 'SELECT mine(1)')",
    ),
    "create_function_under_an_odd_row_factory": (
        "conn.row_factory = lambda cursor, row: {}[row]; conn.create_function('mine', 1, lambda x: x)",
        "raises('no such function', 'SELECT mine(1)')",
    ),
    "create_aggregate": (
        "class Sum:\n    def __init__(self): self.n = 0\n    def step(self, x): self.n += x\n    def finalize(self): return self.n\n"
        "conn.create_aggregate('mysum', 1, Sum); assert conn.execute('SELECT mysum(id) FROM t').fetchone()[0] > 0",
        "raises('no such function', 'SELECT mysum(1)')",
    ),
    "create_window_function": (
        "class Sum:\n    def __init__(self): self.n = 0\n    def step(self, x): self.n += x\n    def inverse(self, x): self.n -= x\n"
        "    def value(self): return self.n\n    def finalize(self): return self.n\n"
        "conn.create_window_function('wsum', 1, Sum); conn.execute('SELECT wsum(id) OVER (ORDER BY id) FROM t').fetchall()",
        "raises('no such function', 'SELECT wsum(id) OVER () FROM t')",
    ),
    "create_collation": (
        "conn.create_collation('back', lambda a, b: (a < b) - (a > b)); conn.execute('SELECT v FROM t ORDER BY v COLLATE back')",
        "raises('no such collation', 'SELECT v FROM t ORDER BY v COLLATE back')",
    ),
    "row_factory": (
        "conn.row_factory = sqlite3.Row; assert conn.execute('SELECT id FROM t').fetchone()['id']",
        "assert conn.row_factory is None",
    ),
    "row_factory_that_raises": (
        "conn.row_factory = lambda cursor, row: {}[row]",
        "assert conn.execute('SELECT 1').fetchone() == (1,)",
    ),
    "text_factory": ("conn.text_factory = bytes; conn.execute('SELECT v FROM t').fetchall()", "assert conn.text_factory is str"),
    "text_factory_that_raises": (
        "conn.text_factory = lambda text: {}[text]",
        "assert conn.execute(\"SELECT 'a'\").fetchone() == ('a',)",
    ),
    "trace": (
        "conn.set_trace_callback(traced.append)",
        "before = len(traced); conn.execute('SELECT 1'); assert len(traced) == before",
    ),
    "limit": (
        "assert conn.setlimit(sqlite3.SQLITE_LIMIT_COLUMN, 5) > 5",
        "assert conn.getlimit(sqlite3.SQLITE_LIMIT_COLUMN) > 5",
    ),
    "isolation_level": (
        "conn.isolation_level = 'EXCLUSIVE'; assert conn.isolation_level == 'EXCLUSIVE'",
        "assert conn.isolation_level == ''",
    ),
    "autocommit": ("conn.autocommit = False; assert conn.autocommit is False", "assert conn.autocommit == -1"),
    "pragma_cache_size": (
        "conn.execute('PRAGMA cache_size = 7')",
        "assert conn.execute('PRAGMA cache_size').fetchone()[0] not in (7, 0)",
    ),
    "pragma_legacy_alter_table": (
        "conn.execute('PRAGMA legacy_alter_table = ON'); assert conn.execute('PRAGMA legacy_alter_table').fetchone() == (1,)",
        "assert conn.execute('PRAGMA legacy_alter_table').fetchone() == (0,)",
    ),
    "pragma_recursive_triggers": (
        "conn.execute('PRAGMA recursive_triggers = ON')",
        "assert conn.execute('PRAGMA recursive_triggers').fetchone() == (0,)",
    ),
    "pragma_case_sensitive_like": (
        "conn.execute('PRAGMA case_sensitive_like = ON')",
        "assert conn.execute(\"SELECT 'a' LIKE 'A'\").fetchone() == (1,)",
    ),
    "pragma_defer_foreign_keys": (
        "conn.execute('PRAGMA defer_foreign_keys = ON')",
        "assert conn.execute('PRAGMA defer_foreign_keys').fetchone() == (0,)",
    ),
    "pragma_busy_timeout": (
        "conn.execute('PRAGMA busy_timeout = 60000')",
        "assert conn.execute('PRAGMA busy_timeout').fetchone()[0] < 1000",
    ),
    "pragma_foreign_keys": (
        "conn.execute('PRAGMA foreign_keys = ON')",
        "assert conn.execute('PRAGMA foreign_keys').fetchone() == (0,)",
    ),
    "pragmas_that_only_read": (
        "for name in ('table_info(t)', 'index_list(t)', 'foreign_key_check', 'integrity_check', 'journal_mode', 'page_size', 'encoding', 'synchronous'):\n"
        "    conn.execute(f'PRAGMA {name}').fetchall()",
        "",
    ),
    "create_if_not_exists": (
        "conn.execute('CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY)'); conn.execute('SELECT * FROM schema_migrations').fetchall()",
        "",
    ),
    "analyze": ("conn.execute('ANALYZE'); conn.execute('REINDEX'); conn.execute('PRAGMA optimize')", ""),
    "recursive_query": (
        "conn.execute('WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT * FROM n').fetchall()",
        "",
    ),
}
HEAD = """
traced = []
def raises(text, sql):
    global conn
    try:
        conn.execute(sql).fetchall()
    except sqlite3.OperationalError as error:
        assert text in str(error), error
    else:
        raise AssertionError(sql)
"""


@pytest.mark.parametrize("new", [False, True], ids=["step_by_step", "in_one_transaction"])
@pytest.mark.parametrize("what", ALLOWED)
def test_what_is_allowed_works_and_does_not_reach_the_next_step(tmp_path: Path, what: str, new: bool) -> None:
    does, next_finds = ALLOWED[what]
    path = tmp_path / "homie_p.db"
    if not new:
        run_sql(path, "PRAGMA journal_mode=wal; CREATE TABLE existed (a);")
    files = {
        "001_table.sql": "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);\nINSERT INTO t VALUES (1, 'old');\n",
        "002_does.py": python_migration(2, f'conn.execute("{INSERT}")\n{does}', head=HEAD),
        "003_finds.py": python_migration(
            3,
            f"globals()['conn'] = conn\n{next_finds or 'pass'}",
            head=HEAD.replace(
                "traced = []", "from sys import modules; traced = modules['__main__'].__dict__.setdefault('traced', [])"
            ),
        ),
        "004_again.py": python_migration(
            4, f'conn.execute("DELETE FROM t WHERE id = 2")\nconn.execute("{INSERT}")\n{does if next_finds else "pass"}', head=HEAD
        ),
    }
    pack = write_pack(tmp_path / "pack", "p", files)
    applied = MigrationRunner(path, [pack], backup=False).apply()
    assert [migration.version for migration in applied] == [1, 2, 3, 4]
    assert query(path, "SELECT * FROM t ORDER BY id") == NEW
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


def test_an_odd_row_factory_does_not_break_a_function_with_a_name_of_sqlite(one_run: GuardedRun) -> None:
    body = "conn.row_factory = lambda cursor, row: {}[row]\nconn.create_function('upper', 1, lambda x: 'mine')\nconn.execute('UPDATE t SET v = upper(v)')"
    assert one_run.run(body) is None
    one_run.assert_applied([(1, "mine")])


def test_a_function_of_sqlites_own_that_is_replaced_does_not_reach_the_next_step(tmp_path: Path) -> None:
    """SQLite can't give it back, so a new database is not built that way; with a step a connection it is no matter."""
    files = {
        "001_replaces.py": python_migration(
            1, "conn.create_function('lower', 1, lambda x: 'mine')\nconn.execute('CREATE TABLE t (a)')"
        ),
        "002_uses.py": python_migration(2, "assert conn.execute(\"SELECT lower('A')\").fetchone() == ('a',)"),
    }
    pack = write_pack(tmp_path / "pack", "p", files)
    with pytest.raises(MigrationFailed, match=r"it replaces the function lower\(\)"):
        MigrationRunner(tmp_path / "new.db", [pack], backup=False).apply()
    run_sql(tmp_path / "old.db", "CREATE TABLE existed (a);")
    assert len(MigrationRunner(tmp_path / "old.db", [pack], backup=False).apply()) == 2
