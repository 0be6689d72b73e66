"""
What validate, check, packs, schema and rehearse add to the document.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NotRequired, TypedDict

from homie_migrations_core.model import Finding, Pack, RowCount
from homie_migrations_core.sqlite.schema_comparison import Change, Kind
from homie_migrations_core.sqlite.schema_objects import ObjectKind
from homie_migrations_core.vocabulary import Direction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from homie_migrations_core.authoring.check import Checked
    from homie_migrations_core.running.rehearsal import Rehearsal
    from homie_migrations_core.sqlite.schema_comparison import Difference
    from homie_migrations_core.sqlite.schema_objects import SchemaObject


class FindingFields(TypedDict):
    """One finding."""

    code: str
    """Stable: programs compare it, never the words of the message."""
    subject: str
    """The reference of a migration, or the name of a table, index, view or trigger."""
    pack: str | None
    message: str
    """What was found."""
    advice: str
    """What to do about it."""
    accepted: str | None
    """The reason for which its author accepts it in the migration's file. Such a finding does not count."""


class ValidateFields(TypedDict):
    """What `validate` adds to a database."""

    findings: list[FindingFields]


class CheckedPack(TypedDict):
    """What a check found in one pack."""

    name: str
    migrations: list[str]
    """References of the migrations that were checked."""
    findings: list[FindingFields]
    notes: list[str]
    """What is worth knowing but does not count as a finding."""


class CheckFields(TypedDict):
    """What `check` adds to the document."""

    packs: list[CheckedPack]


class InstalledPack(TypedDict):
    """One installed pack."""

    name: str
    distribution: str | None
    distribution_version: str | None
    database: str
    """The name of the database file."""
    migrations: int
    """The number of its migrations."""
    latest_version: int


class PacksFields(TypedDict):
    """What `packs` adds to the document."""

    packs: list[InstalledPack]


class SchemaObjectFields(TypedDict):
    """One table, index, view or trigger."""

    kind: ObjectKind
    name: str
    table: str
    """The table that it is on; a table's or view's own name."""
    sql: str
    """The statement that creates it, word for word as SQLite keeps it."""


class SchemaFields(TypedDict):
    """What `schema` adds to a database."""

    schema: list[SchemaObjectFields]
    diagram: NotRequired[str]
    """With `--diagram`: the schema as a Mermaid diagram."""


def finding(found: Finding) -> FindingFields:
    """Return a finding as JSON has it."""
    return {
        "code": found.code,
        "subject": found.subject,
        "pack": found.pack,
        "message": found.message,
        "advice": found.advice,
        "accepted": found.accepted,
    }


def findings(found: Sequence[Finding]) -> ValidateFields:
    """Return the findings about a database as JSON has them."""
    return {"findings": [finding(each) for each in found]}


def checked_pack(found: Checked) -> CheckedPack:
    """Return what a check found in a pack as JSON has it."""
    return {
        "name": found.pack,
        "migrations": list(found.migrations),
        "findings": [finding(each) for each in found.findings],
        "notes": list(found.notes),
    }


def installed_packs(found: Sequence[Pack]) -> PacksFields:
    """Return the installed packs as JSON has them."""
    return {
        "packs": [
            {
                "name": pack.name,
                "distribution": pack.distribution,
                "distribution_version": pack.distribution_version,
                "database": pack.database,
                "migrations": len(pack.migrations),
                "latest_version": pack.latest.version,
            }
            for pack in found
        ]
    }


def schema(objects: Sequence[SchemaObject], diagram: str | None) -> SchemaFields:
    """Return a schema as JSON has it."""
    fields: SchemaFields = {
        "schema": [{"kind": each.kind, "name": each.name, "table": each.table, "sql": each.sql} for each in objects]
    }
    if diagram is not None:
        fields["diagram"] = diagram
    return fields


class Rows(TypedDict):
    """The number of a table's rows."""

    table: str
    before: int | None
    """Null if there was no such table."""
    after: int | None
    """Null if there is no such table any more."""


class SchemaChange(TypedDict):
    """One difference between two schemas."""

    change: Change
    kind: Kind
    table: str
    """The table or view that it belongs to."""
    name: str
    """Its own name; for a constraint without one, which kind it is."""
    before: str | None
    after: str | None


class LostData(TypedDict):
    """Rows of a table, or values of one of its columns, that would be gone."""

    table: str
    column: str | None
    """Null if whole rows would be gone."""
    count: int
    """The number of rows, or of values."""


class RehearsedStepFields(TypedDict):
    """What one step did to the copy."""

    ref: str
    direction: Direction
    seconds: float
    statements: list[str]
    """The statements as they were executed, with the values of their parameters."""
    statements_left_out: int
    """How many more there were."""
    rows: list[Rows]
    schema: list[SchemaChange]
    warnings: list[str]


class RehearsalDocument(TypedDict):
    """What a run would do."""

    steps: list[RehearsedStepFields]
    would_fail: str | None
    """The reference of the migration that would fail, if one would."""
    schema: list[SchemaChange]
    """What the steps change together."""
    losses: list[LostData]
    findings: list[str]
    """What the checks of integrity and foreign keys found, whatever the steps did."""
    size: int
    """The size of the database, in bytes."""
    disk_needed: int
    """The disk space that the run needs meanwhile, in bytes."""
    seconds_to_copy: float


class RehearsalFields(TypedDict):
    """What `rehearse`, and `--rehearse` of other commands, add to a database."""

    rehearsal: RehearsalDocument


def rows(found: Sequence[RowCount]) -> list[Rows]:
    """Return numbers of rows as JSON has them."""
    return [{"table": each.table, "before": each.before, "after": each.after} for each in found]


def rehearsal(found: Rehearsal) -> RehearsalFields:
    """Return a rehearsal as JSON has it."""
    steps: list[RehearsedStepFields] = [
        {
            "ref": step.ref,
            "direction": step.direction,
            "seconds": round(step.seconds, 6),
            "statements": list(step.statements),
            "statements_left_out": step.statements_left_out,
            "rows": rows(step.rows),
            "schema": _schema_changes(step.schema),
            "warnings": list(step.warnings),
        }
        for step in found.steps
    ]
    return {
        "rehearsal": {
            "steps": steps,
            "would_fail": found.error.ref if found.error is not None else None,
            "schema": _schema_changes(found.schema),
            "losses": [{"table": each.table, "column": each.column, "count": each.count} for each in found.losses],
            "findings": list(found.findings),
            "size": found.size,
            "disk_needed": found.disk_needed,
            "seconds_to_copy": round(found.seconds_to_copy, 6),
        }
    }


def _schema_changes(differences: Sequence[Difference]) -> list[SchemaChange]:
    return [
        {
            "change": each.change,
            "kind": each.kind,
            "table": each.table,
            "name": each.name,
            "before": each.before,
            "after": each.after,
        }
        for each in differences
    ]
