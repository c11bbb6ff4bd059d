"""Sinks for pipes, files and programs: plain lines, JSON lines, the log of a run."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO

from payload.events import Event, Failed, Finished, Measured, Note, Sink, Started


class LinesSink:
    """Plain lines, for pipes and logs of CI."""

    def __init__(self, out: IO[str] | None = None, *, quiet: bool = False) -> None:
        self._out = out or sys.stderr
        self._quiet = quiet

    def emit(self, event: Event) -> None:
        """See `Sink.emit`."""
        if (line := plain_line(event)) is not None and not (self._quiet and isinstance(event, Started | Finished)):
            _put(self._out, line)

    def close(self) -> None:
        """See `Sink.close`."""


class JsonSink:
    """One JSON object a line: `{"event": "started", "time": …, …}`."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out

    def emit(self, event: Event) -> None:
        """See `Sink.emit`."""
        body = {"event": type(event).__name__.lower(), "time": round(time.time(), 3)} | asdict(event)
        _put(self._out, json.dumps(body, ensure_ascii=False))

    def close(self) -> None:
        """See `Sink.close`."""


class LogSink:
    """A log file of one run, readable by its owner only, never overwritten."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._out = os.fdopen(fd, "wb", buffering=0)

    def emit(self, event: Event) -> None:
        """See `Sink.emit`."""
        if (line := plain_line(event, details=True)) is not None:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            with suppress(OSError):  # a log on a full disk must not stop a run, least of all one that is being undone
                self._out.write(f"{stamp} {line}\n".encode(errors="replace"))

    def close(self) -> None:
        """See `Sink.close`."""
        self._out.close()


class TeeSink:
    """Sends every event to several sinks."""

    def __init__(self, *sinks: Sink) -> None:
        self._sinks = sinks

    def emit(self, event: Event) -> None:
        """See `Sink.emit`."""
        for sink in self._sinks:
            sink.emit(event)

    def close(self) -> None:
        """See `Sink.close`."""
        for sink in self._sinks:
            sink.close()


def plain_line(event: Event, *, details: bool = False) -> str | None:
    """`event` as one line of text, or None when it has nothing to say there."""
    match event:
        case Started(_, text, _):
            return f".. {text}"
        case Finished(_, text, seconds):
            return f"ok {text} ({seconds:.1f} s)"
        case Failed(_, text):
            return f"!! {text}"
        case Measured(_, text, seconds):
            return f"{text}: {seconds:.1f} s"
        case Note(text, level) if level != "detail" or details:
            return f"{'warning: ' if level == 'warning' else ''}{text}"
        case _:
            return None


def _put(out: IO[str], line: str) -> None:
    """One write for a line: events come from several threads."""
    out.write(line + "\n")
    out.flush()
