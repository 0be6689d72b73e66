"""`rehearse --markdown`: what the report says, that hostile names stay text, and that no other file is overwritten."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from helpers import creates, one_line, python_migration, query, run_sql
from markdown_it import MarkdownIt
from markdown_it.token import Token

from homie_migrations_core.cli.escaping import escape_line
from homie_migrations_core.cli.markdown import block, code, table

HOSTILE = [
    "a|b",
    "a\\|b",
    "`tick`",
    "``` two",
    "</code></details><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "@everyone #1 https://example.com",
    "[link](https://example.com) ![image](x)",
    "**bold** _it_ ~~gone~~",
    "two\nlines | of\n# text",
    "\x1b[31mred\u202etxt",
    " ",
    "",
    "&lt; &#124;",
    "| --- |",
    "-->",
]


def parse(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(text)


def shown(inline: Token) -> str:
    """What a reader sees of a line or a cell; fails for HTML other than `<code>`, and for links and images."""
    assert inline.children is not None
    words = []
    for each in inline.children:
        if each.type == "html_inline":
            assert each.content in ("<code>", "</code>"), each.content
        else:
            assert each.type in ("text", "code_inline", "text_special", "strong_open", "strong_close"), each.type
            words.append(each.content)
    return "".join(words)


def rows(text: str) -> list[list[str]]:
    """The rows of every table of a document, as a reader sees them."""
    found: list[list[str]] = []
    for number, each in enumerate(tokens := parse(text)):
        if each.type == "tr_open":
            found.append([])
        elif each.type in ("td_open", "th_open"):
            found[-1].append(shown(tokens[number + 1]))
    return found


def fences(text: str, kind: str) -> list[str]:
    return [each.content for each in parse(text) if each.type == "fence" and each.info == kind]


# --- text from outside ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_name_is_shown_in_a_cell_as_it_is(name: str) -> None:
    text = "\n".join(table(("a", "b", "c"), [("1", code(name), "2")]))
    assert rows(text) == [["a", "b", "c"], ["1", escape_line(name), "2"]]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_text_does_not_end_its_block(name: str) -> None:
    text = "\n".join(["before", "", *block(f"{name}\n```\n~~~\n{name}"), "after"])
    kinds = [each.type for each in parse(text)]
    assert kinds == ["paragraph_open", "inline", "paragraph_close", "fence", "paragraph_open", "inline", "paragraph_close"]
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)


# --- the report -------------------------------------------------------------------------------------------


@pytest.fixture
def rehearsed(homie, tasks, tmp_path: Path):
    """Rehearse with these migrations pending on a database with three rows in it; the report."""
    assert homie("apply", *tasks.options).code == 0
    run_sql(tasks.database, "INSERT INTO one VALUES (1, 'a'), (2, 'b'), (3, NULL)")

    def rehearse(*arguments: object, **bodies: str) -> str:
        tasks.add(
            {f"{3 + number:03}_{name}.py": python_migration(3 + number, body) for number, (name, body) in enumerate(bodies.items())}
        )
        result = homie("rehearse", *tasks.options, "--markdown", tmp_path / "report.md", *arguments)
        assert result.code in (0, 1), result.err
        return (tmp_path / "report.md").read_text(encoding="utf-8")

    return rehearse


def test_the_report_says_what_would_happen(rehearsed, tasks) -> None:
    more = "conn.execute('ALTER TABLE one ADD COLUMN seen TEXT')\nconn.execute('DELETE FROM one WHERE id = 1')"
    new = "conn.execute('CREATE TABLE new (id INTEGER PRIMARY KEY, one INTEGER NOT NULL REFERENCES one (id))')"
    text = rehearsed(more=more, new=new, gone="conn.execute('DROP TABLE two')")
    seen = [[re.sub(r"\d+ ms", "TIME", cell) for cell in row] for row in rows(text)]
    assert seen == [
        ["database", "outcome", "steps", "data lost"],
        ["homie_tasks.db", "would succeed", "3", "1 row of one"],
        ["#", "", "migration", "duration", "statements"],
        ["1", "apply", "tasks:003_more", "TIME", "2"],
        ["2", "apply", "tasks:004_new", "TIME", "1"],
        ["3", "apply", "tasks:005_gone", "TIME", "1"],
        ["table", "before", "after", "change"],
        ["new", "", "0", "new"],
        ["one", "3", "2", "-1"],
        ["two", "0", "", "gone"],
        ["table", "what", "number"],
        ["one", "rows", "1"],
    ]
    assert fences(text, "text") == ["table new added\ncolumn seen of one added: TEXT\ntable two removed\n"]
    before, after = fences(text, "mermaid")
    assert re.findall(r'^    "?(\w+)"? \{', before, re.MULTILINE) == ["one", "two"]
    assert re.findall(r'^    "?(\w+)"? \{', after, re.MULTILINE) == ["new", "one"]
    assert ("TEXT seen" in before, "TEXT seen" in after) == (False, True)
    assert str(tasks.database) in text
    assert re.search(r"at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\.", text)
    assert "DELETE FROM one" not in text
    assert query(tasks.database, "SELECT count(*) FROM one") == [(3,)]


def test_with_sql_it_holds_the_statements(rehearsed) -> None:
    text = rehearsed("--sql", more="conn.execute('UPDATE one SET text = ?', ('```',))")
    assert fences(text, "sql") == ["UPDATE one SET text = '```';\n"]


def test_it_says_what_would_fail(rehearsed) -> None:
    text = rehearsed(good="conn.execute('CREATE TABLE good (a)')", bad="raise ValueError('no `way` </details>')", after="pass")
    seen = rows(text)
    assert seen[1] == ["homie_tasks.db", "would fail at tasks:004_bad", "1 of 3", "none"]
    assert ["2", "", "tasks:004_bad", "would fail", ""] in seen
    assert ["", "", "1 step after it would not be reached", "", ""] in seen
    assert "no `way` </details>" in fences(text, "text")[0]
    assert "</details>" not in [each.content for each in parse(text) if each.type.startswith("html")]


def test_it_says_that_there_is_nothing_to_do(rehearsed) -> None:
    assert rows(rehearsed()) == [["database", "outcome", "steps", "data lost"], ["homie_tasks.db", "nothing to do", "0", "none"]]


def test_hostile_names_of_tables_stay_text(rehearsed) -> None:
    made = [name for name in HOSTILE if name.strip()]
    text = rehearsed(evil=f"for name in {made!r}:\n    conn.execute('CREATE TABLE \"' + name + '\" (\"a`|<b>\" TEXT)')")
    assert {row[0] for row in rows(text)} >= {escape_line(name) for name in made}
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
    html = [each.content for each in parse(text) if each.type == "html_block"]
    assert html == ["<!-- homie-migrations: the report of a rehearsal -->\n"]
    (drawn,) = fences(text, "mermaid")
    assert drawn.count("{\n") == len(made)


def test_every_database_is_in_it_those_that_can_not_be_rehearsed_too(homie, tasks, tmp_path: Path) -> None:
    broken = tmp_path / "`broken`|.db"
    try:
        broken.write_text("no database " * 100)
    except OSError:
        pytest.skip("there are no such file names")
    report = tmp_path / "report.md"
    result = homie("rehearse", *tasks.options, "--database", broken, "--markdown", report)
    assert result.code == 2
    assert [row[:2] for row in rows(report.read_text())[1:3]] == [
        ["homie_tasks.db", "would succeed"],
        ["`broken`|.db", "could not be rehearsed"],
    ]
    assert result.out.splitlines()[-1] == f"report: {report}"


# --- the file -----------------------------------------------------------------------------------------------


def test_an_earlier_report_is_replaced_and_the_command_says_so(homie, tasks, tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    for expected in (f"report: {report}", f"report, in place of an earlier one: {report}"):
        assert homie("rehearse", *tasks.options, "--markdown", report).out.splitlines()[-1] == expected
    assert [each.name for each in tmp_path.iterdir() if "report" in each.name] == ["report.md"]


@pytest.mark.parametrize("there", ["a file", "an empty file", "the database", "a folder", "a pipe", "a link to a file"])
def test_nothing_else_is_overwritten(homie, tasks, tmp_path: Path, there: str) -> None:
    assert homie("apply", *tasks.options, "--to", "tasks:1").code == 0
    report, mine = tmp_path / "report.md", tmp_path / "mine.txt"
    mine.write_text("mine")
    if there == "a folder":
        report.mkdir()
    elif there == "the database":
        report = tasks.database
    elif there == "a pipe":
        if not hasattr(os, "mkfifo"):
            pytest.skip("there are no such pipes")
        os.mkfifo(report)
    elif there == "a link to a file":
        report.symlink_to(mine)
    else:
        report.write_text("mine" if there == "a file" else "")
    before = report.read_bytes() if report.is_file() else b""
    result = homie("rehearse", *tasks.options, "--markdown", report)
    assert result.code == 2
    assert "exists, and is not the report of a rehearsal" in one_line(result.err)
    assert result.out == ""
    assert (report.read_bytes() if report.is_file() else b"") == before
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("name", ["", "missing/report.md"])
def test_a_name_that_can_not_be_written_is_refused_before_the_rehearsal(homie, tasks, tmp_path: Path, name: str) -> None:
    result = homie("rehearse", *tasks.options, "--markdown", tmp_path / name if name else "")
    assert (result.code, result.out) == (2, "")
    assert not (tmp_path / "missing").exists()


def test_a_report_that_can_not_be_written_leaves_no_part_of_it(
    homie, tasks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks.add({"003_more.py": creates(3, "more")})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("homie_migrations_core.cli.rehearsal_markdown.os.replace", full)
    result = homie("rehearse", *tasks.options, "--markdown", tmp_path / "report.md", "--json")
    assert result.code == 2
    assert result.json["error"]["code"] == "usage"
    assert "No space left on device" in result.err
    assert not [each for each in tmp_path.iterdir() if "report" in each.name]
