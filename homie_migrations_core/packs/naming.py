"""
The rules for names: of packs, migration files, references, databases and snapshots. Pure, and without costly imports.

Listing folders is left to `packs/files.py`, reading files to `packs/reading.py`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

TRACKING_OWNER_PREFIX, DATABASE_SUFFIX = "homie_", ".db"
MAX_VERSION = 2**63 - 1  # what an SQLite INTEGER holds
_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz")
_DIGITS = frozenset("0123456789")
_WORD = _LOWER | _DIGITS | {"_"}
FILE_RULE = "NNN_lower_case_words.py, .sql or .rollback.sql, with NNN >= 1"


def is_pack_name(name: str) -> bool:
    """Tell whether `name` matches `^[a-z][a-z0-9_]*$`."""
    return bool(name) and name[0] in _LOWER and _WORD.issuperset(name)


def default_database(pack: str) -> str:
    """Return the file name of the database of a pack that names none."""
    return f"{TRACKING_OWNER_PREFIX}{pack}{DATABASE_SUFFIX}"


def owner_in_file_name(file_name: str) -> str | None:
    """Return `x` for `homie_x.db`, whether such a pack is installed or not; None for every other file name."""
    if not (file_name.startswith(TRACKING_OWNER_PREFIX) and file_name.endswith(DATABASE_SUFFIX)):
        return None
    name = file_name[len(TRACKING_OWNER_PREFIX) : -len(DATABASE_SUFFIX)]
    return name if is_pack_name(name) else None


def sort_files(file_names: Iterable[str]) -> tuple[dict[int, str], dict[int, str], list[str]]:
    """
    Sort the file names of a folder into migrations by version, rollback scripts by version, and every problem.

    Names that start with `_` or `.`, and files that are neither `.py` nor `.sql`, are not migrations. Any other name
    that does not match the rule is a problem, and named: nothing is skipped silently.
    """
    migrations: dict[int, str] = {}
    rollbacks: dict[int, str] = {}
    problems: list[str] = []
    for name in sorted(file_names):
        if name[0] in "_." or not name.lower().endswith((".py", ".sql")):
            continue
        stem, _, suffix = name.partition(".")
        digits, underscore, words = stem.partition("_")
        ok = suffix in ("py", "sql", "rollback.sql") and underscore and words
        if not (ok and digits and _DIGITS.issuperset(digits) and _WORD.issuperset(words)):
            problems.append(f"{name} is not a valid migration file name (expected {FILE_RULE})")
            continue
        version = int(digits) if len(digits) < 40 else MAX_VERSION + 1
        if not 1 <= version <= MAX_VERSION:
            problems.append(f"{name} has a version that is not between 1 and {MAX_VERSION}")
            continue
        group = rollbacks if suffix == "rollback.sql" else migrations
        if version in group:
            problems.append(f"{group[version]} and {name} have the same version {version}")
            continue
        group[version] = name
    for version, name in rollbacks.items():
        if migrations.get(version) != name.removesuffix(".rollback.sql") + ".sql":
            problems.append(f"{name} is a rollback without its {name.removesuffix('.rollback.sql')}.sql")
    if not migrations and not problems:
        problems.append("it holds no migration (was the distribution built without its migration files?)")
    return migrations, rollbacks, problems


def stem(file_name: str) -> str:
    """Return a migration's name: its file name without the suffix."""
    return file_name.partition(".")[0]


def split_ref(ref: str) -> tuple[str, int, str | None] | None:
    """
    Split a reference: `("p", 3, None)` for `p:3` and `p:003`, `("p", 3, "003_words")` for `p:003_words`.

    Returns None for what is not a valid reference. Whether such a migration exists is not checked.
    """
    pack, colon, rest = ref.partition(":")
    digits, underscore, words = rest.partition("_")
    if not (colon and is_pack_name(pack) and digits and len(digits) < 40 and _DIGITS.issuperset(digits)):
        return None
    if underscore and not (words and _WORD.issuperset(words)):
        return None
    return pack, int(digits), rest if underscore else None


def begin_of_snapshots(database: str) -> str:
    """How the names of a database's snapshots begin. Other endings than `.db` stay: x.db, x.sqlite and x may be neighbours."""
    return f"{database.removesuffix('.db')}." if database.endswith(".db") else f"{database}.."


def is_snapshot_of(database: str, name: str) -> bool:
    """Whether a snapshot's file name says that it is of the database of that file name, and not of one that begins like it."""
    import re  # an up-to-date start-up has no use for it

    begin = begin_of_snapshots(database)
    return name.startswith(begin) and re.match(r"\d{8}T\d{6}\.\d{6}Z\.", name[len(begin) :]) is not None


def size_in_words(size: int) -> str:
    """Return a number of bytes as people write it."""
    if size < 1_000:
        return f"{size} bytes"
    unit, name = next((unit, name) for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")) if size >= unit)
    return f"{size / unit:.1f} {name}"


_TIME_LENGTH = len("2026-01-05 09:30:00")


def time_in_words(stored: str | None) -> str:
    """Return the time of a record with its zone; what does not look like a time that SQLite writes is left as it is."""
    if not stored:
        return ""
    shape = "".join("0" if each.isdigit() else each for each in stored[:_TIME_LENGTH])
    fraction = stored[_TIME_LENGTH:]
    in_utc = shape in ("0000-00-00 00:00:00", "0000-00-00T00:00:00") and (
        not fraction or (fraction[:1] == "." and fraction[1:].isdigit())
    )
    return f"{stored} UTC" if in_utc else stored
