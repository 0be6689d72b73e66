"""The pictures of the terminal show what the commands print, and every picture has a page and a text in its place."""

from __future__ import annotations

import importlib.util
import re

import pytest
from pages.pictures import FOLDER, PICTURES, Picture, drawn, typed, words_of
from pages.reading import PAGES, name_of, text_of

IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")


@pytest.mark.skipif(importlib.util.find_spec("fcntl") is None, reason="the commands are typed at a pseudo-terminal")
@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_shows_what_its_commands_print(picture: Picture):
    shown = (FOLDER / f"{picture.name}.svg").read_text(encoding="utf-8")
    assert words_of(shown) == words_of(drawn(typed(picture), picture.name)), "`make docs-update` draws it again"


def test_every_picture_is_on_a_page_with_a_text_in_its_place():
    images = [(page, *found) for page in PAGES for found in IMAGE.findall(text_of(page))]
    assert not [(name_of(page), target) for page, text, target in images if len(text) < 40]
    shown = {(page.parent / target).resolve() for page, _, target in images}
    assert {path for path in shown if path.parent == FOLDER} == {FOLDER / f"{each.name}.svg" for each in PICTURES}
    assert {each.name for each in FOLDER.iterdir()} == {f"{each.name}.svg" for each in PICTURES}


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_fetches_nothing(picture: Picture):
    shown = (FOLDER / f"{picture.name}.svg").read_text(encoding="utf-8")
    assert not re.search(r"@font-face|@import|href=|url\((?!#)", shown)
