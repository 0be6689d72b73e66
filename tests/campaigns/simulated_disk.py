"""
Simulate what a disk may hold after a power failure: record the system calls of a process, and build the disk at any of them.

The rules are those that SQLite itself counts on (https://sqlite.org/atomiccommit.html, section 2): what a file held
at its last sync stays; what was written after it may be there, not be there, or be there for some sectors only;
names that were made, changed and removed in a folder are there up to some moment after the folder's last sync.
"""

from __future__ import annotations

import os
import random
import re
import sqlite3
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from campaigns.worker_pool import ROOT

SECTOR = 512
CALLS = (
    "open,openat,creat,write,writev,pwrite64,pwritev,pwritev2,ftruncate,truncate,fallocate,copy_file_range,sendfile,"
    "fsync,fdatasync,sync,syncfs,sync_file_range,unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat,rmdir,link,linkat"
)


class Event(NamedTuple):
    """One system call that succeeded. `since` is the number of calls that had ended when it began."""

    call: str
    path: str
    data: bytes = b""
    number: int = 0
    other: str = ""
    since: int = 0


# --- recording ------------------------------------------------------------------------------------------


def reason_not_to_record() -> str | None:
    """Return why no process can be recorded on this system, or None."""
    try:
        tried = subprocess.run(
            ["strace", "-f", "-o", os.devnull, sys.executable, "-c", ""], check=False, capture_output=True, text=True
        )
    except OSError as error:
        return f"strace can't be run: {error}"
    return f"strace is refused: {tried.stderr[:80]}" if tried.returncode else None


def record(path: Path, pack: Path, setting: str, *, scratch: Path) -> list[Event]:
    """Record what a process that applies the pack does to the folder of the database. Its acknowledgements are the calls `said`."""
    trace, said = scratch / "trace", scratch / "said"
    said.touch()
    strace = ["strace", "-f", "-qq", "-y", "-xx", "-s", "10000000", "-e", "signal=none", "-e", f"trace={CALLS}", "-o", str(trace)]
    command = [*strace, sys.executable, "-W", "error", __file__, str(path), str(pack), str(said), setting]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests"), *sys.path])}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == 0, ended.stderr
    events = read_trace(trace, path.parent, said)
    trace.unlink()
    return events


_LINE = re.compile(r"(\d+) +(?:<\.\.\. (\w+) resumed>(.*)|(\w+)\((.*))")
_PATH = re.compile(r"<((?:\\x[0-9a-f]{2})+)>(\(deleted\))?")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


def _bytes(hexed: str) -> bytes:
    return bytes.fromhex(hexed.replace("\\x", ""))


def read_trace(trace: Path, folder: Path, said: Path) -> list[Event]:
    """Return the events in the folder, and the acknowledgements."""
    events: list[Event] = []
    begun: dict[str, tuple[str, str, int]] = {}
    with trace.open(encoding="ascii") as lines:
        for line in lines:
            match = _LINE.match(line)
            assert match, line[:200]
            process, resumed, rest, call, arguments = match.groups()
            if arguments is not None and arguments.endswith("<unfinished ...>"):
                begun[process] = call, arguments.removesuffix("<unfinished ...>"), len(events)
                continue
            since = len(events)
            if resumed:
                call, arguments, since = begun.pop(process)
                arguments += rest
            event = _event(call, arguments, since, os.fspath(folder), os.fspath(said))
            if event is not None:
                events.append(event)
    return events


def _event(call: str, arguments: str, since: int, folder: str, said: str) -> Event | None:
    given, _, result = arguments.rpartition(") = ")
    if result.startswith(("-1", "?")):
        return None
    texts = [_bytes(each) for each in _TEXT.findall(given)]
    opened = _PATH.search(given)
    on_descriptor = call in ("write", "pwrite64", "ftruncate", "fsync", "fdatasync") or not texts
    path = _bytes(opened[1]) if on_descriptor and opened else texts[0] if texts else b""
    name = os.fsdecode(path)
    if name == said:
        return Event("said", name, texts[-1], since=since) if call == "write" else None
    if (
        not (name == folder or name.startswith(folder + os.sep))
        or name.endswith("-shm")
        or (on_descriptor and opened and opened[2])
    ):
        return None  # the -shm is made again by the next process, and a file without a name is gone
    if call in ("open", "openat", "creat"):
        return Event("create", name, since=since) if "O_CREAT" in given else None
    if call == "pwrite64":
        written, offset = int(result.split()[0]), int(given.rpartition(", ")[2])
        return Event("write", name, texts[-1][:written], offset, since=since)
    if call == "ftruncate":
        return Event("truncate", name, number=int(given.rpartition(", ")[2]), since=since)
    if call in ("fsync", "fdatasync"):
        return Event("sync", name, since=since)
    if call in ("rename", "renameat", "renameat2"):
        return Event("rename", name, other=os.fsdecode(texts[1]), since=since)
    if call in ("unlink", "mkdir", "rmdir"):
        return Event(call, name, since=since)
    raise AssertionError(f"the simulation does not know {call}({given[:200]})")


# --- the disk -------------------------------------------------------------------------------------------


@dataclass
class File:
    """The synced content, and what was written since: (when, offset, data); for a truncation, a length and None."""

    synced: bytearray = field(default_factory=bytearray)
    since: list[tuple[int, int, bytes | None]] = field(default_factory=list)

    def sync(self, until: int) -> None:
        while self.since and self.since[0][0] < until:
            _, number, data = self.since.pop(0)
            _write(self.synced, number, data)

    def after_power_loss(self, chance: random.Random) -> bytes:
        """Return what the file may hold after a power failure."""
        content = bytearray(self.synced)
        luck = chance.choice(("all of it", "nothing of it", "some of it", "some of it"))
        for _, number, data in self.since if luck != "nothing of it" else ():
            fate = "kept" if luck == "all of it" else chance.choice(("kept", "dropped", "torn"))
            if data is None:
                if fate == "kept":
                    _write(content, number, None)
            elif fate == "kept":
                _write(content, number, data)
            elif fate == "torn":
                start = 0
                while start < len(data):
                    end = start + SECTOR - (number + start) % SECTOR
                    if chance.random() < 0.5:
                        _write(content, number + start, data[start:end])
                    start = end
            elif number + len(data) > len(content) and chance.random() < 0.3:  # it has grown, by what the sectors held before
                content += chance.randbytes(number + len(data) - len(content))
        return bytes(content)


def _write(content: bytearray, number: int, data: bytes | None) -> None:
    if data is None:
        del content[number:]
    if len(content) < number:
        content.extend(bytes(number - len(content)))
    if data is not None:
        content[number : number + len(data)] = data


@dataclass
class Folder:
    """The synced names, the present ones, and the changes since: (when, name, what, name that is removed)."""

    synced: dict[str, File | Folder] = field(default_factory=dict)
    now: dict[str, File | Folder] = field(default_factory=dict)
    since: list[tuple[int, str, File | Folder | None, str]] = field(default_factory=list)

    def change(self, when: int, name: str, what: File | Folder | None, *, instead_of: str = "") -> None:
        """Let the name mean `what`, and remove the name `instead_of`, as one step that is on disk as a whole or not at all."""
        change = when, name, what, instead_of
        self.since.append(change)
        _change(self.now, change)

    def sync(self, until: int) -> None:
        while self.since and self.since[0][0] < until:
            _change(self.synced, self.since.pop(0))

    def after_power_loss(self, chance: random.Random, target: Path) -> None:
        """Write what the folder may hold after a power failure into `target`."""
        names = dict(self.synced)
        for change in self.since[: chance.randint(0, len(self.since))]:
            _change(names, change)
        for name, what in names.items():
            if isinstance(what, File):
                (target / name).write_bytes(what.after_power_loss(chance))
            else:
                (target / name).mkdir()
                what.after_power_loss(chance, target / name)


def _change(names: dict[str, File | Folder], change: tuple[int, str, File | Folder | None, str]) -> None:
    _, name, what, instead_of = change
    names.pop(instead_of or name, None)
    if what is not None:
        names[name] = what


class Disk:
    """A disk that carries out the events of a recording one by one."""

    def __init__(self, folder: Path) -> None:
        self._top, self.root, self._now = folder, Folder(), 0
        self.acknowledged = 0
        for each in folder.iterdir():
            assert each.is_file(), "begin with a folder of files"
            self.root.synced[each.name] = self.root.now[each.name] = File(bytearray(each.read_bytes()))

    def _place(self, path: str) -> tuple[Folder, str]:
        folder = self.root
        *above, name = Path(path).relative_to(self._top).parts
        for each in above:
            below = folder.now[each]
            assert isinstance(below, Folder)
            folder = below
        return folder, name

    def carry_out(self, event: Event) -> None:
        self._now += 1
        if event.call == "said":
            self.acknowledged += event.data.count(b".")
            return
        if event.path == os.fspath(self._top):
            assert event.call == "sync", event
            self.root.sync(event.since)
            return
        folder, name = self._place(event.path)
        what = folder.now.get(name)
        when = self._now - 1  # its own number, as `since` counts
        if event.call == "create":
            if what is None:
                folder.change(when, name, File())
        elif event.call == "mkdir":
            folder.change(when, name, Folder())
        elif event.call in ("unlink", "rmdir"):
            folder.change(when, name, None)
        elif event.call == "rename":
            beside, to = self._place(event.other)
            assert beside is folder, event
            folder.change(when, to, what, instead_of=name)
        elif event.call == "sync":
            assert what is not None, event
            what.sync(event.since)
        else:
            assert isinstance(what, File), event
            what.since.append((when, event.number, event.data if event.call == "write" else None))

    def lose_power(self, chance: random.Random, target: Path) -> None:
        """Write what may be left after a power failure now into the empty folder `target`."""
        self.root.after_power_loss(chance, target)


# --- the process that is recorded -------------------------------------------------------------------------


def main(path: str, pack: str, said: str, setting: str) -> None:
    from homie_migrations_core import MigrationPack, MigrationRunner, hookimpl
    from homie_migrations_core.sqlite.guard import GuardedConnection

    acknowledgements = os.open(said, os.O_WRONLY | os.O_APPEND)

    class Acknowledges:
        @hookimpl
        def homie_step_finished(self, run: object, step: object) -> None:
            os.write(acknowledgements, b".")

    if "careless" in setting:
        execute = GuardedConnection.execute_unguarded

        def careless(self: GuardedConnection, sql: str, parameters: object = ()) -> object:
            return execute(self, sql.replace("synchronous=EXTRA", "synchronous=OFF"), parameters)

        GuardedConnection.execute_unguarded = careless  # type: ignore[assignment,method-assign]
    application = None
    if "in use" in setting:
        application = sqlite3.connect(path, isolation_level=None)
        application.execute("PRAGMA synchronous=FULL")
        application.execute("PRAGMA user_version=7")  # now there is a -wal, and its name is on disk
    os.write(acknowledgements, b"begin")
    MigrationRunner(path, [MigrationPack("p", Path(pack))], observers=[Acknowledges()]).apply()
    if application is not None:
        application.close()
    os.close(acknowledgements)


if __name__ == "__main__":
    main(*sys.argv[1:])
