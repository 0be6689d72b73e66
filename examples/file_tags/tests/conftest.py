"""Keep the tests away from the databases and the log of the person who runs them."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from file_tags_migrations import database_location, run_log


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of one test. Neither the log nor another drive is asked for."""
    monkeypatch.delenv(database_location.VARIABLE, raising=False)
    monkeypatch.delenv(run_log.VARIABLE, raising=False)
    monkeypatch.setenv("HOMIE_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def _log_file_closed() -> Iterator[None]:
    """Close the log file that a test has opened."""
    yield
    for handler in run_log.log.handlers[:]:
        if isinstance(handler, logging.FileHandler):
            run_log.log.removeHandler(handler)
            handler.close()
    run_log.log.setLevel(logging.NOTSET)
