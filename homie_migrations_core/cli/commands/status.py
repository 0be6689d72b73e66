"""
`status`: where every migration stands. Knows nothing of Typer, so that the fast way in can call it.
"""

from __future__ import annotations

from homie_migrations_core.cli.output import Report
from homie_migrations_core.cli.targets import select

_REFUSED_BY_APPLY = ("ahead", "replaced", "late")


def show_status(
    *,
    database: list[str] | None = None,
    data_dir: str | None = None,
    pack: list[str] | None = None,
    folder: str | None = None,
    check: bool = False,
    lock_timeout: float = 30.0,
    as_json: bool = False,
    quiet: bool = False,
    verbose: bool = False,
) -> None:
    """
    Print where everything stands, and end with the exit code that says so.

    Raises:
        SystemExit: Always, with the exit code.
    """
    with Report(as_json=as_json, quiet=quiet, verbose=verbose) as report:
        scope = select(database, data_dir, pack, folder)
        report.broken(scope.broken)
        for target in scope.targets:
            with report.database(target.path) as entry:
                found = target.runner(scope, lock_timeout=lock_timeout).status()
                entry.status(found)
                states = {each.state for each in found.packs.values()}
                if "broken" in states:
                    report.exit_with(1)
                if check and states.intersection(_REFUSED_BY_APPLY):
                    report.exit_with(1)
                if check and (found.state in ("new", "interrupted") or "pending" in states):
                    report.exit_with(3)
        if not scope.targets and not scope.broken:
            report.say("No installed distribution registers migrations.")
