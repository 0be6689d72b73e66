"""Database files in every state that a reader may find one in."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers import run_sql

as_root = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can become somebody with fewer rights"
)


@contextmanager
def another_process(code: str, *, kill: bool = False) -> Iterator[subprocess.Popen[str]]:
    """A process that has run `code` and now waits; it ends with the block, by SIGKILL if asked for."""
    code = f"import sqlite3, sys\n{textwrap.dedent(code)}\nprint('ready', flush=True)\nsys.stdin.readline()\n"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        if kill:
            process.send_signal(signal.SIGKILL)
            process.wait()
        yield process
    finally:
        process.kill()
        process.communicate()


def wal(path: Path) -> None:
    run_sql(path, "PRAGMA journal_mode=WAL")
    assert not path.with_name(path.name + "-wal").exists()


def journal_delete(path: Path) -> None:
    pass


def journal_persist(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript("PRAGMA journal_mode=PERSIST; CREATE TABLE more (x);")
    connection.close()
    assert path.with_name(path.name + "-journal").stat().st_size > 0


def journal_truncate(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript("PRAGMA journal_mode=TRUNCATE; CREATE TABLE more (x);")
    connection.close()
    path.with_name(path.name + "-journal").touch()


def wal_readable_only(path: Path) -> None:
    wal(path)
    path.chmod(0o444)


def leave_hot_journal(path: Path) -> None:
    """A process that had written half of its change into the file was killed."""
    with another_process(
        f"""
        connection = sqlite3.connect({str(path)!r}, isolation_level=None)
        connection.executescript('''
            PRAGMA cache_size=1; PRAGMA cache_spill=1;
            BEGIN IMMEDIATE;
            CREATE TABLE half_done (x);
            DELETE FROM schema_migrations;
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
            INSERT INTO half_done SELECT randomblob(100) FROM n;
        ''')
        """,
        kill=True,
    ):
        pass
    assert path.with_name(path.name + "-journal").stat().st_size > 512
