"""
Snapshots of a database: taking, keeping, listing, pruning.

Never decides when one is due. Where they are kept is the business of `snapshot_storage`, how a copy is made that of `copying`, and
how one is restored that of `restoring`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from homie_migrations_core.errors import SnapshotFailed
from homie_migrations_core.model import Record, Snapshot
from homie_migrations_core.progress import SNAPSHOT
from homie_migrations_core.sqlite.copying import NoRoom, copy_database, sync_and_check, sync_folder
from homie_migrations_core.sqlite.database import SLICE, uri
from homie_migrations_core.sqlite.snapshot_names import (
    AUTOMATIC,
    BEGUN,
    BY_HAND,
    ENDINGS,
    read_snapshot_name,
    snapshot_name,
)
from homie_migrations_core.sqlite.snapshot_storage import DEFAULT_STORAGE, SnapshotFolder, SnapshotStorage
from homie_migrations_core.stopping import StopRequest

_log = logging.getLogger("homie_migrations")

_TEMPORARY = ".tmp"
_SECONDS_UNTIL_LEFT = 24 * 60 * 60
"""For so long nobody has written to an unfinished file that no process writes any more, as far as can be known without the lock."""


class Keeper:
    """
    The automatic snapshot of one run: taken before its first change, kept if anything was committed.

    Until then its name ends with `.begun.db`: a run that is killed leaves it, and the name says that nothing had
    been changed. Of those that a series of killed runs left, the first and the last stay.
    """

    def __init__(
        self, path: str, stop: StopRequest, now: Callable[[], datetime], storage: SnapshotStorage = DEFAULT_STORAGE
    ) -> None:
        self._path, self._stop, self._now, self._storage = path, stop, now, storage
        self._folder: SnapshotFolder | None = None
        self.snapshot: Path | None = None

    def take(self, records: Sequence[Record], *, counts: bool = False, reader: sqlite3.Connection | None = None) -> None:
        """
        Take a checked copy of the file, and wait until it is on disk.

        The caller holds the write lock and has written nothing yet. With `counts` it counts as kept at once, and no
        other snapshot is removed: one of them may be about to be restored. `reader` is a connection that only reads the file
        and is in no transaction, if there is one already.

        Raises:
            SnapshotFailed: It could not be taken. What was written of it is removed, if that is possible.
            FolderUnusable: The folder that was chosen for snapshots can't be used.
            Stopped: A stop was asked for. What was written of it is removed.
        """
        folder = self._folder = self._storage.folder_of(self._path)
        taking = _Taking(self._path, folder, self._storage, self._stop)
        self.snapshot, sound = taking.take(AUTOMATIC if counts else BEGUN, records, self._now(), reader)
        if sound and not counts:  # else an older one may be the last that is
            for one_between in taking.begun_before[1:]:
                _discard(one_between)

    def keep(self) -> None:
        """
        Keep the snapshot, because something is about to be committed.

        Raises:
            SnapshotFailed: It could not be given its name.
        """
        if self.snapshot is None or not self.snapshot.name.endswith(BEGUN):
            return
        final = str(self.snapshot).removesuffix(BEGUN) + AUTOMATIC
        try:
            os.replace(self.snapshot, final)
            self.snapshot = Path(final)
            sync_folder(os.path.dirname(final))
        except OSError as error:
            raise SnapshotFailed(self._path, str(error), folder=self._storage.backup_dir) from error
        _log.info("Snapshot before the first change: %s", final, extra={"database": self._path, "snapshot": final})

    def drop(self) -> None:
        """Remove the snapshot, because nothing was committed, and its folder if that is empty now."""
        if self.snapshot is not None and self._folder is not None:
            _discard_with_folder(str(self.snapshot), self._folder)
            self.snapshot = None

    def prune(self, *, but: Path | None = None) -> None:
        """
        Remove all but the newest automatic snapshots of this database, and `but`, after a success.

        Those taken by hand are not touched. If none is to be kept, the run's own is removed too. Those of earlier versions are
        counted once the database has as many newer ones as are to be kept.
        """
        if self.snapshot is None or self._folder is None:
            return
        keep = self._storage.keep
        try:
            oldest_first = self._folder.files(AUTOMATIC, BEGUN)
            if len(oldest_first) >= keep:
                oldest_first = sorted([*self._of_earlier_versions(self._folder), *oldest_first], key=os.path.basename)
            # Its own need not be the newest: a clock may go back.
            spared = {str(each) for each in (but, self.snapshot if keep else None) if each is not None}
            for old in oldest_first[: max(0, len(oldest_first) - keep)]:
                if old not in spared:
                    _discard(old)
            if not keep:
                self.drop()
        except OSError as error:  # the run itself has succeeded
            _log.warning("Old snapshots of %s could not be removed: %s", self._path, error, extra={"database": self._path})

    def _of_earlier_versions(self, folder: SnapshotFolder) -> list[str]:
        """Return the automatic snapshots that earlier versions took, and remove what their killed runs left unfinished."""
        found = folder.few_shared_files(AUTOMATIC, BEGUN, _TEMPORARY)
        for each in found:
            if each.endswith(_TEMPORARY) and time.time() - os.stat(each).st_mtime > _SECONDS_UNTIL_LEFT:
                _discard(each)
        return [each for each in found if not each.endswith(_TEMPORARY)]


def take_by_hand(
    path: str, records: Sequence[Record], now: datetime, stop: StopRequest, storage: SnapshotStorage = DEFAULT_STORAGE
) -> Path:
    """Take a checked copy of the file, which is never pruned. Raises what `Keeper.take` raises."""
    return _Taking(path, storage.folder_of(path), storage, stop).take(BY_HAND, records, now)[0]


def list_snapshots(path: str, storage: SnapshotStorage = DEFAULT_STORAGE) -> list[Snapshot]:
    """Return the snapshots of the database, newest first, as their names tell. None is opened."""
    folder, found = storage.folder_of(path), []
    for ending, kind in ENDINGS.items():
        for file in (*folder.files(ending), *folder.shared_files(ending)):
            told = read_snapshot_name(os.path.basename(file), folder.database, ending)
            if told is not None:  # else a stranger's
                found.append(Snapshot(Path(file), told[0], os.stat(file).st_size, told[1], kind))
    return sorted(found, key=lambda snapshot: snapshot.taken_at, reverse=True)


# --- taking ---------------------------------------------------------------------------------------------


class _Taking:
    """One snapshot while it is being taken."""

    def __init__(self, path: str, folder: SnapshotFolder, storage: SnapshotStorage, stop: StopRequest) -> None:
        self._path, self._folder, self._storage, self._stop = path, folder, storage, stop
        self.begun_before: list[str] = []
        """The snapshots of killed runs that are there already, oldest first."""

    def take(
        self, ending: str, records: Sequence[Record], now: datetime, reader: sqlite3.Connection | None = None
    ) -> tuple[Path, bool]:
        """Take it, and return its path and whether the database is sound. Raises what `Keeper.take` raises."""
        self._storage.require()
        final = os.path.join(self._folder.path, snapshot_name(self._folder.database, records, now, ending))
        temporary = final + _TEMPORARY
        try:
            unsynced = self._make_empty(temporary)
            unsynced += self._look_around(temporary)
            sound = self._copy(temporary, reader)
            os.chmod(temporary, os.stat(self._path).st_mode & 0o7777)
            os.replace(temporary, final)
            sync_folder(self._folder.path)
            for each in unsynced:
                sync_folder(each)
        except (sqlite3.Error, OSError, NoRoom) as error:
            _discard_with_folder(temporary, self._folder)
            by_hand = ending == BY_HAND
            raise SnapshotFailed(self._path, str(error), by_hand=by_hand, folder=self._storage.backup_dir) from error
        except BaseException:
            _discard_with_folder(temporary, self._folder)
            raise
        if not sound:
            sentence = "SQLite finds %s damaged. The snapshot is a copy of it as it is: %s"
            _log.warning(sentence, self._path, final, extra={"database": self._path, "snapshot": final})
        return Path(final), sound

    def _copy(self, temporary: str, reader: sqlite3.Connection | None) -> bool:
        source = reader or sqlite3.connect(uri(self._path, "mode=ro"), timeout=SLICE, uri=True, isolation_level=None)
        target = Path(temporary)
        try:
            copy_database(source, target, self._stop, SNAPSHOT)
            return sync_and_check(source, target, self._stop)
        finally:
            if reader is None:
                source.close()

    def _make_empty(self, target: str) -> list[str]:
        """Make an empty file, which others may read only once it is complete. Return folders that have a new name."""
        unsynced = []
        while True:
            if self._folder.make():
                unsynced = [os.path.dirname(os.path.dirname(self._folder.path))]
            _discard(target)
            with contextlib.suppress(FileNotFoundError):  # a run that failed may take the empty folder away once more
                os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
                return unsynced

    def _look_around(self, temporary: str) -> list[str]:
        """
        Remove what killed processes left unfinished. Only the process that holds the write lock may do this.

        Return the folder of the folder, if its name may not be on disk yet.
        """
        there = self._folder.files(_TEMPORARY, *ENDINGS)
        for each in there:
            if each.endswith(_TEMPORARY) and each != temporary:
                _discard(each)
        whole = [each for each in there if not each.endswith(_TEMPORARY)]
        self.begun_before = [each for each in whole if each.endswith(BEGUN)]
        return [] if whole else [os.path.dirname(self._folder.path)]


def _discard_with_folder(snapshot: str, folder: SnapshotFolder) -> None:
    with contextlib.suppress(OSError):
        _discard(snapshot)
        folder.remove_if_empty()


def _discard(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
