"""
Change records without running a migration, in one transaction, with a snapshot before it.

Which records change is decided by the caller, for those that are really there under the write lock.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from homie_migrations_core.errors import (
    CommitUnconfirmed,
    DatabaseReplaced,
    ForeignTrackingTable,
    RecordNotKept,
    RunStopped,
    SnapshotFailed,
)
from homie_migrations_core.model import Migration, Record
from homie_migrations_core.running.replaced_file import how_replaced
from homie_migrations_core.sqlite import tracking
from homie_migrations_core.sqlite.guard import GuardedConnection
from homie_migrations_core.sqlite.holders import tell_waiting
from homie_migrations_core.sqlite.snapshot_storage import DEFAULT_STORAGE, SnapshotStorage
from homie_migrations_core.sqlite.snapshots import Keeper
from homie_migrations_core.sqlite.sqlite_errors import error_from_sqlite, is_database_error
from homie_migrations_core.sqlite.writer import CommitFailed, Writer
from homie_migrations_core.stopping import Stopped, StopRequest

_log = logging.getLogger("homie_migrations")


@dataclass(frozen=True, slots=True)
class RecordChanges:
    """The records to add, to accept with another checksum, and to remove."""

    owner: str | None
    """The pack of rows without a pack's name."""
    record: tuple[Migration, ...] = ()
    accept: tuple[Record, ...] = ()
    remove: tuple[Record, ...] = ()

    @property
    def refs(self) -> list[str]:
        """The refs of the records that change."""
        return [*(each.ref for each in self.record), *(each.ref for each in (*self.accept, *self.remove))]


def change_records(
    path: str,
    decide: Callable[[tracking.Tracking], RecordChanges],
    pack_versions: Mapping[str, str | None],
    *,
    backup: bool,
    lock_timeout: float,
    stop: StopRequest,
    storage: SnapshotStorage = DEFAULT_STORAGE,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Path | None:
    """
    Change the records as `decide` says, and return the snapshot of the state before, if one was taken.

    Raises:
        RunRefused: By `decide`; nothing was changed.
        RecordNotKept, CommitUnconfirmed, DatabaseReplaced, SnapshotFailed, LockTimeout, RunStopped, DatabaseUnusable: As for a run.
    """
    writer = Writer(path, lock_timeout=lock_timeout, stop=stop, waiting=lambda: tell_waiting(path), create=False)
    keeper = Keeper(path, stop, now, storage)
    keep_snapshot = committed = False
    try:
        writer.begin()
        known = _read(writer, path)
        changes = decide(known)
        if not changes.refs:
            return None
        if backup and known.holds_tables:
            keeper.take([each if each.pack else replace(each, pack=changes.owner) for each in known.records])
        _write(writer, path, known, changes, pack_versions)
        if stop.asked():
            raise Stopped
        _require_same_file(writer, keeper)
        keeper.keep()
        keep_snapshot = True
        try:
            writer.commit()
        except CommitFailed as error:
            raise CommitUnconfirmed(path, changes.refs[-1], str(error)) from error
        except BaseException:
            keep_snapshot = False
            raise
        _require_same_file(writer, keeper)
        committed = True
    except DatabaseReplaced:
        keep_snapshot = True
        raise
    except Stopped as error:
        raise RunStopped(path) from error
    except Exception as error:
        if is_database_error(error):
            raise error_from_sqlite(error, path) from error  # type: ignore[arg-type]
        raise
    finally:
        writer.close()
        if committed:
            keeper.prune()
        elif not keep_snapshot:
            keeper.drop()
    return keeper.snapshot


def _read(writer: Writer, path: str) -> tracking.Tracking:
    try:
        return tracking.read_tracking(writer.connection)
    except tracking.ForeignTable as error:
        raise ForeignTrackingTable(path, str(error)) from error


def _require_same_file(writer: Writer, keeper: Keeper) -> None:
    if found := how_replaced(writer):
        with contextlib.suppress(SnapshotFailed):  # it can't be given its final name, and stays under the one that it has
            keeper.keep()
        raise DatabaseReplaced(writer.path, None, f"{found} during the run", (), keeper.snapshot)


def _write(
    writer: Writer, path: str, known: tracking.Tracking, changes: RecordChanges, pack_versions: Mapping[str, str | None]
) -> None:
    connection = writer.connection
    if known.shape != "current":
        tracking.make_current(connection, known.shape, changes.owner)
    for migration in changes.record:
        tracking.record_applied(connection, migration, pack_versions.get(migration.pack))
        _log.info("Recorded %s in %s without running it", migration.ref, path, extra={"database": path, "ref": migration.ref})
    for change, records in ((tracking.accept, changes.accept), (tracking.remove, changes.remove)):
        for record in records:
            change(connection, record)
            _log.info("Repaired the record of %s in %s", record.ref, path, extra={"database": path, "ref": record.ref})
    _require_written(connection, path, changes)


def _require_written(connection: GuardedConnection, path: str, changes: RecordChanges) -> None:
    """Read the records again: a trigger on the table may have changed what was written."""
    there = {(each.pack, each.version): (each.name, each.checksum) for each in tracking.read_tracking(connection).records}
    expected: dict[tuple[str | None, int], tuple[str, tuple[str, str | None] | None]] = {
        **{(each.pack, each.version): (each.ref, (each.name, each.checksum)) for each in changes.record},
        **{(each.pack, each.version): (each.ref, (each.name, each.checksum)) for each in changes.accept},
        **{(each.pack, each.version): (each.ref, None) for each in changes.remove},
    }
    for key, (ref, row) in expected.items():
        if there.get(key) != row:
            raise RecordNotKept(path, ref)
