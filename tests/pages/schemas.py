"""
The JSON Schemas in docs/reference/schemas, made from the types in `homie_migrations_core.cli.documents`.

msgspec translates the types; the docstrings of types and of their fields become descriptions.
"""

from __future__ import annotations

import ast
import functools
import inspect
import json
import sys
import typing
from typing import Any, NotRequired, TypedDict

import msgspec

from homie_migrations_core.cli.documents import catalog, common

FOLDER = "docs/reference/schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
COMMON = "document"
"""The name of the schema of what all documents have in common; it is the one of a command line that no command understood."""


def file_name(name: str) -> str:
    """Return the name of the schema's file for a command, `fleet apply` included."""
    return f"{name.replace(' ', '-')}.schema.json"


def schema(name: str, title: str, *kinds: Any) -> dict[str, Any]:
    """Return the schema of a type, or of what is one of several types."""
    found, definitions = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    for kind in kinds:
        for each in _typed_dicts(kind):
            _complete(definitions[each.__name__], each)
    return {
        "$schema": DIALECT,
        "$id": f"urn:homie-migrations:schema:{name.replace(' ', '-')}",
        "title": title,
        **(found[0] if len(found) == 1 else {"oneOf": list(found)}),
        "$defs": dict(sorted(definitions.items())),
    }


def line_schema(name: str, kinds: tuple[type, ...]) -> dict[str, Any]:
    """Return the schema of each line of what is written as lines of JSON."""
    return schema(name, f"A line of `{name}`", *kinds)


def document_schema(command: str) -> dict[str, Any]:
    """Return the schema of the document that a command prints with `--json`."""
    database, document = catalog.DATABASE_FIELDS.get(command, ()), catalog.DOCUMENT_FIELDS.get(command, ())
    kind = _with_fields(common.Document, document, databases=list[_with_fields(common.Database, database)])  # type: ignore[misc]
    return schema(command, f"What `homie migrations {command} --json` prints", kind)


@functools.cache
def schemas() -> dict[str, dict[str, Any]]:
    """Return every schema by name: the one of all documents, and the one of each command."""
    commands = catalog.DATABASE_FIELDS.keys() | catalog.DOCUMENT_FIELDS.keys()
    found = {COMMON: schema(COMMON, "What every command of `homie migrations` prints with `--json`", common.Document)}
    found |= {name: line_schema(name, kinds) for name, kinds in catalog.LINES.items()}
    return found | {command: document_schema(command) for command in sorted(commands)}


def as_text(found: dict[str, Any]) -> str:
    """Return a schema as its file has it."""
    return json.dumps(found, indent=2) + "\n"


def files() -> dict[str, str]:
    """Return the text of each file in the folder of the schemas, by its path from the root."""
    return {f"{FOLDER}/{file_name(name)}": as_text(each) for name, each in schemas().items()}


# --- types -------------------------------------------------------------------------------------------------


def _with_fields(base: type, added: tuple[type, ...], **replaced: Any) -> Any:
    """Return a type with the fields of `base`, and those that a command adds: they are absent where an error came first."""
    fields = typing.get_type_hints(base, include_extras=True) | replaced
    for each in added:
        for name, kind in typing.get_type_hints(each, include_extras=True).items():
            fields[name] = kind if typing.get_origin(kind) is NotRequired else NotRequired[kind]
    made = TypedDict(base.__name__, fields)  # type: ignore[misc, operator]
    made.__doc__ = inspect.getdoc(base)
    made.made_of = (base, *added)
    return made


def _typed_dicts(kind: Any) -> list[Any]:
    """Return the types of objects that a type consists of."""
    found: dict[str, Any] = {}
    left = [kind]
    while left:
        each = left.pop()
        if typing.is_typeddict(each):
            if each.__name__ in found:
                assert found[each.__name__] is each, f"two types are called {each.__name__}"
                continue
            found[each.__name__] = each
            left += typing.get_type_hints(each, include_extras=True).values()
        else:
            left += typing.get_args(each)
    return list(found.values())


def _complete(definition: dict[str, Any], kind: Any) -> None:
    """Put the fields of an object into the order in which they are declared, and describe them."""
    described: dict[str, str] = {}
    for each in getattr(kind, "made_of", (kind,)):
        described |= field_docstrings(each)
    names = list(typing.get_type_hints(kind, include_extras=True))
    properties = definition["properties"]
    definition["description"] = str(inspect.getdoc(kind))
    definition["properties"] = {
        name: {**properties[name], "description": described[name]} if name in described else properties[name] for name in names
    }
    definition["required"] = [name for name in names if name in definition["required"]]
    definition["additionalProperties"] = True  # said aloud: documents may gain fields


@functools.cache
def field_docstrings(kind: type) -> dict[str, str]:
    """Return the docstrings below the fields of a class and of its bases."""
    tree = ast.parse(inspect.getsource(sys.modules[kind.__module__]))
    (body,) = [each for each in tree.body if isinstance(each, ast.ClassDef) and each.name == kind.__name__]
    found: dict[str, str] = {}
    for base in body.bases:
        if isinstance(base, ast.Name) and base.id != "TypedDict":
            found |= field_docstrings(getattr(sys.modules[kind.__module__], base.id))
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            found[ast.unparse(field.target)] = inspect.cleandoc(str(text.value.value))
    return found
