"""
`--progress json`: every line on stderr is one JSON object. Writes events, and makes a `message` of everything else.

`documents.events` has the types of the events, and `event_progress` reports runs with them.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Self, TextIO

from homie_migrations_core.cli import output
from homie_migrations_core.cli.error_layout import error_code, error_message

_SECONDS_FOR_CHILDREN = 1.0
"""How long the end waits for what child processes have written. One that goes on running holds the pipe open."""


class EventLines:
    """Writes events to stderr. While it is open, a context manager, nothing else reaches stderr."""

    def __init__(self) -> None:
        self._stream: TextIO | None = sys.stderr
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        if sys.stderr is None:  # the process was started with it closed
            return self
        with contextlib.suppress(OSError, ValueError, AttributeError):  # a stream that is none of the system's
            if sys.stderr is sys.__stderr__ and sys.stderr.fileno() == 2:
                self._stream = self._open.enter_context(self._descriptor_taken(sys.stderr))
        messages = io.TextIOWrapper(_Messages(self), encoding="utf-8", errors="backslashreplace", write_through=True)  # type: ignore[type-var]
        self._open.callback(messages.flush)
        self._open.enter_context(contextlib.redirect_stderr(messages))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def emit(self, event: str, **facts: object) -> None:
        """Write one event with the time."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
        output.write_json_line({"event": event, "at": f"{at}Z", **facts}, self._stream)

    def error(self, problem: BaseException, path: str | None, *, heading: str = "", verbose: bool = False) -> None:
        """Write an error as an event; with `verbose`, with its traceback."""
        more = {"traceback": "".join(traceback.format_exception(problem))} if verbose else {}
        self.emit("error", code=error_code(problem), message=f"{heading}{error_message(problem)}", path=path, **more)

    def message(self, text: str) -> None:
        """Write a line that is no event of its own."""
        if text.strip():
            self.emit("message", text=text)

    @contextlib.contextmanager
    def _descriptor_taken(self, stderr: TextIO) -> Iterator[TextIO]:
        """Read what is written to the descriptor of stderr, as child processes do, and give the stream that leads to stderr."""
        stderr.flush()
        original = os.dup(2)
        reading, writing = os.pipe()
        os.dup2(writing, 2)
        os.close(writing)
        reader = threading.Thread(target=self._read, args=(reading,), daemon=True)
        stream = open(original, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115  # closed below
        reader.start()
        try:
            yield stream
        finally:
            os.dup2(original, 2)
            reader.join(_SECONDS_FOR_CHILDREN)
            self._stream = stderr
            if not reader.is_alive():  # else it may still write
                stream.close()
                os.close(original)

    def _read(self, reading: int) -> None:
        if hasattr(signal, "pthread_sigmask"):  # a signal interrupts only the thread that gets it, and that must be the main one
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        with open(reading, encoding="utf-8", errors="backslashreplace") as lines:
            for line in lines:
                self.message(line.rstrip("\r\n"))


class _Messages(io.RawIOBase):
    """What Python code writes to stderr: each line becomes a message, and so does what is flushed before its end."""

    def __init__(self, lines: EventLines) -> None:
        self._lines, self._rest = lines, b""

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 2

    def write(self, data: bytes) -> int:  # type: ignore[override]
        *whole, self._rest = (self._rest + bytes(data)).split(b"\n")
        for each in whole:
            self._tell(each)
        return len(data)

    def flush(self) -> None:
        rest, self._rest = self._rest, b""
        self._tell(rest)

    def _tell(self, line: bytes) -> None:
        self._lines.message(line.decode("utf-8", "backslashreplace").rstrip("\r"))
