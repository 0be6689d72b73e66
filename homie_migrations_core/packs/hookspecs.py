"""
The hooks that a distribution can implement, and `hookimpl`, which marks an implementation.

pluggy's project name is `homie_migrations`. The hooks of a distribution are in the module that its entry point in the
group `homie.migrations` names. The marks are those that pluggy's own markers make; importing pluggy for them would cost the
start of an application more than everything else that it needs.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    import pluggy

    from homie_migrations_core.model import Run, Step
    from homie_migrations_core.packs.definition import MigrationPack

PROJECT = "homie_migrations"
PREFIX = "homie_"
IMPLEMENTATION_MARK = f"{PROJECT}_impl"
_SPECIFICATION_MARK = f"{PROJECT}_spec"

if TYPE_CHECKING:
    hookimpl = pluggy.HookimplMarker(PROJECT)
    _hookspec = pluggy.HookspecMarker(PROJECT)
else:

    def hookimpl(
        function: Callable[..., Any] | None = None,
        hookwrapper: bool = False,
        optionalhook: bool = False,
        tryfirst: bool = False,
        trylast: bool = False,
        specname: str | None = None,
        wrapper: bool = False,
    ) -> Callable[..., Any]:
        """
        Mark a function as the implementation of the hook of the same name, as `pluggy.HookimplMarker("homie_migrations")` does.

        Used as `@hookimpl`, or with options as `@hookimpl(tryfirst=True)`: https://pluggy.readthedocs.io describes them.
        """

        def mark(marked: Callable[..., Any]) -> Callable[..., Any]:
            options = {
                "wrapper": wrapper,
                "hookwrapper": hookwrapper,
                "optionalhook": optionalhook,
                "tryfirst": tryfirst,
                "trylast": trylast,
                "specname": specname,
            }
            setattr(marked, IMPLEMENTATION_MARK, options)
            return marked

        return mark if function is None else mark(function)

    def _hookspec(function: Callable[..., Any] | None = None, firstresult: bool = False) -> Callable[..., Any]:
        """Mark a function as the specification of a hook."""

        def mark(marked: Callable[..., Any]) -> Callable[..., Any]:
            options = {"firstresult": firstresult, "historic": False, "warn_on_impl": None, "warn_on_impl_args": None}
            setattr(marked, _SPECIFICATION_MARK, options)
            return marked

        return mark if function is None else mark(function)


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
