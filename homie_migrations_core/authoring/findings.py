"""
What a check can find: every code with what to do about it, and the list of what was found in one pack.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from homie_migrations_core.model import Finding, Migration
from homie_migrations_core.packs.acceptance import Acceptances, read_acceptances

SAMPLE_ROWS = "_sample_rows.py"
"""The author's file, beside the migrations, that fills tables before each migration is tested."""

FILE_CODES = {
    "file_rules": "Correct the file. The rules are on the page about writing migrations.",
    "acceptance_unusable": "Write `accepts CODE: REASON`, with a code from the page about hazards.",
}
FROM_NOTHING_CODES = {
    "does_not_apply": "Correct the migration, or what it requires.",
    "undeclared_requirement": "Add the other pack to REQUIRES.",
    "jump_differs": "Make the migrations depend on the tables only, not on settings, temporary tables or the time.",
}
ROUND_TRIP_CODES = {
    "table_not_filled": f"Fill it in {SAMPLE_ROWS} beside the migrations, in `def sample_rows(conn)`.",
    "fails_on_data": "Make it handle the rows that people have, or repair them first.",
    "not_null_without_default": "Give the column a DEFAULT, or fill it before it becomes NOT NULL.",
    "rollback_fails": "Correct rollback_migration(), or remove it if there is no way back.",
    "rollback_changes_schema": "Make rollback_migration() restore every table, column, index, view and trigger.",
    "rollback_loses_rows": "Make apply_migration() keep what rollback_migration() has to restore, or remove the rollback.",
    "rollback_changes_rows": "Make rollback_migration() restore every value as it was, including NULLs and types.",
    "apply_again_fails": "Make rollback_migration() undo everything that apply_migration() did.",
    "apply_again_differs": "Make rollback_migration() undo everything that apply_migration() did.",
}
HAZARD_CODES = {
    "rebuild_loses_index": "Create it again after the rebuild.",
    "dangling_reference": "Make a later migration rebuild the table that holds the reference.",
    "broken_view": "Make a later migration repair or drop it.",
    "drops_data": "Move the data first, or accept the loss, with the reason.",
    "if_not_exists_hid": "Remove IF NOT EXISTS, or change the existing object to the intended definition.",
    "update_without_index": "Create an index first, or change the rows in one statement that scans the table once.",
    "foreign_object": "Leave it to the pack that created it.",
    "imports_application_code": "Copy the code into the migration, or into a file beside it whose name begins with _.",
}
CODES = {**FILE_CODES, **FROM_NOTHING_CODES, **ROUND_TRIP_CODES, **HAZARD_CODES}
"""Every code of a finding, and what to do about it."""
ACCEPTABLE = frozenset({*ROUND_TRIP_CODES, *HAZARD_CODES, "undeclared_requirement", "jump_differs"})
"""The codes that an author can accept. The others are always errors."""


class Findings:
    """What was found in one pack, and what its migrations accept."""

    def __init__(self, pack: str, migrations: Iterable[Migration]) -> None:
        self.found: list[Finding] = []
        self._pack, self._notes = pack, list[str]()
        self._acceptances: dict[str, Acceptances] = {each.ref: read_acceptances(each, ACCEPTABLE) for each in migrations}
        self._used: set[tuple[str, str]] = set()

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be checked, and why; each once."""
        return tuple(dict.fromkeys(self._notes))

    def add(self, code: str, subject: str, message: str) -> None:
        """Add a finding about a migration's ref or about the pack, accepted if the migration's file says so."""
        known = self._acceptances.get(subject)
        accepted = known.reasons.get(code) if known else None
        if accepted is not None:
            self._used.add((subject, code))
        finding = Finding(code, subject, self._pack, message, CODES[code], accepted)
        if finding not in self.found:
            self.found.append(finding)

    def note(self, note: str) -> None:
        """Add a remark that does not count as a finding."""
        self._notes.append(note)

    def has(self, code: str, subject: str) -> bool:
        """Return whether this was found already."""
        return any((finding.code, finding.subject) == (code, subject) for finding in self.found)

    def in_order(self, refs: Sequence[str]) -> tuple[Finding, ...]:
        """Return the findings about the pack first, then by migration; for one migration in the order of `CODES`."""
        places = {ref: number for number, ref in enumerate(refs)}
        codes = list(CODES)
        return tuple(sorted(self.found, key=lambda finding: (places.get(finding.subject, -1), codes.index(finding.code))))

    def add_unusable_acceptances(self) -> None:
        """Find the comments that look like an acceptance but are none."""
        for ref, acceptances in self._acceptances.items():
            for problem in acceptances.problems:
                self.add("acceptance_unusable", ref, f"{problem}.")

    def note_unused_acceptances(self) -> None:
        """Note the acceptances that no finding needs. They are no finding, because another SQLite may need them."""
        for ref, acceptances in self._acceptances.items():
            for code in acceptances.reasons:
                if (ref, code) not in self._used:
                    self.note(f"{ref} accepts {code}, which was not found")
