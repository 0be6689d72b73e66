"""
Replace a database with a snapshot, and say beforehand what that would change.

How the pages get there, and who has to wait, is decided in `sqlite/`; here the state before is secured and compared.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from homie_migrations_core.errors import DatabaseInterrupted, DatabaseUnusable, RunStopped
from homie_migrations_core.model import Record, Restored, RowCount
from homie_migrations_core.sqlite.file import DatabaseFile
from homie_migrations_core.sqlite.holders import tell_waiting
from homie_migrations_core.sqlite.reader import read
from homie_migrations_core.sqlite.restoring import Restorer
from homie_migrations_core.sqlite.rows import count_rows, tables_of
from homie_migrations_core.sqlite.snapshot_storage import DEFAULT_STORAGE, SnapshotStorage
from homie_migrations_core.sqlite.snapshots import Keeper
from homie_migrations_core.sqlite.tracking import ForeignTable, Tracking, read_tracking
from homie_migrations_core.stopping import Stopped

_log = logging.getLogger("homie_migrations")


def restore(
    file: DatabaseFile,
    snapshot: str,
    recorded: Callable[[], tuple[Sequence[Record], bool]],
    *,
    backup: bool,
    storage: SnapshotStorage = DEFAULT_STORAGE,
) -> Path | None:
    """
    Replace the database with the snapshot, and return the snapshot of the state before, if `backup` asks for one.

    `recorded` is called under the write lock: the records, and whether there is anything that could be lost.

    Raises:
        SnapshotUnusable, LockTimeout, RunStopped, SnapshotFailed, DatabaseUnusable: Nothing was changed.
    """
    keeper = Keeper(file.path, file.stop, lambda: datetime.now(UTC), storage)
    restoring = _restoring(file, snapshot)

    def secure() -> None:
        records, holds_something = recorded()
        if backup and holds_something:
            keeper.take(records, counts=True)

    try:
        restoring.restore(secure)
    except BaseException as error:
        if not restoring.done:
            keeper.drop()
        if isinstance(error, Stopped):
            raise RunStopped(file.path) from error
        raise
    _log.info("Restored %s from %s", file.path, snapshot, extra={"database": file.path, "snapshot": str(snapshot)})
    keeper.prune(but=Path(snapshot))
    return keeper.snapshot


def preview(
    file: DatabaseFile,
    snapshot: str,
    recorded: Callable[[], tuple[Sequence[Record], bool]],
    attributed: Callable[[Tracking], Sequence[Record]],
) -> Restored:
    """
    Compare a database with a snapshot of it: the records and the numbers of rows. Neither file is changed.

    `recorded` returns the records of the database, and `attributed` those of a table with their packs' names.

    Raises:
        SnapshotUnusable: The file is not a sound database.
    """
    _restoring(file, snapshot).check()
    try:
        then = attributed(read(snapshot, read_tracking, lock_timeout=file.lock_timeout))
    except ForeignTable:  # another tool's record; what it means is that tool's business
        then = ()
    rows_then = _count(file, snapshot)
    now, rows_now = recorded()[0], dict[str, int]()
    if file.exists:
        try:
            rows_now = _count(file, file.path)
        except (DatabaseUnusable, DatabaseInterrupted):  # a damaged database is what a snapshot is restored for
            rows_now = {}
    refs_now, refs_then = [each.ref for each in now], [each.ref for each in then]
    return Restored(
        Path(file.path),
        Path(snapshot),
        tuple(ref for ref in refs_now if ref not in refs_then),
        tuple(ref for ref in refs_then if ref not in refs_now),
        tuple(
            RowCount(table, rows_now.get(table), rows_then.get(table))
            for table in sorted({*rows_now, *rows_then})
            if rows_now.get(table) != rows_then.get(table)
        ),
    )


def _restoring(file: DatabaseFile, snapshot: str) -> Restorer:
    def waiting() -> None:
        tell_waiting(file.path, readers=True)

    return Restorer(file.path, snapshot, lock_timeout=file.lock_timeout, stop=file.stop, waiting=waiting)


def _count(file: DatabaseFile, path: str) -> dict[str, int]:
    return read(path, lambda connection: count_rows(connection, tables_of(connection), file.stop), lock_timeout=file.lock_timeout)
