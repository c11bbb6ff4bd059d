"""The sink that fits an output. That for people is loaded only where a terminal is: its library takes long to load."""

from __future__ import annotations

from typing import IO

from payload.events import Sink
from payload.sinks import JsonSink, LinesSink


def sink_for(out: IO[str], *, json_lines: bool = False, quiet: bool = False) -> Sink:
    """JSON lines on request, bars on a terminal, else plain lines."""
    if json_lines:
        return JsonSink(out)
    if not quiet and out.isatty():
        from payload.terminal import terminal_sink  # noqa: PLC0415

        return terminal_sink(out)
    return LinesSink(out, quiet=quiet)
