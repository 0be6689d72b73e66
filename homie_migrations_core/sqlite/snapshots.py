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
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from homie_migrations_core.errors import FolderUnusable, SnapshotFailed
from homie_migrations_core.model import Record, Snapshot
from homie_migrations_core.packs.naming import begin_of_snapshots
from homie_migrations_core.progress import SNAPSHOT
from homie_migrations_core.sqlite.copying import NoRoom, copy_database, sync_and_check, sync_folder
from homie_migrations_core.sqlite.database import SLICE, uri
from homie_migrations_core.sqlite.snapshot_names import (
    AUTOMATIC,
    BEGUN,
    BY_HAND,
    ENDINGS,
    is_snapshot_name,
    read_snapshot_name,
    snapshot_name,
)
from homie_migrations_core.sqlite.snapshot_storage import DEFAULT_STORAGE, SnapshotStorage
from homie_migrations_core.stopping import StopRequest

_log = logging.getLogger("homie_migrations")

_TEMPORARY = ".tmp"


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
        self.snapshot: Path | None = None

    def take(self, records: Sequence[Record], *, counts: bool = False) -> None:
        """
        Take a checked copy of the file, and wait until it is on disk.

        The caller holds the write lock and has written nothing yet. With `counts` it counts as kept at once, and no
        other snapshot is removed: one of them may be about to be restored.

        Raises:
            SnapshotFailed: It could not be taken. What was written of it is removed, if that is possible.
            FolderUnusable: The folder that was chosen for snapshots can't be used.
            Stopped: A stop was asked for. What was written of it is removed.
        """
        ending = AUTOMATIC if counts else BEGUN
        self.snapshot, sound = _take(self._path, ending, records, self._now(), self._stop, self._storage)
        if sound and not counts:  # else an older one may be the last that is
            for one_between in self._files_of(BEGUN)[1:-1]:
                _discard(one_between)

    def keep(self) -> None:
        """
        Keep the snapshot, because something is about to be committed.

        Raises:
            SnapshotFailed: It could not be given its name.
        """
        if self.snapshot is None or not self.snapshot.name.endswith(BEGUN):
            return
        final = self.snapshot.with_name(self.snapshot.name.removesuffix(BEGUN) + AUTOMATIC)
        try:
            os.replace(self.snapshot, final)
            self.snapshot = final
            sync_folder(final.parent)
        except OSError as error:
            raise SnapshotFailed(self._path, str(error), folder=self._storage.backup_dir) from error
        _log.info("Snapshot before the first change: %s", final, extra={"database": self._path, "snapshot": str(final)})

    def drop(self) -> None:
        """Remove the snapshot, because nothing was committed, and its folder if that is empty now."""
        if self.snapshot is not None:
            _discard_with_folder(self.snapshot)
            self.snapshot = None

    def prune(self, *, but: Path | None = None) -> None:
        """
        Remove all but the newest automatic snapshots of this database, and `but`, after a success.

        Those taken by hand are not touched. If none is to be kept, the run's own is removed too.
        """
        if self.snapshot is None:
            return
        try:
            oldest_first = self._files_of(AUTOMATIC, BEGUN)
            spared = (but, self.snapshot if self._storage.keep else None)  # its own need not be the newest: a clock may go back
            for old in oldest_first[: max(0, len(oldest_first) - self._storage.keep)]:
                if old not in spared:
                    _discard(old)
            if not self._storage.keep:
                self.drop()
        except OSError as error:  # the run itself has succeeded
            _log.warning("Old snapshots of %s could not be removed: %s", self._path, error, extra={"database": self._path})

    def _files_of(self, *endings: str) -> list[Path]:
        return _files_of(self._path, self._storage, *endings)


def take_by_hand(
    path: str, records: Sequence[Record], now: datetime, stop: StopRequest, storage: SnapshotStorage = DEFAULT_STORAGE
) -> Path:
    """Take a checked copy of the file, which is never pruned. Raises what `Keeper.take` raises."""
    return _take(path, BY_HAND, records, now, stop, storage)[0]


def list_snapshots(path: str, storage: SnapshotStorage = DEFAULT_STORAGE) -> list[Snapshot]:
    """Return the snapshots of the database, newest first, as their names tell. None is opened."""
    found = []
    for ending, kind in ENDINGS.items():
        for file in _files_of(path, storage, ending):
            told = read_snapshot_name(file.name, _file_of(path), ending)
            if told is not None:  # else a stranger's
                found.append(Snapshot(file, told[0], file.stat().st_size, told[1], kind))
    return sorted(found, key=lambda snapshot: snapshot.taken_at, reverse=True)


# --- taking ---------------------------------------------------------------------------------------------


def _take(
    path: str, ending: str, records: Sequence[Record], now: datetime, stop: StopRequest, storage: SnapshotStorage
) -> tuple[Path, bool]:
    storage.require()
    folder = storage.folder_of(path)
    final = folder / snapshot_name(_file_of(path), records, now, ending)
    temporary = final.with_name(final.name + _TEMPORARY)
    try:
        made = not folder.exists()
        _make_empty(temporary)
        _discard_leftovers(path, storage, but=temporary)
        source = sqlite3.connect(uri(path, "mode=ro"), timeout=SLICE, uri=True, isolation_level=None)
        with contextlib.closing(source):
            copy_database(source, temporary, stop, SNAPSHOT)
            sound = sync_and_check(source, temporary, stop)
        os.chmod(temporary, os.stat(path).st_mode & 0o7777)
        os.replace(temporary, final)
        sync_folder(folder)
        if made:
            sync_folder(folder.parent)
    except (sqlite3.Error, OSError, NoRoom) as error:
        _discard_with_folder(temporary)
        raise SnapshotFailed(path, str(error), by_hand=ending == BY_HAND, folder=storage.backup_dir) from error
    except BaseException:
        _discard_with_folder(temporary)
        raise
    if not sound:
        sentence = "SQLite finds %s damaged. The snapshot is a copy of it as it is: %s"
        _log.warning(sentence, path, final, extra={"database": path, "snapshot": str(final)})
    return final, sound


def _file_of(path: str) -> str:
    """Return the file's own name, whatever a link to it is called."""
    return os.path.basename(os.path.realpath(path))


def _make_empty(target: Path) -> None:
    """Make an empty file, which others may read only once it is complete."""
    while True:
        target.parent.mkdir(exist_ok=True)
        _discard(target)
        with contextlib.suppress(FileNotFoundError):  # a run that failed may take the empty folder away once more
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            return


def _discard_leftovers(path: str, storage: SnapshotStorage, *, but: Path) -> None:
    """Remove what killed processes left unfinished. Only the process that holds the write lock may do this."""
    for left in _files_of(path, storage, _TEMPORARY):
        if left != but:
            _discard(left)


def _files_of(path: str, storage: SnapshotStorage, *endings: str) -> list[Path]:
    """Return the files of this database with one of these endings, oldest first."""
    folder = storage.folder_of(path)
    if not folder.is_dir():
        return []
    try:
        names = os.listdir(folder)
    except OSError as error:
        advice = "Run as its owner, or change its permissions."
        raise FolderUnusable(str(folder), f"can't be read ({error.strerror})", advice) from error
    database = _file_of(path)
    begin = begin_of_snapshots(database)  # first, because thousands of databases may share the folder
    own = sorted([name for name in names if name.startswith(begin)])
    return [folder / name for name in own if any(is_snapshot_name(name, database, each) for each in endings)]


def _discard_with_folder(snapshot: Path) -> None:
    with contextlib.suppress(OSError):
        _discard(snapshot)
        snapshot.parent.rmdir()


def _discard(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
