"""`status`: where every migration stands. Also called without Typer, on the fast path of `entry`."""

from __future__ import annotations

from collections.abc import Sequence

from homie_migrations_core.cli.options import DatabaseOptions, LockOptions, OutputOptions, PackOptions, option
from homie_migrations_core.cli.report import DatabaseReport, Report
from homie_migrations_core.cli.targets import select
from homie_migrations_core.cli.wording import counted, state_in_words
from homie_migrations_core.model import DatabaseStatus, MigrationStatus, PackStatus
from homie_migrations_core.packs.naming import time_in_words

_REFUSED_BY_APPLY = ("ahead", "replaced", "late")


class StatusOptions(DatabaseOptions, PackOptions, LockOptions, OutputOptions):
    """The options of `status`."""

    show_all: bool = option("--all", help="List every migration, not only what is pending or needs attention.")
    check: bool = option("--check", help="Exit with 3 if anything is pending.")


def status(options: StatusOptions) -> None:
    """Show packs, databases, and where their migrations stand. Changes nothing."""
    with Report(options) as report:
        selection = select(options, options.pack)
        report.broken(selection.broken)
        found = []
        for target in selection.targets:
            with report.database(target.path) as database:
                each = target.reader(selection, lock_timeout=options.lock_timeout).status()
                found.append(each)
                database.add_status(each)
                _write_database(database, each, show_all=options.show_all)
                _set_exit_code(report, each, check=options.check)
        if len(selection.targets) > 1:
            report.write(_totals(found, len(selection.targets)))
        if not selection.targets and not selection.broken:
            report.write("No installed distribution registers migrations.")


def _set_exit_code(report: Report, found: DatabaseStatus, *, check: bool) -> None:
    states = {each.state for each in found.packs.values()}
    if "broken" in states:
        report.exit_with(1)
    if check and states.intersection(_REFUSED_BY_APPLY):
        report.exit_with(1)
    if check and (found.state in ("new", "interrupted") or "pending" in states):
        report.exit_with(3)


def _write_database(report: DatabaseReport, found: DatabaseStatus, *, show_all: bool) -> None:
    absent = "" if found.exists else " (not made yet)"
    report.write(f"{found.path}: {state_in_words(found.state)}{absent}")
    if found.state == "interrupted":
        report.write("  A process that changed it was interrupted. The next `homie migrations apply` rolls that back.")
    for pack in found.packs.values():
        source = f" ({pack.distribution} {pack.distribution_version})" if pack.distribution else ""
        of = f" of {pack.latest_version}" if pack.latest_version else ""
        report.write(f"  {pack.name}{source}: {state_in_words(pack.state)}, version {pack.current_version}{of}")
        if pack.reason:
            report.write(f"    {pack.reason}")
        listed = pack.migrations if show_all else _worth_listing(pack)
        rows = [(state_in_words(each.state), each.name, time_in_words(each.applied_at)) for each in listed]
        report.table("    ", ("state", "migration", "applied at"), rows)
        if others := len(pack.migrations) - len(listed):
            report.write(f"    and {others:,} more applied (--all lists every migration)")


def _worth_listing(pack: PackStatus) -> Sequence[MigrationStatus]:
    """Return what is pending or needs attention, and the newest applied migration."""
    in_order = [each for each in pack.migrations if each.state == "applied" and not each.problem]
    newest = max(in_order, key=lambda each: each.version, default=None)
    return [each for each in pack.migrations if each is newest or each not in in_order]


def _totals(found: Sequence[DatabaseStatus], databases: int) -> str:
    """Sum up several databases in one line."""
    states: dict[str, int] = {}
    for each in found:
        states[each.state] = states.get(each.state, 0) + 1
    parts = [f"{number:,} {state_in_words(state)}" for state, number in sorted(states.items())]
    if databases > len(found):
        parts.append(f"{databases - len(found):,} with an error")
    pending = sum(each.state in ("pending", "late") for one in found for pack in one.packs.values() for each in pack.migrations)
    return f"{counted(databases, 'database')}: {', '.join(parts)}; {counted(pending, 'migration')} pending"
