"""
Snapshots of a database in the folder `backups` beside it: taking, keeping, listing, pruning, putting back.

Never decides when one is due. How a copy is made is `copying`'s business.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from homie_migrations_core.errors import (
    DatabaseDamaged,
    DatabaseInterrupted,
    DatabaseUnusable,
    FolderUnusable,
    LockTimeout,
    NotADatabase,
    RehearsalFailed,
    SnapshotFailed,
    SnapshotUnusable,
)
from homie_migrations_core.model import Record, Snapshot
from homie_migrations_core.packs.naming import begin_of_snapshots, is_snapshot_of
from homie_migrations_core.progress import tell_phase
from homie_migrations_core.sqlite.copying import (
    PAGES_A_STEP,
    NoRoom,
    copy_database,
    find_damage,
    open_at_rest,
    side_by_side,
    sync_and_check,
    sync_folder,
)
from homie_migrations_core.sqlite.database import SLICE, uri
from homie_migrations_core.sqlite.file_system import not_reachable
from homie_migrations_core.sqlite.holders import who_holds
from homie_migrations_core.sqlite.reader import is_in_wal_mode, read
from homie_migrations_core.sqlite.scratch import scratch_copy
from homie_migrations_core.sqlite.sqlite_errors import explained, is_busy
from homie_migrations_core.stopping import Stopped, StopRequest

_log = logging.getLogger("homie_migrations")

FOLDER = "backups"
KEPT = 5
"""How many automatic snapshots of one database stay."""
_ENDINGS = {".auto.db": "automatic", ".begun.db": "begun", ".db": "by_hand"}
_AUTOMATIC, _BEGUN, _BY_HAND = _ENDINGS
_TEMPORARY = ".tmp"
_LONGEST_LIST = 80


class Keeper:
    """
    The one automatic snapshot of a run: taken before its first change, kept if anything was committed.

    Until then its name ends with `.begun.db`: a killed run leaves it, and then it is known that nothing had
    been changed. Of what a series of killed runs left, the first and the last stay.
    """

    def __init__(self, path: str, stop: StopRequest, now: Callable[[], datetime]) -> None:
        self._path, self._stop, self._now = path, stop, now
        self.snapshot: Path | None = None

    def take(self, records: Sequence[Record], *, counts: bool = False) -> None:
        """
        A checked copy of the file as it is, on disk. The caller holds the write lock and has written nothing yet.

        With `counts` it counts at once, and no other is looked at: one of them may be about to be put back.

        Raises:
            SnapshotFailed: It could not be taken whole; nothing of it is left.
            Stopped: The stop was asked for; nothing of it is left.
        """
        self.snapshot, sound = _take(self._path, _AUTOMATIC if counts else _BEGUN, records, self._now(), self._stop)
        if sound and not counts:  # else an older one may be the last that is
            for one_between in _files_of(self._path, _BEGUN)[1:-1]:
                _discard(one_between)

    def keep(self) -> None:
        """
        Something is about to be committed: from here on it counts.

        Raises:
            SnapshotFailed: It could not be given its name.
        """
        if self.snapshot is None or not self.snapshot.name.endswith(_BEGUN):
            return
        final = self.snapshot.with_name(self.snapshot.name.removesuffix(_BEGUN) + _AUTOMATIC)
        try:
            os.replace(self.snapshot, final)
            self.snapshot = final
            sync_folder(final.parent)
        except OSError as error:
            raise SnapshotFailed(self._path, str(error)) from error
        _log.info("Snapshot before the first change: %s", final)

    def drop(self) -> None:
        """Nothing was committed: it is gone, and the folder with it if that is empty now."""
        if self.snapshot is not None:
            _discard_with_folder(self.snapshot)
            self.snapshot = None

    def prune(self, *, but: Path | None = None) -> None:
        """Of the automatic snapshots of this database only the newest stay, and `but`. Those taken by hand are not touched."""
        if self.snapshot is None:
            return
        try:
            for old in sorted([*_files_of(self._path, _AUTOMATIC), *_files_of(self._path, _BEGUN)])[:-KEPT]:
                if old not in (self.snapshot, but):  # a clock may go back
                    _discard(old)
        except OSError as error:  # the run itself has succeeded
            _log.warning("Old snapshots of %s could not be removed: %s", self._path, error)


def take_by_hand(path: str, records: Sequence[Record], now: datetime, stop: StopRequest) -> Path:
    """A checked copy of the file as it is, which is never pruned. As for `Keeper.take`."""
    return _take(path, _BY_HAND, records, now, stop)[0]


def list_snapshots(path: str) -> list[Snapshot]:
    """The snapshots in the folder beside the database, newest first, known by their names. None is opened."""
    found = []
    for ending, kind in _ENDINGS.items():
        for file in _files_of(path, ending):
            when, _, applied = file.name.removeprefix(begin_of_snapshots(_file_of(path))).removesuffix(ending).partition("Z.")
            try:
                taken_at = datetime.strptime(when, "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC)
            except ValueError:  # a stranger's
                continue
            found.append(Snapshot(file, taken_at, file.stat().st_size, applied.replace("+", ", "), kind))  # type: ignore[arg-type]
    return sorted(found, key=lambda snapshot: snapshot.taken_at, reverse=True)


# --- taking ---------------------------------------------------------------------------------------------


def _take(path: str, ending: str, records: Sequence[Record], now: datetime, stop: StopRequest) -> tuple[Path, bool]:
    folder = _folder_of(path)
    final = folder / _file_name(path, records, now, ending)
    temporary = final.with_name(final.name + _TEMPORARY)
    try:
        made = not folder.exists()
        _make_empty(temporary)
        _discard_leftovers(path, but=temporary)
        source = sqlite3.connect(uri(path, "mode=ro"), timeout=SLICE, uri=True, isolation_level=None)
        with contextlib.closing(source):
            copy_database(source, temporary, stop, "taking a snapshot")
            sound = sync_and_check(source, temporary, stop)
        os.chmod(temporary, os.stat(path).st_mode & 0o7777)
        os.replace(temporary, final)
        sync_folder(folder)
        if made:
            sync_folder(folder.parent)
    except (sqlite3.Error, OSError, NoRoom) as error:
        _discard_with_folder(temporary)
        raise SnapshotFailed(path, str(error), by_hand=ending == _BY_HAND) from error
    except BaseException:
        _discard_with_folder(temporary)
        raise
    if not sound:
        _log.warning("SQLite finds %s damaged. The snapshot is a copy of it as it is: %s", path, final)
    return final, sound


def _folder_of(path: str) -> Path:
    return Path(os.path.realpath(path)).parent / FOLDER


def _file_of(path: str) -> str:
    """The file's own name, whatever a link to it is called."""
    return os.path.basename(os.path.realpath(path))


def _file_name(path: str, records: Sequence[Record], now: datetime, ending: str) -> str:
    """When it was taken and what was applied then, so that a folder listing tells which one to put back."""
    newest: dict[str, int] = {}
    for record in records:
        if record.pack:
            newest[record.pack] = max(record.version, newest.get(record.pack, 0))
    applied = "+".join(f"{pack}-{version}" for pack, version in sorted(newest.items())) or "untracked"
    if len(applied) > _LONGEST_LIST:
        applied = f"{len(newest)}-packs"
    return f"{begin_of_snapshots(_file_of(path))}{now.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}.{applied}{ending}"


def _make_empty(target: Path) -> None:
    """An empty file is there, readable by others only once it is whole."""
    while True:
        target.parent.mkdir(exist_ok=True)
        _discard(target)
        with contextlib.suppress(FileNotFoundError):  # a run that failed may take the empty folder away once more
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            return


def _discard_leftovers(path: str, *, but: Path) -> None:
    """What killed processes left half-made is gone. Who holds the write lock is alone here."""
    for left in _files_of(path, _TEMPORARY):
        if left != but:
            _discard(left)


def _is_of(path: str, name: str, ending: str) -> bool:
    if not (is_snapshot_of(_file_of(path), name) and name.endswith(ending)):
        return False
    return ending != _BY_HAND or not name.endswith((_AUTOMATIC, _BEGUN))


def _files_of(path: str, ending: str) -> list[Path]:
    """The files of this database with that ending, oldest first."""
    folder = _folder_of(path)
    if not folder.is_dir():
        return []
    try:
        names = os.listdir(folder)
    except OSError as error:
        advice = "Run as its owner, or change its permissions."
        raise FolderUnusable(str(folder), f"can't be read ({error.strerror})", advice) from error
    return [folder / name for name in sorted(names) if _is_of(path, name, ending)]


def _discard_with_folder(snapshot: Path) -> None:
    with contextlib.suppress(OSError):
        _discard(snapshot)
        snapshot.parent.rmdir()


def _discard(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


# --- putting back ---------------------------------------------------------------------------------------


class Restoring:
    """
    Putting a snapshot back into a database that others may have open.

    The snapshot is copied into the live file by one transaction of SQLite's backup call: others see the old state or
    the new one, and a kill leaves the old one (https://sqlite.org/backup.html). The file is never replaced.
    """

    def __init__(self, path: str, snapshot: str, *, lock_timeout: float, stop: StopRequest, waiting: Callable[[], None]) -> None:
        self._path, self._snapshot, self._stop, self._waiting = path, snapshot, stop, waiting
        self._lock_timeout = lock_timeout
        self._deadline, self._told = 0.0, False
        self.done = False
        """Whether the database is the snapshot, whatever was raised after that."""

    def check(self) -> None:
        """
        The snapshot can be read, and is a sound database.

        Raises:
            SnapshotUnusable: It is not.
        """
        if not os.path.isfile(self._snapshot):
            raise SnapshotUnusable(self._snapshot, "there is no such file")
        if os.path.exists(self._path) and os.path.samefile(self._snapshot, self._path):
            raise SnapshotUnusable(self._snapshot, "it is the database itself")
        try:
            damage = read(self._snapshot, self._judge, lock_timeout=0.0)
        except (DatabaseUnusable, LockTimeout) as error:
            raise SnapshotUnusable(self._snapshot, getattr(error, "found", "somebody writes to it")) from error
        except DatabaseInterrupted as error:
            raise SnapshotUnusable(self._snapshot, "a process that changed it was interrupted and left a journal") from error
        if damage:
            raise SnapshotUnusable(self._snapshot, damage)

    def _judge(self, connection: sqlite3.Connection) -> str:
        if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None:
            return "it holds nothing"
        _, damage = side_by_side(self._stop, [lambda: None, lambda: find_damage(connection)], connection.interrupt)
        return f"it is damaged ({str(damage)[:200]})" if damage else ""

    def put_back(self, secure: Callable[[], None]) -> None:
        """
        The database is what the snapshot is. `secure` is called under the write lock, before the first change.

        Raises:
            SnapshotUnusable: The snapshot's pages do not fit into the database.
            LockTimeout: Others kept the file locked; nothing was changed.
            DatabaseUnusable: The file can't be opened or written; nothing was changed.
            Stopped: The stop was asked for; nothing was changed.
        """
        self._deadline = time.monotonic() + self._lock_timeout
        exists = os.path.exists(self._path)
        if not exists:
            try:
                os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # nobody's yet, so no lock is lost
            except OSError as error:
                raise not_reachable(self._path) from error
        try:
            live = sqlite3.connect(uri(self._path, "mode=rw"), timeout=SLICE, uri=True, isolation_level=None)
        except sqlite3.Error as error:
            raise explained(error, self._path) from error
        try:
            self._put_back_into(live, secure)
        except sqlite3.Error as error:
            known = explained(error, self._path)
            advice = "Stop what uses it, move it away with its -wal and -journal, and restore again: it is made anew."
            if isinstance(known, NotADatabase):
                raise NotADatabase(self._path, advice) from error
            if isinstance(known, DatabaseDamaged):
                raise DatabaseDamaged(self._path, str(error), advice) from error
            raise known from error
        finally:
            live.close()
        if not exists:
            os.chmod(self._path, os.stat(self._snapshot).st_mode & 0o7777)

    def _put_back_into(self, live: sqlite3.Connection, secure: Callable[[], None]) -> None:
        self._patiently(lambda: live.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall())
        in_wal = live.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        page_size = live.execute("PRAGMA page_size").fetchone()[0]
        live.execute("PRAGMA synchronous=EXTRA")
        live.execute("PRAGMA fullfsync=ON")
        if in_wal:
            live.execute("PRAGMA wal_autocheckpoint=0")  # whoever replicates the WAL wants to do that himself
        with contextlib.ExitStack() as around:
            source = self._source(around, in_wal=in_wal)  # first, or `secure` could take it away
            if not in_wal:
                self._patiently(lambda: live.execute("BEGIN IMMEDIATE"))
                # The lock then outlives the transaction under which `secure` looks: nobody writes in between. Not before
                # it is there, or a failed attempt would keep a lock that the writer waits for.
                live.execute("PRAGMA locking_mode=EXCLUSIVE")
                secure()
                self._patiently(lambda: live.execute("COMMIT"))
            pages = source.execute("PRAGMA page_count").fetchone()[0]
            if in_wal and source.execute("PRAGMA page_size").fetchone()[0] != page_size:
                raise SnapshotUnusable(
                    self._snapshot,
                    f"its pages are not of {page_size} bytes, and a database in WAL mode can't take others",
                )
            secured = not in_wal

            def look_up(status: int, remaining: int, total: int) -> None:
                nonlocal secured
                if status == sqlite3.SQLITE_DONE:
                    self.done = True
                elif status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                    self._be_patient()
                    return
                elif status != sqlite3.SQLITE_OK:
                    return  # Python raises it
                elif self._stop.asked():
                    raise Stopped
                if not secured:  # the first pages hold the write lock, and nobody can see them yet
                    secured = True
                    secure()
                tell_phase("putting the snapshot back", total - remaining, total)

            # In WAL the last step commits, so that the first must not be the last.
            source.backup(live, pages=min(PAGES_A_STEP, pages - 1) if in_wal else PAGES_A_STEP, progress=look_up, sleep=SLICE)
            self.done = True
            for question in () if in_wal else ("PRAGMA page_count", "SELECT * FROM sqlite_master"):
                if live.execute(question).fetchall() != source.execute(question).fetchall():
                    raise sqlite3.DatabaseError(f"the database differs from the snapshot that was put back: {question}")

    def _source(self, around: contextlib.ExitStack, *, in_wal: bool) -> sqlite3.Connection:
        """The snapshot to read from: itself, or a copy of it where its shape would change the database's own."""
        with contextlib.closing(open_at_rest(Path(self._snapshot))) as source:
            small = in_wal and source.execute("PRAGMA page_count").fetchone()[0] < 2
        beside = any(os.path.exists(self._snapshot + ending) for ending in ("-wal", "-journal"))
        if not (small or beside or is_in_wal_mode(self._snapshot)):
            return around.enter_context(contextlib.closing(open_at_rest(Path(self._snapshot))))
        try:
            copy = around.enter_context(scratch_copy(self._snapshot, lock_timeout=self._lock_timeout, stop=self._stop))
        except RehearsalFailed as error:
            advice = "Make room, or give write access to the folder of the snapshot."
            raise DatabaseUnusable(self._path, f"a copy of the snapshot is needed first ({error.found})", advice) from error
        with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
            if small:
                connection.executescript("CREATE TABLE filler (a); DROP TABLE filler;")
        return around.enter_context(contextlib.closing(open_at_rest(Path(copy))))

    def _patiently(self, attempt: Callable[[], object]) -> None:
        while True:
            try:
                attempt()
            except sqlite3.Error as error:
                if not is_busy(error):
                    raise
                self._be_patient()
            else:
                return

    def _be_patient(self) -> None:
        """Somebody was in the way: once more, unless it has been too long."""
        if self._stop.asked():
            raise Stopped
        if time.monotonic() >= self._deadline:
            holders = list(dict.fromkeys([*who_holds(self._path), *who_holds(self._path, reading=True)]))
            advice = "Nothing was changed; close the program that uses it, or wait longer."
            raise LockTimeout(self._path, self._lock_timeout, "waiting to put a snapshot back into", advice, holders)
        if not self._told:
            self._told = True
            self._waiting()
