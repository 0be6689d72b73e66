"""Fixtures of all tests: no real data folder, installed distributions, folder packs."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import signal
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from helpers import creates, write_pack
from hypothesis import HealthCheck, settings
from preloaded import PreloadedPython
from tasks_database import TasksDatabase

from homie_migrations_core import MigrationPack


def pytest_configure(config: pytest.Config) -> None:
    """Keep the databases of the tests in memory where there is room for them: they wait less for a disk to sync."""
    memory = "/dev/shm"
    if config.option.basetemp is None and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 4_000_000_000:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", memory)
    _hear_signals()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many tests run at a time: half of its time a test waits for a process, a lock or a disk."""
    return 2 * (os.cpu_count() or 1)


def _hear_signals() -> None:
    """Let signals mean what they mean in a terminal. A shell starts a background job with SIGINT ignored, nohup with SIGHUP."""
    if threading.current_thread() is not threading.main_thread():
        return
    for name, handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(autouse=True)
def no_real_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep every test away from the databases of the person who runs it."""
    home = tmp_path_factory.getbasetemp() / "home"
    home.mkdir(exist_ok=True)
    for name in ("HOME", "USERPROFILE", "LOCALAPPDATA", "APPDATA"):
        monkeypatch.setenv(name, str(home))
    for name in ("HOMIE_DATA_DIR", "XDG_DATA_HOME", "NO_COLOR", "FORCE_COLOR", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)


class Installed:
    """Distributions in a folder of their own that is on `sys.path`, as pip would leave them."""

    def __init__(self, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.site, self._monkeypatch = site, monkeypatch
        site.mkdir()
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.setenv("PYTHONPATH", str(site))  # for processes

    def pack(
        self,
        name: str,
        files: dict[str, str],
        *,
        database: str = "",
        version: str = "1.0",
        distribution: str | None = None,
        entry_point: str | None = None,
        more: str = "",
    ) -> Path:
        """A distribution with one pack; the folder of its migrations. `more` is appended to its plugin module."""
        module = f"{distribution or name}_plugin".replace("-", "_")
        folder = self.site / module / "migrations"
        folder.mkdir(parents=True)
        for file_name, content in {"__init__.py": "", **files}.items():
            (folder / file_name).write_text(content, encoding="utf-8")
        code = f"""
            from pathlib import Path
            from homie_migrations_core import MigrationPack, hookimpl

            @hookimpl
            def homie_migration_packs():
                return MigrationPack({name!r}, "{module}.migrations", {database!r})
        """
        self.distribution(
            distribution or f"{name}-dist",
            {module: textwrap.dedent(code) + textwrap.dedent(more)},
            {entry_point or name: module},
            version,
        )
        return folder

    def distribution(self, name: str, modules: dict[str, str], entry_points: dict[str, str], version: str = "1.0") -> None:
        """A distribution with these packages (name → code of its `__init__`) and entry points."""
        for module, code in modules.items():
            (self.site / module).mkdir(exist_ok=True)
            (self.site / module / "__init__.py").write_text(code, encoding="utf-8")
            self._monkeypatch.delitem(sys.modules, module, raising=False)
        info = self.site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
        lines = [f"{key} = {value}" for key, value in entry_points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[homie.migrations]", *lines, ""]), encoding="utf-8")
        importlib.invalidate_caches()

    def nothing_else(self) -> None:
        """Hide the file organizer's pack, which is installed wherever these tests run."""
        import importlib_metadata  # noqa: F401 - the library imports it when it first needs it, and it may be hidden too

        import homie_migrations_core.cli.app  # noqa: F401

        with contextlib.suppress(ImportError):  # Typer since 0.29 imports it, and pydantic with it, at the first command
            importlib.import_module("typer._adapters")
        kept = [place for place in sys.path if not list(Path(place or os.curdir).glob("homie_file_organizer_migrations-*"))]
        self._monkeypatch.setattr(sys, "path", kept)


@pytest.fixture
def installed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    """Install distributions for one test, beside those of the environment. Their modules are unloaded after it."""
    before = set(sys.modules)
    yield Installed(tmp_path_factory.mktemp("installed") / "site", monkeypatch)
    for name in set(sys.modules) - before:
        if "_plugin" in name:
            del sys.modules[name]


@pytest.fixture
def make(tmp_path):
    """Make folder packs for one database file, `app.db`."""

    def make_pack(name: str, *names: str, database: str = "app.db", **files: str) -> MigrationPack:
        """Migrations by their stems; each makes a table named after its pack and version."""
        contents = {f"{each}.py": creates(int(each[:3]), f"{name}_{int(each[:3])}") for each in names}
        contents |= {f"{stem.removeprefix('m')}.py": content for stem, content in files.items()}
        return write_pack(tmp_path / "packs" / name, name, contents, database=database)

    return make_pack


@pytest.fixture
def database(tmp_path) -> Path:
    """The path of `app.db` in a folder of its own, where there is no file yet."""
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "app.db"


@pytest.fixture
def three(installed):
    """Two installed packs of `app.db`, one of `other.db`, and none beside them."""
    installed.nothing_else()
    installed.pack("mail", {"001_a.py": creates(1, "mail")}, database="app.db")
    installed.pack("news", {"001_a.py": creates(1, "news")}, database="app.db")
    installed.pack("other", {"001_a.py": creates(1, "other")}, database="other.db")
    return installed


@pytest.fixture(scope="session")
def preloaded_python():
    """Run short Python programs without waiting for the start of an interpreter."""
    with PreloadedPython() as python:
        yield python


# A slow example on a busy machine is not a failure, and an example that fails prints how to repeat it.
settings.register_profile("project", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")


@pytest.fixture
def tasks_database(tmp_path: Path) -> TasksDatabase:
    """A database at version 1 of a pack, with one row in it."""
    return TasksDatabase(tmp_path)
