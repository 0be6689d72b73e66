"""Whether a JSON document has the shape that its types in `homie_migrations_core.cli.documents` state."""

from __future__ import annotations

import types
import typing
from typing import Any, Literal, NotRequired

from homie_migrations_core.cli.app import ALIASES
from homie_migrations_core.cli.documents import catalog, common


def check_document(command: str, document: Any) -> None:
    """Fail unless the document is what this command may print. Fields that a command adds are absent after an error."""
    command = ALIASES.get(command, command)
    assert isinstance(document["databases"], list)
    _check_added({**document, "databases": []}, common.Document, catalog.DOCUMENT_FIELDS.get(command, ()), "document")
    for number, database in enumerate(document["databases"]):
        _check_added(database, common.Database, catalog.DATABASE_FIELDS.get(command, ()), f"databases[{number}]")


def _check_added(value: dict[str, Any], kind: type, added: tuple[type, ...], where: str) -> None:
    """Check the fields that are always there, and those that were added."""
    known = typing.get_type_hints(kind, include_extras=True)
    optional: dict[str, Any] = {}
    for each in added:
        optional |= typing.get_type_hints(each, include_extras=True)
    assert value.keys() <= known.keys() | optional.keys(), where
    _check({name: each for name, each in value.items() if name in known}, kind, where)
    for name in value.keys() & optional.keys():
        _check(value[name], optional[name], f"{where}.{name}")


def _check(value: Any, kind: Any, where: str) -> None:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is NotRequired:
        _check(value, arguments[0], where)
    elif typing.is_typeddict(kind):
        hints = typing.get_type_hints(kind, include_extras=True)
        required = {name for name, each in hints.items() if typing.get_origin(each) is not NotRequired}
        assert isinstance(value, dict), where
        assert required <= value.keys() <= hints.keys(), where
        for name, each in value.items():
            _check(each, hints[name], f"{where}.{name}")
    elif origin is list:
        assert isinstance(value, list), where
        for number, each in enumerate(value):
            _check(each, arguments[0], f"{where}[{number}]")
    elif origin in (types.UnionType, typing.Union):
        assert any(_fits(value, each, where) for each in arguments), f"{where} is {value!r}"
    elif origin is Literal:
        assert value in arguments, where
    else:
        assert type(value) is kind or (kind is float and type(value) is int), f"{where} is {value!r}"


def _fits(value: Any, kind: Any, where: str) -> bool:
    if kind is type(None):
        return value is None
    try:
        _check(value, kind, where)
    except AssertionError:
        return False
    return True
