"""A view that is looked at again and again: in place on a terminal, line by line elsewhere."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import IO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from installer.views import View

Show = Callable[[View, str], None]


def watch(
    look: Callable[[], View],
    out: IO[str],
    interval: float,
    *,
    as_json: bool = False,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Show what `look` gives every `interval` seconds until Ctrl-C, which is how this ends, or until it raises."""
    try:
        with _interrupted_once(), _display(out, as_json) as show:
            while True:
                show(look(), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
                pause(interval)
    except KeyboardInterrupt:
        return


@contextmanager
def _interrupted_once() -> Iterator[None]:
    """The first Ctrl-C is enough: another one would find the program at its end, and make that look like a failure."""
    came = False

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal came
        came = True
        signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        if not came:
            signal.signal(signal.SIGINT, before)


@contextmanager
def _display(out: IO[str], as_json: bool) -> Iterator[Show]:
    if as_json or not out.isatty():
        yield lambda view, stamp: _write(out, view, stamp, as_json)
        return
    with Live(console=Console(file=out), auto_refresh=False) as live:
        yield lambda view, stamp: live.update(_drawn(view, stamp), refresh=True)


def _write(out: IO[str], view: View, stamp: str, as_json: bool) -> None:
    """One write for each look, and nothing held back: somebody reads along."""
    if as_json:
        text = json.dumps({"time": stamp} | view.body, ensure_ascii=False) + "\n"
    else:
        text = "".join(f"{stamp} {line}\n" for line in view.lines)
    out.write(text)
    out.flush()


def _drawn(view: View, stamp: str) -> Text:
    return Text("\n".join((*view.lines, f"{stamp}, Ctrl-C ends this")), no_wrap=True, overflow="ellipsis")
