"""Schemas built by a script, in each SQLite library that is installed."""

from __future__ import annotations

import importlib
import sqlite3
from types import ModuleType

import pytest

from homie_migrations_core.sqlite.schema import read_schema
from homie_migrations_core.sqlite.schema_objects import Schema


def library_of(name: str) -> object:
    try:
        return importlib.import_module(name)
    except ImportError:
        return pytest.param(None, marks=pytest.mark.skip(reason=f"{name} is not installed"))


# Another build of SQLite where there is one: what it keeps of a definition is its own affair. Only ever in memory,
# because two copies of the library in one process don't see each other's locks on a file.
LIBRARIES = pytest.mark.parametrize("library", [sqlite3, library_of("pysqlite3")], ids=["sqlite3", "pysqlite3"])


def built(library: ModuleType, *scripts: str) -> Schema:
    connection = library.connect(":memory:", isolation_level=None)
    try:
        for script in scripts:
            connection.executescript(script)
        return read_schema(connection)
    finally:
        connection.close()
