"""
Tests each migration on tables that hold rows: apply, roll back, apply again; and watches what it does meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from homie_migrations_core.authoring.contents import Contents, find_loss
from homie_migrations_core.authoring.filling import TableFiller
from homie_migrations_core.authoring.hazards import Watch, find_dropped, find_foreign, find_hidden, imports_of
from homie_migrations_core.authoring.scratch_databases import DatabaseState, read_schema, read_state
from homie_migrations_core.authoring.tested_pack import TestedPack, declared_steps, steps_with_others
from homie_migrations_core.errors import MigrationFailed
from homie_migrations_core.model import Migration, Pack, Step
from homie_migrations_core.sqlite.names import fold
from homie_migrations_core.sqlite.schema_comparison import compare
from homie_migrations_core.sqlite.schema_objects import Schema


def check_round_trips(tested: TestedPack) -> None:
    """Test every migration of the pack, as far as they apply."""
    pack = tested.runnable()
    if pack is None:
        return
    declared, why_not = declared_steps(pack, tested.others)
    if why_not:
        tested.findings.note(f"no migration was tested with rows: {why_not}")
        return
    steps = steps_with_others(pack, tested.others)
    if steps != declared and tested.databases.run(tested.databases.new(), steps) is not None:
        steps = declared
    _RoundTrips(tested, pack, declared).test(steps)


class _ObjectOwners:
    """Which pack made each table, index, view and trigger, and which migration each table."""

    def __init__(self) -> None:
        self.packs: dict[tuple[str, str], str] = {}
        self.makers: dict[str, str] = {}
        """For each table, the ref that made or last changed it."""

    def note(self, step: Step, before: Schema, after: Schema) -> None:
        """Note what a step made, changed and dropped."""
        for key in before.keys() - after.keys():
            self.packs.pop(key, None)
        for key, each in after.items():
            if key not in before:
                self.packs[key] = step.migration.pack
            if key[0] == "table" and (key not in before or before[key].tokens != each.tokens):
                self.makers[key[1]] = step.ref

    def makers_for(self, pack: str, migration: Migration) -> dict[str, str]:
        """Return, for each table of a pack, the migration that made it."""
        tables = [name for (kind, name), owner in self.packs.items() if kind == "table" and owner == pack]
        return {table: self.makers.get(table, migration.ref) for table in tables}


class _RoundTrips:
    """The round trip of one migration after the other."""

    def __init__(self, tested: TestedPack, pack: Pack, declared: Sequence[Step]) -> None:
        self._tested, self._pack, self._declared = tested, pack, list(declared)
        self._databases = tested.databases
        self._owners = _ObjectOwners()
        self._filler = TableFiller(tested, (*tested.others, pack))

    def _add(self, code: str, migration: Migration, what: str) -> None:
        self._tested.findings.add(code, migration.ref, f"{migration.ref} {what}.")

    def test(self, steps: Sequence[Step]) -> None:
        """Go through the steps on empty tables; before each step of the pack, test it on a copy that holds rows."""
        path = self._databases.new()
        self._databases.run(path, [])
        for step in steps:
            after = self._databases.copy(path)
            if self._databases.run(after, [step]) is not None:
                self._tested.findings.note(f"{step.ref} fails, so it and the migrations after it were not tested with rows")
                return
            if step.migration.pack == self._pack.name:
                self._test_one(step, path)
            self._owners.note(step, read_schema(path), read_schema(after))
            self._databases.delete(path)
            path = after

    def _test_one(self, step: Step, empty: str) -> None:
        migration = step.migration
        path = self._databases.copy(empty)
        self._filler.fill(path, migration, self._owners.makers_for(self._pack.name, migration))
        before, watch = read_state(path), Watch()
        with imports_of(migration.path) as imported:
            error = self._databases.run(path, [step], watch)
            if error is not None:  # the rest of the test continues with empty tables
                self._fails_on_data(migration, error, before)
                self._databases.delete(path)
                path, watch = self._databases.copy(empty), Watch()
                before = read_state(path)
                self._databases.run(path, [step], watch)
        after = read_state(path)
        back = self._roll_back(step, path, empty)
        dropped = list(find_dropped(before.schema, after.schema, before.rows, after.rows))
        if back is not None:
            dropped = [each for each in dropped if not _is_restored(each, before.rows, back.rows)]
            self._compare(migration, before, after, back, {(fold(table), column) for table, column, _ in dropped})
            self._apply_again(migration, path, before, after, back)
        self._databases.delete(path)
        for table, column, count in dropped:
            what = (
                f"the table {table}, which held {count} rows" if column is None else f"{table}.{column}, which held {count} values"
            )
            self._add("drops_data", migration, f"drops {what}; they are nowhere else")
        self._add_hazards(migration, watch, before.schema, after.schema, imported)

    def _fails_on_data(self, migration: Migration, error: MigrationFailed, before: DatabaseState) -> None:
        column = re.search(r"NOT NULL constraint failed: \S+\.(\w+)", error.found)
        known = {fold(name) for contents in before.rows.values() for name in contents.columns}
        forgotten = "Cannot add a NOT NULL column" in error.found or (column is not None and fold(column[1]) not in known)
        code = "not_null_without_default" if forgotten else "fails_on_data"
        self._add(code, migration, f"works on empty tables and fails on rows: {error.found}")

    # --- rolled back, and applied again

    def _roll_back(self, step: Step, path: str, empty: str) -> DatabaseState | None:
        """Return what a rollback leaves; None if it fails, or there is none."""
        migration = step.migration
        back = Step(migration, "rollback")
        if not migration.reversible:
            self._tested.findings.note(f"{migration.ref} has no rollback, so only applying it was tested")
            return None
        if error := self._databases.run(path, [back]):
            other = self._databases.copy(empty)
            self._databases.run(other, [step])
            where = " where there are rows" if self._databases.run(other, [back]) is None else ""
            self._databases.delete(other)
            self._add("rollback_fails", migration, f"can't be rolled back{where}: {error.found}")
            return None
        return read_state(path)

    def _apply_again(
        self, migration: Migration, path: str, before: DatabaseState, after: DatabaseState, back: DatabaseState
    ) -> None:
        if error := self._databases.run(path, [Step(migration)]):
            self._add("apply_again_fails", migration, f"can't be applied again after its rollback: {error.found}")
            return
        if compare(before.schema, back.schema):
            return  # then the same can't be expected, and the cause was found
        again = read_state(path)
        words = [change.in_words() for change in compare(after.schema, again.schema)]
        for name, contents in after.rows.items():
            first, now = len(contents.rows), len(again.rows[name].rows) if name in again.rows else 0
            lost = find_loss(before.rows[name], back.rows.get(name)).rows if name in before.rows else 0
            if first != now and not lost:
                words.append(f"{contents.table} has {now} rows instead of {first}")
        if words:
            what = f"gives another result when it is applied again after a rollback: {'; '.join(words)}"
            self._add("apply_again_differs", migration, what)

    def _compare(
        self,
        migration: Migration,
        before: DatabaseState,
        after: DatabaseState,
        back: DatabaseState,
        dropped: Collection[tuple[str, str | None]],
    ) -> None:
        """Find what was there before and is not restored. What the migration itself made may go."""
        differences = compare(before.schema, back.schema)
        if differences:
            words = "; ".join(change.in_words() for change in differences)
            self._add("rollback_changes_schema", migration, f"leaves another schema behind when it is rolled back: {words}")
        for name, contents in before.rows.items():
            if (name, None) not in dropped:
                kept = {column for table, column in dropped if table == name}
                self._compare_rows(migration, contents, after.rows.get(name), back.rows.get(name), kept)

    def _compare_rows(
        self, migration: Migration, before: Contents, after: Contents | None, back: Contents | None, dropped: Collection[str | None]
    ) -> None:
        loss, total = find_loss(before, back), f"{len(before.rows)} rows of {before.table} when it is rolled back"
        if loss.rows:
            by_apply = find_loss(before, after).rows
            who = "apply deletes them and the rollback does not restore them" if by_apply else "the rollback deletes them"
            self._add("rollback_loses_rows", migration, f"loses {loss.rows} of {total}: {who}")
        values = {column: count for column, count in loss.values.items() if column not in dropped}
        if values and loss.changed:
            columns = ", ".join(f"{column} ({count})" if count else column for column, count in values.items())
            self._add("rollback_changes_rows", migration, f"changes {loss.changed} of {total}: {columns}")

    # --- hazards

    def _add_hazards(self, migration: Migration, watch: Watch, before: Schema, after: Schema, imported: Sequence[str]) -> None:
        for warning in watch.warnings:
            self._tested.findings.add("rebuild_loses_index", migration.ref, warning)
        for code, problem in watch.accepted_problems:
            self._add(code, migration, f"leaves a problem at its commit: {problem}")
        for hidden in find_hidden(watch, before, after):
            self._add("if_not_exists_hid", migration, f"has an IF NOT EXISTS that did nothing: {hidden}")
        for slow in watch.slow:
            self._add("update_without_index", migration, slow)
        for foreign in find_foreign(self._pack.name, before, after, self._owners.packs):
            self._add("foreign_object", migration, foreign)
        self._look_at_rows_of_others(migration, watch)
        for name in imported:
            what = f"imports {name}, which may have changed by the time the migration runs"
            self._add("imports_application_code", migration, what)

    def _look_at_rows_of_others(self, migration: Migration, watch: Watch) -> None:
        """Find changes in rows of a pack that is not required, even where the migration looks first whether it is there."""
        required = {step.migration.pack for step in self._declared[: self._declared.index(Step(migration))]}
        for table in sorted(watch.written):
            owner = self._owners.packs.get(("table", table), self._pack.name)
            known = self._tested.findings.has("undeclared_requirement", migration.ref)
            if owner not in {self._pack.name, *required} and not known:
                what = f"changes rows of {table}, a table of the pack {owner}, which it does not require"
                self._add("undeclared_requirement", migration, what)


def _is_restored(dropped: tuple[str, str | None, int], before: dict[str, Contents], back: dict[str, Contents]) -> bool:
    """Whether a rollback restored what was dropped, so that it was only kept elsewhere in another form."""
    table, column, _ = dropped
    loss = find_loss(before[fold(table)], back.get(fold(table)))
    return not loss.rows and not (loss.values if column is None else column in loss.values)
