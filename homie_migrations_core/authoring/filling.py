"""
Fills the tables of a scratch database before a migration is tested: the author's own rows first, made-up rows after that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from homie_migrations_core.authoring.findings import SAMPLE_ROWS
from homie_migrations_core.authoring.sample_rows import fill_tables
from homie_migrations_core.authoring.tested_pack import TestedPack
from homie_migrations_core.model import Migration, Pack
from homie_migrations_core.sqlite.names import fold
from homie_migrations_core.sqlite.rows import count_rows, tables_of
from homie_migrations_core.sqlite.schema import read_schema
from homie_migrations_core.sqlite.throwaway import open_throwaway, run_guarded


class TableFiller:
    """Fills scratch databases of one check."""

    def __init__(self, tested: TestedPack, packs: Sequence[Pack]) -> None:
        self._tested, self._packs = tested, packs
        self._statements = [_text_of(migration) for each in packs for migration in each.migrations]
        """What the migrations say shows what columns are read as."""
        self._given_up: set[tuple[str, ...]] = set()
        """Definitions of tables for which no row was found: the search is long, so it is done once."""

    def fill(self, path: str, migration: Migration, makers: Mapping[str, str]) -> None:
        """
        Fill every table of the database before `migration` is tested.

        `makers` names the migration of the checked pack that made each of its tables; those get the findings.
        """
        with open_throwaway(path) as database:
            before = count_rows(database.connection, tables_of(database.connection))
        for pack in self._packs:
            self._insert_own_rows(pack, path, migration)
        for table, why in self._fill_the_others(path, before).items():
            maker = makers.get(fold(table))
            if maker is not None:
                self._tested.findings.add("table_not_filled", maker, f"No row could be made up for {table} ({why}).")
            else:
                self._tested.findings.note(f"no row could be made up for {table}, a table of another pack ({why})")

    def _fill_the_others(self, path: str, before: Mapping[str, int]) -> dict[str, str]:
        """Make up rows for the tables that got none from their author; return those that stay empty, and why."""
        with open_throwaway(path) as database:
            now = count_rows(database.connection, tables_of(database.connection))
            given = [table for table, count in now.items() if count > before.get(table, 0)]
            tables = {name: each for (kind, name), each in read_schema(database.connection).items() if kind == "table"}
            given_up = [each.name for each in tables.values() if each.tokens in self._given_up]
            database.rows("BEGIN")
            leave = [*given, *given_up]
            unfilled = fill_tables(database, leave=leave, statements=self._statements, stop=self._tested.stop)
            database.rows("COMMIT")
        self._given_up |= {tables[fold(name)].tokens for name, why in unfilled.items() if why.startswith("CHECK")}
        return unfilled

    def _insert_own_rows(self, pack: Pack, path: str, migration: Migration) -> None:
        file = pack.migrations[0].path.parent / SAMPLE_ROWS
        if not file.is_file():
            return
        try:
            run_guarded(path, str(file), _sample_rows_of(file, pack.package), self._tested.stop)
        except (Exception, SystemExit) as error:
            message = f"{SAMPLE_ROWS} fails before {migration.ref}: {type(error).__name__}: {error}."
            if pack.name == self._tested.name:
                self._tested.findings.add("table_not_filled", migration.ref, message)
            else:
                self._tested.findings.note(f"{pack.name}: {message}")


def _sample_rows_of(file: Path, package: str | None) -> Callable[[Any], object]:
    """Return the author's function, which runs its file first."""

    def sample_rows(connection: Any) -> object:
        module = ModuleType(f"{package}.{file.stem}" if package else f"_homie{file.stem}")
        module.__file__, module.__package__ = str(file), package or ""
        exec(compile(file.read_bytes(), str(file), "exec", dont_inherit=True), module.__dict__)
        return module.sample_rows(connection)

    return sample_rows


def _text_of(migration: Migration) -> str:
    return (migration.content + b"\n" + migration.rollback_content).decode("utf-8", "replace")
