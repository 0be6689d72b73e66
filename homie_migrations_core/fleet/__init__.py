"""
Many databases of one kind: one file for each tenant, user, device or test.

It knows how to spread databases over processes, threads or any `concurrent.futures.Executor`, what to do when a worker dies, and
what the report of a fleet looks like. What happens to one database is left to `MigrationRunner`. It offers `migrate_fleet`,
`fleet_status` and `validate_fleet`, which yield plain values.
"""

from __future__ import annotations

from homie_migrations_core.fleet.fleets import fleet_status as fleet_status
from homie_migrations_core.fleet.fleets import migrate_fleet as migrate_fleet
from homie_migrations_core.fleet.fleets import validate_fleet as validate_fleet
from homie_migrations_core.fleet.outcomes import FleetFinding as FleetFinding
from homie_migrations_core.fleet.outcomes import FleetStatus as FleetStatus
from homie_migrations_core.fleet.outcomes import Outcome as Outcome
from homie_migrations_core.fleet.outcomes import PackVersions as PackVersions
from homie_migrations_core.fleet.outcomes import Validated as Validated

__all__ = [
    "FleetFinding",
    "FleetStatus",
    "Outcome",
    "PackVersions",
    "Validated",
    "fleet_status",
    "migrate_fleet",
    "validate_fleet",
]
