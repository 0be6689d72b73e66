"""
A worker process of a fleet: how it begins, when it stops, and that it does not outlive its parent.

The parent decides about Ctrl-C, which reaches every process of a terminal. SIGTERM has the running migration undone and ends
the process. A stop that the parent asks for has the running migration undone, too, and the process stays for its next task.
"""

from __future__ import annotations

import _thread
import logging
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.connection import Connection, wait
from typing import Any

from homie_migrations_core.fleet.outcomes import Result
from homie_migrations_core.fleet.work import Job, run
from homie_migrations_core.stopping import Stopped, StopRequest

_SECONDS_FOR_AN_ANSWER = 0.5  # the pool's own loop sends it, right after the task


class _ProcessStop(StopRequest):
    """A stop that the parent or a signal asked for."""

    def __init__(self) -> None:
        super().__init__(lambda: self.requested)
        self.requested = False

    def ask(self, *_: object) -> None:
        """Ask for it. Where an author's code runs, in the main thread, this raises."""
        self.requested = True
        if self.raising:
            raise Stopped


_stop = _ProcessStop()
_busy = threading.Lock()
"""Held while a task runs, so that this process does not end in the middle of one."""


def begin(stop: Connection, begun: Connection) -> None:
    """Prepare a worker process. The parent writes to `stop`, or is gone when that is closed; `begun` tells it of this process."""
    logging.getLogger("homie_migrations").addHandler(logging.NullHandler())  # or Python prints the warnings of every database
    signal.signal(signal.SIGINT, _on_interrupt)
    signal.signal(signal.SIGTERM, _on_terminate)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    threading.Thread(target=_watch_parent, args=(stop,), daemon=True).start()
    if hasattr(signal, "pthread_sigmask"):  # blocked by the parent, so that none ended this process before
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    begun.send_bytes(b".")
    begun.close()


def run_in_process(job: Job, paths: tuple[str, ...]) -> list[Result]:
    """Do the job to each database, until a stop is asked for. After that, give all of them back."""
    if _stop.requested:  # this process may be about to end, and must take nothing with it
        return []
    with _busy:
        return run(job, paths, stop=_stop)


def _on_interrupt(_number: int, _frame: Any) -> None:
    if _stop.requested:  # else it is Ctrl-C on the terminal, and the parent will say what is to be done
        _stop.ask()


def _on_terminate(_number: int, _frame: Any) -> None:
    threading.Thread(target=_end, daemon=True).start()
    _stop.ask()


def _watch_parent(stop: Connection) -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None  # a pool has started this process
    wait([stop, parent.sentinel])
    _stop.requested = True
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)  # interrupts a call that waits, too
    else:
        _thread.interrupt_main()
    parent.join()
    _end()


def _end() -> None:
    """End this process; the pool's own loop would wait for ever for the tasks of a parent that is gone."""
    if not _busy.acquire(blocking=False):
        _busy.acquire()
        time.sleep(_SECONDS_FOR_AN_ANSWER)
    os._exit(1)
