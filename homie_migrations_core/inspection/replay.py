"""
The schema that migrations produce, built in memory from their files alone.

Runs the authors' code on an empty database that is thrown away afterwards. Changes to rows are therefore not seen, and
a migration that needs rows ends the replay. Never reads or writes the user's database.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import AsyncGeneratorType, CoroutineType, GeneratorType

from homie_migrations_core.forking import no_child_returns
from homie_migrations_core.model import Migration, Pack
from homie_migrations_core.packs.acceptance import may_accept, read_acceptances
from homie_migrations_core.packs.loading import load
from homie_migrations_core.packs.naming import owner_in_file_name
from homie_migrations_core.sqlite.guard import GuardedConnection
from homie_migrations_core.sqlite.integrity import ACCEPTABLE_CODES, Problem, find_problems
from homie_migrations_core.sqlite.names import fold
from homie_migrations_core.sqlite.schema import read_schema
from homie_migrations_core.sqlite.schema_objects import Schema
from homie_migrations_core.sqlite.script import Script
from homie_migrations_core.sqlite.throwaway import memory_database
from homie_migrations_core.sqlite.tracking import make_current, record_applied
from homie_migrations_core.stopping import Stopped, StopRequest, ends_the_run

_KEPT_RESULTS = 8
_OBJECTS = "SELECT rowid, type, name, sql FROM main.sqlite_master WHERE rowid > ? AND sql IS NOT NULL"
_AT_THE_MARGIN = re.compile(rb"\n(?=\S)")

_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class AcceptedProblem:
    """A problem that a migration left behind, and the reason for which its file accepts it."""

    migration: Migration
    problem: Problem
    reason: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """The result of a replay."""

    schema: Schema
    """The schema after the last migration that could be replayed."""
    owners: Mapping[_Key, str]
    """For each object of the schema, the pack whose migration last created or changed it."""
    makers: Mapping[_Key, str] = field(default_factory=dict)
    """The same for every object that existed at any time."""
    touched: frozenset[_Key] = frozenset()
    """The kind and name of every table and view that existed at any time, dropped ones included."""
    failed: tuple[str, str] | None = None
    """The ref of the migration that could not be replayed, and why. The schema is the one before it."""
    accepted: tuple[AcceptedProblem, ...] = ()
    """The problems that migrations left behind and accept, and that nothing has repaired up to the end."""


def replay(packs: Sequence[Pack], steps: Sequence[Migration], stop: StopRequest | None = None) -> Replayed:
    """
    Apply `steps` in this order to an empty database in memory, and return the schema that they produce.

    Verifications are left out: they may need rows.

    Raises:
        Stopped: `stop` asked for it.
    """
    try:
        return _replay(packs, steps, stop, eager=False)
    except _TooLate:
        return _replay(packs, steps, stop, eager=True)


def _replay(packs: Sequence[Pack], steps: Sequence[Migration], stop: StopRequest | None, *, eager: bool) -> Replayed:
    replaying = _ReplayDatabase(packs, stop or StopRequest(), eager=eager)
    try:
        failed = None
        for number, each in enumerate(steps):
            if why := replaying.step(each):
                failed = each.ref, why
                if replaying.lost:
                    return dataclasses.replace(replay(packs, steps[:number], stop), failed=failed)
                break
        return replaying.result(failed)
    finally:
        replaying.connection.close()


def replay_each(
    packs: Sequence[Pack], steps: Sequence[Migration], stop: StopRequest | None = None
) -> Iterator[tuple[Migration, Replayed]]:
    """
    Yield what `replay` returns after each of the steps. If one of them fails, it is the last.

    Raises:
        Stopped: `stop` asked for it.
    """
    replaying = _ReplayDatabase(packs, stop or StopRequest(), eager=True)
    try:
        for number, each in enumerate(steps):
            if why := replaying.step(each):
                yield each, dataclasses.replace(replay(packs, steps[:number], stop), failed=(each.ref, why))
                return
            yield each, replaying.result(None)
    finally:
        replaying.connection.close()


@dataclass
class Replayer:
    """Replays migrations and keeps the last few results, by the checksums of the files."""

    _results: dict[tuple[tuple[str, int, str | None], ...], Replayed] = field(default_factory=dict)

    def replay(self, packs: Sequence[Pack], steps: Sequence[Migration], stop: StopRequest | None = None) -> Replayed:
        """Return what `replay` does, without running anything if the same steps were replayed in the same order before."""
        key = tuple((each.pack, each.version, each.checksum) for each in steps)
        found = self._results.pop(key, None) or replay(packs, steps, stop)
        self._results[key] = found  # moved to the end, so that the one asked for longest ago is dropped first
        if len(self._results) > _KEPT_RESULTS:
            del self._results[next(iter(self._results))]
        return found


class _TooLate(Exception):
    """A step has read, or taken away, what was to be written or read after it: the replay has to begin again, eagerly."""


class _ReplayDatabase:
    """
    A database in memory, and which pack created or changed which object of its schema.

    Unless it is `eager`, it records no migration, and reads what steps have created once for many of them. Both cost as much as
    a step with one statement, and nearly no step can tell. One that can makes `step` raise `_TooLate`.
    """

    def __init__(self, packs: Sequence[Pack], stop: StopRequest, *, eager: bool) -> None:
        self._packs, self._stop, self._eager = {pack.name: pack for pack in packs}, stop, eager
        self.lost = False
        """Whether a step that failed has taken with it what was made before."""
        self.owners: dict[_Key, str] = {}
        self.touched: set[_Key] = set()
        self._accepted: list[AcceptedProblem] = []
        self._sql: dict[_Key, str] = {}
        self._newest = 0
        """The highest rowid in `sqlite_master` that was read."""
        self._unread: str | None = None
        """The pack of the steps since then, if they have created anything."""
        self.connection = memory_database()
        owner = next((owner_in_file_name(pack.database) for pack in packs), None)
        make_current(self.connection, "none", owner or (packs[0].name if len(packs) == 1 else None))

    def result(self, failed: tuple[str, str] | None) -> Replayed:
        """Return what the steps have produced so far."""
        self._read_created()
        schema = read_schema(self.connection)
        owners = {key: owner for key, owner in self.owners.items() if key in schema}
        return Replayed(schema, owners, dict(self.owners), frozenset(self.touched), failed, self._still_broken())

    def _still_broken(self) -> tuple[AcceptedProblem, ...]:
        if not self._accepted:
            return ()
        broken = {(each.code, each.name) for each in find_problems(self.connection).listed()}
        return tuple(each for each in self._accepted if (each.problem.code, each.problem.name) in broken)

    def step(self, migration: Migration) -> str | None:
        """
        Apply the migration and return None, or change nothing and return why it can't be applied.

        Raises:
            _TooLate: The database would have had to be eager.
        """
        if migration.problem is not None:
            return migration.problem
        if self._unread is not None and (migration.pack != self._unread or _may_take_away(migration)):
            self._read_created()
        connection, pack = self.connection, self._packs.get(migration.pack)
        reasons = read_acceptances(migration, ACCEPTABLE_CODES).reasons if may_accept(migration) else {}
        before = find_problems(connection) if reasons else None
        if not connection.in_transaction:  # one transaction for all steps: a step that fails goes back to its own savepoint
            connection.execute_unguarded("BEGIN")
        if self._eager:
            record_applied(connection, migration, pack.distribution_version if pack else None)
        why = _run(connection, migration, pack.package if pack else None, self._stop)
        if self._stop.asked():  # the author's code may have caught the exception that stops it
            raise Stopped
        if connection.touched.read_records and not self._eager:
            raise _TooLate
        if why is not None:
            self.lost = not connection.holds_transaction()
            return why
        self._note_owner(migration.pack)
        if before is not None:
            new = find_problems(connection).beyond(before).listed()
            self._accepted += [AcceptedProblem(migration, each, reasons[each.code]) for each in new if each.code in reasons]
        if not connection.pristine():  # settings that the migration left on the connection must not reach the next one
            connection.execute_unguarded("COMMIT")
            self.connection = memory_database()
            connection.backup(self.connection)
            connection.close()
        return None

    def _note_owner(self, pack: str) -> None:
        """Note which objects the last step created or changed: they belong to its pack now."""
        touched = self.connection.touched
        if touched.altered or touched.dropped:
            if self._unread is not None:
                raise _TooLate
            before, self._sql, self._newest = self._sql, {}, 0
            self._note(self.connection.execute_unguarded(_OBJECTS, (0,)).fetchall(), before, pack)
        elif touched.created:
            self._unread = pack
            if self._eager:
                self._read_created()

    def _read_created(self) -> None:
        """Note the objects of steps that have only created some: then there are only new rows, and no others are read."""
        if self._unread is not None:
            pack, self._unread = self._unread, None
            self._note(self.connection.execute_unguarded(_OBJECTS, (self._newest,)).fetchall(), {}, pack)

    def _note(self, rows: Sequence[tuple[int, str, str, str]], before: Mapping[_Key, str], pack: str) -> None:
        for number, kind, name, sql in rows:
            key = (kind, fold(name))
            self._newest = max(self._newest, number)
            self._sql[key] = sql
            if kind in ("table", "view"):
                self.touched.add(key)
            if before.get(key) != sql:
                self.owners[key] = pack


def _may_take_away(migration: Migration) -> bool:
    """Return whether a migration may drop or rename something: always if so, unless it gets its SQL from elsewhere."""
    text = migration.content.lower()
    if b"drop" not in text and b"alter" not in text:
        return False
    begin = text.find(b"\ndef rollback_migration")
    if begin >= 0:  # its rollback does not count: nearly every one drops something
        after = _AT_THE_MARGIN.search(text, begin + 1)
        text = text[:begin] + (text[after.start() :] if after else b"")
    return b"drop" in text or b"alter" in text


def _run(connection: GuardedConnection, migration: Migration, package: str | None, stop: StopRequest) -> str | None:
    """Run the author's code inside the open transaction and return None, or return why it failed."""
    script = Script(migration.content) if migration.path.suffix == ".sql" else None
    connection.arm(str(migration.path), stop)
    try:
        answer: object = None
        if script is not None:
            for statement in script:
                connection.run_statement(statement)
        else:
            with no_child_returns():
                answer = load(migration, package).apply(connection)
        why = _judge(connection, answer)
        if why is None:
            connection.disarm()
        return why
    except BaseException as error:
        if ends_the_run(error):
            raise
        return f"{type(error).__name__}: {error}{_place_of(error, migration, script)}"
    finally:
        connection.abandon()


def _judge(connection: GuardedConnection, answer: object) -> str | None:
    """Return why the migration has failed although it raised nothing, if so."""
    connection.look_for_end()
    if connection.ended is not None:
        return connection.ended
    if connection.rolled_back_last:
        return "its last word was conn.rollback()"
    if answer is None:
        return None
    if answer is False:
        return "apply_migration() returned False"
    if isinstance(answer, GeneratorType | CoroutineType | AsyncGeneratorType) or inspect.isawaitable(answer):
        if isinstance(answer, GeneratorType | CoroutineType):
            answer.close()  # otherwise Python warns that it was never awaited
        return f"apply_migration() returned a {type(answer).__name__}, so none of its code ran"
    return None


def _place_of(error: BaseException, migration: Migration, script: Script | None) -> str:
    """Return the author's file, and the line if it is known."""
    file = str(migration.path)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    line = script.line if script is not None else lines[-1] if lines else None
    return f" ({migration.path.name}{f', line {line}' if line else ''})"
