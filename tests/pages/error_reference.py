"""The generated parts of docs/reference/errors.md: a table of the errors, and a section about each."""

from __future__ import annotations

import inspect

from error_examples import EXAMPLES, SHOWN

from homie_migrations_core import errors
from pages.reading import table

_IN_EVERY_ERROR = {"summary", "problems", "advice"}


def error_classes() -> list[type[errors.HomieMigrationsError]]:
    """Return the classes of errors by kind, in the order of their files."""
    kinds = ("base", "usage", "refusals", "failures")
    found = [getattr(errors, name) for name in errors.__all__]
    return sorted(found, key=lambda each: (kinds.index(each.__module__.rpartition(".")[2]), inspect.getsourcelines(each)[1]))


def error_table() -> str:
    """Return the table of errors with the first sentence of each class's docstring."""
    rows = []
    for each in error_classes():
        sentence = " ".join(str(inspect.getdoc(each)).split("\n\n")[0].split())
        rows.append((f"[`{each.code}`](#{each.code})", str(each.exit_code), f"`{each.__name__}`", sentence))
    return table("code|exit code|class|what it means", rows)


def error_sections() -> str:
    """Return a section for each error: its class, what it means, its facts, and an example of what the terminal shows."""
    return "\n\n".join(map(_section, error_classes()))


def _section(kind: type[errors.HomieMigrationsError]) -> str:
    number = next(number for number, each in enumerate(EXAMPLES) if type(each) is kind)
    base = kind.__mro__[1]
    root = "" if kind is errors.HomieMigrationsError else f", a kind of `{base.__name__}`"
    shown = SHOWN[number].partition("\n")[2]
    parts = [
        f"### {kind.code}",
        f"`{kind.__name__}`{root}. Exit code {kind.exit_code}.",
        str(inspect.getdoc(kind)),
        f"```text\n{shown}\n```",
    ]
    if facts := _facts(EXAMPLES[number]):
        parts.append(facts)
    return "\n\n".join(parts)


def _facts(example: errors.HomieMigrationsError) -> str:
    """Return the table of what an error carries beside its three parts."""
    rows = [(f"`{name}`", f"`{_value(value)}`") for name, value in vars(example).items() if name not in _IN_EVERY_ERROR]
    return table("attribute|in this example", rows) if rows else ""


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_value, value))}{',' if len(value) == 1 else ''})"
    return f"{type(value).__name__}(...)" if isinstance(value, Exception) else repr(value)
