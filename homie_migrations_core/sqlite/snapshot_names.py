"""
The file names of snapshots: of which database one is, when it was taken, and what was applied then.

A name is made of the database's file name, the time, and pack names that are pack names: anything may stand in a database's
records, and nothing unchecked becomes part of a path.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

from homie_migrations_core.packs.naming import begin_of_snapshots, is_pack_name, is_snapshot_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    from homie_migrations_core.model import Record

    Kind = Literal["automatic", "begun", "by_hand"]

ENDINGS: dict[str, Kind] = {".auto.db": "automatic", ".begun.db": "begun", ".db": "by_hand"}
AUTOMATIC, BEGUN, BY_HAND = ENDINGS
_TIME = "%Y%m%dT%H%M%S.%f"
_LONGEST_LIST = 80
_LONGEST_NAME = 240  # bytes; file systems take 255, and a temporary file's name is longer than this one


def snapshot_name(database: str, records: Sequence[Record], now: datetime, ending: str) -> str:
    """
    Return the name of a snapshot that is taken now: a listing of the folder tells which one to restore.

    `database` is the file name of the database. Records of packs whose names break the rule are summed up as `others`.
    """
    newest: dict[str, int] = {}
    others = False
    for record in records:
        if not record.pack:
            continue
        if is_pack_name(record.pack):
            newest[record.pack] = max(record.version, newest.get(record.pack, 0))
        else:
            others = True
    applied = [*(f"{pack}-{version}" for pack, version in sorted(newest.items())), *(["others"] if others else [])]
    begin = f"{begin_of_snapshots(database)}{now.astimezone(UTC):{_TIME}}Z."
    told = "+".join(applied) or "untracked"
    if len(told) > _LONGEST_LIST or len(os.fsencode(begin + told + ending)) > _LONGEST_NAME:
        told = f"{len(applied)}-packs"
    return f"{begin}{told}{ending}"


def is_snapshot_name(name: str, database: str, ending: str) -> bool:
    """Return whether a snapshot of the database of that file name, with that ending, can have this name."""
    if not (is_snapshot_of(database, name) and name.endswith(ending)):
        return False
    return ending != BY_HAND or not name.endswith((AUTOMATIC, BEGUN))


def read_snapshot_name(name: str, database: str, ending: str) -> tuple[datetime, str] | None:
    """Return when a snapshot was taken, and what was applied then; None if its name does not say so."""
    when, _, applied = name.removeprefix(begin_of_snapshots(database)).removesuffix(ending).partition("Z.")
    try:
        return datetime.strptime(when, _TIME).replace(tzinfo=UTC), applied.replace("+", ", ")
    except ValueError:
        return None
