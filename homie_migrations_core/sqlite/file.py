"""
One database file as a caller means it: what it records, its schema, and undoing what a killed process left.

How a file is opened is the business of `reader.py` and `writer.py`, and what its rows are that of `tracking.py`.
"""

from __future__ import annotations

import os

from homie_migrations_core import errors
from homie_migrations_core.logs import log as _log
from homie_migrations_core.sqlite.database import look_at_once
from homie_migrations_core.sqlite.file_system import is_missing, not_reachable
from homie_migrations_core.sqlite.reader import read
from homie_migrations_core.sqlite.tracking import ForeignTable, Tracking, read_tracking
from homie_migrations_core.stopping import Stopped, StopRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from dataclasses import dataclass

    from homie_migrations_core.sqlite.schema_objects import Schema
    from homie_migrations_core.sqlite.writer import Writer
else:
    from homie_migrations_core.values import dataclass

EMPTY = Tracking("none", (), holds_tables=False)
"""What a database records that does not exist, or is empty."""


@dataclass(frozen=True, slots=True)
class DatabaseFile:
    """A path, how many seconds other connections are waited for, and who may ask to stop."""

    path: str
    lock_timeout: float
    stop: StopRequest

    @property
    def exists(self) -> bool:
        """Whether there is a file at the path."""
        return os.path.exists(self.path)

    def read_tracking(self, *, makes_parents: bool = False, recover: bool = False) -> Tracking:
        """
        Read what the database records. Only with `recover` may it be opened for change, to roll back an interrupted one.

        A missing file records nothing, if its folder is there or `makes_parents` says that it will be.

        Raises:
            ForeignTrackingTable: Another tool's `schema_migrations` is in it.
            DatabaseUnusable, DatabaseInterrupted, LockTimeout, RunStopped: The file cannot be read.
        """
        if is_missing(self.path):
            if (os.path.isdir(os.path.dirname(self.path)) or makes_parents) and not os.path.islink(self.path):
                return EMPTY
            raise not_reachable(self.path)
        if os.path.isdir(self.path):
            raise not_reachable(self.path)
        self.stop.raising = True  # a signal that comes while others keep the file locked tears nothing
        try:
            with self.stopping():
                if recover and not self.stop.asked() and (found := self._read_at_once()) is not None:
                    return found
                return read(self.path, read_tracking, lock_timeout=self.lock_timeout, stop=self.stop)
        except ForeignTable as error:
            raise errors.ForeignTrackingTable(self.path, str(error)) from error
        except errors.DatabaseInterrupted:
            if not recover:
                raise
        finally:
            self.stop.raising = False
        with (
            self.locked()
        ):  # opening it for change rolls the interrupted one back (https://sqlite.org/atomiccommit.html, section 4)
            pass
        _log.warning("%s: a run that was interrupted has been rolled back.", self.path, extra={"database": self.path})
        return self.read_tracking(makes_parents=makes_parents)

    def _read_at_once(self) -> Tracking | None:
        """Read it over the only connection that this takes, which may write; None if others are at work or were killed."""
        return None if os.path.exists(f"{self.path}-wal") else look_at_once(self.path, read_tracking)

    def read_tracking_and_schema(self, *, makes_parents: bool = False) -> tuple[Tracking, Schema]:
        """Read both as they are at one moment. Raises what `read_tracking` does."""
        from homie_migrations_core.sqlite.schema import read_records_and_schema

        tracking = self.read_tracking(makes_parents=makes_parents)
        if not self.exists:
            return tracking, {}
        with self.stopping():
            return read(self.path, read_records_and_schema, lock_timeout=self.lock_timeout, stop=self.stop)

    def read_schema(self) -> Schema:
        """
        Read the schema of the database.

        Raises:
            DatabaseUnusable, DatabaseInterrupted, LockTimeout, RunStopped: The file cannot be read.
        """
        from homie_migrations_core.sqlite.schema import read_schema

        if is_missing(self.path):
            raise not_reachable(self.path)
        with self.stopping():
            return read(self.path, read_schema, lock_timeout=self.lock_timeout, stop=self.stop)

    def locked(self) -> AbstractContextManager[Writer]:
        """
        Hold the write lock while the `with` block runs; what the block writes is rolled back at its end.

        Raises:
            DatabaseUnusable, LockTimeout, RunStopped: The file cannot be opened for change.
        """
        from homie_migrations_core.sqlite.file_contexts import locked

        return locked(self.path, self.lock_timeout, self.stop, self.stopping())

    def stopping(self) -> AbstractContextManager[None]:
        """Raise `RunStopped` if a stop is asked for while the `with` block runs."""
        return _Stopping(self.path)

    def replaying(self) -> AbstractContextManager[None]:
        """As `stopping`, and keep migrations that are only tried in memory from opening the file by themselves."""
        from homie_migrations_core.sqlite.file_contexts import replaying

        return replaying(self.path, self.stopping())


class _Stopping:
    """A context that turns `Stopped` into the error about the file; contextlib would have to be imported for it."""

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, where: object) -> None:
        if isinstance(error, Stopped):
            raise errors.RunStopped(self._path) from error
