"""Entry points that are read from folders are those that importlib-metadata finds, and it is asked where they may differ."""

from __future__ import annotations

import importlib
import sys
import zipfile
from pathlib import Path

import importlib_metadata
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homie_migrations_core import collect
from homie_migrations_core.packs.entry_points import InstalledDistribution, InstalledEntryPoint, entry_points_in_folders
from homie_migrations_core.packs.registered import distribution_of

GROUP = "a.group"


class Site:
    """A folder on `sys.path` with the metadata of distributions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)

    def add(self, name: str, entry_points: str | bytes | None, metadata: str | None = "Name: x\nVersion: 1\n") -> Path:
        info = self.folder / name
        info.mkdir()
        if entry_points is not None:
            content = entry_points if isinstance(entry_points, bytes) else entry_points.encode()
            (info / "entry_points.txt").write_bytes(content)
        if metadata is not None:
            (info / ("PKG-INFO" if name.endswith(".egg-info") else "METADATA")).write_text(metadata, encoding="utf-8")
        importlib.invalidate_caches()
        return info


@pytest.fixture
def sites(tmp_path, monkeypatch):
    """Make folders on `sys.path`, in front of none but each other."""
    monkeypatch.setattr(sys, "path", [])

    def make(name: str) -> Site:
        site = Site(tmp_path / name)
        sys.path.append(str(site.folder))
        return site

    return make


def found() -> list[tuple[str, str, str | None]] | None:
    """What is read from the folders: names, values, and the distributions that they belong to."""
    entry_points = entry_points_in_folders(GROUP)
    return None if entry_points is None else sorted((each.name, each.value, str(each.dist.folder)) for each in entry_points)


def expected() -> list[tuple[str, str, str | None]]:
    """The same from importlib-metadata."""
    return sorted((each.name, each.value, str(each.dist._path)) for each in importlib_metadata.entry_points(group=GROUP))


TEXTS = {
    "one": "[a.group]\nname = module\n",
    "several groups": "[console_scripts]\nx = y:z\n[a.group]\na=b\nc = d:e.f [extra]\n\n[b]\ng = h\n",
    "comments and spaces": "# a.group\n\n  [a.group]  \n # no = no\n  a   =   b  \n",
    "windows lines": "[a.group]\r\na = b\r\nc = d\r\n",
    "odd line breaks": "[a.group]\x0ba = b\u2028c = d\x85e = f",
    "equals signs": "[a.group]\na = b = c\n = d\ne =\n",
    "brackets": "[[a.group]]\na = b\n[ a.group ]\nc = d\n[]\ne = f\n[a.group\n",
    "a group in two parts": "[a.group]\na = b\n[other]\nc = d\n[a.group]\ne = f\n",
    "before any group": "no equals sign\na = b\n[a.group]\nc = d\n",
    "a byte-order mark": "\ufeff[a.group]\na = b\n",
    "not ascii": "[a.group]\nnämé = mödule:ättr\n",
    "another group that begins like it": "[a.group.more]\na = b\n[xa.group]\na = b\n",
    "empty": "",
    "malformed, of another group": "[other]\nno equals sign\n",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("suffix", [".dist-info", ".egg-info"])
def test_a_file_is_read_as_importlib_metadata_reads_it(sites, text, suffix):
    sites("site").add(f"dist-1.0{suffix}", text)
    if "[other]\nno equals" in text:
        with pytest.raises(TypeError):
            expected()  # which makes the caller read the distributions one by one, without this group
        assert found() == []
    elif "[a.group\n" in text:
        with pytest.raises(TypeError):
            expected()
        assert found() is None
    else:
        assert found() == expected()


@pytest.mark.parametrize("content", ["[a.group]\nno equals sign\n", b"[a.group]\nbad = \xff\n", b"[other]\nbad = \xff\n"])
def test_a_file_that_can_not_be_used_is_left_to_importlib_metadata(sites, content):
    site = sites("site")
    site.add("good-1.0.dist-info", TEXTS["one"])
    site.add("bad-1.0.dist-info", content)
    assert found() is None


def test_of_a_distribution_found_twice_the_first_counts(sites):
    names = ("Acme.Mail-2.0", "acme_mail-1.0", "acme__mail-1.5", "acme.-_mail-1.0", "acme-mail-1.0", "acmemail-1.0", "mail")
    for number, name in enumerate(names):
        for suffix in (".dist-info", ".egg-info"):
            sites(f"{number}{suffix}").add(f"{name}{suffix}", f"[a.group]\nn{number} = {suffix[1:4]}\n")
    assert found() == expected()
    assert {name for name, _, _ in found()} == {"n0", "n3", "n4", "n5", "n6"}


@pytest.mark.parametrize("text", [None, "", "[a.group]\nold = module\n"])
@pytest.mark.parametrize("metadata", [None, ""])
def test_a_remainder_of_an_installation_hides_no_distribution(sites, text, metadata):
    sites("first").add("acme-1.0.dist-info", text, metadata)
    assert found() == expected()
    sites("second").add("acme-2.0.dist-info", "[a.group]\nnew = module\n")
    assert found() is None


def test_what_is_no_metadata_is_passed_over(sites):
    site = sites("site")
    (site.folder / "old-1.0.egg-info").write_text("Name: old\n")  # a file, as distutils has written it
    (site.folder / "dist-info").mkdir()
    (site.folder / "EGG-INFO").mkdir()
    (site.add("no_entry_points-1.0.dist-info", None) / "entry_points.txt").mkdir()
    site.add("acme-1.0.dist-info", TEXTS["one"])
    sys.path.insert(0, str(site.folder / "no-such-folder"))
    assert found() == expected() == [("name", "module", str(site.folder / "acme-1.0.dist-info"))]


def test_the_current_folder_and_relative_ones_are_read(sites, monkeypatch):
    site = sites("site")
    site.add("acme-1.0.dist-info", TEXTS["one"])
    site.add("other-1.0.dist-info", TEXTS["one"])
    for place, folder in (("", site.folder), ("site", site.folder.parent), (".", site.folder)):
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "path", [place])
        importlib_metadata.MetadataPathFinder.invalidate_caches()
        assert [(name, value) for name, value, _ in found()] == [(name, value) for name, value, _ in expected()]
        assert len(found()) == 2
        assert [distribution_of(each) for each in entry_points_in_folders(GROUP)] == [("x", "1")] * 2


def test_a_zip_file_an_egg_and_a_path_that_is_no_text_are_left_to_importlib_metadata(sites, tmp_path, monkeypatch):
    site = sites("site")
    site.add("acme-1.0.dist-info", TEXTS["one"])
    assert found() is not None
    archive = tmp_path / "packed.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("packed-1.0.dist-info/entry_points.txt", "[a.group]\npacked = module\n")
    egg = tmp_path / "old.egg"
    (egg / "EGG-INFO").mkdir(parents=True)
    for place in (str(archive), str(egg), site.folder, "null\0character"):
        monkeypatch.setattr(sys, "path", [str(site.folder), place])
        assert found() is None, place


def test_a_suffix_in_capitals_is_left_to_importlib_metadata(sites):
    sites("site").add("acme-1.0.Dist-Info", TEXTS["one"])
    assert found() is None


def test_a_finder_of_someone_else_is_left_to_importlib_metadata(sites, monkeypatch):
    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            return None

    sites("site").add("acme-1.0.dist-info", TEXTS["one"])
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder, Finder()])
    assert found() == expected()
    Finder.find_distributions = lambda self=None, context=None: []
    assert found() is None


@given(
    st.lists(
        st.sampled_from(
            [
                "[a.group]",
                "[a.group",
                "[other]",
                "[]",
                "a = b",
                "c=d:e",
                "=",
                " # x",
                "#",
                "no equals sign",
                "",
                " ",
                "[a.group] # x",
                "x = [",
            ]
        ),
        max_size=8,
    )
)
def test_any_file_is_read_as_importlib_metadata_reads_it(tmp_path_factory, lines):
    site = Site(tmp_path_factory.mktemp("any") / "site")
    site.add("acme-1.0.dist-info", "\n".join(lines))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "path", [str(site.folder)])
        read = found()
        try:
            assert read == expected()
        except TypeError:
            assert read is None or (read == [] and not any("a.group" in line for line in lines))


def test_the_entry_points_of_this_environment_are_those_of_importlib_metadata():
    for group in ("console_scripts", "pytest11", "homie.migrations"):
        read = entry_points_in_folders(group)
        assert read is not None
        told = importlib_metadata.entry_points(group=group)
        assert [(each.name, each.value, each.group) for each in read] == [(each.name, each.value, each.group) for each in told]
        assert [distribution_of(each) for each in read] == [(each.dist.name, each.dist.version) for each in told]


# --- loading ----------------------------------------------------------------------------------------------------------


def load(kind: type, value: str) -> object:
    arguments = ("name", value, GROUP)
    entry_point = kind(*arguments, InstalledDistribution("nowhere")) if kind is InstalledEntryPoint else kind(*arguments)
    try:
        return entry_point.load()
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize(
    "value",
    [
        *("json", "json.decoder", "json.decoder:JSONDecoder", "json.decoder:JSONDecoder.decode", "json:decoder", "os.path:join"),
        *("json : decoder", "json:decoder [extra]", "json [extra, more]", "json:", "json.decoder: JSONDecoder"),
        *("no_such_module_of_ours", "json.no_such_module", "json:no_such_name", "json:decoder.no.such", "no.such.package"),
        *("", ":", ":name", "a b c!", "json..decoder", ".json", "json.", "json:.decoder", "json:decoder.", "1json", "json/decoder"),
    ],
)
def test_a_value_leads_where_importlib_metadata_says(value):
    assert load(InstalledEntryPoint, value) == load(importlib_metadata.EntryPoint, value)


def test_entry_points_are_compared_and_shown_as_those_of_importlib_metadata():
    places = InstalledDistribution("one"), InstalledDistribution("other")
    one, same, other = (
        InstalledEntryPoint("a", value, GROUP, place) for value, place in zip("bbc", (*places, places[0]), strict=True)
    )
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one != "a"
    assert repr(one) == repr(importlib_metadata.EntryPoint("a", "b", GROUP))
    assert collect().packs == collect().packs


# --- distributions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".dist-info", ".egg-info"])
@pytest.mark.parametrize(
    "metadata",
    [
        "Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n\nName: not this\n",
        "Version:1.0\nName:   acme\n",
        "Name: acme\nName: other\nVersion: 1\nVersion: 2\n",
        "name: acme\nVERSION: 1.0\n",
        "Name: acme\n",
        "",
        None,
    ],
)
def test_the_name_and_version_of_a_distribution_are_those_of_importlib_metadata(sites, suffix, metadata):
    info = sites("site").add(f"acme-9.9{suffix}", TEXTS["one"], metadata)
    (read,), (told,) = entry_points_in_folders(GROUP), importlib_metadata.entry_points(group=GROUP)
    try:
        known = (told.dist.name, told.dist.version)
    except (KeyError, FileNotFoundError):  # there is no such field, or no metadata at all
        known = (None, None)
    assert distribution_of(read) == known
    assert read.dist.read_text("no-such-file") is None
    assert read.dist.folder == str(info)
