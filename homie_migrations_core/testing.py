"""
The pytest plugin: databases at any version, and the tests that every pack has to pass.

Every pytest session of an environment loads this module, so it imports nothing before it is asked for something.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import pytest

if TYPE_CHECKING:
    from types import EllipsisType

    from homie_migrations_core.model import Finding
    from homie_migrations_core.packs.definition import MigrationPack
    from homie_migrations_core.runner import MigrationRunner

__all__ = ["MakesDatabases", "MakesRunners", "PackContract"]

_HELD = ("site-packages", "dist-packages")
_LINES = 20


# --- fixtures -----------------------------------------------------------------------------------------------


class _Templates:
    """Each database that was asked for in this session, made once by the real runner. Nobody opens them again."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._made = folder, dict[object, Path]()
        self._places = itertools.count()

    def copy(self, packs: Sequence[MigrationPack], to: str | None, target: Path) -> None:
        """The database is at `target`."""
        import shutil

        key = (to, *((*pack, _content_of(pack)) for pack in packs))
        if key not in self._made:
            self._made[key] = self._make(packs, to, self._folder / str(next(self._places)))
        shutil.copyfile(self._made[key], target)

    def _make(self, packs: Sequence[MigrationPack], to: str | None, folder: Path) -> Path:
        from homie_migrations_core.runner import MigrationRunner

        folder.mkdir()
        path = folder / packs[0].database
        if to == f"{packs[0].name}:0":
            path.touch()
        else:
            MigrationRunner(path, packs, backup=False).apply(to=to)
        return path


def _content_of(pack: MigrationPack) -> tuple[tuple[str, bytes], ...]:
    """The files, word for word: a test may write them."""
    from homie_migrations_core.packs.files import folder_of

    folder = Path(folder_of(pack.migrations))
    return tuple((each.name, each.read_bytes()) for each in sorted(folder.iterdir()) if each.suffix in (".py", ".sql"))


class MakesDatabases:
    """What the fixture `migrated_database` is."""

    def __init__(self, templates: _Templates, new_folder: Callable[[], Path]) -> None:
        self._templates, self._new_folder = templates, new_folder
        self._packs_of: dict[Path, tuple[MigrationPack, ...]] = {}

    def __call__(
        self,
        pack: str | MigrationPack,
        *,
        to: int | str | None = None,
        others: Sequence[str | MigrationPack] | None = None,
    ) -> Path:
        """
        A database file of this test's own, under the name that the pack gives it, to which the pack was applied.

        With `to`, a version of the pack or a ref, as far as that needs; 0 is a file that holds nothing. `others` are applied
        too; if nothing is said, they are the installed packs that the pack requires.

        Raises:
            HomieMigrationsError: There is no such pack or target, or a migration failed.
        """
        packs = _packs(pack, others)
        path = self._new_folder() / packs[0].database
        self._templates.copy(packs, f"{packs[0].name}:{to}" if isinstance(to, int) else to, path)
        self._packs_of[path] = packs
        return path

    def packs_of(self, path: Path) -> tuple[MigrationPack, ...]:
        """
        The packs that a database of this test was made with.

        Raises:
            LookupError: It is none of this fixture's.
        """
        try:
            return self._packs_of[path]
        except KeyError:
            raise LookupError(f"{path} was not made by migrated_database: say which pack is meant") from None


class MakesRunners:
    """What the fixture `migration_runner` is."""

    def __init__(self, databases: MakesDatabases) -> None:
        self._databases = databases

    def __call__(
        self,
        path: Path,
        pack: str | MigrationPack | None = None,
        *,
        others: Sequence[str | MigrationPack] | None = None,
        **options: Any,
    ) -> MigrationRunner:
        """
        A `MigrationRunner` for a file that `migrated_database` made, with the packs it was made with, or with `pack`.

        It takes no snapshots, unless `backup=True` is among the options, which are those of `MigrationRunner`.
        """
        from homie_migrations_core.runner import MigrationRunner

        packs = self._databases.packs_of(path) if pack is None else _packs(pack, others)
        return MigrationRunner(path, packs, **{"backup": False, **options})


@pytest.fixture(scope="session")
def _homie_templates(tmp_path_factory: pytest.TempPathFactory) -> _Templates:
    return _Templates(tmp_path_factory.mktemp("homie-templates"))


@pytest.fixture
def migrated_database(tmp_path_factory: pytest.TempPathFactory, _homie_templates: _Templates) -> MakesDatabases:
    """Make databases at any version: `migrated_database("notes", to=2)` is the path of one."""
    return MakesDatabases(_homie_templates, lambda: tmp_path_factory.mktemp("homie"))


@pytest.fixture
def migration_runner(migrated_database: MakesDatabases) -> MakesRunners:
    """Make a `MigrationRunner` for a database of `migrated_database`: `migration_runner(path).apply()`."""
    return MakesRunners(migrated_database)


# --- which packs --------------------------------------------------------------------------------------------


def _packs(pack: str | MigrationPack, others: Sequence[str | MigrationPack] | None) -> tuple[MigrationPack, ...]:
    """The pack, and those that go with it."""
    own = _known(pack)
    return (own, *(_required(own) if others is None else map(_known, others)))


def _known(pack: str | MigrationPack) -> MigrationPack:
    if not isinstance(pack, str):
        return pack
    from homie_migrations_core.errors import PackBroken, UnknownPack
    from homie_migrations_core.packs.discovery import collect

    collected = collect()
    for each in collected.packs:
        if each.pack.name == pack:
            return each.pack
    if unusable := [each for each in collected.broken if pack in (each.pack, each.entry_point)]:
        raise PackBroken(unusable, done="Nothing was tested")
    raise UnknownPack(pack, [each.pack.name for each in collected.packs])


def _required(pack: MigrationPack) -> list[MigrationPack]:
    """The installed packs of the same database that it requires, and what those require."""
    from homie_migrations_core.packs.discovery import collect
    from homie_migrations_core.packs.naming import split_ref
    from homie_migrations_core.packs.reading import UnusablePack, read_pack

    found: dict[str, MigrationPack] = {}
    looking = [pack]
    installed: dict[str, MigrationPack] | None = None
    while looking:
        try:
            migrations = read_pack(looking.pop()).migrations
        except UnusablePack:  # which the runner and `check` tell better
            continue
        for name in sorted({parts[0] for each in migrations for ref in each.requires if (parts := split_ref(ref))}):
            if installed is None and name != pack.name:
                installed = {each.pack.name: each.pack for each in collect().packs if each.pack.database == pack.database}
            if installed and name in installed and name != pack.name and name not in found:
                found[name] = installed[name]
                looking.append(installed[name])
    return list(found.values())


# --- the contract -------------------------------------------------------------------------------------------


class PackContract:
    """
    The tests that every pack has to pass. Inherit it, and say which pack is meant:

        class TestPack(PackContract):
            pack = "notes"
    """

    __test__: ClassVar[object] = False

    pack: ClassVar[str | MigrationPack]
    """An installed pack's name, or a `MigrationPack`."""
    others: ClassVar[Sequence[str | MigrationPack] | None] = None
    """The packs of the same database that it goes with; if nothing is said, the installed ones that it requires."""
    wheel_from: ClassVar[str | os.PathLike[str] | EllipsisType | None] = ...
    """The folder of the pack's `pyproject.toml`; `...` looks for it above the migrations, `None` builds no wheel."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__test__" not in vars(cls):
            cls.__test__ = 1  # collected if its name says so; True would say that any name does

    def test_files_follow_the_rules(self) -> None:
        """Names, versions, functions and requirements can be read, and say what they must."""
        from homie_migrations_core.authoring.check import check_files

        self._check(check_files)

    def test_it_applies_from_nothing_in_one_jump_as_in_single_steps(self) -> None:
        """Both make the same schema."""
        from homie_migrations_core.authoring.check import check_from_nothing

        self._check(check_from_nothing)

    def test_rollbacks_bring_rows_and_schema_back(self) -> None:
        """Each migration is applied to tables that hold rows, rolled back, and applied again."""
        from homie_migrations_core.authoring.check import check_round_trip

        self._check(check_round_trip)

    def test_no_unaccepted_hazard(self) -> None:
        """Nothing that works and does harm, but what the files accept with a reason."""
        from homie_migrations_core.authoring.check import check_hazards

        self._check(check_hazards)

    def test_status_of_a_migrated_database_is_up_to_date(
        self, migrated_database: MakesDatabases, migration_runner: MakesRunners
    ) -> None:
        """And there is nothing more to apply."""
        with _as_failures():
            pack, *others = self._packs()
            runner = migration_runner(migrated_database(pack, others=others))
            status = runner.status().packs[pack.name]
            pending = [step.ref for step in runner.plan().steps]
        if status.state != "up_to_date" or pending:
            _fail(f"After everything was applied, {pack.name} is {status.state}; pending: {', '.join(pending) or 'nothing'}.")

    def test_it_survives_a_kill_between_any_two_steps(self, request: pytest.FixtureRequest) -> None:
        """And in the middle of each: the database is at a boundary, and the next run goes on from there."""
        from homie_migrations_core.authoring.crash_test import kill_everywhere

        with _as_failures():
            pack, *others = self._packs()
            kills = kill_everywhere(pack, others)
        if kills.left_out:
            left_out = f"{kills.left_out[0]} to {kills.left_out[-1]}"
            request.node.add_report_section("call", "homie", f"No run was killed within the older migrations, {left_out}.")
        _complain(pack, kills.findings)

    def test_the_built_wheel_contains_every_migration(self, request: pytest.FixtureRequest, tmp_path: Path) -> None:
        """It is built as for a release, by the tools that are installed here."""
        with _as_failures():
            pack = self._packs()[0]
            project = self._project(pack, request.config.rootpath)
            wanted = _wanted(pack, project)
            members = _members(_build(project, tmp_path))
        lacking = [each for each in wanted if not any(f"/{member}".endswith(f"/{each}") for member in members)]
        if lacking:
            _fail(
                f"The wheel of {pack.name} that was built from {project} lacks {', '.join(lacking)}. "
                "Tell the build tool of pyproject.toml to take the folder along, files that are no Python modules too."
            )

    def _packs(self) -> tuple[MigrationPack, ...]:
        if not hasattr(self, "pack"):
            _fail(f'{type(self).__name__} does not say which pack it tests: give it `pack = "name"`, or a MigrationPack.')
        return _packs(self.pack, self.others)

    def _check(self, part: Callable[[MigrationPack, Sequence[MigrationPack]], list[Finding]]) -> None:
        with _as_failures():
            pack, *others = self._packs()
            findings = part(pack, others)
        _complain(pack, findings)

    def _project(self, pack: MigrationPack, root: Path) -> Path:
        """The folder with the `pyproject.toml` that the pack is built from, or the test is skipped."""
        import tomllib

        from homie_migrations_core.packs.files import folder_of

        if self.wheel_from is None:
            pytest.skip("wheel_from is None")
        if not isinstance(self.wheel_from, str | os.PathLike):
            above = _above(Path(folder_of(pack.migrations)))
            tail = _tail(pack)
            installed = [root for place in (root, root / "src") if above is None and (place / tail).is_dir()]
            found = above or next(iter(installed), None)
            if found is None or not (found / "pyproject.toml").is_file():
                pytest.skip(f"there is no pyproject.toml above the migrations of {pack.name}; wheel_from can say where it is")
        else:
            found = root / self.wheel_from
        if not (found / "pyproject.toml").is_file():
            _fail(f"There is no pyproject.toml in {found}, where wheel_from points to.")
        if "build-system" not in tomllib.loads((found / "pyproject.toml").read_text(encoding="utf-8")):
            pytest.skip(f"{found / 'pyproject.toml'} has no [build-system], so no wheel is made of it")
        return found


@contextlib.contextmanager
def _as_failures() -> Iterator[None]:
    """An error of this library is the answer to the test's question, and its sentence says all of it."""
    from homie_migrations_core.errors import HomieMigrationsError
    from homie_migrations_core.packs.files import UnusablePack

    try:
        yield
    except (HomieMigrationsError, UnusablePack) as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def _complain(pack: MigrationPack, findings: Sequence[Finding]) -> None:
    open_ones = [finding for finding in findings if finding.accepted is None]
    if open_ones:
        lines = [f"  {finding.code}: {finding.message} {finding.advice}" for finding in open_ones]
        _fail("\n".join([f"{pack.name}: {len(open_ones)} finding{'s' * (len(open_ones) > 1)}", *lines]))


def _fail(sentence: str) -> NoReturn:
    pytest.fail(sentence, pytrace=False)


# --- the wheel ----------------------------------------------------------------------------------------------


def _above(folder: Path) -> Path | None:
    """The nearest folder above with a `pyproject.toml`; None for what is installed, and has left its project."""
    for place in folder.parents:
        if place.name in _HELD or (place / "pyvenv.cfg").is_file():
            return None
        if (place / "pyproject.toml").is_file():
            return place
    return None


def _tail(pack: MigrationPack) -> str:
    """How the path of the folder ends, in the project and in the wheel."""
    return pack.migrations.name if isinstance(pack.migrations, Path) else pack.migrations.replace(".", "/")


def _wanted(pack: MigrationPack, project: Path) -> list[str]:
    """The migrations and their rollbacks, as the ends of paths. The project counts: what is installed may lack some."""
    from homie_migrations_core.packs.files import folder_of, list_files

    tail = _tail(pack)
    in_project = [str(place / tail) for place in (project, project / "src") if (place / tail).is_dir()]
    names = set[str]()
    for folder in (folder_of(pack.migrations), *in_project):
        migrations, rollbacks, _ = list_files(folder)
        names |= {*migrations.values(), *rollbacks.values()}
    return sorted(f"{tail}/{name}" for name in names)


def _members(wheel: Path) -> list[str]:
    from zipfile import ZipFile

    with ZipFile(wheel) as archive:
        return archive.namelist()


def _build(project: Path, folder: Path) -> Path:
    """A wheel, made by what is installed here: nothing is fetched."""
    import re
    import subprocess
    import sys
    import tomllib
    from importlib.metadata import PackageNotFoundError, version

    def is_there(distribution: str) -> bool:
        try:
            return bool(version(distribution))
        except PackageNotFoundError:
            return False

    system = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]
    names = [re.split(r"[\s\[<>=!~;@]", each.strip(), maxsplit=1)[0] for each in system.get("requires", ["setuptools"])]
    if lacking := [name for name in names if not is_there(name)]:
        pytest.skip(f"{project} is built with {', '.join(lacking)}, which is not installed here")
    out = folder / "dist"
    if is_there("build"):  # it makes the source archive, and the wheel from that: so do releases, and nothing old is in the way
        tool = ["build", "--no-isolation", "--outdir", str(out), str(project)]
    elif is_there("pip"):
        tool = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out), str(project)]
    else:
        pytest.skip("neither build nor pip is installed, so no wheel can be made")
    command = [sys.executable, "-m", *tool]
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", errors="replace", check=False)  # noqa: S603  (this Python, and a tool of its own)
    said = f"{done.stdout}\n{done.stderr}".strip().splitlines()
    if lacking := [line for line in said if re.search("(missing|unmet) dependencies", line, re.IGNORECASE)]:
        pytest.skip(f"what {project} is built with is not installed here: {' '.join(said[said.index(lacking[0]) + 1 :])}")
    if done.returncode != 0:
        _fail("\n".join([f"The wheel can't be built from {project}:", *said[-_LINES:]]))
    return next(out.glob("*.whl"))
