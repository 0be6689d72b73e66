"""
`PathMemoryManager`: where people put their files, remembered in the file organizer's database.

Brings that database up to date when it starts, and runs the statements that use it. What the tables are is left to the
migrations, and how they get there to the core.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from file_organizer_migrations import statements
from file_organizer_migrations.errors import NotStarted as NotStarted
from file_organizer_migrations.errors import UnknownDestination as UnknownDestination
from file_organizer_migrations.errors import UnknownDrive as UnknownDrive
from file_organizer_migrations.session import Session
from file_organizer_migrations.values import Destination as Destination
from file_organizer_migrations.values import Drive as Drive
from file_organizer_migrations.values import Use as Use
from file_organizer_migrations.values import destination_of, drive_of
from homie_migrations_core import wait_or_stop

if TYPE_CHECKING:
    from types import TracebackType

_T = TypeVar("_T")
_Work = Callable[[sqlite3.Connection], _T]


class PathMemoryManager:
    """
    The drives and destinations of every user, in one database that is up to date once `start()` returns.

    The database is `modules/homie_file_organizer.db` below `data_dir`, else below `$HOMIE_DATA_DIR`, else below
    the platform's user data folder, unless an installed plugin places it elsewhere. `lock_timeout` is how many
    seconds another connection is waited for. Also usable as `async with PathMemoryManager() as memory:`.

    Each change is one transaction; a change that is cancelled while it runs may still be made.
    """

    def __init__(self, data_dir: str | os.PathLike[str] | None = None, *, lock_timeout: float = 30.0) -> None:
        self._data_dir, self._lock_timeout = data_dir, lock_timeout
        self._session: Session | None = None

    @property
    def database(self) -> Path | None:
        """The file in use; None while the manager is not started."""
        return self._session.path if self._session else None

    async def start(self) -> None:
        """
        Create the database if it is missing, apply every installed pack of it, and open it. Do nothing if it is open.

        A broken pack of others is logged and left out. A start that is cancelled waits until the running migration
        is undone, and only then ends.

        Raises:
            PackBroken, UnknownPack: The file organizer's own pack can't be applied.
            MigrationFailed, RunRefused: A migration failed and left nothing behind, or none was begun.
            DatabaseUnusable, FolderUnusable, SnapshotFailed, LockTimeout: The file or its folder can't be used.
        """
        session = self._session
        if session is None:
            session = self._session = Session(self._data_dir, self._lock_timeout)
        stop = threading.Event()
        session.starting += 1
        try:
            await wait_or_stop(session.submit(session.bring_up, stop.is_set), stop)
            session.started = True
        finally:
            session.starting -= 1
            if not (session.started or session.starting):  # no other start waits for it, so nobody would shut it down
                if self._session is session:
                    self._session = None
                await wait_or_stop(session.end())

    async def shutdown(self) -> None:
        """Close the database once earlier calls are done. Do nothing if it is closed."""
        session, self._session = self._session, None
        if session is not None:
            await wait_or_stop(session.end())

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
        """Store the user's drive as it is seen now, and available. A drive that is known already keeps its id."""
        facts = (user_id, unique_identifier, os.fspath(mount_point), volume_label, drive_type, cloud_provider)

        def work(connection: sqlite3.Connection) -> Drive:
            connection.execute(statements.REGISTER_DRIVE, (_new_id(), *facts))
            return drive_of(connection.execute(statements.DRIVE_BY_IDENTIFIER, (user_id, unique_identifier)).fetchone())

        return await self._change(work)

    async def available_drives(self, user_id: str) -> list[Drive]:
        """Return the user's drives that are available, ordered by mount point."""
        sql = statements.AVAILABLE_DRIVES
        return await self._read(lambda connection: [drive_of(row) for row in connection.execute(sql, (user_id,))])

    async def mark_drive(self, drive_id: str, *, available: bool) -> Drive:
        """
        Store that the drive is available, seen now, or that it is not.

        Raises:
            UnknownDrive: No drive has that id.
        """

        def work(connection: sqlite3.Connection) -> Drive:
            sql = statements.MARK_AVAILABLE if available else statements.MARK_UNAVAILABLE
            if connection.execute(sql, (drive_id,)).rowcount == 0:
                raise UnknownDrive(drive_id)
            return drive_of(connection.execute(statements.DRIVE_BY_ID, (drive_id,)).fetchone())

        return await self._change(work)

    # --- destinations -------------------------------------------------------------------------------

    async def remember_destination(
        self, user_id: str, path: str | os.PathLike[str], category: str, *, drive_id: str | None = None
    ) -> Destination:
        """
        Store the user's folder as an active destination for that category, even if it was forgotten before.

        A destination that is known already keeps its id, its uses and, unless another is given, its drive.

        Raises:
            UnknownDrive: The user has no drive with the id `drive_id`.
        """
        place = os.fspath(path)

        def work(connection: sqlite3.Connection) -> Destination:
            if drive_id is not None:
                drive = connection.execute(statements.DRIVE_BY_ID, (drive_id,)).fetchone()
                if drive is None or drive_of(drive).user_id != user_id:
                    raise UnknownDrive(drive_id)
            connection.execute(statements.REMEMBER_DESTINATION, (_new_id(), user_id, place, category, drive_id))
            return destination_of(connection.execute(statements.DESTINATION_BY_PATH, (user_id, place)).fetchone())

        return await self._change(work)

    async def destinations(
        self, user_id: str, *, category: str | None = None, include_forgotten: bool = False
    ) -> list[Destination]:
        """Return the user's destinations, the most used first: the active ones or all, of one category or of every one."""
        parameters = (user_id,) if category is None else (user_id, category)
        if category is None:
            sql = statements.DESTINATIONS if include_forgotten else statements.ACTIVE_DESTINATIONS
        else:
            sql = statements.DESTINATIONS_OF_CATEGORY if include_forgotten else statements.ACTIVE_DESTINATIONS_OF_CATEGORY
        return await self._read(lambda connection: [destination_of(row) for row in connection.execute(sql, parameters)])

    async def forget_destination(self, destination_id: str) -> Destination:
        """
        Make the destination inactive. Its uses stay, and it can be remembered again.

        Raises:
            UnknownDestination: No destination has that id.
        """

        def work(connection: sqlite3.Connection) -> Destination:
            if connection.execute(statements.FORGET_DESTINATION, (destination_id,)).rowcount == 0:
                raise UnknownDestination(destination_id)
            return destination_of(connection.execute(statements.DESTINATION_BY_ID, (destination_id,)).fetchone())

        return await self._change(work)

    # --- uses ---------------------------------------------------------------------------------------

    async def record_use(self, destination_id: str, *, file_count: int = 1, operation_type: str | None = None) -> Use:
        """
        Add a use to the history, and count it in the destination together with the time.

        Raises:
            UnknownDestination: No destination has that id.
        """

        def work(connection: sqlite3.Connection) -> Use:
            if connection.execute(statements.COUNT_USE, (destination_id,)).rowcount == 0:
                raise UnknownDestination(destination_id)
            use_id = _new_id()
            connection.execute(statements.RECORD_USE, (use_id, file_count, operation_type, destination_id))
            return Use(*connection.execute(statements.USE_BY_ID, (use_id,)).fetchone())

        return await self._change(work)

    async def usage_history(self, destination_id: str, *, limit: int | None = None) -> list[Use]:
        """Return the uses of a destination, the newest first, at most `limit` of them."""
        parameters = (destination_id, -1 if limit is None else max(limit, 0))  # below 0 means no limit to SQLite
        return await self._read(lambda connection: [Use(*row) for row in connection.execute(statements.USAGE_HISTORY, parameters)])

    # --- off the event loop -------------------------------------------------------------------------

    async def _read(self, work: _Work[_T]) -> _T:
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

        return await self._read(transaction)


def _new_id() -> str:
    import uuid  # which a start has no use for

    return uuid.uuid4().hex
