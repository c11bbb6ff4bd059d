"""One lock per name, so that work on one resource is done one after the other."""

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from management import deadlines

Key = tuple[Hashable, ...]


def _too_late(key: Key) -> Exception:
    return TimeoutError(f"{key} was not free in time")


class KeyedLocks:
    """`with locks("x"):` excludes every other `locks("x")`. Who comes first is first.

    Whoever waits gives up at its deadline, with the exception that `too_late` makes of the key.
    """

    def __init__(self, too_late: Callable[[Key], Exception] = _too_late) -> None:
        self._too_late = too_late
        self._guard = threading.Lock()
        self._queues: dict[Key, deque[threading.Event]] = {}

    @contextmanager
    def __call__(self, *key: Hashable) -> Iterator[None]:
        turn = threading.Event()
        with self._guard:
            queue = self._queues.setdefault(key, deque())
            queue.append(turn)
            queue[0].set()
        try:
            # A longer wait than TIMEOUT_MAX is none that a lock can make, and is for ever.
            seconds = deadlines.remaining()
            if not turn.wait(seconds if seconds < threading.TIMEOUT_MAX else None):
                raise self._too_late(key)
            yield
        finally:
            self._leave(key, turn)

    def _leave(self, key: Key, turn: threading.Event) -> None:
        with self._guard:
            queue = self._queues[key]
            queue.remove(turn)
            if queue:
                queue[0].set()
            else:
                del self._queues[key]
