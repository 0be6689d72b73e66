"""What tests of every folder share: packs as folders of files, and databases as other programs see them."""

from __future__ import annotations

import hashlib
import sqlite3
import textwrap
from collections.abc import Iterable
from pathlib import Path

from homie_migrations_core import Migration, MigrationPack


def python_migration(
    version: int,
    apply: str = "pass",
    *,
    rollback: str | None = None,
    verify: str | None = None,
    requires: tuple[str, ...] = (),
    head: str = "",
) -> str:
    """The source of a migration file; `apply`, `rollback` and `verify` are function bodies."""

    def function(name: str, body: str) -> str:
        return f"def {name}(conn):\n{textwrap.indent(textwrap.dedent(body).strip(), '    ')}\n\n"

    source = f'"""{version:03}: made by a test."""\nimport sqlite3\n{textwrap.dedent(head)}\n'
    if requires:
        source += f"REQUIRES = {requires!r}\n"
    source += f"def get_migration_version() -> int:\n    return {version}\n\n"
    source += function("apply_migration", apply)
    if rollback is not None:
        source += function("rollback_migration", rollback)
    if verify is not None:
        source += function("verify_migration", verify)
    return source


def snapshot_folder(database: Path) -> Path:
    """The folder of the database's snapshots, where none is chosen."""
    return database.parent / "backups" / f"{database.name}.snapshots"


def creates(version: int, table: str, **more: object) -> str:
    """A migration that makes one table and can be rolled back."""
    return python_migration(
        version,
        f"conn.execute('CREATE TABLE {table} (id INTEGER PRIMARY KEY, text TEXT)')",
        rollback=f"conn.execute('DROP TABLE {table}')",
        **more,  # type: ignore[arg-type]
    )


def write_pack(folder: Path, name: str, files: dict[str, str], *, database: str = "") -> MigrationPack:
    """A folder pack with these files (name with suffix → content)."""
    folder.mkdir(parents=True, exist_ok=True)
    for file_name, content in files.items():
        (folder / file_name).write_text(content, encoding="utf-8")
    return MigrationPack(name=name, migrations=folder, database=database)


def refs(migrations: Iterable[Migration]) -> list[str]:
    """The references of the migrations that a call returned."""
    return [each.ref for each in migrations]


def one_line(shown: str) -> str:
    """What the terminal shows of an error, on one line."""
    return " ".join(line.strip() for line in shown.splitlines())


def problems(shown: str) -> list[str]:
    """The problems that stderr shows, each on one line; none takes more than three, but for a list of what was found."""
    found: list[list[str]] = []
    for line in shown.splitlines():
        if line.startswith(" ") and found:
            found[-1].append(line)
        else:
            found.append([line])
    assert all(len([line for line in lines if not line.startswith("  - ")]) <= 3 for lines in found)
    return [one_line("\n".join(lines)) for lines in found]


def query(path: Path, sql: str, *parameters: object) -> list[tuple]:
    """What a second connection sees."""
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql, parameters).fetchall()
    finally:
        connection.close()


def run_sql(path: Path, script: str) -> None:
    """A database that somebody else wrote to."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.executescript(script)
    finally:
        connection.close()


def tables(path: Path) -> set[str]:
    """The tables of a database, without SQLite's own and the record."""
    return {
        name
        for (name,) in query(path, "SELECT name FROM sqlite_schema WHERE type = 'table'")
        if not name.startswith("sqlite_") and name != "schema_migrations"
    }


def recorded(path: Path) -> list[str]:
    """The refs that the database says are applied."""
    if not query(path, "SELECT 1 FROM sqlite_schema WHERE name = 'schema_migrations'"):
        return []
    return [
        f"{pack}:{name}" for pack, name in query(path, "SELECT pack, migration_name FROM schema_migrations ORDER BY pack, version")
    ]


def fingerprint(folder: Path) -> dict[str, str]:
    """Every file below a folder and its content's hash: what reading must not change. No database may be in use."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


PLUGIN_HEAD = "from pathlib import Path\nfrom homie_migrations_core import MigrationPack, hookimpl\n"
"""How the module of an entry point begins."""
SKIPS = "import pytest; pytest.skip('not here', allow_module_level=True)"
"""A module that raises a `BaseException` of another tool's when it is imported."""
VERSION = "def get_migration_version(): return 1\n"
APPLY = "def apply_migration(conn): pass\n"
"""The two functions that each migration needs."""

EARLIER_TABLE = """
CREATE TABLE schema_migrations (
    version INTEGER PRIMARY KEY,
    applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    migration_name TEXT NOT NULL
);
"""
