"""Which packs a test works with, and what is remembered of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import creates, write_pack

from homie_migrations_core.authoring import pack_choice
from homie_migrations_core.authoring.pack_choice import PackChoice, files_of
from homie_migrations_core.errors import PackBroken, UnknownPack


@pytest.fixture
def three_installed(installed):
    """`links` requires `notes`, which requires `tags`; `apart` is of another database."""
    for name, requires in {"tags": (), "notes": ("tags:1",), "links": ("notes:1",)}.items():
        installed.pack(name, {f"001_{name}.py": creates(1, name, requires=requires)}, database="shared.db")
    installed.pack("apart", {"001_apart.py": creates(1, "apart")})
    return installed


@pytest.mark.parametrize(
    ("pack", "others", "chosen"),
    [
        ("tags", None, ["tags"]),
        ("notes", None, ["notes", "tags"]),
        ("links", None, ["links", "notes", "tags"]),
        ("links", (), ["links"]),
        ("links", ["apart"], ["links", "apart"]),
        ("tags", "installed", ["tags", "links", "notes"]),
    ],
)
def test_a_pack_comes_with_the_packs_that_go_with_it(three_installed, pack, others, chosen):
    assert [each.name for each in PackChoice().choose(pack, others)] == chosen


def test_a_name_that_nobody_knows_and_a_pack_that_can_not_be_used_are_errors(three_installed):
    three_installed.pack("strange", {"wrong.py": ""})
    choice = PackChoice()
    with pytest.raises(UnknownPack, match="nodes"):
        choice.choose("nodes", None)
    with pytest.raises(PackBroken, match="wrong.py"):
        choice.choose("strange", None)


def test_entry_points_are_read_once_and_again_for_an_unknown_name(three_installed, monkeypatch):
    reads = []
    collect = pack_choice.collect
    monkeypatch.setattr(pack_choice, "collect", lambda: (reads.append(1), collect())[1])
    choice = PackChoice()
    for _ in range(3):
        choice.choose("links", None)
    assert len(reads) == 1
    three_installed.pack("new", {"001_new.py": creates(1, "new")})
    assert [each.name for each in choice.choose("new", None)] == ["new"]
    assert len(reads) == 2


def test_files_are_read_again_once_one_of_them_has_changed(tmp_path: Path):
    pack = write_pack(tmp_path / "p", "p", {"001_a.sql": "SELECT 1;", "notes.txt": "not read"})
    assert files_of(pack) == (("001_a.sql", b"SELECT 1;"),)
    for text in ("SELECT 2;", "SELECT 3;"):  # of the same length, as fast as can be
        (tmp_path / "p" / "001_a.sql").write_text(text)
        assert files_of(pack) == (("001_a.sql", text.encode()),)
    (tmp_path / "p" / "001_a.sql").unlink()
    assert files_of(pack) == ()


def test_files_that_stay_as_they_are_are_not_read_again(tmp_path: Path, monkeypatch):
    pack = write_pack(tmp_path / "p", "p", {"001_a.sql": "SELECT 1;"})
    monkeypatch.setattr(pack_choice, "_SETTLED_NS", -(10**9))  # as if the file were old
    before = files_of(pack)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read again"))
    assert files_of(pack) is before


def test_a_folder_that_is_not_there_holds_no_files(tmp_path: Path):
    assert files_of(write_pack(tmp_path / "p", "p", {}).__class__("p", tmp_path / "nowhere")) == ()
