"""
The hooks that a pack author implements, and the marker to do it with.

pluggy's project name is `homie_migrations`. Every hook of a distribution lives in the module that its entry
point in the group `homie.migrations` names.
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
    Hand over the pack, or the packs, that this distribution ships.

    Called once for each collection, also for `status`: build the value and return it. Open no database, read
    no migration file, and import nothing that is dear.
    """


@_hookspec(firstresult=True)
def homie_database_path(database: str, data_dir: Path) -> Path | None:
    """
    Say where the database file named `database` lies, or return None to leave it to others.

    The first answer wins; without one it is `<data_dir>/modules/<database>`. Create nothing here.
    """


@_hookspec
def homie_run_started(run: Run) -> None:
    """Hear that `run.plan` is about to be carried out on `run.path`. Nothing was changed yet."""


@_hookspec
def homie_step_started(run: Run, step: Step) -> None:
    """Hear that `step` begins, under the write lock. A connection of your own to the same file would wait."""


@_hookspec
def homie_step_progress(run: Run, step: Step, done: int, total: int | None) -> None:
    """Hear how far `step` is, as its own `track(...)` says; `total` is None where the end is not known."""


@_hookspec
def homie_step_finished(run: Run, step: Step) -> None:
    """Hear that `step` is committed: it stays, whatever happens next."""


@_hookspec
def homie_step_failed(run: Run, step: Step, error: BaseException) -> None:
    """Hear that `step` failed with `error` and was undone."""


@_hookspec
def homie_run_finished(run: Run) -> None:
    """Hear that the run is over, whether it succeeded or stopped at a failure."""
