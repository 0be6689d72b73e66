"""
The root of the command line: which commands there are, and how errors become exit codes.

`migrations` is a Typer group that another `homie` application can mount with `add_typer`. A command's module
is imported when it is called, not before.
"""

from __future__ import annotations

import importlib
from typing import Any

import typer
from typer.core import TyperGroup

from homie_migrations_core.cli import output
from homie_migrations_core.errors import HomieMigrationsError

# command → the module that holds a Typer app with it
_HOMES = {
    "status": "look",
    "plan": "look",
    "apply": "change",
    "rehearse": "rehearse",
    "rollback": "change",
    "redo": "change",
    "validate": "look",
    "repair": "records",
    "baseline": "records",
    "reset": "change",
    "history": "look",
    "packs": "look",
    "check": "check",
    "backup": "snapshots",
    "backups": "snapshots",
    "restore": "snapshots",
    "schema": "look",
}
_ALIASES = {"up": "apply", "upgrade": "apply", "migrate": "apply"}


class LazyCommands(TyperGroup):
    """Commands that are imported when they are asked for; their errors end here as words and exit codes."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(_HOMES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        name = _ALIASES.get(cmd_name, cmd_name)
        if name not in _HOMES:
            return None
        module = importlib.import_module(f"homie_migrations_core.cli.commands.{_HOMES[name]}")
        return typer.main.get_command(module.commands[name])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        self.commands = dict.fromkeys(_HOMES)  # type: ignore[assignment]  # for "did you mean"
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        given = [*getattr(ctx, "_protected_args", ()), *ctx.args]
        try:
            return super().invoke(ctx)
        except HomieMigrationsError as error:
            output.error(error)
            raise typer.Exit(error.exit_code) from error
        except Exception as error:
            if not hasattr(error, "format_message"):
                raise
            raise typer.Exit(output.usage_error(error, as_json="--json" in given)) from error


app = typer.Typer(name="homie", no_args_is_help=True, pretty_exceptions_enable=False)
migrations = typer.Typer(
    name="migrations",
    cls=LazyCommands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _homie() -> None:
    """Homie, a personal file organizer."""


@migrations.callback()
def _migrations() -> None:
    """Bring the databases of installed packs up to date, and see where they stand."""


app.add_typer(migrations, name="migrations")


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit code; `SystemExit` may carry it too."""
    try:
        code = typer.main.get_command(app).main(arguments, prog_name="homie", standalone_mode=False)
    except typer.Exit as error:
        return int(error.exit_code)
    except typer.Abort:
        output.say_error("Stopped.")
        return 130
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        return output.usage_error(error, as_json="--json" in arguments)
    return code if isinstance(code, int) else 0
