"""Write the generated parts, the outputs of commands and pictures of them into the pages: `python -m pages [PAGE ...]`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from preloaded import PreloadedPython

from pages import generated, pictures, requirements
from pages.reading import PAGES, blocks, name_of, text_of
from pages.running import run_page, with_outputs


def main(only: list[str]) -> None:
    """Rewrite these pages, named by their paths from the root, or all. Write none if a package that they need is missing."""
    if unmet := requirements.unmet():
        sys.exit(
            f"No page was written: the environment lacks {', '.join(unmet)}. Install the extra `test`: pip install -e '.[test]'."
        )
    generated.write(only)
    with PreloadedPython() as python:
        for page in PAGES:
            text = text_of(page)
            if (only and name_of(page) not in only) or not any(each.kind == "console" for each in blocks(text)):
                continue
            with tempfile.TemporaryDirectory() as place:
                done = run_page(text, Path(place), python)
            page.write_text(with_outputs(text, done), encoding="utf-8")
            print(name_of(page))
    if not only:
        pictures.write()


if __name__ == "__main__":
    main(sys.argv[1:])
