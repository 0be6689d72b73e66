"""What an author defines a pack with, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from homie_migrations_core import MigrationPack
from homie_migrations_core.errors import PackInvalid


def test_a_pack_is_a_name_a_place_and_the_name_of_a_database():
    assert MigrationPack("mail", "mail.migrations").database == "homie_mail.db"
    assert MigrationPack("mail", Path("migrations"), "app.db").database == "app.db"
    assert MigrationPack("mail", "x") == MigrationPack(name="mail", migrations="x", database="homie_mail.db")
    assert MigrationPack("mail", Path("no/such/folder")).migrations == Path("no/such/folder")  # nothing is read


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("Mail", "x"), "its name is 'Mail'. A name has lower-case letters, digits and _, and begins with a letter."),
        (("", "x"), "its name is ''."),
        ((None, "x"), "its name is None."),
        (("mail", ""), "the migrations of mail are ''. Give the dotted name of a package, or a pathlib.Path to a folder."),
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
