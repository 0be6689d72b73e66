"""
Fast check for the common case of a start-up: nothing to do. False means "not sure", never "pending".

It reads one SELECT and lists the packs' folders, and imports very little. When it is not sure, `MigrationRunner` looks
closely: it reads, explains, waits and changes.
"""

from __future__ import annotations

import os

from homie_migrations_core.packs import naming
from homie_migrations_core.sqlite.database import glance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from homie_migrations_core.packs.definition import MigrationPack

_COLUMNS = {"version", "applied_at", "migration_name", "pack", "checksum", "duration_ms", "pack_version"}
_EARLIER_COLUMNS = {"version", "applied_at", "migration_name"}


def are_up_to_date(path: str, packs: Sequence[MigrationPack], found: Sequence[str] = ()) -> bool:
    """Tell whether there are packs and all are applied for sure; `found` holds their folders, if they are known."""
    from homie_migrations_core.packs.files import UnusablePack, folder_of

    try:
        folders = dict(zip((each.name for each in packs), found or [folder_of(each.migrations) for each in packs], strict=True))
    except UnusablePack:
        return False
    # Two packs of one name are both broken.
    return 0 < len(packs) == len(folders) and is_up_to_date(path, folders)


def is_up_to_date(path: str, folders: Mapping[str, str]) -> bool:
    """
    Tell whether every file in the folders (by pack name) is recorded in the database, and nothing else of those packs.

    False means only that it has to be looked at more closely. No file of a pack is opened, and nothing is written.
    """
    answer = glance(path, "SELECT * FROM main.schema_migrations")
    if answer is None:
        return False
    owner = naming.owner_in_file_name(os.path.basename(path)) or (next(iter(folders)) if len(folders) == 1 else None)
    recorded = _names_by_version(*answer, owner, folders)
    return recorded is not None and all(_is_applied(folder, recorded[pack]) for pack, folder in folders.items())


def _names_by_version(
    columns: Iterable[str], rows: Iterable[tuple[object, ...]], owner: str | None, packs: Iterable[str]
) -> dict[str, dict[object, object]] | None:
    """
    Return the recorded names of each pack by version, None as a name where any name will do; None for a strange table.

    Rows of an earlier table belong to the `owner`.
    """
    names = [column.lower() for column in columns]
    shape = set(names)
    is_current, is_earlier = shape == _COLUMNS, shape == _EARLIER_COLUMNS and owner is not None
    if len(names) != len(shape) or not (is_current or is_earlier):
        return None
    version, name = names.index("version"), names.index("migration_name")
    pack, checksum = (names.index("pack"), names.index("checksum")) if is_current else (None, None)
    recorded: dict[object, dict[object, object]] = {each: {} for each in packs}
    for row in rows:
        belongs_to = owner if pack is None else row[pack]
        if belongs_to in recorded:
            # A row without a checksum is that version, whatever its name.
            recorded[belongs_to][row[version]] = row[name] if checksum is not None and row[checksum] is not None else None
    return recorded  # type: ignore[return-value]


def _is_applied(folder: str, recorded: Mapping[object, object]) -> bool:
    """Tell whether the migrations in a folder are those that are recorded."""
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    if _are_exactly(names, recorded):
        return True
    files, _, problems = naming.sort_files(names)
    if problems or recorded.keys() != files.keys():
        return False
    return all(recorded[version] in (None, naming.stem(file)) for version, file in files.items())


def _are_exactly(names: Iterable[str], recorded: Mapping[object, object]) -> bool:
    """
    Tell at once what `naming.sort_files` would tell of each name: that there are the recorded migrations, and nothing more.

    False means "not sure": a name is missing in the records, there is a rollback script, or something breaks the rules.
    """
    stems: list[object] = []
    for name in names:
        if name.endswith((".py", ".sql")):
            if name[0] not in "_.":
                stems.append(name[: name.rindex(".")])
        elif name.lower().endswith((".py", ".sql")) and name[0] not in "_.":
            return False
    if len(stems) != len(recorded) or set(stems) != set(recorded.values()):
        return False
    letters = "".join(map(str, stems))
    if not (letters.isascii() and letters.replace("_", "").isalnum() and letters == letters.lower()):
        return False
    for version, stem in recorded.items():
        digits, _, words = str(stem).partition("_")
        if not (words and digits.isdigit() and len(digits) < 40 and 0 < int(digits) == version):
            return False
    return True
