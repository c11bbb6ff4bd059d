"""What people see of a run."""

from __future__ import annotations

import io

from rich.console import Console

from payload.events import Advanced, Note, stage
from payload.sinks import TeeSink
from payload.terminal import TerminalSink


def test_a_terminal_shows_finished_stages_and_no_markup_of_others() -> None:
    out = io.StringIO()
    sink = TerminalSink(Console(file=out, force_terminal=True, width=100, no_color=True))
    with stage(TeeSink(sink), "s", "copying", total=100):
        sink.emit(Advanced("s", 50))
    sink.emit(Note("[red]not markup[/red]"))
    sink.close()
    assert "copying" in out.getvalue()
    assert "[red]not markup[/red]" in out.getvalue()
