"""What happens, as values: progress and findings for people, for machines and for the log of a run.

Code below the command line emits events to a `Sink` and never prints. `payload.sinks` has sinks for files and pipes,
`payload.terminal` the one for people. Secrets are kept out at the source: no event carries one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol


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
