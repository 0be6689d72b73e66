"""
Which command adds which fields to the document. Fields are absent where an error came first.

Every command has an entry in one of the two. The published JSON Schemas are made from it, and the tests hold each document
that a command prints to its schema.
"""

from __future__ import annotations

from homie_migrations_core.cli.documents import changes, events, fleet, inspection, scaffolding, snapshots

# command → what it may add to each database
DATABASE_FIELDS: dict[str, tuple[type, ...]] = {
    "status": (),
    "plan": (changes.PlanFields,),
    "apply": (changes.ApplyFields,),
    "rehearse": (inspection.RehearsalFields,),
    "rollback": (changes.RollbackFields, inspection.RehearsalFields),
    "redo": (changes.RedoFields,),
    "reset": (changes.RollbackFields, inspection.RehearsalFields),
    "baseline": (changes.BaselineFields,),
    "repair": (changes.RepairFields,),
    "validate": (inspection.ValidateFields,),
    "history": (changes.HistoryFields,),
    "schema": (inspection.SchemaFields,),
    "backup": (snapshots.BackupFields,),
    "backups": (snapshots.BackupsFields,),
    "restore": (snapshots.RestoreFields,),
}
# command → what it may add to the document itself
DOCUMENT_FIELDS: dict[str, tuple[type, ...]] = {
    "packs": (inspection.PacksFields,),
    "check": (inspection.CheckFields,),
    "new": (scaffolding.NewFields,),
    "new-pack": (scaffolding.NewPackFields,),
    "fleet apply": (fleet.FleetFields,),
    "fleet status": (fleet.FleetFields,),
    "fleet validate": (fleet.FleetFields,),
}
# what is written as lines of JSON → the kinds of its lines
LINES: dict[str, tuple[type, ...]] = {"progress": events.EVENTS, "fleet-report": fleet.REPORT_LINES}
