"""
Write new files for authors: the next migration of a pack, and a whole pack to install.

The texts are files in `templates/`. Nothing that exists is overwritten, and what can't be written whole is removed again.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from homie_migrations_core.broken import BrokenPack
from homie_migrations_core.errors import FolderUnusable, NotCreated, PackBroken
from homie_migrations_core.packs import naming
from homie_migrations_core.packs.definition import MigrationPack

_TEMPLATES = resources.files("homie_migrations_core.authoring") / "templates"
_SUFFIX = ".tmpl"
_TIMESTAMP = "%Y%m%d%H%M%S"
_DIGITS_OF_TIMESTAMP = 14
_LONG_NAME = 30
"""From which length on a pack's name would make lines longer than the template's formatter has them."""


@dataclass(frozen=True, slots=True)
class NewMigration:
    """A migration that was just written, for its author to fill in."""

    version: int
    name: str
    files: tuple[Path, ...]


def create_migration(folder: Path, title: str, *, sql: bool = False) -> NewMigration:
    """
    Write the next numbered migration of a folder, and return what was written.

    The number is the highest one plus 1, padded like that one; where the highest one is a timestamp of 14 digits, it is the
    time in UTC. With `sql` it is a pair of SQL files. The files fail until the author has filled them in.

    Raises:
        FolderUnusable: The folder does not exist, or can't be listed or written.
        PackBroken: A file in it breaks the rules for names, so the next number is not known.
        NotCreated: The title is not usable, the folder is not one of migrations, or a file of that name exists.
    """
    words = words_of(title)
    if not words:
        raise NotCreated(f"the title {title!r} has no letter or digit for a file name", "Say in a few words what it changes.")
    version, number = _next_number(_migrations_in(folder))
    name = f"{number}_{words}"
    values = {"number": number, "version": str(version), "title": _one_line(title)}
    contents = (
        {f"{name}.sql": _filled("migration/apply.sql", values), f"{name}.rollback.sql": _filled("migration/rollback.sql", values)}
        if sql
        else {f"{name}.py": _filled("migration/python.py", values)}
    )
    written: list[Path] = []
    try:
        for file_name, content in contents.items():
            with open(folder / file_name, "x", encoding="utf-8", newline="\n") as file:
                written.append(folder / file_name)
                file.write(content)
    except OSError as error:
        for path in written:
            path.unlink()
        if isinstance(error, FileExistsError):
            raise NotCreated(f"{error.filename} exists already", "Look into it, and run the command again.") from error
        if error.errno == errno.ENAMETOOLONG:
            raise NotCreated("the title is too long for a file name", "Say in a few words what it changes.") from error
        raise FolderUnusable(str(folder), f"can't be written to ({error.strerror})", "Look at its permissions.") from error
    return NewMigration(version, name, tuple(written))


def words_of(title: str) -> str:
    """Return a title as the words of a file name: lower case, without accents, `_` between the words; perhaps nothing."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")


def create_pack(
    name: str, parent: Path, migrations: Mapping[str, str] | None = None, *, core_version: str | None
) -> tuple[Path, ...]:
    """
    Write a pack that can be installed, in a new folder below `parent`, and return its files.

    The folder is the pack's name with dashes. `migrations` (file name to content) takes the place of the first migration
    from the template. The pack requires releases of the core that are compatible with `core_version`, or any if that is not
    known.

    Raises:
        PackInvalid: The name can't be a pack's name.
        NotCreated: The folder exists already, or can't be written.
        FolderUnusable: `parent` does not exist, or can't be written.
    """
    pack = MigrationPack(name, parent)  # refuses a name that is not valid
    folder = folder_of_new_pack(name, parent)
    package = f"{name}_migrations"
    values = {
        "pack": name,
        "package": package,
        "distribution": re.sub("_+", "-", package),
        "database": pack.database,
        "core_requirement": _core_requirement(core_version),
        "table": _first_table(name),
    }
    contents = {
        relative.replace("__package__", package): Template(template).substitute(values)
        for relative, template in _tree("pack").items()
    }
    if migrations is None:
        migrations = {"001_first_table.py": _filled("first/first.py", values)}
    contents |= {f"src/{package}/migrations/{file_name}": content for file_name, content in migrations.items()}
    _write_folder(folder, contents)
    return tuple(folder / relative for relative in sorted(contents))


def folder_of_new_pack(name: str, parent: Path) -> Path:
    """
    Return the folder in which `create_pack` writes a pack.

    Raises:
        NotCreated: It exists already.
    """
    folder = parent / name.replace("_", "-")
    if os.path.lexists(folder):
        raise NotCreated(f"{folder} exists already", "Choose another name, or run this in another folder.")
    return folder


def _write_folder(folder: Path, contents: Mapping[str, str]) -> None:
    """Write the files of a new folder: beside its place first, then renamed, so that nobody finds half of it."""
    scratch = folder.parent / f".{folder.name}.{os.getpid()}"
    try:
        scratch.mkdir()
    except OSError as error:
        raise FolderUnusable(
            str(folder.parent), f"can't be written to ({error.strerror})", "Run this in another folder."
        ) from error
    try:
        for relative, content in contents.items():
            path = scratch / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8", newline="")
        scratch.rename(folder)
    except OSError as error:
        found = f"{folder} can't be written ({error.strerror})"
        raise NotCreated(found, "Check the disk, or choose another folder.") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)  # it is gone if it was renamed


def _migrations_in(folder: Path) -> dict[int, str]:
    """Return the migrations in a folder by version, perhaps none."""
    try:
        names = os.listdir(folder)
    except OSError as error:
        found = "does not exist" if isinstance(error, FileNotFoundError) else f"can't be listed ({error.strerror})"
        raise FolderUnusable(str(folder), found, "Name the folder of the migrations.") from error
    files, _, problems = naming.sort_files(names)
    if any(name[0] not in "_." and name.lower().endswith((".py", ".sql")) for name in names):
        if problems:
            raise PackBroken([BrokenPack("; ".join(problems), str(folder))], done="No migration was written")
    elif inner := next((name for name in ("pyproject.toml", "migrations") if name in names), None):
        raise NotCreated(f"{folder} holds {inner} and no migration", "Name the folder of the migrations itself.")
    return files


def _next_number(files: Mapping[int, str]) -> tuple[int, str]:
    """Return the next version, and how a file name spells it."""
    if not files:
        return 1, "001"
    highest = max(files)
    version = highest + 1
    if len(str(highest)) == _DIGITS_OF_TIMESTAMP:
        version = max(version, int(time.strftime(_TIMESTAMP, time.gmtime())))
    if version > naming.MAX_VERSION:
        raise NotCreated(f"{files[highest]} has the highest version that there can be", "Write the file by hand.")
    width = len(files[highest].partition("_")[0])
    return version, f"{version:0{width}}"


def _first_table(pack: str) -> str:
    """Return the name of the table in the first migration. Names that begin with sqlite_ are SQLite's own."""
    return "items" if pack.startswith("sqlite_") or len(pack) > _LONG_NAME else f"{pack}_items"


def _core_requirement(core_version: str | None) -> str:
    """Return a range of versions of the core that keep to what this one promises."""
    if core_version is None:
        return "homie-migrations-core"
    major, minor = (int(each) for each in core_version.split(".")[:2])
    return f"homie-migrations-core>={major}.{minor},<{f'0.{minor + 1}' if major == 0 else major + 1}"


def _one_line(title: str) -> str:
    """Return a title that can stand in a docstring and in an SQL comment."""
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in title).split())
    return text.replace("\\", "/").replace('"', "'").rstrip(".")


def _filled(template: str, values: Mapping[str, str]) -> str:
    return Template((_TEMPLATES / f"{template}{_SUFFIX}").read_text(encoding="utf-8")).substitute(values)


def _tree(top: str) -> dict[str, str]:
    """Return the templates below a folder, by their path without the suffix."""
    found: dict[str, str] = {}

    def walk(folder: Traversable, prefix: str) -> None:
        for each in folder.iterdir():
            if each.is_dir():
                walk(each, f"{prefix}{each.name}/")
            elif each.name.endswith(_SUFFIX):
                found[prefix + each.name.removesuffix(_SUFFIX)] = each.read_text(encoding="utf-8")

    walk(_TEMPLATES / top, "")
    return found
