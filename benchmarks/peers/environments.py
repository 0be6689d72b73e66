"""Virtual environments, one for each tool, in a folder that git ignores."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

from benchmarks.measuring import CommandFailed

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ROOT / ".peers"


def release_of(distribution: str) -> str:
    """Return the requirement with the release that the tests use, which is the one that is measured."""
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]["test"]
    releases = {re.split("[=><]", each)[0]: each.partition(";")[0] for each in extra}
    return releases[distribution]


def version_of(requirement: str) -> str:
    """Return the version of a requirement with `==`."""
    return requirement.partition("==")[2]


def environment(name: str, requirements: list[str]) -> Path:
    """
    Return the folder of the programs of an environment that has these requirements installed, and make it where it is missing.

    Raises:
        CommandFailed: pip could not install them.
    """
    folder = ENVIRONMENTS / name
    programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
    mark, wanted = folder / "installed.txt", "\n".join([sys.version, *requirements])
    if mark.is_file() and mark.read_text(encoding="utf-8") == wanted:
        return programs
    print(f"Making the environment {folder}", file=sys.stderr, flush=True)
    venv.create(folder, with_pip=bool(requirements), clear=True)
    if requirements:
        _install(programs / "python", requirements)
    mark.write_text(wanted, encoding="utf-8")
    return programs


def _install(python: Path, requirements: list[str]) -> None:
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode != 0:
        raise CommandFailed(f"pip could not install {' '.join(requirements)}: {done.stderr.strip()}")
