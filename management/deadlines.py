"""How long the present work may still take.

A deadline belongs to a thread's context: whatever a call does in its own thread sees it, and work that is handed to
the background does not. Without a deadline there is time without end.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)
"""In seconds of time.monotonic()."""


def remaining() -> float:
    """Seconds until the deadline: 0 when it has passed, infinite without one."""
    return max(0.0, _deadline.get() - time.monotonic())


def passed() -> bool:
    return remaining() <= 0


def clip(seconds: float) -> float:
    """`seconds`, or what is left of the time when that is less."""
    return min(seconds, remaining())


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What is inside may take so long, and not longer than what is outside may."""
    with _until(min(_deadline.get(), time.monotonic() + seconds)):
        yield


@contextmanager
def grace(seconds: float) -> Iterator[None]:
    """What is inside undoes or settles something: it has at least so long, even after the deadline."""
    with _until(max(_deadline.get(), time.monotonic() + seconds)):
        yield


@contextmanager
def _until(moment: float) -> Iterator[None]:
    token = _deadline.set(moment)
    try:
        yield
    finally:
        _deadline.reset(token)
