"""
`run_migrations` and `arun_migrations`: the one call at an application's start.

The rest of the library is imported only if there is something to do, and nothing of asyncio before it is needed.
"""

from __future__ import annotations

import os

from homie_migrations_core.running.up_to_date import are_up_to_date

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from homie_migrations_core.packs.definition import MigrationPack


def run_migrations(path: str | os.PathLike[str], packs: Sequence[MigrationPack] | None = None, *, backup: bool = True) -> int:
    """
    Bring a database up to date, and return the number of migrations that this call applied.

    Without `packs`, every installed pack of that database is applied. `backup` takes a snapshot before the first change.

    Raises:
        HomieMigrationsError: As `MigrationRunner.apply`; what failed left nothing behind.
    """
    return _bring_up_to_date(path, packs, backup, None)


async def arun_migrations(
    path: str | os.PathLike[str], packs: Sequence[MigrationPack] | None = None, *, backup: bool = True
) -> int:
    """
    Bring a database up to date as `run_migrations` does, in a thread of its own, so that the event loop of asyncio stays free.

    Returns the number of migrations that this call applied. If it is cancelled, the running migration is undone, and
    only then does the call end. The migrations that were committed before it stay.

    Raises:
        asyncio.CancelledError: The call was cancelled, and nothing of it runs any more.
        HomieMigrationsError: As `run_migrations`.
    """
    import threading
    from concurrent.futures import ThreadPoolExecutor
    from contextvars import copy_context

    from homie_migrations_core.event_loop import wait_or_stop

    stop = threading.Event()
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="homie-migrations")
    try:
        # With the caller's context variables, so that what is logged can be attributed to it.
        work = thread.submit(copy_context().run, _bring_up_to_date, path, packs, backup, stop.is_set)
        return await wait_or_stop(work, stop)
    finally:
        thread.shutdown(wait=False)


def _bring_up_to_date(
    path: str | os.PathLike[str],
    packs: Sequence[MigrationPack] | None,
    backup: bool,
    should_stop: Callable[[], bool] | None,
) -> int:
    file = os.path.abspath(os.fspath(path))
    collected = None
    if packs is not None:
        up_to_date = are_up_to_date(file, packs)
    else:
        from homie_migrations_core.packs.discovery import collect  # loads pluggy, which packs of one's own have no need of
        from homie_migrations_core.packs.selection import choose, report_unknown

        collected = collect()
        chosen, broken = choose(file, os.path.basename(file), collected)
        up_to_date = not broken and are_up_to_date(file, [each.pack for each in chosen], [each.folder for each in chosen])
        if up_to_date:
            report_unknown(collected)
    if up_to_date:
        return 0
    from homie_migrations_core.runner import MigrationRunner

    return len(MigrationRunner(path, packs, backup=backup, should_stop=should_stop, collected=collected).apply())
