"""
How the schema of a database differs from the one that its migrations produce, as findings.

Only what the migrations ever touched is compared: an application may have tables of its own in the same file.
"""

from __future__ import annotations

from collections.abc import Collection

from homie_migrations_core.inspection.replay import Replayed
from homie_migrations_core.model import Finding
from homie_migrations_core.sqlite.names import fold
from homie_migrations_core.sqlite.schema_comparison import Difference, compare, pair_renames
from homie_migrations_core.sqlite.schema_objects import Schema

_SCHEMA = "`homie migrations schema` shows the expected schema."
_ADVICE = {
    "added": f"Write a migration that creates it, or take a snapshot and remove it by hand. {_SCHEMA}",
    "removed": f"Create it again by hand, or restore a snapshot. {_SCHEMA}",
    "changed": f"Write a migration that makes this change, or take a snapshot and undo it by hand. {_SCHEMA}",
    "reordered": f"Name the columns in every statement that uses the table, or take a snapshot and rebuild it by hand. {_SCHEMA}",
}


def find_drift(replayed: Replayed, real: Schema, unknown: Collection[str] = ()) -> list[Finding]:
    """
    Return how the schema of a database differs from the replayed one.

    `unknown` are refs of applied migrations whose files are not available; they may be the reason.
    """
    differences = compare(replayed.schema, only_touched(real, replayed.touched))
    maybe = f" (it may come from {', '.join(unknown)}, which can't be replayed)" if unknown else ""
    found = []
    for each, renamed in pair_renames(differences, replayed.schema, real):
        if renamed is not None:
            code, message = "drift_column_renamed", f"`{each.table}` has `{renamed.name}` where its migrations create `{each.name}`"
            advice = _ADVICE["changed"]
        else:
            code, message, advice = f"drift_{each.kind}_{each.change}", describe_drift(each), _ADVICE[each.change]
        subject = each.table if each.kind in ("column", "constraint", "option") else each.name
        found.append(Finding(code, subject, _pack_of(each, replayed), f"{message}{maybe}", advice))
    return found


def only_touched(schema: Schema, touched: Collection[tuple[str, str]]) -> Schema:
    """Return the touched tables, with everything on them, and the touched views. The rest is the application's own."""
    tables = {name for kind, name in touched if kind == "table"}
    views = {name for kind, name in touched if kind == "view"}

    def belongs(kind: str, name: str, table: str) -> bool:
        if kind == "table":
            return name in tables
        return name in views if kind == "view" else fold(table) in tables | views

    return {key: each for key, each in schema.items() if belongs(*key, each.table)}


def _pack_of(difference: Difference, replayed: Replayed) -> str | None:
    keys = ((difference.kind, difference.name), ("table", difference.table), ("view", difference.table))
    return next((maker for kind, name in keys if (maker := replayed.makers.get((kind, fold(name))))), None)


def describe_drift(each: Difference) -> str:
    """Say on one line how the database differs from what its migrations create."""
    before, after = (text.replace("\n", "\\n") if text else "untyped" for text in (each.before, each.after))
    where = f"`{each.table}`"
    if each.change == "reordered":
        return f"the columns of {where} are in another order than in its migrations: {after}"
    if each.kind in ("table", "view"):
        sentences = {
            "added": f"the {each.kind} {where} exists, although its migrations drop it",
            "removed": f"the {each.kind} {where}, which its migrations create, is missing",
            "changed": f"the {each.kind} {where} is not what its migrations create: {after} instead of {before}",
        }
    else:
        name = f"{each.kind} `{each.name}`"
        article = "an" if each.kind[0] in "aeiou" else "a"
        sentences = {
            "added": f"{where} has {article} {name} that no migration creates",
            "removed": f"{where} lacks the {name}, which its migrations create",
            "changed": f"the {name} of {where} is {after}, but its migrations create {before}",
        }
    return sentences[each.change]
