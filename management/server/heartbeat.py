"""Which nodes are alive: each says so in the database, and takes over the work of one that stopped saying it."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping

from sqlalchemy import delete, select, update

from management.server.clock import now
from management.server.database import Database
from management.server.models.system import ManagementNodeVO

log = logging.getLogger(__name__)

BEAT_SECONDS = 2.0
DEAD_SECONDS = 8.0
STALL_SECONDS = 2 * BEAT_SECONDS


class Heartbeat:
    """A node is dead when its row did not change for DEAD_SECONDS of our own clock: clocks need not agree.

    A node that has not looked itself for STALL_SECONDS begins to count anew: what kept it may have kept all of them.
    """

    def __init__(
        self,
        database: Database,
        node_uuid: str,
        adopt: Callable[[Collection[str]], int],
        fenced: Callable[[], None],
    ) -> None:
        """`adopt` takes over work of all nodes but the given ones; `fenced` is told that others took ours."""
        self._database = database
        self._uuid = node_uuid
        self._adopt = adopt
        self._fenced = fenced
        self._seen: dict[str, tuple[object, float]] = {}
        self._looked = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def beat(self) -> None:
        """Say that we live, bury who did not, and adopt what has no living node."""
        with self._database.turn():
            with self._database.write() as session:
                mine = update(ManagementNodeVO).where(ManagementNodeVO.uuid == self._uuid).values(heartBeat=now())
                if not session.connection().execute(mine).rowcount:
                    return self._fenced()
                rows = session.execute(select(ManagementNodeVO.uuid, ManagementNodeVO.heartBeat))
                beats = {row.uuid: row.heartBeat for row in rows}
                dead = self._dead(beats)
                session.execute(delete(ManagementNodeVO).where(ManagementNodeVO.uuid.in_(dead)))
            adopted = self._adopt(beats.keys() - dead)
        for uuid in sorted(dead):
            log.warning("management node %s is gone", uuid)
        if adopted:
            log.warning("%d calls of nodes that are gone were taken over", adopted)
        return None

    def _dead(self, beats: Mapping[str, object]) -> set[str]:
        moment = time.monotonic()
        before = self._seen if moment - self._looked <= STALL_SECONDS else {}
        self._looked = moment
        self._seen = {u: before[u] if u in before and before[u][0] == b else (b, moment) for u, b in beats.items()}
        return {u for u, (_, since) in self._seen.items() if moment - since > DEAD_SECONDS and u != self._uuid}

    def _run(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            try:
                self.beat()
            except Exception:
                # The database may be away for a moment; whoever can reach it decides meanwhile whether we are dead.
                log.exception("the heartbeat failed; it is tried again")
