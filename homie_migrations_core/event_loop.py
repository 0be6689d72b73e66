"""
Wait in an event loop of asyncio for work that runs in a thread, and stop that work when it is no longer awaited.

What the work is, and in which thread it runs, is decided by the caller.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from typing import TypeVar

from homie_migrations_core.errors import RunStopped

_log = logging.getLogger("homie_migrations")
_T = TypeVar("_T")


async def wait_or_stop(future: Future[_T], stop: threading.Event | None = None) -> _T:
    """
    Return the result of a thread's work. If this is cancelled, set `stop` and wait until the work has ended.

    `future` is what an executor's `submit` returns, and `stop` is what the work looks at:
    `MigrationRunner(path, should_stop=stop.is_set)`. Work that has not begun is given up at once. Without `stop`, the
    work is waited for and not stopped. The event loop is free meanwhile. Await this where the work is submitted: a task
    that is cancelled before its first step stops nothing.

    Raises:
        asyncio.CancelledError: This was cancelled. The work has ended; if it failed while it was stopped, that is logged.
    """
    waiter = asyncio.wrap_future(future)
    cancelled: asyncio.CancelledError | None = None
    try:
        while not waiter.done():
            try:
                await asyncio.wait([waiter])
            except asyncio.CancelledError as error:  # perhaps not for the first time: what runs must be undone all the same
                cancelled = error
                if stop is not None:
                    stop.set()
                    future.cancel()
    finally:
        if stop is not None and not future.done():
            stop.set()  # the event loop was closed without cancelling its tasks, so nothing awaits it
    if cancelled is None:
        return waiter.result()
    failure = None if waiter.cancelled() else waiter.exception()
    if failure is not None and not isinstance(failure, RunStopped):
        _log.warning("The work that was cancelled failed: %s", failure)
    raise cancelled
