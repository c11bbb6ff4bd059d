"""One lock per name, so that work on one resource is done one after the other."""

import threading
from collections import defaultdict
from collections.abc import Hashable


class KeyedLocks:
    """`locks("x")` is the same lock each time."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: defaultdict[Hashable, threading.Lock] = defaultdict(threading.Lock)

    def __call__(self, *key: Hashable) -> threading.Lock:
        with self._guard:
            return self._locks[key]
