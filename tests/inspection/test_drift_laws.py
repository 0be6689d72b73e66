"""Laws of drift: what migrations do never is drift, and one change by hand always is."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from pathlib import Path

from helpers import (
    run_sql,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from inspection.workspace import Workspace

QUOTES = ["{}", '"{}"', "[{}]", "`{}`"]


def in_memory(*statements: str) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for each in statements:
        connection.execute(each)
    return connection


def next_statements(connection: sqlite3.Connection, quote: str, number: int, *, creating: bool) -> list[str]:
    """Return statements that may come next, with names quoted in one way. Some of them fail."""
    found = [f"CREATE TABLE {quote.format(f't{number}')} ({quote.format('a')} TEXT, B INTEGER DEFAULT 1)"] if creating else []
    objects = connection.execute("SELECT type, name, tbl_name FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
    for kind, name, _ in objects:
        q = quote.format(name)
        found.append(f"DROP {kind} {q}")
        if kind == "table":
            columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{name}")')]
            found += [
                f"ALTER TABLE {q} ADD COLUMN {quote.format(f'c{number}')} TEXT",
                f"ALTER TABLE {q} RENAME TO {quote.format(f'r{number}')}",
                f"CREATE TRIGGER g{number} AFTER INSERT ON {q} BEGIN DELETE FROM {q} WHERE {quote.format(columns[0])} = 'Text'; END",
            ]
            if creating:
                found.append(f"CREATE VIEW v{number} AS SELECT {', '.join(map(quote.format, columns))} FROM {q}")
            for column in columns:
                found += [
                    f"ALTER TABLE {q} RENAME COLUMN {quote.format(column)} TO {quote.format(f'n{number}')}",
                    f"ALTER TABLE {q} DROP COLUMN {quote.format(column)}",
                    f"CREATE INDEX i{number} ON {q} ({quote.format(column)}) WHERE {quote.format(column)} > 'A'",
                ]
    return found


@st.composite
def histories(draw: st.DrawFn, *, by_hand: bool = False) -> tuple[list[str], str]:
    """Statements that SQLite accepts one after the other, and with `by_hand` one more that changes an existing object."""
    done: list[str] = []
    with contextlib.closing(in_memory()) as connection:

        def step(number: int, *, creating: bool) -> str | None:
            choices = next_statements(connection, draw(st.sampled_from(QUOTES)), number, creating=creating)
            if not choices:
                return None
            chosen = draw(st.sampled_from(choices))
            connection.execute("BEGIN")
            try:
                connection.execute(chosen)
                if creating:  # a migration that leaves a broken view behind would be refused
                    for (view,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'view'").fetchall():
                        connection.execute(f"SELECT * FROM {view} LIMIT 0")
            except sqlite3.Error:
                connection.execute("ROLLBACK")
                return None
            connection.execute("COMMIT")
            return chosen

        for number in range(draw(st.integers(1, 10))):
            if (chosen := step(number, creating=True)) is not None:
                done.append(chosen)  # noqa: PERF401 - `step` may draw
        last = step(99, creating=False) if by_hand else None
    assume(done and (last or not by_hand))
    return done, last or ""


@contextlib.contextmanager
def applied(statements: list[str]):
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        workspace.write("p", **{f"_{number:03}_step": each for number, each in enumerate(statements, start=1)})
        workspace.apply()
        yield workspace


@given(histories())
@settings(max_examples=40)
def test_law_what_migrations_do_is_no_drift(history):
    with applied(history[0]) as workspace:
        assert workspace.findings() == []
        run_sql(workspace.path, "VACUUM")
        assert workspace.findings() == []


@given(histories(by_hand=True))
@settings(max_examples=40)
def test_law_one_change_by_hand_is_always_found(history):
    statements, by_hand = history
    with applied(statements) as workspace:
        run_sql(workspace.path, by_hand)
        found = workspace.findings()
        assert found
        assert all(each.code.startswith("drift_") for each in found)
