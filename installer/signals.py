"""Turning signals into an orderly end: an exception while a plan acts, nothing while it is undone."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asked this run to stop. Not an `Exception`: nothing but the transaction may take it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.name = signal.Signals(signum).name


@contextmanager
def raising() -> Iterator[Callable[[], None]]:
    """Within this, a signal raises `Interrupted`, once: later ones are left out, so that undoing is never cut off.

    Python drops what is raised while it is in a destructor. What is yielded, called later, raises it again.
    """
    heard: list[int] = []

    def interrupt(signum: int, _frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        heard.append(signum)
        raise Interrupted(signum)

    def check() -> None:
        if heard:
            raise Interrupted(heard[0])

    before = {each: signal.signal(each, interrupt) for each in _SIGNALS}
    try:
        yield check
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def ignored() -> Iterator[None]:
    """Within this, signals that ask for an end are left out."""
    before = {each: signal.signal(each, signal.SIG_IGN) for each in _SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
