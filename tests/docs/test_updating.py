"""`make docs-update` writes nothing in an environment in which the pages would show errors."""

from __future__ import annotations

import importlib.metadata

import pytest
from pages import __main__ as update
from pages import generated

REAL_VERSION = importlib.metadata.version


@pytest.mark.parametrize("found", [None, "0.1"])
def test_nothing_is_written_without_a_package_that_pages_need(monkeypatch: pytest.MonkeyPatch, found: str | None):
    def version(name: str) -> str:
        if name != "flask":
            return REAL_VERSION(name)
        if found is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(generated, "write", lambda only: pytest.fail(f"{only} was written"))
    with pytest.raises(SystemExit, match=r"No page was written: the environment lacks .*flask==\d"):
        update.main(["docs/index.md"])
