"""
Which commands there are, under which heading of the help, and in which module of `commands/`. Imports none of them.
"""

from __future__ import annotations

# heading in the help → command → module in `commands/`, where a function has the command's name, with _ for -
COMMANDS = {
    "Look": {
        "status": "status",
        "plan": "plan",
        "history": "history",
        "packs": "packs",
        "schema": "schema",
        "validate": "validate",
    },
    "Change": {
        "apply": "apply",
        "rollback": "rollback",
        "redo": "rollback",
        "reset": "rollback",
        "repair": "records",
        "baseline": "records",
    },
    "Many databases": {"fleet": "fleet_group"},
    "Safety net": {"rehearse": "rehearse", "backup": "snapshots", "backups": "snapshots", "restore": "snapshots"},
    "For pack authors": {"new-pack": "new", "new": "new", "check": "check"},
}
PANEL_AND_MODULE = {name: (panel, module) for panel, commands in COMMANDS.items() for name, module in commands.items()}
ALIASES = {"up": "apply", "upgrade": "apply", "migrate": "apply"}
FLEET_COMMANDS = ("apply", "status", "validate")
FLEET_MODULE = "fleet"
