"""
Report how far a run is to a listener: a migration's progress with `track`, the runner's own work with `tell_phase`.

What somebody should know before such work is reported with `tell_note`. What a listener does with all that is left to
`running/` and `cli/`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    T = TypeVar("T")

_listener: ContextVar[Callable[[int, int | None], None] | None] = ContextVar("homie_step_progress", default=None)
_SECONDS_BETWEEN = 0.1


def track(items: Iterable[T], total: int | None = None) -> Iterator[T]:
    """
    Yield the items, and report how many are done, a few times a second and at the end.

    `total` is their number; by default it is `len(items)` where that works. Outside a run nothing is reported.
    """
    listener = _listener.get()
    if total is None and isinstance(items, Sized):
        total = len(items)
    told, done = time.monotonic(), 0
    for done, item in enumerate(items, start=1):
        yield item
        if listener is not None and time.monotonic() - told >= _SECONDS_BETWEEN:
            told = time.monotonic()
            listener(done, total)
    if listener is not None:
        listener(done, total)


class Listening:
    """A context in which `listener` is called with what `track` reports. A class, because `contextlib` takes twice the time."""

    __slots__ = ("_heard", "_token")

    def __init__(self, listener: Callable[[int, int | None], None]) -> None:
        self._heard = listener

    def __enter__(self) -> None:
        self._token = _listener.set(self._heard)

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        _listener.reset(self._token)


COPYING = "copying the database"
SNAPSHOT = "taking a snapshot"
RESTORING = "restoring the snapshot"
WAITING = "waiting for"
"""What the runner itself does; behind `WAITING` it is said for whom."""

_phases: ContextVar[Callable[[str, int | None, int | None], None] | None] = ContextVar("homie_phases", default=None)


def tell_phase(what: str, done: int | None = None, total: int | None = None) -> None:
    """Report what the runner itself is doing, and how far it is."""
    if (listener := _phases.get()) is not None:
        listener(what, done, total)


_notes: ContextVar[Callable[[str], None] | None] = ContextVar("homie_notes", default=None)


def tell_note(text: str) -> None:
    """Report what somebody who waits should know, as one sentence."""
    if (listener := _notes.get()) is not None:
        listener(text)


@contextmanager
def hearing_phases(
    listener: Callable[[str, int | None, int | None], None], note: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Call `listener` with what `tell_phase` reports in this thread while the `with` block runs, and `note` for `tell_note`."""
    tokens = _phases.set(listener), _notes.set(note)
    try:
        yield
    finally:
        _phases.reset(tokens[0])
        _notes.reset(tokens[1])
