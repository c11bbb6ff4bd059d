"""One node's share of the collection: it finds jobs that are due, at events and every few seconds, and runs them."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from management.server.gc import store
from management.server.gc.attempts import attempt
from management.server.gc.jobs import JOB_KINDS

if TYPE_CHECKING:
    from management.server.node import Node

SWEEP_SECONDS = 2.0
WORKERS = 8


class Collector:
    """Jobs belong to no node while they wait: whichever sees first that one is due claims it."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="gc")

    def start(self) -> None:
        """Look for jobs at every event that some kind waits for, and again and again, until the node closes."""
        for path in {trigger.path for kind in JOB_KINDS.values() for trigger in kind.triggers}:
            self._node.events.subscribe(path, partial(self._told, path))
        self._node.at_close(self._pool.shutdown)
        self._node.repeat("garbage collection", lambda: SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        with self._node.database.write() as session:
            store.adopt(session)
            store.forget(session, timedelta(days=self._node.config.keep_calls_days))
        with self._node.database.read() as session:
            ready = [job for job in store.idle(session) if job.waited and job.kind.due(session, job.context)]
        self._attempt(ready)

    def _told(self, path: str, facts: Mapping[str, Any]) -> None:
        keys = {trigger.key for kind in JOB_KINDS.values() for trigger in kind.triggers if trigger.path == path}
        named = {str(facts[key]) for key in keys if key in facts}
        with self._node.database.read() as session:
            found = {job.uuid: job for name in named for job in store.idle(session, naming=name)}
            concerned = [job for job in found.values() if job.kind.concerns(path, facts, job.context)]
            ready = [job for job in concerned if job.kind.due(session, job.context)]
        self._attempt(ready)

    def _attempt(self, jobs: list[store.Job]) -> None:
        for job in jobs:
            self._pool.submit(attempt, self._node, job.uuid)
