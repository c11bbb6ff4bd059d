"""Calls to agents that are waiting for the agent to call back."""

import queue
import threading
import uuid
from typing import Any

CALLBACK_PATH = "/zstack/asyncrest/callback"


class Tasks:
    """Calls that are waiting for their callback."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, queue.SimpleQueue[dict[str, Any]]] = {}

    def open(self) -> tuple[str, "queue.SimpleQueue[dict[str, Any]]"]:
        """A new task's uuid and where its answer will arrive."""
        task, box = uuid.uuid4().hex, queue.SimpleQueue[dict[str, Any]]()
        with self._lock:
            self._waiting[task] = box
        return task, box

    def close(self, task: str) -> None:
        with self._lock:
            self._waiting.pop(task, None)

    def finish(self, task: str, answer: dict[str, Any]) -> bool:
        """Hand the answer over. False when nobody waits for it."""
        with self._lock:
            box = self._waiting.pop(task, None)
        if box is None:
            return False
        box.put(answer)
        return True
