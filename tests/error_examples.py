"""One of each error. What the terminal shows of them, with their codes, is `errors_as_shown.txt`, in this order."""

from __future__ import annotations

from pathlib import Path

from homie_migrations_core import errors
from homie_migrations_core.broken import BrokenPack
from homie_migrations_core.model import LeftOut

DB = "/data/homie_a.db"
AHEAD = errors.DatabaseIsAhead(DB, "a", ["a:002_new", "a:003_newer"], "001_one")
LATE = errors.MigrationLate(DB, [("a:001_one", "002_two"), ("a:003_three", "004_four")])

EXAMPLES = [
    errors.HomieMigrationsError("It is so."),
    errors.UsageProblem("It does not fit."),
    errors.UnknownPack("fiel", ["mail", "file"]),
    errors.UnknownPack("fiel", [], for_database=True),
    errors.UnknownTarget("a:9", "the pack a ends at 001_one", "Look again."),
    errors.PackNotChosen(DB, "no installed pack is for a file of that name", ["mail", "file"]),
    errors.PackNotChosen(DB, "nobody knows it", []),
    errors.PackInvalid("its name is 'A'", "Use another."),
    errors.NothingInstalled(),
    errors.DatabaseUnusable(DB, "the disk is full", "Make room."),
    errors.NotADatabase(DB),
    errors.DatabaseDamaged(DB, "malformed"),
    errors.DatabaseNotReachable(DB, "it is a folder", "Name the database file itself."),
    errors.DatabaseNotWritable(DB, "it can't be written", "Run as its owner."),
    errors.NewerSQLiteNeeded(DB, "unsupported file format", "3.40.1"),
    errors.FolderUnusable("/data", "is no folder", "Make it first."),
    errors.NotCreated("notes exists already", "Choose another name."),
    errors.ImportRefused("db", ["db/1_x.go, line 1: it is Go", "db/2_y.sql, line 3: it uses VACUUM"]),
    errors.NobodyToAsk("rolling back a:002_two"),
    errors.DatabaseReplaced(DB, "a:002_two", "the file was removed during the run"),
    errors.DatabaseReplaced(DB, None, "the file was replaced during the run"),
    errors.UnknownTarget.not_a_reference("a:x"),
    errors.RunRefused.for_all([AHEAD, LATE]),
    AHEAD,
    errors.MigrationReplaced(DB, [("a:001_old", "001_one"), ("a:002_old", "002_two")]),
    LATE,
    errors.MigrationLate(DB, [("a:001_one", "002_two")], ["applied now, the schema comes out the same"]),
    errors.MigrationReplaced(DB, [("a:001_old", "001_one")], ["the schema is the one that the pack produces today"]),
    errors.MigrationNotUndone(DB, "a:002_two", "it committed", "Restore it.", ["a:002_two is recorded as applied"], certain=True),
    errors.MigrationNotUndone(DB, "a:002_two", "disk full", "X.", ["the file changed"], certain=False, direction="rollback"),
    errors.DatabaseReplaced(DB, "a:002_two", "the file was removed during the run", ["a:001_one"], "/data/backups/x.db"),
    errors.ForeignTrackingTable(DB, "its columns are version"),
    errors.OwnerUnclear(DB, "more than one pack could have written it"),
    errors.RollbackRefused(DB, ["a:001_one has no rollback_migration", "b:001_x is applied and requires a:1"], "See to that."),
    errors.PackBroken([BrokenPack("1_x.py is odd", "mail", entry_point="post"), LeftOut("news", ("news:001_x requires mail:1",))]),
    errors.PackBroken([BrokenPack("it can't be loaded", entry_point="post")], done="Not every pack was applied"),
    errors.DatabaseNotCurrent(DB, ["a:002_two", "b:001_x"]),
    errors.DatabaseNotCurrent(DB, [f"a:00{number}_x" for number in range(1, 8)], exists=False),
    errors.ConfirmationDenied("rolling back a:002_two"),
    errors.MigrationFailed(DB, "a:001_one", "no such table: x (001_one.py, line 3)", "Correct it."),
    errors.MigrationFailed(DB, "a:001_one", "no such table: x", "Correct it.", direction="rollback"),
    errors.ForeignKeysViolated(DB, "a:001_one", "two rows have no parent", "Delete them."),
    errors.SchemaLeftBroken(DB, "a:001_one", "the view v no longer works", "Drop it."),
    errors.LockTimeout(DB, 0.5, "waiting for the write lock on", "Wait longer."),
    errors.SnapshotFailed(DB, "the disk is full"),
    errors.VersionUnclear(DB, "a", "nothing that a makes is there", "Use `homie migrations apply`."),
    errors.NotReplayable("a:001_one", "no such table: b"),
    errors.RunBrokenOff(DB, "a:002_two", "disk I/O error"),
    errors.RehearsalFailed(DB, "the disk is full"),
    errors.SnapshotUnusable("/data/s.db", "it is damaged (Tree 2)"),
    errors.BaselineRefused(DB, ["a:001_one requires b:2, which is not recorded"]),
    errors.RepairRefused(DB, "a:001_one"),
    errors.RecordNotKept(DB, "a:001_one"),
    errors.LockTimeout(DB, 30, "reading", "Wait.", ["process 7 (app)", "process 8"]),
    errors.SnapshotFailed(DB, "the disk is full", by_hand=True),
    errors.CommitUnconfirmed(DB, "a:001_one", "disk I/O error"),
    errors.RunStopped(DB, "a:001_one"),
    errors.RunStopped(DB),
    errors.DatabaseInterrupted(DB),
    errors.PacksDiffer(["mail"]),
    errors.PacksDiffer(["mail", "file"], "mail: its folder /mail does not exist or is not a folder"),
    errors.WorkerDied(DB, "BrokenProcessPool: a process was terminated"),
    errors.ExecutorBroken("its executor broke (BrokenProcessPool: a process was terminated)"),
    errors.ExecutorBroken("no Dask scheduler answers at tcp://host:8786 (timed out)", "Check the address."),
    errors.ReportUnusable("/data/notes.txt"),
]

SHOWN = Path(__file__).with_name("errors_as_shown.txt").read_text(encoding="utf-8").strip().split("\n\n")
"""For each of them a line with class, code and exit code, and the lines on the terminal. A reworded sentence shows in its diff."""
