"""`MigrationPack`: a pack as its author defines it. Where its files are, and what is in them, is found out later."""

from __future__ import annotations

import os

from homie_migrations_core.packs.naming import default_database, is_pack_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import NamedTuple, Self

    class _MigrationPack(NamedTuple):
        name: str
        migrations: str | Path
        database: str
else:
    from collections import namedtuple

    # Importing typing would cost a start-up as much as importing sqlite3.
    _MigrationPack = namedtuple("_MigrationPack", ("name", "migrations", "database"))  # noqa: PYI024


class MigrationPack(_MigrationPack):
    """
    A named, ordered set of migrations, as a distribution registers it or a program hands it over.

    `migrations` is the dotted name of a package, or the path of a folder: a `Path`, or text if it is absolute. Nothing is
    read when the value is created. `database` is a bare file name; by default it is `homie_<name>.db`.

    Raises:
        PackInvalid: The name, the database or the place is not valid.
    """

    __slots__ = ()

    def __new__(cls, name: str, migrations: str | Path, database: str = "") -> Self:
        """Check the values, because callers may not check types."""
        _check(name, migrations, database)
        return super().__new__(cls, name, migrations, database or default_database(name))

    @property
    def package(self) -> str | None:
        """The dotted name of the package that holds the migrations; None if a folder was given."""
        return self.migrations if isinstance(self.migrations, str) and not os.path.isabs(self.migrations) else None


def _check(name: object, migrations: object, database: object) -> None:
    if not (isinstance(name, str) and is_pack_name(name)):
        raise _invalid(f"its name is {name!r}", "A name has lower-case letters, digits and _, and begins with a letter.")
    if not (_is_place(migrations) and str(migrations)):
        raise _invalid(f"the migrations of {name} are {migrations!r}", "Give the name of a package, or the path of a folder.")
    if not isinstance(database, str) or database in (".", "..") or any(sign in database for sign in "/\\\0:"):
        raise _invalid(
            f"the database of {name} is {database!r}", "Give a bare file name; where it lies is decided where it is used."
        )


def _is_place(migrations: object) -> bool:
    if isinstance(migrations, str):
        return True
    from pathlib import Path  # loaded already, if it is one

    return isinstance(migrations, Path)


def _invalid(found: str, advice: str) -> Exception:
    from homie_migrations_core.errors import PackInvalid  # not on the path of a start-up

    return PackInvalid(found, advice)
