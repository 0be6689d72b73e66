"""
A schema as a Mermaid entity-relationship diagram (https://mermaid.js.org/syntax/entityRelationshipDiagram.html).

Reads the schema as a value; where it comes from is the caller's business.
"""

from __future__ import annotations

import re

from homie_migrations_core.sqlite.names import fold
from homie_migrations_core.sqlite.schema_objects import Schema, SchemaObject

_NAME = r'("(?:[^"]|"")+"|[^\s(,)]+)'
_LIST = r'\(((?:"(?:[^"]|"")*"|[^")])*)\)'
_TEXT = re.compile(r"'(?:[^']|'')*'")
_FIRST_CLAUSE = re.compile(
    r'("(?:[^"]|"")*")|\s*\b(?:CONSTRAINT|PRIMARY|NOT|NULL|UNIQUE|CHECK|DEFAULT|COLLATE|REFERENCES|GENERATED|AS)\b'
)
# Control, bidirectional and line-separating characters, and halves of characters: no name is shown with them.
_NOT_SHOWN = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
# Words that Mermaid reads as syntax where the name of a table is expected.
_RESERVED = frozenset(
    "one many to only zero optionally end style class classdef subgraph acctitle accdescr erdiagram title u o direction "
    "default".split()
)


def diagram(schema: Schema) -> str:
    """Return the diagram: every table with its columns, and a line for each foreign key."""
    tables = [each for key, each in sorted(schema.items()) if key[0] == "table"]
    names: dict[str, str] = {}
    for table in tables:
        _name_in_diagram(table.name, names)
    lines = ["erDiagram"]
    references = []
    for table in tables:
        keys = _references(table)
        primary, foreign = _primary(table), {column for columns, _ in keys for column in columns}
        lines.append(f"    {names[fold(table.name)]} {{")
        for column in table.columns:
            name = fold(column.name)
            marks = [mark for mark, own in (("PK", primary), ("FK", foreign)) if name in own]
            lines.append(f"        {_word(_type(column.words)) or 'ANY'} {_word(column.name)}{' ' * bool(marks)}{', '.join(marks)}")
        lines.append("    }")
        by_name = {fold(column.name): column for column in table.columns}
        for columns, parent in keys:
            known = [by_name[column] for column in columns if column in by_name]
            one = "||" if known and all("NOT NULL" in _TEXT.sub("", column.words) for column in known) else "o|"
            label = re.sub(f"[{_NOT_SHOWN}]", " ", ", ".join(column.name for column in known)).replace('"', "'")
            references.append(f'    {names[fold(table.name)]} }}o--{one} {_name_in_diagram(parent, names)} : "{label}"')
    return "\n".join(lines + references)


def _name_in_diagram(name: str, names: dict[str, str]) -> str:
    """Return the name of a table in the diagram: its own, in quotes where Mermaid needs them, and unique. Adds it to `names`."""
    if fold(name) not in names:
        shown = name
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_\-]*", name) or name.lower() in _RESERVED:
            shown = '"' + re.sub(rf'["%\\{_NOT_SHOWN}]', "_", name) + '"'
        while shown in names.values():
            shown = f'"{shown.strip(chr(34))}_"'
        names[fold(name)] = shown
    return names[fold(name)]


def _word(text: str) -> str:
    """Return `text` as a word that Mermaid accepts for a column or a type."""
    word = re.sub(r"[^A-Za-z0-9_\-()\[\]]+", "_", text)
    return f"_{word}" if word and (not re.match("[A-Za-z_]", word) or re.match(r"(?:pk|fk|uk)\b", word, re.IGNORECASE)) else word


def _type(words: str) -> str:
    """Return the declared type of a column: everything before its first clause."""
    for found in _FIRST_CLAUSE.finditer(words):
        if found[1] is None:
            return words[: found.start()].strip()
    return words.strip()


def _primary(table: SchemaObject) -> set[str]:
    """Return the columns of the primary key."""
    own = {fold(each.name) for each in table.columns if "PRIMARY KEY" in _TEXT.sub("", each.words)}
    for text in table.constraints:
        if found := re.search(rf"PRIMARY KEY {_LIST}", _TEXT.sub("", text)):
            own.update(_names(found[1]))
    return own


def _references(table: SchemaObject) -> list[tuple[list[str], str]]:
    """Return the columns of each foreign key, and the table that they refer to."""
    own = ((column, re.search(rf"REFERENCES {_NAME}", _TEXT.sub("", column.words))) for column in table.columns)
    keys = (re.search(rf"FOREIGN KEY {_LIST} REFERENCES {_NAME}", _TEXT.sub("", text)) for text in table.constraints)
    return [
        *(([fold(column.name)], _plain(parent[1])) for column, parent in own if parent),
        *((_names(key[1]), _plain(key[2])) for key in keys if key),
    ]


def _names(text: str) -> list[str]:
    """Return the columns of a list, without COLLATE, ASC and DESC."""
    return [_plain(found[1]) for found in re.finditer(rf"(?:^|,)\s*{_NAME}(?:[^\",]|\"(?:[^\"]|\"\")*\")*", text)]


def _plain(name: str) -> str:
    """Return a name without its quotes, in small letters."""
    return fold(name[1:-1].replace('""', '"') if name.startswith('"') else name)
