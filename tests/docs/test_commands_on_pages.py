"""What a page shows is what happens when its commands are typed."""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from pathlib import Path

import pytest
from json_documents import asks_for_events, read_document, read_events
from pages.generated import commands as known_commands
from pages.reading import PAGES, ROOT, blocks, commands, name_of, text_of
from pages.running import as_on_a_page, run_page
from preloaded import PreloadedPython

RUN = [page for page in PAGES if any(each.kind == "console" for each in blocks(text_of(page)))]


def check_json(arguments: list[str], output: str) -> None:
    """Hold what a command has printed to its schemas; on a page, stdout and stderr are one."""
    if "--json" in arguments:
        read_document(arguments, output[output.index("{\n") :])
    if asks_for_events(arguments):
        read_events("".join(line for line in output.splitlines(keepends=True) if line.startswith('{"event"')))


def marked(page: Path) -> object:
    """Mark the pages that install a distribution and run its tests: each takes as long as a hundred others."""
    typed = [command for kind, _, body in blocks(text_of(page)) if kind == "console" for command, _ in commands(body)]
    is_slow = all(any(words in command for command in typed) for words in ("pip install", "-m pytest"))
    return pytest.param(page, marks=pytest.mark.slow) if is_slow else page


@pytest.mark.skipif(os.name == "nt", reason="the pages are typed into a POSIX shell")
@pytest.mark.parametrize("page", [marked(page) for page in RUN], ids=name_of)
def test_a_page_shows_what_its_commands_print(page: Path, tmp_path: Path, preloaded_python: PreloadedPython):
    text = text_of(page)
    shown = [each for kind, _, body in blocks(text) if kind == "console" for each in commands(body)]
    done = run_page(text, tmp_path, preloaded_python)
    following = [command for command, _ in shown[1:]] + [""]
    for (command, expected), (code, output), then in zip(shown, done, following, strict=True):
        assert as_on_a_page(output) == as_on_a_page(expected), f"after: {command}\n(`make docs-update` writes the page again)"
        if re.fullmatch(r"homie migrations [^|<>&;]*json[^|<>&;]*", command):
            check_json(shlex.split(command)[2:], output)
        assert code == 0 or then == "echo $?", f"{command} ended with {code}, and the page does not say so:\n{output}"


def test_every_command_on_a_page_exists():
    known = known_commands()
    shown = {
        (name_of(page), command)
        for page in PAGES
        for command in re.findall(r"`?homie migrations ((?:fleet )?[a-z-]+)", text_of(page))
    }
    assert not {each for each in shown if each[1] not in known}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_shows_no_traceback_and_no_path_of_this_machine(page: Path):
    text = text_of(page)
    assert not [word for word in ("Traceback", "/tmp", tempfile.gettempdir(), str(ROOT)) if word in text]
