"""
`PathMemoryManager`: where people put their files, remembered in the file organizer's database.

Brings that database up to date when it starts, and holds the SQL that uses it. What the tables are is the
migrations' business, and how they get there the core's.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import sqlite3
import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from homie_migrations_core.errors import LockTimeout, PackBroken, RunStopped, UnknownPack, UsageProblem

if TYPE_CHECKING:
    from types import TracebackType

    from homie_migrations_core.packs.discovery import Collected

PACK = "file_organizer"
DATABASE = "homie_file_organizer.db"
DISTRIBUTION = "homie-file-organizer-migrations"

_log = logging.getLogger("homie_migrations.path_memory")
_T = TypeVar("_T")
_Work = Callable[[sqlite3.Connection], _T]

# --- the SQL, named so that a test can ask SQLite which index each statement uses ---------------------

_DRIVE = (
    "SELECT id, user_id, unique_identifier, mount_point, volume_label, drive_type, cloud_provider, is_available,"
    " last_seen_at, created_at FROM drives"
)
_DESTINATION = "SELECT id, user_id, path, category, drive_id, created_at, last_used_at, usage_count, is_active FROM destinations"

REGISTER_DRIVE = """
INSERT INTO drives (id, user_id, unique_identifier, mount_point, volume_label, drive_type, cloud_provider)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (user_id, unique_identifier) DO UPDATE SET
    mount_point = excluded.mount_point,
    volume_label = excluded.volume_label,
    drive_type = excluded.drive_type,
    cloud_provider = excluded.cloud_provider,
    is_available = 1,
    last_seen_at = CURRENT_TIMESTAMP
"""
DRIVE_BY_IDENTIFIER = f"{_DRIVE} WHERE user_id = ? AND unique_identifier = ?"
DRIVE_BY_ID = f"{_DRIVE} WHERE id = ?"
AVAILABLE_DRIVES = f"{_DRIVE} WHERE user_id = ? AND is_available = 1 ORDER BY mount_point"
MARK_AVAILABLE = "UPDATE drives SET is_available = 1, last_seen_at = CURRENT_TIMESTAMP WHERE id = ?"
MARK_UNAVAILABLE = "UPDATE drives SET is_available = 0 WHERE id = ?"

REMEMBER_DESTINATION = """
INSERT INTO destinations (id, user_id, path, category, drive_id)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (user_id, path) DO UPDATE SET
    category = excluded.category,
    drive_id = coalesce(excluded.drive_id, drive_id),
    is_active = 1
"""
DESTINATION_BY_PATH = f"{_DESTINATION} WHERE user_id = ? AND path = ?"
DESTINATION_BY_ID = f"{_DESTINATION} WHERE id = ?"
# An order that no index has: SQLite would rather scan all of a user's rows in order than sort the few that are asked for.
DESTINATIONS = f"{_DESTINATION} WHERE user_id = ? ORDER BY usage_count DESC, path"
ACTIVE_DESTINATIONS = f"{_DESTINATION} WHERE user_id = ? AND is_active = 1 ORDER BY usage_count DESC, path"
DESTINATIONS_OF_CATEGORY = f"{_DESTINATION} WHERE user_id = ? AND category = ? ORDER BY usage_count DESC, path"
# Nearly every row is active and few share a category: the + keeps SQLite from preferring the index on is_active.
ACTIVE_DESTINATIONS_OF_CATEGORY = (
    f"{_DESTINATION} WHERE user_id = ? AND category = ? AND +is_active = 1 ORDER BY usage_count DESC, path"
)
FORGET_DESTINATION = "UPDATE destinations SET is_active = 0 WHERE id = ?"

COUNT_USE = """
UPDATE destinations SET usage_count = coalesce(usage_count, 0) + 1, last_used_at = CURRENT_TIMESTAMP WHERE id = ?
"""
# Takes the time from the row that was just counted, so that both say the same second.
RECORD_USE = """
INSERT INTO destination_usage (id, destination_id, used_at, file_count, operation_type)
SELECT ?, id, last_used_at, ?, ? FROM destinations WHERE id = ?
"""
_USE = "SELECT id, destination_id, used_at, file_count, operation_type FROM destination_usage"
USE_BY_ID = f"{_USE} WHERE id = ?"
USAGE_HISTORY = f"{_USE} WHERE destination_id = ? ORDER BY used_at DESC, rowid DESC LIMIT ?"


# --- what comes back ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Drive:
    """A disk, stick or cloud folder that a user has. Times are UTC text, as the database has them."""

    id: str
    user_id: str
    unique_identifier: str
    mount_point: str
    volume_label: str | None
    drive_type: str
    cloud_provider: str | None
    is_available: bool
    last_seen_at: str | None
    created_at: str | None


@dataclass(frozen=True, slots=True)
class Destination:
    """A folder that a user puts files of one category into. Times are UTC text, as the database has them."""

    id: str
    user_id: str
    path: str
    category: str
    drive_id: str | None
    created_at: str | None
    last_used_at: str | None
    usage_count: int
    is_active: bool


@dataclass(frozen=True, slots=True)
class Use:
    """One time that files went to a destination. The time is UTC text, as the database has it."""

    id: str
    destination_id: str
    used_at: str | None
    file_count: int
    operation_type: str | None


class NotStarted(UsageProblem):
    """The manager was used before `start()` or after `shutdown()`."""

    code = "not_started"

    def __init__(self) -> None:
        super().__init__("Nothing was done: the path memory is not open. Await `start()` first, and `shutdown()` last.")


class UnknownDrive(UsageProblem):
    """No drive, or none of that user, has that id."""

    code = "unknown_drive"

    def __init__(self, drive_id: str) -> None:
        self.drive_id = drive_id
        super().__init__(f"Nothing was done: no drive has the id {drive_id!r}. Register it first; its id comes back.")


class UnknownDestination(UsageProblem):
    """No destination has that id."""

    code = "unknown_destination"

    def __init__(self, destination_id: str) -> None:
        self.destination_id = destination_id
        super().__init__(f"Nothing was done: no destination has the id {destination_id!r}. Remember it first; its id comes back.")


# --- the manager --------------------------------------------------------------------------------------


class PathMemoryManager:
    """
    The drives and destinations of every user, in one database that is up to date once `start()` returns.

    The database is `modules/homie_file_organizer.db` below `data_dir`, else below `$HOMIE_DATA_DIR`, else below
    the platform's user data folder, unless an installed plugin places it elsewhere. `lock_timeout` is how many
    seconds another connection is waited for. Also usable as `async with PathMemoryManager() as memory:`.

    A change is made whole or not at all; one that is cancelled while it runs may still be made.
    """

    def __init__(self, data_dir: str | os.PathLike[str] | None = None, *, lock_timeout: float = 30.0) -> None:
        self._data_dir, self._lock_timeout = data_dir, lock_timeout
        self._session: _Session | None = None

    @property
    def database(self) -> Path | None:
        """The file in use; None while the manager is not started."""
        return self._session.path if self._session else None

    async def start(self) -> None:
        """
        The database is there, up to date with every installed pack of it, and open. Once started, does nothing.

        A pack of others that is broken is logged and left out. Cancelled, it waits until the running migration
        is undone, and only then ends.

        Raises:
            PackBroken, UnknownPack: The file organizer's own pack can't be applied.
            MigrationFailed, RunRefused: A migration failed and left nothing behind, or none was begun.
            DatabaseUnusable, FolderUnusable, SnapshotFailed, LockTimeout: The file or its folder can't be used.
        """
        session = self._session
        if session is None:
            session = self._session = _Session(self._data_dir, self._lock_timeout)
        stop = threading.Event()
        session.starting += 1
        try:
            await _finished(session.submit(session.bring_up, stop.is_set), stop)
            session.started = True
        finally:
            session.starting -= 1
            if not (session.started or session.starting):  # nobody waits for it, so nobody would shut it down
                if self._session is session:
                    self._session = None
                await _finished(session.end())

    async def shutdown(self) -> None:
        """The database is closed, after what was asked for before is done. Once closed, does nothing."""
        session, self._session = self._session, None
        if session is not None:
            await _finished(session.end())

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.shutdown()

    # --- drives -------------------------------------------------------------------------------------

    async def register_drive(
        self,
        user_id: str,
        unique_identifier: str,
        mount_point: str | os.PathLike[str],
        drive_type: str,
        *,
        volume_label: str | None = None,
        cloud_provider: str | None = None,
    ) -> Drive:
        """The user's drive is known as it was seen just now, and available. A drive known before keeps its id."""
        facts = (user_id, unique_identifier, os.fspath(mount_point), volume_label, drive_type, cloud_provider)

        def work(connection: sqlite3.Connection) -> Drive:
            connection.execute(REGISTER_DRIVE, (_new_id(), *facts))
            return _drive(connection.execute(DRIVE_BY_IDENTIFIER, (user_id, unique_identifier)).fetchone())

        return await self._change(work)

    async def available_drives(self, user_id: str) -> list[Drive]:
        """The user's drives that are available, by mount point."""
        return await self._look(lambda connection: [_drive(row) for row in connection.execute(AVAILABLE_DRIVES, (user_id,))])

    async def mark_drive(self, drive_id: str, *, available: bool) -> Drive:
        """
        The drive counts as available, seen just now, or as not available.

        Raises:
            UnknownDrive: No drive has that id.
        """

        def work(connection: sqlite3.Connection) -> Drive:
            if connection.execute(MARK_AVAILABLE if available else MARK_UNAVAILABLE, (drive_id,)).rowcount == 0:
                raise UnknownDrive(drive_id)
            return _drive(connection.execute(DRIVE_BY_ID, (drive_id,)).fetchone())

        return await self._change(work)

    # --- destinations -------------------------------------------------------------------------------

    async def remember_destination(
        self, user_id: str, path: str | os.PathLike[str], category: str, *, drive_id: str | None = None
    ) -> Destination:
        """
        The user's folder is a destination for that category, and active, even if it was forgotten before.

        A destination known before keeps its id, its uses and, unless another is given, its drive.

        Raises:
            UnknownDrive: The user has no drive with the id `drive_id`.
        """
        place = os.fspath(path)

        def work(connection: sqlite3.Connection) -> Destination:
            if drive_id is not None:
                drive = connection.execute(DRIVE_BY_ID, (drive_id,)).fetchone()
                if drive is None or _drive(drive).user_id != user_id:
                    raise UnknownDrive(drive_id)
            connection.execute(REMEMBER_DESTINATION, (_new_id(), user_id, place, category, drive_id))
            return _destination(connection.execute(DESTINATION_BY_PATH, (user_id, place)).fetchone())

        return await self._change(work)

    async def destinations(
        self, user_id: str, *, category: str | None = None, include_forgotten: bool = False
    ) -> list[Destination]:
        """
        The user's destinations, the most used first: the active ones or all, of one category or of every one.
        """
        parameters = (user_id,) if category is None else (user_id, category)
        if category is None:
            sql = DESTINATIONS if include_forgotten else ACTIVE_DESTINATIONS
        else:
            sql = DESTINATIONS_OF_CATEGORY if include_forgotten else ACTIVE_DESTINATIONS_OF_CATEGORY
        return await self._look(lambda connection: [_destination(row) for row in connection.execute(sql, parameters)])

    async def forget_destination(self, destination_id: str) -> Destination:
        """
        The destination is not active any more. Its uses stay, and it can be remembered again.

        Raises:
            UnknownDestination: No destination has that id.
        """

        def work(connection: sqlite3.Connection) -> Destination:
            if connection.execute(FORGET_DESTINATION, (destination_id,)).rowcount == 0:
                raise UnknownDestination(destination_id)
            return _destination(connection.execute(DESTINATION_BY_ID, (destination_id,)).fetchone())

        return await self._change(work)

    # --- uses ---------------------------------------------------------------------------------------

    async def record_use(self, destination_id: str, *, file_count: int = 1, operation_type: str | None = None) -> Use:
        """
        The use is in the history, and the destination's count and time of last use say so too.

        Raises:
            UnknownDestination: No destination has that id.
        """

        def work(connection: sqlite3.Connection) -> Use:
            if connection.execute(COUNT_USE, (destination_id,)).rowcount == 0:
                raise UnknownDestination(destination_id)
            use_id = _new_id()
            connection.execute(RECORD_USE, (use_id, file_count, operation_type, destination_id))
            return Use(*connection.execute(USE_BY_ID, (use_id,)).fetchone())

        return await self._change(work)

    async def usage_history(self, destination_id: str, *, limit: int | None = None) -> list[Use]:
        """The uses of a destination, the newest first, at most `limit` of them."""
        parameters = (destination_id, -1 if limit is None else max(limit, 0))  # below 0 means no limit to SQLite
        return await self._look(lambda connection: [Use(*row) for row in connection.execute(USAGE_HISTORY, parameters)])

    # --- off the event loop -------------------------------------------------------------------------

    async def _look(self, work: _Work[_T]) -> _T:
        session = self._session
        if session is None or not session.started:
            raise NotStarted
        return await asyncio.wrap_future(session.submit(session.use, work))

    async def _change(self, work: _Work[_T]) -> _T:
        def transaction(connection: sqlite3.Connection) -> _T:
            connection.execute("BEGIN IMMEDIATE")  # a transaction that reads first could not wait for the write lock
            try:
                answer = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return answer

        return await self._look(transaction)


class _Session:
    """
    One thread and the one connection that lives in it, from a start to its shutdown.

    A thread of its own, rather than a lock around the event loop's: work that was cancelled goes on in its
    thread for a while, and the next one must not meet it on the same connection.
    """

    def __init__(self, data_dir: str | os.PathLike[str] | None, lock_timeout: float) -> None:
        self._data_dir, self._lock_timeout = data_dir, lock_timeout
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="homie-path-memory")
        self._connection: sqlite3.Connection | None = None
        self._closed: Future[None] | None = None
        self.path: Path | None = None
        self.starting, self.started = 0, False

    def submit(self, work: Callable[..., _T], *arguments: Any) -> Future[_T]:
        """`work` runs in the thread, after what was submitted before."""
        return self._thread.submit(contextvars.copy_context().run, work, *arguments)

    def end(self) -> Future[None]:
        """The connection and the thread go once what was submitted before is done."""
        if self._closed is None:
            self._closed = self._thread.submit(self._close)
            self._thread.shutdown(wait=False)
        return self._closed

    # What follows runs in the thread.

    def bring_up(self, should_stop: Callable[[], bool]) -> None:
        if self._connection is None:
            self.path = _bring_up_to_date(self._data_dir, self._lock_timeout, should_stop)
            self._connection = sqlite3.connect(self.path, timeout=self._lock_timeout, isolation_level=None)
            self._connection.execute("PRAGMA foreign_keys = ON")

    def use(self, work: _Work[_T]) -> _T:
        if self._connection is None:
            raise NotStarted
        try:
            return work(self._connection)
        except sqlite3.OperationalError as error:
            if (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF != sqlite3.SQLITE_BUSY:  # Python's own errors have no code
                raise
            advice = "Nothing was kept of this call; try it again once the other program is done."
            raise LockTimeout(str(self.path), self._lock_timeout, "waiting for", advice) from error

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


async def _finished(future: Future[_T], stop: threading.Event | None = None) -> _T:
    """
    What the thread's work comes to. Cancelled, this sets `stop`, and ends once the work has ended.

    Work that still waits for its turn is given up at once, if it can be stopped at all.
    """
    waiter = asyncio.wrap_future(future)
    cancelled: asyncio.CancelledError | None = None
    while not waiter.done():
        try:
            await asyncio.wait([waiter])
        except asyncio.CancelledError as error:  # perhaps not for the first time: what runs must be undone all the same
            cancelled = error
            if stop is not None:
                stop.set()
                future.cancel()
    if cancelled is None:
        return waiter.result()
    failure = None if waiter.cancelled() else waiter.exception()
    if failure is not None and not isinstance(failure, RunStopped):
        _log.warning("While stopping on request: %s", failure)
    raise cancelled


# --- which database, which packs ----------------------------------------------------------------------


def _bring_up_to_date(data_dir: str | os.PathLike[str] | None, lock_timeout: float, should_stop: Callable[[], bool]) -> Path:
    from homie_migrations_core import MigrationRunner
    from homie_migrations_core.packs import locations
    from homie_migrations_core.packs.discovery import collect

    collected = collect()
    _require_own_pack(collected)
    path, _ = locations.database_file(DATABASE, locations.data_dir(data_dir), collected)
    runner = MigrationRunner(
        path,
        database=DATABASE,  # a plugin may give the file another name
        collected=collected,
        make_parents=True,
        lock_timeout=lock_timeout,
        should_stop=should_stop,
    )
    runner.apply()
    if unusable := [each for each in runner.left_out if each.pack == PACK]:  # the others may be left out, this one not
        raise PackBroken(unusable)
    return runner.path


def _require_own_pack(collected: Collected) -> None:
    """The file organizer's pack is there; without it the runner would look for other packs that might be meant."""
    if any(each.pack.name == PACK and each.pack.database == DATABASE for each in collected.packs):
        return
    # What could not even be loaded says no pack's name, but where it was registered.
    unusable = [
        each
        for each in collected.broken
        if each.pack == PACK or (each.pack is None and (each.entry_point == PACK or each.distribution == DISTRIBUTION))
    ]
    if unusable:
        raise PackBroken(unusable)
    raise UnknownPack(PACK, [each.pack.name for each in collected.packs])


def _new_id() -> str:
    return uuid.uuid4().hex


def _drive(row: Sequence[Any]) -> Drive:
    drive = Drive(*row)
    return replace(drive, is_available=bool(drive.is_available))


def _destination(row: Sequence[Any]) -> Destination:
    destination = Destination(*row)
    return replace(destination, usage_count=destination.usage_count or 0, is_active=bool(destination.is_active))
