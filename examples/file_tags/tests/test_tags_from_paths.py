"""002_tags_from_paths on rows as they are found in the databases of real people."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from homie_migrations_core import Step, hookimpl
from homie_migrations_core.errors import MigrationFailed
from homie_migrations_core.testing import MakesDatabases, MakesRunners

Tagged = Callable[..., list[str]]

DRIVE = "INSERT INTO drives (id, user_id, unique_identifier, mount_point, drive_type) VALUES ('stick', 'ada', '1', ?, 'usb')"
DESTINATION = "INSERT INTO destinations (id, user_id, path, category, drive_id) VALUES (?, 'ada', ?, 'any', ?)"
TAG = "INSERT INTO destination_tags (destination_id, tag) VALUES (?, ?)"


def run(path: Path, sql: str, *rows: tuple[object, ...]) -> list[tuple[object, ...]]:
    """Run a statement for each row, or once, commit, and return what it found."""
    with closing(sqlite3.connect(path)) as connection, connection:
        if rows:
            connection.executemany(sql, rows)
            return []
        return connection.execute(sql).fetchall()


@pytest.fixture
def path(migrated_database: MakesDatabases) -> Path:
    """A database that has the table of the tags, and no tags from paths yet."""
    return migrated_database("file_tags", to=1)


@pytest.fixture
def tagged(path: Path, migration_runner: MakesRunners) -> Tagged:
    """Apply the migration to one destination, and return its tags."""

    def tagged(destination: object, mount_point: str | None = None) -> list[str]:
        if mount_point is not None:
            run(path, DRIVE, (mount_point,))
        run(path, DESTINATION, ("d", destination, None if mount_point is None else "stick"))
        migration_runner(path).apply()
        return sorted(str(tag) for (tag,) in run(path, "SELECT tag FROM destination_tags"))

    return tagged


def test_the_folders_below_the_drive_become_tags(tagged: Tagged) -> None:
    assert tagged("/media/ada/stick/Music/Jazz", mount_point="/media/ada/stick") == ["jazz", "music"]


def test_without_a_drive_every_folder_becomes_a_tag(tagged: Tagged) -> None:
    assert tagged("/home/ada/Music") == ["ada", "home", "music"]


@pytest.mark.parametrize(
    ("destination", "mount_point", "tags"),
    [
        ("/media/ada/sticky/notes", "/media/ada/stick", ["ada", "media", "notes", "sticky"]),
        ("/media/ada/stick", "/media/ada/stick/", []),
        ("/Music", "/", ["music"]),
        (r"E:\Music\Jazz", "e:\\", ["jazz", "music"]),
        (r"E:\Music", "/media/ada/stick", ["music"]),
        (r"\\server\share\Music", None, ["music"]),
    ],
    ids=["only begins like it", "is the drive", "is the root", "a letter in another case", "of another system", "a share"],
)
def test_the_drive_is_taken_off_the_path_where_the_path_lies_on_it(
    tagged: Tagged, destination: str, mount_point: str | None, tags: list[str]
) -> None:
    assert tagged(destination, mount_point) == tags


@pytest.mark.parametrize(
    ("destination", "tags"),
    [
        ("/AC\\DC/live", ["ac\\dc", "live"]),
        ("/Music/Live/music/LIVE", ["live", "music"]),
        ("/music/../ /./mine//", ["mine", "music"]),
        ("/cafe\N{COMBINING ACUTE ACCENT}/caf\N{LATIN SMALL LETTER E WITH ACUTE}", ["café"]),
        ("", []),
        (b"/music", ["music"]),
    ],
    ids=["a backslash in a name", "a name twice", "no names", "composed and not", "empty", "a BLOB"],
)
def test_each_name_is_one_tag_in_one_spelling(tagged: Tagged, destination: object, tags: list[str]) -> None:
    assert tagged(destination) == tags


def test_a_name_that_is_not_utf_8_does_not_stop_the_migration(tagged: Tagged, path: Path) -> None:
    run(path, "INSERT INTO destinations VALUES ('latin', 'ada', CAST(x'2F636166E9' AS TEXT), 'any', NULL, NULL, NULL, 0, 1)")
    assert tagged("/music") == ["caf\N{REPLACEMENT CHARACTER}", "music"]


def test_a_destination_without_an_id_is_left_out(tagged: Tagged, path: Path) -> None:
    run(path, DESTINATION, (None, "/photos", None))
    assert tagged("/music") == ["music"]


def test_tags_that_people_have_given_survive_the_migration_and_its_rollback(path: Path, migration_runner: MakesRunners) -> None:
    run(path, DESTINATION, ("d", "/music/jazz", None))
    run(path, TAG, ("d", "Jazz"), ("d", "favourite"))
    migration_runner(path).apply()
    assert run(path, "SELECT tag, from_path FROM destination_tags") == [("favourite", 0), ("Jazz", 0), ("music", 1)]
    migration_runner(path).rollback("file_tags")
    assert run(path, "SELECT * FROM destination_tags") == [("d", "favourite"), ("d", "Jazz")]


def test_a_destination_that_gets_no_tag_stops_the_migration_and_nothing_is_left(path: Path, migration_runner: MakesRunners) -> None:
    run(path, DESTINATION, ("d", "/music", None))
    run(path, "CREATE TRIGGER lost AFTER INSERT ON destination_tags BEGIN DELETE FROM destination_tags; END")
    with pytest.raises(MigrationFailed, match="the destination d has no tag, and its path names music"):
        migration_runner(path).apply()
    assert [column for _, column, *_ in run(path, "PRAGMA table_info(destination_tags)")] == ["destination_id", "tag"]


class Progress:
    """An observer that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int, int | None]] = []

    @hookimpl
    def homie_step_progress(self, step: Step, done: int, total: int | None) -> None:
        """Keep it."""
        self.heard.append((step.ref, done, total))


def test_it_reports_how_many_of_its_rows_are_done(path: Path, migration_runner: MakesRunners) -> None:
    run(path, DESTINATION, *((f"d{number}", f"/music/{number}", None) for number in range(2_000)))
    progress = Progress()
    migration_runner(path, observers=[progress]).apply()
    assert progress.heard[-1] == ("file_tags:002_tags_from_paths", 2_000, 2_000)
    assert run(path, "SELECT count(*) FROM destination_tags") == [(4_000,)]
