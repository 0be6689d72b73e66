"""Every error: its sentence, its stable code, its exit code, its facts."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from pathlib import Path

import pytest
from error_examples import AHEAD, DB, EXAMPLES, LATE, SHOWN
from helpers import one_line

from homie_migrations_core import errors
from homie_migrations_core.broken import BrokenPack
from homie_migrations_core.model import LeftOut, Migration

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.HomieMigrationsError)]


def name_of(value: object) -> str | None:
    return type(value).__name__ if isinstance(value, Exception) else None


@pytest.mark.parametrize(("error", "shown"), list(zip(EXAMPLES, SHOWN, strict=True)), ids=name_of)
def test_an_error_has_its_stable_codes_and_its_sentences(error, shown: str):
    """The sentences as they stand in the file; several problems are a list there, and one line here."""
    heading, *lines = shown.splitlines()
    assert heading == f"{type(error).__name__}: {error.code}, exit code {error.exit_code}"
    if len(error.problems) <= 1:
        assert f"Error: {error}" == one_line("\n".join(lines))
    else:
        assert all(line.removeprefix("  - ").strip(" .:") in f"Error: {error}" for line in lines)
        assert "\n" not in str(error)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_class_of_errors_has_its_sentence_in_the_table(kind):
    assert kind in {type(error) for error in EXAMPLES}


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_class_says_in_its_docstring_what_happened(kind):
    assert vars(kind)["__doc__"].strip().splitlines()[0].endswith((".", ","))


def test_every_code_belongs_to_one_class_and_can_be_a_key():
    codes = [kind.code for kind in CLASSES]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", code) for code in codes)
    assert all("code" in vars(kind) for kind in CLASSES)


@pytest.mark.parametrize("error", EXAMPLES[2:], ids=name_of)
def test_an_error_carries_its_facts_beside_its_sentence(error):
    worded = {"self", "sentence", "advice", "done", "where", "version"}  # only in the sentence
    facts = set(inspect.signature(type(error).__init__).parameters) - worded
    assert facts <= set(vars(error))


@pytest.mark.parametrize("error", EXAMPLES, ids=name_of)
def test_an_error_travels_between_processes_with_its_class_its_sentence_and_its_facts(error):
    if hasattr(error, "applied"):
        error.applied = (Migration("a", 1, "001_one", Path("001_one.py")),)
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(other), str(other), other.args) == (type(error), str(error), error.args)
        facts = {key: value for key, value in vars(error).items() if key != "reasons"}
        assert {key: value for key, value in vars(other).items() if key != "reasons"} == facts
        assert [str(each) for each in getattr(other, "reasons", ())] == [str(each) for each in getattr(error, "reasons", ())]


def test_one_reason_is_raised_as_it_is_and_several_in_one_error():
    assert errors.RunRefused.for_all([AHEAD]) is AHEAD
    both = errors.RunRefused.for_all([AHEAD, LATE])
    assert type(both) is errors.RunRefused
    assert both.reasons == (AHEAD, LATE)
    assert both.summary == "Nothing was changed in /data/homie_a.db, for 2 reasons"
    assert [each.rpartition(": ")[2] in str(both) for each in both.problems] == [True, True]


def test_reasons_of_different_kinds_are_each_told_in_full():
    mixed = errors.RunRefused.for_all([AHEAD, errors.RollbackRefused(DB, ["x", "y"], "Z.")])
    assert mixed.problems == (str(AHEAD), "Nothing was rolled back in /data/homie_a.db: x; y. Z.")
    assert (
        str(mixed) == f"Nothing was changed, for 2 reasons: (1) {AHEAD} (2) Nothing was rolled back in /data/homie_a.db: x; y. Z."
    )


@pytest.mark.parametrize("error", EXAMPLES, ids=name_of)
def test_an_error_has_three_parts(error):
    assert error.summary
    assert not error.summary.endswith((":", " "))
    assert all(error.problems)
    assert all(part in str(error) for part in (error.summary, *error.problems, error.advice))
    if "\n" not in "".join(error.problems):
        assert "\n" not in str(error)


def test_an_error_of_one_text_is_that_text():
    plain = errors.HomieMigrationsError("Just so")
    assert (str(plain), plain.summary, plain.problems, plain.advice) == ("Just so", "Just so", (), "")


def test_a_part_that_ends_like_a_sentence_gets_no_second_full_stop():
    assert str(errors.HomieMigrationsError("No", "it said: not this way.", "Look!")) == "No: it said: not this way. Look!"


def test_what_a_run_committed_before_it_stopped_is_with_the_error():
    for error in (LATE, AHEAD):
        assert not hasattr(error, "applied")  # nothing was changed
    for kind in (errors.MigrationFailed, errors.ForeignKeysViolated, errors.SchemaLeftBroken):
        assert kind(DB, "a:001_one", "x", "y").applied == ()
    assert errors.LockTimeout(DB, 1, "x", "y").applied == errors.RunStopped(DB).applied == ()


@pytest.mark.parametrize(
    ("error", "label"),
    [
        (BrokenPack("x", "mail"), "mail"),
        (BrokenPack("x", "mail", entry_point="mail"), "mail"),
        (BrokenPack("x", "mail", entry_point="post"), "mail (entry point post)"),
        (BrokenPack("x", entry_point="post"), "entry point post"),
        (BrokenPack("x", distribution="acme"), "distribution acme"),
        (LeftOut("mail", ("x",)), "mail"),
    ],
)
def test_what_is_broken_or_left_out_has_a_name(error, label):
    assert error.label == label
