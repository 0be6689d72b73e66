"""
The pytest plugin: fixtures for migrated databases, and the tests that every pack has to pass.

Every pytest session of an environment loads this module, so it imports nothing before a fixture or test is used. The
work is done in `authoring/`; this module turns it into fixtures, failures and skips.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import pytest

if TYPE_CHECKING:
    from types import EllipsisType

    from homie_migrations_core.authoring.database_templates import DatabaseTemplates
    from homie_migrations_core.authoring.pack_choice import Others, PackChoice
    from homie_migrations_core.model import Finding
    from homie_migrations_core.packs.definition import MigrationPack
    from homie_migrations_core.runner import MigrationRunner

__all__ = ["MakesDatabases", "MakesRunners", "PackContract"]


# --- fixtures -----------------------------------------------------------------------------------------------


class MakesDatabases:
    """The value of the fixture `migrated_database`: call it to get a database."""

    def __init__(self, choice: PackChoice, templates: DatabaseTemplates) -> None:
        self.choice, self._templates = choice, templates
        self._packs_of: dict[Path, tuple[MigrationPack, ...]] = {}

    def __call__(
        self,
        pack: str | MigrationPack,
        *,
        to: int | str | None = None,
        others: Others = None,
        at: str | os.PathLike[str] | None = None,
    ) -> Path:
        """
        Return the path of a new database, under the name that the pack gives it, to which the pack was applied.

        The first such database of a session is made by the real runner, the others are copies of its closed file.

        Args:
            pack: The name of an installed pack, or a `MigrationPack`.
            to: A version of the pack or a ref, to apply only as far as that needs. 0 gives an empty file.
            others: Further packs to apply; `"installed"` for every installed pack of the same database. By default,
                the installed packs that the pack requires.
            at: Where the database is put instead of a folder of its own. Missing folders are made.

        Raises:
            HomieMigrationsError: There is no such pack or target, or a migration failed.
            FileExistsError: There is a file at `at` already.
        """
        packs = self.choice.choose(pack, others)
        path = self._templates.new_folder() / packs[0].database if at is None else _free_place(Path(at))
        self._templates.copy(packs, f"{packs[0].name}:{to}" if isinstance(to, int) else to, path)
        self._packs_of[path] = packs
        return path

    def packs_of(self, path: Path) -> tuple[MigrationPack, ...]:
        """
        Return the packs that a database of this test was made with.

        Raises:
            LookupError: This fixture did not make it.
        """
        try:
            return self._packs_of[path]
        except KeyError:
            raise LookupError(f"{path} was not made by migrated_database: say which pack is meant") from None


def _free_place(path: Path) -> Path:
    """Return a path for a new database, because a copy over a database that is in use would corrupt it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(exist_ok=False)
    return path


class MakesRunners:
    """The value of the fixture `migration_runner`: call it to get a runner."""

    def __init__(self, databases: MakesDatabases) -> None:
        self._databases = databases

    def __call__(
        self, path: Path, pack: str | MigrationPack | None = None, *, others: Others = None, **options: Any
    ) -> MigrationRunner:
        """
        Return a `MigrationRunner` for a file that `migrated_database` made, with the same packs, or with `pack`.

        It takes no snapshots, unless `backup=True` is among the options, which are those of `MigrationRunner`.
        """
        from homie_migrations_core.runner import MigrationRunner

        packs = self._databases.packs_of(path) if pack is None else self._databases.choice.choose(pack, others)
        return MigrationRunner(path, packs, **{"backup": False, **options})


@pytest.fixture(scope="session")
def _homie_pack_choice() -> PackChoice:
    from homie_migrations_core.authoring.pack_choice import PackChoice

    return PackChoice()


@pytest.fixture(scope="session")
def _homie_templates(tmp_path_factory: pytest.TempPathFactory) -> DatabaseTemplates:
    from homie_migrations_core.authoring.database_templates import DatabaseTemplates

    return DatabaseTemplates(tmp_path_factory.mktemp("homie-databases"))


@pytest.fixture
def migrated_database(_homie_pack_choice: PackChoice, _homie_templates: DatabaseTemplates) -> MakesDatabases:
    """Make databases at any version: `migrated_database("notes", to=2)` is the path of one."""
    return MakesDatabases(_homie_pack_choice, _homie_templates)


@pytest.fixture
def migration_runner(migrated_database: MakesDatabases) -> MakesRunners:
    """Make a `MigrationRunner` for a database of `migrated_database`: `migration_runner(path).apply()`."""
    return MakesRunners(migrated_database)


# --- the contract -------------------------------------------------------------------------------------------


class PackContract:
    """
    The tests that every pack has to pass.

    Inherit it, and set the pack:

        class TestPack(PackContract):
            pack = "notes"
    """

    __test__: ClassVar[object] = False

    pack: ClassVar[str | MigrationPack]
    """An installed pack's name, or a `MigrationPack`."""
    others: ClassVar[Others] = None
    """Other packs of the same database to apply with it. By default, the installed ones that it requires."""
    wheel_from: ClassVar[str | os.PathLike[str] | EllipsisType | None] = ...
    """The folder of the pack's `pyproject.toml`. `...` searches above the migrations; `None` builds no wheel."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__test__" not in vars(cls):
            cls.__test__ = 1  # collected if its name matches python_classes; True would collect it under any name

    def test_files_follow_the_rules(self) -> None:
        """Names, versions, functions and requirements follow the rules for files."""
        from homie_migrations_core.authoring.check import check_files

        self._check(check_files)

    def test_it_applies_from_nothing_in_one_jump_as_in_single_steps(self) -> None:
        """A new database gets the same schema either way."""
        from homie_migrations_core.authoring.check import check_from_nothing

        self._check(check_from_nothing)

    def test_rollbacks_bring_rows_and_schema_back(self) -> None:
        """Each migration is applied to tables that hold rows, rolled back, and applied again."""
        from homie_migrations_core.authoring.check import check_round_trip

        self._check(check_round_trip)

    def test_no_unaccepted_hazard(self) -> None:
        """Nothing works and does harm, except what the files accept with a reason."""
        from homie_migrations_core.authoring.check import check_hazards

        self._check(check_hazards)

    def test_status_of_a_migrated_database_is_up_to_date(
        self, migrated_database: MakesDatabases, migration_runner: MakesRunners
    ) -> None:
        """After everything was applied, nothing is pending."""
        with _as_failures():
            pack, *others = self._packs()
            runner = migration_runner(migrated_database(pack, others=others))
            status = runner.status().packs[pack.name]
            pending = [step.ref for step in runner.plan().steps]
        if status.state != "up_to_date" or pending:
            _fail(f"After everything was applied, {pack.name} is {status.state}; pending: {', '.join(pending) or 'nothing'}.")

    def test_it_survives_a_kill_between_any_two_steps(self, request: pytest.FixtureRequest) -> None:
        """A killed run leaves the database between two steps, and the next run continues from there."""
        from homie_migrations_core.authoring.crash_test import kill_everywhere

        with _as_failures():
            pack, *others = self._packs()
            kills = kill_everywhere(pack, others)
        if kills.left_out:
            left_out = f"{kills.left_out[0]} to {kills.left_out[-1]}"
            request.node.add_report_section("call", "homie", f"No run was killed within the older migrations, {left_out}.")
        _complain(pack, kills.findings)

    def test_the_built_wheel_contains_every_migration(self, request: pytest.FixtureRequest, tmp_path: Path) -> None:
        """The wheel is built as for a release, by the tools that are installed here."""
        from homie_migrations_core.authoring.wheel import BuildFailed, NothingToBuild, find_project, missing_from_wheel

        if self.wheel_from is None:
            pytest.skip("wheel_from is None")
        said = self.wheel_from if isinstance(self.wheel_from, str | os.PathLike) else None
        missing, not_built, failure = list[str](), "", ""
        with _as_failures():
            pack = self._packs()[0]
            try:
                project = find_project(pack, request.config.rootpath, said)
                missing = missing_from_wheel(pack, project, tmp_path)
            except NothingToBuild as reason:
                not_built = str(reason)
            except BuildFailed as error:
                failure = str(error)
        if not_built:
            pytest.skip(not_built)
        if failure:
            _fail(failure)
        if missing:
            _fail(
                f"The wheel of {pack.name} that was built from {project} lacks {', '.join(missing)}. "
                "Tell the build tool in pyproject.toml to include the folder, with files that are not Python modules too."
            )

    def _packs(self) -> tuple[MigrationPack, ...]:
        from homie_migrations_core.authoring.pack_choice import PackChoice

        if not hasattr(self, "pack"):
            _fail(f'{type(self).__name__} does not say which pack it tests: give it `pack = "name"`, or a MigrationPack.')
        return PackChoice().choose(self.pack, self.others)

    def _check(self, part: Callable[[MigrationPack, Sequence[MigrationPack]], list[Finding]]) -> None:
        with _as_failures():
            pack, *others = self._packs()
            findings = part(pack, others)
        _complain(pack, findings)


@contextlib.contextmanager
def _as_failures() -> Iterator[None]:
    """Turn an error of this library into a test failure with its message only: a traceback would add nothing."""
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
