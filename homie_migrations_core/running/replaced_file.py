"""Notice that a database file was removed, or replaced by another one, while a run had it open."""

from __future__ import annotations

from homie_migrations_core.errors import DatabaseNotReachable
from homie_migrations_core.sqlite.file_system import is_missing
from homie_migrations_core.sqlite.writer import Writer


def how_replaced(writer: Writer) -> str:
    """Return what happened to the file that the writer opened first, as a clause; nothing if it still has its name."""
    try:
        if not writer.is_replaced():
            return ""
        missing = is_missing(writer.path)
    except DatabaseNotReachable as error:
        return f"it can't be seen whether it is still the file that was opened ({error.found})"
    return "the file was removed" if missing else "another file took its place"
