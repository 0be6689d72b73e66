"""
Take pictures of pages of the built site with headless Chromium, to look at: `python docs/_site/screenshots.py FOLDER [PAGE ...]`.

Each page is taken at the width of a desktop and of a phone, in light and in dark colours. Where there is no Chromium, nothing
is done.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SITE = Path(__file__).resolve().parents[2] / "site"
PAGES = ["index", "tutorial/first-pack", "explanation/how-a-step-runs", "reference/command-line", "reference/python"]
SIZES = {"desktop": (1440, 1600), "phone": (390, 1600)}
COLOURS = {"light": 1, "dark": 0}
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --virtual-time-budget=3000"
).split()


def take(browser: str, url: str, picture: Path, size: tuple[int, int], colours: int) -> None:
    """Take one picture. The page is in a frame, because a window can't be as narrow as a phone."""
    width, height = size
    with tempfile.TemporaryDirectory(prefix="screenshot-") as place:
        frame = Path(place, "frame.html")
        style = f"border: 0; width: {width}px; height: {height}px"
        frame.write_text(f'<body style="margin: 0"><iframe src="{url}" style="{style}"></iframe>', encoding="utf-8")
        own = [f"--user-data-dir={place}/profile", f"--blink-settings=preferredColorScheme={colours}"]
        to = [f"--screenshot={picture}", f"--window-size={max(width, 500)},{height}", frame.as_uri()]
        subprocess.run([browser, *OPTIONS, *own, *to], check=True, capture_output=True, timeout=120)


def main(folder: Path, pages: list[str]) -> None:
    """Take every picture of these pages; a page may have an anchor."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not browser:
        print("There is no Chromium here; no picture was taken.")
        return
    folder.mkdir(parents=True, exist_ok=True)
    for page, (device, size), (name, colours) in itertools.product(pages, SIZES.items(), COLOURS.items()):
        path, _, anchor = page.partition("#")
        url = (SITE / f"{path}.html").as_uri() + (f"#{anchor}" if anchor else "")
        picture = folder.resolve() / f"{page.replace('/', '-').replace('#', '-')}-{device}-{name}.png"
        take(browser, url, picture, size, colours)
        print(picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or PAGES)
