"""Locks that hold on all nodes of a site.

Within a node threads queue up for a name (management/locks.py). Their first one queues up among the nodes: its row has
a ticket, and the lowest ticket has the lock. The row lives as long as its node's registration: whoever buries a node
takes its locks away in the same transaction, and no sooner may its work be done by others.
"""

import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from management import deadlines
from management.locks import Key, KeyedLocks
from management.server.database import Database
from management.server.models.locks import ResourceLockVO

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1
RETRY_SECONDS = 1.0


class SiteLocks:
    """As KeyedLocks, for a registered node of a site whose nodes share `database`."""

    def __init__(self, database: Database, node_uuid: str, too_late: Callable[[Key], Exception]) -> None:
        self._database = database
        self._node_uuid = node_uuid
        self._too_late = too_late
        self._here = KeyedLocks(too_late)
        self._closed = threading.Event()

    @contextmanager
    def __call__(self, *key: Hashable) -> Iterator[None]:
        name = " ".join(map(str, key))
        with self._here(*key):
            try:
                self._queue_up(name)
                while not self._is_first(name):
                    if deadlines.passed():
                        raise self._too_late(key)
                    time.sleep(deadlines.clip(POLL_SECONDS))
                yield
            finally:
                self._leave(name)

    def close(self) -> None:
        """The node ends, and what it still has goes with its registration."""
        self._closed.set()

    def _queue_up(self, name: str) -> None:
        with self._database.write() as session:
            last = select(func.max(ResourceLockVO.ticket)).where(ResourceLockVO.name == name)
            place = {"name": name, "managementNodeUuid": self._node_uuid}
            session.execute(insert(ResourceLockVO).values(**place, ticket=(session.scalar(last) or 0) + 1))

    def _is_first(self, name: str) -> bool:
        wanted = select(ResourceLockVO.managementNodeUuid).where(ResourceLockVO.name == name)
        with self._database.snapshot() as connection:
            first = connection.execute(wanted.order_by(ResourceLockVO.ticket).limit(1)).scalar_one_or_none()
        return first == self._node_uuid

    def _leave(self, name: str) -> None:
        """A lock that stays behind would stop everybody for as long as this node lives."""
        mine = ResourceLockVO.name == name, ResourceLockVO.managementNodeUuid == self._node_uuid
        while not self._closed.is_set():
            try:
                with self._database.write() as session:
                    session.execute(delete(ResourceLockVO).where(*mine))
            except SQLAlchemyError:
                log.exception("the lock on %s cannot be given back; it is tried again", name)
                self._closed.wait(RETRY_SECONDS)
            else:
                return
