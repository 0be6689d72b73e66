"""What a call of the path memory can be refused for. Each is a `HomieMigrationsError`."""

from __future__ import annotations

from homie_migrations_core.errors import UsageProblem


class NotStarted(UsageProblem):
    """The manager was used before `start()` or after `shutdown()`."""

    code = "not_started"

    def __init__(self) -> None:
        super().__init__("Nothing was done", "the path memory is not open", "Await `start()` first, and `shutdown()` last.")


class UnknownDrive(UsageProblem):
    """No drive, or none of that user, has that id."""

    code = "unknown_drive"

    def __init__(self, drive_id: str) -> None:
        self.drive_id = drive_id
        super().__init__("Nothing was done", f"no drive has the id {drive_id!r}", "Register the drive first; that returns its id.")


class UnknownDestination(UsageProblem):
    """No destination has that id."""

    code = "unknown_destination"

    def __init__(self, destination_id: str) -> None:
        self.destination_id = destination_id
        found = f"no destination has the id {destination_id!r}"
        super().__init__("Nothing was done", found, "Remember the destination first; that returns its id.")
