"""Which packs belong to a database file, and when the caller has to choose."""

from __future__ import annotations

import importlib_metadata  # noqa: F401  (before `nothing_else` hides the folder it is in)
import pytest
from helpers import EARLIER_TABLE, creates, fingerprint, refs, run_sql

from homie_migrations_core import MigrationPack, MigrationRunner, run_migrations
from homie_migrations_core.errors import (
    NothingInstalled,
    OwnerUnclear,
    PackBroken,
    PackNotChosen,
    UnknownPack,
)


def test_a_file_gets_the_packs_that_name_it(three, database):
    assert refs(MigrationRunner(database).apply()) == ["mail:001_a", "news:001_a"]
    assert refs(MigrationRunner(database.with_name("other.db")).apply()) == ["other:001_a"]


def test_only_some_of_them_can_be_chosen(three, database):
    assert refs(MigrationRunner(database, only=["news"]).apply()) == ["news:001_a"]
    assert MigrationRunner(database).status().packs["mail"].state == "pending"
    assert refs(MigrationRunner(database, only=["mail", "news"]).apply()) == ["mail:001_a"]


def test_status_shows_the_chosen_packs_and_their_state_as_that_of_the_database(three, database):
    three.pack("broken", {"helpers.py": ""}, database="app.db")
    MigrationRunner(database, only=["news"]).apply()
    run_sql(database, "INSERT INTO schema_migrations (version, migration_name, pack) VALUES (1, '001_x', 'orphan')")
    news = MigrationRunner(database, only=["news"]).status()
    assert ([*news.packs], news.state, refs(news.records)) == (["news"], "up_to_date", ["news:001_a"])
    mail = MigrationRunner(database, only=["mail"]).status()
    assert ([*mail.packs], mail.state, mail.records) == (["mail"], "pending", ())
    both = MigrationRunner(database, only=["mail", "news"]).status()
    assert ([*both.packs], both.state) == (["mail", "news"], "pending")
    assert [*MigrationRunner(database).status().packs] == ["broken", "mail", "news", "orphan"]


def test_history_and_validation_are_those_of_the_chosen_packs(three, database):
    MigrationRunner(database).apply()
    run_sql(database, "UPDATE schema_migrations SET checksum = 'another'")
    assert sorted(refs(MigrationRunner(database).history())) == ["mail:001_a", "news:001_a"]
    assert refs(MigrationRunner(database, only=["news"]).history()) == ["news:001_a"]
    assert {each.subject for each in MigrationRunner(database).validate()} == {"mail:001_a", "news:001_a"}
    assert {each.subject for each in MigrationRunner(database, only=["news"]).validate()} == {"news:001_a"}


def test_status_of_a_chosen_pack_says_that_a_pack_it_requires_is_broken(three, database):
    three.pack("broken", {"helpers.py": ""}, database="app.db")
    three.pack("needs", {"001_a.py": creates(1, "needs", requires=("broken:1",))}, database="app.db")
    status = MigrationRunner(database, only=["needs"]).status()
    assert [*status.packs] == ["needs"]
    assert "needs:001_a requires broken:1" in status.packs["needs"].reason


@pytest.mark.parametrize("name", ["nobody", "other"])
def test_a_chosen_pack_that_is_not_there_for_this_database_is_unknown(three, database, name):
    for call in ("status", "plan", "apply"):
        with pytest.raises(UnknownPack, match=f"there is no pack '{name}'; the packs for this database are mail, news"):
            getattr(MigrationRunner(database, only=["mail", name]), call)()
    assert list(database.parent.iterdir()) == []


def test_a_chosen_pack_that_is_not_there_is_unknown_also_when_nothing_is_to_be_done(three, database):
    MigrationRunner(database).apply()
    with pytest.raises(UnknownPack):
        MigrationRunner(database, only=["nobody"]).apply()


def test_a_chosen_pack_that_is_broken_is_said_to_be(three, database):
    three.pack("bad", {"helpers.py": ""}, database="app.db")
    three.pack("worse", {"helpers.py": ""}, database="app.db")
    with pytest.raises(PackBroken, match="Nothing was done: bad: helpers.py is not a valid migration file name") as broken:
        MigrationRunner(database, only=["bad"]).apply()
    assert [each.label for each in broken.value.broken] == ["bad"]
    runner = MigrationRunner(database, only=["mail"])
    assert refs(runner.apply()) == ["mail:001_a"]
    assert runner.left_out == ()  # those that were not asked for are nobody's concern now


def test_a_file_that_no_pack_names_needs_a_choice_when_there_is_more_than_one(three, database):
    stray = database.with_name("stray.db")
    for call in ("status", "plan", "apply"):
        with pytest.raises(PackNotChosen) as refused:
            getattr(MigrationRunner(stray), call)()
        assert refused.value.candidates == ("mail", "news", "other")
    assert not stray.exists()
    assert refs(MigrationRunner(stray, only=["news"]).apply()) == ["news:001_a"]


def test_a_file_that_no_pack_names_gets_the_packs_of_the_one_database_there_is(installed, database):
    installed.nothing_else()
    installed.pack("mail", {"001_a.py": creates(1, "mail")}, database="app.db")
    installed.pack("news", {"001_a.py": creates(1, "news")}, database="app.db")
    stray = database.with_name("stray.db")
    assert refs(MigrationRunner(stray).apply()) == ["mail:001_a", "news:001_a"]
    assert MigrationRunner(stray).apply() == []


def test_a_file_with_tables_and_no_record_under_a_name_that_no_pack_gave_it_needs_a_choice(installed, database):
    installed.nothing_else()
    installed.pack("mail", {"001_a.py": creates(1, "mail")}, database="app.db")
    stray = database.with_name("stray.db")
    run_sql(stray, "CREATE TABLE of_another_program (x)")
    before = fingerprint(stray.parent)
    for call in ("status", "plan", "apply"):
        with pytest.raises(PackNotChosen, match="it holds tables but no record of a migration, .* `--pack mail`"):
            getattr(MigrationRunner(stray), call)()
    assert fingerprint(stray.parent) == before
    assert refs(MigrationRunner(stray, only=["mail"]).apply()) == ["mail:001_a"]
    assert MigrationRunner(stray).apply() == []  # now it has a record
    assert MigrationRunner(stray).status().state == "up_to_date"


def test_the_history_of_an_unknown_file_is_refused_every_time(installed, database):
    installed.nothing_else()
    installed.pack("mail", {"001_a.py": creates(1, "mail")}, database="app.db")
    stray = database.with_name("stray.db")
    run_sql(stray, "CREATE TABLE of_another_program (x)")
    runner = MigrationRunner(stray)
    for _ in range(2):
        with pytest.raises(PackNotChosen):
            runner.history()


def test_an_earlier_record_that_several_could_own_belongs_to_the_one_that_is_chosen(three, database):
    run_sql(database, EARLIER_TABLE + "INSERT INTO schema_migrations (version, migration_name) VALUES (1, '001_a')")
    with pytest.raises(OwnerUnclear, match="Name the pack that wrote it with --pack"):
        MigrationRunner(database).plan()
    assert MigrationRunner(database, only=["mail"]).plan().steps == ()
    assert MigrationRunner(database, only=["mail"]).status().packs["mail"].state == "up_to_date"


def test_it_belongs_to_the_chosen_one_also_when_another_is_broken(installed, database):
    installed.nothing_else()
    installed.pack("mail", {"001_a.py": creates(1, "mail")}, database="app.db")
    installed.pack("bad", {"helpers.py": ""}, database="app.db")
    run_sql(database, EARLIER_TABLE + "INSERT INTO schema_migrations (version, migration_name) VALUES (1, '001_a')")
    with pytest.raises(OwnerUnclear, match="Name the pack that wrote it with --pack"):
        MigrationRunner(database).plan()
    assert MigrationRunner(database, only=["mail"]).plan().steps == ()


def test_a_file_with_tables_and_no_record_under_its_own_name_is_taken_as_it_is(three, database):
    run_sql(database, "CREATE TABLE of_the_application (x)")
    assert refs(MigrationRunner(database).apply()) == ["mail:001_a", "news:001_a"]


def test_without_any_installed_pack_every_call_is_refused(installed, database):
    installed.nothing_else()
    for call in ("status", "plan", "apply"):
        with pytest.raises(NothingInstalled):
            getattr(MigrationRunner(database), call)()
    with pytest.raises(NothingInstalled):
        run_migrations(database)


def test_of_one_name_only_one_pack_can_be_handed_in(make, database):
    one, other = make("a", "001_x"), MigrationPack("a", make("b", "001_y").migrations, "app.db")
    with pytest.raises(PackBroken, match="a: it was handed in more than once"):
        MigrationRunner(database, [one, other, make("c", "001_z")]).apply()
    assert not database.exists()
