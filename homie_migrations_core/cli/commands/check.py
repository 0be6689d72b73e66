"""`check`: tries packs on scratch databases, for their authors and CI."""

from __future__ import annotations

from collections.abc import Sequence

from homie_migrations_core.authoring.check import Checked, check_pack
from homie_migrations_core.authoring.pack_choice import required_packs
from homie_migrations_core.broken import BrokenPack
from homie_migrations_core.cli.changes import stoppable
from homie_migrations_core.cli.documents import inspection
from homie_migrations_core.cli.options import OutputOptions, PackOptions, ProgressOptions, argument, option
from homie_migrations_core.cli.report import Report
from homie_migrations_core.cli.targets import select_folder
from homie_migrations_core.cli.wording import counted
from homie_migrations_core.errors import NothingInstalled, UnknownPack
from homie_migrations_core.model import Finding
from homie_migrations_core.packs.definition import MigrationPack
from homie_migrations_core.packs.discovery import collect
from homie_migrations_core.packs.registered import Collected


class CheckOptions(PackOptions, ProgressOptions, OutputOptions):
    """The options of `check`."""

    packs: list[str] | None = argument("[PACK]...", help="The packs' names; without one, all of them.", required=False)
    folder: str | None = option("--dir", metavar="FOLDER", help="A folder of migrations in place of an installed pack.")


def check(options: CheckOptions) -> None:
    """Try packs on scratch databases: their files, from nothing, a round trip with data, hazards. Exits with 4 on findings."""
    with Report(options) as report:
        checked: list[Checked] = []
        report.add({"packs": []})  # the list is there, even if an error comes first
        names = tuple(dict.fromkeys([*(options.packs or ()), *(options.pack or ())]))
        collected = collect()
        if options.folder is not None:
            packs = [_folder_pack(options.folder, names)]
        else:
            packs = _installed_packs(collected, names, report, checked)
        for number, pack in enumerate(packs):
            report.phase("check", f"checking {pack.name}", number, len(packs))
            if options.folder is not None:
                others = required_packs(pack, {each.pack.name: each.pack for each in collected.packs})
            else:
                others = _packs_beside(pack, collected)
            with stoppable(report) as stop:
                found = check_pack(pack, others, stop=stop)
            _report_checked(report, found, checked, verbose=options.verbose)


def _folder_pack(folder: str, names: Sequence[str]) -> MigrationPack:
    (target,) = select_folder(folder, None, names, needs_database=False).targets
    assert target.packs is not None  # of a folder they always are
    return target.packs[0]


def _installed_packs(collected: Collected, names: Sequence[str], report: Report, checked: list[Checked]) -> list[MigrationPack]:
    """Return the installed packs of these names, or all of them; report those that can't be checked."""
    known = {each.pack.name: each.pack for each in collected.packs}
    unusable = _packs_with_unusable_files(collected)
    claimed = {*known, *(each.pack for each in collected.broken)}
    if unknown := [name for name in names if name not in claimed]:
        raise UnknownPack(unknown[0], {*known, *unusable})
    report.broken([each for each in collected.broken if each.pack not in unusable and (not names or each.pack in names)])
    if not known and not collected.broken:
        raise NothingInstalled
    for name in sorted(unusable):
        if not names or name in names:
            _report_checked(report, _finding_about_files(name, unusable[name]), checked)
    return [known[name] for name in sorted(known) if not names or name in names]


def _packs_with_unusable_files(collected: Collected) -> dict[str, BrokenPack]:
    """
    Return the broken packs whose files are the reason, by name.

    A pack whose name is taken twice, and an entry point that can't be loaded, is not a pack that can be checked.
    """
    claimed = [each.pack for each in collected.broken]
    return {each.pack: each for each in collected.broken if each.pack and claimed.count(each.pack) == 1}


def _finding_about_files(name: str, broken: BrokenPack) -> Checked:
    advice = "Correct the files; the page about writing migrations has the rules."
    return Checked(name, (), (Finding("file_rules", name, name, f"{broken.reason}.", advice),))


def _packs_beside(pack: MigrationPack, collected: Collected) -> list[MigrationPack]:
    """Return the other installed packs of the same database."""
    return [each.pack for each in collected.packs if each.pack.name != pack.name and each.pack.database == pack.database]


def _report_checked(report: Report, found: Checked, checked: list[Checked], *, verbose: bool = False) -> None:
    checked.append(found)
    report.add({"packs": [inspection.checked_pack(each) for each in checked]})
    unaccepted = [each for each in found.findings if each.accepted is None]
    if unaccepted:
        report.exit_with(4)
    facts = [counted(len(found.migrations), "migration"), counted(len(unaccepted), "finding")]
    if accepted := len(found.findings) - len(unaccepted):
        facts.append(f"{accepted} accepted")
    report.write(f"{found.pack}: {', '.join(facts)}")
    if verbose:
        for ref in found.migrations:
            report.write(f"  checked {ref}")
    for each in found.findings:
        if each.accepted is None:
            report.write(f"  {each.code}: {each.message}")
            report.write(f"    {each.advice}")
        else:
            report.write(f"  accepted, {each.code}: {each.message}")
            report.write(f"    The reason given: {each.accepted}")
    for note in found.notes:
        report.write(f"  note: {note}")
