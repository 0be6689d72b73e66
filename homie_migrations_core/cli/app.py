"""
The root of the command line: which commands there are, and how errors become exit codes.

`migrations` is a Typer group that another `homie` application can mount with `add_typer`. A command's module
is imported when the command is called, or when its help is shown.
"""

from __future__ import annotations

import importlib
from typing import Annotated, Any, ClassVar

import typer

from homie_migrations_core import logs
from homie_migrations_core.cli import early_errors, output
from homie_migrations_core.cli.command_table import ALIASES as ALIASES
from homie_migrations_core.cli.command_table import PANEL_AND_MODULE
from homie_migrations_core.cli.typer_commands import HELP_FLAGS, PlainHelpGroup, typer_command
from homie_migrations_core.errors import HomieMigrationsError


class LazyCommands(PlainHelpGroup):
    """Commands that are imported when they are asked for. Their errors become messages and exit codes here."""

    table: ClassVar[dict[str, tuple[str, str]]] = PANEL_AND_MODULE
    """The panel in the help and the module of each command."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        name = ALIASES.get(cmd_name, cmd_name)
        if name not in self.table:
            return None
        panel, module_name = self.table[name]
        module = importlib.import_module(f"homie_migrations_core.cli.commands.{module_name}")
        made = getattr(module, name.replace("-", "_"))
        if not isinstance(made, typer.Typer):
            return typer_command(name, made, panel)
        group: Any = typer.main.get_command(made)
        group.rich_help_panel = panel
        return group

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        self.commands = dict.fromkeys(self.list_commands(ctx))  # type: ignore[assignment]  # for "did you mean"
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        given = [*getattr(ctx, "_protected_args", ()), *ctx.args]
        try:
            return super().invoke(ctx)
        except HomieMigrationsError as error:
            raise typer.Exit(early_errors.failed(error, given)) from error
        except Exception as error:
            if not hasattr(error, "format_message"):
                raise
            raise typer.Exit(early_errors.usage_error(error, given)) from error


app = typer.Typer(
    name="homie", cls=PlainHelpGroup, no_args_is_help=True, pretty_exceptions_enable=False, context_settings=HELP_FLAGS
)
migrations = typer.Typer(
    name="migrations",
    cls=LazyCommands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=HELP_FLAGS,
)


def _show_versions(wanted: bool) -> None:
    if wanted:
        from homie_migrations_core.cli.versions import version_lines

        for line in version_lines():
            output.write_line(line)
        raise typer.Exit


@app.callback()
def _homie(
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=_show_versions,
            help="Show the versions of homie-migrations-core and of the installed packs' distributions.",
        ),
    ] = False,
) -> None:
    """Homie, a personal file organizer."""


@migrations.callback()
def _migrations() -> None:
    """Bring the databases of installed packs up to date, and show their state."""


app.add_typer(migrations, name="migrations")


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit code; `SystemExit` may carry it too."""
    logs.load()  # some of these commands run code that logs by itself; beside Typer its import costs little
    try:
        code = typer.main.get_command(app).main(arguments, prog_name="homie", standalone_mode=False)
    except typer.Exit as error:
        return int(error.exit_code)
    except typer.Abort:
        return early_errors.stopped(arguments)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        return early_errors.usage_error(error, arguments)
    return code if isinstance(code, int) else 0
