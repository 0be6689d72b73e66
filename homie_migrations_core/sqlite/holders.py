"""
Which processes keep a database locked. Known on Linux only, and only for processes of this machine.

SQLite's locks are ranges of bytes (https://sqlite.org/fileformat2.html, "the lock-byte page", and
https://sqlite.org/walformat.html, section 2.3.1); the kernel lists who holds which.
"""

from __future__ import annotations

import os

from homie_migrations_core.logs import log as _log
from homie_migrations_core.progress import WAITING, tell_phase

_LIST = "/proc/locks"
_PENDING, _LAST = 0x40000000, 0x40000000 + 511
_WAL_WRITE, _WAL_LAST = 120, 127


def who_holds(path: str, *, reading: bool = False) -> list[str]:
    """
    Return the other processes that write to the file, or with `reading` those that read it; none if it can't be known.

    Each is a phrase with the process's number and its command line, whose text is taken as it is. Opens neither the file
    nor what lies beside it: that would drop locks of this process.
    """
    try:
        with open(_LIST, encoding="ascii") as locks:
            lines = [line.split() for line in locks if " POSIX " in line]
    except OSError:
        return []
    # In WAL mode, whoever has the file open keeps a lock on it, and reads only under one of the locks of the -shm file.
    in_wal = os.path.exists(path + "-shm")
    ranges = {_identity(path + "-shm"): (_WAL_WRITE, _WAL_LAST)} if in_wal else {_identity(path): (_PENDING, _LAST)}
    found: dict[int, None] = {}
    for line in lines:
        # number, POSIX, ADVISORY, WRITE, process, device:inode, first byte, last byte; "->" marks one that waits
        if len(line) < 8 or line[1] == "->" or line[5] not in ranges:
            continue
        first, last = ranges[line[5]]
        begin = int(line[6])
        # A reader of a WAL holds one of the bytes after the writer's, and may hold it for writing for a moment.
        is_reader = line[3] == "READ" or (begin > _WAL_WRITE and last == _WAL_LAST)
        if first <= begin <= last and is_reader == reading and int(line[4]) > 0:
            found[int(line[4])] = None
    found.pop(os.getpid(), None)
    return [_in_words(process) for process in found]


def _identity(path: str) -> str:
    try:
        stat = os.stat(path)
    except OSError:
        return ""
    return f"{os.major(stat.st_dev):02x}:{os.minor(stat.st_dev):02x}:{stat.st_ino}"


def _in_words(process: int) -> str:
    try:
        with open(f"/proc/{process}/cmdline", encoding="utf-8", errors="replace") as line:
            command = " ".join(line.read().replace("\0", " ").split())
    except OSError:
        command = ""
    return f"process {process} ({command[:80]})" if command else f"process {process}"


def tell_waiting(path: str, *, readers: bool = False) -> None:
    """Log and report as a phase that this run waits for another process, and for which, as far as the system tells."""
    found = [*who_holds(path), *(who_holds(path, reading=True) if readers else [])]
    holders = " and ".join(dict.fromkeys(found)) or "another process"
    sentence = "Waiting for %s, which uses %s." if readers else "Waiting for %s, which writes to %s."
    _log.info(sentence, holders, path, extra={"database": path})
    tell_phase(f"{WAITING} {holders}")
