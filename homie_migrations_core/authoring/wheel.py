"""
Whether the wheel of a pack's distribution contains every migration: it is built as for a release, from what is installed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

from homie_migrations_core.packs.definition import MigrationPack
from homie_migrations_core.packs.files import folder_of, list_files

_INSTALLED = ("site-packages", "dist-packages")
_MOST_LINES = 20
"""How many lines of a failed build are kept."""


class NothingToBuild(Exception):
    """No wheel can be built here, for a reason that is not the pack's fault."""


class BuildFailed(Exception):
    """The wheel should be built and can't."""


def find_project(pack: MigrationPack, root: Path, said: str | os.PathLike[str] | None) -> Path:
    """
    Return the folder of the `pyproject.toml` that the pack is built from: the one that was `said`, or one that is found.

    Raises:
        NothingToBuild: There is none, or it names no build system.
        BuildFailed: There is none at the given path.
    """
    found = _project_around(pack, root) if said is None else root / said
    if found is None or not (found / "pyproject.toml").is_file():
        if said is not None:
            raise BuildFailed(f"There is no pyproject.toml in {found}, where wheel_from points to.")
        raise NothingToBuild(f"there is no pyproject.toml above the migrations of {pack.name}; wheel_from can say where it is")
    if "build-system" not in tomllib.loads((found / "pyproject.toml").read_text(encoding="utf-8")):
        raise NothingToBuild(f"{found / 'pyproject.toml'} has no [build-system], so no wheel is made of it")
    return found


def missing_from_wheel(pack: MigrationPack, project: Path, folder: Path) -> list[str]:
    """
    Build the wheel of `project` in `folder`; return the pack's files that it does not contain, as the ends of paths.

    Raises:
        NothingToBuild: A tool that it is built with is not installed.
        BuildFailed: The build fails.
    """
    wanted = _wanted(pack, project)
    with ZipFile(_build(project, folder)) as archive:
        members = archive.namelist()
    return [each for each in wanted if not any(f"/{member}".endswith(f"/{each}") for member in members)]


def _project_around(pack: MigrationPack, root: Path) -> Path | None:
    """Return the nearest folder with a `pyproject.toml` above the migrations; for an installed pack, the one it comes from."""
    for place in Path(folder_of(pack.migrations)).parents:
        if place.name in _INSTALLED or (place / "pyvenv.cfg").is_file():
            break
        if (place / "pyproject.toml").is_file():
            return place
    return next((root for place in (root, root / "src") if (place / _end_of_path(pack)).is_dir()), None)


def _end_of_path(pack: MigrationPack) -> str:
    """How the path of the folder ends, in the project and in the wheel."""
    return pack.package.replace(".", "/") if pack.package else Path(pack.migrations).name


def _wanted(pack: MigrationPack, project: Path) -> list[str]:
    """Return the ends of the paths of all migrations and rollbacks, of the project too: an installation may lack some."""
    end = _end_of_path(pack)
    in_project = [str(place / end) for place in (project, project / "src") if (place / end).is_dir()]
    names = set[str]()
    for folder in (folder_of(pack.migrations), *in_project):
        migrations, rollbacks, _ = list_files(folder)
        names |= {*migrations.values(), *rollbacks.values()}
    return sorted(f"{end}/{name}" for name in names)


def _build(project: Path, folder: Path) -> Path:
    """Build a wheel with the tools that are installed. Nothing is downloaded."""
    system = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]
    names = [re.split(r"[\s\[<>=!~;@]", each.strip(), maxsplit=1)[0] for each in system.get("requires", ["setuptools"])]
    if lacking := [name for name in names if not _is_installed(name)]:
        raise NothingToBuild(f"{project} is built with {', '.join(lacking)}, which is not installed here")
    out = folder / "dist"
    command = [sys.executable, "-m", *_build_tool(project, out)]
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", errors="replace", check=False)  # noqa: S603  (this Python, and a tool of its own)
    lines = f"{done.stdout}\n{done.stderr}".strip().splitlines()
    if lacking := [line for line in lines if re.search("(missing|unmet) dependencies", line, re.IGNORECASE)]:
        missing = " ".join(lines[lines.index(lacking[0]) + 1 :])
        raise NothingToBuild(f"what {project} is built with is not installed here: {missing}")
    if done.returncode != 0:
        raise BuildFailed("\n".join([f"The wheel can't be built from {project}:", *lines[-_MOST_LINES:]]))
    return next(out.glob("*.whl"))


def _build_tool(project: Path, out: Path) -> list[str]:
    if _is_installed("build"):  # it makes the source archive, and the wheel from that, as releases do: old files don't get in
        return ["build", "--no-isolation", "--outdir", str(out), str(project)]
    if _is_installed("pip"):
        return ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out), str(project)]
    raise NothingToBuild("neither build nor pip is installed, so no wheel can be made")


def _is_installed(distribution: str) -> bool:
    try:
        return bool(metadata.version(distribution))
    except metadata.PackageNotFoundError:
        return False
