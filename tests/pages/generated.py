"""The parts of pages that the program writes: the help of the commands, errors, hooks, the tracking table."""

from __future__ import annotations

import inspect
import re
from typing import Any

import typer

import file_organizer_migrations
from homie_migrations_core import MigrationRunner, errors
from homie_migrations_core.cli import app
from homie_migrations_core.inspection.diagram import diagram
from homie_migrations_core.packs import hookspecs
from homie_migrations_core.sqlite import tracking
from pages import json_tables, schemas
from pages.error_reference import error_sections, error_table
from pages.reading import ROOT, table, text_of


def commands() -> dict[str, Any]:
    """Return the commands of `homie migrations` by name; one of a group is called `group command`."""
    return _commands_of(typer.main.get_command(app.migrations), "")


def _commands_of(group: Any, prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        if hasattr(command, "list_commands"):
            found |= _commands_of(command, f"{prefix}{name} ")
        else:
            found[f"{prefix}{name}"] = command
    return found


def described(command: Any) -> str:
    """Return a command's help and a table of its options."""
    rows = []
    for parameter in command.params:
        if parameter.name in ("help", "install_completion", "show_completion"):
            continue
        if parameter.param_type_name == "argument":
            rows.append((f"`{parameter.metavar}`", parameter.help))
            continue
        spelled = " or ".join(f"`{name}`" for name in sorted(parameter.opts, key=len))
        value = "" if parameter.is_flag else f" `{parameter.metavar}`"
        default = f" Default: {parameter.default:g}." if isinstance(parameter.default, float) else ""
        rows.append((spelled + value, parameter.help + default))
    return f"{command.help}\n\n{table('option|what it does', rows)}"


def hooks() -> dict[str, Any]:
    """Return the hook specifications by name."""
    return {name: hook for name, hook in vars(hookspecs).items() if name.startswith(hookspecs.PREFIX)}


def example_files() -> dict[str, str]:
    """Return the files of the example pack that its page shows, by their names."""
    example = ROOT / "examples" / "file_tags"
    files = [example / "pyproject.toml", *sorted((example / "src").rglob("[!_]*.*"))]
    kinds = {".toml": "toml", ".py": "python", ".sql": "sql"}
    return {each.name: f"```{kinds[each.suffix]}\n{each.read_text(encoding='utf-8')}```" for each in files if each.suffix in kinds}


def schema_diagram() -> str:
    """Return the diagram of the file organizer's tables."""
    schema = MigrationRunner(":unused:", [file_organizer_migrations.pack]).schema()
    return f"```mermaid\n{diagram(schema)}\n```"


def error_names() -> str:
    """Return the block from which the site makes the reference of the errors; the root is documented beside the package's names."""
    names = [name for name in errors.__all__ if name != errors.HomieMigrationsError.__name__]
    return "\n".join([f"```{{api}} {errors.__name__}", *names, "```"])


def generated() -> dict[tuple[str, str], str]:
    """Return what belongs between `<!-- generated: NAME -->` and `<!-- end -->`, by page and name."""
    found = {("docs/reference/command-line.md", name): described(command) for name, command in commands().items()}
    found["docs/reference/command-line.md", "diagram"] = schema_diagram()
    found["docs/reference/errors.md", "errors"] = error_table()
    found["docs/reference/errors.md", "each error"] = error_sections()
    found["docs/reference/python.md", "errors"] = error_names()
    found["docs/reference/json.md", "commands"] = json_tables.command_table()
    found["docs/reference/json.md", "objects"] = json_tables.object_tables()
    found["docs/reference/json.md", "events"] = json_tables.line_tables("progress", but=("event", "at"))
    found["docs/reference/json.md", "report"] = json_tables.line_tables("fleet-report")
    found["docs/reference/tracking-table.md", "table"] = f"```sql\n{tracking.create_sql('file_organizer')};\n```"
    for name, hook in hooks().items():
        found["docs/reference/hooks.md", name] = str(inspect.getdoc(hook))
    for name, block in example_files().items():
        found["docs/pack-authors/example-pack.md", name] = block
    return found


def marked(name: str, text: str) -> re.Match[str]:
    """Return what is between a page's marks now."""
    found = re.search(rf"(?<=<!-- generated: {name} -->\n)(?:(?!<!--).)*(?=<!-- end -->)", text, re.DOTALL)
    assert found, f"the page has no generated part {name!r}"
    return found


def write(only: list[str]) -> None:
    """Write the generated parts of these pages, or of all; then the schemas too."""
    if not only:
        for path, text in schemas.files().items():
            (ROOT / path).parent.mkdir(exist_ok=True)
            (ROOT / path).write_text(text, encoding="utf-8")
    for (page, name), text in generated().items():
        if not only or page in only:
            before = text_of(page)
            found = marked(name, before)
            (ROOT / page).write_text(f"{before[: found.start()]}\n{text}\n\n{before[found.end() :]}", encoding="utf-8")
