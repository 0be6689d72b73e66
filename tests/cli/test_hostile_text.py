"""Text stays text: what comes from a database, a file, a pack or an exception can't command the terminal or add lines to it."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import creates, python_migration, run_sql

from homie_migrations_core.cli.escaping import escape_block, escape_line

EVIL = "a\x1b[31mb\u202ec\u2066d\ne\rf\x9bg\x7fh\u2028i\u200fj\tk"
SHOWN = r"a\x1b[31mb\u202ec\u2066d\ne\rf\x9bg\x7fh\u2028i\u200fj\tk"
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def is_plain(*outputs: str) -> bool:
    return not any(OBEYED.search(output) for output in outputs)


# --- the escaping itself --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("plain, wie möglich: 日本 🎉", "plain, wie möglich: 日本 🎉"),
        ("C:\\new\\table", "C:\\new\\table"),
        ("no\u00a0break, zero\u200dwidth", "no\u00a0break, zero\u200dwidth"),
        ("\x00\t\n\r\x1b\x1f", r"\x00\t\n\r\x1b\x1f"),
        ("\x7f\x80\x85\x9f\xa0", "\\x7f\\x80\\x85\\x9f\xa0"),
        ("\u061c\u200e\u200f\u202a\u202e\u2066\u2069", r"\u061c\u200e\u200f\u202a\u202e\u2066\u2069"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("\udc80\ud800", r"\udc80\ud800"),
        (EVIL, SHOWN),
    ],
)
def test_a_line_has_its_control_and_bidirectional_characters_escaped(text: str, shown: str):
    assert escape_line(text) == shown
    assert escape_line(shown) == shown


def test_everything_that_unicode_calls_control_or_bidirectional_is_escaped():
    embedding = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    marks = {"\u061c", "\u200e", "\u200f"}
    for character in map(chr, range(sys.maxunicode + 1)):
        category = unicodedata.category(character)
        obeyed = category in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(character) in embedding or character in marks
        assert (escape_line(character) != character) == obeyed, hex(ord(character))


def test_a_block_keeps_its_lines_and_tabs():
    assert escape_block("a\n\tb\r\nc\rd\x1b\u2028e\n") == "a\n\tb\nc\\rd\\x1b\\u2028e\n"


# --- commands ---------------------------------------------------------------------------------------------------------


class Place:
    """A folder of migrations and a database in a folder with an evil name."""

    def __init__(self, tmp_path: Path, homie: Callable[..., object]) -> None:
        self.folder, self.database = tmp_path / "tasks", tmp_path / EVIL / f"{EVIL}.db"
        self.folder.mkdir()
        self.database.parent.mkdir()
        self.add("001_one.py", creates(1, "one"))
        self.options = ("--dir", self.folder, "--database", self.database)
        self._homie = homie

    def add(self, name: str, content: str) -> None:
        (self.folder / name).write_text(content, encoding="utf-8")

    def call(self, command: str, *more: object):
        return self._homie(command, *more, *self.options)


@pytest.fixture
def place(tmp_path: Path, homie) -> Place:
    if sys.platform == "win32":
        pytest.skip("no file can have such a name")
    return Place(tmp_path, homie)


@pytest.mark.parametrize(
    "command", [("status",), ("status", "--all"), ("plan",), ("history",), ("validate",), ("apply",), ("rehearse",), ("backup",), ("backups",), ("rollback", "tasks", "--yes")], ids=" ".join
)  # fmt: skip
def test_the_path_of_a_database_stays_text(place: Place, command):
    if command[0] not in ("apply", "plan"):
        assert place.call("apply").code == 0
    result = place.call(*command)
    assert result.code == 0, result.err
    assert SHOWN in result.out
    assert is_plain(result.out, result.err)


@pytest.mark.parametrize("command", ["status", "apply", "backup"])
def test_an_error_about_such_a_path_stays_text_and_short(place: Place, command: str):
    place.database.write_text("no database " * 100)
    result = place.call(command)
    assert result.code == 2
    assert SHOWN in result.err
    assert len(result.err.splitlines()) <= 3
    assert is_plain(result.out, result.err)
    document = place.call(command, "--json")
    assert document.json["databases"][0]["path"] == str(place.database)
    assert str(place.database) in document.json["error"]["message"]
    assert document.out.isascii()
    assert is_plain(document.out)


@pytest.mark.parametrize("how", [(), ("-v",)], ids=["", "verbose"])
@pytest.mark.parametrize("command", ["apply", "rehearse"])
def test_the_text_of_an_exception_stays_text(place: Place, command: str, how):
    place.add("002_two.py", python_migration(2, f"raise RuntimeError({EVIL!r})"))
    result = place.call(command, *how)
    assert result.code == 1
    assert SHOWN in result.err
    assert is_plain(result.out, result.err.replace("\t", "") if how else result.err)
    if not how:
        assert len(result.err.splitlines()) <= 3


def test_the_names_of_tables_and_columns_in_a_rehearsal_stay_text(place: Place):
    place.add("002_two.sql", f'CREATE TABLE "{EVIL}" (x); INSERT INTO "{EVIL}" VALUES (1);')
    result = place.call("rehearse")
    assert result.code == 0, result.err
    assert f"{SHOWN}: a new table with 1 row" in result.out
    assert is_plain(result.out, result.err)


def test_sql_in_a_rehearsal_keeps_its_lines_and_nothing_else(place: Place):
    place.add("002_two.sql", "CREATE TABLE two (\n\tx, -- {}\n\ty\n);".format(EVIL.partition("\n")[0]))
    result = place.call("rehearse", "--sql")
    assert result.code == 0, result.err
    assert "       CREATE TABLE two (\n       \tx, -- " in result.out
    assert r"a\x1b[31mb\u202ec\u2066d" in result.out
    assert is_plain(result.out.replace("\t", ""), result.err)


@pytest.mark.parametrize("command", [("status", "--all"), ("history",), ("validate",), ("status",)], ids=" ".join)
def test_what_is_recorded_stays_text(place: Place, command):
    assert place.call("apply").code == 0
    text = EVIL.replace("'", "''")
    columns = "version, migration_name, pack, applied_at, pack_version"
    run_sql(place.database, f"INSERT INTO schema_migrations ({columns}) VALUES (7, '{text}', '{text}', '{text}', '{text}')")
    result = place.call(*command)
    assert result.code in (0, 1, 4)
    assert SHOWN in result.out + result.err
    assert is_plain(result.out, result.err)


def test_what_the_command_line_holds_stays_text(homie, tmp_path: Path):
    for arguments in (
        ("status", f"--{EVIL}"),
        (EVIL,),
        ("plan", "--to", EVIL),
        ("status", "--pack", EVIL),
        ("apply", "--dir", EVIL),
    ):
        result = homie(*arguments, *(() if len(arguments) == 1 else ("--data-dir", tmp_path)))
        assert result.code == 2
        assert is_plain(result.out, result.err)
        assert len(result.err.splitlines()) <= 3


def test_the_name_of_a_file_in_a_pack_stays_text(place: Place):
    place.add(f"002_{EVIL}.py", "")
    for command in ("status", "apply"):
        result = place.call(command)
        assert result.code == 1
        assert r"\x1b[31mb\u202e" in result.out + result.err
        assert is_plain(result.out, result.err)
        assert len(result.err.splitlines()) <= 3


@pytest.mark.parametrize("command", ["packs", "status", "apply", "check"])
def test_the_name_of_an_entry_point_and_what_its_module_raises_stay_text(homie, installed, tmp_path: Path, command: str):
    installed.nothing_else()
    installed.pack("alpha", {"001_a.py": creates(1, "a")})
    name = "a\x1bb\u202ec\u2066d"
    installed.distribution("evil", {"evil_plugin": f"raise RuntimeError({EVIL!r})"}, {name: "evil_plugin"})
    result = homie(command, *(() if command in ("packs", "check") else ("--data-dir", tmp_path)))
    assert result.code == 1
    assert SHOWN in result.err
    assert r"a\x1bb\u202ec\u2066d" in result.err
    assert is_plain(result.out, result.err)


def test_the_schema_on_a_terminal_keeps_its_lines_and_nothing_else(place: Place, on_a_terminal):
    evil = EVIL.partition("\n")[0]
    sql = f"CREATE TABLE one (\n\tx -- {evil}\n)"
    place.add("001_one.py", python_migration(1, f"conn.execute({sql!r})"))
    terminal = on_a_terminal("schema", "--dir", place.folder)
    assert terminal.ended() == 0
    assert r"a\x1b[31mb\u202ec\u2066d" in terminal.seen
    assert "CREATE TABLE one (\n" in terminal.seen
    assert is_plain(terminal.seen.replace("\t", ""))


def test_the_schema_in_a_pipe_is_exact(place: Place):
    result = place.call("apply")
    place.add("002_two.sql", "CREATE TABLE two (x DEFAULT 'a\u200fb\x1b');")
    result = place.call("apply")
    assert result.code == 0
    assert "CREATE TABLE two (x DEFAULT 'a\u200fb\x1b');" in place.call("schema").out


def test_a_table_on_a_terminal_stays_text(place: Place, on_a_terminal):
    assert place.call("apply").code == 0
    name = EVIL.replace("'", "''")
    run_sql(place.database, f"INSERT INTO schema_migrations (version, migration_name, pack) VALUES (7, '{name}', '{name}')")
    terminal = on_a_terminal("history", *place.options, width=400, NO_COLOR="1")
    assert terminal.ended() == 0
    assert SHOWN in terminal.seen
    assert is_plain(re.sub(r"\x1b\[\??[0-9;]*[a-zA-Z]", "", terminal.seen)), terminal.seen
    assert "\x1b[31m" not in terminal.seen


def test_a_question_stays_text(place: Place, on_a_terminal):
    assert place.call("apply").code == 0
    terminal = on_a_terminal("rollback", "tasks", *place.options, "--no-backup", width=4000)
    terminal.until("Go on?")
    terminal.type("y\n")
    assert terminal.ended() == 0
    assert f"Rolling back tasks:001_one in {place.database.parent.parent}/{SHOWN}/{SHOWN}.db." in terminal.seen
    assert is_plain(terminal.seen)


def test_the_progress_of_a_run_stays_text(place: Place, on_a_terminal):
    place.add("002_two.py", python_migration(2, "import time\n        time.sleep(2.5)".replace("        ", "")))
    bad = "[bold]\x1b[31m"
    site = place.folder.parent / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "from homie_migrations_core.cli.progress import _ProgressBar as Bar\n"
        f"begin = Bar.begin\nBar.begin = lambda self, task: begin(self, task + {bad!r})\n"
    )
    terminal = on_a_terminal("apply", *place.options, width=400, PYTHONPATH=str(site))
    assert terminal.ended() == 0
    assert "applying tasks:002_two[bold]\\x1b[31m since" in re.sub(r"\x1b\[[0-9;]*m", "", terminal.seen)


def test_logged_text_stays_text(capsys: pytest.CaptureFixture[str]):
    import logging

    from homie_migrations_core.cli.redirection import log_on_stderr

    with log_on_stderr():
        try:
            raise RuntimeError(EVIL)
        except RuntimeError:
            logging.getLogger("homie_migrations").warning("saw %s", EVIL, exc_info=True)
    assert capsys.readouterr().err == f"Warning: saw {SHOWN} (RuntimeError: {SHOWN})\n"


def test_trying_a_file_by_hand_stays_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    from homie_migrations_core import try_migration

    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "001_one.py").write_text(python_migration(1, f"raise RuntimeError({EVIL!r})"))
    assert try_migration(folder / "001_one.py") == 1
    result = capsys.readouterr()
    assert SHOWN in result.err
    assert is_plain(result.out, result.err)
    assert len(result.err.splitlines()) <= 3
