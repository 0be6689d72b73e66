"""
Makes Typer commands of the functions in `commands/`, which know nothing of Typer.

Typer parses, shows help and completes. Help is drawn with panels on a terminal, and is plain text in a pipe.
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from homie_migrations_core.cli.options import CommandOptions, Option
from homie_migrations_core.cli.output import is_terminal

HELP_FLAGS = {"help_option_names": ["-h", "--help"]}


class PlainHelpCommand(TyperCommand):
    """A command whose help is plain text unless a terminal shows it."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        if not is_terminal(sys.stdout):
            self.rich_markup_mode = None
        super().format_help(ctx, formatter)


class PlainHelpGroup(TyperGroup):
    """A group whose help is plain text unless a terminal shows it; its commands are grouped under the headings of their panels."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        if not is_terminal(sys.stdout):
            self.rich_markup_mode = None
        super().format_help(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands and their help, as plain text."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                panel = getattr(command, "rich_help_panel", None)
                panels.setdefault(panel if isinstance(panel, str) else "Commands", []).append((name, command.help or ""))
        for heading, rows in panels.items():
            with formatter.section(heading):
                formatter.write_dl(rows)


def typer_command(name: str, run: Callable[[Any], None], panel: str) -> Any:
    """Return the Typer command that calls `run` with its options, an instance of the class that annotates its parameter."""
    options_class: type[CommandOptions] = typing.get_type_hints(run)["options"]

    def call(**given: object) -> None:
        run(options_class(**given))

    parameters = [_parameter(attribute, each) for attribute, each in options_class.declared().items()]
    parameters.sort(key=lambda each: each.default is not inspect.Parameter.empty)
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__doc__ = run.__doc__
    app = typer.Typer(add_completion=False)
    app.command(name, cls=PlainHelpCommand, rich_help_panel=panel, context_settings=HELP_FLAGS)(call)
    return typer.main.get_command(app)


def _parameter(name: str, declared: Option) -> inspect.Parameter:
    kinds: dict[str, Any] = {
        "bool": bool,
        "float": float,
        "int": int,
        "int | None": int | None,
        "str": str,
        "str | None": str | None,
        "list[str] | None": list[str] | None,
    }
    kind: Any = typing.Literal[declared.choices] if declared.choices else kinds[declared.kind]
    facts: dict[str, Any] = {"help": declared.help, "metavar": declared.metavar, "min": declared.minimum}
    info = typer.Option(*declared.flags, **facts) if declared.flags else typer.Argument(**facts)
    default = inspect.Parameter.empty if declared.required else declared.default
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=Annotated[kind, info])
