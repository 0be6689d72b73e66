"""`try_migration`: an author tries one file by hand. Prints what `authoring/trial.py` does."""

from __future__ import annotations

import os
from pathlib import Path

from homie_migrations_core.authoring.trial import try_file
from homie_migrations_core.cli import output
from homie_migrations_core.cli.redirection import log_on_stderr
from homie_migrations_core.errors import HomieMigrationsError
from homie_migrations_core.packs.reading import UnusablePack


def try_migration(file: str | os.PathLike[str]) -> int:
    """
    Try the migration in `file` on a scratch database: its predecessors, apply and verify, rollback, apply again.

    Prints on stdout what it does and returns 0, or prints on stderr what failed and returns 1. The packs that the
    file requires must be installed. No database but the scratch one is opened.
    """
    path = Path(file).resolve()
    try:
        with log_on_stderr():
            try_file(path, output.write_line)
    except (HomieMigrationsError, UnusablePack) as error:
        if isinstance(error, HomieMigrationsError):
            output.error(error)
        else:
            output.write_error(f"Error: {error}")
        return 1
    return 0
