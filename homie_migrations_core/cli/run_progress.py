"""
Which of the two reports a run: `progress` for people, or `event_progress` for programs, which is loaded only for them.
"""

from __future__ import annotations

from homie_migrations_core.cli.progress import RunProgress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from homie_migrations_core.cli.report import DatabaseReport


def run_progress(report: DatabaseReport, *, rehearsal: bool = False) -> RunProgress:
    """Return what reports a run on one database in the way that the options ask for."""
    events = report.whole.events
    if events is None:
        return RunProgress(report, rehearsal=rehearsal)
    from homie_migrations_core.cli.event_progress import EventProgress

    return EventProgress(report, events, rehearsal=rehearsal)
