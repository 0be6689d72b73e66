"""`fleet`: the group of the commands about many databases."""

from __future__ import annotations

from typing import ClassVar

import typer

from homie_migrations_core.cli.app import LazyCommands
from homie_migrations_core.cli.command_table import FLEET_COMMANDS, FLEET_MODULE
from homie_migrations_core.cli.typer_commands import HELP_FLAGS


class FleetCommands(LazyCommands):
    """The commands of `fleet`, imported when they are asked for."""

    table: ClassVar[dict[str, tuple[str, str]]] = dict.fromkeys(FLEET_COMMANDS, ("Commands", FLEET_MODULE))


fleet = typer.Typer(
    name="fleet",
    cls=FleetCommands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings=HELP_FLAGS,
)


@fleet.callback()
def _fleet() -> None:
    """Apply, show or validate many databases: one file for each tenant, user or device."""
