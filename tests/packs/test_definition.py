"""What an author defines a pack with, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers import creates, write_pack

from homie_migrations_core import MigrationPack, MigrationRunner, run_migrations
from homie_migrations_core.errors import PackBroken, PackInvalid
from homie_migrations_core.packs.reading import read_pack


def test_a_pack_is_a_name_a_place_and_the_name_of_a_database():
    assert MigrationPack("mail", "mail.migrations").database == "homie_mail.db"
    assert MigrationPack("mail", Path("migrations"), "app.db").database == "app.db"
    assert MigrationPack("mail", "x") == MigrationPack(name="mail", migrations="x", database="homie_mail.db")
    assert MigrationPack("mail", Path("no/such/folder")).migrations == Path("no/such/folder")  # nothing is read


def test_a_folder_is_a_path_or_text_that_is_absolute(tmp_path):
    pack = write_pack(tmp_path / "mail", "mail", {"001_a.py": creates(1, "a")})
    as_text = MigrationPack("mail", str(tmp_path / "mail"))
    assert (pack.package, as_text.package, MigrationPack("mail", "mail.migrations").package) == (None, None, "mail.migrations")
    assert read_pack(pack) == read_pack(as_text)
    assert MigrationRunner(tmp_path / "a.db", [as_text]).apply() == MigrationRunner(tmp_path / "b.db", [pack]).apply()
    assert run_migrations(tmp_path / "a.db", [as_text]) == run_migrations(tmp_path / "a.db", [pack]) == 0
    with pytest.raises(PackBroken, match="its folder .* does not exist or is not a folder"):
        MigrationRunner(tmp_path / "c.db", [MigrationPack("mail", str(tmp_path / "nowhere"))]).apply()


def test_text_that_is_no_absolute_path_is_the_name_of_a_package(tmp_path, monkeypatch):
    write_pack(tmp_path / "mail", "mail", {"001_a.py": creates(1, "a")})
    monkeypatch.chdir(tmp_path)
    for text in ("./mail", f"mail{os.sep}", "../mail"):
        assert MigrationPack("mail", text).package == text
        with pytest.raises(PackBroken, match="can't be found|not installed"):
            MigrationRunner(tmp_path / "c.db", [MigrationPack("mail", text)]).apply()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("Mail", "x"), "its name is 'Mail'. A name has lower-case letters, digits and _, and begins with a letter."),
        (("", "x"), "its name is ''."),
        ((None, "x"), "its name is None."),
        (("mail", ""), "the migrations of mail are ''. Give the name of a package, or the path of a folder."),
        (("mail", None), "the migrations of mail are None."),
        (("mail", ["x"]), "the migrations of mail are ['x']."),
        (("mail", "x", "data/app.db"), "the database of mail is 'data/app.db'. Give a bare file name;"),
        (("mail", "x", "..\\app.db"), "the database of mail is '..\\\\app.db'."),
        (("mail", "x", ".."), "the database of mail is '..'."),
        (("mail", "x", "."), "the database of mail is '.'."),
        (("mail", "x", ":memory:"), "the database of mail is ':memory:'."),
        (("mail", "x", "a\0b"), "the database of mail is 'a\\x00b'."),
        (("mail", "x", None), "the database of mail is None."),
        (("mail", "x", Path("app.db")), "the database of mail is "),
    ],
)
def test_what_cannot_be_a_pack_is_refused_when_it_is_made(arguments, reason):
    with pytest.raises(PackInvalid) as refused:
        MigrationPack(*arguments)
    assert str(refused.value).startswith(f"This is not a valid migration pack: {reason}")
