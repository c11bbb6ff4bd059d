"""Calls to agents that are waiting for the agent to call back."""

import logging
import queue
import threading
import uuid
from typing import Any

log = logging.getLogger(__name__)

Box = queue.SimpleQueue[dict[str, Any] | None]
"""Where the answer arrives; None: this node closes, and nobody will know it."""

CALLBACK_PATH = "/zstack/asyncrest/callback"


class Tasks:
    """Calls that are waiting for their callback."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, Box] = {}

    def open(self) -> tuple[str, Box]:
        """A new task's uuid and where its answer will arrive."""
        task, box = uuid.uuid4().hex, Box()
        with self._lock:
            self._waiting[task] = box
        return task, box

    def close(self, task: str) -> None:
        with self._lock:
            self._waiting.pop(task, None)

    def finish(self, task: str, answer: dict[str, Any]) -> bool:
        """Hand the answer over. False when nobody waits for it: it came too late, or twice, and is dropped."""
        with self._lock:
            box = self._waiting.pop(task, None)
        if box is None:
            log.warning("the answer to task %s was dropped: nobody waits for it", task)
            return False
        box.put(answer)
        return True

    def abandon(self) -> None:
        """Tell all who wait that no answer will come."""
        with self._lock:
            boxes = list(self._waiting.values())
            self._waiting.clear()
        for box in boxes:
            box.put(None)
