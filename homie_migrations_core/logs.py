"""
The logger of the library, `homie_migrations`. It loads `logging` with the first message: most calls have nothing to say.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from logging import Logger
    from typing import Any


class _Logger:
    prepare: Callable[[], None] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(load(), name)


_lazy = _Logger()
log: Logger = _lazy  # type: ignore[assignment]  # it has every attribute of the logger


def load() -> Logger:
    """Load `logging`, and return the logger of the library, prepared as the command line asked for."""
    import logging

    prepare, _lazy.prepare = _lazy.prepare, None
    if prepare is not None:
        prepare()
    return logging.getLogger("homie_migrations")


def prepare_with(prepare: Callable[[], None] | None) -> None:
    """Call `prepare` before the first message: now, if `logging` is loaded, because then others may write one. None: do not."""
    _lazy.prepare = prepare
    if prepare is not None and "logging" in sys.modules:
        load()
