"""
Replace a database with a snapshot, and say beforehand what that would change.

How the pages get there, and who has to wait, is decided in `sqlite/`; here the state before is secured and compared.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from homie_migrations_core.model import Record, Restored, RowCount
from homie_migrations_core.sqlite.examining import Examination, Examined
from homie_migrations_core.sqlite.file import DatabaseFile
from homie_migrations_core.sqlite.holders import tell_waiting
from homie_migrations_core.sqlite.restoring import Restorer
from homie_migrations_core.sqlite.snapshot_storage import DEFAULT_STORAGE, SnapshotStorage
from homie_migrations_core.sqlite.snapshots import Keeper
from homie_migrations_core.sqlite.tracking import Tracking

_log = logging.getLogger("homie_migrations")


def restore(
    file: DatabaseFile,
    snapshot: str,
    recorded: Callable[[], tuple[Sequence[Record], bool]],
    attributed: Callable[[Tracking], Sequence[Record]],
    *,
    backup: bool,
    storage: SnapshotStorage = DEFAULT_STORAGE,
) -> Restored:
    """
    Replace the database with the snapshot, and return what that changed.

    `recorded` is called before, and again under the write lock: the records, and whether there is anything that could be lost.
    With `backup`, that is kept as a snapshot of its own. `attributed` returns the records of a table with their packs' names.

    Raises:
        SnapshotUnusable, LockTimeout, RunStopped, SnapshotFailed, DatabaseUnusable: Nothing was changed.
    """
    keeper, restored = Keeper(file.path, file.stop, lambda: datetime.now(UTC), storage), Restored(Path(file.path), Path(snapshot))
    with file.stopping(), _examination(file, snapshot) as examination:
        recorded()  # so that what is refused is refused before anything is opened for change

        def waiting() -> None:
            tell_waiting(file.path, readers=True)
            examination.require_sound()  # or there is no need to wait

        def secure() -> None:
            nonlocal restored
            records, holds_something = recorded()
            examination.begin_counting()
            try:
                if backup and holds_something:
                    keeper.take(records, counts=True)
                restored = _restored(file, snapshot, records, examination.result(), attributed)
            finally:
                examination.end_counting()

        restoring = Restorer(file.path, snapshot, lock_timeout=file.lock_timeout, stop=file.stop, waiting=waiting)
        try:
            restoring.restore(secure)
        except BaseException:
            if not restoring.done:
                keeper.drop()
            raise
    _log.info("Restored %s from %s", file.path, snapshot, extra={"database": file.path, "snapshot": str(snapshot)})
    keeper.prune(but=Path(snapshot))
    return replace(restored, snapshot=keeper.snapshot)


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
        RunStopped: A stop was asked for.
    """
    with file.stopping(), _examination(file, snapshot) as examination:
        now = recorded()[0]
        examination.begin_counting()
        return _restored(file, snapshot, now, examination.result(), attributed)


def _examination(file: DatabaseFile, snapshot: str) -> Examination:
    return Examination(snapshot, file.path, lock_timeout=file.lock_timeout, stop=file.stop)


def _restored(
    file: DatabaseFile,
    snapshot: str,
    now: Sequence[Record],
    examined: Examined,
    attributed: Callable[[Tracking], Sequence[Record]],
) -> Restored:
    """Return how the contents of the snapshot differ from the state of the database."""
    then = attributed(examined.tracking) if examined.tracking is not None else ()
    refs_now, refs_then = [each.ref for each in now], [each.ref for each in then]
    rows_now, rows_then = examined.rows_now, examined.rows
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
