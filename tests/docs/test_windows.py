"""The page for Windows has the lines of the Makefile."""

from __future__ import annotations

import re

import pytest
from pages.reading import text_of


def recipes() -> list[str]:
    """Return the lines behind `make run` and `make test`, spelled for PowerShell."""
    lines = text_of("Makefile").splitlines()
    values = dict(re.findall(r"^(?:export )?(\w+) (?:\?|:)?= (.+)$", "\n".join(lines), re.MULTILINE))
    found, wanted = [], False
    for line in lines:
        if line and not line.startswith("\t"):
            wanted = line.partition(":")[0] in ("run", "test", ".venv/run", ".venv/test")
        elif wanted and line.startswith("\t") and "touch" not in line:
            spelled = line.strip()
            while "$(" in spelled:
                spelled = re.sub(r"\$\((\w+)\)", lambda name: values[name[1]], spelled)
            spelled = spelled.replace("python3 -m venv", "py -m venv")
            found.append(re.sub(r"\.venv/bin/(\S+)", r".venv\\Scripts\\\1", spelled))
    return found


def test_the_makefile_is_understood():
    assert len(recipes()) == 6


@pytest.mark.parametrize("line", recipes())
def test_the_page_for_windows_has_a_line_of_the_makefile(line: str):
    assert f"\n{line}\n" in text_of("docs/how-to/windows.md")
