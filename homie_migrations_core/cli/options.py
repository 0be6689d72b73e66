"""The options that commands share, as Typer reads them; what they mean is in `scope`."""

from __future__ import annotations

from typing import Annotated

import typer

DatabaseOption = Annotated[list[str] | None, typer.Option("--database", metavar="PATH", help="A database file. Repeatable.")]
DataDirOption = Annotated[
    str | None, typer.Option("--data-dir", metavar="DIR", help="Where databases lie; else $HOMIE_DATA_DIR, else your data folder.")
]
PackOption = Annotated[list[str] | None, typer.Option("--pack", metavar="NAME", help="Only this pack. Repeatable.")]
DirOption = Annotated[
    str | None, typer.Option("--dir", metavar="FOLDER", help="A folder of migrations as the only pack; needs --database.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, on failure too.")]
QuietOption = Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.")]
VerboseOption = Annotated[bool, typer.Option("-v", "--verbose", help="Print more, and the traceback of an error.")]
PackArgument = Annotated[str, typer.Argument(metavar="PACK", help="The pack's name.")]
RehearseOption = Annotated[bool, typer.Option("--rehearse", help="Do it on a throw-away copy only, and say what happens.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Answer every question with yes.")]
NoBackupOption = Annotated[bool, typer.Option("--no-backup", help="Take no snapshot before the first change.")]
LockTimeoutOption = Annotated[
    float, typer.Option("--lock-timeout", metavar="SECONDS", help="How long to wait for others that use the file.")
]
