"""`new` and `new-pack`: write the files of a pack, for its author."""

from __future__ import annotations

import os
from pathlib import Path

from homie_migrations_core.authoring.importing.importer import Imported, import_folder
from homie_migrations_core.authoring.scaffolding import create_migration, create_pack, folder_of_new_pack
from homie_migrations_core.cli.changes import stoppable
from homie_migrations_core.cli.documents import scaffolding
from homie_migrations_core.cli.options import CommandOptions, OutputOptions, PackArgument, argument, option
from homie_migrations_core.cli.progress import phases_shown
from homie_migrations_core.cli.report import Report
from homie_migrations_core.cli.versions import core_version
from homie_migrations_core.cli.wording import counted
from homie_migrations_core.errors import NotCreated, PackBroken, UnknownPack, UsageProblem
from homie_migrations_core.packs.definition import MigrationPack
from homie_migrations_core.packs.discovery import collect

_INSTALLED_COPIES = frozenset({"site-packages", "dist-packages"})


class TitleArgument(CommandOptions):
    """What a new migration changes."""

    title: str = argument("TITLE", help="What it changes, in a few words; they become the file's name.")


class NewOptions(PackArgument, TitleArgument, OutputOptions):
    """The options of `new`."""

    sql: bool = option("--sql", help="Write a pair of SQL files instead of a Python file.")
    folder: str | None = option(
        "--dir", metavar="FOLDER", help="The folder of the migrations; else that of the pack's editable install."
    )


class NewPackOptions(OutputOptions):
    """The options of `new-pack`."""

    name: str = argument("NAME", help="The pack's name: lower-case letters, digits and _.")
    import_from: str | None = option(
        "--import", metavar="FOLDER", help="Fill it with the SQL migrations of another tool, which stay as they are."
    )


def new(options: NewOptions) -> None:
    """Write the next numbered migration of a pack, for you to fill in."""
    with Report(options) as report:
        MigrationPack(options.pack_name, Path())  # refuses a name that is not valid
        folder = _source_folder(options.pack_name) if options.folder is None else _folder_given(options.folder, "--dir")
        created = create_migration(folder, options.title, sql=options.sql)
        report.add(scaffolding.new_migration(options.pack_name, created))
        for path in created.files:
            report.write(f"wrote {path}")


def new_pack(options: NewPackOptions) -> None:
    """Write a pack that can be installed, in a new folder of its name: migrations, hook, tests, README, CI file."""
    with Report(options) as report:
        here = Path()
        MigrationPack(options.name, here)  # refuses a name that is not valid
        folder = folder_of_new_pack(options.name, here)
        imported = None
        if options.import_from is not None:
            with stoppable(report) as stop, phases_shown(report):
                imported = import_folder(_folder_given(options.import_from, "--import"), options.name, stop)
        files = create_pack(options.name, here, imported.files if imported else None, core_version=core_version())
        report.add(scaffolding.new_pack(options.name, folder, files, imported))
        _report_new_pack(report, folder, files, imported)
        report.write(f"{folder / 'README.md'} says how to go on.")
        if options.name in {each.pack.name for each in collect().packs}:
            report.note(f"A pack named {options.name} is installed already. Two packs of one name are both broken.")


def _folder_given(folder: str, flag: str) -> Path:
    if not folder:  # a shell variable that is not set: the current folder is hardly what was meant
        raise UsageProblem("Nothing was written", f"{flag} is empty", "Name a folder of migrations.")
    return Path(folder)


def _source_folder(pack_name: str) -> Path:
    """
    Return the folder of the sources of an installed pack.

    Raises:
        UnknownPack, PackBroken: There is none that can be used.
        NotCreated: What is installed is a copy of the sources.
    """
    collected = collect()
    for each in collected.packs:
        if each.pack.name == pack_name:
            folder = Path(each.folder)
            if _INSTALLED_COPIES & set(folder.parts):
                advice = "Name the folder of its sources with --dir, or install the pack from them with `pip install -e`."
                raise NotCreated(f"{folder} is an installed copy of {pack_name}, not its sources", advice)
            return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    if broken := [each for each in collected.broken if each.pack == pack_name]:
        raise PackBroken(broken, done="No migration was written")
    raise UnknownPack(pack_name, [each.pack.name for each in collected.packs])


def _report_new_pack(report: Report, folder: Path, files: tuple[Path, ...], imported: Imported | None) -> None:
    report.write(f"wrote {folder}{os.sep}, {counted(len(files), 'file')}")
    if imported is None:
        for path in files:
            report.write(f"  {path}")
        return
    report.write(f"{counted(len(imported.migrations), 'migration')} of {imported.tool}, in their order")
    rows = [(each.name, "" if each.reversible else "no rollback", str(each.original)) for each in imported.migrations]
    report.table("  ", ("migration", "", "made of"), rows)
    for note in imported.notes:
        report.write(f"  note: {note}")
