"""What changes a checksum, and what doesn't; the same on every Python."""

from __future__ import annotations

import ast
import hashlib
import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from homie_migrations_core.packs import checksum as under_test
from homie_migrations_core.packs.checksum import _comments, _comments_by_tokens, python_checksum, sql_checksum


def checksum(source: str | bytes) -> str:
    content = source.encode() if isinstance(source, str) else source
    return python_checksum(content, ast.parse(content))


PLAIN = """\
import sqlite3


def get_migration_version() -> int:
    return 1


def apply_migration(conn):
    conn.execute("CREATE TABLE a (id INTEGER)")
    conn.execute('''
        INSERT INTO a
        VALUES (1)
    ''')
"""


# --- Python: what can't change the meaning --------------------------------------------------------------


@pytest.mark.parametrize(
    "cosmetic",
    [
        PLAIN.replace("import sqlite3", "# first\nimport sqlite3  # of the standard library"),
        PLAIN.replace("import sqlite3", '"""001: what this changes."""\n\nimport sqlite3'),
        PLAIN.replace("import sqlite3", "r'''\n001: it's\n  # not code\n\n'''\nimport sqlite3"),
        PLAIN.replace("    return 1", '    """One."""\n    return 1'),
        PLAIN.replace("    return 1", '    ("One, " # in\n     "two")  # parts\n    return 1'),
        PLAIN.replace("    return 1", "\n    # in between\n\n    return 1    "),
        PLAIN.replace("    return 1", "    # flush left is no dedent\n# here\n    return 1\t"),
        PLAIN.replace("\n\n\n", "\n"),
        PLAIN.replace("\n\n\n", "\n \t\n\n    \n\n"),
        "\n\n" + PLAIN + "\n\n\n",
        PLAIN.rstrip("\n"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        "\ufeff" + PLAIN,
        "\ufeff" + PLAIN.replace("\n", "\r\n"),
        "#!/usr/bin/env python3\n# -*- coding: utf-8 -*-\n" + PLAIN,
        PLAIN + "\n\nif __name__ == '__main__':\n    raise SystemExit(1)\n",
        PLAIN + '\n\nif "__main__" == __name__:  # by hand\n    """Not a docstring."""\n    x = """\n  """\n',
        PLAIN + '\nif __name__ == "__main__": print("one line")  # with a comment\n',
    ],
    ids=range(19),
)
def test_cosmetic_changes_leave_the_checksum_as_it_is(cosmetic):
    assert cosmetic != PLAIN
    assert checksum(cosmetic) == checksum(PLAIN)


def test_a_docstring_that_is_only_talked_about_does_not_count():
    one = "'''one'''\nx = 'not __doc__'  # nor __doc__\ny = x.__name__\n"
    assert checksum(one) == checksum(one.replace("'''one", "'''other")) != checksum(one.replace("not", "nor"))


def test_the_encoding_of_a_file_does_not_count_but_its_text_does():
    text = "# -*- coding: latin-1 -*-\nNAME = 'Größe'\n"
    assert checksum(text.encode("latin-1")) == checksum("NAME = 'Größe'\n") != checksum("NAME = 'Grösse'\n")


# --- Python: what can -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "real",
    [
        PLAIN.replace("return 1", "return 2"),
        PLAIN.replace("id INTEGER", "id  INTEGER"),
        PLAIN.replace("INTO a\n", "INTO a \n"),
        PLAIN.replace("INTO a\n", "INTO a\n\n"),
        PLAIN.replace("        VALUES", "       VALUES"),
        PLAIN.replace("        VALUES", "        -- now\n        VALUES"),
        PLAIN.replace("'''\n        INSERT", "''' \n        INSERT".replace("''' ", "'''  ")),
        PLAIN.replace("VALUES (1)\n    '''", "VALUES (1)\n\n    '''"),
        PLAIN.replace("    conn.execute('''", "if True:\n    conn.execute('''"),
        PLAIN + "x = 1\n",
        PLAIN.replace("import sqlite3", "import sqlite3; x = 1"),
        PLAIN.replace("import sqlite3", "# -*- coding: utf-8 -*-\n'a'.join([])\nimport sqlite3"),
        PLAIN + "if __name__ != '__main__':\n    raise SystemExit(1)\n",
        PLAIN + "if __name__ == '001_a':\n    raise SystemExit(1)\n",
        PLAIN + "if sqlite3 == '__main__':\n    raise SystemExit(1)\n",
        PLAIN + "if __name__:\n    raise SystemExit(1)\n",
        PLAIN + "if __name__ == '__main__':\n    x = 1\nelse:\n    x = 2\n",
        PLAIN + "if '__main__' == '__main__' != __name__:\n    raise SystemExit(1)\n",
        PLAIN + "def helper():\n    if __name__ == '__main__':\n        return 1\n",
    ],
    ids=range(19),
)
def test_real_changes_change_the_checksum(real):
    assert real != PLAIN
    assert checksum(real) != checksum(PLAIN)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = '# kept'", "x = '# other'"),
        ("x = '''\n# kept\n'''", "x = '''\n# other\n'''"),
        ("x = '''a  \nb'''", "x = '''a\nb'''"),
        ("x = '''a\n\nb'''", "x = '''a\nb'''"),
        ("x = 'a\\\n  b'", "x = 'a\\\nb'"),
        ("x = b'''a \nb'''", "x = b'''a\nb'''"),
        ("y = 1\nx = f'''a {y}  \nb'''", "y = 1\nx = f'''a {y}\nb'''"),
        ("y = 1\nx = f'''a {y} # kept\n'''", "y = 1\nx = f'''a {y} # other\n'''"),
        ("x = 1 \\\n\n+2", "x = 1 \\\n+2"),
        ("x = 1 \\\n# a comment ends the statement\n+2", "x = 1 \\\n+2"),
        ("'doc'; x = '''  \na'''", "'doc'; x = '''\na'''"),
        ("'''doc\n'''; x = '''  \na'''", "'''doc\n'''; x = '''\na'''"),
        ("'SELECT 1'\nx = __doc__", "'SELECT 2'\nx = __doc__"),
        ("def f():\n    'SELECT 1'\nx = f.__doc__", "def f():\n    'SELECT 2'\nx = f.__doc__"),
        ("def f():\n    b'no docstring'", "def f():\n    b'no Docstring'"),
        ("def f():\n    f'no docstring {1}'", "def f():\n    f'no Docstring {1}'"),
        ("if x:\n    'no docstring'", "if x:\n    'no Docstring'"),
        ("x = 1\n'no docstring'", "x = 1\n'no Docstring'"),
        ("x = 'ä' # ü\ny = '#'", "x = 'ä' # ü\ny = '# '"),
    ],
)
def test_what_only_looks_like_a_comment_a_docstring_or_trailing_space_counts(one, other):
    assert checksum(one) != checksum(other)


# --- Python: laws -------------------------------------------------------------------------------------------

# `¤` stands where a line may get trailing space, a comment, and blank or comment lines after it; `§` where a
# docstring may stand, at that indent. A plain line end lies within a string, where nothing may be added.
PIECES = [
    "import sqlite3¤\n",
    "VERSION = 1¤\n",
    "x = '# no comment'¤\n",
    "x = 'ä€𝄞', '#' ¤\n",
    'x = """a  \n\n  # in a string\n\\"""  \n"""¤\n',
    "x = '''\n'''; y = '''  \n'''¤\n",
    "y = f'{VERSION} # {\"#\"}'¤\n",
    'y = f"""ä {VERSION}  \n# {VERSION!r:>{VERSION}} \n"""¤\n',
    "y = ('a'¤\n     '#b'¤\n    'c  \\\n  d')¤\n",
    "z = 1 + \\\n  2¤\n",
    "if VERSION:¤\n    z = 3¤\nelse:¤\n    '''no docstring \n'''¤\n    z = 4¤\n",
    "def f(a,¤\n      b=(1,¤\n         2)):¤\n§    return a¤\n",
    "class C:¤\n§    x = '''in a\n    class'''¤\n    def m(self):¤\n    §    return f'''{self} \n'''¤\n",
    "async def g():¤\n§    await f('#')¤\n",
    "def one_line(): return '''\n  ''' # always¤\n".replace(" # always", ""),
]
programs = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join)
comments = st.sampled_from(["", "#", "# x", "  #'''", '\t# "', " # ä\\", "   ", "\t", "# {", "#: str = '"])
line_ends = st.builds(
    lambda tail, more: tail + "\n" + "".join(line + "\n" for line in more), comments, st.lists(comments, max_size=2)
)
docstrings = st.sampled_from(
    ["", "'one'", '"""two\n\n  # lines  \n   """', "r'''\\d'''  # and a comment", "('in ' # parts\n'two')", "'ä'  "]
)


def rendered(program: str, ends, docs) -> str:
    text = re.sub("¤\n", lambda _: ends(), program)

    def docstring(found: re.Match[str]) -> str:
        indent, text = found[1] + "    ", docs()
        return (indent + text + "\n" if text else "") + found[1]

    return re.sub("(?m)^( *)§", docstring, text)


@given(programs, st.data())
@settings(max_examples=100, deadline=None)
def test_law_comments_docstrings_blanks_and_line_ends_do_not_count(program, data):
    plain = rendered(program, lambda: "\n", lambda: "")
    dressed = rendered(program, lambda: data.draw(line_ends), lambda: data.draw(docstrings))
    dressed = data.draw(st.sampled_from(["", "# first\n", "\n", "'''docstring'''\n"])) + dressed
    dressed += data.draw(st.sampled_from(["", "if __name__ == '__main__':\n    f = '''  \n'''  # by hand\n"]))
    dressed = dressed.replace("\n", data.draw(st.sampled_from(["\n", "\r\n", "\r"])))
    assume(not (dressed.startswith("'") and plain.startswith("'")))
    content = data.draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + dressed.encode()
    assert checksum(content) == checksum(plain)


def meaning(source: str) -> str:
    """What Python makes of a source: its tree, without docstrings and the block that runs it by hand."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and ast.get_docstring(node) is not None
        ):
            del node.body[0]
    tree.body = [
        node for node in tree.body if not ast.unparse(node).startswith(("if __name__ == '__main__':", "if '__main__' == __name__:"))
    ]
    return ast.dump(tree)


@given(
    programs,
    st.lists(
        st.tuples(st.integers(0, 400), st.sampled_from([*" \n\\#'\"a1;\t(", "", "\\\n", "# x\n", "'''"])), min_size=1, max_size=3
    ),
)
# Most edits are no Python any more, and are passed over; on a busy machine that is no reason to fail.
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")
def test_law_one_checksum_means_one_meaning(program, edits):
    plain = edited = rendered(program, lambda: "  # x\n", lambda: "'doc'")
    for place, text in edits:
        at = place % len(edited)
        edited = edited[:at] + text + edited[at + (text == "") :]
    try:
        now, after = meaning(edited), checksum(edited)
    except (SyntaxError, ValueError):  # no Python; or, in 3.11, too odd for `tokenize`: then the file is broken, by name
        assume(False)
    if after == checksum(plain):
        assert now == meaning(plain)


# --- SQL ------------------------------------------------------------------------------------------------------

SCRIPT = """\
CREATE TABLE a (id INTEGER, "b  c" TEXT DEFAULT 'x  y');
INSERT INTO a VALUES (1, '-- no comment'), (2, '/* nor this */');
"""


@pytest.mark.parametrize(
    "cosmetic",
    [
        "-- what this changes\n" + SCRIPT,
        "/* what\nthis; changes */" + SCRIPT,
        SCRIPT.replace("VALUES", "-- it's\n  VALUES"),
        SCRIPT.replace("VALUES", "\n\t VALUES\f\r\n"),
        SCRIPT.replace(" INTO ", "/**/INTO--\n"),
        "\n\n" + SCRIPT + "\n\n-- the end",
        SCRIPT + "/* never closed",
        SCRIPT.rstrip(),
    ],
)
def test_cosmetic_changes_of_a_script_leave_the_checksum_as_it_is(cosmetic):
    assert cosmetic != SCRIPT
    assert sql_checksum(cosmetic) == sql_checksum(SCRIPT)


@pytest.mark.parametrize(
    "real",
    [
        SCRIPT.replace("(1,", "(3,"),
        SCRIPT.replace("x  y", "x y"),
        SCRIPT.replace("b  c", "b c"),
        SCRIPT.replace("-- no comment", "-- a comment"),
        SCRIPT.replace("/* nor", "/*  nor"),
        SCRIPT.replace("INTO a", "INTOa"),
        SCRIPT.replace("INTO a", "INTO\u00a0a"),
        SCRIPT.replace("INTO a", "INTO\va"),
        SCRIPT + "-- \nDROP TABLE a;",
        "-- " + SCRIPT,
        "'" + SCRIPT,
    ],
)
def test_real_changes_of_a_script_change_the_checksum(real):
    assert real != SCRIPT
    assert sql_checksum(real) != sql_checksum(SCRIPT)


def words(script: str) -> list[str]:
    """A script read letter by letter, the way sqlite.org describes it: quoted things whole, each gap one blank."""
    found, place = [""], 0
    while place < len(script):
        letter = script[place]
        end = place + 1
        if letter in "'\"`":
            while end < len(script) and (script[end] != letter or script[end : end + 2] == letter * 2):
                end += 2 if script[end] == letter else 1
            end += 1
        elif letter == "[":
            end = len(script) if "]" not in script[place:] else script.index("]", place) + 1
        elif script.startswith("--", place):
            end = len(script) if "\n" not in script[place:] else script.index("\n", place)
            letter = " "
        elif script.startswith("/*", place):
            end = len(script) if "*/" not in script[place + 2 :] else script.index("*/", place + 2) + 2
            letter = " "
        if letter in " \t\n\f\r":
            if found[-1]:
                found.append("")
        else:
            found[-1] += script[place:end]
        place = end
    return [word for word in found if word]


scripts = st.lists(st.sampled_from([*"'\"`[]-/*\n a;\u00a0", "--", "/*", "*/"]), max_size=9).map("".join)


@given(scripts, scripts)
@settings(max_examples=200, deadline=None)
def test_law_scripts_with_the_same_words_have_the_same_checksum_and_no_others(one, other):
    closed = [words(script + "\nx") == [*words(script), "x"] for script in (one, other)]
    if all(closed):
        assert (sql_checksum(one) == sql_checksum(other)) == (words(one) == words(other))
    if closed[0]:
        assert sql_checksum(" \n" + one + "\n--" + other.replace("\n", " ")) == sql_checksum(one)


# --- the same on every Python ------------------------------------------------------------------------------------

# Written down once, and computed by hand with Python 3.11, 3.12 and 3.13: a database that was migrated by one is read by another.
PYTHON_CHECKSUMS = [
    ("empty", "", "e3b0c44298fc1c14"),
    (
        "plain",
        '"""001: doc."""\n\nimport sqlite3  # why\n\n\ndef get_migration_version() -> int:\n    return 1\n',
        "039d1d50d4873cc6",
    ),
    (
        "f-string over lines, comments around",
        "# before\nx = 1\ny = f'''a {x}  \n# {x!r:>{x}} kept\n  {x:\n>5}\n'''  # after\n# more\nz = f\"#{x}#\"  # and more\n",
        "615e1f91a8de91a3",
    ),
    ("f-string with an expression over lines", "x = 1  # one\ny = f'''{\n  x  \n} # kept'''  # gone\n\n\n", "9454d86fb28e1d6d"),
    ("f-string in an f-string", "x = 1\ny = f'''{f\"# {x}  \"}  \n{'#'} {{#}} '''  # gone ä\n", "86ecb07ce21abeb5"),
    (
        "f-strings side by side",
        "x = (f'{1}#'  # one\n     '#'\n     f'''  \n#{2}'''  # two\n     rf'\\{3}\\#')  # three\n",
        "c26965f6b1e6412b",
    ),
    ("letters beyond ASCII", "ä = '€𝄞#'  # 𝄞\ndef f():\n    '''𝄞'''  # ä\n    return f'𝄞 {ä} # 𝄞'  # € {\n", "1d8d529c970e0373"),
    (
        "docstrings of every kind",
        (
            "'one' # a\nclass C:\n    r'''two\n  '''\n    def f(self):\n        ('th' # b\n         'ree')\n        async def "
            "g(): 'four'\n        return g\n"
        ),
        "0d015130748d04b6",
    ),
    ("docstring that is read", "'''SELECT 1 # kept'''\nx = __doc__\n", "24f752c7157dc6e8"),
    ("docstring with a neighbour", "'''doc\n'''; x = '''  \na'''\n", "3c4d4bd8404520b2"),
    ("backslashes", "x = 1 + \\\n  2  # gone\ny = 'a \\\n  b'\nz = 1 \\\n\n+2\n", "f540cf7b10a3931b"),
    ("run by hand", "x = 1\nif __name__ == '__main__':\n    print('''a  \n''')  # gone\n", "8ff436def1451285"),
    ("tabs, form feed, line ends", "if 1:\r\n\tx = 1 \t\r\n\f\r\n\ty = '''a \r\n'''\r\n", "fa85a3701a79e78d"),
    ("byte-order mark", "\ufeffx = 1\n", "8ff436def1451285"),
]
SQL_CHECKSUMS = [
    (
        "sql",
        "-- requires: other:1\nCREATE TABLE a (b TEXT DEFAULT '-- x');\n\n/* c */ INSERT INTO \"a /* b */\" VALUES ('it''s  ä');\n",
        "84c66f06065e0b32",
    ),
    ("open", "SELECT 'x", "2869e47a6fe3ffde"),
]


@pytest.mark.parametrize(("source", "expected"), [row[1:] for row in PYTHON_CHECKSUMS], ids=[row[0] for row in PYTHON_CHECKSUMS])
def test_the_checksum_of_a_source_is_the_same_on_every_python(source, expected):
    assert checksum(source)[:16] == expected


@pytest.mark.parametrize(("script", "expected"), [row[1:] for row in SQL_CHECKSUMS], ids=[row[0] for row in SQL_CHECKSUMS])
def test_the_checksum_of_a_script_is_the_same_on_every_python(script, expected):
    assert sql_checksum(script)[:16] == expected


def test_a_checksum_is_the_sha_256_of_the_text_that_remains():
    assert checksum("'doc'\n\nx = 1  # one\n") == hashlib.sha256(b"x = 1").hexdigest()
    assert sql_checksum("-- doc\nSELECT\n  1; ") == hashlib.sha256(b"SELECT 1;").hexdigest()


# --- Python: the places of comments -----------------------------------------------------------------------

CODE = ["x", "=", "+", "(", ")", "[", "]", "{", "}", ",", ":", "if", "in", " ", "\t", "\f", "\n", "\n", "\n    ", "\\\n", "\\", "é"]
COMMENTS = ["#", "# it's", '# """', "# {x}\n"]
QUOTES = ["'", '"', "'''", '"""', "f", "F", "rf", "b", "Rb", "fr", "u", "{x}", "{x!r:>{w}}", "{{"]
STRINGS = ["'a'", '"b\'"', "'''c\n'''", 'f"{x}"', "f'{{'", "f'{\"q\"}'", "f'''{x}\n#'''", r"r'\\'", r"'\\'", r"'\''", "'#'"]
LINES = ["x = 1  # one\n", "def f():\n    pass\n", "x = '''\n# no comment\n'''\n"]
SOURCES = st.lists(st.one_of(*(st.sampled_from(each) for each in (CODE, COMMENTS, QUOTES, STRINGS, LINES))), max_size=20).map(
    "".join
)


@settings(suppress_health_check=[HealthCheck.filter_too_much], max_examples=400)
@given(SOURCES)
def test_law_the_quick_search_for_comments_finds_what_the_tokens_say(source):
    quick, slow = set[int](), set[int]()
    try:
        compile(source, "generated.py", "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
        expected = list(_comments_by_tokens(source, slow))
    except (SyntaxError, ValueError):  # the tokenizer, too, fails on some source that the parser takes
        assume(False)
    assert list(_comments(source, quick)) == expected
    assert quick == slow


def found_by(find, source: str) -> tuple[set[tuple[int, int, int, int]], set[int]]:
    inside: set[int] = set()
    return set(find(source, inside)), inside


LIBRARY = sorted(Path(os.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", LIBRARY[:: max(len(LIBRARY) // 60, 1)], ids=lambda path: path.name)
def test_comments_and_strings_are_where_tokenize_finds_them(path):
    source = under_test._decoded(path.read_bytes())
    assert found_by(under_test._comments, source) == found_by(under_test._comments_by_tokens, source)


@pytest.mark.parametrize(
    ("source", "simple"),
    [
        ("x = 'a # b'  # c\n", True),
        ("x = '''a\n# b\n'''  # c\ny = r'\\\\'  # d\n", True),
        ('x = "it\'s"  # c\ny = \'say "#"\'\n', True),
        ("x = 'a' \\\n  'b # c'  # d\n", True),
        ("x = 'a\\\n# b'  # c\n", True),
        ("x = ''  # a\ny = \"\"  # b\nz = '''#'''  # c\n", True),
        ("x = b'#'  # a\ny = Rb'\\'#'  # b'\n", True),
        ("x = 1 # no end of line", True),
        ("x = f'{y}'  # c\n", True),
        ("x = f'{y:>8} {z!r}'  # c\n", True),
        ("x = f\"{', '.join(y)} of {z}\"  # c\n", True),
        ("x = f'it is {y[\"#\"]}'  # c\n", False),
        ("x = f'''{y}\n# no comment\n'''  # c\n", False),
        ("x = f'{{#}}'  # c\n", False),
        ("x = f'{y:>{w}}'  # c\n", False),
        ("x = fR'\\{y}'  # c\n", False),
        ("x = f\"{y:'>3}{z:'>3}\"  # c\n", False),
        ("x = f\"{F'{y}'}\"  # c\n", False),
        ("x = f'{y['a']}'  # c\n", False),  # from here on only since Python 3.12
        ("x = f'{y['}'] + z['#']}'  # c\n", False),
        ("x = f\"{y['}'] + '{' + \"#\"}\"  # c\n", False),
        ('x = f"{ {1: 2}["#"] }"  # c\n', False),
        ("x = f'{f\"{y['#']}\"}'  # c\n", False),
        ("x = f'''{\n y  # a comment inside\n}'''  # c\n", False),
    ],
)
def test_only_a_string_that_may_hold_code_needs_tokenize(source, simple, monkeypatch):
    by_tokens = under_test._comments_by_tokens
    asked = []
    monkeypatch.setattr(under_test, "_comments_by_tokens", lambda *given: asked.append(1) or by_tokens(*given))
    try:
        compile(source, "x.py", "exec")
    except SyntaxError:
        pytest.skip("not in this version of Python")
    assert found_by(under_test._comments, source) == found_by(by_tokens, source)
    assert bool(asked) is not simple


@pytest.mark.parametrize(
    "text", ["{y[", "{y['}'] + '{' + ", " { {1: 2}[", '{f"{y[', "{x:'}{w:'}{ d[", "}} {{ {d[", "{x['", "{x!r", "{x:"]
)
def test_a_string_that_may_go_on_behind_the_next_quote_is_not_simple(text):
    """Since Python 3.12 an expression may hold the quote of its f-string; whichever Python runs this test."""
    assert not under_test._is_simple(text)
