"""Code that runs in a child of this process: with other rights or limits, and every module loaded already."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import pickle
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from helpers import creates

T = TypeVar("T")
SOMEBODY = 65534


def in_a_child(function: Callable[[], T]) -> T:
    """Return what `function` returns in a child process. What it raises there fails the test."""
    reads, writes = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the child uses none of this process's threads
        child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reads)
            with os.fdopen(writes, "wb") as pipe:
                try:
                    answer = (True, function())
                except BaseException as error:
                    answer = (False, f"{type(error).__name__}: {error}")
                pickle.dump(answer, pipe)
            code = 0
        finally:
            os._exit(code)
    os.close(writes)
    with os.fdopen(reads, "rb") as pipe:
        content = pipe.read()
    _, status = os.waitpid(child, 0)
    assert status == 0, f"the child ended with {status}"
    succeeded, answer = pickle.loads(content)
    assert succeeded, answer
    return answer


def becoming_somebody(function: Callable[[], T]) -> Callable[[], T]:
    """Return `function` for a child: it runs as a user who owns nothing here."""

    def called() -> T:
        os.setgroups([])
        os.setgid(SOMEBODY)
        os.setuid(SOMEBODY)
        return function()

    return called


def command_line(*arguments: object) -> tuple[int, str, str]:
    """Run `homie migrations …` in this process, and return how it ends and what it says."""
    from homie_migrations_core.cli.entry import main

    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            main(["migrations", *map(str, arguments)])
        except SystemExit as ended:
            return int(ended.code or 0), out.getvalue(), err.getvalue()
    raise AssertionError("the command line did not end")


@functools.cache
def load_every_module() -> None:
    """Load what `status`, `plan` and `apply` need, which another user may have no right to read."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "tasks")
        folder.mkdir()
        (folder / "001_one.py").write_text(creates(1, "one"))
        (folder / "002_two.py").write_text(creates(2, "two"))
        options = ("--dir", folder, "--database", Path(name, "homie_tasks.db"))
        for version in (1, 2):
            for command in (("status",), ("plan",), ("apply", "--to", f"tasks:{version}"), ("apply", "--to", "tasks:3")):
                command_line(*command, *options)
