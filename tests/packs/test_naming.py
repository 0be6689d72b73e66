"""The rules for names: what is a migration, a pack, a ref, an owner."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homie_migrations_core.packs import naming

PACK_RULE = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
FILE_RULE = re.compile(r"[0-9]+_[a-z0-9_]+(\.py|\.sql|\.rollback\.sql)")
# Letters that look like the rule's own, or become them when lower-cased, are the ones a careless rule lets through.
NEAR_MISSES = "abzAZ019_-. \t\n/\\:äßıK٣²é\0"


@pytest.mark.parametrize("name", ["a", "file_organizer", "x9", "a__b", "a_", "z" * 200])
def test_a_pack_name_is_lower_case_words(name):
    assert naming.is_pack_name(name)


@pytest.mark.parametrize("name", ["", "_a", "9a", "A", "fileOrganizer", "a-b", "a b", "a.b", "a\n", "ä", "a٣", "a:b", "a/b"])
def test_anything_else_is_no_pack_name(name):
    assert not naming.is_pack_name(name)


@given(st.text(NEAR_MISSES, max_size=8))
def test_pack_names_follow_the_contract_letter_by_letter(name):
    assert naming.is_pack_name(name) == (PACK_RULE.fullmatch(name) is not None)


@pytest.mark.parametrize(
    ("file_name", "owner"),
    [
        ("homie_file_organizer.db", "file_organizer"),
        ("homie_x.db", "x"),
        ("homie_homie_x.db", "homie_x"),
        ("homie_.db", None),
        ("homie_X.db", None),
        ("homie_9.db", None),
        ("homie_a.b.db", None),
        ("homie_a.sqlite", None),
        ("xhomie_a.db", None),
        ("homie_a.db-wal", None),
        ("HOMIE_a.db", None),
        ("app.db", None),
        ("", None),
    ],
)
def test_the_owner_in_a_file_name(file_name, owner):
    assert naming.owner_in_file_name(file_name) == owner


@given(st.from_regex(PACK_RULE, fullmatch=True))
def test_a_default_database_names_its_owner(pack):
    assert naming.owner_in_file_name(naming.default_database(pack)) == pack


# --- the files of a folder ----------------------------------------------------------------------------


def test_files_are_sorted_by_version_whatever_their_padding():
    migrations, rollbacks, problems = naming.sort_files(["10_c.py", "2_b.sql", "001_a.py", "2_b.rollback.sql"])
    assert migrations == {1: "001_a.py", 2: "2_b.sql", 10: "10_c.py"}
    assert rollbacks == {2: "2_b.rollback.sql"}
    assert problems == []


@pytest.mark.parametrize(
    "name",
    [
        "__init__.py",
        "_helpers.py",
        ".hidden.py",
        "_001_draft.sql",
        ".001_a.py.swp",
        "README.md",
        "001_a.pyc",
        "notes.txt",
        "data.csv",
    ],
)
def test_names_that_are_no_migrations_are_left_alone(name):
    assert naming.sort_files(["001_a.py", name]) == ({1: "001_a.py"}, {}, [])


@pytest.mark.parametrize(
    "name",
    [
        "helpers.py",
        "a001.py",
        "001.py",
        "001_.py",
        "001-a.py",
        "001_A.py",
        "001_ä.py",
        "001_a b.py",
        "001 _a.py",
        "٠٠١_a.py",
        "-1_a.py",
        "001_a.PY",
        "001_a.SQL",
        "001_a.Rollback.sql",
        "001_a.rollback.py",
        "001_a.sql.py",
        "001_a.v2.sql",
        "rollback.sql",
        "setup.sql",
    ],
)
def test_any_other_python_or_sql_file_is_named_with_its_reason(name):
    migrations, _, problems = naming.sort_files(["002_fine.py", name])
    assert migrations == {2: "002_fine.py"}
    assert problems == [
        f"{name} is not a valid migration file name (expected NNN_lower_case_words.py, .sql or .rollback.sql, with NNN >= 1)"
    ]


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (["001_a.py", "1_b.py"], "001_a.py and 1_b.py have the same version 1"),
        (["001_a.py", "001_a.sql"], "001_a.py and 001_a.sql have the same version 1"),
        (
            ["001_a.sql", "001_a.rollback.sql", "1_a.rollback.sql"],
            "001_a.rollback.sql and 1_a.rollback.sql have the same version 1",
        ),
        (["001_a.py", "002_b.rollback.sql"], "002_b.rollback.sql is a rollback without its 002_b.sql"),
        (["001_a.py", "001_a.rollback.sql"], "001_a.rollback.sql is a rollback without its 001_a.sql"),
        (["001_a.sql", "001_b.rollback.sql"], "001_b.rollback.sql is a rollback without its 001_b.sql"),
        (["001_a.sql", "1_a.rollback.sql"], "1_a.rollback.sql is a rollback without its 1_a.sql"),
        (["000_a.py"], "000_a.py has a version that is not between 1 and 9223372036854775807"),
        (["9223372036854775808_a.py"], "9223372036854775808_a.py has a version that is not between 1 and 9223372036854775807"),
        (["9" * 5000 + "_a.py"], "9" * 5000 + "_a.py has a version that is not between 1 and 9223372036854775807"),
        ([], "it holds no migration (was the distribution built without its migration files?)"),
        (["__init__.py", "README.md"], "it holds no migration (was the distribution built without its migration files?)"),
    ],
    ids=lambda value: value[0][:20] if isinstance(value, list) and value else None,
)
def test_what_cannot_be_told_apart_or_put_in_order_is_a_problem(files, problem):
    assert naming.sort_files(files)[2] == [problem]


def test_the_greatest_version_that_sqlite_holds_is_one():
    assert naming.sort_files(["9223372036854775807_a.py"]) == ({2**63 - 1: "9223372036854775807_a.py"}, {}, [])


def test_every_problem_of_a_folder_is_named_at_once():
    problems = naming.sort_files(["001_a.py", "01_b.py", "helpers.py", "003_c.rollback.sql", "000_z.sql"])[2]
    assert [problem.split()[0] for problem in problems] == ["000_z.sql", "001_a.py", "helpers.py", "003_c.rollback.sql"]


file_names = st.one_of(
    st.text(NEAR_MISSES.replace("/", "").replace("\0", "") + "pysql", min_size=1, max_size=12),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["1", "001", "12", "0", "x", "٣"]),
        st.sampled_from(["_a", "_A", "_", "", "_a_1", "-a"]),
        st.sampled_from([".py", ".sql", ".rollback.sql", ".PY", ".txt", "", ".py.sql"]),
    ),
)


@given(st.sets(file_names, max_size=8))
def test_no_python_or_sql_file_is_ever_skipped_in_silence(names):
    migrations, rollbacks, problems = naming.sort_files(names)
    used = {*migrations.values(), *rollbacks.values()}
    assert all(FILE_RULE.fullmatch(name) for name in used)
    for name in names:
        if name.lower().endswith((".py", ".sql")) and name[0] not in "_.":
            assert name in used or any(name in problem for problem in problems)
        else:
            assert name not in used


@given(st.permutations(["001_a.py", "1_b.py", "helpers.py", "002_c.sql", "002_c.rollback.sql", "3_d.rollback.sql"]))
def test_the_order_in_which_a_folder_is_listed_changes_nothing(names):
    assert naming.sort_files(names) == naming.sort_files(sorted(names))


# --- refs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ref", "parts"),
    [
        ("p:3", ("p", 3, None)),
        ("p:003", ("p", 3, None)),
        ("p:003_words", ("p", 3, "003_words")),
        ("file_organizer:001_destination_memory", ("file_organizer", 1, "001_destination_memory")),
        ("p:0", ("p", 0, None)),
        ("p:1__", ("p", 1, "1__")),
    ],
)
def test_a_ref_names_a_pack_and_a_version(ref, parts):
    assert naming.split_ref(ref) == parts


@pytest.mark.parametrize(
    "ref", ["", "p", "3", "p:", ":3", "p:x", "p:3_", "p:3_X", "p:-1", "p:3 ", " p:3", "P:3", "p:3:4", "p:٣", "p:" + "1" * 50]
)
def test_anything_else_is_no_ref(ref):
    assert naming.split_ref(ref) is None


@given(st.from_regex(PACK_RULE, fullmatch=True), st.from_regex(re.compile(r"[0-9]{1,18}_[a-z0-9_]+"), fullmatch=True))
def test_every_migration_can_be_named_by_its_ref(pack, stem):
    assert naming.split_ref(f"{pack}:{stem}") == (pack, int(stem.partition("_")[0]), stem)
