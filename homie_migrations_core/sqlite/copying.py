"""
Copying a database with SQLite's backup call (https://sqlite.org/backup.html), and checking the copy.

Never copies the file by other means. What the copy is for is up to others.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from homie_migrations_core.packs.naming import size_in_words
from homie_migrations_core.progress import tell_note, tell_phase
from homie_migrations_core.sqlite.database import SLICE, uri
from homie_migrations_core.sqlite.integrity import only_the_application_knows
from homie_migrations_core.stopping import Stopped, StopRequest

_log = logging.getLogger("homie_migrations")

LARGE = 100_000_000
"""The size in bytes from which on a copy reports how much space it needs."""
SMALL = 4_000_000
"""The size in bytes up to which a copy is synced and checked in the thread that asks for it: starting two others takes longer."""
PAGES_A_STEP = 2_000
"""How many pages are copied between two looks at whether to stop."""
# What quick_check finds in the rows of a sound file; the rest of its findings is damage.
_ABOUT_ROWS = ("CHECK constraint failed", "NULL value in", "TEXT value in", "NUMERIC value in", "non-")


class NoRoom(Exception):
    """There is less free space than the copy needs."""


def copy_database(source: sqlite3.Connection, target: Path, stop: StopRequest, doing: str = "") -> None:
    """
    Copy the state of `source` at this moment into `target`, an empty file, without waiting until it is on disk.

    Reports the space that is needed and free, and its progress, as the phase `doing`, if there is one. `source` must not be in
    a transaction.

    Raises:
        Stopped: A stop was asked for.
        NoRoom, sqlite3.Error, OSError: It could not be copied. `target` is left to the caller.
    """

    def look_up(_status: int, remaining: int, total: int) -> None:
        if stop.asked():
            raise Stopped
        if doing:
            tell_phase(doing, total - remaining, total)

    source.execute("BEGIN")  # one read transaction, or a foreign write would start the copy over
    try:
        needed = size_of(source)
        if (free := shutil.disk_usage(target.parent).free) < needed:
            raise NoRoom(f"{size_in_words(needed)} are needed in {target.parent}, and {size_in_words(free)} are free")
        if doing:
            _tell_space(f"{doing}: {size_in_words(needed)} are needed in {target.parent}, {size_in_words(free)} are free", needed)
        copy = sqlite3.connect(uri(os.fspath(target), "mode=rw"), timeout=SLICE, uri=True, isolation_level=None)
        try:
            copy.execute("PRAGMA synchronous=OFF")  # synced once, at the end, if at all
            copy.execute("PRAGMA journal_mode=OFF")
            source.backup(copy, pages=PAGES_A_STEP, progress=look_up, sleep=SLICE)
        except sqlite3.OperationalError as error:
            if (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF != sqlite3.SQLITE_FULL:
                raise
            raise NoRoom(f"the disk of {target.parent} is full") from error
        finally:
            copy.close()
    finally:
        if source.in_transaction:
            source.execute("ROLLBACK")


def _tell_space(text: str, needed: int) -> None:
    _log.info("%s", text, extra={"told": needed >= LARGE})
    if needed >= LARGE:
        tell_note(text)


def size_of(connection: sqlite3.Connection) -> int:
    """Return the bytes of a database's pages, those in its WAL included."""
    pages, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    return int(pages) * int(size)


def sync_and_check(source: sqlite3.Connection, target: Path, stop: StopRequest) -> bool:
    """
    Wait until the copy is on disk, check that it equals its source, and return whether both are sound.

    Damage that both have does not count as a difference. Reading a large copy back overlaps with the sync.

    Raises:
        Stopped: A stop was asked for.
        sqlite3.Error, OSError: It differs, or could not be written.
    """
    # No other program knows this file, so it needs no lock, no -wal and no -shm.
    with contextlib.closing(open_at_rest(target)) as copy:
        for question in ("PRAGMA page_count", "PRAGMA freelist_count", "SELECT * FROM sqlite_master"):
            if (answer := _answer(copy, question)) != _answer(source, question):
                raise sqlite3.DatabaseError(f"the copy differs from its source: {question} says {str(answer)[:80]}")
        if stop.asked():
            raise Stopped
        if os.path.getsize(target) <= SMALL:
            failure: object = _sync_file(target)
            damage: object = find_damage(copy)
            if stop.asked():
                raise Stopped
        else:
            failure, damage = side_by_side(stop, [lambda: _sync_file(target), lambda: find_damage(copy)], copy.interrupt)
        if damage and find_damage(source) != damage:
            raise sqlite3.DatabaseError(f"the copy differs from its source: {str(damage)[:200]}")
    if isinstance(failure, OSError):
        raise failure
    return not damage


def side_by_side(stop: StopRequest, jobs: Sequence[Callable[[], object]], interrupt: Callable[[], None]) -> list[object]:
    """
    Run each job in a thread of its own, so that this one can react to a signal, and return their results.

    They must not raise. All but the first are waited for in any case, after a call of `interrupt` if necessary.

    Raises:
        Stopped: A stop was asked for.
    """
    if stop.asked():  # they may be done before anybody looks
        raise Stopped
    results: list[object] = [None] * len(jobs)

    def work(number: int) -> None:
        results[number] = jobs[number]()

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(len(jobs))]
    for number, thread in enumerate(threads):
        try:
            thread.start()
        except RuntimeError:  # the system has none left: then one after the other
            work(number)
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(SLICE)
                if stop.asked():
                    raise Stopped
    finally:
        for thread in threads[1:]:
            if thread.is_alive():
                interrupt()
                thread.join()
    return results


def open_at_rest(path: Path) -> sqlite3.Connection:
    """Connect to a file that no other connection writes to, without a lock and without a file beside it. For any thread."""
    return sqlite3.connect(
        uri(os.fspath(path), "mode=ro&immutable=1"), timeout=SLICE, uri=True, isolation_level=None, check_same_thread=False
    )


def find_damage(connection: sqlite3.Connection) -> str:
    """Return what is wrong with the file itself, in SQLite's words; not with its rows, nor what only the application knows."""
    try:
        found = [str(row[0]) for row in connection.execute("PRAGMA quick_check").fetchall()]
    except sqlite3.Error as error:
        return "" if only_the_application_knows(error) else str(error)
    return "; ".join(each for each in found if each != "ok" and not each.startswith(_ABOUT_ROWS))


def _answer(connection: sqlite3.Connection, question: str) -> object:
    try:
        return connection.execute(question).fetchall()
    except sqlite3.Error as error:
        return str(error)


def _sync_file(path: Path) -> OSError | None:
    try:
        descriptor = os.open(path, os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        return error
    return None


def sync_folder(folder: str | Path) -> None:
    """Wait until the names in the folder are on disk."""
    if os.name == "nt":
        return  # Windows has no handle for this; NTFS keeps its own journal of names
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
