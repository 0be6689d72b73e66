"""
Taking, checking and pruning copies through SQLite's own backup call (https://sqlite.org/backup.html).

Never copies the file by other means, and never decides when a copy is due.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from homie_migrations_core.errors import SnapshotFailed
from homie_migrations_core.model import Record
from homie_migrations_core.sqlite.database import SLICE, uri
from homie_migrations_core.stopping import Stopped, StopRequest

FOLDER = "backups"
KEPT = 5
"""How many automatic snapshots of one database stay."""
_AUTOMATIC = ".auto.db"
_TEMPORARY = ".tmp"
_TIME = re.compile(r"\d{8}T\d{6}\.\d{6}Z\.")
_PAGES_A_STEP = 2_000


def take_snapshot(path: str, records: Sequence[Record], now: datetime, stop: StopRequest) -> Path:
    """
    A checked copy of the file as it is, on disk, in the folder `backups` beside it.

    The caller holds the write lock and has written nothing yet, so that nobody can change what is copied.

    Raises:
        SnapshotFailed: It could not be taken whole; nothing of it is left.
    """
    folder = _folder_of(path)
    final = folder / _file_name(path, records, now)
    temporary = final.with_name(final.name + _TEMPORARY)
    try:
        _make_empty(temporary)
        for left in _automatic(path, _AUTOMATIC + _TEMPORARY):
            if left != temporary:  # a killed process left it: who holds the write lock is alone here
                _discard(left)
        source = sqlite3.connect(uri(path, "mode=ro"), timeout=SLICE, uri=True, isolation_level=None)
        try:
            _copy(source, temporary, stop)
            _check(source, temporary)
        finally:
            source.close()
        os.chmod(temporary, os.stat(path).st_mode & 0o7777)
        os.replace(temporary, final)
        _sync_folder(folder)
    except (sqlite3.Error, OSError) as error:
        discard_snapshot(temporary)
        raise SnapshotFailed(path, str(error)) from error
    except BaseException:
        discard_snapshot(temporary)
        raise
    return final


def _folder_of(path: str) -> Path:
    return Path(os.path.realpath(path)).parent / FOLDER


def _name_of(path: str) -> str:
    return os.path.basename(path).removesuffix(".db")  # other endings stay: x.db and x.sqlite may be neighbours


def _file_name(path: str, records: Sequence[Record], now: datetime) -> str:
    """When it was taken and what was applied then, so that a folder listing tells which one to put back."""
    newest: dict[str, int] = {}
    for record in records:
        if record.pack:
            newest[record.pack] = max(record.version, newest.get(record.pack, 0))
    applied = "+".join(f"{pack}-{version}" for pack, version in sorted(newest.items())) or "untracked"
    if len(applied) > 80:
        applied = f"{len(newest)}-packs"
    return f"{_name_of(path)}.{now.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}.{applied}{_AUTOMATIC}"


def _make_empty(target: Path) -> None:
    """An empty file is there, readable by others only once it is whole."""
    while True:
        target.parent.mkdir(exist_ok=True)
        _discard(target)
        with contextlib.suppress(FileNotFoundError):  # a run that failed may take the empty folder away once more
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            return


def _copy(source: sqlite3.Connection, target: Path, stop: StopRequest) -> None:
    def look_up(_status: int, _remaining: int, _total: int) -> None:
        if stop.asked():
            raise Stopped

    copy = sqlite3.connect(uri(os.fspath(target), "mode=rw"), timeout=SLICE, uri=True, isolation_level=None)
    try:
        copy.execute("PRAGMA synchronous=OFF")  # synced once, at the end
        copy.execute("PRAGMA journal_mode=OFF")
        source.execute("BEGIN")  # one read transaction, or a foreign write would start the copy over
        source.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        source.backup(copy, pages=_PAGES_A_STEP, progress=look_up, sleep=SLICE)
        source.execute("ROLLBACK")
    finally:
        copy.close()


def _check(source: sqlite3.Connection, target: Path) -> None:
    """
    The copy is on disk and says the same as its source, or this raises. What is wrong with both is no difference.

    Reading it back overlaps with the sync, on which the time is spent.
    """
    failures: list[OSError] = []
    syncing = threading.Thread(target=_sync_file, args=(target, failures))
    syncing.start()
    try:
        # Nobody else knows this file, so it needs no lock, no -wal and no -shm.
        copy = sqlite3.connect(uri(os.fspath(target), "immutable=1"), timeout=SLICE, uri=True, isolation_level=None)
        try:
            for question in ("PRAGMA page_count", "PRAGMA freelist_count", "SELECT * FROM sqlite_master", "PRAGMA quick_check"):
                answer = _answer(copy, question)
                expected = [("ok",)] if question == "PRAGMA quick_check" else _answer(source, question)
                if answer != expected and answer != _answer(source, question):
                    raise sqlite3.DatabaseError(f"the copy differs from its source: {question} says {str(answer)[:80]}")
        finally:
            copy.close()
    finally:
        syncing.join()
    if failures:
        raise failures[0]


def _answer(connection: sqlite3.Connection, question: str) -> object:
    try:
        return connection.execute(question).fetchall()
    except sqlite3.Error as error:  # a collation or module that only the application knows
        return str(error)


def _sync_file(path: Path, failures: list[OSError]) -> None:
    try:
        descriptor = os.open(path, os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        failures.append(error)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows has no handle for this; NTFS keeps its own journal of names
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def discard_snapshot(snapshot: Path) -> None:
    """The snapshot is gone, and the folder with it if that is empty now."""
    with contextlib.suppress(OSError):
        _discard(snapshot)
        snapshot.parent.rmdir()


def _discard(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def _automatic(path: str, ending: str) -> list[Path]:
    """The automatic files of this database, oldest first; not those of a database whose name begins like its."""
    begin = f"{_name_of(path)}."
    names = [name for name in os.listdir(_folder_of(path)) if name.startswith(begin) and name.endswith(ending)]
    return [_folder_of(path) / name for name in sorted(names) if _TIME.match(name, len(begin))]


def prune_snapshots(path: str) -> None:
    """Of the automatic snapshots of this database only the newest stay. Those taken by hand are not touched."""
    for old in _automatic(path, _AUTOMATIC)[:-KEPT]:
        _discard(old)
