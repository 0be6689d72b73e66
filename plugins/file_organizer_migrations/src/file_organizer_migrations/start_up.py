"""
Bring the file organizer's database up to date: where it lies, with which packs, and what must not be missing.

Uses public names of `homie_migrations_core` only, as any other application can.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import homie_migrations_core  # its names load when they are used, here in the thread that does the work
from homie_migrations_core import errors  # each error loads when it is raised

if TYPE_CHECKING:
    from homie_migrations_core import Collected

PACK = "file_organizer"
DATABASE = "homie_file_organizer.db"
DISTRIBUTION = "homie-file-organizer-migrations"


def bring_up_to_date(data_dir: str | os.PathLike[str] | None, lock_timeout: float, should_stop: Callable[[], bool]) -> Path:
    """
    Apply what is pending in the file organizer's database, and return where it lies.

    Raises:
        PackBroken, UnknownPack: The file organizer's own pack cannot be applied. Those of others are left out.
        HomieMigrationsError: As `MigrationRunner.apply`.
    """
    collected = homie_migrations_core.collect()
    _require_own_pack(collected)
    folder = homie_migrations_core.data_dir(data_dir)
    path, _ = homie_migrations_core.database_file(DATABASE, folder, collected)
    runner = homie_migrations_core.MigrationRunner(
        path,
        database=DATABASE,  # a plugin may give the file another name
        collected=collected,
        make_parents=True,
        lock_timeout=lock_timeout,
        should_stop=should_stop,
    )
    runner.apply()
    if unusable := [each for each in runner.left_out if each.pack == PACK]:
        raise errors.PackBroken(unusable)
    return runner.path


def _require_own_pack(collected: Collected) -> None:
    """Refuse to go on without the file organizer's pack: the runner would choose among the other packs."""
    if any(each.pack.name == PACK and each.pack.database == DATABASE for each in collected.packs):
        return
    # An entry point that could not be loaded gives no pack's name, only where it was registered.
    unusable = [
        each
        for each in collected.broken
        if each.pack == PACK or (each.pack is None and (each.entry_point == PACK or each.distribution == DISTRIBUTION))
    ]
    if unusable:
        raise errors.PackBroken(unusable)
    raise errors.UnknownPack(PACK, [each.pack.name for each in collected.packs])
