"""
Whether a database is plainly up to date, from one SELECT and a list of file names.

The road of every start-up but the first, so it imports next to nothing. It only ever says a sure yes; for
everything else the runner takes the long road, which reads, explains, waits and changes.
"""

from __future__ import annotations

import os

from homie_migrations_core.packs import naming
from homie_migrations_core.sqlite.database import glance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from homie_migrations_core.broken import BrokenPack
    from homie_migrations_core.packs.discovery import RegisteredPack

_COLUMNS = {"version", "applied_at", "migration_name", "pack", "checksum", "duration_ms", "pack_version"}
_EARLIER_COLUMNS = {"version", "applied_at", "migration_name"}


def is_plainly_up_to_date(path: str, chosen: Sequence[RegisteredPack], broken: Sequence[BrokenPack]) -> bool:
    """Whether nothing is to be done, as far as one SELECT and the file names can tell for sure."""
    from homie_migrations_core.packs.files import UnusablePack, folder_of

    try:
        folders = {each.pack.name: each.folder or folder_of(each.pack.migrations) for each in chosen}
    except UnusablePack:
        return False
    return bool(folders) and not broken and is_up_to_date(path, folders)


def is_up_to_date(path: str, folders: Mapping[str, str]) -> bool:
    """
    True if every file in the folders (by pack name) is recorded in the database, and nothing else of those packs.

    False means only that it has to be looked at more closely. No file of a pack is opened, nothing is written.
    """
    answer = glance(path, "SELECT * FROM main.schema_migrations")
    if answer is None:
        return False
    columns, rows = answer
    names = [column.lower() for column in columns]
    shape = set(names)
    owner = naming.owner_in_file_name(os.path.basename(path)) or (next(iter(folders)) if len(folders) == 1 else None)
    if not (len(names) == len(shape) and (shape == _COLUMNS or (shape == _EARLIER_COLUMNS and owner is not None))):
        return False
    version, name = names.index("version"), names.index("migration_name")
    pack, checksum = (names.index("pack"), names.index("checksum")) if shape == _COLUMNS else (None, None)
    recorded: dict[object, dict[object, object]] = {each: {} for each in folders}
    for row in rows:
        belongs_to = owner if pack is None else row[pack]
        if belongs_to in recorded:
            # Without a checksum a row is that version whatever its name.
            recorded[belongs_to][row[version]] = row[name] if checksum is not None and row[checksum] is not None else None
    for each, folder in folders.items():
        try:
            files, _, problems = naming.sort_files(os.listdir(folder))
        except OSError:
            return False
        if problems or recorded[each].keys() != files.keys():
            return False
        for number, recorded_name in recorded[each].items():
            if recorded_name is not None and recorded_name != naming.stem(files[number]):  # type: ignore[index]
                return False
    return True
