"""The words for states and directions, as types. Apart from `model.py`, because importing typing takes long."""

from __future__ import annotations

from typing import Literal

State = Literal[
    "applied",
    "pending",
    "late",
    "edited",
    "replaced",
    "ahead",
    "missing",
    "orphaned",
    "broken",
    "interrupted",
    "foreign",
    "up_to_date",
    "new",
]
Direction = Literal["apply", "rollback"]
