"""One lock per name, so that work on one resource is done one after the other."""

import threading
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager

from management import deadlines


def _too_late(key: tuple[Hashable, ...]) -> Exception:
    return TimeoutError(f"{key} was not free in time")


class KeyedLocks:
    """`with locks("x"):` excludes every other `locks("x")`.

    Whoever waits gives up at its deadline, with the exception that `too_late` makes of the key.
    """

    def __init__(self, too_late: Callable[[tuple[Hashable, ...]], Exception] = _too_late) -> None:
        self._too_late = too_late
        self._guard = threading.Lock()
        self._locks: defaultdict[Hashable, threading.Lock] = defaultdict(threading.Lock)

    def __call__(self, *key: Hashable) -> AbstractContextManager[None]:
        with self._guard:
            return self._hold(key, self._locks[key])

    @contextmanager
    def _hold(self, key: tuple[Hashable, ...], lock: threading.Lock) -> Iterator[None]:
        # A longer wait than TIMEOUT_MAX is none that a lock can make, and is for ever.
        seconds = deadlines.remaining()
        if not lock.acquire(timeout=seconds if seconds < threading.TIMEOUT_MAX else -1):
            raise self._too_late(key)
        try:
            yield
        finally:
            lock.release()
