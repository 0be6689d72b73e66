"""Which indexes the statements of the path memory use."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import query, run_sql
from path_memory_helpers import (
    CALLS,
    FILE,
    start,
)

from file_organizer_migrations import PathMemoryManager, statements


def spoken(data: Path, call: Callable[[PathMemoryManager], object]) -> list[str]:
    """The statements that one call runs, as SQLite saw them."""

    async def main() -> list[str]:
        heard: list[str] = []
        async with PathMemoryManager(data) as memory:
            await memory._read(lambda connection: connection.set_trace_callback(heard.append))
            await call(memory)
        return [sql for sql in heard if sql.strip() not in ("BEGIN IMMEDIATE", "COMMIT")]

    return asyncio.run(main())


def plan_of(path: Path, sql: str) -> str:
    return "; ".join(str(row[3]) for row in query(path, f"EXPLAIN QUERY PLAN {sql}"))


@pytest.mark.parametrize("analysed", [False, True])
@pytest.mark.parametrize(
    ("call", "constant", "index"),
    [
        (
            lambda memory: memory.available_drives("ada"),
            "AVAILABLE_DRIVES",
            "idx_drives_user_available (user_id=? AND is_available=?)",
        ),
        (
            lambda memory: memory.destinations("ada"),
            "ACTIVE_DESTINATIONS",
            "idx_destinations_user_active (user_id=? AND is_active=?)",
        ),
        (
            lambda memory: memory.destinations("ada", category="music"),
            "ACTIVE_DESTINATIONS_OF_CATEGORY",
            "idx_destinations_user_category (user_id=? AND category=?)",
        ),
        (
            lambda memory: memory.destinations("ada", category="music", include_forgotten=True),
            "DESTINATIONS_OF_CATEGORY",
            "idx_destinations_user_category (user_id=? AND category=?)",
        ),
        (lambda memory: memory.usage_history("x"), "USAGE_HISTORY", "idx_usage_destination (destination_id=?)"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isupper() else "",
)
def test_the_queries_use_the_indexes(data: Path, call: Callable, constant: str, index: str, analysed: bool) -> None:
    start(data)
    if analysed:
        fill_unevenly(data / FILE)
    (sql,) = spoken(data, call)
    text = getattr(statements, constant)
    assert re.fullmatch(re.escape(text).replace(r"\?", "(?:'[^']*'|-?[0-9]+)"), sql), "the method runs the constant"
    assert f"USING INDEX {index}" in plan_of(data / FILE, sql)
    marks = text.count("?")
    assert f"USING INDEX {index}" in "; ".join(
        str(row[3])
        for row in query(
            data / FILE, f"EXPLAIN QUERY PLAN {text}", *["x"] * (marks - text.count("LIMIT ?")), *[1] * text.count("LIMIT ?")
        )
    )


def fill_unevenly(path: Path) -> None:
    """Few users, many rows each, nearly all active, categories of many sizes; and SQLite knows."""
    run_sql(
        path,
        """
        BEGIN;
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
        INSERT INTO destinations (id, user_id, path, category, is_active)
            SELECT 'd' || i, CASE WHEN i % 3 THEN 'ada' ELSE 'bob' END, '/' || i, 'c' || (i % 40), i % 50 > 0 FROM n;
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
        INSERT INTO destination_usage (id, destination_id) SELECT 'u' || i, 'd' || (1 + i % 300) FROM n;
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
        INSERT INTO drives (id, user_id, unique_identifier, mount_point, drive_type, is_available)
            SELECT 'v' || i, CASE WHEN i % 3 THEN 'ada' ELSE 'bob' END, i, '/' || i, 'usb', i % 5 = 0 FROM n;
        COMMIT;
        ANALYZE;
        """,
    )


@pytest.mark.parametrize("call", CALLS)
def test_no_call_reads_a_whole_table(data: Path, call: str) -> None:
    start(data)
    fill_unevenly(data / FILE)
    run_sql(data / FILE, "UPDATE drives SET id = 'x' WHERE id = 'v1'; UPDATE destinations SET id = 'x' WHERE id = 'd1000'")
    statements = spoken(data, CALLS[call])
    assert statements
    for sql in statements:
        assert "SCAN" not in plan_of(data / FILE, sql), sql
