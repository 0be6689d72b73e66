"""
Throw-away copies of a database, which are removed afterwards: at once, or by the next copy if the process is killed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from homie_migrations_core.errors import RehearsalFailed
from homie_migrations_core.progress import COPYING
from homie_migrations_core.sqlite.copying import NoRoom, copy_database, find_damage, side_by_side
from homie_migrations_core.sqlite.guarded_transaction import Refused
from homie_migrations_core.sqlite.integrity import Problems, find_problems
from homie_migrations_core.sqlite.reader import read
from homie_migrations_core.stopping import StopRequest

_IN_USE = "in_use"


@contextlib.contextmanager
def scratch_copy(path: str, *, lock_timeout: float, stop: StopRequest) -> Iterator[str]:
    """
    Make a copy of the database for this process alone, and remove it at the end of the `with` block.

    The copy lies beside the database, whose disk is the one that must have room, or in the folder for temporary files if
    no file can be made there. If there is no database, the path names no file. The database is only read.

    Raises:
        RehearsalFailed: There is no room, or no folder, for a copy.
        LockTimeout, DatabaseUnusable, DatabaseInterrupted, Stopped: As for `reader.read`.
    """
    with _folder(path) as folder:
        copy = folder / os.path.basename(path)

        def take(source: sqlite3.Connection) -> None:
            copy.unlink(missing_ok=True)
            copy.touch(0o600)
            copy_database(source, copy, stop, COPYING)

        if os.path.exists(path):
            try:
                read(path, take, lock_timeout=lock_timeout, stop=stop)
            except (NoRoom, OSError) as error:
                raise RehearsalFailed(path, str(error)) from error
        yield os.fspath(copy)


@contextlib.contextmanager
def _folder(path: str) -> Iterator[Path]:
    """Make a folder for this process alone, and lock it with a lock of SQLite, which ends with the process."""
    beside = os.path.dirname(os.path.realpath(path))
    prefix = f".{os.path.basename(path)}.rehearsal-"
    places = [place for place in (beside, tempfile.gettempdir()) if os.access(place, os.W_OK | os.X_OK)]
    if not places:
        raise RehearsalFailed(path, f"neither {beside} nor {tempfile.gettempdir()} can be written")
    for place in places:
        _sweep(place, prefix)
    with contextlib.ExitStack() as around:
        while True:
            folder = Path(tempfile.mkdtemp(prefix=prefix, dir=places[0]))
            try:
                lock = _lock(folder)
            except sqlite3.Error:  # another process removes it: it looked like a leftover until it was locked
                continue
            if not (folder / _IN_USE).exists():  # or has just done so
                lock.close()
                continue
            around.callback(shutil.rmtree, folder, ignore_errors=True)
            around.callback(lock.close)
            break
        yield folder


def _lock(folder: Path) -> sqlite3.Connection:
    lock = sqlite3.connect(folder / _IN_USE, timeout=0.0, isolation_level=None)
    try:
        lock.execute("PRAGMA journal_mode=OFF")
        lock.execute("BEGIN EXCLUSIVE")
    except BaseException:
        lock.close()
        raise
    return lock


def _sweep(place: str, prefix: str) -> None:
    """Remove the folders of processes that were killed."""
    with contextlib.suppress(OSError):
        for name in os.listdir(place):
            if name.startswith(prefix):
                folder = Path(place) / name
                try:
                    lock = _lock(folder)
                except sqlite3.Error:
                    continue
                # While it is locked, so that a process that was about to use it finds that it is not there any more.
                gone = folder.with_name(f"{folder.name}-gone")
                try:
                    folder.rename(gone)
                except OSError:  # Windows keeps what is open
                    lock.close()
                    gone = folder
                shutil.rmtree(gone, ignore_errors=True)
                lock.close()


def examine(copy: str, stop: StopRequest) -> tuple[str, Problems]:
    """
    Return what is damaged in a scratch copy, in SQLite's words, and the problems of its keys, views and triggers.

    Raises:
        Stopped: A stop was asked for.
    """

    def opened() -> sqlite3.Connection:
        return sqlite3.connect(copy, isolation_level=None, check_same_thread=False)

    with contextlib.closing(opened()) as one, contextlib.closing(opened()) as other:

        def interrupt() -> None:
            one.interrupt()
            other.interrupt()

        def keys() -> object:
            try:
                return find_problems(one)
            except sqlite3.Error as error:
                return error

        _, problems, damage = side_by_side(stop, [lambda: None, keys, lambda: find_damage(other)], interrupt)
    if isinstance(problems, sqlite3.Error):
        return str(damage) or str(problems), Problems()
    assert isinstance(problems, Problems)
    return str(damage), problems


def peak_beside(copy: str) -> int:
    """Return the size of a scratch copy's journal or WAL, which keeps its greatest size there, in bytes."""
    return max((os.path.getsize(copy + ending) for ending in ("-journal", "-wal") if os.path.exists(copy + ending)), default=0)


# --- the real file ----------------------------------------------------------------------------------------

_WATCHED = {"sqlite3.connect": 1, "open": 1, "os.truncate": 1, "os.remove": 1, "os.rename": 2}
"""Audit events of Python, and how many of their first arguments are paths."""
_off_limits: dict[int, str] = {}
_watching: list[bool] = []


@contextlib.contextmanager
def off_limits(path: str) -> Iterator[None]:
    """
    Keep this thread from opening the file in the `with` block: a migration with a connection of its own would change the original.

    Python's audit hooks (PEP 578) are called for each file that is opened. They can't be removed again, so there is one, which does
    nothing outside of such a block.
    """
    if not _watching:
        _watching.append(True)
        sys.addaudithook(_look)
    _off_limits[threading.get_ident()] = path
    try:
        yield
    finally:
        del _off_limits[threading.get_ident()]


def _look(event: str, facts: tuple[object, ...]) -> None:
    if event not in _WATCHED or not _off_limits:
        return
    real = _off_limits.get(threading.get_ident())
    if real is None or (event == "open" and not _writes(facts)):
        return
    for named in facts[: _WATCHED[event]]:
        if isinstance(named, str | bytes | os.PathLike) and _is_same(os.fsdecode(named), real):
            raise Refused(f"a rehearsal must not open the real database {real}: use the `conn` that the migration is given")


def _is_same(text: str, real: str) -> bool:
    if text.startswith("file:"):
        text = unquote(text.removeprefix("file:").partition("?")[0])
        if text.startswith("//"):
            text = "/" + text.removeprefix("//").partition("/")[2]  # without the host's name
    return os.path.realpath(text) == os.path.realpath(real) or (
        os.path.exists(text) and os.path.exists(real) and os.path.samefile(text, real)
    )


def _writes(facts: tuple[object, ...]) -> bool:
    return len(facts) > 2 and isinstance(facts[2], int) and bool(facts[2] & (os.O_WRONLY | os.O_RDWR))
