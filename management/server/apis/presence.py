"""Whether hosts are there, and when each was last seen (since 1.1.0), for the operator who wonders."""

from typing import TYPE_CHECKING, Any

from management.server.clock import now
from management.server.hosts import STATUS_CHANGED
from management.server.models.presence import HostPresenceVO
from management.server.tracker import Tracker

if TYPE_CHECKING:
    from management.server.node import Node


def join(node: "Node") -> None:
    """Listen to hosts coming and going."""

    def stamp(facts: dict[str, Any]) -> None:
        # A host was there when it connects, and until the moment it is found to be gone.
        if "Connected" in (facts["newStatus"], facts["oldStatus"]):
            with node.database.write() as session:
                session.get_one(HostPresenceVO, facts["hostUuid"]).lastSeenDate = now()

    node.events.subscribe(STATUS_CHANGED, stamp)


def on_ready(node: "Node") -> None:
    """Begin to look after the hosts."""
    Tracker(node).start()
