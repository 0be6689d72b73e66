"""Finding the folder of a pack's files."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from helpers import creates, write_pack

from homie_migrations_core import MigrationPack
from homie_migrations_core.packs.files import _find_package, folder_of
from homie_migrations_core.packs.reading import UnusablePack, read_pack


def test_a_folder_that_is_missing_empty_or_holds_other_files_is_not_a_pack(tmp_path):
    (tmp_path / "file").touch()
    for place in ("nowhere", "file"):
        with pytest.raises(UnusablePack, match="does not exist or is not a folder"):
            read_pack(MigrationPack("p", tmp_path / place))
    with pytest.raises(UnusablePack, match="it holds no migration"):
        read_pack(write_pack(tmp_path / "empty", "p", {"__init__.py": ""}))
    with pytest.raises(UnusablePack, match=r"1_a\.sql have the same version 1; helpers\.py is not a valid migration file name"):
        read_pack(write_pack(tmp_path / "bad", "p", {"001_a.py": creates(1, "a"), "1_a.sql": "", "helpers.py": ""}))


def test_a_package_is_found_without_importing_it(packages):
    pack = packages("acme.migrations", {"001_a.py": creates(1, "a")}, init="raise SystemExit('was imported')")
    assert [each.ref for each in read_pack(pack).migrations] == ["p:001_a"]
    assert "acme.migrations" not in sys.modules


@pytest.mark.parametrize(
    "name", ["no_such_package_of_ours", "no_such.package", "json.decoder", "..relative", "a..b", "sqlite3.dbapi2"]
)
def test_a_package_that_cannot_be_found_is_a_reason(name):
    with pytest.raises(UnusablePack, match="its package .* (can't be found|is not installed as a folder of files)"):
        read_pack(MigrationPack("p", name))


@pytest.mark.parametrize(
    "name",
    [
        *(
            "json",
            "json.tool",
            "json.no_such",
            "xml.dom",
            "xml.dom.expatbuilder",
            "wsgiref",
            "sys",
            "zipimport",
            "no_such",
            "no.such",
        ),
        *("os.path", "os.path.x", "sys.x", "..relative", ".x", "a..b", "json.", "json..tool", "", "__main__"),
    ],
)
def test_a_package_is_found_where_importlib_finds_it(name):
    def outcome(find):
        try:
            spec = find(name)
        except Exception as error:
            return type(error), str(error)
        return spec and (spec.name, spec.origin, list(spec.submodule_search_locations or ()), type(spec.loader))

    assert outcome(_find_package) == outcome(importlib.util.find_spec)


def test_a_package_that_is_imported_and_one_of_an_import_hook_are_found(packages, tmp_path, monkeypatch):
    pack = packages("acme.migrations", {"001_a.py": creates(1, "a")})
    (tmp_path / "site" / "acme" / "__init__.py").write_text("from . import migrations")
    for _ in range(2):
        assert len(read_pack(pack).migrations) == 1
        assert "acme.migrations" in sys.modules
    folder = Path(write_pack(tmp_path / "elsewhere", "p", {"001_a.py": "", "__init__.py": ""}).migrations)

    class EditableFinder:
        @staticmethod
        def find_spec(name, path, target):
            place = str(folder / "__init__.py")
            search = [str(folder)]
            return (
                importlib.util.spec_from_file_location(name, place, submodule_search_locations=search) if name == "hooked" else None
            )

    monkeypatch.setattr(sys, "meta_path", [EditableFinder, *sys.meta_path])
    assert folder_of("hooked") == str(folder)
    EditableFinder.find_spec = staticmethod(lambda name, path, target: 1 / 0)
    with pytest.raises(UnusablePack, match="ZeroDivisionError"):
        folder_of("hooked")


@pytest.mark.parametrize("parent", ["raise SystemExit(3)", "1 / 0", "def x(:", "import no_such_package_of_ours"])
def test_a_parent_package_that_fails_is_a_reason_whatever_it_raises(packages, tmp_path, parent):
    pack = packages("acme.migrations", {"001_a.py": creates(1, "a")})
    (tmp_path / "site" / "acme" / "__init__.py").write_text(parent)
    with pytest.raises(UnusablePack, match="its package acme.migrations can't be found"):
        read_pack(pack)


def test_a_namespace_package_in_two_places_is_not_guessed_at(packages, tmp_path, monkeypatch):
    pack = packages("acme_migrations", {"001_a.py": creates(1, "a")}, init=None)
    assert len(read_pack(pack).migrations) == 1
    write_pack(tmp_path / "other" / "acme_migrations", "p", {"002_b.py": creates(2, "b")})
    monkeypatch.syspath_prepend(tmp_path / "other")
    with pytest.raises(UnusablePack, match="is in more than one folder .*give it an __init__.py"):
        read_pack(pack)
