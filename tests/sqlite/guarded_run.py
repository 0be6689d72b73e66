"""A database with one table, one row and one record, and one migration that an author tries on it."""

from __future__ import annotations

import json
import os
import tempfile
import textwrap
from functools import cache
from pathlib import Path

import pytest
from helpers import python_migration, query, recorded, run_sql, write_pack

from homie_migrations_core import MigrationRunner
from homie_migrations_core.errors import MigrationFailed

OLD = [(1, "old")]
NEW = [(1, "old"), (2, "new")]
INSERT = "INSERT INTO t VALUES (2, 'new')"
CLASH = "INSERT OR ROLLBACK INTO t VALUES (1, 'clash')"
MODES = ("delete", "wal")


FIRST = python_migration(1)


@cache
def prepared(mode: str) -> tuple[bytes, list[str]]:
    """The file that every run in this mode begins with, and what is recorded in it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "homie_p.db")
        run_sql(
            path,
            f"""PRAGMA journal_mode={mode};
            CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
            INSERT INTO t VALUES (1, 'old');""",
        )
        MigrationRunner(path, [write_pack(Path(folder, "pack"), "p", {"001_first.py": FIRST})], backup=False).apply()
        return path.read_bytes(), recorded(path)


class GuardedRun:
    """A database with one table, one row and one record; and one migration that is about to run on it."""

    def __init__(self, folder: Path, mode: str) -> None:
        self.path, self._folder, self._mode = folder / "homie_p.db", folder / "pack", mode
        self.file = self._folder / "002_tried.py"
        self._seen = folder / "seen.json"
        database, record = prepared(mode)
        self.path.write_bytes(database)
        os.utime(self.path, (0, 0))  # a file that was just written is given a moment to settle before it is read
        write_pack(self._folder, "p", {"001_first.py": FIRST})
        assert recorded(self.path) == record

    def apply(self, files: dict[str, str]) -> MigrationFailed | None:
        """What applying these files, beside those that are there, ends in."""
        pack = write_pack(self._folder, "p", files)
        try:
            MigrationRunner(self.path, [pack], backup=False, lock_timeout=2.0).apply()
        except MigrationFailed as error:
            return error
        return None

    def run(self, body: str, *, head: str = "", **more: str) -> MigrationFailed | None:
        """Run `body` as a migration. At its end, however it ends, it looks at the file over a connection of its own."""
        look = f"""
        def look():
            import json
            outside = sqlite3.connect("file:{self.path.as_posix()}?mode=ro", uri=True)
            try:
                seen = [outside.execute("SELECT * FROM t ORDER BY id").fetchall(), outside.execute("SELECT version FROM schema_migrations").fetchall()]
            finally:
                outside.close()
            with open({str(self._seen)!r}, "w") as file:
                json.dump(seen, file)
        """
        inner = textwrap.indent(textwrap.dedent(body).strip(), "    ")
        body = f"try:\n{inner}\nfinally:\n    look()"
        source = python_migration(2, body, head=textwrap.dedent(head) + textwrap.dedent(look), **more)
        return self.apply({self.file.name: source})

    def seen_before_the_end(self) -> object:
        return json.loads(self._seen.read_text())

    def line(self, mark: str = "# here") -> int:
        """The line of the migration with this mark."""
        lines = self.file.read_text(encoding="utf-8").splitlines()
        return next(number for number, line in enumerate(lines, start=1) if line.endswith(mark))

    @property
    def place(self) -> str:
        return f"{self.file.name}, line {self.line()}"

    @property
    def rows(self) -> list[tuple]:
        return query(self.path, "SELECT * FROM t ORDER BY id")

    def assert_undone(self) -> None:
        assert (self.rows, recorded(self.path)) == (OLD, ["p:001_first"])
        self._assert_whole()

    def assert_applied(self, rows: list[tuple] = NEW) -> None:
        assert (self.rows, recorded(self.path)) == (rows, ["p:001_first", "p:002_tried"])
        self._assert_whole()

    def assert_nothing_was_visible(self) -> None:
        assert self.seen_before_the_end() == [[list(row) for row in OLD], [[1]]]

    def _assert_whole(self) -> None:
        assert query(self.path, "PRAGMA integrity_check") == [("ok",)]
        assert query(self.path, "PRAGMA journal_mode") == [(self._mode,)]


@pytest.fixture(params=MODES)
def tried(request: pytest.FixtureRequest, tmp_path: Path) -> GuardedRun:
    return GuardedRun(tmp_path, request.param)


@pytest.fixture
def one_run(tmp_path: Path) -> GuardedRun:
    """For what has nothing to do with the journal."""
    return GuardedRun(tmp_path, "delete")


# --- ways to execute a statement ------------------------------------------------------------------------

EXECUTORS = {
    "conn": "conn.{m}({a})",
    "cursor": "conn.cursor().{m}({a})",
    "bare_cursor": "sqlite3.Cursor(conn).{m}({a})",
    "own_cursor": "conn.cursor(type('Own', (sqlite3.Cursor,), {{}})).{m}({a})",
    "conns_class": "sqlite3.Connection.{m}(conn, {a})",
    "cursors_class": "sqlite3.Cursor.{m}(conn.cursor(), {a})",
}


def execute(x: str, *statements: str) -> str:
    """These statements, each executed by way of `x`."""
    return "; ".join(EXECUTORS[x].format(m="execute", a=repr(each)) for each in statements)


def script(x: str, script: str) -> str:
    """This script, executed by way of `x`."""
    return EXECUTORS[x].format(m="executescript", a=repr(script))
