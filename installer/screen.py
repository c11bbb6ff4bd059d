"""What the commands share: where events go, who can be asked, and how results are printed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import typer

from installer.dialogue import Dialogue, at_terminal, on_terminal
from installer.request import Request
from installer.views import View
from payload.effects import atomic_write
from payload.errors import UsageError
from payload.events import Sink
from payload.output import sink_for
from payload.sinks import JsonSink, TeeSink


def show(view: View, as_json: bool) -> None:
    """Print a view."""
    typer.echo(json.dumps(view.body, indent=2, ensure_ascii=False) if as_json else "\n".join(view.lines))


def write(path: Path, text: str) -> None:
    """Write a report, whole or not at all.

    Raises:
        UsageError: that cannot be.
    """
    try:
        atomic_write(path, text.encode())
    except OSError as error:
        raise UsageError("report-unwritable", f"cannot write {path}: {error.strerror}") from error


@contextmanager
def events(request: Request) -> Iterator[Sink]:
    """The sink of a run: the terminal or plain lines on stderr, and the file of `--events`.

    Raises:
        UsageError: that file cannot be written.
    """
    with ExitStack() as stack:
        sink: Sink = sink_for(sys.stderr, quiet=request.json)
        if request.events is not None:
            sink = TeeSink(sink, JsonSink(stack.enter_context(_open_events(request.events))))
        stack.callback(sink.close)
        yield sink


def dialogue(request: Request) -> Dialogue | None:
    """Somebody to ask, when there is one."""
    return at_terminal() if on_terminal() and not request.json else None


def _open_events(path: Path) -> IO[str]:
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w")
    except OSError as error:
        raise UsageError("events-unwritable", f"cannot write {path}: {error.strerror}") from error
