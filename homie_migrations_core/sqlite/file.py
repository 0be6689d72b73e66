"""
One database file as a caller means it: what it records, its schema, and undoing what a killed process left.

How a file is opened is the business of `reader.py` and `writer.py`, and what its rows are that of `tracking.py`.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from homie_migrations_core.errors import DatabaseInterrupted, ForeignTrackingTable, RunStopped
from homie_migrations_core.sqlite.file_system import is_missing, not_reachable
from homie_migrations_core.sqlite.reader import read
from homie_migrations_core.sqlite.tracking import ForeignTable, Tracking, read_tracking
from homie_migrations_core.stopping import Stopped, StopRequest

if TYPE_CHECKING:
    from homie_migrations_core.sqlite.schema_objects import Schema
    from homie_migrations_core.sqlite.writer import Writer

EMPTY = Tracking("none", (), holds_tables=False)
"""What a database records that does not exist, or is empty."""

_log = logging.getLogger("homie_migrations")


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
                return read(self.path, read_tracking, lock_timeout=self.lock_timeout, stop=self.stop)
        except ForeignTable as error:
            raise ForeignTrackingTable(self.path, str(error)) from error
        except DatabaseInterrupted:
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

    @contextlib.contextmanager
    def locked(self) -> Iterator[Writer]:
        """
        Hold the write lock while the `with` block runs; what the block writes is rolled back at its end.

        Raises:
            DatabaseUnusable, LockTimeout, RunStopped: The file cannot be opened for change.
        """
        from homie_migrations_core.sqlite.holders import tell_waiting
        from homie_migrations_core.sqlite.writer import Writer

        waiting = lambda: tell_waiting(self.path)  # noqa: E731  (a name for the argument, so that the call fits on a line)
        writer = Writer(self.path, lock_timeout=self.lock_timeout, stop=self.stop, waiting=waiting, create=False)
        try:
            with self.stopping():
                writer.begin()
                yield writer
        finally:
            writer.close()

    @contextlib.contextmanager
    def stopping(self) -> Iterator[None]:
        """Raise `RunStopped` if a stop is asked for while the `with` block runs."""
        try:
            yield
        except Stopped as error:
            raise RunStopped(self.path) from error

    @contextlib.contextmanager
    def replaying(self) -> Iterator[None]:
        """As `stopping`, and keep migrations that are only tried in memory from opening the file by themselves."""
        from homie_migrations_core.sqlite.scratch import off_limits

        with self.stopping(), off_limits(self.path):
            yield
