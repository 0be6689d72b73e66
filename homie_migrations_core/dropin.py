"""The earlier name of `homie_migrations_core.compat`, for backends that import it."""

from __future__ import annotations

from homie_migrations_core.compat import MigrationRunner as MigrationRunner
