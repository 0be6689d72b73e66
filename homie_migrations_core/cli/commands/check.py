"""The command for pack authors and CI: check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from homie_migrations_core.authoring.check import Checked, check_pack
from homie_migrations_core.broken import BrokenPack
from homie_migrations_core.cli.options import JsonOption, PackOption, QuietOption, VerboseOption
from homie_migrations_core.cli.output import Report
from homie_migrations_core.cli.signals import SignalStop, stop_on_signals
from homie_migrations_core.cli.targets import select
from homie_migrations_core.errors import NothingInstalled, UnknownPack
from homie_migrations_core.model import Finding
from homie_migrations_core.packs.definition import MigrationPack
from homie_migrations_core.packs.discovery import Collected, collect
from homie_migrations_core.packs.naming import split_ref
from homie_migrations_core.packs.reading import UnusablePack, read_pack

_check = typer.Typer(add_completion=False)
commands = {"check": _check}


@_check.command("check")
def check(
    packs: Annotated[
        list[str] | None, typer.Argument(metavar="[PACK]...", help="The packs' names; without one, all of them.")
    ] = None,
    folder: Annotated[
        str | None, typer.Option("--dir", metavar="FOLDER", help="A folder of migrations in place of an installed pack.")
    ] = None,
    pack: PackOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Try packs on scratch databases: their files, from nothing, a round trip with data, hazards. Exits with 4 on findings."""
    with Report(as_json=as_json, quiet=quiet, verbose=verbose) as report:
        report.about_packs()
        names = tuple(dict.fromkeys([*(packs or ()), *(pack or ())]))
        collected = collect()
        chosen = [_of_folder(folder, names)] if folder is not None else _installed(collected, names, report)
        for each in chosen:
            stop = SignalStop()
            with stop_on_signals(stop):
                try:
                    found = check_pack(each, _others(each, collected, folder=folder is not None), stop=stop)
                finally:
                    if stop.asked():
                        report.exit_with(stop.exit_code)
            report.checked(found, verbose=verbose)


def _of_folder(folder: str, names: Sequence[str]) -> MigrationPack:
    (target,) = select(None, None, list(names), folder, reading_packs=True).targets
    assert target.packs is not None  # of a folder they always are
    return target.packs[0]


def _installed(collected: Collected, names: Sequence[str], report: Report) -> list[MigrationPack]:
    """The installed packs of these names, or all of them; what is wrong with the files of others is said at once."""
    known = {each.pack.name: each.pack for each in collected.packs}
    # A pack whose files can't be used has a name; one of a name that is taken, or of an entry point that fails, is no pack.
    claimed = [each.pack for each in collected.broken]
    unusable = {each.pack: each for each in collected.broken if each.pack and claimed.count(each.pack) == 1}
    broken = [each for each in collected.broken if each.pack not in unusable and (not names or each.pack in names)]
    for name in names:
        if name not in known and name not in claimed:
            raise UnknownPack(name, {*known, *unusable})
    report.broken(broken)
    if not known and not collected.broken:
        raise NothingInstalled
    for name, each in sorted(unusable.items()):
        if not names or name in names:
            report.checked(_with_unusable_files(name, each))
    return [known[name] for name in sorted(known) if not names or name in names]


def _with_unusable_files(name: str, broken: BrokenPack) -> Checked:
    advice = "Correct the files; the rules stand on the page about writing migrations."
    return Checked(name, (), (Finding("file_rules", name, name, f"{broken.reason}.", advice),))


def _others(pack: MigrationPack, collected: Collected, *, folder: bool) -> list[MigrationPack]:
    """The installed packs of the same database; beside a folder, those that it requires."""
    installed = {each.pack.name: each.pack for each in collected.packs if each.pack.name != pack.name}
    if not folder:
        return [each for each in installed.values() if each.database == pack.database]
    needed: dict[str, MigrationPack] = {}
    left = [pack]
    while left:
        try:
            migrations = read_pack(left.pop()).migrations
        except UnusablePack:
            continue
        names = {parts[0] for migration in migrations for ref in migration.requires if (parts := split_ref(ref))}
        for name in sorted(names & installed.keys() - needed.keys()):
            needed[name] = installed[name]
            left.append(installed[name])
    return list(needed.values())
