"""What no linter checks: which modules print, which names are public, what a start-up loads."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import file_organizer_migrations
import homie_migrations_core
from file_organizer_migrations.migration_runner import run_migrations
from homie_migrations_core.packs import hookspecs, plugins

PACKAGE = Path(homie_migrations_core.__file__).parent
NAME = "homie_migrations_core"

MODULES = sorted(path.relative_to(PACKAGE).with_suffix("").as_posix() for path in PACKAGE.rglob("*.py"))


def syntax(module: str) -> ast.Module:
    return ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))


def running(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node of the code, but for what only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            yield from (inner for each in node.orelse for inner in (each, *running(each)))
        else:
            yield node
            yield from running(node)


# --- printing, logging and exiting --------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [module for module in MODULES if module != "cli/output"])
def test_only_one_module_prints(module):
    spoken = {
        ast.unparse(node.func)
        for node in running(syntax(module))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2]
        in ("print", "echo", "secho", "write", "writelines", "print_exc", "print_exception")
        and (ast.unparse(node.func).startswith(("print", "typer.", "sys.", "click.", "rich.", "traceback.")))
    }
    assert spoken == set()


@pytest.mark.parametrize("module", [module for module in MODULES if not module.startswith(("cli/", "__main__"))])
def test_the_library_configures_no_logging_and_never_exits(module):
    called = {ast.unparse(node.func) for node in running(syntax(module)) if isinstance(node, ast.Call)}
    ends = {"sys.exit", "os._exit", "exit", "quit", "SystemExit"}
    assert not called & {"logging.basicConfig", "logging.config.dictConfig", *ends} - (
        {"os._exit"} if module in ("forking", "fleet/worker_process") else set()
    )
    loggers = {
        node.args[0].value
        for node in running(syntax(module))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "logging.getLogger" and isinstance(node.args[0], ast.Constant)
    }
    assert loggers <= {"homie_migrations"}


# --- public names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", homie_migrations_core.__all__)
def test_every_public_name_is_there_and_has_a_docstring(name):
    value = getattr(homie_migrations_core, name)
    assert value.__doc__ or name == "hookimpl"
    assert name in dir(homie_migrations_core)


def test_a_name_that_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = homie_migrations_core.nothing


def test_the_names_for_type_checkers_are_the_public_names():
    block = next(node for node in syntax("__init__").body if isinstance(node, ast.If))
    named = {alias.asname for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert named == set(homie_migrations_core.__all__)
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            assert getattr(importlib.import_module(node.module), alias.name) is getattr(homie_migrations_core, alias.name)


PUBLIC_MODULES = ("compat", "errors", "fleet", "testing")
PLUGIN = Path(file_organizer_migrations.__file__).parent
EXAMPLES = PACKAGE.parent / "examples"


def names_of_the_core(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Every name that a module takes from the core, with the module of the core that it takes it from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == NAME:
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name.partition(".")[0] == NAME)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value).partition(".")[0] == NAME:
            yield ast.unparse(node.value), node.attr


@pytest.mark.parametrize(
    "path", sorted([*PLUGIN.rglob("*.py"), *EXAMPLES.rglob("*.py")]), ids=lambda path: "/".join(path.parts[-2:])
)
def test_the_file_organizers_distribution_and_the_examples_use_public_names_only(path):
    public = {(NAME, ""), *((NAME, name) for name in (*homie_migrations_core.__all__, *PUBLIC_MODULES))}
    for module in PUBLIC_MODULES:
        names = (name for name in dir(importlib.import_module(f"{NAME}.{module}")) if not name.startswith("_"))
        public |= {(f"{NAME}.{module}", name) for name in names}
    assert set(names_of_the_core(ast.parse(path.read_text(encoding="utf-8")))) <= public


def test_the_check_of_public_names_finds_what_is_not_public():
    code = f"from {NAME}.packs import discovery\nimport {NAME}.runner\nimport {NAME}\n{NAME}.packs.collect()\n"
    assert set(names_of_the_core(ast.parse(code))) == {
        (f"{NAME}.packs", "discovery"),
        (f"{NAME}.runner", ""),
        (NAME, ""),
        (f"{NAME}.packs", "collect"),
        (NAME, "packs"),
    }


@pytest.mark.parametrize("module", PUBLIC_MODULES)
def test_every_public_module_is_named_where_the_public_names_are_and_in_the_documentation(module):
    assert f"`{module}`" in homie_migrations_core.__doc__
    pages = "".join(page.read_text(encoding="utf-8") for page in (PACKAGE.parent / "docs").rglob("*.md"))
    assert f"{NAME}.{module}" in pages or f"from {NAME} import {module}" in pages


@pytest.mark.parametrize("hook", sorted(plugins.HOOKS))
def test_every_hook_has_a_docstring(hook):
    spec = getattr(hookspecs, hook)
    assert inspect.getdoc(spec)
    assert hasattr(spec, f"{hookspecs.PROJECT}_spec")
    assert "self" not in inspect.signature(spec).parameters


def test_the_hooks_are_those_of_the_contract():
    assert {hook: list(inspect.signature(getattr(hookspecs, hook)).parameters) for hook in plugins.HOOKS} == {
        "homie_migration_packs": [],
        "homie_database_path": ["database", "data_dir"],
        "homie_run_started": ["run"],
        "homie_step_started": ["run", "step"],
        "homie_step_progress": ["run", "step", "done", "total"],
        "homie_step_finished": ["run", "step"],
        "homie_step_failed": ["run", "step", "error"],
        "homie_run_finished": ["run"],
    }


def test_the_public_names_have_the_types_they_promise(tmp_path):
    checked = Path(__file__).parent / "typing" / "public_names.py"
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        f"--cache-dir={tmp_path}",
        "--follow-imports=silent",
        str(checked),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=PACKAGE.parent)
    assert done.returncode == 0, done.stdout + done.stderr


# --- what a start-up loads --------------------------------------------------------------------------------------------

# Runs `code` in a fresh process and says which modules it loaded and which files it opened.
WATCHED = """
import json, sys
opened = []
sys.addaudithook(lambda event, facts: opened.append(str(facts[0])) if event == "open" else None)
before = set(sys.modules)
{code}
print(json.dumps([sorted(set(sys.modules) - before), opened]))
"""


def watched(code: str) -> tuple[set[str], list[str]]:
    done = subprocess.run([sys.executable, "-c", WATCHED.format(code=code)], capture_output=True, text=True, check=True)
    modules, opened = json.loads(done.stdout)
    return set(modules), opened


@functools.cache
def modules_of(imports: str) -> frozenset[str]:
    """What an import loads by itself, which differs between versions of Python."""
    return frozenset(watched(imports)[0])


def loaded(modules: set[str], *names: str) -> set[str]:
    return {module for module in modules for name in names if module == name or module.startswith(f"{name}.")}


def test_importing_the_library_loads_very_little():
    modules, _ = watched("import homie_migrations_core")
    assert loaded(modules, NAME) == {NAME}
    assert not loaded(modules, "typer", "click", "rich", "pluggy", "importlib_metadata", "importlib.metadata", "sqlite3", "pathlib")


SLOW = frozenset(
    "typer click rich pluggy importlib_metadata importlib.metadata importlib.util dataclasses logging inspect ast re enum pathlib "
    "typing tokenize contextlib email zipfile hashlib json warnings threading fnmatch urllib tempfile shutil".split()
)


def test_an_up_to_date_start_loads_no_migration_and_nothing_slow(tmp_path):
    database = tmp_path / "homie_file_organizer.db"
    run_migrations(database)
    modules, opened = watched(
        f"from file_organizer_migrations.migration_runner import run_migrations\nassert run_migrations({str(database)!r}) == 0"
    )
    assert not loaded(modules - modules_of("import sqlite3"), *SLOW)
    assert loaded(modules, NAME) == {
        NAME,
        *(f"{NAME}.{module}" for module in "compat packs packs.naming running running.up_to_date sqlite sqlite.database".split()),
    }
    assert not [module for module in modules if "destination_memory" in module]
    assert not [path for path in opened if "destination_memory" in path]


FOLDER_AS_TEXT = "import os\nfolder, join = {folder!r}, os.path.join\n"
FOLDER_AS_PATH = "from pathlib import Path\nfolder, join = Path({folder!r}), lambda folder, name: folder / name\n"


@pytest.mark.parametrize(
    ("folder", "imports"), [(FOLDER_AS_TEXT, "import sqlite3"), (FOLDER_AS_PATH, "import sqlite3, pathlib")], ids=["text", "Path"]
)
def test_an_up_to_date_start_with_packs_of_its_own_loads_no_plugins(tmp_path, folder, imports):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/001_notes.sql").write_text("CREATE TABLE notes (text)", encoding="utf-8")
    call = (
        f"{folder.format(folder=str(tmp_path))}from homie_migrations_core import MigrationPack, run_migrations\n"
        "assert run_migrations(join(folder, 'notes.db'), [MigrationPack('notes', join(folder, 'notes'))]) == "
    )
    assert watched(f"{call} 1")
    modules, opened = watched(f"{call} 0")
    assert not loaded(modules - modules_of(imports), *SLOW)
    assert loaded(modules, NAME) == {
        NAME,
        *(
            f"{NAME}.{module}"
            for module in "startup packs packs.naming packs.files packs.definition running running.up_to_date sqlite "
            "sqlite.database".split()
        ),
    }
    assert not [path for path in opened if "001_notes" in path]


def test_an_up_to_date_runner_loads_nothing_of_what_reads_and_changes(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/001_notes.sql").write_text("CREATE TABLE notes (text)", encoding="utf-8")
    call = (
        "from homie_migrations_core import MigrationPack, MigrationRunner\n"
        f"runner = MigrationRunner({str(tmp_path / 'notes.db')!r}, [MigrationPack('notes', {str(tmp_path / 'notes')!r})])\n"
        "assert len(runner.apply()) == "
    )
    assert watched(f"{call} 1")
    modules, opened = watched(f"{call} 0")
    assert not loaded(modules - modules_of("import sqlite3"), *SLOW)
    reading = "model planning inspection packs.reading packs.loading packs.checksum packs.discovery packs.observers sqlite.guard"
    changing = "running.execution running.steps sqlite.writer sqlite.snapshots sqlite.guarded_transaction"
    assert not loaded(modules, *(f"{NAME}.{module}" for module in f"{reading} {changing}".split()))
    assert not [path for path in opened if "001_notes" in path]


def test_an_up_to_date_start_with_a_package_of_its_own_looks_it_up_and_imports_its_parent_only(tmp_path):
    database = tmp_path / "homie_file_organizer.db"
    run_migrations(database)
    modules, opened = watched(
        "from homie_migrations_core import MigrationPack, run_migrations\n"
        "pack = MigrationPack('file_organizer', 'file_organizer_migrations.migrations')\n"
        f"assert run_migrations({str(database)!r}, [pack]) == 0"
    )
    assert not loaded(modules - modules_of("import sqlite3"), *SLOW)
    assert loaded(modules, "file_organizer_migrations") == {"file_organizer_migrations"}
    assert not [path for path in opened if "destination_memory" in path]


def test_an_up_to_date_start_with_every_installed_pack_loads_neither_pluggy_nor_the_reader_of_metadata(tmp_path):
    database = tmp_path / "homie_file_organizer.db"
    run_migrations(database)
    modules, opened = watched(f"from homie_migrations_core import run_migrations\nassert run_migrations({str(database)!r}) == 0")
    assert not loaded(modules - modules_of("import sqlite3"), *SLOW)
    assert loaded(modules, "file_organizer_migrations") == {"file_organizer_migrations", "file_organizer_migrations.plugin"}
    rooms = "startup broken values packs running running.up_to_date sqlite sqlite.database"
    names = "definition discovery entry_points files hookspecs naming plugins registered selection"
    assert loaded(modules, NAME) == {
        NAME,
        *(f"{NAME}.{each}" for each in rooms.split()),
        *(f"{NAME}.packs.{each}" for each in names.split()),
    }
    assert not [path for path in opened if "destination_memory" in path or "METADATA" in path]
    # No file of metadata is opened but the lists of entry points, each once.
    lists = [path for path in opened if path.endswith((".txt", "PKG-INFO"))]
    assert {Path(path).name for path in lists} == {"entry_points.txt"}
    assert len(lists) == len(set(lists))


def test_a_start_with_something_to_do_loads_no_terminal(tmp_path):
    database = tmp_path / "homie_file_organizer.db"
    modules, _ = watched(
        f"from file_organizer_migrations.migration_runner import run_migrations\nassert run_migrations({str(database)!r}) == 1"
    )
    assert not loaded(modules, "typer", "click", "rich", "argparse", f"{NAME}.cli")


# Runs the command line as its own process does, and lets it print nothing.
COMMAND = """
import os, sys
from homie_migrations_core.cli.entry import main
sys.argv[1:] = {words!r}
shown, sys.stdout = sys.stdout, open(os.devnull, "w", encoding="utf-8")
try:
    main()
except SystemExit as end:
    assert end.code in (None, 0), end.code
sys.stdout.close()
sys.stdout = shown
"""
READING = {
    *"errors logs model values stopping database_access database_reader database_view".split(),
    *"cli cli.entry cli.options cli.commands cli.report cli.output cli.escaping cli.tables cli.targets cli.wording".split(),
    *"packs packs.checksum packs.definition packs.files packs.naming packs.reading packs.registered packs.selection".split(),
    *"packs.source sqlite sqlite.database sqlite.file sqlite.file_system sqlite.names sqlite.reader sqlite.tracking".split(),
}
STATES = {"planning", "planning.lookup", "planning.states", "planning.status"}
DISCOVERY = {"broken", *(f"packs.{each}" for each in "discovery entry_points hookspecs plugins".split())}
PLANS = {"planning.applying", "planning.ordering"}


def command_loads(*words: str) -> tuple[set[str], list[str]]:
    """The modules of the core that a command loads, and the files that it opens. It loads nothing slow."""
    modules, opened = watched(COMMAND.format(words=["migrations", *words]))
    assert not loaded(modules - modules_of("import sqlite3"), *SLOW)
    return {module.removeprefix(f"{NAME}.") for module in loaded(modules, NAME)} - {NAME}, opened


@pytest.fixture
def folder(tmp_path) -> list[str]:
    """The options that name a folder of migrations and a database that is up to date."""
    (tmp_path / "notes").mkdir()
    source = (
        "# a comment\ndef get_migration_version():\n    return {0}\ndef apply_migration(conn):\n    conn.execute(f'SELECT {{0}}')\n"
    )
    for version in (1, 2):
        (tmp_path / f"notes/00{version}_notes.py").write_text(source.format(version), encoding="utf-8")
    pack = homie_migrations_core.MigrationPack("notes", tmp_path / "notes")
    homie_migrations_core.run_migrations(tmp_path / "notes.db", [pack], backup=False)
    return ["--dir", str(tmp_path / "notes"), "--database", str(tmp_path / "notes.db")]


@pytest.mark.parametrize(
    ("command", "more"), [("status", STATES), ("history", STATES), ("plan", STATES | PLANS)], ids=["status", "history", "plan"]
)
def test_a_command_that_reads_a_folder_loads_nothing_slow_and_no_more_rooms_than_it_needs(folder, command, more):
    modules, opened = command_loads(command, *folder)
    assert modules == READING | more | {f"cli.commands.{command}"}
    times = 1 if command == "status" else 2 if command == "history" else 3  # the others read a status, too, to see what is broken
    assert sorted(Path(path).name for path in opened if "_notes.py" in path) == ["001_notes.py"] * times + ["002_notes.py"] * times


def test_status_of_installed_packs_loads_neither_pluggy_nor_the_reader_of_metadata(tmp_path):
    database = tmp_path / "homie_file_organizer.db"
    run_migrations(database)
    modules, opened = command_loads("status", "--database", str(database))
    assert modules == READING | STATES | DISCOVERY | {"cli.commands.status"}
    assert len([path for path in opened if "destination_memory" in path]) == 1


def test_apply_with_nothing_to_do_loads_nothing_slow_but_the_log_and_opens_no_migration(folder):
    """A migration could log by itself, so what shows that is there before one may run."""
    modules, opened = watched(COMMAND.format(words=["migrations", "apply", *folder]))
    assert not loaded(modules - modules_of("import sqlite3, logging, threading, contextlib"), *SLOW)
    assert not loaded(
        modules, *(f"{NAME}.{each}" for each in ("running.execution", "cli.asking", "cli.event_progress", "planning"))
    )
    assert not [path for path in opened if "_notes.py" in path]


def test_status_opens_each_migration_once_and_runs_none(tmp_path):
    modules, opened = watched(
        "from file_organizer_migrations.migration_runner import MigrationRunner\n"
        f"MigrationRunner({str(tmp_path / 'x.db')!r}).get_migration_status()"
    )
    assert not [module for module in modules if "destination_memory" in module]
    assert len([path for path in opened if "destination_memory" in path]) == 1
