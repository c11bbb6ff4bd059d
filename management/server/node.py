"""A running management node: what its API families share, and how it comes up and goes down."""

import logging
import socket
import uuid
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import delete, func, select

from management.deploy.deployer import Deployer, Places
from management.effects import Processes
from management.locks import Key, KeyedLocks
from management.server import apis
from management.server.certificates import Certificates
from management.server.clock import now
from management.server.config import Config
from management.server.database import Database
from management.server.errors import ApiError
from management.server.messages import discover
from management.server.metrics import Metrics
from management.server.models.hosts import HostVO
from management.server.models.system import ManagementNodeVO
from management.server.repeater import Repeater
from management.server.shares import Share
from management.server.tasks import Tasks
from management.server.throttle import Throttle
from management.server.timeouts import Timeouts, load_timeouts

log = logging.getLogger(__name__)

BACKGROUND_WORKERS = 8

Listener = Callable[[dict[str, Any]], None]


class Events:
    """What happens inside this node, told to whoever subscribed. Paths are canonical, e.g. `/host/delete`."""

    def __init__(self) -> None:
        self._listeners: defaultdict[str, list[Listener]] = defaultdict(list)

    def subscribe(self, path: str, listener: Listener) -> None:
        self._listeners[path].append(listener)

    def publish(self, path: str, facts: dict[str, Any]) -> None:
        """Call the listeners one after the other, in the publisher's thread."""
        for listener in self._listeners[path]:
            listener(facts)


class Node:
    """Has a new uuid at every boot."""

    def __init__(self, config: Config) -> None:
        self.uuid = uuid.uuid4().hex
        self.registry = discover(apis)
        self.config = config
        self.database = Database(config.database_url())
        self.events = Events()
        self.locks: Callable[..., AbstractContextManager[None]] = KeyedLocks(too_late)
        self.share = Share(self.uuid)
        self.tasks = Tasks()
        self.processes = Processes()
        self.throttle = Throttle()
        authority = Certificates(config.certificates_dir).authority
        places = Places(config.agents_dir, config.keys_dir, config.data_dir, authority)
        self.deployer = Deployer(self.processes, places, config.deploy_timeout_seconds)
        self.timeouts = Timeouts(self.registry, load_timeouts(config.timeouts_file, self.registry))
        self.ready = False
        self.outdated = False
        """Whether nodes of a newer release are about to take over: what is done on hosts is theirs."""
        self.metrics = Metrics(lambda: self.ready, self._hosts_by_status)
        self._background = ThreadPoolExecutor(BACKGROUND_WORKERS, thread_name_prefix="background")
        self._repeaters: list[Repeater] = []
        self._closing: list[Callable[[], None]] = []

    def start(self) -> None:
        """Register this node, and become ready."""
        moment = now()
        row = ManagementNodeVO(
            uuid=self.uuid,
            hostName=socket.gethostname(),
            port=self.config.listen_port,
            state="RUNNING",
            joinDate=moment,
            heartBeat=moment,
        )
        with self.database.write() as session:
            if not self.database.shared:
                # It serves one node only: whatever is registered is from an earlier boot.
                session.execute(delete(ManagementNodeVO))
            session.add(row)
        for family in self.registry.families:
            if family.join is not None:
                family.join(self)
        self.ready = True
        log.info("management node %s is ready", self.uuid)

    def begin(self) -> None:
        """Let the families begin their work in the background, once callers are answered: hosts may be thousands."""
        for family in self.registry.families if not self.outdated else ():
            if family.on_ready is not None:
                self.background(family.on_ready, self)

    def _hosts_by_status(self) -> dict[str, int]:
        counted = select(HostVO.status, func.count()).where(HostVO.deleted.is_(None)).group_by(HostVO.status)
        with self.database.read() as session:
            return dict(session.execute(counted).tuples().all())

    def background(self, work: Callable[..., None], *args: object) -> None:
        """Do `work` later in another thread. What it raises is logged with its traceback."""
        self._background.submit(work, *args).add_done_callback(_report)

    def repeat(self, name: str, seconds: Callable[[], float], work: Callable[[], None]) -> Repeater:
        """Do `work` now and every so many seconds, until the node stops."""
        repeater = Repeater(name, seconds, work)
        self._repeaters.append(repeater)
        repeater.start()
        return repeater

    def at_close(self, end: Callable[[], None]) -> None:
        """Call `end` when the node closes, while it still has its database."""
        self._closing.append(end)

    def stop(self) -> None:
        """End child processes and wait for background work."""
        self.ready = False
        self.processes.close()
        for repeater in self._repeaters:
            repeater.stop()
        self._background.shutdown(cancel_futures=True)

    def close(self) -> None:
        """Give up calls to agents that have not called back, and unregister. Nothing may use the node afterwards."""
        self.tasks.abandon()
        for end in self._closing:
            end()
        with self.database.write() as session:
            session.execute(delete(ManagementNodeVO).where(ManagementNodeVO.uuid == self.uuid))
        self.database.close()


def _report(future: Future[None]) -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        log.error("background work failed", exc_info=error)


def too_late(key: Key) -> ApiError:
    """What whoever waits for the lock `key` is told at its deadline."""
    return ApiError("SYS.1001", f"other work on {' '.join(map(str, key))} took all of the call's time")
