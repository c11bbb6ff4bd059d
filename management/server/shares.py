"""Which hosts a node looks after: each living node has its share of them, and every host is in one."""

import hashlib
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from management.server.models.hosts import HostVO
from management.server.models.system import ManagementNodeVO

BUSY_STATES = ("PreMaintenance", "Maintenance")


def owner(host_uuid: str, node_uuids: Iterable[str]) -> str | None:
    """The node that looks after the host: when a node comes or goes, only its own share changes hands."""
    return max(node_uuids, key=lambda uuid: hashlib.sha256(f"{uuid}{host_uuid}".encode()).digest(), default=None)


@dataclass(frozen=True, slots=True)
class Look:
    """The hosts in service of one node's share; those `taken` over were another node's before, or have had none yet."""

    kept: Sequence[HostVO]
    taken: Sequence[HostVO]
    first: bool


class Share:
    """One node's share, as it was when the node last looked."""

    def __init__(self, node_uuid: str) -> None:
        self._node_uuid = node_uuid
        self._lock = threading.Lock()
        self._mine: frozenset[str] | None = None
        self._others: frozenset[str] = frozenset()

    def look(self, session: Session) -> Look:
        """The share as it is now. A host that is new is nobody's to take: whoever added it connects it."""
        nodes = session.scalars(select(ManagementNodeVO.uuid)).all()
        wanted = select(HostVO).where(HostVO.deleted.is_(None), HostVO.state.not_in(BUSY_STATES))
        hosts = session.scalars(wanted).all()
        mine = [host for host in hosts if owner(host.uuid, nodes) == self._node_uuid]
        uuids = frozenset(host.uuid for host in mine)
        with self._lock:
            first = self._mine is None
            taken = uuids if first else uuids & self._others
            self._mine, self._others = uuids, frozenset(host.uuid for host in hosts) - uuids
        return Look(
            [host for host in mine if host.uuid not in taken], [host for host in mine if host.uuid in taken], first
        )
