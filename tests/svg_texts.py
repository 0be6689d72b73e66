"""Whether the texts of an SVG picture can be read: none is cut off, and none lies on another."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from itertools import combinations

FONT_SIZE = 13
WIDTH_OF_A_CHARACTER = 0.6 * FONT_SIZE  # on average over a word: more than DejaVu Sans has, the widest font that is named
_TEXT = "{http://www.w3.org/2000/svg}text"


def misplaced_texts(picture: str) -> list[str]:
    """Return the texts that may be cut off, or lie on another one."""
    root = ElementTree.fromstring(picture)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    places = [_place(each) for each in root.iter(_TEXT)]
    assert places, "the picture has no text"
    found = [text for left, right, y, text in places if left < 0 or right > width or not FONT_SIZE <= y <= height - 4]
    for (left, right, y, text), (other_left, other_right, other_y, other) in combinations(places, 2):
        if abs(y - other_y) < FONT_SIZE and left < other_right and other_left < right:
            found.append(f"{text} on {other}")
    return found


def _place(text: ElementTree.Element) -> tuple[float, float, float, str]:
    """Return left edge, right edge, height and content of a text."""
    content = text.text or ""
    width = len(content) * WIDTH_OF_A_CHARACTER
    left = float(text.attrib["x"]) - {"start": 0.0, "middle": width / 2, "end": width}[text.attrib["text-anchor"]]
    return left, left + width, float(text.attrib["y"]), content
