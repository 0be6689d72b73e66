"""
Read a folder of files into a `Pack`: names, versions, requirements and checksums, without running any file.

Running a file is left to `packs/loading.py`, and what should run to `planning/`.
"""

from __future__ import annotations

import _ast as ast  # the classes only: what `ast` adds to them takes longer to import than a pack to read
import os

from homie_migrations_core.model import Migration, Pack
from homie_migrations_core.packs import naming
from homie_migrations_core.packs.checksum import blocks_of, python_checksum, sql_checksum
from homie_migrations_core.packs.files import UnusablePack as UnusablePack
from homie_migrations_core.packs.files import folder_of, list_files
from homie_migrations_core.values import path_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from dataclasses import dataclass
    from typing import Any

    from homie_migrations_core.broken import BrokenPack
    from homie_migrations_core.packs.definition import MigrationPack
    from homie_migrations_core.packs.registered import RegisteredPack
else:
    from homie_migrations_core.values import dataclass

VERSION_FUNCTION, APPLY, ROLLBACK, VERIFY = (
    "get_migration_version",
    "apply_migration",
    "rollback_migration",
    "verify_migration",
)


def read_registered(chosen: Sequence[RegisteredPack]) -> tuple[tuple[Pack, ...], list[BrokenPack]]:
    """Read the packs, and return them by name, and those whose files cannot be used."""
    packs: list[Pack] = []
    broken: list[BrokenPack] = []
    for each in chosen:
        try:
            packs.append(read_pack(each.pack, distribution=each.distribution, distribution_version=each.distribution_version))
        except UnusablePack as error:
            broken.append(each.broken(str(error)))
    return tuple(sorted(packs, key=lambda pack: pack.name)), broken


def read_pack(pack: MigrationPack, *, distribution: str | None = None, distribution_version: str | None = None) -> Pack:
    """
    Read a pack with all its migrations, and run none of them.

    A file whose content can't be used is kept, with its problem: that stops a run only while it is pending.

    Raises:
        UnusablePack: The place or the file names can't be used.
    """
    folder = folder_of(pack.migrations)
    files, rollbacks, problems = list_files(folder)
    if problems:
        raise UnusablePack("; ".join(problems))
    migrations = (_read(pack.name, version, folder, files[version], rollbacks.get(version)) for version in sorted(files))
    return Pack(
        pack.name,
        pack.database,
        tuple(migrations),
        distribution,
        distribution_version,
        pack.package,
    )


def _read(pack: str, version: int, folder: str, file_name: str, rollback: str | None) -> Migration:
    path, rollback_path = os.path.join(folder, file_name), os.path.join(folder, rollback) if rollback else None
    try:
        content = _content_of(path)
        rollback_content = _content_of(rollback_path) if rollback_path else b""
    except OSError as error:
        unreadable = os.path.basename(error.filename or file_name)
        found = f"{unreadable} can't be read ({error.strerror})"
        return Migration(pack, version, naming.stem(file_name), path_from(path), problem=found)
    facts = _sql_facts(content) if file_name.endswith(".sql") else _python_facts(content, version, path)
    problem = f"{file_name}{facts.problem}" if facts.problem else None
    if rollback and (unusable := _sql_facts(rollback_content).problem):
        problem = problem or f"{rollback}{unusable}"
    return Migration(
        pack,
        version,
        naming.stem(file_name),
        path_from(path),
        facts.checksum,
        facts.requires,
        facts.reversible or rollback is not None,
        problem,
        content,
        path_from(rollback_path) if rollback_path else None,
        rollback_content,
    )


def _content_of(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


@dataclass(frozen=True, slots=True)
class _Facts:
    checksum: str | None = None
    requires: tuple[str, ...] = ()
    reversible: bool = False
    problem: str | None = None


def _sql_facts(content: bytes) -> _Facts:
    try:
        script = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _Facts(problem=f" is not UTF-8 ({error.reason} at byte {error.start})")
    requires: list[str] = []
    for line in script.splitlines():
        comment = line.strip()
        if comment and not comment.startswith("--"):
            break
        key, colon, refs = comment.removeprefix("--").strip().partition(":")
        if colon and key.strip().lower() == "requires":
            requires.extend(ref for ref in refs.replace(",", " ").split())
    problem = next(
        (
            f" requires {ref!r}, which is not a valid reference (expected e.g. 'pack:3')"
            for ref in requires
            if not naming.split_ref(ref)
        ),
        None,
    )
    return _Facts(sql_checksum(script.replace("\r\n", "\n")), () if problem else tuple(dict.fromkeys(requires)), False, problem)


def _python_facts(content: bytes, version: int, path: str) -> _Facts:
    try:
        # A warning of the parser names the file.
        tree: Any = compile(content, path, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
        checksum = python_checksum(content, tree)
    except SyntaxError as error:
        return _Facts(problem=f", line {error.lineno}: {error.msg}")
    except (ValueError, RecursionError, MemoryError) as error:  # null bytes, or code nested beyond the parser
        return _Facts(problem=f" can't be parsed ({error})")
    names = _bindings(tree.body)
    problem = None
    open_ended = "*" in names
    functions = {each: _bound(each, names) for each in (VERSION_FUNCTION, APPLY, ROLLBACK, VERIFY)}
    for required in (VERSION_FUNCTION, APPLY):
        if functions[required] is None and not (open_ended and required not in names):
            problem = f" has no {required}()"
            break
    for each, function in functions.items():
        if isinstance(function, ast.AsyncFunctionDef):
            problem = f" defines {each} with async def, which would never be awaited"
    requires: tuple[str, ...] = ()
    try:
        found = _returned(functions[VERSION_FUNCTION], names)
        if problem is None and found is not ... and (type(found) is not int or found != version):
            problem = f" returns {found!r} as its version, but its file name says {version}"
        if (declared := names.get("REQUIRES")) is not None:
            requires, complaint = requirements(_literal(declared, names))
            problem = problem or complaint
    except _NotALiteral as error:
        problem = problem or f", line {error.line}: {error.what} can't be read without running it; write it as a literal"
    reversible = functions[ROLLBACK] is not None or (open_ended and ROLLBACK not in names)
    return _Facts(checksum, requires, reversible, problem)


def requirements(value: object) -> tuple[tuple[str, ...], str | None]:
    """Return the refs that a value of `REQUIRES` names, each once, or why it can't be one."""
    refs = (value,) if isinstance(value, str) else value
    if not isinstance(refs, tuple | list | set | frozenset):
        return (), f" has REQUIRES = {value!r}, which is not a tuple of references"
    for ref in refs:
        if not (isinstance(ref, str) and naming.split_ref(ref)):
            return (), f" requires {ref!r}, which is not a valid reference (expected e.g. 'pack:3')"
    return tuple(sorted(refs) if isinstance(refs, set | frozenset) else dict.fromkeys(refs)), None


class _NotALiteral(Exception):
    def __init__(self, what: str, line: int) -> None:
        self.what, self.line = what, line


def _bindings(body: list[ast.stmt]) -> dict[str, ast.AST]:
    """Return what each name of a module is bound to last; the name `*` stands for a star import."""
    names: dict[str, ast.AST] = {}
    for node in _statements(body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names[node.name] = node
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                names[(alias.asname or alias.name).partition(".")[0]] = node
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                pairs = [(target, node.value)]
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    pairs = list(zip(target.elts, node.value.elts, strict=False))
                names.update({one.id: value for one, value in pairs if isinstance(one, ast.Name)})
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            names[node.target.id] = node.value
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            names[node.target.id] = node  # not a literal any more
    return names


def _statements(body: list[ast.stmt]) -> Iterator[ast.AST]:
    for node in body:
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for inner in blocks_of(node):
                yield from _statements(getattr(node, inner))


def _bound(name: str, names: dict[str, ast.AST]) -> ast.AST | None:
    """Return what a function's name is bound to in the end; None for nothing, and for a constant."""
    node = names.get(name)
    for _ in names:  # an alias of an alias; the bound ends a circle of them
        if isinstance(node, ast.Name):
            node = names.get(node.id, node)
    return None if isinstance(node, ast.Constant) else node


def _returned(function: ast.AST | None, names: dict[str, ast.AST]) -> object:
    """Return what a version function returns, as a literal; an ellipsis where only running the file could tell (an import)."""
    if function is None or isinstance(function, ast.Import | ast.ImportFrom | ast.Name):
        return ...
    if isinstance(function, ast.Lambda):
        return _literal(function.body, names, VERSION_FUNCTION)
    if isinstance(function, ast.FunctionDef):
        returns = list(_returns(function))
        if len(returns) == 1 and returns[0].value is not None:
            return _literal(returns[0].value, names, VERSION_FUNCTION)
    raise _NotALiteral(f"what {VERSION_FUNCTION}() returns", getattr(function, "lineno", 1))


def _returns(node: ast.AST) -> Iterator[ast.Return]:
    for inner in blocks_of(node):
        for each in getattr(node, inner):
            if isinstance(each, ast.Return):
                yield each
            else:
                yield from _returns(each)


def _literal(node: ast.AST, names: dict[str, ast.AST], of: str | None = None) -> object:
    what = f"what {of}() returns" if of else "REQUIRES"
    for _ in range(len(names) + 1):
        if not isinstance(node, ast.Name):
            break
        node = names.get(node.id, ast.Pass())
    if isinstance(node, ast.Constant):
        return node.value
    try:
        from ast import literal_eval

        return literal_eval(node)
    except (ValueError, TypeError) as error:
        raise _NotALiteral(what, getattr(node, "lineno", 1)) from error
