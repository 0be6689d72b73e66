"""
Where databases lie when nobody names a path: the data folder, and what plugins say about it.
"""

from __future__ import annotations

import os
from pathlib import Path

from homie_migrations_core.broken import BrokenPack
from homie_migrations_core.errors import PackBroken
from homie_migrations_core.packs.discovery import Collected, database_path
from homie_migrations_core.packs.files import UnusablePack

ENVIRONMENT = "HOMIE_DATA_DIR"


def data_dir(given: str | os.PathLike[str] | None = None) -> Path:
    """The data folder: `given`, else `$HOMIE_DATA_DIR`, else the platform's user data folder for `homie`. Not made."""
    if given is not None:
        return Path(os.path.abspath(given))
    if named := os.environ.get(ENVIRONMENT):
        return Path(os.path.abspath(named))
    from platformdirs import user_data_path

    return user_data_path("homie", appauthor=False)


def database_file(database: str, data_dir: Path, collected: Collected) -> tuple[Path, bool]:
    """
    Where the database of that name lies, and whether a plugin said so. Nothing is made.

    Raises:
        PackBroken: A plugin failed to say; guessing could make a second, empty database.
    """
    try:
        return database_path(collected.manager, database, data_dir)
    except UnusablePack as error:
        raise PackBroken([BrokenPack(str(error), database=database, entry_point="homie.migrations")]) from error
