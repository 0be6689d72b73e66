"""`status`: the state of every migration."""

from __future__ import annotations

import os

from homie_migrations_core.cli.options import DatabaseOptions, LockOptions, OutputOptions, PackOptions, option
from homie_migrations_core.cli.report import Report
from homie_migrations_core.cli.targets import select
from homie_migrations_core.cli.wording import counted, state_in_words
from homie_migrations_core.packs.naming import time_in_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from homie_migrations_core.model import DatabaseStatus, MigrationStatus, PackStatus

_REFUSED_BY_APPLY = ("ahead", "replaced", "late")


class StatusOptions(DatabaseOptions, PackOptions, LockOptions, OutputOptions):
    """The options of `status`."""

    show_all: bool = option("--all", help="List every migration, not only what is pending or needs attention.")
    check: bool = option("--check", help="Exit with 3 if anything is pending.")


def status(options: StatusOptions) -> None:
    """Show databases, their packs, and the state of the migrations. Changes nothing."""
    with Report(options) as report:
        selection = select(options, options.pack)
        report.broken(selection.broken)
        found: dict[str, DatabaseStatus] = {}
        for target in selection.targets:
            with report.database(target.path) as database:
                each = target.reader(selection, lock_timeout=options.lock_timeout).status()
                found[target.path] = each
                database.add_status(each)
                _set_exit_code(report, each, check=options.check)
        several = len(selection.targets) > 1
        in_order = {path: each for path, each in found.items() if several and _is_in_order(each) and not options.show_all}
        _write_in_order(report, in_order)
        for path, each in found.items():
            if path not in in_order:
                _write_database(report, path, each, show_all=options.show_all, several=several)
        if several:
            _write_totals(report, found.values(), len(selection.targets))
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


def _is_in_order(found: DatabaseStatus) -> bool:
    return {found.state, *(pack.state for pack in found.packs.values())} == {"up_to_date"}


def _write_in_order(report: Report, found: Mapping[str, DatabaseStatus]) -> None:
    """Write the databases that are up to date, a line each, by their folders. They come first: what needs attention is last."""
    folders: dict[str, list[tuple[str, str]]] = {}
    for path, each in found.items():
        packs = ", ".join(f"{pack.name} {pack.current_version}" for pack in each.packs.values())
        folders.setdefault(os.path.dirname(path), []).append((os.path.basename(path), packs))
    for folder, rows in folders.items():
        report.write_state("", "up to date", f" in {folder}:")
        report.table("  ", ("database", "packs and their versions"), rows)


def _write_database(report: Report, path: str, found: DatabaseStatus, *, show_all: bool, several: bool) -> None:
    absent = "" if found.exists else " (not made yet)"
    report.write_state(f"{path}: ", state_in_words(found.state), absent)
    if found.state == "interrupted":
        report.write("  A process that changed it was interrupted. The next `homie migrations apply` rolls that back.")
    several = several or len(found.packs) > 1
    for pack in found.packs.values():
        if several and not show_all and pack.state == "up_to_date":
            report.write_state(f"  {pack.name}: ", state_in_words(pack.state), f", version {pack.current_version}")
        else:
            _write_pack(report, pack, pack.migrations if show_all else _worth_listing(pack), in_full=show_all or not several)


def _write_pack(report: Report, pack: PackStatus, listed: Sequence[MigrationStatus], *, in_full: bool) -> None:
    source = f" ({pack.distribution} {pack.distribution_version})" if pack.distribution and in_full else ""
    of = f" of {pack.latest_version}" if pack.latest_version else ""
    report.write_state(f"  {pack.name}{source}: ", state_in_words(pack.state), f", version {pack.current_version}{of}")
    if pack.reason:
        report.write(f"    {pack.reason}")
    rows = [(state_in_words(each.state), each.name, time_in_words(each.applied_at)) for each in listed]
    report.table("    ", ("state", "migration", "applied at"), rows, headed=in_full)
    if others := len(pack.migrations) - len(listed):
        report.write(f"    and {others:,} more applied (--all lists every migration)")


def _worth_listing(pack: PackStatus) -> Sequence[MigrationStatus]:
    """Return what is pending or needs attention, and the newest applied migration."""
    in_order = [each for each in pack.migrations if each.state == "applied" and not each.problem]
    newest = max(in_order, key=lambda each: each.version, default=None)
    return [each for each in pack.migrations if each is newest or each not in in_order]


def _write_totals(report: Report, found: Collection[DatabaseStatus], databases: int) -> None:
    """Sum up several databases in one line."""
    states: dict[str, int] = {}
    for each in found:
        states[each.state] = states.get(each.state, 0) + 1
    parts = [f"{number:,} {state_in_words(state)}" for state, number in sorted(states.items())]
    if databases > len(found):
        parts.append(f"{databases - len(found):,} with an error")
    pending = sum(each.state in ("pending", "late") for one in found for pack in one.packs.values() for each in pack.migrations)
    report.write(f"{counted(databases, 'database')}: {', '.join(parts)}; {counted(pending, 'migration')} pending")
