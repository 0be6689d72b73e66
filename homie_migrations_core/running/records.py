"""
Changing records without running a migration, in one transaction, with a snapshot before it.

Decides nothing: which records, says the caller, for those that are really there under the write lock.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from homie_migrations_core.errors import CommitUnconfirmed, ForeignTrackingTable, RecordNotKept, RunStopped
from homie_migrations_core.model import Migration, Record
from homie_migrations_core.sqlite import tracking
from homie_migrations_core.sqlite.holders import tell_waiting
from homie_migrations_core.sqlite.snapshots import Keeper
from homie_migrations_core.sqlite.sqlite_errors import explained, is_database_error
from homie_migrations_core.sqlite.writer import CommitFailed, Writer
from homie_migrations_core.stopping import Stopped, StopRequest

_log = logging.getLogger("homie_migrations")


@dataclass(frozen=True, slots=True)
class Amendment:
    """What is to become of the records."""

    owner: str | None
    """The pack of rows without a pack's name."""
    record: tuple[Migration, ...] = ()
    accept: tuple[Record, ...] = ()
    remove: tuple[Record, ...] = ()

    @property
    def refs(self) -> list[str]:
        """What it is about."""
        return [*(each.ref for each in self.record), *(each.ref for each in (*self.accept, *self.remove))]


def amend(
    path: str,
    decide: Callable[[tracking.Tracking], Amendment],
    pack_versions: Mapping[str, str | None],
    *,
    backup: bool,
    lock_timeout: float,
    stop: StopRequest,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Path | None:
    """
    The records are as decided; the snapshot of the state before comes back, if one was taken.

    Raises:
        RunRefused: By `decide`; nothing was changed.
        RecordNotKept, CommitUnconfirmed, SnapshotFailed, LockTimeout, RunStopped, DatabaseUnusable: As for a run.
    """
    writer = Writer(path, lock_timeout=lock_timeout, stop=stop, waiting=lambda: tell_waiting(path), create=False)
    keeper = Keeper(path, stop, now)
    kept = committed = False
    try:
        writer.begin()
        known = _read(writer, path)
        amendment = decide(known)
        if not amendment.refs:
            return None
        if backup and known.holds_tables:
            keeper.take([each if each.pack else replace(each, pack=amendment.owner) for each in known.records])
        _carry_out(writer, path, known, amendment, pack_versions)
        if stop.asked():
            raise Stopped
        keeper.keep()
        kept = True
        try:
            writer.commit()
        except CommitFailed as error:
            raise CommitUnconfirmed(path, amendment.refs[-1], str(error)) from error
        except BaseException:
            kept = False
            raise
        committed = True
    except Stopped as error:
        raise RunStopped(path) from error
    except Exception as error:
        if is_database_error(error):
            raise explained(error, path) from error  # type: ignore[arg-type]
        raise
    finally:
        writer.close()
        if committed:
            keeper.prune()
        elif not kept:
            keeper.drop()
    return keeper.snapshot


def _read(writer: Writer, path: str) -> tracking.Tracking:
    try:
        return tracking.read_tracking(writer.connection)
    except tracking.ForeignTable as error:
        raise ForeignTrackingTable(path, str(error)) from error


def _carry_out(
    writer: Writer, path: str, known: tracking.Tracking, amendment: Amendment, pack_versions: Mapping[str, str | None]
) -> None:
    connection = writer.connection
    if known.shape != "current":
        tracking.make_current(connection, known.shape, amendment.owner)
    for migration in amendment.record:
        tracking.record_applied(connection, migration, pack_versions.get(migration.pack))
        _log.info("Recorded %s in %s without running it", migration.ref, path)
    for change, records in ((tracking.accept, amendment.accept), (tracking.remove, amendment.remove)):
        for record in records:
            change(connection, record)
            _log.info("Repaired the record of %s in %s", record.ref, path)
    # A trigger on the table may have had other ideas.
    there = {(each.pack, each.version): (each.name, each.checksum) for each in tracking.read_tracking(connection).records}
    expected: dict[tuple[str | None, int], tuple[str, tuple[str, str | None] | None]] = {
        **{(each.pack, each.version): (each.ref, (each.name, each.checksum)) for each in amendment.record},
        **{(each.pack, each.version): (each.ref, (each.name, each.checksum)) for each in amendment.accept},
        **{(each.pack, each.version): (each.ref, None) for each in amendment.remove},
    }
    for key, (ref, row) in expected.items():
        if there.get(key) != row:
            raise RecordNotKept(path, ref)
