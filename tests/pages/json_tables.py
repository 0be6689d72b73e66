"""The tables of docs/reference/json.md: what each command adds to its document, and the fields of every object."""

from __future__ import annotations

from typing import Any

from homie_migrations_core.cli.documents import catalog
from pages.reading import table
from pages.schemas import COMMON, file_name, schemas

BESIDE_THE_COMMANDS = {COMMON, *catalog.LINES}


def command_table() -> str:
    """Return the table of commands: the schema of each, and the fields that it adds."""
    rows = []
    for name, each in schemas().items():
        if name in BESIDE_THE_COMMANDS:
            continue
        added = [*_added(each, "Document", "the document"), *_added(each, "Database", "each database")]
        rows.append((f"[`{name}`](schemas/{file_name(name)})", *(added or [("nothing", "", "", "")])[0]))
        rows += [("", *row) for row in added[1:]]
    return table("command|adds|to|type|meaning", rows)


def _added(schema: dict[str, Any], kind: str, where: str) -> list[tuple[str, str, str, str]]:
    """Return a row for each field that a command adds to this kind of object."""
    known = schemas()[COMMON]["$defs"][kind]["properties"]
    fields = schema["$defs"].get(kind, {"properties": {}})["properties"]
    return [
        (f"`{name}`", where, kind_in_words(each), each.get("description", "")) for name, each in fields.items() if name not in known
    ]


def object_tables() -> str:
    """Return a table of fields for each kind of object, under a heading of its own; two of them without what commands add."""
    lines = {each.__name__ for kinds in catalog.LINES.values() for each in kinds}  # they have tables of their own
    found = {name: each for schema in schemas().values() for name, each in schema["$defs"].items() if name not in lines}
    found |= schemas()[COMMON]["$defs"]
    return "\n\n".join(
        f"### {name}\n\n{definition['description']}\n\n{field_table(definition)}" for name, definition in sorted(found.items())
    )


def line_tables(name: str, *, but: tuple[str, ...] = ()) -> str:
    """Return a table of fields for each kind of line, under a heading of its own; some are the same in every line."""
    found = schemas()[name]
    tables = []
    for each in found["oneOf"]:
        definition = found["$defs"][each["$ref"].rpartition("/")[2]]
        fields = definition["properties"]
        heading = fields["event"]["enum"][0] if "event" in fields else definition["title"]
        others = {**definition, "properties": {name: field for name, field in fields.items() if name not in but}}
        tables.append(f"### {heading}\n\n{definition['description']}\n\n{field_table(others)}")
    return "\n\n".join(tables)


def field_table(definition: dict[str, Any]) -> str:
    """Return the table of an object's fields."""
    required = definition["required"]
    return table(
        "field|type|meaning",
        [
            (f"`{name}`" + ("" if name in required else " (optional)"), kind_in_words(each), each.get("description", ""))
            for name, each in definition["properties"].items()
        ],
    )


def kind_in_words(kind: dict[str, Any]) -> str:
    """Return what a value may be."""
    if "$ref" in kind:
        name = kind["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in kind:
        return " or ".join(kind_in_words(each) for each in kind["anyOf"])
    if "enum" in kind:
        return ", ".join(f"`{each}`" for each in kind["enum"])
    if kind["type"] == "array":
        return f"list of {kind_in_words(kind['items'])}"
    if isinstance(kind.get("additionalProperties"), dict):
        return f"object of {kind_in_words(kind['additionalProperties'])}"
    return str(kind["type"])
