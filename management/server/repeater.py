"""Work that comes back: done every so many seconds in a thread of its own, and at once when somebody wakes it."""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class Repeater:
    """Runs `work` until it is stopped. What `work` raises is logged, and it is tried again the next time."""

    def __init__(self, name: str, seconds: Callable[[], float], work: Callable[[], None]) -> None:
        """`seconds` is asked before each pause."""
        self._seconds = seconds
        self._work = work
        self._stopped = False
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Do the work now, or once more when it is being done."""
        self._woken.set()

    def stop(self) -> None:
        """Return when the work is not being done, and will not be."""
        self._stopped = True
        self._woken.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped:
            try:
                self._work()
                pause = self._seconds()
            except Exception:
                # The database may be away for a moment: this thread must not end because of it.
                log.exception("%s failed; it is tried again", self._thread.name)
                pause = 1.0
            self._woken.wait(pause)
            self._woken.clear()
