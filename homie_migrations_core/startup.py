"""
`run_migrations`: the one call at an application's start. Loads the rest of the library only if there is something to do.
"""

from __future__ import annotations

import os

from homie_migrations_core.packs.discovery import collect
from homie_migrations_core.packs.selection import choose, handed_in, report_unknown
from homie_migrations_core.running.up_to_date import are_packs_up_to_date

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from homie_migrations_core.packs.definition import MigrationPack


def run_migrations(path: str | os.PathLike[str], packs: Sequence[MigrationPack] | None = None, *, backup: bool = True) -> int:
    """
    Bring a database up to date, and return the number of migrations that this call applied.

    Without `packs`, every installed pack of that database is applied. `backup` takes a snapshot before the first change.

    Raises:
        HomieMigrationsError: As `MigrationRunner.apply`; what failed left nothing behind.
    """
    file = os.path.abspath(os.fspath(path))
    if packs is None:
        collected = collect()
        chosen, broken = choose(file, os.path.basename(file), collected)
    else:
        collected, (chosen, broken) = None, handed_in(packs)
    if are_packs_up_to_date(file, chosen, broken):
        if collected is not None:
            report_unknown(collected)
        return 0
    from homie_migrations_core.runner import MigrationRunner

    return len(MigrationRunner(path, packs, backup=backup, collected=collected).apply())
