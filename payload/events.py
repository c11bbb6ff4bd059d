"""What happens, as values: progress and findings for people, for machines and for the log of a run.

Code below the command line emits events to a `Sink` and never prints. Sinks: a terminal with progress bars, plain
lines, JSON lines, a log file. Secrets are kept out at the source: no event carries one.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Protocol

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text


@dataclass(frozen=True, slots=True)
class Started:
    """A stage began. `total` is its size in bytes where that is known."""

    stage: str
    text: str
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Advanced:
    """`amount` more bytes of the stage are done."""

    stage: str
    amount: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A stage ended; `text` says with what, `seconds` how long it took."""

    stage: str
    text: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """A stage ended by an error."""

    stage: str
    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """A line for the reader. `level` is "detail" (log only), "info" or "warning"."""

    text: str
    level: str = "info"


@dataclass(frozen=True, slots=True)
class Measured:
    """A time that somebody may want to know: `name` is for programs, `text` for people."""

    name: str
    text: str
    seconds: float


Event = Started | Advanced | Finished | Failed | Note | Measured


class Sink(Protocol):
    """Somewhere that events go."""

    def emit(self, event: Event) -> None:
        """Take one event. Must not raise for want of a reader."""

    def close(self) -> None:
        """No more events will come."""


class NullSink:
    """Drops everything."""

    def emit(self, event: Event) -> None:
        """See `Sink.emit`."""

    def close(self) -> None:
        """See `Sink.close`."""


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


class _WhenSized(ProgressColumn):
    """Another column, for stages whose size is known."""

    def __init__(self, column: ProgressColumn) -> None:
        super().__init__()
        self._column = column

    def render(self, task: Task) -> RenderableType:
        """See `ProgressColumn.render`."""
        return "" if task.total is None else self._column.render(task)


class TerminalSink:
    """Progress bars with rates and remaining time on a terminal, finished stages as lines above them."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            *map(_WhenSized, (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._progress.start()

    def emit(self, event: Event) -> None:
        """See `Sink.emit`."""
        match event:
            case Started(stage, text, total):
                self._tasks[stage] = self._progress.add_task(text, total=total)
            case Advanced(stage, amount):
                if stage in self._tasks:
                    self._progress.advance(self._tasks[stage], amount)
            case Finished(stage, text, seconds):
                self._drop(stage)
                self._console.print(Text.assemble(("✔ ", "green"), text, (f" ({seconds:.1f} s)", "dim")))
            case Failed(stage, text):
                self._drop(stage)
                self._console.print(Text.assemble(("✘ ", "red"), text))
            case Measured():
                self._console.print(plain_line(event), highlight=False, markup=False)
            case Note(text, level) if level != "detail":
                self._console.print(text, style="yellow" if level == "warning" else None, highlight=False, markup=False)

    def _drop(self, stage: str) -> None:
        if stage in self._tasks:
            self._progress.remove_task(self._tasks.pop(stage))

    def close(self) -> None:
        """See `Sink.close`."""
        self._progress.stop()


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


def sink_for(out: IO[str], *, json_lines: bool = False, quiet: bool = False) -> Sink:
    """The sink that fits `out`: JSON lines on request, bars on a terminal, else plain lines."""
    if json_lines:
        return JsonSink(out)
    if not quiet and out.isatty():
        return TerminalSink(Console(file=out))
    return LinesSink(out, quiet=quiet)


def _put(out: IO[str], line: str) -> None:
    """One write for a line: events come from several threads."""
    out.write(line + "\n")
    out.flush()


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


@contextmanager
def stage(sink: Sink, name: str, text: str, *, total: int | None = None, done: str = "") -> Iterator[None]:
    """Emit `Started`, then `Finished` or, when the body raises, `Failed`."""
    began = time.monotonic()
    sink.emit(Started(name, text, total))
    try:
        yield
    except BaseException:
        sink.emit(Failed(name, text))
        raise
    sink.emit(Finished(name, done or text, time.monotonic() - began))
