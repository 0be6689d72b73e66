"""
The schema that migrations produce, built in memory from their files alone.

Runs the authors' code, but on an empty database that is gone afterwards: what a migration does to rows is not seen,
and one that can't do without them ends the replay. Never reads or writes the user's database.
"""

from __future__ import annotations

import dataclasses
import inspect
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import AsyncGeneratorType, CoroutineType, GeneratorType

from homie_migrations_core.model import Migration, Pack
from homie_migrations_core.packs.loading import load
from homie_migrations_core.packs.naming import owner_in_file_name
from homie_migrations_core.sqlite.guard import GuardedConnection
from homie_migrations_core.sqlite.names import fold
from homie_migrations_core.sqlite.schema import read_schema
from homie_migrations_core.sqlite.schema_objects import Schema
from homie_migrations_core.sqlite.script import Script
from homie_migrations_core.sqlite.throwaway import memory_database
from homie_migrations_core.sqlite.tracking import make_current, record_applied
from homie_migrations_core.stopping import Stopped, StopRequest

_REMEMBERED = 8

_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of a replay."""

    schema: Schema
    """As far as it went."""
    owners: Mapping[_Key, str]
    """For each object of the schema, the pack whose migration last created or changed it."""
    makers: Mapping[_Key, str] = field(default_factory=dict)
    """The same for everything that was there at any time."""
    touched: frozenset[_Key] = frozenset()
    """The tables and views that were there at any time, by kind and name: also those that were dropped again."""
    failed: tuple[str, str] | None = None
    """The ref of the migration at which it could not go on, and why; the schema is the one before it."""


def replay(packs: Sequence[Pack], steps: Sequence[Migration], stop: StopRequest | None = None) -> Replayed:
    """
    The schema that comes of applying `steps` in this order to an empty database.

    Verifications are left out: they may ask for rows.

    Raises:
        Stopped: `stop` asked for it.
    """
    replaying = _Replaying(packs, stop or StopRequest())
    try:
        failed = None
        for number, each in enumerate(steps):
            if why := replaying.step(each):
                failed = each.ref, why
                if replaying.connection.ended is not None:  # even closed, perhaps, and the database gone with it
                    return dataclasses.replace(replay(packs, steps[:number], stop), failed=failed)
                break
        return replaying.result(failed)
    finally:
        replaying.connection.close()


def replay_each(
    packs: Sequence[Pack], steps: Sequence[Migration], stop: StopRequest | None = None
) -> Iterator[tuple[Migration, Replayed]]:
    """The same after each step; the last is the one that failed, if one did."""
    replaying = _Replaying(packs, stop or StopRequest())
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
    """Replays, and remembers the last few of them, by what the files say."""

    _remembered: dict[tuple[tuple[str, int, str | None], ...], Replayed] = field(default_factory=dict)

    def replay(self, packs: Sequence[Pack], steps: Sequence[Migration], stop: StopRequest | None = None) -> Replayed:
        """The same as `replay`; at no cost if the same steps came in the same order before."""
        key = tuple((each.pack, each.version, each.checksum) for each in steps)
        found = self._remembered.pop(key, None) or replay(packs, steps, stop)
        self._remembered[key] = found  # the one that was asked for last goes last
        if len(self._remembered) > _REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        return found


class _Replaying:
    """One database in memory, and who made what in it."""

    def __init__(self, packs: Sequence[Pack], stop: StopRequest) -> None:
        self._packs, self._stop = {pack.name: pack for pack in packs}, stop
        self.owners: dict[_Key, str] = {}
        self.touched: set[_Key] = set()
        self._sql: dict[_Key, str] = {}
        self._newest = 0
        """The highest number of a row in `sqlite_master` that was looked at."""
        self.connection = memory_database()
        owner = next((owner_in_file_name(pack.database) for pack in packs), None)
        make_current(self.connection, "none", owner or (packs[0].name if len(packs) == 1 else None))

    def result(self, failed: tuple[str, str] | None) -> Replayed:
        """What has come of it so far."""
        schema = read_schema(self.connection)
        owners = {key: owner for key, owner in self.owners.items() if key in schema}
        return Replayed(schema, owners, dict(self.owners), frozenset(self.touched), failed)

    def step(self, migration: Migration) -> str | None:
        """The migration is applied; or nothing has changed, and why it can't be comes back."""
        if migration.problem is not None:
            return migration.problem
        connection, pack = self.connection, self._packs.get(migration.pack)
        connection.speak("BEGIN")
        record_applied(connection, migration, pack.distribution_version if pack else None)
        why = _run(connection, migration, pack.package if pack else None, self._stop)
        if self._stop.asked():  # whatever the author's code made of it
            raise Stopped
        if why is not None:
            if connection.in_transaction:
                connection.speak("ROLLBACK")
            return why
        connection.speak("COMMIT")
        self._note_owner(migration.pack)
        if not connection.pristine():  # what it left there must not reach the next
            self.connection = memory_database()
            connection.backup(self.connection)
            connection.close()
        return None

    def _note_owner(self, pack: str) -> None:
        touched = self.connection.touched
        select = "SELECT rowid, type, name, sql FROM main.sqlite_master WHERE sql IS NOT NULL"
        if touched.altered or touched.dropped:
            rows = self.connection.speak(select).fetchall()
            before, self._sql, self._newest = self._sql, {}, 0
        elif touched.created:  # nothing but new rows can be there, which keeps many small steps cheap
            rows = self.connection.speak(f"{select} AND rowid > {self._newest}").fetchall()
            before = {}
        else:
            return
        for number, kind, name, sql in rows:
            key = (kind, fold(name))
            self._newest = max(self._newest, number)
            self._sql[key] = sql
            if kind in ("table", "view"):
                self.touched.add(key)
            if before.get(key) != sql:
                self.owners[key] = pack


def _run(connection: GuardedConnection, migration: Migration, package: str | None, stop: StopRequest) -> str | None:
    """The author's code has run inside the open transaction; or why not."""
    script = Script(migration.content) if migration.path.suffix == ".sql" else None
    connection.arm(str(migration.path), stop)
    try:
        answer: object = None
        if script is not None:
            for statement in script:
                connection.executescript(statement)
        else:
            answer = load(migration, package).apply(connection)
        why = _judge(connection, answer)
        if why is None:
            connection.disarm()
        return why
    except (Exception, SystemExit) as error:
        return f"{type(error).__name__}: {error}{_place_of(error, migration, script)}"
    finally:
        connection.abandon()


def _judge(connection: GuardedConnection, answer: object) -> str | None:
    """Why the migration has failed although it raised nothing."""
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
            answer.close()  # or Python complains that it was never awaited
        return f"apply_migration() returned a {type(answer).__name__}, so none of its code ran"
    return None


def _place_of(error: BaseException, migration: Migration, script: Script | None) -> str:
    """Where in the author's file, as far as can be known."""
    file = str(migration.path)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    line = script.line if script is not None else lines[-1] if lines else None
    return f" ({migration.path.name}{f', line {line}' if line else ''})"
