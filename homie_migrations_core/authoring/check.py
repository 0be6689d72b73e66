"""
What an author's pack must pass before it is shipped: file rules, from nothing, a round trip with data, hazards.

Each migration is really run, by the same `Execution` as ever, on files that are thrown away. Nothing else is opened.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from homie_migrations_core.authoring.contents import Contents, find_loss, read_contents
from homie_migrations_core.authoring.hazards import Watch, find_dropped, find_foreign, find_hidden, imports_of
from homie_migrations_core.authoring.sample_rows import fill_tables
from homie_migrations_core.errors import MigrationFailed, RunStopped
from homie_migrations_core.model import Finding, Migration, Pack, Plan, Step
from homie_migrations_core.packs.acceptance import Acceptances, read_acceptances
from homie_migrations_core.packs.definition import MigrationPack
from homie_migrations_core.packs.discovery import Observers
from homie_migrations_core.packs.files import UnusablePack, folder_of, list_files
from homie_migrations_core.packs.reading import read_pack
from homie_migrations_core.planning.applying import plan_apply
from homie_migrations_core.planning.ownership import find_owner
from homie_migrations_core.running.execution import Execution
from homie_migrations_core.sqlite.names import fold
from homie_migrations_core.sqlite.rows import count_rows, tables_of
from homie_migrations_core.sqlite.schema import read_schema
from homie_migrations_core.sqlite.schema_comparison import compare
from homie_migrations_core.sqlite.schema_objects import Schema
from homie_migrations_core.sqlite.throwaway import open_throwaway, run_guarded
from homie_migrations_core.stopping import Stopped, StopRequest

SAMPLE_ROWS = "_sample_rows.py"
_SCRATCH = "a scratch database"

_FILES = {
    "file_rules": "Correct the file; the rules stand on the page about writing migrations.",
    "acceptance_unusable": "Write `accepts CODE: the reason`, with a code from the page about hazards.",
}
_FROM_NOTHING = {
    "does_not_apply": "Correct the migration, or what it requires.",
    "undeclared_requirement": "Name what it needs in REQUIRES.",
    "jump_differs": "Let no migration depend on what is there by chance: a setting, a temporary table, the time.",
}
_ROUND_TRIP = {
    "table_not_filled": f"Fill it in {SAMPLE_ROWS} beside the migrations, in `def sample_rows(conn)`.",
    "fails_on_data": "Let it cope with the rows that people have, or repair them first.",
    "not_null_without_default": "Give the column a DEFAULT, or fill it before it must not be NULL.",
    "rollback_fails": "Correct rollback_migration(); if there is no way back, leave it out.",
    "rollback_changes_schema": "Let rollback_migration() restore every table, column, index, view and trigger as it was.",
    "rollback_loses_rows": "Let apply_migration() keep what rollback_migration() has to bring back, or leave the rollback out.",
    "rollback_changes_rows": "Let rollback_migration() restore every value as it was, NULLs and types included.",
    "apply_again_fails": "Let rollback_migration() take back everything that apply_migration() made.",
    "apply_again_differs": "Let rollback_migration() take back everything that apply_migration() made.",
}
_HAZARDS = {
    "rebuild_loses_index": "Create it again after the rebuild.",
    "drops_data": "Move the data first, or accept that it goes, with the reason.",
    "if_not_exists_hid": "Leave IF NOT EXISTS out, or bring the existing object to the shape that is meant.",
    "update_without_index": "Create an index first, or change the rows in one statement that looks through the table once.",
    "foreign_object": "Leave it to the pack that made it.",
    "imports_application_code": "Copy what is needed into the migration, or into a file beside it whose name begins with _.",
}
CODES = {**_FILES, **_FROM_NOTHING, **_ROUND_TRIP, **_HAZARDS}
"""Every finding there can be, and what to do about it."""
ACCEPTABLE = frozenset({*_ROUND_TRIP, *_HAZARDS, "undeclared_requirement", "jump_differs"})
"""Those that an author can accept: the others are no matter of opinion."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found out about one pack."""

    pack: str
    migrations: tuple[str, ...]
    """The refs that were checked."""
    findings: tuple[Finding, ...]
    """Those that were accepted, too."""
    notes: tuple[str, ...] = ()
    """What could not be checked, and why."""

    @property
    def passed(self) -> bool:
        """Whether nothing was found but what the author accepts."""
        return all(finding.accepted is not None for finding in self.findings)


def check_pack(pack: MigrationPack, others: Sequence[MigrationPack] = (), *, stop: StopRequest | None = None) -> Checked:
    """
    All that can be said about a pack; `others` are those of the same database, which it may require.

    Raises:
        RunStopped: `stop` asked for it.
    """
    with _checking(pack, others, stop) as check:
        check.files()
        check.from_nothing()
        check.walk()
        check.look_for_unused_acceptances()
    refs = tuple(migration.ref for migration in check.migrations)
    places = {ref: number for number, ref in enumerate(refs)}
    codes = list(CODES)
    findings = sorted(check.found, key=lambda finding: (places.get(finding.subject, -1), codes.index(finding.code)))
    return Checked(pack.name, refs, tuple(findings), tuple(dict.fromkeys(check.notes)))


def check_files(pack: MigrationPack, others: Sequence[MigrationPack] = ()) -> list[Finding]:
    """The file rules alone; no migration is run."""
    return _found(pack, others, _FILES, lambda check: check.files())


def check_from_nothing(pack: MigrationPack, others: Sequence[MigrationPack] = ()) -> list[Finding]:
    """It applies to a database that is not there yet; in one jump and in single steps it makes the same schema."""
    return _found(pack, others, _FROM_NOTHING, lambda check: check.from_nothing())


def check_round_trip(pack: MigrationPack, others: Sequence[MigrationPack] = ()) -> list[Finding]:
    """Each migration is applied to tables that hold rows, rolled back, and applied again."""
    return _found(pack, others, _ROUND_TRIP, lambda check: check.walk())


def check_hazards(pack: MigrationPack, others: Sequence[MigrationPack] = ()) -> list[Finding]:
    """What works and will do harm."""
    return _found(pack, others, {*_HAZARDS, "undeclared_requirement"}, lambda check: check.walk())


def _found(
    pack: MigrationPack, others: Sequence[MigrationPack], codes: Collection[str], part: Callable[[_Check], None]
) -> list[Finding]:
    with _checking(pack, others, None) as check:
        part(check)
    return [finding for finding in check.found if finding.code in codes]


@contextmanager
def _checking(pack: MigrationPack, others: Sequence[MigrationPack], stop: StopRequest | None) -> Iterator[_Check]:
    with tempfile.TemporaryDirectory(prefix="homie-check-") as folder:
        try:
            yield _Check(pack, others, Path(folder), stop or StopRequest())
        except Stopped as stopped:
            raise RunStopped(_SCRATCH) from stopped


class _State(NamedTuple):
    """What a scratch database holds."""

    schema: Schema
    rows: dict[str, Contents]


class _Check:
    """One check of one pack, as far as it has come."""

    def __init__(self, pack: MigrationPack, others: Sequence[MigrationPack], folder: Path, stop: StopRequest) -> None:
        self.name, self._definition = pack.name, pack
        self.found: list[Finding] = []
        self.notes: list[str] = []
        self._pack: Pack | None = None
        self._unusable: list[str] = []
        try:
            self._unusable = list_files(folder_of(pack.migrations))[2]
            self._pack = None if self._unusable else read_pack(pack)
        except UnusablePack as error:
            self._unusable = [str(error)]
        self.migrations = self._pack.migrations if self._pack else ()
        self._others = tuple(self._read(others))
        self._acceptances: dict[str, Acceptances] = {each.ref: read_acceptances(each, ACCEPTABLE) for each in self.migrations}
        self._used: set[tuple[str, str]] = set()
        self._stop = stop
        self._bench = _Bench(folder, pack.database, (*([self._pack] if self._pack else []), *self._others), stop)

    def _read(self, others: Sequence[MigrationPack]) -> Iterator[Pack]:
        for other in others:
            if other.name != self.name:
                try:
                    yield read_pack(other)
                except UnusablePack as error:
                    self.notes.append(f"the pack {other.name} can't be used beside it: {error}")

    def _find(self, code: str, subject: str, message: str) -> None:
        known = self._acceptances.get(subject)
        accepted = known.reasons.get(code) if known else None
        if accepted is not None:
            self._used.add((subject, code))
        finding = Finding(code, subject, self.name, message, CODES[code], accepted)
        if finding not in self.found:
            self.found.append(finding)

    # --- the files

    def files(self) -> None:
        """The file rules."""
        for problem in self._unusable:
            self._find("file_rules", self.name, f"{problem}.")
        for migration in self.migrations:
            if migration.problem:
                self._find("file_rules", migration.ref, f"{migration.problem}.")
            for problem in self._acceptances[migration.ref].problems:
                self._find("acceptance_unusable", migration.ref, f"{problem}.")

    def look_for_unused_acceptances(self) -> None:
        """Acceptances that nothing needs (any more) are noted: with another SQLite something might."""
        for ref, acceptances in self._acceptances.items():
            for code in acceptances.reasons:
                if (ref, code) not in self._used:
                    self.notes.append(f"{ref} accepts {code}, which was not found")

    def _runnable(self) -> Pack | None:
        """The pack, if it can be run at all."""
        if self._pack is None or any(migration.problem for migration in self.migrations):
            self.notes.append("nothing was run: the files come first")
            return None
        return self._pack

    # --- from nothing

    def from_nothing(self) -> None:
        """With no more than what is declared, in one jump and in single steps; and beside the other packs."""
        pack = self._runnable()
        if pack is None:
            return
        steps, why = self._declared(pack)
        if why:
            self._find("does_not_apply", self.migrations[0].ref, f"{self.name} can't be applied: {why}.")
            return
        single, jump = self._bench.new(), self._bench.new()
        for number, step in enumerate(steps):
            if error := self._bench.run(single, [step]):
                self._explain(pack, steps[: number + 1], error)
                return
        if error := self._bench.run(jump, steps):
            self._find("does_not_apply", error.ref, f"{error.ref} fails in one transaction with those before it: {error.found}.")
            return
        differences = compare(_schema_of(single), _schema_of(jump))
        if differences:
            words = "; ".join(change.in_words() for change in differences)
            message = f"All of {self.name} at once makes another schema than its steps one by one: {words}."
            self._find("jump_differs", self.migrations[-1].ref, message)
        beside = self._beside(pack, self._others)
        error = self._bench.run(self._bench.new(), beside) if beside != steps else None
        if error is not None and error.ref.partition(":")[0] == self.name:
            self._find("does_not_apply", error.ref, f"{error.ref} fails beside the other packs of the database: {error.found}.")

    def _declared(self, pack: Pack) -> tuple[list[Step], str]:
        """The pack's steps, each after what it and those before it require, and nothing else; or why there are none."""
        steps: dict[str, Step] = {}
        packs = (pack, *self._others)
        for migration in pack.migrations:
            plan = plan_apply(_SCRATCH, packs, (), to=migration.ref)
            if plan.left_out:
                return [], next((each.reason for each in plan.left_out if each.pack == self.name), plan.left_out[0].reason)
            for step in plan.steps:
                steps.setdefault(step.ref, step)
        return list(steps.values()), ""

    def _beside(self, pack: Pack, others: Sequence[Pack]) -> list[Step]:
        """All steps of these packs; what others have comes first, where it can."""
        steps = {step.ref: step for step in plan_apply(_SCRATCH, others, ()).steps}
        for step in plan_apply(_SCRATCH, (pack, *others), ()).steps:
            steps.setdefault(step.ref, step)
        return list(steps.values())

    def _explain(self, pack: Pack, steps: Sequence[Step], error: MigrationFailed) -> None:
        """A step failed with no more than what is declared."""
        if steps[-1].migration.pack != self.name:
            self.notes.append(f"nothing was run after {error.ref}, of another pack, failed: {error.found}")
            return
        helping = [other.name for other in self._others if self._would_help(pack, other, error.ref)]
        if helping:
            needed = " and ".join(helping)
            message = f"{error.ref} works only where {needed} is applied, and does not say so: {error.found}."
            self._find("undeclared_requirement", error.ref, message)
        else:
            self._find("does_not_apply", error.ref, f"{error.ref} fails on an empty database: {error.found}.")

    def _would_help(self, pack: Pack, other: Pack, ref: str) -> bool:
        steps = self._beside(pack, [other])
        refs = [step.ref for step in steps]
        return ref in refs and self._bench.run(self._bench.new(), steps[: refs.index(ref) + 1]) is None

    # --- one migration after the other, with data

    def walk(self) -> None:
        """Each migration on a database that holds rows: apply, roll back, apply again; and what it did meanwhile."""
        pack = self._runnable()
        if pack is None:
            return
        declared, why = self._declared(pack)
        if why:
            self.notes.append(f"no migration was tried with data: {why}")
            return
        beside = self._beside(pack, self._others)
        if beside != declared and self._bench.run(self._bench.new(), beside) is not None:
            beside = declared
        _Walk(self, pack, self._others, beside, declared).go()


class _Walk:
    """The round trip of each migration, and what was seen on the way."""

    def __init__(self, check: _Check, pack: Pack, others: Sequence[Pack], steps: Sequence[Step], declared: Sequence[Step]) -> None:
        self._check, self._bench, self._pack = check, check._bench, pack
        self._steps, self._declared = steps, list(declared)
        self._packs = (*others, pack)
        self._statements = [_text_of(migration) for each in self._packs for migration in each.migrations]
        """What the migrations say shows what columns are read as."""
        self._owners: dict[tuple[str, str], str] = {}
        self._made_by: dict[str, str] = {}
        """For each table, the ref that made or last changed it."""
        self._hopeless: set[tuple[str, ...]] = set()
        """Definitions for which no row was found: the search is long, and is made once."""

    def go(self) -> None:
        """Every migration of the pack, as far as they apply."""
        path = self._bench.new()
        self._bench.run(path, [])
        for step in self._steps:
            after = self._bench.copy(path)
            if self._bench.run(after, [step]) is not None:
                self._check.notes.append(f"{step.ref} does not apply, so it and what comes after it were not tried with data")
                return
            if step.migration.pack == self._pack.name:
                self._round(step, path)
            self._note_owners(step, _schema_of(path), _schema_of(after))
            self._bench.forget(path)
            path = after

    def _note_owners(self, step: Step, before: Schema, after: Schema) -> None:
        for key in before.keys() - after.keys():
            self._owners.pop(key, None)
        for key, each in after.items():
            if key not in before:
                self._owners[key] = step.migration.pack
            if key[0] == "table" and (key not in before or before[key].tokens != each.tokens):
                self._made_by[key[1]] = step.ref

    def _round(self, step: Step, empty: str) -> None:
        migration, bench = step.migration, self._bench
        path = bench.copy(empty)
        self._fill(path, migration)
        before, watch = _state_of(path), Watch()
        with imports_of(migration.path) as imported:
            error = bench.run(path, [step], watch)
            if error is not None:
                self._fails_on_data(migration, error, before)
                bench.forget(path)
                path, watch = bench.copy(empty), Watch()
                before = _state_of(path)
                bench.run(path, [step], watch)
        after = _state_of(path)
        back = self._back(migration, path)
        dropped = list(find_dropped(before.schema, after.schema, before.rows, after.rows))
        if back is not None:
            dropped = [each for each in dropped if not _is_back(each, before.rows, back.rows)]
            self._compare(migration, before, after, back, {(fold(table), column) for table, column, _ in dropped})
            self._again(migration, path, before, after, back)
        bench.forget(path)
        for table, column, count in dropped:
            what = (
                f"the table {table}, which held {count} rows" if column is None else f"{table}.{column}, which held {count} values"
            )
            self._find("drops_data", migration, f"drops {what}; they are nowhere else")
        self._seen(migration, watch, before.schema, after.schema, imported)

    def _find(self, code: str, migration: Migration, what: str) -> None:
        self._check._find(code, migration.ref, f"{migration.ref} {what}.")

    def _seen(self, migration: Migration, watch: Watch, before: Schema, after: Schema, imported: Sequence[str]) -> None:
        for warning in watch.warnings:
            self._check._find("rebuild_loses_index", migration.ref, warning)
        for hidden in find_hidden(watch, before, after):
            self._find("if_not_exists_hid", migration, f"may not have made what it says: {hidden}")
        for slow in watch.slow:
            self._find("update_without_index", migration, slow)
        for foreign in find_foreign(self._pack.name, before, after, self._owners):
            self._find("foreign_object", migration, f"touches another pack: {foreign}")
        self._look_at_rows_of_others(migration, watch)
        for name in imported:
            self._find("imports_application_code", migration, f"imports {name}, which may be another one when it runs next")

    def _look_at_rows_of_others(self, migration: Migration, watch: Watch) -> None:
        """A pack whose rows are changed, wherever it happens to be there, has to be required."""
        required = {step.migration.pack for step in self._declared[: self._declared.index(Step(migration))]}
        known = {(finding.code, finding.subject) for finding in self._check.found}
        for table in sorted(watch.written):
            owner = self._owners.get(("table", table), self._pack.name)
            if owner not in {self._pack.name, *required} and ("undeclared_requirement", migration.ref) not in known:
                self._find(
                    "undeclared_requirement", migration, f"changes rows of {table}, of the pack {owner}, and does not require it"
                )

    # --- rows to lose

    def _fill(self, path: str, migration: Migration) -> None:
        """Every table holds rows: the author's, or such as were made up."""
        with open_throwaway(path) as database:
            before = count_rows(database.connection, tables_of(database.connection))
        for pack in self._packs:
            self._sample_rows(pack, path, migration)
        with open_throwaway(path) as database:
            connection = database.connection
            now = count_rows(connection, tables_of(connection))
            given = [table for table, count in now.items() if count > before.get(table, 0)]
            tables = {name: each for (kind, name), each in read_schema(connection).items() if kind == "table"}
            hopeless = [each.name for each in tables.values() if each.tokens in self._hopeless]
            connection.execute("BEGIN")
            unfilled = fill_tables(database, leave=[*given, *hopeless], statements=self._statements, stop=self._check._stop)
            connection.execute("COMMIT")
        self._hopeless |= {tables[fold(name)].tokens for name, why in unfilled.items() if why.startswith("CHECK")}
        for table, why in unfilled.items():
            maker = self._made_by.get(fold(table), migration.ref)
            if self._owners.get(("table", fold(table))) == self._pack.name:
                self._check._find("table_not_filled", maker, f"No row could be made up for {table} ({why}).")
            else:
                self._check.notes.append(f"no row could be made up for {table}, of another pack ({why})")

    def _sample_rows(self, pack: Pack, path: str, migration: Migration) -> None:
        file = pack.migrations[0].path.parent / SAMPLE_ROWS
        if not file.is_file():
            return
        try:
            run_guarded(path, str(file), _sample_rows_of(file, pack.package), self._check._stop)
        except (Exception, SystemExit) as error:
            message = f"{SAMPLE_ROWS} fails before {migration.ref}: {type(error).__name__}: {error}."
            if pack.name == self._pack.name:
                self._check._find("table_not_filled", migration.ref, message)
            else:
                self._check.notes.append(f"{pack.name}: {message}")

    def _fails_on_data(self, migration: Migration, error: MigrationFailed, before: _State) -> None:
        column = re.search(r"NOT NULL constraint failed: \S+\.(\w+)", error.found)
        known = {fold(name) for contents in before.rows.values() for name in contents.columns}
        forgotten = "Cannot add a NOT NULL column" in error.found or (column is not None and fold(column[1]) not in known)
        code = "not_null_without_default" if forgotten else "fails_on_data"
        self._find(code, migration, f"works on empty tables and fails on rows: {error.found}")

    # --- back, and again

    def _back(self, migration: Migration, path: str) -> _State | None:
        """What is there after a rollback, if there is a way back."""
        if not migration.reversible:
            self._check.notes.append(f"{migration.ref} can't be rolled back, so only applying it was tried")
            return None
        if error := self._bench.run(path, [Step(migration, "rollback")]):
            self._find("rollback_fails", migration, f"can't be rolled back where there are rows: {error.found}")
            return None
        return _state_of(path)

    def _again(self, migration: Migration, path: str, before: _State, after: _State, back: _State) -> None:
        """Applying it again works, and makes the same."""
        if error := self._bench.run(path, [Step(migration)]):
            self._find("apply_again_fails", migration, f"can't be applied again after its rollback: {error.found}")
            return
        if compare(before.schema, back.schema):
            return  # then the same is not to be expected, and the cause is told
        again = _state_of(path)
        words = [change.in_words() for change in compare(after.schema, again.schema)]
        for name, contents in after.rows.items():
            first, now = len(contents.rows), len(again.rows[name].rows) if name in again.rows else 0
            lost = find_loss(before.rows[name], back.rows.get(name)).rows if name in before.rows else 0
            if first != now and not lost:
                words.append(f"{contents.table} has {now} rows instead of {first}")
        if words:
            self._find("apply_again_differs", migration, f"makes something else after a rollback: {'; '.join(words)}")

    def _compare(
        self, migration: Migration, before: _State, after: _State, back: _State, dropped: Collection[tuple[str, str | None]]
    ) -> None:
        """What was there before is there again; what the migration itself made may go."""
        differences = compare(before.schema, back.schema)
        if differences:
            words = "; ".join(change.in_words() for change in differences)
            self._find("rollback_changes_schema", migration, f"leaves another schema behind when it is rolled back: {words}")
        for name, contents in before.rows.items():
            if (name, None) in dropped:
                continue
            loss = find_loss(contents, back.rows.get(name))
            if loss.rows:
                taken = find_loss(contents, after.rows.get(name)).rows
                whose = "its rollback takes them" if not taken else "its rollback does not bring them back"
                what = f"loses {loss.rows} of {len(contents.rows)} rows of {contents.table} when it is rolled back: {whose}"
                self._find("rollback_loses_rows", migration, what)
            values = {column: count for column, count in loss.values.items() if (name, column) not in dropped}
            if values and loss.changed:
                columns = ", ".join(f"{column} ({count})" if count else column for column, count in values.items())
                what = f"changes {loss.changed} of {len(contents.rows)} rows of {contents.table} when it is rolled back: {columns}"
                self._find("rollback_changes_rows", migration, what)


def _is_back(dropped: tuple[str, str | None, int], before: dict[str, Contents], back: dict[str, Contents]) -> bool:
    """Whether a rollback restored what was dropped, so that it was only kept elsewhere in another form."""
    table, column, _ = dropped
    loss = find_loss(before[fold(table)], back.get(fold(table)))
    return not loss.rows and not (loss.values if column is None else column in loss.values)


def _text_of(migration: Migration) -> str:
    return (migration.content + b"\n" + migration.rollback_content).decode("utf-8", "replace")


def _schema_of(path: str) -> Schema:
    with open_throwaway(path) as database:
        return read_schema(database.connection)


def _state_of(path: str) -> _State:
    with open_throwaway(path) as database:
        return _State(read_schema(database.connection), read_contents(database))


def _sample_rows_of(file: Path, package: str | None) -> Callable[[Any], object]:
    """The author's function, once its file has been run."""

    def sample_rows(connection: Any) -> object:
        module = ModuleType(f"{package}.{file.stem}" if package else f"_homie{file.stem}")
        module.__file__, module.__package__ = str(file), package or ""
        exec(compile(file.read_bytes(), str(file), "exec", dont_inherit=True), module.__dict__)
        return module.sample_rows(connection)

    return sample_rows


class _Bench:
    """Scratch databases, and migrations run on them."""

    def __init__(self, folder: Path, database: str, packs: Sequence[Pack], stop: StopRequest) -> None:
        self._folder, self._stop, self._number = folder, stop, 0
        self._owner = find_owner(database, packs, ())
        self._packages = {pack.name: pack.package for pack in packs}
        self._observers = Observers(None)

    def new(self) -> str:
        """The path of a database that is not there yet."""
        self._number += 1
        return str(self._folder / f"{self._number}.db")

    def copy(self, path: str) -> str:
        """Another one like that, which nobody has open."""
        other = self.new()
        shutil.copyfile(path, other)
        return other

    def forget(self, path: str) -> None:
        """Make room."""
        for ending in ("", "-journal"):
            if os.path.exists(path + ending):
                os.unlink(path + ending)

    def run(self, path: str, steps: Sequence[Step], watch: Watch | None = None) -> MigrationFailed | None:
        """The steps are carried out, all of them in one transaction if there is no database yet; or why one is not."""
        if not os.path.exists(path) and not steps:
            Path(path).touch()
            return None
        if self._stop.asked():
            raise Stopped

        def due(now: Any) -> tuple[Plan, str | None]:
            recorded = {(record.pack, record.version) for record in now.records}
            left = [
                step
                for step in steps
                if ((step.migration.pack, step.migration.version) in recorded) == (step.direction == "rollback")
            ]
            return Plan(tuple(left)), self._owner

        execution = Execution(
            path,
            Plan(tuple(steps)),
            due,
            self._observers,
            self._packages,
            {},
            backup=False,
            stop=self._stop,
            watcher=watch or Watch(),
            scratch=True,
            in_place_of=_SCRATCH,
        )
        try:
            execution.carry_out()
        except MigrationFailed as error:
            return error
        except RunStopped as stopped:  # nobody knows the file
            raise RunStopped(_SCRATCH, stopped.ref) from stopped
        return None
