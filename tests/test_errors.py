"""Every error: its sentence, its stable code, its exit code, its facts."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from pathlib import Path

import pytest

from homie_migrations_core import errors
from homie_migrations_core.broken import BrokenPack
from homie_migrations_core.model import LeftOut, Migration

DB = "/data/homie_a.db"
AHEAD = errors.DatabaseIsAhead(DB, "a", ["a:002_new", "a:003_newer"], "001_one")
LATE = errors.MigrationLate(DB, [("a:001_one", "002_two"), ("a:003_three", "004_four")])

# One of each class, its code, its exit code, and what it says. A reworded sentence shows here, in the diff.
TABLE = [
    (errors.HomieMigrationsError("It is so."), "error", 1, "It is so."),
    (errors.UsageProblem("It does not fit."), "usage", 2, "It does not fit."),
    (
        errors.UnknownPack("fiel", ["mail", "file"]),
        "unknown_pack",
        2,
        "Nothing was done: there is no pack 'fiel'; the packs installed are file, mail. Check the spelling, or install the distribution that provides it (`homie migrations packs` lists what is installed).",
    ),
    (
        errors.UnknownPack("fiel", [], where="there for this database"),
        "unknown_pack",
        2,
        "Nothing was done: there is no pack 'fiel'; no pack is there for this database. Check the spelling, or install the distribution that provides it (`homie migrations packs` lists what is installed).",
    ),
    (
        errors.UnknownTarget("a:9", "the pack a ends at 001_one", "Look again."),
        "unknown_target",
        2,
        "Nothing was done: 'a:9' does not name a migration: the pack a ends at 001_one. Look again.",
    ),
    (
        errors.PackNotChosen(DB, "no installed pack is for a file of that name", ["mail", "file"]),
        "pack_not_chosen",
        2,
        "Nothing was changed in /data/homie_a.db: no installed pack is for a file of that name. Choose a pack with `--pack file` or `--pack mail`.",
    ),
    (
        errors.PackNotChosen(DB, "nobody knows it", []),
        "pack_not_chosen",
        2,
        "Nothing was changed in /data/homie_a.db: nobody knows it. Choose a pack with `--pack NAME`.",
    ),
    (
        errors.PackInvalid("its name is 'A'", "Use another."),
        "pack_invalid",
        2,
        "This is not a valid migration pack: its name is 'A'. Use another.",
    ),
    (
        errors.NothingInstalled(),
        "nothing_installed",
        2,
        "Nothing was done: no installed distribution registers migrations (entry point group `homie.migrations`). Install a pack into this Python environment, or name a folder of migrations with `--dir` and `--database`.",
    ),
    (
        errors.DatabaseUnusable(DB, "the disk is full", "Make room."),
        "database_unusable",
        2,
        "Nothing was changed in /data/homie_a.db: the disk is full. Make room.",
    ),
    (
        errors.NotADatabase(DB),
        "not_a_database",
        2,
        "Nothing was changed in /data/homie_a.db: it is not an SQLite database, or it is encrypted. Check the path.",
    ),
    (
        errors.DatabaseDamaged(DB, "malformed"),
        "database_damaged",
        2,
        "Nothing was changed in /data/homie_a.db: SQLite finds it damaged (malformed). Restore a snapshot from the `backups` folder beside the database.",
    ),
    (
        errors.DatabaseNotReachable(DB, "it is a folder", "Name the database file itself."),
        "database_not_reachable",
        2,
        "Nothing was changed in /data/homie_a.db: it is a folder. Name the database file itself.",
    ),
    (
        errors.DatabaseNotWritable(DB, "it can't be written", "Run as its owner."),
        "database_not_writable",
        2,
        "Nothing was changed in /data/homie_a.db: it can't be written. Run as its owner.",
    ),
    (
        errors.NewerSQLiteNeeded(DB, "unsupported file format", "3.40.1"),
        "newer_sqlite_needed",
        2,
        "Nothing was changed in /data/homie_a.db: its format or schema needs a newer SQLite than 3.40.1 (unsupported file format). Use a Python with a newer SQLite. The file is not damaged.",
    ),
    (
        errors.FolderUnusable("/data", "is no folder", "Make it first."),
        "folder_unusable",
        2,
        "Nothing was done: /data is no folder. Make it first.",
    ),
    (
        errors.NobodyToAsk("rolling back a:002_two"),
        "nobody_to_ask",
        2,
        "Nothing was done: rolling back a:002_two needs a confirmation, and there is no terminal to ask on. Run it in a terminal, or add --yes.",
    ),
    (
        errors.DatabaseReplaced(DB, "a:002_two", "the file was removed during the run"),
        "database_replaced",
        1,
        "Applying a:002_two to /data/homie_a.db failed: the file was removed during the run. Find out which program did that, and keep it away from the file. `homie migrations status` shows what the file holds now.",
    ),
    (
        errors.DatabaseReplaced(DB, None, "the file was replaced during the run"),
        "database_replaced",
        1,
        "The run on /data/homie_a.db failed: the file was replaced during the run. Find out which program did that, and keep it away from the file. `homie migrations status` shows what the file holds now.",
    ),
    (
        errors.UnknownTarget.not_a_reference("a:x"),
        "unknown_target",
        2,
        "Nothing was done: 'a:x' is not a valid reference (expected e.g. 'pack:3'). `homie migrations status --all` lists every migration.",
    ),
    (
        errors.RunRefused.for_all([AHEAD, LATE]),
        "run_refused",
        1,
        "Nothing was changed in /data/homie_a.db, for 2 reasons: (1) it already holds a:002_new, a:003_newer, and the installed pack a ends at 001_one. Install the pack's newer release, or restore the snapshot taken before the upgrade. (2) a:001_one is pending although 002_two is applied; a:003_three is pending although 004_four is applied. Give it a higher number, or, if the order makes no difference, apply it out of order with --allow-late (allow_late=True).",
    ),
    (
        AHEAD,
        "database_is_ahead",
        1,
        "Nothing was changed in /data/homie_a.db: it already holds a:002_new, a:003_newer, and the installed pack a ends at 001_one. Install the pack's newer release, or restore the snapshot taken before the upgrade.",
    ),
    (
        errors.MigrationReplaced(DB, [("a:001_old", "001_one"), ("a:002_old", "002_two")]),
        "migration_replaced",
        1,
        "Nothing was changed in /data/homie_a.db: a:001_old is recorded, but the pack now ships 001_one with other code; a:002_old is recorded, but the pack now ships 002_two with other code. A version number was used twice: give the new migration the next free number.",
    ),
    (
        LATE,
        "migration_late",
        1,
        "Nothing was changed in /data/homie_a.db: a:001_one is pending although 002_two is applied; a:003_three is pending although 004_four is applied. Give it a higher number, or, if the order makes no difference, apply it out of order with --allow-late (allow_late=True).",
    ),
    (
        errors.ForeignTrackingTable(DB, "its columns are version"),
        "foreign_tracking_table",
        1,
        "Nothing was changed in /data/homie_a.db: its table `schema_migrations` belongs to another tool (its columns are version; dbmate, golang-migrate and Rails use that name too). Use another file, or rename that table first.",
    ),
    (
        errors.OwnerUnclear(DB, "more than one pack could have written it"),
        "owner_unclear",
        1,
        "Nothing was changed in /data/homie_a.db: its tracking table `schema_migrations` has the earlier shape, without pack names, and more than one pack could have written it. Name the pack that wrote it with --pack (packs=[...]).",
    ),
    (
        errors.RollbackRefused(DB, ["a:001_one has no rollback_migration", "b:001_x is applied and requires a:1"], "See to that."),
        "rollback_refused",
        1,
        "Nothing was rolled back in /data/homie_a.db: a:001_one has no rollback_migration; b:001_x is applied and requires a:1. See to that.",
    ),
    (
        errors.PackBroken(
            [BrokenPack("1_x.py is odd", "mail", entry_point="post"), LeftOut("news", ("news:001_x requires mail:1",))]
        ),
        "pack_broken",
        1,
        "Nothing was applied: mail (entry point post): 1_x.py is odd; news: news:001_x requires mail:1. Repair the pack, or install another release of it.",
    ),
    (
        errors.PackBroken([BrokenPack("it can't be loaded", entry_point="post")], done="Not every pack was applied"),
        "pack_broken",
        1,
        "Not every pack was applied: entry point post: it can't be loaded. Repair the pack, or install another release of it.",
    ),
    (
        errors.ConfirmationDenied("rolling back a:002_two"),
        "confirmation_denied",
        1,
        "Nothing was done: rolling back a:002_two was not confirmed.",
    ),
    (
        errors.MigrationFailed(DB, "a:001_one", "no such table: x (001_one.py, line 3)", "Correct it."),
        "migration_failed",
        1,
        "Applying a:001_one failed, and nothing of it is left in /data/homie_a.db: no such table: x (001_one.py, line 3). Correct it.",
    ),
    (
        errors.MigrationFailed(DB, "a:001_one", "no such table: x", "Correct it.", direction="rollback"),
        "migration_failed",
        1,
        "Rolling back a:001_one failed, and nothing of it is left in /data/homie_a.db: no such table: x. Correct it.",
    ),
    (
        errors.ForeignKeysViolated(DB, "a:001_one", "two rows have no parent", "Delete them."),
        "foreign_keys_violated",
        1,
        "Applying a:001_one failed, and nothing of it is left in /data/homie_a.db: two rows have no parent. Delete them.",
    ),
    (
        errors.SchemaLeftBroken(DB, "a:001_one", "the view v no longer works", "Drop it."),
        "schema_left_broken",
        1,
        "Applying a:001_one failed, and nothing of it is left in /data/homie_a.db: the view v no longer works. Drop it.",
    ),
    (
        errors.LockTimeout(DB, 0.5, "waiting for the write lock on", "Wait longer."),
        "lock_timeout",
        1,
        "Gave up waiting for the write lock on /data/homie_a.db after 0.5 s: another connection keeps it locked. Wait longer.",
    ),
    (
        errors.SnapshotFailed(DB, "the disk is full"),
        "snapshot_failed",
        1,
        "Nothing was changed in /data/homie_a.db: the snapshot before the first change could not be taken (the disk is full). Free some space, or give write access to the `backups` folder beside the database, or run without a snapshot (--no-backup).",
    ),
    (
        errors.VersionUnclear(DB, "a", "nothing that a makes is there", "Use `homie migrations apply`."),
        "version_unclear",
        1,
        "Nothing was recorded in /data/homie_a.db: nothing that a makes is there. Use `homie migrations apply`.",
    ),
    (
        errors.NotReplayable("a:001_one", "no such table: b"),
        "not_replayable",
        1,
        "The schema could not be determined: a:001_one fails on an empty database (no such table: b). Correct it: it would fail on a new database in the same way.",
    ),
    (
        errors.RunBrokenOff(DB, "a:002_two", "disk I/O error"),
        "run_broken_off",
        1,
        "The run on /data/homie_a.db failed; a:002_two was undone, and what was applied before it stays: disk I/O error. Check the disk and the file's permissions, then run it again to continue.",
    ),
    (
        errors.RehearsalFailed(DB, "the disk is full"),
        "rehearsal_failed",
        1,
        "Nothing was rehearsed: /data/homie_a.db could not be copied (the disk is full). Free some space beside it, or give write access to its folder. The database was not changed.",
    ),
    (
        errors.SnapshotUnusable("/data/s.db", "it is damaged (Tree 2)"),
        "snapshot_unusable",
        2,
        "Nothing was restored from /data/s.db: it is damaged (Tree 2). Choose another snapshot (`homie migrations backups` lists them).",
    ),
    (
        errors.BaselineRefused(DB, ["a:001_one requires b:2, which is not recorded"]),
        "baseline_refused",
        1,
        "Nothing was recorded in /data/homie_a.db: a:001_one requires b:2, which is not recorded. Solve that first; `homie migrations status` shows the details.",
    ),
    (
        errors.RepairRefused(DB, "a:001_one"),
        "repair_refused",
        1,
        "Nothing was changed in /data/homie_a.db: the record of a:001_one is in order. To remove it anyway, so that the migration becomes pending again, add --remove (remove=True).",
    ),
    (
        errors.MigrationNotUndone(
            DB, "a:002_two", "it committed", "Restore it.", ["a:002_two is recorded as applied"], certain=True
        ),
        "migration_not_undone",
        1,
        "Applying a:002_two failed, and part of it is left in /data/homie_a.db: it committed; "
        "a:002_two is recorded as applied. Restore it.",
    ),
    (
        errors.MigrationNotUndone(
            DB, "a:002_two", "disk full", "Restore it.", ["the file changed", "it did"], certain=False, direction="rollback"
        ),
        "migration_not_undone",
        1,
        "Rolling back a:002_two failed, and it is not certain that nothing of it is left in /data/homie_a.db: disk full; "
        "the file changed; it did. Restore it.",
    ),
    (
        errors.DatabaseReplaced(DB, "a:002_two", "the file was removed during the run", ["a:001_one"], "/data/backups/x.db"),
        "database_replaced",
        1,
        "Applying a:002_two to /data/homie_a.db failed: the file was removed during the run; a:001_one went into the file that was "
        "there before; the state before the run is in the snapshot /data/backups/x.db. Find out which program did that, and keep "
        "it away from the file. `homie migrations status` shows what the file holds now.",
    ),
    (
        errors.RecordNotKept(DB, "a:001_one"),
        "record_not_kept",
        1,
        "Nothing was changed in /data/homie_a.db: the row of a:001_one in `schema_migrations` did not stay as it was written. Look for a trigger on that table, and remove it first.",
    ),
    (
        errors.LockTimeout(DB, 30, "reading", "Wait.", ["process 7 (app)", "process 8"]),
        "lock_timeout",
        1,
        "Gave up reading /data/homie_a.db after 30 s: process 7 (app) and process 8 keep it locked. Wait.",
    ),
    (
        errors.SnapshotFailed(DB, "the disk is full", by_hand=True),
        "snapshot_failed",
        1,
        "No snapshot of /data/homie_a.db was taken: the disk is full. Free some space, or give write access to the `backups` folder beside the database.",
    ),
    (
        errors.CommitUnconfirmed(DB, "a:001_one", "disk I/O error"),
        "commit_unconfirmed",
        1,
        "It is not known whether a:001_one was committed to /data/homie_a.db: disk I/O error, and the file could not be read again. The database is at a migration boundary either way: `homie migrations status` shows which.",
    ),
    (
        errors.RunStopped(DB, "a:001_one"),
        "run_stopped",
        130,
        "Stopped on request in /data/homie_a.db: a:001_one was undone. Run it again to continue.",
    ),
    (
        errors.RunStopped(DB),
        "run_stopped",
        130,
        "Stopped on request in /data/homie_a.db: no migration was running. Run it again to continue.",
    ),
    (
        errors.DatabaseInterrupted(DB),
        "database_interrupted",
        1,
        "/data/homie_a.db was not read: a process that was changing it was killed and left a journal. The next `homie migrations apply` (or any program that writes to it) rolls that back.",
    ),
]
CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.HomieMigrationsError)]
SAMPLES = [row[0] for row in TABLE]


def name_of(value: object) -> str | None:
    return type(value).__name__ if isinstance(value, Exception) else None


@pytest.mark.parametrize(("error", "code", "exit_code", "sentence"), TABLE, ids=name_of)
def test_an_error_says_what_it_says_and_keeps_its_codes(error, code, exit_code, sentence):
    assert str(error) == sentence
    assert (error.code, error.exit_code) == (code, exit_code)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_class_of_errors_has_its_sentence_in_the_table(kind):
    assert kind in {type(error) for error in SAMPLES}


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_class_says_in_its_docstring_what_happened(kind):
    assert vars(kind)["__doc__"].strip().splitlines()[0].endswith((".", ","))


def test_every_code_belongs_to_one_class_and_can_be_a_key():
    codes = [kind.code for kind in CLASSES]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", code) for code in codes)
    assert all("code" in vars(kind) for kind in CLASSES)


@pytest.mark.parametrize("error", SAMPLES[2:], ids=name_of)
def test_an_error_carries_its_facts_beside_its_sentence(error):
    worded = {"self", "sentence", "advice", "done", "where", "version"}  # only in the sentence
    facts = set(inspect.signature(type(error).__init__).parameters) - worded
    assert facts <= set(vars(error))


@pytest.mark.parametrize("error", SAMPLES, ids=name_of)
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


@pytest.mark.parametrize("error", SAMPLES, ids=name_of)
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
