"""
The options and arguments of the commands, each written down once, with its help.

A command's options are a class whose attributes are declared with `option` and `argument`. `typer_commands` makes
Typer's parameters of such a class, and `entry` makes an argparse parser of the one of `status`: this module imports
neither. What the options mean is decided elsewhere: `targets` knows which databases and packs they select.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Option:
    """One option, or one positional argument if it has no flags."""

    __slots__ = ("choices", "default", "flags", "help", "kind", "metavar", "minimum", "required")

    def __init__(
        self, flags: tuple[str, ...], help_text: str, metavar: str | None, default: object, minimum: int | None, *, required: bool
    ) -> None:
        self.flags, self.help, self.metavar, self.default, self.minimum = flags, help_text, metavar, default, minimum
        self.required = required
        self.choices: tuple[str, ...] = ()
        """The only values that it takes; empty for any."""
        self.kind = ""
        """The annotation of the attribute, as it is written: 'bool', 'list[str] | None', ..."""


def option(*flags: str, help: str, metavar: str | None = None, default: object = None, minimum: int | None = None) -> Any:  # noqa: A002  # as Typer and argparse name it
    """Declare an attribute as an option with these flags."""
    return Option(flags, help, metavar, default, minimum, required=False)


def choice(*flags: str, help: str, choices: tuple[str, ...]) -> Any:  # noqa: A002
    """Declare an attribute as an option that takes one of a few words; the first one is the default."""
    declared = Option(flags, help, "|".join(choices), choices[0], None, required=False)
    declared.choices = choices
    return declared


def argument(metavar: str, *, help: str, required: bool = True, minimum: int | None = None) -> Any:  # noqa: A002
    """Declare an attribute as a positional argument."""
    return Option((), help, metavar, None, minimum, required=required)


class CommandOptions:
    """The values of a command's options; what was not given has its default."""

    def __init__(self, **given: object) -> None:
        for name, declared in self.declared().items():
            setattr(self, name, given.get(name, declared.default))

    @classmethod
    def declared(cls) -> dict[str, Option]:
        """Return the options by attribute name: the class's own first, then those of its bases in their order."""
        found: dict[str, Option] = {}
        for each in cls.__mro__:
            for name, kind in getattr(each, "__annotations__", {}).items():
                declared = vars(each).get(name)
                if isinstance(declared, Option):
                    declared.kind = kind
                    if kind == "bool":
                        declared.default = False
                    found.setdefault(name, declared)
        return found


class OutputOptions(CommandOptions):
    """How a command reports. Every command has these."""

    as_json: bool = option("--json", help="One JSON document on stdout, on failure too.")
    quiet: bool = option("-q", "--quiet", help="Print errors only.")
    verbose: bool = option("-v", "--verbose", help="Print more, and the traceback of an error.")


class ProgressOptions(CommandOptions):
    """How a command reports what it is doing."""

    progress: str = choice(
        "--progress",
        choices=("auto", "json", "none"),
        help="json: events on stderr, one JSON object a line, for programs; none: no bar on a terminal.",
    )


class LockOptions(CommandOptions):
    """How long a command waits for other programs."""

    lock_timeout: float = option(
        "--lock-timeout", metavar="SECONDS", default=30.0, help="How long to wait for others that use the file."
    )


class DatabaseOptions(CommandOptions):
    """Which databases a command is about."""

    database: list[str] | None = option("--database", metavar="PATH", help="A database file. Repeatable.")
    data_dir: str | None = option(
        "--data-dir", metavar="DIR", help="The folder of the databases; else $HOMIE_DATA_DIR, else your data folder."
    )
    folder: str | None = option("--dir", metavar="FOLDER", help="A folder of migrations as the only pack; needs --database.")


class PackOptions(CommandOptions):
    """Which packs a command is about."""

    pack: list[str] | None = option("--pack", metavar="NAME", help="Only this pack. Repeatable.")


class PackArgument(CommandOptions):
    """The one pack a command is about."""

    pack_name: str = argument("PACK", help="The pack's name.")


class PlanOptions(CommandOptions):
    """Which migrations a plan takes in."""

    to: str | None = option("--to", metavar="REF", help="Stop at this migration, pack:3.")
    allow_late: bool = option("--allow-late", help="Also apply late migrations.")


class TransactionOptions(CommandOptions):
    """How a run is divided into transactions."""

    all_or_nothing: bool = option("--all-or-nothing", help="One transaction for each database.")


class RehearseOptions(CommandOptions):
    """Whether a changing command only rehearses."""

    rehearse: bool = option("--rehearse", help="Do it on a throw-away copy only, and report what happens.")


class ConfirmationOptions(CommandOptions):
    """Whether a changing command asks."""

    yes: bool = option("--yes", "-y", help="Answer every question with yes.")


class BackupDirOptions(CommandOptions):
    """Where snapshots are kept."""

    backup_dir: str | None = option(
        "--backup-dir", metavar="DIR", help="An existing folder for the snapshots; else `backups` beside each database."
    )


class SnapshotOptions(BackupDirOptions):
    """Where a changing command keeps its snapshots, and how many."""

    keep: int | None = option(
        "--keep", metavar="N", minimum=0, help="How many automatic snapshots of a database stay after a success. Default: 5."
    )


class BackupOptions(SnapshotOptions):
    """Whether a changing command takes a snapshot first, and where it is kept."""

    no_backup: bool = option("--no-backup", help="Take no snapshot before the first change.")
