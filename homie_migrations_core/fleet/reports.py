"""
The report of a fleet: a file with one JSON line for each database, appended as each is done.

A run that is killed leaves whole lines, and at most one that is cut off at the end. Later runs may append to the same file: what
counts is the last line about a database.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from homie_migrations_core.errors import FolderUnusable, ReportUnusable
from homie_migrations_core.fleet.outcomes import Result

_BEGIN = b'{"path": "'  # of every line


class ReportFile:
    """
    A report that is being written. A context manager. A file that holds anything else is left as it is.

    Raises:
        FolderUnusable: The file can't be written.
        ReportUnusable: It holds something else than a report.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.path.abspath(path)
        try:
            # Without a buffer, because one that can't be written would be tried again when the file is closed.
            self._file = open(self.path, "a+b", buffering=0)  # noqa: SIM115  (closed in __exit__)
        except OSError as error:
            raise FolderUnusable(self.path, f"can't be written ({error.strerror})", "Name another file with --report.") from error
        if self._file.tell():
            self._require_report()
            self._file.seek(-1, os.SEEK_END)
            if self._file.read(1) != b"\n":  # a run was killed in the middle of a line
                self._file.write(b"\n")

    def _require_report(self) -> None:
        """Refuse a file that does not begin as a report does, such as a database that was named by mistake."""
        self._file.seek(0)
        if self._file.read(len(_BEGIN)) != _BEGIN:
            self._file.close()
            raise ReportUnusable(self.path)

    def append(self, result: Result) -> None:
        """
        Append the line of one database, and hand it to the system, so that it outlives this process.

        Raises:
            FolderUnusable: It can't be written.
        """
        line = memoryview(json.dumps(as_json(result)).encode("ascii") + b"\n")
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError as error:
            raise FolderUnusable(self.path, f"can't be written ({error.strerror})", "Name another file with --report.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, where: TracebackType | None) -> None:
        self._file.close()


def as_json(result: Result) -> dict[str, Any]:
    """Return a result as an object of JSON: its fields by name, and those of the values inside it."""
    fields = result._asdict()
    return {
        name: [each._asdict() if hasattr(each, "_asdict") else each for each in value] if isinstance(value, tuple) else value
        for name, value in fields.items()
    }


def failed_paths(path: str | os.PathLike[str]) -> list[str]:
    """
    Return the databases whose last line in a report says `failed`, in the order of their first failure.

    Memory grows with the failures only.

    Raises:
        FolderUnusable: The file can't be read.
        ReportUnusable: No line of it is one of a report.
    """
    failed: dict[str, None] = {}
    for found, state in _lines(os.path.abspath(path)):
        if state == "failed":
            failed.setdefault(found)
        else:
            failed.pop(found, None)
    return list(failed)


def _lines(path: str) -> Iterator[tuple[str, str]]:
    whole, others = 0, 0
    try:
        with open(path, "rb") as file:
            for line in file:
                try:
                    found = json.loads(line)
                    database, state = found["path"], found["state"]
                    if not (isinstance(database, str) and isinstance(state, str)):
                        raise TypeError
                except (ValueError, TypeError, KeyError):
                    others += bool(line.strip())  # a run that was killed may have cut its last line off
                    continue
                whole += 1
                yield database, state
    except OSError as error:
        raise FolderUnusable(path, f"can't be read ({error.strerror})", "Name the report of an earlier run.") from error
    if others and not whole:
        raise ReportUnusable(path)
