"""
What the file system says about a database file: whether it is there, why it can't be used, and whether it is still the same one.

Looks with `os.stat` and `os.access` only: opening a database file would drop this process's locks on it.
"""

from __future__ import annotations

import os

from homie_migrations_core import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from homie_migrations_core.errors import DatabaseUnusable

FileIdentity = tuple[int, int]
"""The device and the inode of a file; on Windows the volume and the number of the file there."""


def file_identity(path: str) -> FileIdentity | None:
    """
    Return what identifies the file that `path` names now, links followed; None if there is none.

    The system may give the identity of a deleted file to a new one, but not while the deleted one is open.

    Raises:
        DatabaseNotReachable: It can't be known, for example because a folder can't be entered any more.
    """
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise not_reachable(path) from error
    return found.st_dev, found.st_ino


def is_missing(path: str) -> bool:
    """
    Return whether there is no file of that name. A link that leads nowhere counts as missing.

    Raises:
        DatabaseNotReachable: It can't be known.
    """
    return file_identity(path) is None


def not_reachable(path: str) -> DatabaseUnusable:
    """Return the error that says why a file can't be opened."""
    folder = os.path.dirname(path)
    if os.path.isdir(path):
        return errors.DatabaseNotReachable(path, "it is a folder", "Name the database file itself.")
    if os.path.lexists(folder) and not os.path.isdir(folder):
        return errors.DatabaseNotReachable(path, f"{folder} is not a folder", "Check the path.")
    if not os.path.isdir(folder):
        return errors.DatabaseNotReachable(path, f"there is no folder {folder}", "Check the path, or make that folder first.")
    if os.path.islink(path) and not os.path.exists(path):
        return errors.DatabaseNotReachable(path, "it is a link that leads nowhere", "Check where it points to.")
    if os.path.exists(path) and not os.access(path, os.R_OK):
        return errors.DatabaseNotReachable(path, "this user may not read it", "Run as its owner, or change its permissions.")
    if not os.access(folder, os.X_OK):
        return errors.DatabaseNotReachable(
            path, f"this user may not enter {folder}", "Run as its owner, or change its permissions."
        )
    if not os.access(folder, os.W_OK):
        return errors.DatabaseNotReachable(
            path, f"this user may not create files in {folder}, which SQLite needs", "Change that folder's permissions."
        )
    return errors.DatabaseNotReachable(path, "it can't be opened", "Check the path and its permissions.")


def not_writable(path: str, text: str) -> DatabaseUnusable:
    """Return the error that says why a file can't be written; `text` is what SQLite, or this library, found."""
    folder = os.path.dirname(path)
    if os.access(path, os.W_OK) and not os.access(folder, os.W_OK):
        return errors.DatabaseNotWritable(
            path, f"SQLite must create files beside it, and {folder} is not writable", "Change that folder's permissions."
        )
    return errors.DatabaseNotWritable(path, f"it can't be written ({text})", "Run as its owner, or change its permissions.")
