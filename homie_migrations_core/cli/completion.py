"""
What a shell offers when somebody presses Tab: commands, options, packs, references of migrations, names of snapshots.

Answers the scripts that Typer makes for bash, zsh and fish, without Typer, whose import takes longer than a reader waits. Only
reads: databases are opened as `status` opens them. Whatever goes wrong, nothing is offered, and nothing is printed.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import re
import shlex
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence

from homie_migrations_core.cli import output
from homie_migrations_core.cli.command_table import ALIASES, FLEET_COMMANDS, FLEET_MODULE, PANEL_AND_MODULE
from homie_migrations_core.cli.options import CommandOptions, DatabaseOptions, Option

_log = logging.getLogger("homie_migrations")

Candidate = tuple[str, str]
"""What can be inserted, and what it is."""

_SAFE = re.compile(r"[\w./:+@%,=-]+", re.ASCII)  # a shell evaluates what it is given, so no other name is offered
_NOT_IN_HELP = re.compile(r"[^\w .,;/<>=+-]", re.ASCII)


def answer(environment: Mapping[str, str]) -> int | None:
    """Print what the shell asks for, and return the exit code; None if this shell is not known here."""
    shell = environment["_HOMIE_COMPLETE"].removeprefix("complete_")
    if shell not in ("bash", "zsh", "fish"):
        return None
    words, incomplete, colon = _bash_words(environment) if shell == "bash" else (*_typed(environment), "")
    found = [each for each in candidates(words[1:], incomplete) if _SAFE.fullmatch(each[0])]
    if shell == "bash":  # which takes what follows the last colon for a word of its own
        lines = [value.removeprefix(colon) for value, _ in found]
    elif shell == "zsh":
        offered = "\n".join(f'"{value.replace(":", chr(92) * 2 + ":")}":"{_NOT_IN_HELP.sub("", text)}"' for value, text in found)
        lines = [f"_arguments '*: :(({offered}))'" if offered else "_files"]
    elif environment.get("_TYPER_COMPLETE_FISH_ACTION") == "is-args":
        return 0 if found else 1
    else:
        lines = [f"{value}\t{_NOT_IN_HELP.sub('', text)}" for value, text in found]
    if lines:
        output.write_block("\n".join(lines))
    return 0


def candidates(words: Sequence[str], incomplete: str) -> list[Candidate]:
    """Return what may stand in place of `incomplete`, behind these words of the command line; nothing if that is unclear."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):  # a pack's module may print
        try:
            found = _candidates(list(words), incomplete)
            return [each for each in found if each[0].startswith(incomplete)]
        except KeyboardInterrupt:
            raise
        except BaseException:  # whatever a pack raises: an error would tear apart the line that somebody is typing
            _log.debug("Nothing is offered for %s", words, exc_info=True)
            return []


# --- what was typed ---------------------------------------------------------------------------------------------


def _bash_words(environment: Mapping[str, str]) -> tuple[list[str], str, str]:
    """Return the words before the cursor's, that one, and its part up to the last colon, at which bash splits words."""
    words, at = _split(environment.get("COMP_WORDS", "")), _number(environment.get("COMP_CWORD", ""))
    before, incomplete = words[:at], words[at] if at < len(words) else ""
    colon = ""
    if incomplete == ":" and before:  # pack:
        colon = incomplete = f"{before.pop()}:"
    elif len(before) > 1 and before[-1] == ":":  # pack:00
        before.pop()
        colon = f"{before.pop()}:"
        incomplete = colon + incomplete
    joined: list[str] = []
    for word in before:  # earlier ones
        if joined and len(joined) > 1 and (word == ":" or joined[-1].endswith(":")):
            joined[-1] += word
        else:
            joined.append(word)
    return joined, incomplete, colon


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _typed(environment: Mapping[str, str]) -> tuple[list[str], str]:
    """Return the words before the cursor's, and that one, from a line up to the cursor."""
    line = environment.get("_TYPER_COMPLETE_ARGS", "")
    words = _split(line)
    return (words, "") if not words or line[-1:].isspace() else (words[:-1], words[-1])


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # a quote that is still open
        return line.split()


# --- what may follow --------------------------------------------------------------------------------------------


def _candidates(words: list[str], incomplete: str) -> list[Candidate]:
    if not words:
        return [("migrations", "Bring databases up to date"), ("--version", "Show versions"), ("--help", "Show help")]
    if words[0] != "migrations":
        return []
    if len(words) == 1:
        return _commands(PANEL_AND_MODULE)
    command, rest = ALIASES.get(words[1], words[1]), words[2:]
    if command == "fleet":
        if not rest:
            return _commands(dict.fromkeys(FLEET_COMMANDS, ("", FLEET_MODULE)))
        module, command, rest = FLEET_MODULE, rest[0], rest[1:]
        if command not in FLEET_COMMANDS:
            return []
    elif command in PANEL_AND_MODULE:
        module = PANEL_AND_MODULE[command][1]
    else:
        return []
    options_class = _options_class(module, command)
    return _Line(options_class, rest).candidates(incomplete)


def _commands(table: Mapping[str, tuple[str, str]]) -> list[Candidate]:
    """Return the commands, without their help: that would import every one of them."""
    return [(name, panel) for name, (panel, _) in table.items()]


def _options_class(module: str, command: str) -> type[CommandOptions]:
    function = getattr(importlib.import_module(f"homie_migrations_core.cli.commands.{module}"), command.replace("-", "_"))
    found: type[CommandOptions] = typing.get_type_hints(function)["options"]
    return found


class _Line:
    """What was typed behind a command."""

    def __init__(self, options_class: type[CommandOptions], words: Sequence[str]) -> None:
        declared = options_class.declared()
        self._flags = {flag: (name, each) for name, each in declared.items() for flag in each.flags}
        self._arguments = [(name, each) for name, each in declared.items() if not each.flags]
        self.given: dict[str, object] = {}
        self._waiting: tuple[str, Option] | None = None
        """The option whose value comes next."""
        for word in words:
            self._take(word)
        self.options = options_class(**self.given)

    def _take(self, word: str) -> None:
        flag, equals, value = word.partition("=")
        if self._waiting is not None:
            (name, option), self._waiting = self._waiting, None
            self._set(name, option, word)
        elif flag in self._flags:
            name, option = self._flags[flag]
            if option.kind == "bool":
                self.given[name] = True
            elif equals:
                self._set(name, option, value)
            else:
                self._waiting = name, option
        elif self._arguments:
            name, option = self._arguments[0]
            self._set(name, option, word)
            if not option.kind.startswith("list"):
                del self._arguments[0]

    def _set(self, name: str, option: Option, value: str) -> None:
        if option.kind.startswith("list"):
            values = self.given.setdefault(name, [])
            assert isinstance(values, list)
            values.append(value)
        elif option.kind.startswith("str"):
            self.given[name] = value

    def candidates(self, incomplete: str) -> list[Candidate]:
        if self._waiting is not None:
            return list(self._values(*self._waiting))
        if incomplete.startswith("-"):
            repeatable = [flag for flag, (_, each) in self._flags.items() if each.kind.startswith("list")]
            flags = [flag for flag, (name, _) in self._flags.items() if flag.startswith("--") and name not in self.given]
            offered = [(flag, self._flags[flag][1].help) for flag in dict.fromkeys([*flags, *repeatable])]
            return [*offered, ("--help", "Show this message and exit.")]
        return list(self._values(*self._arguments[0])) if self._arguments else []

    def _values(self, name: str, option: Option) -> Iterator[Candidate]:
        if option.choices:
            yield from ((each, "") for each in option.choices)
        elif option.kind in ("str", "str | None", "list[str] | None") and name in _VALUES:
            yield from _VALUES[name](self.options)


# --- values -----------------------------------------------------------------------------------------------------


def _packs(_: CommandOptions) -> Iterator[Candidate]:
    from homie_migrations_core.packs.discovery import collect

    for each in collect().packs:
        yield each.pack.name, each.pack.database


def _refs(options: CommandOptions) -> Iterator[Candidate]:
    """Yield every migration of the databases that the options select, with its state."""
    from homie_migrations_core.cli.targets import select

    assert isinstance(options, DatabaseOptions)
    selection = select(options, getattr(options, "pack", None))
    for target in selection.targets:
        with contextlib.suppress(Exception):  # one that can't be read does not hide the others
            for pack in target.reader(selection, lock_timeout=0.0).status().packs.values():
                yield from ((each.ref, each.state.replace("_", " ")) for each in pack.migrations)


def _snapshots(options: CommandOptions) -> Iterator[Candidate]:
    """Yield the name of each snapshot of the databases that the options select, the newest first."""
    from homie_migrations_core.cli.changes import storage_of
    from homie_migrations_core.cli.targets import select
    from homie_migrations_core.sqlite.snapshots import list_snapshots

    assert isinstance(options, DatabaseOptions)
    storage = storage_of(getattr(options, "backup_dir", None))
    for target in select(options, getattr(options, "pack", None)).targets:
        for each in list_snapshots(str(target.path), storage):
            yield each.path.name, f"{each.taken_at:%Y-%m-%d %H.%M} UTC, {each.applied}"


# Of every command: what the values of these options and arguments are. Of the others, the shell offers files.
_VALUES: dict[str, Callable[[CommandOptions], Iterator[Candidate]]] = {
    "pack": _packs,
    "pack_name": _packs,
    "packs": _packs,
    "to": _refs,
    "ref": _refs,
    "file": _snapshots,
}
