"""
Where databases lie when no path is given: the data folder, and what plugins say about it. Creates nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

from homie_migrations_core.broken import BrokenPack
from homie_migrations_core.errors import PackBroken
from homie_migrations_core.packs.discovery import in_words
from homie_migrations_core.packs.registered import Collected
from homie_migrations_core.stopping import ends_the_run

ENVIRONMENT = "HOMIE_DATA_DIR"


def data_dir(given: str | os.PathLike[str] | None = None) -> Path:
    """Return the data folder: `given`, else `$HOMIE_DATA_DIR`, else the platform's user data folder for `homie`."""
    if given is not None:
        return Path(os.path.abspath(given))
    if named := os.environ.get(ENVIRONMENT):
        return Path(os.path.abspath(named))
    from platformdirs import user_data_path

    return user_data_path("homie", appauthor=False)


def database_file(database: str, data_dir: Path, collected: Collected) -> tuple[Path, bool]:
    """
    Return where the database of that name lies, and whether a plugin said so. Creates nothing.

    Raises:
        PackBroken: A plugin failed to answer. A guess could create a second, empty database.
    """
    try:
        manager = collected.manager_for(["homie_database_path"])
        answer = manager.hook.homie_database_path(database=database, data_dir=data_dir) if manager else None
        return (data_dir / "modules" / database, False) if answer is None else (Path(answer), True)
    except BaseException as error:
        if ends_the_run(error):
            raise
        reason = f"homie_database_path failed for {database} ({in_words(error)})"
        raise PackBroken([BrokenPack(reason, database=database, entry_point="homie.migrations")]) from error
