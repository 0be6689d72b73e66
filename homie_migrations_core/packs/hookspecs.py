"""
The hooks that a distribution can implement, and `hookimpl`, which marks an implementation.

pluggy's project name is `homie_migrations`. The hooks of a distribution are in the module that its entry point in the
group `homie.migrations` names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from pathlib import Path

    from homie_migrations_core.model import Run, Step
    from homie_migrations_core.packs.definition import MigrationPack

PROJECT = "homie_migrations"
PREFIX = "homie_"

hookimpl = pluggy.HookimplMarker(PROJECT)
_hookspec = pluggy.HookspecMarker(PROJECT)


@_hookspec
def homie_migration_packs() -> MigrationPack | list[MigrationPack]:  # type: ignore[empty-body]
    """
    Return the pack, or the packs, that this distribution ships.

    Called each time that entry points are collected, also for `status`: create the value and return it. Open no
    database, read no migration file, and import nothing that takes long.
    """


@_hookspec(firstresult=True)
def homie_database_path(database: str, data_dir: Path) -> Path | None:
    """
    Return where the database file named `database` is, or None to leave the choice to others.

    The first answer wins; without one it is `<data_dir>/modules/<database>`. Create nothing here.
    """


@_hookspec
def homie_run_started(run: Run) -> None:
    """React to the start of a run: `run.plan` is about to be carried out on `run.path`. Nothing has been changed yet."""


@_hookspec
def homie_step_started(run: Run, step: Step) -> None:
    """React to the start of `step`, under the write lock. A connection of your own to the same file would wait for it."""


@_hookspec
def homie_step_progress(run: Run, step: Step, done: int, total: int | None) -> None:
    """React to the progress of `step`, as its `track(...)` reports it; `total` is None where it is not known."""


@_hookspec
def homie_step_finished(run: Run, step: Step) -> None:
    """React to the commit of `step`: it stays, whatever happens next."""


@_hookspec
def homie_step_failed(run: Run, step: Step, error: BaseException) -> None:
    """React to the failure of `step` with `error`. It was undone."""


@_hookspec
def homie_run_finished(run: Run) -> None:
    """React to the end of the run, whether it succeeded or stopped at a failure."""
