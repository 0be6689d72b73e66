"""
The folders of dbmate, goose, golang-migrate, sqlx, diesel and refinery, recognised by their shapes.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

from homie_migrations_core.authoring.importing.originals import OUTSIDE_A_TRANSACTION, Excerpt, Original, Reading
from homie_migrations_core.authoring.importing.sections import dbmate_sections, goose_sections

TOOLS = "dbmate, goose, golang-migrate, sqlx, diesel or refinery"
_PLAIN = re.compile(r"(?P<version>\d+)_(?P<title>.*)\.sql")
_DBMATE = re.compile(r"(?P<version>\d+)_?(?P<title>.*)\.sql")
_PAIRED = re.compile(r"(?P<version>\d+)_(?P<title>.*)\.(?P<section>up|down)\.sql")
_REFINERY = re.compile(r"[VU](?P<version>\d+)__(?P<title>\w+)\.(?P<language>sql|rs)")
_DIESEL = re.compile(r"(?P<version>\d[\d-]*)_(?P<title>.+)")
_CODE = re.compile(r"\d+_.+\.(?:go|rs|py|rb|js|ts)")
_LOOKS_LIKE_ONE = re.compile(r"[VU]?\d.*\.sql|\d[\d-]*_[^.]+")
_IN_CODE = "it is a migration in a programming language, not in SQL"
_SQLX_WITHOUT_TRANSACTION = "-- no-transaction"


def read_folder(folder: Path) -> Reading:
    """
    Read the migrations in a folder; none if it has no shape that is known.

    Raises:
        OSError: The folder, or a file in it, can't be read.
    """
    reading = Reading(folder)
    names = sorted(each.name for each in folder.iterdir() if not each.name.startswith("."))
    shapes = (_read_diesel, _read_refinery, _read_pairs, _read_marked, _read_plain)
    taken = next((taken for shape in shapes if (taken := shape(reading, names))), [])
    for name in names:
        if name in taken:
            continue
        if _CODE.fullmatch(name):
            reading.problem(folder / name, 1, _IN_CODE)
        elif taken and _LOOKS_LIKE_ONE.fullmatch(name):
            reading.problem(folder / name, 1, f"it has a version, but is not like the other migrations, which are {reading.tool}'s")
        else:
            reading.notes.append(f"{name} is not a migration and was left behind")
    return reading


def _read_diesel(reading: Reading, names: Sequence[str]) -> list[str]:
    """Read a folder for each migration, with `up.sql`, and perhaps `down.sql` and `metadata.toml`."""
    taken = [name for name in names if _DIESEL.fullmatch(name) and (reading.folder / name / "up.sql").is_file()]
    for name, found in _matches(_DIESEL, taken):
        reading.tool = "diesel"
        version = found["version"].replace("-", "")
        _require_transaction(reading, reading.folder / name / "metadata.toml")
        has_down = (reading.folder / name / "down.sql").is_file()
        down = reading.read(name, "down.sql") if has_down else None
        reading.originals.append(Original((version,), version, found["title"], reading.read(name, "up.sql"), down))
    return taken


def _require_transaction(reading: Reading, metadata: Path) -> None:
    if not metadata.is_file():
        return
    try:
        settings = tomllib.loads(metadata.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        reading.problem(metadata, 1, f"it can't be read ({error})")
        return
    if settings.get("run_in_transaction") is not True:  # diesel takes a file without it for False
        lines = reading.read(metadata.parent.name, metadata.name).lines
        number = next((number for number, line in lines if "run_in_transaction" in line.partition("#")[0]), 1)
        reading.problem(metadata, number, OUTSIDE_A_TRANSACTION)


def _read_refinery(reading: Reading, _names: Sequence[str]) -> list[str]:
    """Read `V1__title.sql`, also in folders below, where refinery looks too. There are no down scripts."""
    taken = []
    for path in sorted(reading.folder.rglob("[VU]*")):
        found = _REFINERY.fullmatch(path.name)
        if found is None:
            continue
        reading.tool = "refinery"
        place = path.relative_to(reading.folder)
        taken.append(place.parts[0])
        if found["language"] == "rs":
            reading.problem(path, 1, _IN_CODE)
        else:
            version = int(found["version"])
            reading.originals.append(Original((version,), version, found["title"], reading.read(*place.parts)))
    return taken


def _read_pairs(reading: Reading, names: Sequence[str]) -> list[str]:
    """Read `.up.sql` beside `.down.sql`: golang-migrate, and sqlx with down scripts."""
    taken = [name for name in names if _PAIRED.fullmatch(name)]
    scripts: dict[tuple[str, str], dict[str, Excerpt]] = {}
    for name, found in _matches(_PAIRED, taken):
        reading.tool = "golang-migrate or sqlx"
        excerpt = _read_sqlx_script(reading, name)
        scripts.setdefault((found["version"], found["title"]), {})[found["section"]] = excerpt
    for (version, title), parts in scripts.items():
        if "up" in parts:
            number = int(version)
            reading.originals.append(Original((number,), number, title, parts["up"], parts.get("down")))
        else:
            reading.problem(parts["down"].path, 1, "there is no .up.sql of the same name")
    return taken


def _read_marked(reading: Reading, names: Sequence[str]) -> list[str]:
    """Read files with their up and down parts under markers: dbmate, which sorts by name, and goose."""
    for tool, pattern, sections in (("dbmate", _DBMATE, dbmate_sections), ("goose", _PLAIN, goose_sections)):
        taken = [name for name in names if pattern.fullmatch(name) and (reading.folder / name).is_file()]
        attempt = Reading(reading.folder, tool)
        parts_of = {name: sections(attempt, attempt.read(name)) for name in taken}
        if not any(parts_of.values()):
            continue
        for name, found in _matches(pattern, taken):
            parts = parts_of[name] or {}
            if "up" not in parts:
                attempt.problem(reading.folder / name, 1, f"no part of it is marked as up, as {tool} needs")
                continue
            order = name if tool == "dbmate" else int(found["version"])
            original = Original((order,), int(found["version"]), found["title"], parts["up"], parts.get("down"))
            attempt.originals.append(original)
        reading.tool, reading.originals, reading.problems = tool, attempt.originals, attempt.problems
        return taken
    return []


def _read_plain(reading: Reading, names: Sequence[str]) -> list[str]:
    """Read scripts that only go up: sqlx without down scripts."""
    taken = [name for name in names if _PLAIN.fullmatch(name) and (reading.folder / name).is_file()]
    for name, found in _matches(_PLAIN, taken):
        reading.tool = "sqlx"
        number = int(found["version"])
        reading.originals.append(Original((number,), number, found["title"], _read_sqlx_script(reading, name)))
    return taken


def _read_sqlx_script(reading: Reading, name: str) -> Excerpt:
    excerpt = reading.read(name)
    if excerpt.text.startswith(_SQLX_WITHOUT_TRANSACTION):
        reading.problem(excerpt.path, excerpt.first_line, OUTSIDE_A_TRANSACTION)
    return excerpt


def _matches(pattern: re.Pattern[str], names: Sequence[str]) -> Iterator[tuple[str, re.Match[str]]]:
    for name in names:
        if found := pattern.fullmatch(name):
            yield name, found
