"""
Keep the file organizer's database on the drive that the environment variable `FILE_TAGS_DRIVE` names.

Without the variable, and for every other database, the usual place is used.
"""

import os
from pathlib import Path

from homie_migrations_core import hookimpl

VARIABLE = "FILE_TAGS_DRIVE"
DATABASE = "homie_file_organizer.db"


@hookimpl
def homie_database_path(database: str) -> Path | None:
    """
    Return the database's place on the drive, `<drive>/homie/<database>`.

    The folder `homie` marks a drive that was set up for this. A drive that is not plugged in often leaves an empty mount
    point behind; without the mark, a new and empty database would be made there.

    Raises:
        FileNotFoundError: The folder is missing. The usual place is no substitute: its database is another one.
    """
    drive = os.environ.get(VARIABLE)
    if not drive or database != DATABASE:
        return None
    folder = Path(drive, "homie")
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}: connect the drive, or make the folder if the drive is new")
    return folder / database
